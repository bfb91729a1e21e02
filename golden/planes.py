"""Planes of pixels in memory: INT16, INT32 and codes; docs/program.md describes the formats.

A plane is the pixels of one channel and image in raster order. Functions treat all axes but the last as a stack of
planes, so callers decide in which order the planes lie; `place` and `gather` move them to and from strided places of a
memory image, a flat uint8 array.
"""

import numpy as np

from sqdm.golden.conv import split_signed, split_unsigned
from sqdm.rtl.config import WORD_BITS, WORD_NIBBLES, Config, ceil_div

GRANULE_BYTES = WORD_BITS // 8


def round_up(value: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not below ``value``."""
    return ceil_div(value, step) * step


def place(memory: np.ndarray, base: int, strides: tuple[int, ...], blocks: np.ndarray) -> None:
    """Write ``blocks`` (..., bytes), uint8, to ``memory``: block [i, j] to ``base + i*strides[0] + j*strides[1]``."""
    _window(memory, base, strides, blocks.shape)[...] = blocks


def gather(memory: np.ndarray, base: int, strides: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A copy of the blocks that `place` writes; ``shape`` (..., bytes) is that of the blocks."""
    return _window(memory, base, strides, shape).copy()


def _window(memory: np.ndarray, base: int, strides: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A view of the blocks in ``memory``; ValueError when one lies outside of it."""
    end = base + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=False)) + shape[-1]
    if base < 0 or end > memory.size:
        raise ValueError(f"bytes {base}..{end - 1} must lie in a memory of {memory.size} bytes")
    return np.lib.stride_tricks.as_strided(memory[base:], shape, (*strides, 1))


def padded(values: np.ndarray, count: int) -> np.ndarray:
    """``values`` (..., n) with zeros behind: (..., count)."""
    result = np.zeros((*values.shape[:-1], count), values.dtype)
    result[..., : values.shape[-1]] = values
    return result


def pack_nibbles(values: np.ndarray) -> np.ndarray:
    """Bytes (..., n/2) of 4-bit codes (..., n), two's complement where negative; element 0 is the low nibble."""
    codes = values.astype(np.uint8) & 15
    return codes[..., 0::2] | codes[..., 1::2] << 4


def unpack_nibbles(packed: np.ndarray, signed: bool) -> np.ndarray:
    """int16 (..., 2n) of bytes (..., n): 0..15, or -8..7 when ``signed``."""
    codes = np.stack((packed & 15, packed >> 4), axis=-1).reshape(*packed.shape[:-1], -1).astype(np.int16)
    return ((codes ^ 8) - 8) if signed else codes


def digits(values: np.ndarray, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """High and low digits of 8-bit codes: balanced ones when ``signed``."""
    return split_signed(values) if signed else split_unsigned(values)


def int16_bytes(pixels: int, config: Config) -> int:
    """Bytes from one INT16 plane to the next."""
    return round_up(pixels * 2, config.plane_bytes)


def raw_bytes(pixels: int, config: Config) -> int:
    """Bytes from one INT32 plane to the next: whole memory words."""
    return round_up(pixels * 4, config.bus_bytes)


def code_bytes(pixels: int, two_planes: bool) -> int:
    """Bytes of one plane of codes: whole activation words."""
    return ceil_div(pixels, WORD_NIBBLES) * GRANULE_BYTES * (2 if two_planes else 1)


def pack_int16(values: np.ndarray, config: Config) -> np.ndarray:
    """uint8 (..., int16_bytes) of INT16 planes (..., pixels)."""
    return padded(values.astype("<i2"), int16_bytes(values.shape[-1], config) // 2).view(np.uint8)


def unpack_int16(planes: np.ndarray, pixels: int) -> np.ndarray:
    """int16 (..., pixels) of bytes (..., n)."""
    return np.ascontiguousarray(planes).view("<i2")[..., :pixels]


def pack_raw(values: np.ndarray, config: Config) -> np.ndarray:
    """uint8 (..., raw_bytes) of INT32 planes (..., pixels)."""
    return padded(values.astype("<i4"), raw_bytes(values.shape[-1], config) // 4).view(np.uint8)


def unpack_raw(planes: np.ndarray, pixels: int) -> np.ndarray:
    """int32 (..., pixels) of bytes (..., n)."""
    return np.ascontiguousarray(planes).view("<i4")[..., :pixels]


def pack_codes(codes: np.ndarray, signed: bool, two_planes: bool) -> np.ndarray:
    """uint8 (..., code_bytes) of planes of codes (..., pixels): 4 bit, or 8 bit as low and high digits."""
    chunks = ceil_div(codes.shape[-1], WORD_NIBBLES)
    full = padded(codes, chunks * WORD_NIBBLES)
    if not two_planes:
        return pack_nibbles(full)
    high, low = (digit.reshape(*full.shape[:-1], chunks, WORD_NIBBLES) for digit in digits(full, signed))
    return pack_nibbles(np.stack((low, high), axis=-2)).reshape(*full.shape[:-1], -1)


def unpack_codes(planes: np.ndarray, pixels: int, signed: bool, two_planes: bool) -> np.ndarray:
    """int16 (..., pixels) of the bytes of `pack_codes`."""
    nibbles = unpack_nibbles(planes, signed)
    if two_planes:
        pairs = nibbles.reshape(*nibbles.shape[:-1], -1, 2, WORD_NIBBLES)
        nibbles = (pairs[..., 0, :] + 16 * pairs[..., 1, :]).reshape(*nibbles.shape[:-1], -1)
    return nibbles[..., :pixels]
