"""Checks a descriptor and derives the sizes that the other parts count with."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import (
    CONSTANT_BITS,
    COUNT_BITS,
    GRANULE_BITS,
    MAX_TAPS,
    OUT_BITS,
    RAW_BITS,
    STRIDE_BITS,
    TABLE_ENTRY_BITS,
    WORD_NIBBLES,
    Config,
)
from .descriptor import BASES, STRIDES, Kind, Output, Resample
from .descriptor_reader import descriptor_layout
from .feeder import times_taps
from .map_engine import legal
from .registers import Status

GRANULE_SHIFT = (GRANULE_BITS // 8 - 1).bit_length()


def sizes(config: Config) -> data.Layout:
    """Sizes derived from a descriptor.

    ``in_pixels`` of one image's input strip, ``counted_pixels`` those of all images; ``pixels`` of one output plane,
    ``all_pixels`` of all images; ``plane_words`` activation words of one input plane; ``tail_pixels`` in the last of
    them; ``tiles`` output tiles; ``out_words`` memory words of one output plane; ``groups`` of 16 channels of a plane
    in a slot; ``high_rows`` activation rows of one plane of one image, ``item_rows`` of all its planes; memory words of
    one channel's weights for one tile, of the parameters, the normalisation constants and the channel tables.
    """
    rows = payloads.bits_for(config.act_rows)
    return data.StructLayout(
        {
            "in_pixels": rows,
            "counted_pixels": COUNT_BITS,
            "pixels": payloads.bits_for(4 * config.max_size**2),
            "all_pixels": COUNT_BITS,
            "plane_words": payloads.plane_words(config),
            "tail_pixels": payloads.bits_for(WORD_NIBBLES),
            "tiles": payloads.bits_for(2 * config.max_tiles),
            "out_words": 16,
            "groups": payloads.bits_for(config.max_groups),
            "high_rows": rows,
            "item_rows": rows,
            "tile_words": payloads.bits_for(MAX_TAPS * config.row_words),
            "param_words": payloads.bits_for(config.param_rows),
            "constant_words": payloads.bits_for(config.max_channels * CONSTANT_BITS // config.bus_bits + 1),
            "table_words": payloads.bits_for(2 * (2 + config.max_channels * TABLE_ENTRY_BITS // config.bus_bits)),
        }
    )


def round_up(value, step):
    """ceil(value / step) for a power of two, of a number or of a signal."""
    return (value + (step - 1)) >> (step - 1).bit_length()


class LayerSetup(wiring.Component):
    """Checks a CONV or MAP, and multiplies its sizes with one small multiplier, a product every other cycle.

    Parameters
    ----------
    config : Config

    Members
    -------
    descriptor : In(descriptor_layout)
        Constant from ``start`` as long as the outputs are used.
    reserved : In(1)
        A reserved bit of the descriptor is 1.
    start : In(1)
    done : Out(1)
        One-cycle pulse; the outputs below are final and stay.
    status : Out(8)
        `registers.Status`: OK, BAD_SHAPE, TOO_LARGE or BAD_DESCRIPTOR.
    sizes : Out(layer_setup.sizes)

    Latency: `LATENCY` cycles from ``start`` to ``done``, also for a descriptor that is refused. Reset: idle.
    """

    LATENCY = 13

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "descriptor": In(descriptor_layout()),
                "reserved": In(1),
                "start": In(1),
                "done": Out(1),
                "status": Out(8),
                "sizes": Out(sizes(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        layer = self.descriptor
        mode = layer.mode
        out = self.sizes
        is_map = layer.control.kind == Kind.MAP

        well_formed = self._well_formed(m, is_map)
        legal_shape = self._legal_shape(m, is_map)

        width = Signal(range(config.max_size + 1))
        height = Signal(range(config.max_size + 1))
        in_height = Signal(range(config.max_size + 3))
        factor_a = Signal(range(max(config.act_rows, 4 * config.max_size**2) + 1))
        factor_b = Signal(range(max(1 << len(layer.buffers.images), config.max_size + 2, config.max_groups) + 1))
        product = Signal(len(factor_a) + len(factor_b))
        m.d.comb += [
            width.eq(layer.width),
            height.eq(layer.height),
            in_height.eq(height + mode.halo_top + mode.halo_bottom),
        ]
        multiplied = Signal()  # the product is that of this state
        m.d.sync += [product.eq(factor_a * factor_b), multiplied.eq(~multiplied & ~self.start)]

        def require(condition, status):
            """Keep the first status that is not OK."""
            with m.If((self.status == Status.OK) & ~condition):
                m.d.sync += self.status.eq(status)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += self.status.eq(
                        Mux(~well_formed, Status.BAD_DESCRIPTOR, Mux(~legal_shape, Status.BAD_SHAPE, Status.OK))
                    )
                    m.next = "IN_PIXELS"
            with m.State("IN_PIXELS"):
                m.d.comb += [factor_a.eq(width), factor_b.eq(in_height)]
                with m.If(multiplied):
                    self._simple_sizes(m)
                    m.d.sync += [out.in_pixels.eq(product), out.plane_words.eq(round_up(product, WORD_NIBBLES))]
                    m.d.sync += out.tail_pixels.eq(((product - 1) & (WORD_NIBBLES - 1)) + 1)
                    require(is_map | (product <= config.act_rows), Status.TOO_LARGE)
                    m.next = "PIXELS"
            with m.State("PIXELS"):
                m.d.comb += [factor_a.eq(width), factor_b.eq(height)]
                with m.If(multiplied):
                    with m.Switch(mode.resample):
                        with m.Case(Resample.DOWN):
                            m.d.sync += out.pixels.eq(product >> 2)
                        with m.Case(Resample.UP):
                            m.d.sync += out.pixels.eq(product << 2)
                        with m.Default():
                            m.d.sync += out.pixels.eq(product)
                    weight_rows = times_taps((out.groups << mode.two_planes) << 4, mode.kernel3)
                    require(is_map | (weight_rows <= config.weight_rows), Status.TOO_LARGE)
                    m.next = "ALL_PIXELS"
            with m.State("ALL_PIXELS"):
                m.d.comb += [factor_a.eq(out.pixels), factor_b.eq(layer.images)]
                with m.If(multiplied):
                    m.d.sync += [out.all_pixels.eq(product), out.out_words.eq(self._out_words(out.pixels))]
                    require(product < 1 << COUNT_BITS, Status.TOO_LARGE)
                    m.next = "COUNTED"
            with m.State("COUNTED"):
                m.d.comb += [factor_a.eq(out.in_pixels), factor_b.eq(layer.images)]
                with m.If(multiplied):
                    m.d.sync += out.counted_pixels.eq(product)
                    require(is_map | (product < 1 << COUNT_BITS), Status.TOO_LARGE)
                    m.next = "ROWS"
            with m.State("ROWS"):
                m.d.comb += [factor_a.eq(out.plane_words << 4), factor_b.eq(out.groups)]
                with m.If(multiplied):
                    m.d.sync += [out.high_rows.eq(product), out.item_rows.eq(product << mode.two_planes)]
                    require(is_map | (product << mode.two_planes <= config.act_rows), Status.TOO_LARGE)
                    m.next = "BUFFERS"
            with m.State("BUFFERS"):
                m.d.comb += [factor_a.eq(out.item_rows), factor_b.eq(layer.buffers.images)]
                with m.If(multiplied):
                    require(is_map | (product <= config.act_rows), Status.TOO_LARGE)
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m

    def _simple_sizes(self, m: Module) -> None:
        """Sizes that need no multiplication."""
        config, layer, out = self._config, self.descriptor, self.sizes
        wide = layer.mode.wide_weights
        tiles = Mux(
            wide, round_up(layer.out_channels[:16], config.lanes // 2), round_up(layer.out_channels[:16], config.lanes)
        )
        table_words = 1 + round_up(layer.channels[:16], config.bus_bits // TABLE_ENTRY_BITS)
        per_tile = config.lanes // config.post_lanes
        constants = config.bus_bits // CONSTANT_BITS
        m.d.sync += [
            out.tiles.eq(tiles),
            out.groups.eq(round_up(layer.buffers.slot_channels, WORD_NIBBLES)),
            out.tile_words.eq(Mux(layer.mode.kernel3, MAX_TAPS * config.row_words, config.row_words)),
            out.param_words.eq(Mux(wide, tiles * (per_tile // 2), tiles * per_tile)),
            out.constant_words.eq(round_up(layer.channels[:16], constants)),
            out.table_words.eq(table_words << layer.mode.two_planes),
        ]

    def _out_words(self, pixels):
        """Memory words of an output plane of so many pixels."""
        bus_bits, mode = self._config.bus_bits, self.descriptor.mode

        def words(bits):
            return round_up(pixels, bus_bits // bits)

        granules = round_up(pixels, WORD_NIBBLES) << mode.two_planes
        code_words = round_up(granules, bus_bits // GRANULE_BITS)
        conv_words = Mux(mode.output == Output.RAW, words(RAW_BITS), words(OUT_BITS))
        return Mux(mode.codes, code_words, conv_words)

    def _well_formed(self, m: Module, is_map):
        """No field contradicts another one, every address is aligned."""
        config, layer = self._config, self.descriptor
        mode = layer.mode
        word_shift = (config.bus_bytes - 1).bit_length()
        plane_shift = (config.plane_bytes - 1).bit_length()
        planes = is_map | mode.int16_acts  # activations are INT16 planes
        bad = [self.reserved, layer.residual_multiplier[16:].any()]
        for name in BASES:
            low = getattr(layer, name.lower())
            if name == "ACT_BASE":
                bad.append(Mux(planes, low[:plane_shift], low[:GRANULE_SHIFT]).any())
            else:
                bad.append(low[:word_shift].any())
        for name in STRIDES:
            value = getattr(layer, name.lower())
            unit = word_shift
            if name.startswith("ACT_"):
                unit = GRANULE_SHIFT
                bad.append(planes & value[:word_shift].any())
            bad += [value[:unit].any(), value[unit + STRIDE_BITS :].any()]
        int16_output = mode.output == Output.INT16
        bad += [
            is_map & mode.codes & ((mode.resample != Resample.NONE) | mode.statistics),
            is_map & mode.residual,
            is_map & ~mode.codes & mode.two_planes,
            is_map & ~int16_output,
            ~is_map & (mode.codes | (mode.resample != Resample.NONE)),
            ~is_map & ~int16_output & (mode.residual | mode.statistics),
            mode.output > Output.WEIGHTS,
            mode.resample > Resample.UP,
            ~mode.kernel3 & (mode.halo_top | mode.halo_bottom),
        ]
        well_formed = Signal()
        m.d.comb += well_formed.eq(~Cat(bad).any())
        return well_formed

    def _legal_shape(self, m: Module, is_map):
        """All sizes are in their range."""
        config, layer = self._config, self.descriptor
        depth = layer.buffers.slot_channels
        all_slots = config.dense_slots + config.sparse_slots
        bad = []
        for name, maximum in {
            "channels": config.max_channels,
            "height": config.max_size,
            "width": config.max_size,
            "images": config.max_images,
        }.items():
            value = getattr(layer, name)
            bad.append((value == 0) | (value > maximum))
        wide = Mux(layer.mode.kernel3, config.wide_channels(MAX_TAPS), config.wide_channels(1))
        bad += [
            is_map & (layer.channels > config.max_out_channels),
            is_map & ~legal(layer.mode.resample, layer.height[:8], layer.width[:8], config),
            ~is_map & ((layer.out_channels == 0) | (layer.out_channels > config.max_out_channels)),
            ~is_map & ((depth == 0) | (depth > config.max_depth) | (depth * all_slots < layer.channels)),
            ~is_map & (layer.buffers.images == 0),
            ~is_map & layer.mode.two_planes & (layer.channels > wide),
        ]
        legal_shape = Signal()
        m.d.comb += legal_shape.eq(~Cat(bad).any())
        return legal_shape
