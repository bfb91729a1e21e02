"""The listing of the network's layers: multiply-accumulates, shares, formats."""

import pytest

from sqdm.golden import formats, layers
from sqdm.golden.formats import INT4, INT8, UINT4, UINT8
from sqdm.golden.unet import BLOCKS, UNet


def test_parameters_and_macs_of_the_network():
    assert sum(p.numel() for p in UNet().parameters()) == 1_084_737
    assert layers.macs_total() == 24_387_904
    assert layers.macs_on_accelerator() == 24_186_880
    convolutions = [layer for layer in layers.layers() if layer.name.endswith(("conv0", "conv1"))]
    assert len(convolutions) == 28 and sum(layer.macs for layer in convolutions) == 22_708_224


def test_shares_of_the_macs():
    assert layers.macs_4bit() >= 0.97 * layers.macs_total()
    assert layers.macs_on_accelerator() >= 0.99 * layers.macs_total()


def test_8bit_weights_are_those_of_the_ends_and_the_attentions_products():
    wide = {layer.name for layer in layers.layers() if layer.weight_bits == 8 and "attention" not in layer.name}
    assert wide == {"conv_in", "conv_out"}


def test_listing_has_every_layer_once_in_running_order():
    names = [layer.name for layer in layers.layers()]
    assert len(names) == len(set(names)) == 2 + 28 + 7 + 2 * 5
    assert names[0] == "conv_in" and names[-1] == "conv_out"
    at = names.index("dec.4x4_block2.conv0")
    assert names[at : at + 8] == [
        f"dec.4x4_block2.{part}"
        for part in (
            "conv0", "skip", "conv1", "attention.qk", "attention.v", "attention.scores", "attention.mix",
            "attention.proj",
        )
    ]  # fmt: skip
    assert len(layers.host_layers()) == 3 + len(BLOCKS)
    assert set(formats.candidates()) == {n for n in names if not n.endswith(("scores", "mix"))}


@pytest.mark.parametrize(
    ("name", "act", "weight_bits"),
    [
        ("conv_in", INT8, 8),
        ("enc.8x8_block0.conv0", UINT4, 4),
        ("dec.4x4_block0.skip", INT4, 4),
        ("dec.8x8_block1.skip", INT8, 4),
        ("dec.8x8_block2.skip", INT8, 4),
        ("dec.4x4_in0.attention.qk", INT4, 4),
        ("dec.4x4_in0.attention.scores", INT8, 8),
        ("dec.4x4_in0.attention.mix", UINT8, 8),
        ("dec.4x4_in0.attention.proj", INT4, 4),
        ("conv_out", UINT8, 8),
    ],
)
def test_formats_of_layers(name, act, weight_bits):
    layer = next(layer for layer in layers.layers() if layer.name == name)
    assert (layer.act, layer.weight_bits) == (act, weight_bits)
