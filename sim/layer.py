"""One convolution as the accelerator sees it: what fits, where everything lies in memory, which registers say so."""

from dataclasses import dataclass

import numpy as np

from sqdm.errors import UserError
from sqdm.golden import layout
from sqdm.golden.engine import Requant
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import BUCKETS, Config, ceil_div
from sqdm.rtl.registers import Policy, encode

SPARSE_SHARE = 0.30  #: policy threshold: a channel with more zeros than this share is sparse (paper)


@dataclass(frozen=True)
class LayerRun:
    """One layer to run.

    ``acts`` int8 (N, C, H, W); ``signed`` activations are -8..7 instead of 0..15; ``weights`` int8 (K, C, R, R);
    ``requant`` the output stage or None for raw psums; ``policy`` labels the channels whenever they are sorted. With
    ``scan`` the channels are counted and sorted first; otherwise ``table`` (bytes of a channel table) says the order,
    None being ascending and all dense. ``update`` sorts by the counts of this run and stores the table for the next.
    """

    acts: np.ndarray
    signed: bool
    weights: np.ndarray
    requant: Requant | None
    policy: Policy = Policy.BALANCED
    scan: bool = True
    update: bool = False
    table: np.ndarray | None = None


@dataclass(frozen=True)
class LayerResult:
    """``outputs`` int16 (N, K, H, W) or int32 psums; ``counters`` by register name; ``table`` as left in memory."""

    outputs: np.ndarray
    counters: dict[str, int]
    table: np.ndarray


def images_at_once(height: int, width: int, config: Config) -> int:
    """How many images of that size can share a run: max_images, or what the detector's pixel count (16 bit) allows."""
    return min(config.max_images, ((1 << 16) - 1) // (height * width))


def check_size(channels: int, out_channels: int, height: int, width: int, config: Config) -> None:
    """Raise `UserError` naming the limit when a layer cannot run on `config`, whatever its data.

    All channels may fall to one array, so its slots must hold them all.
    """
    for label, value, limit in (
        ("channels", channels, "max_channels"),
        ("output channels", out_channels, "max_out_channels"),
        ("height", height, "max_size"),
        ("width", width, "max_size"),
    ):
        if not 1 <= value <= getattr(config, limit):
            raise UserError(f"{label} must be 1..{getattr(config, limit)} ({limit} of {config.name}), not {value}")
    rows = config.act_rows_needed(channels, height, width)
    if rows > config.act_rows:
        raise UserError(
            f"height x width must fit the activation buffers: {height} x {width} with {channels} channels needs "
            f"{rows} rows of a slot, and {config.name} has {config.act_rows} (act_rows)"
        )


def cycle_limit(shape: LayerShape, raw: bool, latency: int) -> int:
    """Cycles after which a layer counts as hung: eight times what one slot-serial array and the memory could need."""
    config = shape.config
    compute = shape.tiles * shape.images * shape.pixels * (shape.taps * ceil_div(shape.channels, config.slots) + 16)
    loads = shape.channels * (shape.weight_words + (shape.tiles + 1) * shape.act_words + 64)
    stores = shape.out_channels * shape.images * (shape.out_words(raw) + shape.pixels)
    return 8 * (compute + loads + shape.param_words + stores) + 1000 * latency + 20_000


class Plan:
    """A `LayerRun` laid out for `config`: ``regions`` (address, bytes) to fill, ``registers``, ``size`` of the memory.

    Raises `UserError` when the layer does not fit.
    """

    def __init__(self, run: LayerRun, config: Config):
        images, channels, height, width = run.acts.shape
        check_size(channels, run.weights.shape[0], height, width, config)
        if images > (most := images_at_once(height, width, config)):
            raise UserError(f"images must be 1..{most} for {height} x {width} pixels on {config.name}, not {images}")
        self.shape = LayerShape.of(run.acts, run.weights, config)
        self.raw = run.requant is None
        pixels = images * height * width
        table = run.table if run.table is not None else layout.pack_table(np.arange(channels), channels, config)
        contents = {
            "ACT_BASE": layout.pack_activations(run.acts, config),
            "WEIGHT_BASE": layout.pack_weights(run.weights, config),
            "PARAM_BASE": np.zeros(self.shape.param_bytes, np.uint8)
            if run.requant is None
            else layout.pack_params(run.requant.multiplier, run.requant.bias, config),
            "TABLE_BASE": table,
        }
        self.regions = []
        bases = {}
        end = 0
        for base, content in contents.items():
            bases[base] = end
            self.regions.append((end, content))
            end += layout.pad(content, config.bus_bytes).size
        bases["OUT_BASE"] = end
        self.out = slice(end, end + self.shape.out_bytes(self.raw))
        self.table = slice(bases["TABLE_BASE"], bases["TABLE_BASE"] + table.size)
        self.size = self.out.stop
        self.registers = {
            "CHANNELS": channels,
            "OUT_CHANNELS": self.shape.out_channels,
            "HEIGHT": height,
            "WIDTH": width,
            "IMAGES": images,
            "MODE": encode(
                "MODE",
                kernel3=int(self.shape.taps == 9),
                signed_acts=int(run.signed),
                raw=int(self.raw),
                scan=int(run.scan),
                update=int(run.update),
                policy=run.policy,
            ),
            "SHIFT": 0 if run.requant is None else run.requant.shift,
            "SPARSE_COUNT": int((1 - SPARSE_SHARE) * pixels),
            "COUNT_SHIFT": max(0, pixels.bit_length() - (BUCKETS - 1).bit_length()),
            **bases,
        }
