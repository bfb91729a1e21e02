"""Convolutions over rows against the plain ones, and where they do not fit."""

from dataclasses import replace

import numpy as np
import pytest

from sqdm.compiler.rows import over_rows, row_weights
from sqdm.golden.conv import conv_psum
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import PRESETS

DEFAULT = PRESETS["default"]


def shape(config=DEFAULT, two_planes=True):
    return LayerShape(config, 32, 1, 8, 8, 3, 9, two_planes, wide=True)


@pytest.mark.parametrize(("out_channels", "height", "width"), [(1, 8, 8), (2, 6, 5), (3, 2, 1)])
def test_sums_are_those_of_the_plain_convolution(out_channels, height, width):
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 256, (2, 3, height, width))
    weights = rng.integers(-119, 120, (out_channels, 3, 3, 3))
    pairs = codes.reshape(2, 3 * height // 2, 2, width)
    rows = conv_psum(pairs, row_weights(weights, height))[:, :, 1]  # below the halo row
    plain = conv_psum(codes, weights)
    np.testing.assert_array_equal(rows.reshape(plain.shape), plain)


def test_third_kernel_row_is_never_needed():
    assert not row_weights(np.ones((1, 2, 3, 3), np.int8), 8)[:, :, 2].any()


@pytest.mark.parametrize("two_planes", [False, True])
def test_as_many_activations_on_more_channels(two_planes):
    plain = shape(two_planes=two_planes)
    rows = over_rows(plain)
    assert (rows.channels, rows.out_channels, rows.height, rows.width, rows.halo) == (128, 8, 1, 8, 1)
    assert rows.channels * rows.in_pixels == plain.channels * plain.in_pixels
    assert (rows.images, rows.taps, rows.planes, rows.wide) == (3, 9, plain.planes, True)


@pytest.mark.parametrize(
    "change",
    [
        {"acc_bits": 22, "max_channels": 128},  # 128 channels of 8 bits could overflow
        {"sparse_arrays": 4, "slot_channels": 32},  # 4 slots of 16 channels in two planes
        {"act_rows": 32},  # 16 channels in two planes and one image take 512 rows
    ],
)
def test_layers_that_do_not_fit_over_rows_stay_plain(change):
    config = replace(DEFAULT, **change)
    assert over_rows(shape(config)) == shape(config)
