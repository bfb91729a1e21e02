"""Shares of non-zeros: where the channel tables start from."""

import numpy as np

from sqdm.golden import layers
from sqdm.golden.nonzeros import NonzeroCounter, nonzero_shares


def test_counts_by_plane_and_channel():
    counter = NonzeroCounter()
    acts = np.zeros((2, 32, 8, 8), np.int8)
    acts[0, 3] = 1  # one image of two
    acts[:, 5, 0] = 2  # one row of eight
    counter("enc.8x8_block0.conv0/codes", acts)
    shares = counter.shares()["enc.8x8_block0.conv0/nonzeros"]
    assert shares.shape == (1, 32) and shares[0, 3] == 0.5 and shares[0, 5] == 0.125 and shares.sum() == 0.625


def test_8_bit_layers_have_high_digits_first():
    counter = NonzeroCounter()
    codes = np.zeros((1, 1, 8, 8), np.int8)
    codes[0, 0, 0, 0], codes[0, 0, 0, 1] = 7, -16  # a low digit alone, a high digit alone
    counter("conv_in/codes", codes)
    counter("conv_in/codes", np.full((1, 1, 8, 8), 17, np.int8))
    counter("conv_in", codes)  # an output: not counted
    high, low = counter.shares()["conv_in/nonzeros"]
    assert high[0] == low[0] == 65 / 128


def test_probabilities_of_a_pixel_are_a_channel():
    counter = NonzeroCounter()
    probabilities = np.zeros((1, 16, 16), np.uint8)
    probabilities[0, :, 2] = 255  # every pixel attends to pixel 2
    name = next(layer.name for layer in layers.layers() if layer.name.endswith(".mix"))
    counter(f"{name}/codes", probabilities)
    high, low = counter.shares()[f"{name}/nonzeros"]
    assert high[2] == low[2] == 1 and high.sum() == low.sum() == 1


def test_the_shipped_shares_are_those_of_the_shipped_weights(model):
    for name, shares in nonzero_shares(model.arrays).items():
        assert np.array_equal(model.arrays[name], shares), name
