"""Which bytes of memory a descriptor reads and writes, operand by operand."""

import numpy as np

from sqdm.compiler.access import conv_shape, written
from sqdm.compiler.program import Descriptor
from sqdm.golden import layout, planes
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind, Output

Span = tuple[int, int]  #: first byte and byte behind the last

#: The operand that a kind of `access.Written` belongs to; outputs of all other kinds belong to OUT.
OPERANDS = {"statistics": "STATISTICS", "tables": "TABLE"}


def spans_read(d: Descriptor, config: Config) -> dict[str, Span]:
    """What a descriptor reads, by the name of its operand (NAME_BASE), with gaps and the padding that is fetched."""
    if d.kind == Kind.CONV:
        return _conv(d, config)
    return _map(d, config) if d.kind == Kind.MAP else {}


def spans_written(d: Descriptor, config: Config) -> dict[str, Span]:
    """What a descriptor may write, with gaps."""
    found = {}
    for part in written(d, config):
        last = sum((count - 1) * stride for count, stride in zip(part.shape, part.strides, strict=False))
        found[OPERANDS.get(part.kind, "OUT")] = (part.base, part.base + last + part.shape[-1])
    return found


def _span(d: Descriptor, operand: str, size: int, *counts: tuple[int, str]) -> Span:
    """Blocks of ``size`` bytes; ``counts``: how many of them with which of the operand's strides."""
    last = sum((count - 1) * d[f"{operand}_{stride}"] for count, stride in counts)
    return d[f"{operand}_BASE"], d[f"{operand}_BASE"] + last + size


def _planes(d: Descriptor, operand: str, channels: int, size: int) -> Span:
    return _span(d, operand, size, (channels, "STRIDE"), (d["IMAGES"], "IMAGE_STRIDE"))


def _conv(d: Descriptor, config: Config) -> dict[str, Span]:
    shape = conv_shape(d, config)
    images = d["IMAGES"] if d["MODE.image_weights"] else 1
    found = {
        "TABLE": _span(d, "TABLE", shape.table_words * config.bus_bytes),
        "WEIGHT": _span(
            d, "WEIGHT", shape.weight_words * config.bus_bytes, (shape.channels, "STRIDE"), (images, "IMAGE_STRIDE")
        ),
    }
    if d["MODE.int16_acts"]:
        found["ACT"] = _planes(d, "ACT", shape.channels, planes.int16_bytes(shape.in_pixels, config))
        size = layout.constant_bytes(shape.channels, config)
        found["CONSTANT"] = _span(d, "CONSTANT", size, (d["IMAGES"], "STRIDE"))
    else:
        size = planes.code_bytes(shape.in_pixels, shape.two_planes)
        found["ACT"] = _planes(d, "ACT", shape.channels, size)
    if d["MODE.output"] != Output.RAW:
        found["PARAM"] = _span(d, "PARAM", shape.tiles * shape.tile_channels * layout.PARAM_BYTES)
    if d["MODE.residual"]:
        size = planes.round_up(2 * shape.pixels, config.bus_bytes)
        found["RESIDUAL"] = _planes(d, "RESIDUAL", shape.out_channels, size)
    return found


def _map(d: Descriptor, config: Config) -> dict[str, Span]:
    size = planes.int16_bytes(d["HEIGHT"] * d["WIDTH"], config)
    found = {"ACT": _planes(d, "ACT", d["CHANNELS"], size)}
    if d["MODE.codes"]:
        found["CONSTANT"] = _span(d, "CONSTANT", layout.constant_bytes(d["CHANNELS"], config))
    return found


def bytes_written(d: Descriptor, config: Config, memory_bytes: int) -> np.ndarray:
    """Whether a descriptor may write each byte of a memory: bool (memory_bytes,)."""
    found = np.zeros(memory_bytes, np.uint8)
    for part in written(d, config):
        planes.place(found, part.base, part.strides, np.ones(part.shape, np.uint8))
    return found.astype(bool)
