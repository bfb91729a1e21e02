"""Compiled operands as the hardware reads them: the requests of `golden.requests` fill buffers.

Sums over their slots, planes, digits and lanes give the layer's sums. Nothing here uses the compiler's own reading of
memory.
"""

import numpy as np
import pytest
from layers_at_random import expected_outputs, random_convolution

from sqdm.compiler.convolution import compile_convolution
from sqdm.golden import layout
from sqdm.golden.requests import LoadLayer, RequestModel
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import Output

CONFIGS = (
    PRESETS["tiny"],
    PRESETS["default"],
    Config(name="broad", lanes=64, bus_bits=256, slots=2, sparse_arrays=2),
    Config(name="cut", act_rows=128, max_out_channels=32),
)


def load_layer(d, config):
    """The address generator's view of a descriptor."""
    word, wide, taps = config.bus_bytes, d["MODE.wide_weights"], 9 if d["MODE.kernel3"] else 1
    pixels = (d["HEIGHT"] + d["MODE.halo_top"] + d["MODE.halo_bottom"]) * d["WIDTH"]
    tiles = -(-d["OUT_CHANNELS"] // (config.lanes // (2 if wide else 1)))
    return LoadLayer(
        channels=d["CHANNELS"],
        kernel3=d["MODE.kernel3"],
        int16_acts=0,
        two_planes=d["MODE.two_planes"],
        plane_words=-(-pixels // 16),
        groups=-(-d["BUFFERS.slot_channels"] // 16),
        act_base=d["ACT_BASE"] // 8,
        act_stride=d["ACT_STRIDE"] // 8,
        weight_base=d["WEIGHT_BASE"] // word,
        weight_stride=d["WEIGHT_STRIDE"] // word,
        tile_words=taps * config.row_words,
        param_base=d["PARAM_BASE"] // word,
        param_words=tiles * config.lanes * (2 if wide else 4) // word,
        table_base=0,
        table_words=0,
        constant_base=0,
        constant_words=0,
    )


def nibbles(memory, address, count, signed):
    """Nibbles from a byte address on."""
    packed = memory[address : address + count // 2].astype(int)
    values = np.stack((packed & 15, packed >> 4), -1).reshape(-1)
    return np.where(values > 7, values - 16, values) if signed else values


def slot_sums(d, memory, config, image, tile):
    """Sums of one image and tile by (pixel, lane), from the buffers that the requests fill."""
    layer = load_layer(d, config)
    tables = []
    size = layout.table_bytes(layer.channels, config)
    for plane in range(1 + layer.two_planes):
        at = d["TABLE_BASE"] + (layer.two_planes - plane) * size  # that of the high digits first
        order, dense, _ = layout.unpack_table(memory[at : at + size], layer.channels, config)
        tables.append((order, dense))
    model = RequestModel(config, layer, tables)
    pixels, taps = 16 * layer.plane_words, 9 if layer.kernel3 else 1
    acc = np.zeros((d["HEIGHT"] * d["WIDTH"], config.lanes), int)
    own = image * d["WEIGHT_IMAGE_STRIDE"] // config.bus_bytes if d["MODE.image_weights"] else 0
    for plane in range(layer.two_planes, -1, -1):
        acts, weights = {}, {}
        for request in model.acts(plane, image * d["ACT_IMAGE_STRIDE"] // 8, 0, 0, 0):
            block = acts.setdefault((request["slot"], request["row"] // 16), [])
            at = None if request["zero"] else request["address"] * config.bus_bytes + 8 * request["part"]
            block.append(np.zeros(16, int) if at is None else nibbles(memory, at, 16, d["MODE.signed_acts"]))
        for request in model.weights(plane, tile * layer.tile_words + own, 0):
            if not request["zero"]:
                row = weights.setdefault((request["slot"], request["row"]), [])
                row.append(nibbles(memory, request["address"] * config.bus_bytes, config.bus_bits // 4, True))
        for (slot, row), parts in weights.items():
            index, tap = divmod(row - plane * layer.groups * 16 * taps, taps)
            first = (plane * layer.groups + index // 16) * layer.plane_words
            blocks = [acts[slot, first + chunk][index % 16] for chunk in range(layer.plane_words)]
            image_plane = np.concatenate(blocks)[:pixels]
            acc += (16**plane) * np.outer(shifted(d, image_plane, tap), np.concatenate(parts))
    return acc


def shifted(d, plane, tap):
    """The activation under a tap for every output pixel; 0 on the zero padding."""
    top, height, width = d["MODE.halo_top"], d["HEIGHT"], d["WIDTH"]
    rows = height + top + d["MODE.halo_bottom"]
    padded = np.pad(plane[: rows * width].reshape(rows, width), 1)
    y, x = divmod(tap, 3) if d["MODE.kernel3"] else (1, 1)
    return padded[top + y : top + y + height, x : x + width].reshape(-1)


def sums_by_channel(d, acc, config):
    """(real output channel of the tile, pixel): two lanes make a channel of 8-bit weights."""
    if not d["MODE.wide_weights"]:
        return acc.T
    groups = acc.T.reshape(config.lanes // 32, 2, 16, -1)
    return (groups[:, 0] + 16 * groups[:, 1]).reshape(config.lanes // 2, -1)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize(
    ("shape", "taps", "options"),
    [
        ((2, 21, 35, 9, 5), 9, {}),
        ((1, 20, 33, 5, 6), 9, {"act_bits": 8, "weight_bits": 8, "signed": True}),
        ((2, 17, 20, 4, 4), 1, {"act_bits": 8, "weight_bits": 8, "image_weights": True}),
        ((1, 9, 18, 3, 7), 9, {"signed": True, "weight_bits": 8}),
    ],
)
def test_sums_over_the_buffers_are_the_layers_sums(shape, taps, options, config):
    conv = random_convolution(np.random.default_rng(1), shape, taps, output=Output.RAW, **options)
    program = compile_convolution(conv, config)
    found = np.full((shape[0], shape[2], shape[3], shape[4]), 1 << 30)
    tile_channels = config.lanes // (2 if conv.weight_bits == 8 else 1)
    for d in program.descriptors[:-1]:
        part = next(p for p in program.parts if p.regions["acts"].address == d["ACT_BASE"])
        first = (d["OUT_BASE"] - part.regions["out"].address) // d["OUT_STRIDE"]
        rows = slice(part.strip.first, part.strip.first + d["HEIGHT"])
        for image in range(d["IMAGES"]):
            for tile in range(-(-d["OUT_CHANNELS"] // tile_channels)):
                channels = min(tile_channels, d["OUT_CHANNELS"] - tile * tile_channels)
                sums = sums_by_channel(d, slot_sums(d, program.memory, config, image, tile), config)[:channels]
                low = first + tile * tile_channels
                block = sums.reshape(channels, d["HEIGHT"], d["WIDTH"])
                found[part.images.start + image, low : low + channels, rows] = block
    np.testing.assert_array_equal(found, expected_outputs(conv))
