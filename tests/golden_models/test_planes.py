"""Planes of pixels against words worked by hand, and as inverses of each other."""

import numpy as np
import pytest

from sqdm.golden import planes
from sqdm.rtl.config import PRESETS, Config

TINY = PRESETS["tiny"]
BROAD = Config(name="broad", lanes=128, bus_bits=512)


def test_int16_plane_by_hand():
    packed = planes.pack_int16(np.array([[1, -1, 258]]), TINY)
    assert packed.shape == (1, 32)  # 16 pixels
    assert packed[0, :8].tolist() == [1, 0, 255, 255, 2, 1, 0, 0]
    assert not packed[0, 8:].any()
    assert planes.int16_bytes(17, TINY) == 64
    assert planes.int16_bytes(1, BROAD) == 64  # a memory word holds 32 pixels


def test_raw_plane_by_hand():
    packed = planes.pack_raw(np.array([-2]), PRESETS["default"])
    assert packed.view("<i4").tolist() == [-2, 0, 0, 0]


def test_4_bit_codes_by_hand():
    packed = planes.pack_codes(np.array([[1, 2, 3], [-1, -8, 7]]), signed=True, two_planes=False)
    assert [hex(word) for word in packed.view("<u8").reshape(-1)] == ["0x321", "0x78f"]


def test_8_bit_codes_by_hand():
    packed = planes.pack_codes(np.array([0x12, 0xFF] + 14 * [0] + [0x30]), signed=False, two_planes=True)
    assert [hex(word) for word in packed.view("<u8")] == ["0xf2", "0xf1", "0x0", "0x3"]
    packed = planes.pack_codes(np.array([-119, 8, -1]), signed=True, two_planes=True)
    assert [hex(word) for word in packed.view("<u8")] == ["0xf89", "0x19"]  # -119 = 16*-7 - 7, 8 = 16 - 8, -1 = 0 - 1


@pytest.mark.parametrize("pixels", [1, 16, 33])
@pytest.mark.parametrize(
    ("signed", "two_planes", "low", "high"),
    [(False, False, 0, 15), (True, False, -8, 7), (False, True, 0, 255), (True, True, -119, 119)],
)
def test_codes_return(signed, two_planes, low, high, pixels):
    codes = np.random.default_rng(1).integers(low, high + 1, (2, 3, pixels))
    packed = planes.pack_codes(codes, signed, two_planes)
    assert packed.shape == (2, 3, planes.code_bytes(pixels, two_planes))
    np.testing.assert_array_equal(planes.unpack_codes(packed, pixels, signed, two_planes), codes)


@pytest.mark.parametrize("config", [TINY, BROAD], ids=lambda config: config.name)
def test_planes_return(config):
    rng = np.random.default_rng(2)
    values = rng.integers(-30000, 30000, (2, 3, 21))
    np.testing.assert_array_equal(planes.unpack_int16(planes.pack_int16(values, config), 21), values)
    np.testing.assert_array_equal(planes.unpack_raw(planes.pack_raw(values * 9999, config), 21), values * 9999)


def test_place_and_gather():
    memory = np.full(40, 9, np.uint8)
    blocks = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
    planes.place(memory, 1, (20, 4), blocks)
    assert memory[1:13].tolist() == [0, 1, 9, 9, 2, 3, 9, 9, 4, 5, 9, 9]
    assert memory[21:23].tolist() == [6, 7]
    np.testing.assert_array_equal(planes.gather(memory, 1, (20, 4), (2, 3, 2)), blocks)


@pytest.mark.parametrize("base", [-1, 11])
def test_places_outside_of_the_memory_are_refused(base):
    with pytest.raises(ValueError, match="must lie in a memory of 40 bytes"):
        planes.gather(np.zeros(40, np.uint8), base, (20, 4), (2, 3, 2))
