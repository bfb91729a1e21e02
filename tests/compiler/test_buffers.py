"""Use of the buffers, worked by hand."""

from dataclasses import replace

import pytest

from sqdm.compiler.buffers import Buffers, Strip, choose, first_split, images_at_once, slot_depths, strips
from sqdm.errors import UserError
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import PRESETS

DEFAULT, TINY = PRESETS["default"], PRESETS["tiny"]
#: Four slots in each pool.
EVEN = replace(DEFAULT, dense_arrays=2, sparse_arrays=2, slots=2)
UNEVEN = replace(EVEN, dense_arrays=1, sparse_arrays=3)


def shape(channels, height=8, width=8, images=4, taps=9, two_planes=False, config=EVEN):
    return LayerShape(config, channels, 32, height, width, images, taps, two_planes)


def test_either_pool_may_take_all_channels_if_the_weights_fit():
    assert slot_depths(shape(128))[0] == 32
    assert slot_depths(shape(512)) == [64]  # 576 rows hold 64 channels of a 3x3 layer; 8 slots need 64
    assert slot_depths(shape(512, taps=1))[0] == 128
    assert slot_depths(shape(256, two_planes=True)) == [32]
    assert slot_depths(shape(200)) == [50, 48, 32]
    assert slot_depths(shape(128, config=UNEVEN))[0] == 64  # 2 dense slots, 6 sparse ones


def test_channels_that_no_slot_can_hold_are_refused():
    with pytest.raises(UserError, match="at most 256"):
        slot_depths(shape(257, two_planes=True))


def test_images_share_the_activation_buffers():
    assert choose(shape(64)) == Buffers(16, 4)
    assert choose(shape(64, images=32)) == Buffers(16, 32)  # 2,048 rows of 64 pixels
    assert choose(shape(128, images=32)) == Buffers(32, 16)
    assert choose(shape(128, images=32, two_planes=True)) == Buffers(32, 8)


def test_fewer_channels_in_a_slot_make_room_for_a_second_image():
    assert choose(shape(128, 32, 32)) == Buffers(16, 2)  # 32 channels take 2,048 rows for one image
    assert choose(shape(128, 32, 32, images=1)) == Buffers(32, 1)
    assert choose(shape(256, 32, 32)) is None


def test_strips_are_few_and_about_equal():
    assert strips(shape(64, 32, 32)) == [Strip(0, 32)]
    # 64 channels a slot, 2 images: 256 pixels or 8 rows of input
    assert strips(shape(256, 32, 32)) == [
        Strip(0, 7, False, True),
        Strip(7, 6, True, True),
        Strip(13, 6, True, True),
        Strip(19, 6, True, True),
        Strip(25, 7, True, False),
    ]
    assert [strip.height for strip in strips(shape(512, 3, 64, images=1))] == [3]
    assert strips(shape(64, 40, 32, config=replace(EVEN, max_size=32)))[0].height == 20
    assert {strip.halo for strip in strips(shape(512, 32, 32, taps=1))} == {0}


def test_the_first_split_is_legal():
    assert first_split(shape(64), 16) == 24  # 40% are 25.6: 6 steps of 4
    assert first_split(shape(64, config=UNEVEN), 32) == 26  # 13 steps of 2, of the 40% nearest
    assert first_split(shape(512), 64) == 256  # 64 channels in each of 4 sparse slots, no more
    assert first_split(shape(1), 1) == 0
    assert first_split(shape(64, config=PRESETS["dense"]), 8) == 64
    assert first_split(shape(64, config=PRESETS["sparse"]), 8) == 0


def test_counters_limit_the_images():
    assert images_at_once(8, 8, DEFAULT) == 32
    assert images_at_once(64, 32, DEFAULT) == 31
    assert images_at_once(16, 16, TINY) == 16
