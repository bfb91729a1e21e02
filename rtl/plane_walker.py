"""Addresses of output words in the order in which they arrive, by running sums."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import WORD_NIBBLES, Config

CODE_BITS = 8  #: a code of Output.WEIGHTS


def place_layout(config: Config) -> data.Layout:
    """Where a memory word of an output belongs.

    `address` in memory words; `exists`: it belongs to an output channel (otherwise it is dropped); `first` and `last`
    of its plane; `end`: the last one of the layer, existing or not.
    """
    return data.StructLayout({"address": payloads.ADDRESS_BITS, "exists": 1, "first": 1, "last": 1, "end": 1})


def placed_word(config: Config) -> data.Layout:
    """A memory word of an output and its place, see `place_layout`."""
    return data.StructLayout({"word": config.bus_bits} | {name: field.shape for name, field in place_layout(config)})


class PlaneWalker(wiring.Component):
    """Walks through the words of all planes: for every tile, image, word of the plane, lane of the tile.

    A tile has ``lanes`` lanes, half as many with `planes.wide`; they are neighbouring output channels. Word w of
    channel k and image n is at ``base + k * stride + n * image_stride + w``.

    With `weights` (Output.WEIGHTS) the order is: for every tile, image, pixel, word of the tile's codes. A tile has
    ``lanes * 8 / bus_bits`` words, half as many when wide; word w of tile t, pixel p and image n is at
    ``base + n * image_stride + p * stride + t * tile_words + w``.

    Both are the same nest of loops with other counts and steps, and the next tile always begins one inner step behind
    the last address of a tile's first row: no multiplier is needed.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    planes : In(payloads.planes)
        The planes; sizes at least 1. Constant from `start` until `active` falls, as `weights` and `pixels`.
    weights : In(1)
        Order and addresses of Output.WEIGHTS.
    pixels : In(bits of max_size**2)
        With `weights`: pixels of an image, at least 1. `planes.words` means nothing then.
    start : In(1)
        Strobe: go to the first position, from any state.
    step : In(1)
        Strobe: go to the next position. Only while `active`.
    active : Out(1)
        There is a position. 0 after reset.
    address : Out(ADDRESS_BITS)
        Memory word address of the position; wraps at 32 bit.
    exists : Out(1)
        The position's output channel is below `planes.channels`; with `weights`: that of a channel of its 16.
    first, last : Out(1)
        The position is the first, the last word of its plane.
    end : Out(1)
        The position is the last one.

    Timing: outputs change in the cycle after `start` and `step`; one step per cycle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "planes": In(payloads.planes(config)),
                "weights": In(1),
                "pixels": In(payloads.bits_for(config.max_size**2)),
                "start": In(1),
                "step": In(1),
                "active": Out(1),
                "address": Out(payloads.ADDRESS_BITS),
                "exists": Out(1),
                "first": Out(1),
                "last": Out(1),
                "end": Out(1),
            }
        )

    def elaborate(self, platform):
        lanes = self._config.lanes
        planes = self.planes
        m = Module()

        inner = Signal(range(lanes))  # lane of the tile, word of the tile's codes
        middle = Signal(len(planes.words))  # word of the plane, pixel
        image = Signal.like(planes.images)
        left = Signal.like(planes.channels)  # output channels from this tile on

        # Counts and steps of the two inner loops
        tile_words = lanes * CODE_BITS // self._config.bus_bits
        tile_channels = Signal(range(lanes + 1))
        last_inner = Signal.like(inner)
        last_middle = Signal.like(middle)
        last_image = Signal.like(image)
        inner_step = Signal(len(planes.stride))
        middle_step = Signal(len(planes.stride))
        m.d.sync += [  # constant from `start` on, but too deep to be seen in every step
            tile_channels.eq(lanes >> planes.wide),
            last_inner.eq((Mux(self.weights, tile_words, lanes) >> planes.wide) - 1),
            last_middle.eq(Mux(self.weights, self.pixels, planes.words) - 1),
            last_image.eq(planes.images - 1),
            inner_step.eq(Mux(self.weights, 1, planes.stride)),
            middle_step.eq(Mux(self.weights, planes.stride, 1)),
        ]

        inner_end = Signal()
        middle_end = Signal()
        image_end = Signal()
        tile_end = Signal()
        m.d.comb += [
            inner_end.eq(inner == last_inner),
            middle_end.eq(middle == last_middle),
            image_end.eq(image == last_image),
            tile_end.eq(left <= tile_channels),
            self.first.eq(middle == 0),
            self.last.eq(middle_end),
            self.end.eq(inner_end & middle_end & image_end & tile_end),
        ]

        row_address = Signal.like(self.address)  # of the inner loop's first position
        image_address = Signal.like(self.address)  # of the middle loop's first position
        tile_address = Signal.like(self.address)  # of the next tile, known after the first row
        behind = Signal.like(self.address)
        next_tile = Signal.like(self.address)
        next_image = Signal.like(self.address)
        next_row = Signal.like(self.address)
        first_row = Signal()
        m.d.comb += [
            behind.eq(self.address + inner_step),
            first_row.eq((middle == 0) & (image == 0)),
            next_tile.eq(Mux(first_row, behind, tile_address)),
            next_image.eq(Mux(image_end, next_tile, image_address + planes.image_stride)),
            next_row.eq(Mux(middle_end, next_image, row_address + middle_step)),
        ]
        following = Signal(range(lanes + 1))
        m.d.comb += following.eq(inner + 1)
        with m.If(self.step):
            with m.If(~inner_end):
                m.d.sync += [
                    inner.eq(following),
                    self.address.eq(behind),
                    self.exists.eq(Mux(self.weights, self._code_channel(following), following) < left),
                ]
            with m.Else():  # a tile has at least its first channel
                m.d.sync += [
                    inner.eq(0),
                    self.exists.eq(1),
                    middle.eq(Mux(middle_end, 0, middle + 1)),
                    self.address.eq(next_row),
                    row_address.eq(next_row),
                    tile_address.eq(next_tile),
                ]
                with m.If(middle_end):
                    m.d.sync += [image.eq(Mux(image_end, 0, image + 1)), image_address.eq(next_image)]
                    with m.If(image_end):
                        m.d.sync += [left.eq(left - tile_channels), self.active.eq(~tile_end)]
        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                self.exists.eq(1),
                inner.eq(0),
                middle.eq(0),
                image.eq(0),
                left.eq(planes.channels),
                self.address.eq(planes.base),
                row_address.eq(planes.base),
                image_address.eq(planes.base),
            ]

        return m

    def _code_channel(self, inner: Signal) -> Value:
        """First channel in word `inner` of a tile's codes; the two digits of 16 channels belong together."""
        word_channels = self._config.bus_bits // CODE_BITS
        if word_channels >= WORD_NIBBLES:
            return inner << (word_channels.bit_length() - 1)
        return Cat(0, inner[1:]) << (word_channels.bit_length() - 1)
