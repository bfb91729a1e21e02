"""The operands and results of a descriptor in a memory image, by the descriptor's own words."""

from dataclasses import dataclass

import numpy as np

from sqdm.compiler.program import Descriptor
from sqdm.golden import layout, planes
from sqdm.golden.conv import normalise
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import CODE_MAX, WORD_NIBBLES, Config, ceil_div
from sqdm.rtl.descriptor import Kind, Output, Resample

#: Range of activation codes by (signed, 8 bit).
CODE_RANGE = {
    (False, False): (0, 15),
    (True, False): (-8, 7),
    (False, True): (0, 255),
    (True, True): (-CODE_MAX, CODE_MAX),
}


@dataclass(frozen=True)
class Written:
    """Memory that a descriptor writes: blocks of ``shape`` (..., bytes) at ``base`` with ``strides``.

    ``kind`` of the contents, numpy ``dtype`` of their elements, ``values``: results without padding.
    """

    kind: str
    base: int
    strides: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    values: int

    def read(self, memory: np.ndarray) -> np.ndarray:
        """The elements (..., n)."""
        return planes.gather(memory, self.base, self.strides, self.shape).view(self.dtype)

    def write(self, memory: np.ndarray, packed: np.ndarray) -> None:
        """Replace the blocks by ``packed``, uint8, whose blocks may be longer (padding is not written)."""
        planes.place(memory, self.base, self.strides, packed[..., : self.shape[-1]].reshape(self.shape))


def conv_shape(d: Descriptor, config: Config) -> LayerShape:
    """The sizes of a CONV."""
    return LayerShape(
        config,
        d["CHANNELS"],
        d["OUT_CHANNELS"],
        d["HEIGHT"],
        d["WIDTH"],
        d["IMAGES"],
        9 if d["MODE.kernel3"] else 1,
        bool(d["MODE.two_planes"]),
        bool(d["MODE.wide_weights"]),
        d["MODE.halo_top"] + d["MODE.halo_bottom"],
    )


def map_size(d: Descriptor) -> tuple[int, int]:
    """Rows and columns of the output of a MAP."""
    height, width = d["HEIGHT"], d["WIDTH"]
    resample = Resample(d["MODE.resample"])
    if resample == Resample.DOWN:
        return height // 2, width // 2
    return (2 * height, 2 * width) if resample == Resample.UP else (height, width)


def written(d: Descriptor, config: Config) -> list[Written]:
    """Everything that a descriptor may write: its outputs, then statistics, then tables (only as PERIOD allows)."""
    if d.kind not in (Kind.CONV, Kind.MAP):
        return []
    images = d["IMAGES"]
    if d.kind == Kind.CONV:
        shape = conv_shape(d, config)
        channels, pixels = shape.out_channels, shape.pixels
    else:
        height, width = map_size(d)
        channels, pixels = d["CHANNELS"], height * width
    found = [_output(d, config, channels, pixels)]
    if d["MODE.statistics"]:
        size = channels * images * layout.statistics_bytes(config)
        found.append(Written("statistics", d["STATISTICS_BASE"], (), (size,), "<i8", 2 * channels * images))
    if d["MODE.update"]:
        size = shape.table_words * config.bus_bytes
        found.append(Written("tables", d["TABLE_BASE"], (), (size,), "<u2", shape.planes * (2 * shape.channels + 1)))
    return found


def _output(d: Descriptor, config: Config, channels: int, pixels: int) -> Written:
    """The planes (or rows of weights) that a descriptor writes."""
    images = d["IMAGES"]
    values = images * channels * pixels
    strides = (d["OUT_IMAGE_STRIDE"], d["OUT_STRIDE"])

    def stacked(kind: str, used: int, dtype: str, count: int = channels) -> Written:
        size = planes.round_up(used, config.bus_bytes)
        return Written(kind, d["OUT_BASE"], strides, (images, count, size), dtype, values)

    if d["MODE.codes"]:
        return stacked("codes", planes.code_bytes(pixels, bool(d["MODE.two_planes"])), "u1")
    output = Output(d["MODE.output"])
    if output == Output.WEIGHTS:
        return stacked("weights", layout.weight_row_bytes(channels, config), "u1", pixels)
    return stacked("raw", 4 * pixels, "<i4") if output == Output.RAW else stacked("int16", 2 * pixels, "<i2")


def read_int16(d: Descriptor, memory: np.ndarray, name: str, channels: int, pixels: int) -> np.ndarray:
    """int16 (N, channels, pixels) of the planes ``name``: ACT or RESIDUAL."""
    strides = (d[f"{name}_IMAGE_STRIDE"], d[f"{name}_STRIDE"])
    stacked = planes.gather(memory, d[f"{name}_BASE"], strides, (d["IMAGES"], channels, 2 * pixels))
    return planes.unpack_int16(stacked, pixels)


def read_constants(d: Descriptor, memory: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """``(a, b)``, (N, C) each; a MAP uses those of image 0 for all."""
    size = layout.constant_bytes(d["CHANNELS"], config)
    stride = d["CONSTANT_STRIDE"] if d.kind == Kind.CONV else 0
    packed = planes.gather(memory, d["CONSTANT_BASE"], (stride,), (d["IMAGES"], size))
    return layout.unpack_constants(packed, d["CHANNELS"])


def read_codes(d: Descriptor, memory: np.ndarray, config: Config, pixels: int) -> np.ndarray:
    """The codes that a descriptor works on: int16 (N, C, 16 * chunks), whole groups of 16 pixels.

    INT16 planes are normalised; their codes past ``pixels`` are 0.
    """
    channels, signed, two = d["CHANNELS"], bool(d["MODE.signed_acts"]), bool(d["MODE.two_planes"])
    whole = ceil_div(pixels, WORD_NIBBLES) * WORD_NIBBLES
    if d["MODE.int16_acts"] or d["MODE.codes"]:
        values = read_int16(d, memory, "ACT", channels, pixels)
        low, high = CODE_RANGE[signed, two]
        a, b = read_constants(d, memory, config)
        codes = normalise(values[..., None], a, b, d["SHIFTS.normalise"], low, high)[..., 0]
        return planes.padded(codes.astype(np.int16), whole)
    strides = (d["ACT_IMAGE_STRIDE"], d["ACT_STRIDE"])
    shape = (d["IMAGES"], channels, planes.code_bytes(pixels, two))
    return planes.unpack_codes(planes.gather(memory, d["ACT_BASE"], strides, shape), whole, signed, two)


def read_weights(d: Descriptor, memory: np.ndarray, shape: LayerShape) -> list[np.ndarray]:
    """The weights (K, C, R, R) of each image, or one set for all."""
    run = shape.weight_words * shape.config.bus_bytes
    count = shape.images if d["MODE.image_weights"] else 1
    strides = (d["WEIGHT_IMAGE_STRIDE"], d["WEIGHT_STRIDE"])
    stacks = planes.gather(memory, d["WEIGHT_BASE"], strides, (count, shape.channels, run))
    return [layout.unpack_weights(runs, shape) for runs in stacks]


def read_tables(d: Descriptor, memory: np.ndarray, shape: LayerShape) -> list[tuple[np.ndarray, int, np.ndarray]]:
    """``(order, dense_channels, counts by channel)`` of each plane's channel table, the plane LOW first."""
    size = layout.table_bytes(shape.channels, shape.config)
    tables = planes.gather(memory, d["TABLE_BASE"], (size,), (shape.planes, size))
    return [layout.unpack_table(table, shape.channels, shape.config) for table in tables[::-1]]
