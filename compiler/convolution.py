"""One convolution of any size as a program: strips of rows, blocks of output channels and of images where needed."""

from dataclasses import dataclass, replace

import numpy as np

from sqdm.compiler import operands
from sqdm.compiler.buffers import choose, first_split, images_at_once, strips
from sqdm.compiler.conv_descriptor import conv_values
from sqdm.compiler.operands import Convolution, Part
from sqdm.compiler.prefetch import allow_prefetch
from sqdm.compiler.program import Builder, Program, Region
from sqdm.errors import UserError
from sqdm.golden import layout, planes
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind, Output


@dataclass
class ConvolutionProgram(Program):
    """The program of a `Convolution`; reads its results from a memory image on which it ran."""

    convolution: Convolution | None = None
    parts: list[Part] | None = None

    def outputs(self, memory: np.ndarray) -> np.ndarray:
        """int16 or (RAW) int32 (N, K, H, W); with Output.WEIGHTS the codes -119..119."""
        images, _, height, width = self.convolution.acts.shape
        kind = self.convolution.written
        shape = (images, self.convolution.weights.shape[-4], height, width)
        result = np.zeros(shape, np.int32 if kind == Output.RAW else np.int16)
        for part in self.parts:
            rows = slice(part.strip.first, part.strip.first + part.strip.height)
            result[part.images, :, rows] = read_output(memory, part.regions["out"], part.shape, kind)
        return result

    def statistics(self, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum and sum of squares of each output channel, int64 (N, K), added up over the strips."""
        result = np.zeros((2, self.convolution.acts.shape[0], self.convolution.weights.shape[-4]), np.int64)
        for part in self.parts:
            packed = memory[part.regions["statistics"].slice]
            result[:, part.images] += layout.unpack_statistics(
                packed, part.shape.out_channels, part.shape.images, self.config
            )
        return result[0], result[1]

    def tables(self, memory: np.ndarray) -> list[np.ndarray]:
        """The bytes of each part's channel tables."""
        return [memory[part.regions["tables"].slice].copy() for part in self.parts]


def read_output(memory: np.ndarray, region: Region, shape: LayerShape, kind: Output) -> np.ndarray:
    """The (N, K, H, W) outputs of a region that `compile_convolution` made."""
    size = (shape.images, shape.out_channels, shape.height, shape.width)
    if kind == Output.WEIGHTS:
        row = layout.weight_row_bytes(shape.out_channels, shape.config)
        packed = planes.gather(memory, region.address, (row * shape.pixels, row), (shape.images, shape.pixels, row))
        pairs = planes.unpack_nibbles(packed, signed=True).reshape(shape.images, shape.pixels, -1, 2, 16)
        codes = (pairs[..., 0, :] + 16 * pairs[..., 1, :]).reshape(shape.images, shape.pixels, -1)
        return codes[..., : shape.out_channels].transpose(0, 2, 1).reshape(size)
    pack = planes.raw_bytes if kind == Output.RAW else planes.int16_bytes
    step = pack(shape.pixels, shape.config)
    stacked = planes.gather(
        memory, region.address, (step, step * shape.images), (shape.images, shape.out_channels, step)
    )
    unpack = planes.unpack_raw if kind == Output.RAW else planes.unpack_int16
    return unpack(stacked, shape.pixels).reshape(size)


def check_size(conv: Convolution, config: Config) -> None:
    """Raise `UserError` naming the limit when no cutting can make the convolution fit ``config``."""
    images, channels, _, width = conv.acts.shape
    taps = conv.weights.shape[-1] ** 2
    for label, value, limit in (
        ("channels", channels, config.max_channels),
        ("width", width, config.max_size),
    ):
        if not 1 <= value <= limit:
            raise UserError(f"{label} must be 1..{limit} on {config.name}, not {value}")
    if conv.act_bits == 8 and channels > config.wide_channels(taps):
        raise UserError(
            f"channels must be 1..{config.wide_channels(taps)} for 8-bit activations and {taps} taps on {config.name} "
            f"(acc_bits), not {channels}"
        )
    if not images:
        raise UserError("images must be at least 1, not 0")


def compile_convolution(conv: Convolution, config: Config) -> ConvolutionProgram:
    """The program of ``conv`` on ``config``; UserError when it cannot fit."""
    check_size(conv, config)
    images, channels, height, width = conv.acts.shape
    out_channels, taps = conv.weights.shape[-4], conv.weights.shape[-1] ** 2
    whole = LayerShape(config, channels, out_channels, height, width, min(images, config.max_images), taps,
                       conv.act_bits == 8, conv.weight_bits == 8)  # fmt: skip
    cuts = strips(whole)
    step = images_at_once(max(strip.height + strip.halo for strip in cuts), width, config)
    builder = Builder(config)
    shared = operands.shared_regions(builder, conv, whole)
    parts = []
    for first in range(0, images, step):
        for strip in cuts:
            count = min(step, images - first)
            shape = replace(whole, height=strip.height, halo=strip.halo, images=count)
            part = Part(slice(first, first + count), strip, shape, {})
            parts.append(_add_part(builder, conv, part, shared, len(parts)))
    builder.descriptors = allow_prefetch(builder.descriptors, config)
    program = builder.finish()
    return ConvolutionProgram(**vars(program), convolution=conv, parts=parts)


def _add_part(builder: Builder, conv: Convolution, part: Part, shared: dict[str, Region], number: int) -> Part:
    """Regions and descriptors of a part: one for each block of output channels."""
    shape, config = part.shape, builder.config
    label = f".{number}"
    regions = shared | operands.part_regions(builder, conv, part, label)
    buffers = choose(shape)
    if conv.tables is None:
        dense = first_split(shape, buffers.slot_channels)
        content = np.tile(layout.pack_table(np.arange(shape.channels), dense, config), shape.planes)
    else:
        content = conv.tables[number]
    regions["tables"] = builder.store(f"tables{label}", content, "tables", channels=shape.channels, planes=shape.planes)
    step = config.max_out_channels // shape.tile_channels * shape.tile_channels
    for first in range(0, shape.out_channels, step):
        block = replace(shape, out_channels=min(step, shape.out_channels - first))
        values = conv_values(
            block,
            buffers,
            acts=operands.acts_place(conv, part, regions["acts"]),
            weights=operands.weights_place(conv, part, regions["weights"], first // shape.tile_channels),
            out=operands.out_place(conv, shape, regions["out"], first),
            table=regions["tables"].address,
            params=regions["params"].address + first * layout.PARAM_BYTES,
            output=conv.written,
            requantise_shift=0 if conv.requant is None else conv.requant.shift,
            constants=operands.constants_operand(conv, shape, regions),
            residual=operands.residual_operand(conv, shape, regions, first),
            statistics=operands.statistics_operand(conv, shape, regions, first),
            signed_acts=conv.signed,
            halo_top=part.strip.top,
            halo_bottom=part.strip.bottom,
            image_weights=conv.image_weights,
            scan=conv.scan and not (first and conv.update),  # the block before has stored the same counts
            update=conv.update,
        )
        builder.add(f"{conv.name}{label}", Kind.CONV, values)
    return replace(part, regions=regions)
