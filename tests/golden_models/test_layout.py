"""Weights, parameters, constants, tables and statistics against bytes worked by hand, and as inverses of each other."""

import numpy as np
import pytest

from sqdm.golden import layout
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import PRESETS, Config

TINY = PRESETS["tiny"]  # 64-bit memory words, 32 lanes
DEFAULT = PRESETS["default"]  # 128-bit memory words, 32 lanes
CONFIGS = (TINY, DEFAULT, Config(name="broad", lanes=64, bus_bits=256))


def test_weight_run_by_hand():
    weights = np.zeros((33, 2, 3, 3), np.int8)  # K=33: two tiles of 32 lanes, 2 words of 64 bit a row
    weights[0, 1, 0, 0] = 1  # channel 1, tile 0, tap 0, lane 0
    weights[15, 1, 0, 1] = -1  # tap 1, lane 15
    weights[16, 1, 0, 1] = 3  # tap 1, lane 16
    weights[32, 1, 2, 2] = -8  # tile 1, tap 8, lane 0
    words = layout.pack_weights(weights, TINY).view("<u8")
    expected = np.zeros((2, 2, 9, 2), np.uint64)
    expected[1, 0, 0, 0] = 1
    expected[1, 0, 1] = (0xF << 60, 3)
    expected[1, 1, 8, 0] = 8
    assert words.reshape(expected.shape).tolist() == expected.tolist()


def test_wide_weight_row_by_hand():
    weights = np.zeros((17, 1, 1, 1), np.int8)  # two tiles of 16 channels on 32 lanes
    weights[0] = 18  # 16 + 2
    weights[15] = -119  # 16 * -7 - 7
    weights[16] = 8  # 16 - 8
    words = layout.pack_weights(weights, DEFAULT, wide=True).reshape(-1).view("<u8")
    assert [hex(word) for word in words] == ["0x9000000000000002", "0x9000000000000001", "0x8", "0x1"]


def test_weight_groups_of_wide_lanes():
    weights = np.arange(32, dtype=np.int8).reshape(32, 1, 1, 1)  # one tile of 64 lanes: two groups of 16 channels
    words = layout.pack_weights(weights, CONFIGS[2], wide=True).view("<u8").reshape(-1)
    assert words.size == 4
    rows = [[int(word) >> 4 * i & 15 for i in range(16)] for word in words]
    assert rows[0] == [v & 15 for v in range(16)]
    assert rows[1] == [0] * 8 + [1] * 8
    assert rows[2] == [v & 15 for v in range(16)]
    assert rows[3] == [1] * 8 + [2] * 8


@pytest.mark.parametrize("taps", [1, 9])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_weights_return(config, wide, taps):
    rng = np.random.default_rng(1)
    side = 3 if taps == 9 else 1
    limit = 119 if wide else 7
    weights = rng.integers(-limit, limit + 1, (37, 5, side, side)).astype(np.int16)
    shape = LayerShape(config, 5, 37, 4, 4, 1, taps, wide=wide)
    runs = layout.pack_weights(weights, config, wide)
    assert runs.shape == (5, shape.weight_words * config.bus_bytes)
    np.testing.assert_array_equal(layout.unpack_weights(runs, shape), weights)


@pytest.mark.parametrize("config", CONFIGS[:2], ids=lambda config: config.name)
def test_weight_rows_are_the_weights_of_a_product(config):
    values = np.random.default_rng(2).integers(-119, 120, (3, 40))  # 3 pixels = input channels, 40 output channels
    rows = layout.pack_weight_rows(values, config)
    assert rows.shape == (3, 48)
    np.testing.assert_array_equal(rows, layout.pack_weights(values.T[:, :, None, None], config, wide=True))


def test_weight_row_of_few_channels_fills_a_memory_word():
    row = layout.pack_weight_rows(np.array([1, -1]), CONFIGS[2])
    assert row.view("<u8").tolist() == [0xF1, 0, 0, 0]


def test_params_by_hand():
    packed = layout.pack_params(np.array([1, 65535], np.uint16), np.array([-1, 2], np.int16), TINY)
    assert packed.size == 32 * 4
    assert packed.view("<u4")[:3].tolist() == [0xFFFF0001, 0x0002FFFF, 0]
    multiplier, bias = layout.unpack_params(packed, 2)
    assert (multiplier.tolist(), bias.tolist()) == ([1, 65535], [-1, 2])
    assert layout.pack_params(multiplier, bias, TINY, wide=True).size == 16 * 4


def test_constants_by_hand():
    packed = layout.pack_constants(np.array([-2]), np.array([-3]), DEFAULT)
    assert [hex(word) for word in packed.view("<u8")] == ["0xfffffffd0000fffe", "0x0"]


def test_constants_return():
    rng = np.random.default_rng(3)
    a, b = rng.integers(-32767, 32768, (2, 3, 5))
    packed = layout.pack_constants(a, b * 65536, DEFAULT)
    assert packed.shape == (3, 48)
    back = layout.unpack_constants(packed, 5)
    np.testing.assert_array_equal(back, (a, b * 65536))


def test_table_by_hand():
    packed = layout.pack_table(np.array([3, 0, 2, 1, 4]), 2, TINY, np.array([10, 11, 12, 13, 14]))
    assert packed.view("<u2").tolist() == [2, 0, 0, 0, 3, 13, 0, 10, 2, 12, 1, 11, 4, 14, 0, 0]
    order, dense, counts = layout.unpack_table(packed, 5, TINY)
    assert (order.tolist(), dense, counts.tolist()) == ([3, 0, 2, 1, 4], 2, [10, 11, 12, 13, 14])
    assert layout.pack_table(np.array([0]), 1, DEFAULT).view("<u2").tolist() == [1] + 15 * [0]


def test_statistics_by_hand():
    total, squares = np.array([[-1, 2], [3, 4]]), np.array([[5, 6], [7, 1 << 40]])  # N=2, K=2
    packed = layout.pack_statistics(total, squares, DEFAULT)
    assert packed.view("<i8").tolist() == [-1, 5, 3, 7, 2, 6, 4, 1 << 40]
    np.testing.assert_array_equal(layout.unpack_statistics(packed, 2, 2, DEFAULT), (total, squares))
    broad = layout.pack_statistics(total, squares, CONFIGS[2])  # an entry in a memory word of 256 bit
    assert broad.view("<i8").reshape(4, 4)[:, 2:].any() == 0
    assert broad.view("<i8").reshape(4, 4)[:, :2].reshape(-1).tolist() == packed.view("<i8").tolist()
    np.testing.assert_array_equal(layout.unpack_statistics(broad, 2, 2, CONFIGS[2]), (total, squares))


def test_sizes_by_hand():
    shape = LayerShape(DEFAULT, 5, 33, 4, 6, 2, 9, two_planes=True, wide=True, halo=1)
    assert (shape.pixels, shape.in_pixels, shape.plane_words, shape.plane_rows) == (24, 30, 2, 32)
    assert (shape.tile_channels, shape.tiles, shape.tile_words, shape.weight_words) == (16, 3, 9, 27)
    assert (shape.param_words, shape.constant_words, shape.table_words) == (12, 3, 2 * (1 + 2))
    assert (shape.out_words(False), shape.out_words(True)) == (3, 6)
    assert LayerShape(TINY, 1, 33, 1, 1, 1, 9).tile_words == 18
