"""One slot of the sparse feeder: finds the non-zero activations of a pixel's planes."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import ACT_BITS, WORD_NIBBLES, Config
from .feeder import connect_readings, operand, reading, times_taps
from .sparsity_detector import population
from .stream_register import StreamRegister
from .tap_walker import TapWalker

GROUP = 4  #: bits that a lookup table sees at once


def lowest_one(mask):
    """The lowest 1 of the mask alone: in its group of four bits, and only if all groups below are 0."""
    groups = [mask[start : start + GROUP] for start in range(0, len(mask), GROUP)]
    bits = []
    for number, group in enumerate(groups):
        below = Cat(lower.any() for lower in groups[:number]).any()
        bits += [bit & ~group[:place].any() & ~below for place, bit in enumerate(group)]
    return Cat(bits)


class SparseSlot(wiring.Component):
    """Pops one non-zero activation per cycle from the words of the current phase, and reads one word ahead.

    A phase is one plane of an output pixel.

    A word without a non-zero is dropped while an earlier one is still being popped; only when the slot has nothing left
    to pop does it cost a cycle.

    Parameters
    ----------
    config : Config

    Members
    -------
    job, start : In(payloads.job), In(1)
        As for `TapWalker`.
    active : Out(1)
        Words of the job are still to be read: no ``start`` yet.
    advance : In(1)
        All slots are ``done``: go on to the next phase.
    done : Out(1)
        The last non-zero of the phase is popped in this cycle or was popped before.
    pixel_end, job_end : Out(1), Out(1)
        With ``done``: this was the pixel's last phase, the job's last pixel.
    act_row, act_read, act_word : Out, Out(1), In(16 x 4)
        Activation buffer; the word is there one cycle after the read and stays.
    weight_row, weight_read : Out, Out(1)
        Weight row of the activation that was popped in the cycle before.
    act : Out(signed(5))
        The popped activation, one cycle after ``weight_read``; 0 in all other cycles.

    Latency: first pop 5 cycles after ``start``. Initiation interval: one non-zero per cycle; a word of which all 16 are
    zero takes one cycle at most. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "job": In(payloads.job(config)),
                "start": In(1),
                "active": Out(1),
                "advance": In(1),
                "done": Out(1),
                "pixel_end": Out(1),
                "job_end": Out(1),
                "act_row": Out(payloads.bits_for(config.act_rows - 1)),
                "act_read": Out(1),
                "act_word": In(payloads.activation_word()),
                "weight_row": Out(payloads.weight_row_bits(config)),
                "weight_read": Out(1),
                "act": Out(signed(ACT_BITS + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        job = self.job
        m.submodules.walker = walker = TapWalker(config)
        m.submodules.words = words = StreamRegister(reading(config))
        connect_readings(m, config, walker, words.source, job)
        m.d.comb += [
            walker.job.eq(job),
            walker.start.eq(self.start),
            self.active.eq(walker.active),
        ]

        # Stage 1: read the next word as soon as the buffer's output is free.
        fetched = Signal()  # the buffer's output holds a word that was not taken yet
        fetched_at = Signal(reading(config))
        fetch = Signal()  # it is taken
        m.d.comb += [
            words.sink.ready.eq(~fetched | fetch),
            self.act_read.eq(words.sink.valid & words.sink.ready),
            self.act_row.eq(words.sink.payload.row),
        ]
        with m.If(self.act_read):
            m.d.sync += [fetched.eq(1), fetched_at.eq(words.sink.payload)]
        with m.Elif(fetch):
            m.d.sync += fetched.eq(0)

        # Stage 2: the word waits with the mask of its non-zeros.
        waiting = Signal()
        next_word = Signal(payloads.activation_word())
        next_mask = Signal(WORD_NIBBLES)
        next_at = Signal(reading(config))
        take = Signal()
        m.d.comb += fetch.eq(fetched & (~waiting | take))
        with m.If(fetch):
            nonzero = Cat(self.act_word[i].any() for i in range(WORD_NIBBLES))
            m.d.sync += [
                waiting.eq(1),
                next_word.eq(self.act_word),
                next_mask.eq(Mux(fetched_at.empty, 0, nonzero)),
                next_at.eq(fetched_at),
            ]
        with m.Elif(take):
            m.d.sync += waiting.eq(0)

        # Stage 3: the current word and its non-zeros that were not popped yet.
        valid = Signal()
        mask = Signal(WORD_NIBBLES)
        left = Signal(range(WORD_NIBBLES + 1))  # ones of the mask
        few = Signal(init=1)  # at most one of them
        word = Signal(payloads.activation_word())
        at = Signal(reading(config))
        phase_end = Signal()

        any_next = Signal()
        free = Signal()
        load = Signal()
        close = Signal()  # an empty last word only marks the current one as the phase's last
        lowest = Signal(WORD_NIBBLES)
        pop = Signal()
        m.d.comb += [
            any_next.eq(next_mask.any()),
            self.done.eq(valid & phase_end & few),
            free.eq(~valid | (few & ~phase_end) | self.advance),
            load.eq(waiting & free & (any_next | next_at.phase_end) & ~close),
            close.eq(waiting & ~any_next & next_at.phase_end & valid & ~phase_end),
            take.eq(waiting & (free | (~any_next & (~next_at.phase_end | (valid & ~phase_end))))),  # or it is dropped
            pop.eq(valid & (left != 0)),
            lowest.eq(lowest_one(mask)),
        ]
        with m.If(load | close):
            m.d.sync += [
                phase_end.eq(next_at.phase_end),
                self.pixel_end.eq(next_at.pixel_end),
                self.job_end.eq(next_at.job_end),
            ]
        with m.If(load):
            count = population(next_mask)
            m.d.sync += [
                valid.eq(1), mask.eq(next_mask), left.eq(count), few.eq(count <= 1), word.eq(next_word), at.eq(next_at),
            ]  # fmt: skip
        with m.Else():
            m.d.sync += [mask.eq(mask & ~lowest), left.eq(left - (left != 0)), few.eq(left <= 2)]
            with m.If(free & ~close):
                m.d.sync += valid.eq(0)

        # Stage 4: the lowest non-zero was popped: its index addresses the weights, its value follows one cycle later.
        index = Signal(4)
        popped = Signal(ACT_BITS)
        row_base = Signal.like(self.weight_row)
        kernel3 = Signal()
        is_signed = Signal()
        m.d.sync += self.weight_read.eq(pop)
        with m.If(pop):
            m.d.sync += [row_base.eq(at.weight_row), kernel3.eq(at.kernel3), is_signed.eq(at.signed_acts)]
            for bit in range(4):
                m.d.sync += index[bit].eq(Cat(lowest[i] for i in range(WORD_NIBBLES) if i >> bit & 1).any())
            for bit in range(ACT_BITS):
                m.d.sync += popped[bit].eq(Cat(lowest[i] & word[i][bit] for i in range(WORD_NIBBLES)).any())
        m.d.comb += self.weight_row.eq(row_base + times_taps(index, kernel3))
        with m.If(self.weight_read):
            m.d.sync += self.act.eq(operand(popped, is_signed))
        with m.Else():
            m.d.sync += self.act.eq(0)
        return m
