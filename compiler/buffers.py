"""How a layer uses the on-chip buffers: channels per slot, images at a time, strips of rows."""

from dataclasses import dataclass, replace
from itertools import pairwise

from sqdm.errors import UserError
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import COUNT_BITS, WORD_NIBBLES, Config, ceil_div

DENSE_SHARE = 0.4  #: share of the channels that the dense arrays get before anything is known about their zeros


@dataclass(frozen=True)
class Buffers:
    """``slot_channels``: channels of a plane that a slot may get; ``images`` in the activation buffers at a time."""

    slot_channels: int
    images: int


@dataclass(frozen=True)
class Strip:
    """Rows ``first`` .. ``first + height - 1`` of the output; ``top`` and ``bottom`` say which halo rows it reads."""

    first: int
    height: int
    top: bool = False
    bottom: bool = False

    @property
    def halo(self) -> int:
        return self.top + self.bottom

    @property
    def input_rows(self) -> slice:
        """The rows of the layer's input that the strip reads."""
        return slice(self.first - self.top, self.first + self.height + self.bottom)


def pools(config: Config) -> list[int]:
    """Slots of the pools that the configuration has."""
    return [slots for slots in (config.dense_slots, config.sparse_slots) if slots]


def slot_depths(shape: LayerShape) -> list[int]:
    """Legal limits of channels per slot and plane, best first.

    The best one lets either pool take all channels, if the weight buffers hold that many. UserError when even an even
    deal over all slots does not fit.
    """
    config = shape.config
    groups = config.weight_rows // (WORD_NIBBLES * shape.taps * shape.planes)
    limit = min(groups * WORD_NIBBLES, config.max_depth)
    need = ceil_div(shape.channels, sum(pools(config)))
    if need > limit:
        raise UserError(
            f"channels must be at most {limit * sum(pools(config))} (weight buffers of {config.name}) for "
            f"{shape.taps} taps and {4 * shape.planes}-bit activations, not {shape.channels}"
        )
    best = min(ceil_div(shape.channels, min(pools(config))), limit)
    shorter = range((ceil_div(best, WORD_NIBBLES) - 1) * WORD_NIBBLES, need - 1, -WORD_NIBBLES)
    return [best, *(depth for depth in shorter if depth >= need)]


def images_that_fit(shape: LayerShape, depth: int) -> int:
    """Images whose activations fit the buffers at a time."""
    rows = shape.planes * ceil_div(depth, WORD_NIBBLES) * shape.plane_rows
    return shape.config.act_rows // rows


def choose(shape: LayerShape) -> Buffers | None:
    """Use of the buffers for a layer (or strip) as it is; None when fewer images than two, or all of one, fit."""
    for depth in slot_depths(shape):
        images = images_that_fit(shape, depth)
        if images >= min(2, shape.images):
            return Buffers(depth, min(images, shape.images))
    return None


def strips(shape: LayerShape) -> list[Strip]:
    """The fewest strips of about equal height of a whole layer that each fit the buffers (`choose`).

    Channels per slot come first: they are lowered only when not even strips of one row fit. UserError when
    nothing does.
    """
    for depth in slot_depths(shape):
        for count in range(ceil_div(shape.height, shape.config.max_size), shape.height + 1):
            found = _cut(shape.height, count, shape.taps)
            if all(_fits(replace(shape, height=strip.height, halo=strip.halo), depth) for strip in found):
                return found
    config = shape.config
    raise UserError(
        f"width must be small enough for the activation buffers of {config.name} ({config.act_rows} rows): "
        f"{shape.channels} channels of {shape.width} pixels are not"
    )


def _fits(shape: LayerShape, depth: int) -> bool:
    return images_that_fit(shape, depth) >= min(2, shape.images)


def _cut(height: int, count: int, taps: int) -> list[Strip]:
    """``height`` rows in ``count`` strips that read about as many rows each: the outer ones have one halo row less."""
    halo = taps == 9
    outer = int(halo and count > 1 and height - 2 >= count)
    edges = [(height - 2 * outer) * i // count + outer for i in range(count + 1)]
    edges[0], edges[-1] = 0, height
    return [Strip(first, last - first, halo and first > 0, halo and last < height) for first, last in pairwise(edges)]


def images_at_once(height: int, width: int, config: Config) -> int:
    """Images of that size that one descriptor can have: `max_images`, or what the 16-bit pixel counters allow."""
    return max(1, min(config.max_images, ((1 << COUNT_BITS) - 1) // (height * width)))


def first_split(shape: LayerShape, depth: int) -> int:
    """Dense channels of a table before anything is known: `DENSE_SHARE`, whole steps of the dense pool, legal."""
    config, channels = shape.config, shape.channels
    if not config.dense_arrays or not config.sparse_arrays:
        return channels if config.dense_arrays else 0
    wanted = round(DENSE_SHARE * channels / config.dense_slots) * config.dense_slots
    return min(max(wanted, 0, channels - depth * config.sparse_slots), channels, depth * config.dense_slots)
