"""Test vectors: capture, random operands."""

import numpy as np
import pytest

from sqdm.errors import UserError
from sqdm.golden import layers
from sqdm.golden.formats import INT8, UINT4
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.sample import sample
from sqdm.golden.vectors import Vectors, capture, random_vectors

#: Every kind of layer: first, last, 3x3, skips of 4 and 8 bits, the five of an attention.
NAMES = [
    "conv_in",
    "conv_out",
    "enc.4x4_block0.conv0",
    "dec.8x8_up.conv1",
    "dec.8x8_block1.skip",
    "dec.4x4_block2.skip",
]


def attention_names():
    first = next(layer.name for layer in layers.layers() if layer.name.endswith("attention.qk")).rpartition(".")[0]
    return [f"{first}.{part}" for part in ("qk", "v", "scores", "mix", "proj")]


@pytest.fixture(scope="module")
def tensors(model):
    """Of the first evaluation of step 1 of 3, images 2 and 8."""
    found = []

    def on_tensor(name, tensor):
        if name == "conv_in/codes":
            found.append({})
        found[-1][name] = tensor

    sample(model, [2, 8], 3, 6, IntegerUNet(model.arrays, on_tensor).denoise)
    return found[2]  # evaluations 0, 1 | 2, 3 | 4


@pytest.mark.parametrize("name", [*NAMES, *attention_names()])
def test_capture_is_the_layer_of_the_run(model, tensors, name):
    layer = next(layer for layer in layers.layers() if layer.name == name)
    got = capture(model, name, 1, [2, 8], 6, 3)
    assert (got.name, got.act, got.weight_bits, got.signed) == (name, layer.act, layer.weight_bits, layer.act.signed)
    assert got.acts.shape == (2, layer.C, layer.H, layer.W)
    assert got.weights.shape[-4:] == (layer.K, layer.C, layer.kernel, layer.kernel)
    assert got.image_weights == name.endswith((".scores", ".mix"))
    codes, output = tensors[f"{name}/codes"], tensors[name]
    if name.endswith(".mix"):
        pixel = got.acts[1, :, 2, 3]  # the probabilities of one pixel
        assert np.array_equal(pixel, codes[1, 2 * layer.W + 3])
    else:
        assert np.array_equal(got.acts, codes)
    if name.endswith(".scores"):
        assert got.expected() is None
        assert np.array_equal(got.psum().reshape(output.shape).transpose(0, 2, 1), output)
    else:
        assert np.array_equal(got.expected(), output)


def test_capture_depends_on_the_step(model, tensors):
    first = capture(model, "enc.8x8_block0.conv0", 0, [2, 8], 6, 3)
    assert not np.array_equal(first.acts, tensors["enc.8x8_block0.conv0/codes"])


def test_capture_refuses(model):
    with pytest.raises(UserError, match=r"layer must be .*enc.8x8_block0.* not 'enc.8x8_block9.conv0'") as refusal:
        capture(model, "enc.8x8_block9.conv0")
    assert all(layer.name.rpartition(".")[2] in str(refusal.value) for layer in layers.layers())
    for step in (-1, 18, 1.5):
        with pytest.raises(UserError, match=r"step must be an integer in 0..17"):
            capture(model, "conv_in", step)
    with pytest.raises(UserError, match="label"):
        capture(model, "conv_in", 0, [11])


def test_operands_out_of_range_are_refused():
    good = random_vectors(1, 2, 3, 4, 4)
    rest = (good.weights, good.weight_bits, good.requant)
    with pytest.raises(ValueError, match=r"acts must lie in 0..15, not -1"):
        Vectors("bad", good.acts - 1, UINT4, *rest)
    with pytest.raises(ValueError, match=r"weights must lie in -7..7"):
        Vectors("bad", good.acts, UINT4, np.full((3, 2, 3, 3), 8, np.int8), 4, None)
    with pytest.raises(ValueError, match="requant must have 2 channels, not 3"):
        Vectors("bad", good.acts, UINT4, good.weights[:2], 4, good.requant)


def test_clamp_makes_8_bit_codes():
    plain = random_vectors(3, 8, 4, 5, 5)
    clamped = Vectors("v", plain.acts, plain.act, plain.weights, 4, plain.requant, clamp=True)
    assert np.array_equal(clamped.expected(), np.clip(plain.expected(), INT8.low, INT8.high))
    assert not np.array_equal(clamped.expected(), plain.expected())


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_random_vectors_have_the_zeros_asked_for(fraction):
    got = random_vectors(3, 16, 8, 8, 8, zero_fraction=fraction)
    assert (got.acts == 0).mean() == pytest.approx(fraction, abs=0.05 if fraction == 0.5 else 0)
    assert np.array_equal(got.acts, random_vectors(3, 16, 8, 8, 8, zero_fraction=fraction).acts)
    assert not np.array_equal(got.weights, random_vectors(4, 16, 8, 8, 8, zero_fraction=fraction).weights)


def test_random_vectors_signed_and_one_by_one():
    got = random_vectors(1, 7, 5, 3, 3, kernel=1, zero_fraction=0.1, signed=True, batch=2)
    assert got.acts.min() == -8 and got.acts.max() == 7 and got.weights.shape == (5, 7, 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"C": 0}, "C must"),
        ({"kernel": 2}, "kernel must"),
        ({"zero_fraction": 1.5}, "zero_fraction"),
        ({"seed": -1}, "seed"),
    ],
)
def test_random_vectors_refuse(changes, message):
    with pytest.raises(UserError, match=message):
        random_vectors(**({"seed": 0, "C": 1, "K": 1, "H": 1, "W": 1} | changes))


def test_every_layer_is_in_the_shipped_arrays(model):
    products = ("scores", "mix")  # of activations only
    assert all(
        f"{layer.name}/weights" in model.arrays for layer in layers.layers() if not layer.name.endswith(products)
    )
