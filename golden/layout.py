"""Memory images of a layer's operands and results, as in docs/architecture.md, "Memory layout (channel-last)".

Everything is a flat uint8 array, little endian, whole memory words long; addresses inside are byte offsets. Vectorised,
because every layer of a sampling run is packed anew.
"""

from dataclasses import dataclass

import numpy as np

from sqdm.rtl.config import TABLE_ENTRY_BITS, WORD_BITS, WORD_NIBBLES, Config, ceil_div

PARAM_BYTES = 4
TABLE_ENTRY_BYTES = TABLE_ENTRY_BITS // 8


@dataclass(frozen=True)
class LayerShape:
    """Sizes of one layer on one configuration, in the specification's names.

    ``channels`` C, ``out_channels`` K, ``height`` H, ``width`` W, ``images`` N, ``taps`` 9 or 1.
    """

    config: Config
    channels: int
    out_channels: int
    height: int
    width: int
    images: int
    taps: int

    @classmethod
    def of(cls, acts: np.ndarray, weights: np.ndarray, config: Config) -> "LayerShape":
        """The shape of a convolution of ``acts`` (N, C, H, W) with ``weights`` (K, C, R, S)."""
        images, channels, height, width = acts.shape
        return cls(config, channels, weights.shape[0], height, width, images, weights.shape[2] * weights.shape[3])

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def tiles(self) -> int:
        """Output tiles."""
        return ceil_div(self.out_channels, self.config.lanes)

    @property
    def plane_words(self) -> int:
        """Activation words of one channel and image."""
        return ceil_div(self.pixels, WORD_NIBBLES)

    @property
    def plane_rows(self) -> int:
        """Activation buffer rows between two groups of 16 channels."""
        return WORD_NIBBLES * self.plane_words

    @property
    def act_words(self) -> int:
        """Activation words of one channel, all images."""
        return self.images * self.plane_words

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
        return self.tiles * self.config.lanes * PARAM_BYTES // self.config.bus_bytes

    def out_words(self, raw: bool) -> int:
        """Memory words of one output channel and image."""
        return ceil_div(self.pixels * (32 if raw else 16), self.config.bus_bits)

    @property
    def act_bytes(self) -> int:
        """Bytes of the activations, whole memory words."""
        return ceil_div(self.channels * self.act_words, self.config.word_parts) * self.config.bus_bytes

    @property
    def weight_bytes(self) -> int:
        return self.channels * self.weight_words * self.config.bus_bytes

    @property
    def param_bytes(self) -> int:
        return self.param_words * self.config.bus_bytes

    def out_bytes(self, raw: bool) -> int:
        return self.out_channels * self.images * self.out_words(raw) * self.config.bus_bytes

    @property
    def table_bytes(self) -> int:
        return table_bytes(self.channels, self.config)

    @property
    def table_words(self) -> int:
        """Memory words of the channel table."""
        return self.table_bytes // self.config.bus_bytes


def table_bytes(channels: int, config: Config) -> int:
    """Bytes of a channel table: one memory word for ``dense_channels``, then the entries."""
    return (1 + ceil_div(channels * TABLE_ENTRY_BYTES, config.bus_bytes)) * config.bus_bytes


def pad(image: np.ndarray, multiple: int) -> np.ndarray:
    """``image`` with zeros appended up to a multiple of ``multiple`` bytes."""
    short = -image.size % multiple
    return np.concatenate((image, np.zeros(short, np.uint8))) if short else image


def pack_nibbles(values: np.ndarray) -> np.ndarray:
    """Flat uint8 of an even number of 4-bit codes, two's complement where negative; element 0 is the low nibble."""
    codes = values.reshape(-1).astype(np.uint8) & 15
    return codes[0::2] | codes[1::2] << 4


def pack_activations(acts: np.ndarray, config: Config) -> np.ndarray:
    """The activations (N, C, H, W), 0..15 or -8..7, as channel planes of 16-nibble words."""
    images, channels, height, width = acts.shape
    pixels = height * width
    planes = np.zeros((channels, images, ceil_div(pixels, WORD_NIBBLES) * WORD_NIBBLES), np.uint8)
    planes[:, :, :pixels] = acts.reshape(images, channels, pixels).transpose(1, 0, 2).astype(np.uint8)
    return pad(pack_nibbles(planes), config.bus_bytes)


def pack_weights(weights: np.ndarray, config: Config) -> np.ndarray:
    """The weights (K, C, R, S), -8..7, as one run per input channel: [output tile][tap][lane]."""
    out_channels, channels, rows, columns = weights.shape
    tiles = ceil_div(out_channels, config.lanes)
    padded = np.zeros((tiles * config.lanes, channels, rows * columns), np.uint8)
    padded[:out_channels] = weights.reshape(out_channels, channels, rows * columns).astype(np.uint8)
    runs = padded.reshape(tiles, config.lanes, channels, rows * columns).transpose(2, 0, 3, 1)
    return pack_nibbles(np.ascontiguousarray(runs))


def pack_params(multiplier: np.ndarray, bias: np.ndarray, config: Config) -> np.ndarray:
    """Multiplier uint16 (K,) in the low halves, bias int16 (K,) in the high ones, padded to whole output tiles."""
    tiles = ceil_div(multiplier.size, config.lanes)
    params = np.zeros((tiles * config.lanes, 2), "<u2")
    params[: multiplier.size, 0] = multiplier
    params[: multiplier.size, 1] = bias.astype(np.int16).view(np.uint16)
    return params.reshape(-1).view(np.uint8)


def pack_output(outputs: np.ndarray, config: Config) -> np.ndarray:
    """The outputs (N, K, H, W), int16 or (raw) int32, as channel planes; the inverse of `unpack_output`."""
    images, out_channels, height, width = outputs.shape
    size = outputs.dtype.itemsize
    plane = ceil_div(height * width * size, config.bus_bytes) * config.bus_bytes // size
    planes = np.zeros((out_channels, images, plane), f"<i{size}")
    planes[:, :, : height * width] = outputs.reshape(images, out_channels, -1).transpose(1, 0, 2)
    return planes.reshape(-1).view(np.uint8)


def unpack_output(memory: np.ndarray, shape: LayerShape, raw: bool) -> np.ndarray:
    """int16 (N, K, H, W), or int32 when ``raw``, from the bytes at OUT_BASE (extra bytes behind are ignored)."""
    size = 4 if raw else 2
    region = np.ascontiguousarray(memory[: shape.out_bytes(raw)]).view(f"<i{size}")
    planes = region.reshape(shape.out_channels, shape.images, -1)[:, :, : shape.pixels]
    return np.ascontiguousarray(planes.transpose(1, 0, 2)).reshape(
        shape.images, shape.out_channels, shape.height, shape.width
    )


def pack_table(order: np.ndarray, dense_channels: int, config: Config) -> np.ndarray:
    """The channel table: `dense_channels` in memory word 0, then the channels in running order, 16 bit each."""
    entries = np.zeros((table_bytes(len(order), config) // TABLE_ENTRY_BYTES,), "<u2")
    entries[0] = dense_channels
    first = config.bus_bytes // TABLE_ENTRY_BYTES
    entries[first : first + len(order)] = order
    return entries.view(np.uint8)


def unpack_table(memory: np.ndarray, channels: int, config: Config) -> tuple[np.ndarray, int]:
    """``(order, dense_channels)`` from the bytes at TABLE_BASE (extra bytes behind are ignored)."""
    entries = np.ascontiguousarray(memory[: table_bytes(channels, config)]).view("<u2")
    first = config.bus_bytes // TABLE_ENTRY_BYTES
    return entries[first : first + channels].astype(np.int64), int(entries[0])


def unpack_activations(memory: np.ndarray, shape: LayerShape) -> np.ndarray:
    """The codes 0..15, uint8 (N, C, H, W), from the bytes at ACT_BASE; the inverse of `pack_activations`."""
    packed = memory[: shape.channels * shape.act_words * WORD_BITS // 8]
    codes = np.stack((packed & 15, packed >> 4), axis=-1).reshape(shape.channels, shape.images, shape.plane_rows)
    planes = codes[:, :, : shape.pixels].transpose(1, 0, 2)
    return np.ascontiguousarray(planes).reshape(shape.images, shape.channels, shape.height, shape.width)
