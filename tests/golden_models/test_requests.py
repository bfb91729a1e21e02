"""Dealing and the address generator's reference model against examples worked by hand."""

import pytest

from sqdm.golden.dealing import deal, deal_pool
from sqdm.golden.layout import LayerShape
from sqdm.golden.requests import Bases, RequestModel
from sqdm.rtl.config import PRESETS, Config

TINY = PRESETS["tiny"]  # 2 + 2 slots, 64-bit memory words, act_rows 256, weight_rows 288
BASES = Bases(act=1000, weight=2000, param=3000, table=4000)


def model(config=TINY, channels=3, out_channels=20, size=(4, 5), images=2, taps=9, order=(2, 0, 1), dense=2):
    return RequestModel(LayerShape(config, channels, out_channels, *size, images, taps), BASES, order, dense)


def pick(requests, *keys):
    return [tuple(request[key] for key in keys) for request in requests]


def test_snake_order():
    assert deal_pool(range(7), 3) == [[0, 5, 6], [1, 4, None], [2, 3, None]]
    assert deal_pool([], 2) == [[], []]


def test_slots_are_numbered_dense_first():
    assert deal([5, 3, 1, 0, 2, 4], 3, TINY) == [[5, None], [3, 1], [0, None], [2, 4]]


def test_arrays_of_one_kind_form_one_pool():
    dense = Config(name="dense", dense_arrays=2, sparse_arrays=0, slots=2)
    assert deal(range(5), 0, dense) == [[0, None], [1, None], [2, None], [3, 4]]


def test_params_fill_whole_tiles():
    requests = model().params()  # K=20: 2 tiles of 16 lanes, 4 bytes each, 8 bytes a word
    assert pick(requests, "address", "row") == [(3000 + i, i) for i in range(16)]
    assert [request["last"] for request in requests] == 15 * [0] + [1]


def test_table_behind_its_first_word():
    requests = model(channels=5, order=range(5)).table()  # the split, then 4 + 1 entries
    assert pick(requests, "address", "row", "last") == [(4000, 0, 0), (4001, 1, 0), (4002, 2, 1)]


def test_weights_of_second_tile():
    requests = model().weights(tile=1, half=1)  # slots [2], [0], [1], [None]; 18 words per channel
    assert len(requests) == 28
    assert pick(requests[:2], "address", "slot", "row") == [(2000 + 45, 0, 288), (2000 + 46, 0, 289)]
    assert pick(requests[9:10], "address", "slot", "row") == [(2000 + 9, 1, 288)]
    assert pick(requests[26:27], "address", "slot", "row", "last") == [(2000 + 18 + 17, 2, 296, 0)]
    assert pick(requests[27:], "zero", "slot", "row", "last") == [(1, 3, 288, 1)]


def test_wide_weight_rows_take_words_in_order():
    requests = model(Config(slots=2, lanes=32, bus_bits=64), taps=1, dense=3, order=(2, 0, 1)).weights(0, 0)
    # slots [2, None], [0, 1]; one row is two memory words
    assert [request["zero"] for request in requests] == [0, 0, 1, 0, 0, 0, 0]
    assert pick(requests[:2] + requests[3:], "address", "slot", "row") == [
        (2004, 0, 0), (2005, 0, 0), (2000, 1, 0), (2001, 1, 0), (2002, 1, 1), (2003, 1, 1),
    ]  # fmt: skip
    assert pick(requests[2:3], "slot", "row") == [(0, 1)]


def test_acts_of_second_image():
    requests = model().acts(image=1, half=1, count=1)  # 20 pixels: 2 words a plane, 4 a channel
    assert len(requests) == 4 * 2 * 16
    real = [request for request in requests if not request["zero"]]
    assert pick(real, "address", "channel", "slot", "row", "first", "count") == [
        (1000 + 8 + 2, 2, 0, 256, 0, 1), (1000 + 8 + 3, 2, 0, 272, 0, 1),
        (1000 + 2, 0, 1, 256, 0, 1), (1000 + 3, 0, 1, 272, 0, 1),
        (1000 + 4 + 2, 1, 2, 256, 0, 1), (1000 + 4 + 3, 1, 2, 272, 0, 1),
    ]  # fmt: skip
    assert all(request["count"] == 0 for request in requests if request["zero"])
    assert [request["slot"] for request in requests] == [slot for slot in range(4) for _ in range(32)]
    assert requests[-1]["last"] == 1


def test_acts_mark_first_word_of_first_image():
    real = [request for request in model().acts(0, 0, 1) if not request["zero"]]
    assert pick(real, "channel", "first") == [(2, 1), (2, 0), (0, 1), (0, 0), (1, 1), (1, 0)]


def test_pool_without_channels_gives_no_requests():
    assert {request["slot"] for request in model(dense=3).acts(0, 0, 0)} == {0, 1}
    assert {request["slot"] for request in model(dense=0).acts(0, 0, 0)} == {2, 3}


def test_second_group_starts_behind_the_first():
    requests = model(channels=33, order=range(33), dense=33, size=(1, 4)).acts(0, 0, 0)
    slot0 = [request for request in requests if request["slot"] == 0]  # 17 indices: group 1 holds one channel
    assert [request["row"] for request in slot0] == 16 * [0] + 16 * [16]
    assert [request["zero"] for request in slot0[16:]] == 1 * [0] + 15 * [1]
    assert slot0[16]["channel"] == 32  # index 16 is even: slot 0 comes first


@pytest.mark.parametrize("bus_bits, expected", [(64, [(1003, 0), (1004, 0)]), (128, [(1001, 1), (1002, 0)])])
def test_scan_splits_memory_words(bus_bits, expected):
    requests = model(Config(bus_bits=bus_bits), images=1).scan()
    assert pick(requests, "channel", "first") == [(0, 1), (0, 0), (1, 1), (1, 0), (2, 1), (2, 0)]
    assert pick(requests[3:5], "address", "part") == expected
    assert requests[-1]["last"] == 1
