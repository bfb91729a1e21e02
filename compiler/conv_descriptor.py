"""The values of a CONV descriptor from the layer's shape and the places of its operands."""

from dataclasses import dataclass

from sqdm.compiler.buffers import Buffers
from sqdm.golden.detector import count_shift
from sqdm.golden.layout import LayerShape
from sqdm.rtl.descriptor import Output

SPARSE_SHARE = 0.30  #: policy threshold: a channel with more zeros than this share is sparse (paper)


@dataclass(frozen=True)
class Place:
    """Where planes or weights lie, bytes; ``stride`` from channel to channel, ``image_stride`` from image to image."""

    address: int
    stride: int
    image_stride: int = 0

    def offset(self, channels: int = 0, images: int = 0) -> "Place":
        """The same planes from a later channel and image on."""
        moved = self.address + channels * self.stride + images * self.image_stride
        return Place(moved, self.stride, self.image_stride)

    def values(self, name: str) -> dict[str, int]:
        """The words of a descriptor: ``name``_BASE and its strides."""
        return {
            f"{name}_BASE": self.address,
            f"{name}_STRIDE": self.stride,
            f"{name}_IMAGE_STRIDE": self.image_stride,
        }


def count_values(pixels: int, sparse_share: float = SPARSE_SHARE) -> dict[str, int]:
    """What the sparsity detector needs for a plane with ``pixels`` counted pixels of all images."""
    return {
        "SPARSE_COUNT": int((1 - sparse_share) * pixels),
        "SHIFTS.count": count_shift(pixels),
    }


def shape_values(shape: LayerShape, buffers: Buffers, sparse_share: float = SPARSE_SHARE) -> dict[str, int]:
    """Sizes, use of the buffers, and from which share of zeros on a channel is sparse."""
    return {
        "MODE.kernel3": int(shape.taps == 9),
        "MODE.two_planes": int(shape.two_planes),
        "MODE.wide_weights": int(shape.wide),
        "CHANNELS": shape.channels,
        "OUT_CHANNELS": shape.out_channels,
        "HEIGHT": shape.height,
        "WIDTH": shape.width,
        "IMAGES": shape.images,
        "BUFFERS.slot_channels": buffers.slot_channels,
        "BUFFERS.images": buffers.images,
        **count_values(shape.images * shape.in_pixels, sparse_share),
    }


def conv_values(
    shape: LayerShape,
    buffers: Buffers,
    acts: Place,
    weights: Place,
    out: Place,
    table: int,
    params: int | None = None,
    output: Output = Output.INT16,
    requantise_shift: int = 0,
    constants: tuple[int, int, int] | None = None,
    residual: tuple[Place, int, int] | None = None,
    statistics: int | None = None,
    sparse_share: float = SPARSE_SHARE,
    **flags: bool,
) -> dict[str, int]:
    """All values of a CONV.

    ``table`` and ``params`` are addresses; ``constants``: (address, stride from image to image, shift) makes the
    activations INT16 planes; ``residual``: (place, multiplier, shift); ``statistics`` an address; ``sparse_share``:
    share of zeros from which on policy threshold calls a channel sparse. ``flags``: other fields of MODE (signed_acts,
    halo_top, halo_bottom, image_weights, scan, update).
    """
    values = {
        **shape_values(shape, buffers, sparse_share),
        **{f"MODE.{name}": int(flag) for name, flag in flags.items()},
        "MODE.output": int(output),
        "SHIFTS.requantise": requantise_shift,
        "TABLE_BASE": table,
        **acts.values("ACT"),
        **weights.values("WEIGHT"),
        **out.values("OUT"),
    }
    if params is not None:
        values["PARAM_BASE"] = params
    if constants is not None:
        address, stride, shift = constants
        values |= {"MODE.int16_acts": 1, "SHIFTS.normalise": shift}
        values |= {"CONSTANT_BASE": address, "CONSTANT_STRIDE": stride}
    if residual is not None:
        place, multiplier, shift = residual
        values |= {"MODE.residual": 1, "RESIDUAL_MULTIPLIER": multiplier, "SHIFTS.residual": shift}
        values |= place.values("RESIDUAL")
    if statistics is not None:
        values |= {"MODE.statistics": 1, "STATISTICS_BASE": statistics}
    return values
