"""Dealing and the address generator's reference model against examples worked by hand."""

import pytest

from sqdm.golden.dealing import clamp_dense, deal, deal_pool
from sqdm.golden.requests import LoadLayer, RequestModel
from sqdm.rtl.config import PRESETS, Config

TINY = PRESETS["tiny"]  # 2 + 2 slots, 64-bit memory words, rows of 2 memory words, weight_rows 288, param_rows 64
#: 20 pixels; channels 100 apart, weights 50; tests change what they are about.
LAYER = LoadLayer(
    channels=3, kernel3=1, int16_acts=0, two_planes=0, plane_words=2, groups=1, act_base=1000, act_stride=100,
    weight_base=2000, weight_stride=50, tile_words=18, param_base=3000, param_words=16, table_base=4000, table_words=3,
    constant_base=5000, constant_words=3,
)  # fmt: skip


def model(config=TINY, orders=((2, 0, 1), (1, 2, 0)), dense=(2, 1), **changes):
    return RequestModel(config, LoadLayer(**vars(LAYER) | changes), list(zip(orders, dense, strict=True)))


def pick(requests, *keys):
    return [tuple(request[key] for key in keys) for request in requests]


def real(requests):
    return [request for request in requests if not request["zero"]]


def test_snake_order():
    assert deal_pool(range(7), 3) == [[0, 5, 6], [1, 4, None], [2, 3, None]]
    assert deal_pool([], 2) == [[], []]


def test_slots_are_numbered_dense_first():
    assert deal([5, 3, 1, 0, 2, 4], 3, TINY) == [[5, None], [3, 1], [0, None], [2, 4]]


def test_arrays_of_one_kind_form_one_pool():
    dense = Config(name="dense", dense_arrays=2, sparse_arrays=0, slots=2)
    assert deal(range(5), 0, dense) == [[0, None], [1, None], [2, None], [3, 4]]


@pytest.mark.parametrize("dense", [0, 4, 7])
def test_limits_of_the_dense_channels(dense):
    # 7 channels; the sparse pool's 2 slots hold 4 at 2 each, the dense pool's 3 slots hold 6
    assert clamp_dense(dense, 7, 2, 3, 2) == {0: 3, 4: 4, 7: 6}[dense]
    assert clamp_dense(dense, 7, 4, 3, 2) == {0: 0, 4: 4, 7: 7}[dense]
    assert clamp_dense(dense, 7, 2, 0, 4) == 0
    assert clamp_dense(dense, 7, 2, 4, 0) == 7


def test_params_have_a_half():
    assert pick(model().params(0), "address", "row") == [(3000 + i, i) for i in range(16)]
    requests = model().params(1)
    assert pick(requests, "address", "row") == [(3000 + i, TINY.param_rows + i) for i in range(16)]
    assert [request["last"] for request in requests] == 15 * [0] + [1]


def test_table_and_constants():
    assert pick(model().table(), "address", "row", "last") == [(4000, 0, 0), (4001, 1, 0), (4002, 2, 1)]
    assert pick(model().constants(30), "address", "row", "last") == [(5030, 0, 0), (5031, 1, 0), (5032, 2, 1)]


def test_weights_of_second_tile():
    requests = model().weights(plane=0, offset=18, half=1)  # slots [2], [0], [1], [None]; 2 words per row, 18 a channel
    assert TINY.row_words == 2
    assert len(requests) == 3 * 18 + 1
    assert pick(requests[:3], "address", "slot", "row") == [(2118, 0, 288), (2119, 0, 288), (2120, 0, 289)]
    assert pick(requests[18:19], "address", "slot", "row") == [(2018, 1, 288)]
    assert pick(requests[53:54], "address", "slot", "row", "last") == [(2050 + 18 + 17, 2, 296, 0)]
    assert pick(requests[54:], "zero", "slot", "row", "last") == [(1, 3, 288, 1)]


def test_weights_of_plane_high_follow_all_groups_of_plane_low():
    requests = model(kernel3=0, two_planes=1, groups=2).weights(plane=1, offset=0, half=0)
    # slots [1], [None], [2], [0]; two groups of 16 channels with one tap
    rows = [(0, 0, 32), (0, 0, 32), (1, 1, 32), (0, 2, 32), (0, 2, 32), (0, 3, 32), (0, 3, 32)]
    assert pick(requests, "zero", "slot", "row") == rows
    assert {request["plane"] for request in requests} == {1}


def test_acts_of_an_image():
    requests = model().acts(plane=0, offset=10, row=64, count=1, first=1)
    assert len(requests) == 4 * 2  # one channel a slot, two chunks
    assert all(request["block_end"] for request in requests)
    assert pick(real(requests), "address", "part", "channel", "slot", "row", "first", "count", "tail") == [
        (1210, 0, 2, 0, 64, 1, 1, 0), (1211, 0, 2, 0, 80, 0, 1, 1),
        (1010, 0, 0, 1, 64, 1, 1, 0), (1011, 0, 0, 1, 80, 0, 1, 1),
        (1110, 0, 1, 2, 64, 1, 1, 0), (1111, 0, 1, 2, 80, 0, 1, 1),
    ]  # fmt: skip
    assert all(request["count"] == 0 for request in requests if request["zero"])
    assert [request["slot"] for request in requests] == [slot for slot in range(4) for _ in range(2)]
    assert requests[-1]["last"] == 1


def test_acts_need_a_count_and_a_first_image():
    requests = real(model().acts(0, 0, 0, count=0, first=0))
    assert pick(requests, "count", "first") == 6 * [(0, 0)]


@pytest.mark.parametrize("plane, expected", [(0, [1010, 1012]), (1, [1011, 1013])])
def test_planes_of_codes_alternate(plane, expected):
    requests = real(model(two_planes=1, groups=3).acts(plane, 10, 32, 0, 0))
    mine = [request for request in requests if request["channel"] == 0]
    assert pick(mine, "address", "row") == list(zip(expected, (32 + 96 * plane, 48 + 96 * plane), strict=True))


def test_granules_share_a_memory_word():
    config = Config(slots=2, bus_bits=128)
    requests = real(model(config, act_base=1001).acts(0, 0, 0, 0, 0))[:2]
    assert pick(requests, "address", "part") == [(1201 // 2, 1), (1202 // 2, 0)]


@pytest.mark.parametrize(
    "bus_bits, expected",
    # channel 2 begins at granule 800 + 2 * 200 = 1200, its second chunk at 1204
    [
        (64, [(1200, 1, 0), (1201, 0, 0), (1202, 0, 0), (1203, 0, 1),
              (1204, 1, 0), (1205, 0, 0), (1206, 0, 0), (1207, 0, 1)]),
        (128, [(600, 1, 0), (601, 0, 1), (602, 1, 0), (603, 0, 1)]),
        (256, [(300, 1, 1), (301, 1, 1)]),
        (512, [(150, 1, 1), (150, 1, 1)]),
    ],
)  # fmt: skip
def test_pixels_take_whole_memory_words(bus_bits, expected):
    config = Config(slots=2, lanes=128, bus_bits=bus_bits)
    requests = model(config, int16_acts=1, act_stride=200, act_base=800).acts(0, 0, 0, 0, 0)
    words = [request for request in real(requests) if request["channel"] == 2]
    assert pick(words, "address", "begin", "end") == expected
    if bus_bits == 512:
        assert pick(words, "part") == [(0,), (4,)]
    zeros = [request for request in requests if request["zero"]]
    assert pick(zeros, "begin", "end") == len(zeros) * [(1, 1)]


def test_pool_without_channels_gives_no_requests():
    assert {request["slot"] for request in model(dense=(3, 0)).acts(0, 0, 0, 0, 0)} == {0, 1}
    assert {request["slot"] for request in model(dense=(3, 0)).acts(1, 0, 0, 0, 0)} == {2, 3}


def test_second_group_starts_behind_the_first():
    requests = model(channels=33, orders=[range(33)], dense=[33], plane_words=1, groups=2).acts(0, 0, 0, 0, 0)
    slot0 = [request for request in requests if request["slot"] == 0]  # 17 indices: group 1 holds one channel
    assert [request["row"] for request in slot0] == 16 * [0] + [16]
    assert [request["block_end"] for request in slot0] == 15 * [0] + [1, 1]
    assert slot0[16]["channel"] == 32  # index 16 is even: slot 0 comes first
