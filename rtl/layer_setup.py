"""Checks what the registers say about a layer and derives the sizes that the other parts count with."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, MAX_TAPS, OUT_BITS, RAW_BITS, SHIFT_BITS, TABLE_ENTRY_BITS, WORD_NIBBLES, Config
from .payloads import PolicyShape
from .registers import REGISTER_BITS, REGISTERS, Status

COUNT_SHIFT_BITS = 4
SETTINGS = tuple(name.lower() for name, register in REGISTERS.items() if register.access == "rw")
BASES = tuple(name for name in SETTINGS if name.endswith("_base"))


def mode_layout() -> data.Layout:
    """The fields of the MODE register."""
    fields = {part.name: data.Field(part.width, part.lsb) for part in REGISTERS["MODE"].fields}
    return data.FlexibleLayout(REGISTER_BITS, fields)


def checked_settings(config: Config) -> data.Layout:
    """The registers as numbers of their legal range; bases in memory words."""
    return data.StructLayout(
        {
            "channels": payloads.bits_for(config.max_channels),
            "out_channels": payloads.bits_for(config.max_out_channels),
            "height": payloads.bits_for(config.max_size),
            "width": payloads.bits_for(config.max_size),
            "images": payloads.bits_for(config.max_images),
            "kernel3": 1,
            "signed_acts": 1,
            "raw": 1,
            "scan": 1,
            "update": 1,
            "policy": PolicyShape,
            "shift": SHIFT_BITS,
            "sparse_count": COUNT_BITS,
            "count_shift": COUNT_SHIFT_BITS,
        }
        | dict.fromkeys(BASES, REGISTER_BITS)
    )


def sizes(config: Config) -> data.Layout:
    """Sizes derived from a layer's shape.

    ``pixels`` of one image, ``all_pixels`` of all; ``plane_words`` activation words of one image and channel,
    ``act_words`` of one channel; ``tiles`` output tiles; ``tile_words`` memory words of one channel's weights for one
    tile, ``weight_words`` for all; ``out_words`` memory words of one output plane, ``channel_words`` of one output
    channel; memory words of the requantisation parameters and of the channel table.
    """
    return data.StructLayout(
        {
            "pixels": payloads.bits_for(config.act_rows),
            "all_pixels": COUNT_BITS,
            "plane_words": payloads.bits_for(config.act_rows // WORD_NIBBLES),
            "act_words": COUNT_BITS,
            "tiles": payloads.bits_for(config.max_tiles),
            "tile_words": payloads.bits_for(MAX_TAPS * config.row_words),
            "weight_words": payloads.bits_for(MAX_TAPS * config.row_words * config.max_tiles),
            "out_words": payloads.bits_for(round_up(config.act_rows, config.bus_bits // RAW_BITS)),
            "channel_words": COUNT_BITS,
            "param_words": payloads.bits_for(config.param_rows),
            "table_words": payloads.bits_for(1 + round_up(config.max_channels, config.bus_bits // TABLE_ENTRY_BITS)),
        }
    )


def round_up(value, step):
    """ceil(value / step) for a power of two, of a number or of a signal."""
    return (value + (step - 1)) >> (step - 1).bit_length()


class LayerSetup(wiring.Component):
    """Checks the registers, and multiplies the layer's sizes with one small multiplier, one product per cycle.

    Parameters
    ----------
    config : Config

    Members
    -------
    One In(32) per rw register, named like it in lower case; constant from ``start`` until the layer has ended.
    start : In(1)
    done : Out(1)
        One-cycle pulse; the outputs below are final and stay.
    status : Out(8)
        `registers.Status`: OK, BAD_SHAPE, TOO_LARGE or BAD_REGISTER.
    settings : Out(layer_setup.checked_settings)
        Means what the registers say only with status OK. Combinational.
    sizes : Out(layer_setup.sizes)

    Latency: `LATENCY` cycles from ``start`` to ``done``, also for a layer that is refused. Reset: idle.
    """

    LATENCY = 7

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            dict.fromkeys(SETTINGS, In(REGISTER_BITS))
            | {
                "start": In(1),
                "done": Out(1),
                "status": Out(8),
                "settings": Out(checked_settings(config)),
                "sizes": Out(sizes(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        layer = self.settings
        out = self.sizes
        word_shift = (config.bus_bytes - 1).bit_length()
        count_max = (1 << COUNT_BITS) - 1

        for name in ("channels", "out_channels", "height", "width", "images", "shift", "count_shift"):
            m.d.comb += layer[name].eq(getattr(self, name))
        for name in BASES:
            m.d.comb += layer[name].eq(getattr(self, name) >> word_shift)
        mode = data.View(mode_layout(), self.mode)
        for name in ("kernel3", "signed_acts", "raw", "scan", "update", "policy"):
            m.d.comb += layer[name].eq(mode[name])
        # No channel has more non-zeros than COUNT_BITS hold, so a larger threshold means the same as the largest.
        m.d.comb += layer.sparse_count.eq(Mux(self.sparse_count > count_max, count_max, self.sparse_count))

        legal_shape = Signal()
        legal_registers = Signal()
        m.d.comb += [legal_shape.eq(1), legal_registers.eq(1)]
        for name, maximum in {
            "channels": config.max_channels,
            "out_channels": config.max_out_channels,
            "height": config.max_size,
            "width": config.max_size,
            "images": config.max_images,
        }.items():
            with m.If((getattr(self, name) == 0) | (getattr(self, name) > maximum)):
                m.d.comb += legal_shape.eq(0)
        with m.If(self.shift[SHIFT_BITS:].any() | self.count_shift[COUNT_SHIFT_BITS:].any()):
            m.d.comb += legal_registers.eq(0)
        for name in BASES:
            with m.If(getattr(self, name)[:word_shift].any()):
                m.d.comb += legal_registers.eq(0)

        act_groups = Signal(range(config.max_act_groups + 1))
        factor_a = Signal(range(max(config.act_rows, config.max_size, MAX_TAPS * config.row_words) + 1))
        factor_b = Signal(range(max(config.max_images, config.max_size, config.max_tiles, config.max_act_groups) + 1))
        product = Signal(len(factor_a) + len(factor_b))
        m.d.comb += [
            act_groups.eq(round_up(layer.channels, WORD_NIBBLES * config.slots)),
            product.eq(factor_a * factor_b),
        ]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += self.status.eq(
                        Mux(~legal_shape, Status.BAD_SHAPE, Mux(~legal_registers, Status.BAD_REGISTER, Status.OK))
                    )
                    m.next = "PIXELS"
            with m.State("PIXELS"):
                m.d.comb += [factor_a.eq(layer.width), factor_b.eq(layer.height)]
                m.d.sync += [
                    out.pixels.eq(product),
                    out.tiles.eq(round_up(layer.out_channels, config.lanes)),
                    out.tile_words.eq(Mux(layer.kernel3, MAX_TAPS, 1) * config.row_words),
                    out.table_words.eq(1 + round_up(layer.channels, config.bus_bits // TABLE_ENTRY_BITS)),
                ]
                with m.If((self.status == Status.OK) & (product > config.act_rows)):
                    m.d.sync += self.status.eq(Status.TOO_LARGE)
                m.next = "ALL_PIXELS"
            with m.State("ALL_PIXELS"):
                m.d.comb += [factor_a.eq(out.pixels), factor_b.eq(layer.images)]
                raw_words = round_up(out.pixels, config.bus_bits // RAW_BITS)
                m.d.sync += [
                    out.all_pixels.eq(product),
                    out.plane_words.eq(round_up(out.pixels, WORD_NIBBLES)),
                    out.out_words.eq(Mux(layer.raw, raw_words, round_up(out.pixels, config.bus_bits // OUT_BITS))),
                    out.param_words.eq(out.tiles * (config.lanes // config.post_lanes)),
                ]
                m.next = "ACT_WORDS"
            with m.State("ACT_WORDS"):
                m.d.comb += [factor_a.eq(out.plane_words), factor_b.eq(layer.images)]
                m.d.sync += out.act_words.eq(product)
                m.next = "WEIGHT_WORDS"
            with m.State("WEIGHT_WORDS"):
                m.d.comb += [factor_a.eq(out.tile_words), factor_b.eq(out.tiles)]
                m.d.sync += out.weight_words.eq(product)
                m.next = "CHANNEL_WORDS"
            with m.State("CHANNEL_WORDS"):
                m.d.comb += [factor_a.eq(out.out_words), factor_b.eq(layer.images)]
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
