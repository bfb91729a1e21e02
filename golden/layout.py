"""What lies in memory beside planes: weights, parameters, constants, tables, statistics (docs/program.md).

Everything is flat or stacked uint8 bytes, little endian. `LayerShape` has the sizes of one CONV.
"""

from dataclasses import dataclass

import numpy as np

from sqdm.golden.planes import digits, pack_nibbles, padded, round_up, unpack_nibbles
from sqdm.rtl.config import (
    CONSTANT_BITS,
    OUT_BITS,
    RAW_BITS,
    STATISTICS_BITS,
    TABLE_ENTRY_BITS,
    WORD_NIBBLES,
    Config,
    ceil_div,
)

PARAM_BYTES = 4
TABLE_ENTRY_BYTES = TABLE_ENTRY_BITS // 8
CONSTANT_BYTES = CONSTANT_BITS // 8
WIDE_GROUP = 2 * WORD_NIBBLES  #: lanes of 16 output channels with 8-bit weights: their low digits, then their high ones


@dataclass(frozen=True)
class LayerShape:
    """Sizes of one CONV on one configuration, in the specification's names.

    ``channels`` C, ``out_channels`` K, ``height`` H and ``width`` W of the output strip, ``images`` N, ``taps`` 9 or 1;
    ``two_planes``: 8-bit activations, ``wide``: 8-bit weights; ``halo`` rows of input above and below the strip.
    """

    config: Config
    channels: int
    out_channels: int
    height: int
    width: int
    images: int
    taps: int
    two_planes: bool = False
    wide: bool = False
    halo: int = 0

    @property
    def planes(self) -> int:
        """Planes of nibbles of an activation."""
        return 2 if self.two_planes else 1

    @property
    def pixels(self) -> int:
        """Pixels of one output plane."""
        return self.height * self.width

    @property
    def in_pixels(self) -> int:
        """Pixels of one input plane."""
        return (self.height + self.halo) * self.width

    @property
    def tile_channels(self) -> int:
        """Output channels of a tile."""
        return self.config.lanes // 2 if self.wide else self.config.lanes

    @property
    def tiles(self) -> int:
        """Output tiles."""
        return ceil_div(self.out_channels, self.tile_channels)

    @property
    def plane_words(self) -> int:
        """Activation words of one input plane."""
        return ceil_div(self.in_pixels, WORD_NIBBLES)

    @property
    def plane_rows(self) -> int:
        """Rows of an activation buffer from one group of 16 channels to the next."""
        return WORD_NIBBLES * self.plane_words

    @property
    def tile_words(self) -> int:
        """Memory words of one channel's weights for one output tile."""
        return self.taps * self.config.row_words

    @property
    def weight_words(self) -> int:
        """Memory words of one channel's weights."""
        return self.tile_words * self.tiles

    @property
    def param_words(self) -> int:
        """Memory words of the requantisation parameters."""
        return self.tiles * self.tile_channels * PARAM_BYTES // self.config.bus_bytes

    @property
    def constant_words(self) -> int:
        """Memory words of one image's normalisation constants."""
        return ceil_div(self.channels * CONSTANT_BYTES, self.config.bus_bytes)

    @property
    def table_words(self) -> int:
        """Memory words of the channel tables of all planes."""
        return self.planes * table_bytes(self.channels, self.config) // self.config.bus_bytes

    def out_words(self, raw: bool) -> int:
        """Memory words that are written of one output plane."""
        return ceil_div(self.pixels * (RAW_BITS if raw else OUT_BITS), self.config.bus_bits)


def _interleave(values: np.ndarray) -> np.ndarray:
    """Digits (..., 2n) of 8-bit codes (..., n), n a multiple of 16: 16 low digits, their 16 high ones, ..."""
    high, low = (digit.reshape(*values.shape[:-1], -1, WORD_NIBBLES) for digit in digits(values, signed=True))
    return np.stack((low, high), axis=-2).reshape(*values.shape[:-1], -1)


def _join(nibbles: np.ndarray) -> np.ndarray:
    """The inverse of `_interleave`."""
    pairs = nibbles.reshape(*nibbles.shape[:-1], -1, 2, WORD_NIBBLES)
    return (pairs[..., 0, :] + 16 * pairs[..., 1, :]).reshape(*nibbles.shape[:-1], -1)


def pack_weights(weights: np.ndarray, config: Config, wide: bool = False) -> np.ndarray:
    """uint8 (C, run) of the weights (K, C, R, S): one run [output tile][tap][lane] per input channel."""
    out_channels, channels, rows, columns = weights.shape
    tile = config.lanes // 2 if wide else config.lanes
    tiles, taps = ceil_div(out_channels, tile), rows * columns
    runs = padded(weights.reshape(out_channels, channels, taps).transpose(1, 2, 0).astype(np.int16), tiles * tile)
    runs = runs.reshape(channels, taps, tiles, tile).transpose(0, 2, 1, 3)
    return pack_nibbles(_interleave(runs) if wide else runs).reshape(channels, -1)


def unpack_weights(runs: np.ndarray, shape: LayerShape) -> np.ndarray:
    """int16 (K, C, R, R) of the bytes (C, n); the inverse of `pack_weights`, bytes behind a run are ignored."""
    nibbles = unpack_nibbles(runs[:, : shape.weight_words * shape.config.bus_bytes], signed=True)
    values = _join(nibbles) if shape.wide else nibbles
    values = values.reshape(shape.channels, shape.tiles, shape.taps, shape.tile_channels).transpose(1, 3, 0, 2)
    side = 3 if shape.taps == 9 else 1
    return values.reshape(-1, shape.channels, side, side)[: shape.out_channels]


def weight_row_bytes(out_channels: int, config: Config) -> int:
    """Bytes that Output.WEIGHTS writes for one pixel: 8-bit codes of all output channels, whole memory words."""
    return round_up(round_up(out_channels, WORD_NIBBLES), config.bus_bytes)


def pack_weight_rows(values: np.ndarray, config: Config) -> np.ndarray:
    """uint8 (..., weight_row_bytes) of 8-bit codes (..., K), as Output.WEIGHTS writes them: K weights of a pixel."""
    return pack_nibbles(_interleave(padded(values.astype(np.int16), weight_row_bytes(values.shape[-1], config))))


def pack_params(multiplier: np.ndarray, bias: np.ndarray, config: Config, wide: bool = False) -> np.ndarray:
    """Multiplier uint16 (K,) in the low halves, bias int16 (K,) in the high ones, padded to whole output tiles."""
    params = np.zeros((round_up(multiplier.size, config.lanes // 2 if wide else config.lanes), 2), "<u2")
    params[: multiplier.size, 0] = multiplier
    params[: multiplier.size, 1] = bias.astype(np.int16).view(np.uint16)
    return params.reshape(-1).view(np.uint8)


def unpack_params(memory: np.ndarray, out_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """``(multiplier uint16, bias int16)``, (K,) each, from the bytes at PARAM_BASE."""
    params = np.ascontiguousarray(memory[: out_channels * PARAM_BYTES]).view("<u2").reshape(-1, 2)
    return params[:, 0].copy(), params[:, 1].copy().view(np.int16)


def constant_bytes(channels: int, config: Config) -> int:
    """Bytes of one image's normalisation constants, whole memory words."""
    return round_up(channels * CONSTANT_BYTES, config.bus_bytes)


def pack_constants(a: np.ndarray, b: np.ndarray, config: Config) -> np.ndarray:
    """uint8 (..., constant_bytes) of the constants a (int16 range) and b (int32 range), (..., C) each."""
    entries = np.zeros((*a.shape, 2), "<i4")
    entries[..., 0] = a & 0xFFFF
    entries[..., 1] = b
    return padded(entries.reshape(*a.shape[:-1], -1).view(np.uint8), constant_bytes(a.shape[-1], config))


def unpack_constants(packed: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """``(a, b)`` int64 (..., C) from the bytes (..., n)."""
    words = np.ascontiguousarray(packed).view("<i4").astype(np.int64)
    entries = words.reshape(*packed.shape[:-1], -1, 2)[..., :channels, :]
    return ((entries[..., 0] & 0xFFFF) ^ 0x8000) - 0x8000, entries[..., 1]


def table_bytes(channels: int, config: Config) -> int:
    """Bytes of one plane's channel table: one memory word for ``dense_channels``, then the entries."""
    return config.bus_bytes + round_up(channels * TABLE_ENTRY_BYTES, config.bus_bytes)


def pack_table(order: np.ndarray, dense_channels: int, config: Config, counts: np.ndarray | None = None) -> np.ndarray:
    """One plane's channel table: the channels in running order with the non-zeros of each (by channel; None: 0)."""
    entries = np.zeros((table_bytes(len(order), config) // TABLE_ENTRY_BYTES, 2), "<u2")
    first = config.bus_bytes // TABLE_ENTRY_BYTES
    entries[0, 0] = dense_channels
    entries[first : first + len(order), 0] = order
    if counts is not None:
        entries[first : first + len(order), 1] = np.asarray(counts)[np.asarray(order)]
    return entries.reshape(-1).view(np.uint8)


def unpack_table(memory: np.ndarray, channels: int, config: Config) -> tuple[np.ndarray, int, np.ndarray]:
    """``(order, dense_channels, counts by channel)`` from the bytes of one plane's table.

    Counts of channels that are missing in a broken table are 0.
    """
    entries = np.ascontiguousarray(memory[: table_bytes(channels, config)]).view("<u2").reshape(-1, 2).astype(np.int64)
    first = config.bus_bytes // TABLE_ENTRY_BYTES
    order, listed = entries[first : first + channels].T
    counts = np.zeros(1 << 16, np.int64)
    counts[order] = listed
    return order.copy(), int(entries[0, 0]), counts[:channels]


def statistics_bytes(config: Config) -> int:
    """Bytes from one entry of the statistics to the next: at least a memory word, since words are written whole."""
    return max(STATISTICS_BITS // 8, config.bus_bytes)


def pack_statistics(total: np.ndarray, squares: np.ndarray, config: Config) -> np.ndarray:
    """The sums and sums of squares (N, K) in memory order [channel][image]."""
    entries = np.ascontiguousarray(np.stack((total.T, squares.T), axis=-1).astype("<i8")).view(np.uint8)
    return padded(entries, statistics_bytes(config)).reshape(-1)


def unpack_statistics(
    memory: np.ndarray, out_channels: int, images: int, config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """``(sum, sum of squares)`` int64 (N, K) from the bytes at STATISTICS_BASE."""
    size = statistics_bytes(config)
    entries = np.ascontiguousarray(memory[: out_channels * images * size]).view("<i8").astype(np.int64)
    pairs = entries.reshape(out_channels, images, -1)
    return pairs[..., 0].T, pairs[..., 1].T
