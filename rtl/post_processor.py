"""Requantises partial sums to INT16, or passes them on as INT32."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, MULTIPLIER_BITS, OUT_BITS, SHIFT_BITS, WEIGHT_BITS, WORD_NIBBLES, Config

OUT_MAX = (1 << OUT_BITS - 1) - 1
OUT_MIN = -(1 << OUT_BITS - 1)


def param_write(config: Config) -> data.Layout:
    """One memory word of parameters, `post_lanes` times payloads.post_params.

    `row` is half * param_rows + number of the word in the layer's parameters.
    """
    return data.StructLayout({"row": payloads.bits_for(2 * config.param_rows - 1), "word": config.bus_bits})


class PostProcessor(wiring.Component):
    """Requantises one group of `post_lanes` neighbouring output channels per cycle.

    ``y = sat16(((psum * multiplier[k] + round) >> shift) + bias[k])`` with ``round = 1 << (shift - 1)``, 0 for shift 0

    Rounds half towards plus infinity and saturates once, after the bias; y is sign-extended to 32 bit. In mode `raw`,
    y is the sign-extended psum: the same pipeline with multiplier 1, shift 0, bias 0 and without saturation.

    In mode `wide` two lanes make an output channel: channel 16j + i of a tile is lane 32j + i plus 16 times lane
    32j + 16 + i, in ``acc_bits + 5`` bit (raw: cut to 32). Then a pixel has half as many groups.

    Parameters
    ----------
    config : Config
        The accelerator; ``groups = lanes / post_lanes``.

    Members
    -------
    psums : In(stream of payloads.psums)
        Output pixels: tile by tile, `tile_pixels` each. Held for `groups` cycles (half as many when wide), taken with
        the last.
    groups : Out(stream of payloads.output_group)
        `groups` payloads per psum, output channels ascending.
    param_writes : In(always-ready stream of param_write)
        Fills a half of the parameter memory; not while psums use the same half.
    param_half : In(1)
        The half that psums use; constant from `start` on.
    mode : In(payloads.requantise_mode)
        Shift and format; constant while psums are in flight.
    tile_pixels : In(COUNT_BITS)
        Output pixels of all images, at least 1; constant from `start` on.
    start : In(1)
        Strobe: the next psum is the first of output tile 0; drops what is in flight.

    Timing: latency `LATENCY` from a psum's group to `groups`, initiation interval 1 group. A stall of `groups` stops
    all stages. After reset as after `start` with half 0; the parameters' reset state is 0.
    """

    LATENCY = 5  #: cycles: select and parameter read, multiply, round, shift, bias and saturate

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "psums": In(stream.Signature(payloads.psums(config))),
                "groups": Out(stream.Signature(payloads.output_group(config))),
                "param_writes": In(stream.Signature(param_write(config), always_ready=True)),
                "param_half": In(1),
                "mode": In(payloads.requantise_mode()),
                "tile_pixels": In(COUNT_BITS),
                "start": In(1),
            }
        )

    def elaborate(self, platform):
        config = self._config
        lanes = config.post_lanes
        groups = config.lanes // lanes
        m = Module()

        # |psum| <= 17 * 2**(acc_bits - 1) when wide; |psum * multiplier| < 2**(psum_bits - 1 + 16); the rounding term
        # is below 2**31; their sum needs one bit more
        psum_bits = config.acc_bits + 5
        product_bits = psum_bits + MULTIPLIER_BITS
        shifted_bits = max(product_bits, 1 << SHIFT_BITS) + 1

        rows = config.param_rows
        row_shape = data.ArrayLayout(payloads.post_params(), lanes)
        m.submodules.memory = memory = Memory(shape=row_shape, depth=2 * rows, init=[])
        write = memory.write_port()
        read = memory.read_port()

        advance = Signal()  # all stages move
        m.d.comb += advance.eq(~self.groups.valid | self.groups.ready)

        # Parameters from memory
        m.d.comb += [
            write.addr.eq(self.param_writes.payload.row),
            write.data.as_value().eq(self.param_writes.payload.word),
            write.en.eq(self.param_writes.valid),
        ]

        # Position: group in the psum, pixel in the tile, first parameter row of the tile
        group = Signal(range(groups))
        pixel = Signal(COUNT_BITS)
        tile_row = Signal(range(2 * rows))
        last_group = Signal()
        m.d.comb += [
            last_group.eq(group == (groups >> self.mode.wide) - 1),
            self.psums.ready.eq(advance & last_group),
        ]
        with m.If(self.psums.valid & advance):
            m.d.sync += group.eq(Mux(last_group, 0, group + 1))
        with m.If(self.psums.valid & self.psums.ready):
            m.d.sync += pixel.eq(pixel + 1)
            with m.If(pixel == self.tile_pixels - 1):
                m.d.sync += pixel.eq(0)
                m.d.sync += tile_row.eq(tile_row + (groups >> self.mode.wide))

        # Groups of the psum: in mode wide, the low digits of 16 channels, then their high digits
        digit_bit = (WORD_NIBBLES // lanes).bit_length() - 1
        low_group = Signal(range(groups))
        m.d.comb += low_group.eq(Mux(self.mode.wide, Cat(group[:digit_bit], 0, group[digit_bit:-1]), group))

        # Stage 1: read the parameters, pick the group's psums
        valid_read = Signal()
        valid_product = Signal()
        valid_rounded = Signal()
        valid_shifted = Signal()
        m.d.comb += [read.addr.eq(tile_row | group), read.en.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid_read.eq(self.psums.valid),
                valid_product.eq(valid_read),
                valid_rounded.eq(valid_product),
                valid_shifted.eq(valid_rounded),
                self.groups.valid.eq(valid_shifted),
            ]
        with m.If(self.start):
            m.d.sync += [group.eq(0), pixel.eq(0), tile_row.eq(Mux(self.param_half, rows, 0))]
            m.d.sync += [
                flag.eq(0) for flag in (valid_read, valid_product, valid_rounded, valid_shifted, self.groups.valid)
            ]

        rounding = Signal(1 << SHIFT_BITS)
        shift = Signal(SHIFT_BITS)
        m.d.comb += shift.eq(Mux(self.mode.raw, 0, self.mode.shift))
        m.d.comb += rounding.eq((1 << shift) >> 1)

        for lane in range(lanes):
            psum = Signal(signed(psum_bits), name=f"psum_{lane}")
            multiplier = Signal(unsigned(MULTIPLIER_BITS), name=f"multiplier_{lane}")
            product = Signal(signed(product_bits), name=f"product_{lane}")
            product_bias = Signal(signed(OUT_BITS), name=f"product_bias_{lane}")
            rounded = Signal(signed(shifted_bits), name=f"rounded_{lane}")
            rounded_bias = Signal(signed(OUT_BITS), name=f"rounded_bias_{lane}")
            shifted = Signal(signed(shifted_bits), name=f"shifted_{lane}")
            shifted_bias = Signal(signed(OUT_BITS), name=f"shifted_bias_{lane}")
            total = Signal(signed(shifted_bits + 1), name=f"total_{lane}")
            choices = [self.psums.payload[index * lanes + lane].as_unsigned() for index in range(groups)]
            high_choices = [choice for index, choice in enumerate(choices) if index >> digit_bit & 1]
            low = Signal(signed(config.acc_bits), name=f"low_{lane}")
            high = Signal(signed(config.acc_bits), name=f"high_{lane}")
            m.d.comb += [
                low.eq(Cat(choices).word_select(low_group, config.acc_bits)),
                high.eq(Mux(self.mode.wide, Cat(high_choices).word_select(group[:-1], config.acc_bits), 0)),
            ]

            with m.If(advance):
                # Stage 1
                m.d.sync += psum.eq(low + (high << WEIGHT_BITS))
                # Stage 2: multiply
                m.d.sync += product.eq(psum * multiplier)
                m.d.sync += product_bias.eq(Mux(self.mode.raw, 0, read.data[lane].bias))
                # Stage 3: round
                m.d.sync += rounded.eq(product + rounding)
                m.d.sync += rounded_bias.eq(product_bias)
                # Stage 4: shift
                m.d.sync += shifted.eq(rounded >> shift)
                m.d.sync += shifted_bias.eq(rounded_bias)
                # Stage 5: bias, saturate
                with m.If(self.mode.raw):
                    m.d.sync += self.groups.payload[lane].eq(shifted)
                with m.Elif(total > OUT_MAX):
                    m.d.sync += self.groups.payload[lane].eq(OUT_MAX)
                with m.Elif(total < OUT_MIN):
                    m.d.sync += self.groups.payload[lane].eq(OUT_MIN)
                with m.Else():
                    m.d.sync += self.groups.payload[lane].eq(total)
            m.d.comb += multiplier.eq(Mux(self.mode.raw, 1, read.data[lane].multiplier))
            m.d.comb += total.eq(shifted + shifted_bias)

        return m
