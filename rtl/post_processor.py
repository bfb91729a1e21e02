"""Requantises partial sums to INT16, or passes them on as INT32."""

from itertools import pairwise

from amaranth.hdl import Array, Cat, Module, Mux, ResetInserter, Signal, signed, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, MULTIPLIER_BITS, OUT_BITS, SHIFT_BITS, WEIGHT_BITS, WORD_NIBBLES, Config

QUEUE = 16  #: groups in the stages and behind them: more than `PostProcessor.LATENCY`

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

    Computed with the psum's magnitude: its sign, which changes all the time, does not spread over the high bits of the
    multiplier and the shifter. A negative number's magnitude is rounded half down.

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

    Timing: latency `LATENCY` from a psum's group to `groups`, initiation interval 1 group. While `groups` stalls, what
    is on its way goes to the queue. After reset as after `start` with half 0; the parameters' reset state is 0.
    """

    LATENCY = 8  #: cycles: select and parameter read, operands, multiply, round, shift; 3 through the queue

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

        # The stages never stop, since a stall would have to reach all of them and the psum queues in one cycle: a group
        # enters when the queue behind the stages has a place for it.
        m.submodules.queue = queue = ResetInserter(self.start)(
            fifo.SyncFIFOBuffered(width=self.groups.payload.shape().size, depth=QUEUE)
        )
        used = Signal(range(QUEUE + 1))
        room = Signal()
        take = Signal()  # a group enters; where none does, the multipliers' operands stay
        given = Signal()
        m.d.comb += [
            take.eq(room & self.psums.valid),
            given.eq(self.groups.valid & self.groups.ready),
            self.groups.valid.eq(queue.r_rdy),
            self.groups.payload.eq(queue.r_data),
            queue.r_en.eq(self.groups.ready),
        ]
        m.d.sync += [used.eq(used + take - given), room.eq(used < QUEUE - 1)]

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
        next_group = Signal.like(group)
        last_group = Signal()
        m.d.comb += [
            next_group.eq(Mux(take, Mux(last_group, 0, group + 1), group)),
            self.psums.ready.eq(room & last_group),
        ]
        m.d.sync += [group.eq(next_group), last_group.eq(next_group == (groups >> self.mode.wide) - 1)]
        with m.If(self.psums.valid & self.psums.ready):
            m.d.sync += pixel.eq(pixel + 1)
            with m.If(pixel == self.tile_pixels - 1):
                m.d.sync += pixel.eq(0)
                m.d.sync += tile_row.eq(tile_row + (groups >> self.mode.wide))

        # Groups of the psum: in mode wide, the low digits of 16 channels, then their high digits
        digit_bit = (WORD_NIBBLES // lanes).bit_length() - 1
        low_group = Signal(range(groups))
        low_next = Mux(self.mode.wide, Cat(next_group[:digit_bit], 0, next_group[digit_bit:-1]), next_group)
        m.d.sync += low_group.eq(low_next)

        # Stage 1: read the parameters, pick the group's psums
        valid_read = Signal()
        valid_operands = Signal()
        valid_product = Signal()
        valid_rounded = Signal()
        valid_shifted = Signal()
        m.d.comb += [read.addr.eq(tile_row | group), read.en.eq(take)]
        made = Signal(self.groups.payload.shape())
        m.d.comb += [queue.w_en.eq(valid_shifted), queue.w_data.eq(made)]
        m.d.sync += [
            valid_read.eq(take),
            valid_operands.eq(valid_read),
            valid_product.eq(valid_operands),
            valid_rounded.eq(valid_product),
            valid_shifted.eq(valid_rounded),
        ]
        with m.If(self.start):
            m.d.comb += next_group.eq(0)
            m.d.sync += [pixel.eq(0), tile_row.eq(Mux(self.param_half, rows, 0))]
            stages = (valid_read, valid_operands, valid_product, valid_rounded, valid_shifted)
            m.d.sync += [signal.eq(0) for signal in (*stages, used, room)]

        rounding = Signal(1 << SHIFT_BITS)
        rounding_down = Signal(1 << SHIFT_BITS)
        shift = Signal(SHIFT_BITS)
        m.d.comb += shift.eq(Mux(self.mode.raw, 0, self.mode.shift))
        m.d.comb += [rounding.eq((1 << shift) >> 1), rounding_down.eq(rounding - (rounding != 0))]

        for lane in range(lanes):
            picked = Signal(signed(psum_bits), name=f"picked_{lane}")
            magnitude = Signal(psum_bits - 1, name=f"magnitude_{lane}")
            negative = [Signal(name=f"negative_{stage}_{lane}") for stage in range(4)]  # stages 2 to 5
            bias = Signal(signed(OUT_BITS), name=f"bias_{lane}")
            multiplier = Signal(unsigned(MULTIPLIER_BITS), name=f"multiplier_{lane}")
            product = Signal(product_bits - 1, name=f"product_{lane}")
            product_bias = Signal(signed(OUT_BITS), name=f"product_bias_{lane}")
            rounded = Signal(shifted_bits - 1, name=f"rounded_{lane}")
            rounded_bias = Signal(signed(OUT_BITS), name=f"rounded_bias_{lane}")
            shifted = Signal(signed(shifted_bits), name=f"shifted_{lane}")
            shifted_bias = Signal(signed(OUT_BITS), name=f"shifted_bias_{lane}")
            total = Signal(signed(shifted_bits + 1), name=f"total_{lane}")
            choices = [self.psums.payload[index * lanes + lane].as_unsigned() for index in range(groups)]
            high_choices = [choice for index, choice in enumerate(choices) if index >> digit_bit & 1]
            low = Signal(signed(config.acc_bits), name=f"low_{lane}")
            high = Signal(signed(config.acc_bits), name=f"high_{lane}")
            m.d.comb += [
                low.eq(Array(choices)[low_group]),
                high.eq(Mux(self.mode.wide, Array(high_choices)[group[:-1]], 0)),
            ]

            with m.If(take):
                # Stage 1
                m.d.sync += picked.eq(low + (high << WEIGHT_BITS))
            with m.If(valid_read):
                # Stage 2: operands, straight from registers to the multiplier
                m.d.sync += [magnitude.eq(Mux(picked[-1], -picked, picked)), negative[0].eq(picked[-1])]
                m.d.sync += multiplier.eq(Mux(self.mode.raw, 1, read.data[lane].multiplier))
                m.d.sync += bias.eq(Mux(self.mode.raw, 0, read.data[lane].bias))
            m.d.sync += [
                # Stage 3: multiply
                product.eq(magnitude * multiplier),
                product_bias.eq(bias),
                # Stage 4: round
                rounded.eq(product + Mux(negative[1], rounding_down, rounding)),
                rounded_bias.eq(product_bias),
                # Stage 5: shift
                shifted.eq(Cat(rounded >> shift, 0) ^ negative[2].replicate(shifted_bits)),
                shifted_bias.eq(rounded_bias),
                *(after.eq(before) for before, after in pairwise(negative)),
            ]
            # Into the queue: bias, saturate
            with m.If(self.mode.raw):
                m.d.comb += made[lane].eq(total)
            with m.Elif(total > OUT_MAX):
                m.d.comb += made[lane].eq(OUT_MAX)
            with m.Elif(total < OUT_MIN):
                m.d.comb += made[lane].eq(OUT_MIN)
            with m.Else():
                m.d.comb += made[lane].eq(total)
            # The 1 that a complement lacks is the carry of one more bit below
            carried = Cat(negative[3], shifted).as_signed() + Cat(negative[3], shifted_bias).as_signed()
            m.d.comb += total.eq(carried >> 1)

        return m
