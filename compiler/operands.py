"""The operands of a convolution in memory: regions, and the places that descriptors name."""

from dataclasses import dataclass

import numpy as np

from sqdm.compiler.buffers import Strip
from sqdm.compiler.conv_descriptor import Place
from sqdm.compiler.program import Builder, Region
from sqdm.golden import layout, planes
from sqdm.golden.layout import LayerShape
from sqdm.golden.requant import Requant
from sqdm.rtl.descriptor import Output


@dataclass(frozen=True)
class Convolution:
    """A 1x1 or 3x3 convolution, stride 1, zero padding, with everything that a CONV can do.

    ``acts`` codes (N, C, H, W), or INT16 with ``constants`` (a, b), (N, C) each, and ``normalise_shift``; ``weights``
    (K, C, R, R), or (N, K, C, R, R): each image has its own. ``signed`` activation codes of ``act_bits``, weights of
    ``weight_bits``, 4 or 8 each. ``requant``: None gives raw sums (Output.RAW). ``residual`` int16 (N, K, H, W) times
    ``residual_multiplier`` >> ``residual_shift`` is added to INT16 outputs; ``statistics`` are those of the outputs.
    ``scan`` counts and sorts the channels before the layer runs, ``update`` stores the tables of its own counts.
    ``tables``: bytes of the channel tables of each part, from `ConvolutionProgram.tables`; None: a first guess.
    """

    acts: np.ndarray
    weights: np.ndarray
    requant: Requant | None = None
    signed: bool = False
    act_bits: int = 4
    weight_bits: int = 4
    output: Output = Output.INT16
    constants: tuple[np.ndarray, np.ndarray] | None = None
    normalise_shift: int = 0
    residual: np.ndarray | None = None
    residual_multiplier: int = 0
    residual_shift: int = 0
    statistics: bool = False
    scan: bool = True
    update: bool = False
    tables: list[np.ndarray] | None = None
    name: str = "layer"

    @property
    def image_weights(self) -> bool:
        return self.weights.ndim == 5

    @property
    def written(self) -> Output:
        """What comes out: RAW without ``requant``."""
        return Output.RAW if self.requant is None else Output(self.output)


@dataclass(frozen=True)
class Part:
    """A strip of some images, all output channels: its ``shape`` and regions by role."""

    images: slice
    strip: Strip
    shape: LayerShape
    regions: dict[str, Region]


def shared_regions(builder: Builder, conv: Convolution, shape: LayerShape) -> dict[str, Region]:
    """Weights and parameters."""
    config, wide = shape.config, shape.wide
    stacks = conv.weights if conv.image_weights else conv.weights[None]
    packed = np.stack([layout.pack_weights(weights, config, wide) for weights in stacks])
    regions = {"weights": builder.store("weights", packed, "weights", run=packed.shape[-1])}
    if conv.requant is None:
        params = np.zeros(shape.param_words * config.bus_bytes, np.uint8)
    else:
        params = layout.pack_params(conv.requant.multiplier, conv.requant.bias, config, wide)
    regions["params"] = builder.store("params", params, "params", channels=shape.out_channels)
    return regions


def part_regions(builder: Builder, conv: Convolution, part: Part, label: str) -> dict[str, Region]:
    """Activations, constants, residual, tables, outputs and statistics of a part."""
    shape, config = part.shape, builder.config
    regions = {}

    def store(role: str, content: np.ndarray, kind: str) -> None:
        regions[role] = builder.store(f"{role}{label}", content, kind, images=shape.images)

    acts = conv.acts[part.images, :, part.strip.input_rows].reshape(shape.images, shape.channels, -1).swapaxes(0, 1)
    if conv.constants is None:
        store("acts", planes.pack_codes(acts, conv.signed, shape.two_planes), "codes")
    else:
        store("acts", planes.pack_int16(acts, config), "int16")
        a, b = (values[part.images] for values in conv.constants)
        store("constants", layout.pack_constants(a, b, config), "constants")
    if conv.residual is not None:
        rows = slice(part.strip.first, part.strip.first + shape.height)
        residual = conv.residual[part.images, :, rows].reshape(shape.images, shape.out_channels, -1).swapaxes(0, 1)
        store("residual", planes.pack_int16(residual, config), "int16")
    step = {
        Output.RAW: planes.raw_bytes(shape.pixels, config) * shape.out_channels,
        Output.INT16: planes.int16_bytes(shape.pixels, config) * shape.out_channels,
        Output.WEIGHTS: layout.weight_row_bytes(shape.out_channels, config) * shape.pixels,
    }[conv.written]
    regions["out"] = builder.allocate(
        f"out{label}", step * shape.images, conv.written.name.lower(), images=shape.images
    )
    if conv.statistics:
        size = shape.out_channels * shape.images * layout.statistics_bytes(shape.config)
        regions["statistics"] = builder.allocate(f"statistics{label}", size, "statistics", images=shape.images)
    return regions


def acts_place(conv: Convolution, part: Part, region: Region) -> Place:
    shape = part.shape
    if conv.constants is None:
        plane = planes.code_bytes(shape.in_pixels, shape.two_planes)
    else:
        plane = planes.int16_bytes(shape.in_pixels, shape.config)
    return Place(region.address, plane * shape.images, plane)


def weights_place(conv: Convolution, part: Part, region: Region, tile: int) -> Place:
    run = region.shape["run"]
    images = run * part.shape.channels if conv.image_weights else 0
    tile_bytes = part.shape.tile_words * part.shape.config.bus_bytes
    return Place(region.address + tile * tile_bytes + part.images.start * images, run, images)


def out_place(conv: Convolution, shape: LayerShape, region: Region, first: int) -> Place:
    if conv.written == Output.WEIGHTS:
        row = layout.weight_row_bytes(shape.out_channels, shape.config)
        return Place(region.address + first, row, row * shape.pixels)
    pack = planes.raw_bytes if conv.written == Output.RAW else planes.int16_bytes
    plane = pack(shape.pixels, shape.config)
    return Place(region.address, plane * shape.images, plane).offset(first)


def constants_operand(conv: Convolution, shape: LayerShape, regions: dict[str, Region]) -> tuple[int, int, int] | None:
    if conv.constants is None:
        return None
    stride = layout.constant_bytes(shape.channels, shape.config)
    return regions["constants"].address, stride, conv.normalise_shift


def residual_operand(conv: Convolution, shape: LayerShape, regions: dict[str, Region], first: int):
    if conv.residual is None:
        return None
    plane = planes.int16_bytes(shape.pixels, shape.config)
    place = Place(regions["residual"].address, plane * shape.images, plane).offset(first)
    return place, conv.residual_multiplier, conv.residual_shift


def statistics_operand(conv: Convolution, shape: LayerShape, regions: dict[str, Region], first: int) -> int | None:
    if not conv.statistics:
        return None
    return regions["statistics"].address + first * shape.images * layout.statistics_bytes(shape.config)
