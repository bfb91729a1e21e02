"""Checks a layer's shape and derives the sizes that the other parts count with."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, MAX_TAPS, OUT_BITS, RAW_BITS, WORD_NIBBLES, Config, ceil_div
from .registers import REGISTERS, Status

SHAPE_REGISTERS = ("CHANNELS", "OUT_CHANNELS", "HEIGHT", "WIDTH", "IMAGES")


def sizes(config: Config) -> data.Layout:
    """Sizes derived from a layer's shape.

    ``pixels`` of one image, ``all_pixels`` of all; ``plane_words`` activation words of one image and channel,
    ``act_words`` of one channel; ``tiles`` output tiles; ``tile_words`` memory words of one channel's weights for one
    tile, ``weight_words`` for all; ``out_words`` memory words of one output plane, ``channel_words`` of one output
    channel.
    """
    max_pixels = config.act_rows
    tiles = ceil_div(config.max_out_channels, config.lanes)
    return data.StructLayout(
        {
            "pixels": payloads.bits_for(max_pixels),
            "all_pixels": COUNT_BITS,
            "plane_words": payloads.bits_for(max_pixels // WORD_NIBBLES),
            "act_words": COUNT_BITS,
            "tiles": payloads.bits_for(tiles),
            "tile_words": payloads.bits_for(MAX_TAPS * config.row_words),
            "weight_words": payloads.bits_for(MAX_TAPS * config.row_words * tiles),
            "out_words": payloads.bits_for(ceil_div(max_pixels * RAW_BITS, config.bus_bits)),
            "channel_words": COUNT_BITS,
        }
    )


class LayerSetup(wiring.Component):
    """Derives all products of a layer's sizes with one small multiplier, one product per cycle.

    Parameters
    ----------
    config : Config

    Members
    -------
    channels, out_channels, height, width, images, mode : In(32)
        The registers of those names; constant from ``start`` to ``done``.
    start : In(1)
    done : Out(1)
        One-cycle pulse; the outputs below are final and stay.
    status : Out(8)
        `registers.Status`: OK, BAD_SHAPE or TOO_LARGE.
    sizes : Out(layer_setup.sizes)

    Latency: `LATENCY` cycles from ``start`` to ``done``, also for a shape that is refused. Reset: idle.
    """

    LATENCY = 7

    def __init__(self, config: Config):
        self._config = config
        members = {name.lower(): In(32) for name in (*SHAPE_REGISTERS, "MODE")}
        super().__init__(members | {"start": In(1), "done": Out(1), "status": Out(8), "sizes": Out(sizes(config))})

    def elaborate(self, platform):
        m = Module()
        config = self._config
        out = self.sizes

        maxima = {
            "channels": config.max_channels,
            "out_channels": config.max_out_channels,
            "height": config.max_size,
            "width": config.max_size,
            "images": config.max_images,
        }
        legal = Signal()
        m.d.comb += legal.eq(1)
        for name, maximum in maxima.items():
            with m.If((getattr(self, name) == 0) | (getattr(self, name) > maximum)):
                m.d.comb += legal.eq(0)

        mode = {part.name: self.mode[part.lsb : part.lsb + part.width] for part in REGISTERS["MODE"].fields}
        groups = payloads.bits_for(ceil_div(config.slot_channels, WORD_NIBBLES))
        slot_bits = (config.slots - 1).bit_length()
        act_groups = Signal(groups)
        m.d.comb += act_groups.eq((self.channels[:11] + (WORD_NIBBLES * config.slots - 1)) >> (slot_bits + 4))

        factor_a = Signal(payloads.bits_for(max(config.act_rows, config.max_size)))
        factor_b = Signal(range(max(config.max_images, config.max_size, config.max_out_channels // config.lanes) + 1))
        product = Signal(len(factor_a) + len(factor_b))
        m.d.comb += product.eq(factor_a * factor_b)

        def round_up(value, step):
            return (value + (step - 1)) >> (step - 1).bit_length()

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += self.status.eq(Mux(legal, Status.OK, Status.BAD_SHAPE))
                    m.next = "PIXELS"
            with m.State("PIXELS"):
                m.d.comb += [factor_a.eq(self.width), factor_b.eq(self.height)]
                m.d.sync += [
                    out.pixels.eq(product),
                    out.tiles.eq(round_up(self.out_channels[:11], config.lanes)),
                    out.tile_words.eq(Mux(mode["kernel3"], MAX_TAPS, 1) * config.row_words),
                ]
                with m.If((self.status == Status.OK) & (product > config.act_rows)):
                    m.d.sync += self.status.eq(Status.TOO_LARGE)
                m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += [factor_a.eq(out.pixels), factor_b.eq(self.images)]
                m.d.sync += [
                    out.all_pixels.eq(product),
                    out.plane_words.eq(round_up(out.pixels, WORD_NIBBLES)),
                    out.out_words.eq(
                        Mux(
                            mode["raw"],
                            round_up(out.pixels, config.bus_bits // RAW_BITS),
                            round_up(out.pixels, config.bus_bits // OUT_BITS),
                        )
                    ),
                ]
                m.next = "ACT_WORDS"
            with m.State("ACT_WORDS"):
                m.d.comb += [factor_a.eq(out.plane_words), factor_b.eq(self.images)]
                m.d.sync += out.act_words.eq(product)
                m.next = "WEIGHT_WORDS"
            with m.State("WEIGHT_WORDS"):
                m.d.comb += [factor_a.eq(out.tile_words), factor_b.eq(out.tiles)]
                m.d.sync += out.weight_words.eq(product)
                m.next = "CHANNEL_WORDS"
            with m.State("CHANNEL_WORDS"):
                m.d.comb += [factor_a.eq(out.out_words), factor_b.eq(self.images)]
                m.d.sync += out.channel_words.eq(product)
                m.next = "ROWS"
            with m.State("ROWS"):
                m.d.comb += [factor_a.eq(out.plane_words), factor_b.eq(act_groups)]
                with m.If((self.status == Status.OK) & (product > config.act_rows // WORD_NIBBLES)):
                    m.d.sync += self.status.eq(Status.TOO_LARGE)
                m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
