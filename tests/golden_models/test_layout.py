"""Memory images against bytes worked by hand, and as inverses of each other."""

import numpy as np
import pytest

from sqdm.golden import layout
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import PRESETS, Config

TINY = PRESETS["tiny"]  # 64-bit memory words, 16 lanes
DEFAULT = PRESETS["default"]  # 128-bit memory words, 32 lanes


def test_activation_planes_by_hand():
    acts = np.zeros((2, 2, 1, 3), np.int8)  # N=2, C=2, 3 pixels: one word per image and channel
    acts[0, 0] = [[1, 2, 3]]
    acts[1, 0] = [[4, 5, 6]]
    acts[0, 1] = [[7, 8, 9]]
    acts[1, 1] = [[-1, -8, 7]]
    words = layout.pack_activations(acts, TINY).view("<u8")
    assert [hex(word) for word in words] == ["0x321", "0x654", "0x987", "0x78f"]


def test_activations_fill_a_whole_memory_word():
    acts = np.full((1, 1, 1, 17), 15, np.int8)  # 17 pixels: 2 activation words
    assert layout.pack_activations(acts, TINY).view("<u8").tolist() == [(1 << 64) - 1, 15]
    assert layout.pack_activations(acts[..., :1], DEFAULT).tolist() == [15] + 15 * [0]


def test_weight_run_by_hand():
    weights = np.zeros((17, 2, 3, 3), np.int8)  # K=17: two tiles of 16 lanes
    weights[0, 1, 0, 0] = 1  # channel 1, tile 0, tap 0, lane 0
    weights[15, 1, 0, 1] = -1  # tap 1, lane 15
    weights[16, 1, 2, 2] = -8  # tile 1, tap 8, lane 0
    words = layout.pack_weights(weights, TINY).view("<u8")
    expected = np.zeros(2 * 2 * 9, np.uint64)
    expected[18 + 0] = 1
    expected[18 + 1] = 0xF << 60
    expected[18 + 9 + 8] = 8
    assert words.tolist() == expected.tolist()


def test_weight_run_of_1x1_kernels():
    weights = np.arange(3, dtype=np.int8).reshape(1, 3, 1, 1)  # one row of 32 lanes for each channel
    words = layout.pack_weights(weights, DEFAULT).view("<u8")
    assert words.tolist() == [0, 0, 1, 0, 2, 0]


def test_params_by_hand():
    packed = layout.pack_params(np.array([1, 65535], np.uint16), np.array([-1, 2], np.int16), TINY)
    assert packed.size == 16 * 4
    assert packed.view("<u4")[:3].tolist() == [0xFFFF0001, 0x0002FFFF, 0]


def test_table_by_hand():
    packed = layout.pack_table(np.array([3, 0, 2, 1, 4]), 2, TINY)
    assert packed.view("<u2").tolist() == [2, 0, 0, 0, 3, 0, 2, 1, 4, 0, 0, 0]
    order, dense = layout.unpack_table(packed, 5, TINY)
    assert (order.tolist(), dense) == ([3, 0, 2, 1, 4], 2)
    assert layout.pack_table(np.array([0]), 1, DEFAULT).size == 32


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
def test_output_returns(config, dtype):
    rng = np.random.default_rng(1)
    outputs = rng.integers(-30000, 30000, (3, 5, 3, 7)).astype(dtype)
    shape = LayerShape(config, 1, 5, 3, 7, 3, 1)
    packed = layout.pack_output(outputs, config)
    assert packed.size == shape.out_bytes(dtype == np.int32)
    returned = layout.unpack_output(packed, shape, dtype == np.int32)
    assert returned.dtype == dtype
    assert np.array_equal(returned, outputs)


def test_output_plane_by_hand():
    outputs = np.array([[[[1, -1]], [[2, 3]]], [[[4, 5]], [[6, 7]]]], np.int16)  # N=2, K=2, 2 pixels
    words = layout.pack_output(outputs, TINY).view("<u8")
    assert [hex(word) for word in words] == ["0xffff0001", "0x50004", "0x30002", "0x70006"]


@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
def test_shape_sizes_are_those_of_the_images(config):
    rng = np.random.default_rng(2)
    acts = rng.integers(0, 16, (3, 5, 5, 7)).astype(np.int8)
    weights = rng.integers(-8, 8, (37, 5, 3, 3)).astype(np.int8)
    shape = LayerShape.of(acts, weights, config)
    assert layout.pack_activations(acts, config).size == shape.act_bytes
    assert layout.pack_weights(weights, config).size == shape.weight_bytes
    assert layout.pack_params(np.zeros(37, np.uint16), np.zeros(37, np.int16), config).size == shape.param_bytes
    assert layout.pack_table(np.arange(5), 0, config).size == shape.table_bytes
    assert np.array_equal(layout.unpack_activations(layout.pack_activations(acts, config), shape), acts)


def test_wide_rows_take_several_memory_words():
    shape = LayerShape(Config(lanes=32, bus_bits=64), 1, 33, 1, 1, 1, 9)
    assert (shape.tile_words, shape.weight_words, shape.param_words) == (18, 36, 32)
