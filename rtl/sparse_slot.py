"""One slot of the sparse feeder: finds the non-zero activations of a pixel's planes."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import ACT_BITS, WORD_NIBBLES, Config
from .feeder import first_weight_row, operand, times_taps
from .tap_walker import TapWalker


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
    job, next_job, start : In(payloads.job), In(payloads.job), In(1)
        As for `TapWalker`.
    advance : In(1)
        All slots are ``done``: go on to the next phase.
    done : Out(1)
        The last non-zero of the phase is popped in this cycle or was popped before.
    pixel_end, job_end : Out(1), Out(1)
        With ``done``: this was the pixel's last phase, the job's last pixel.
    act_row, act_read, act_word : Out, Out(1), In(16 x 4)
        Activation buffer; the word is there one cycle after the read and stays.
    weight_row, weight_read : Out, Out(1)
        Weight row of the popped activation.
    act : Out(signed(5))
        The popped activation, one cycle after ``weight_read``; 0 in all other cycles.

    Latency: first pop 3 cycles after ``start``. Initiation interval: one non-zero per cycle; a word of which all 16 are
    zero takes one cycle at most. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "job": In(payloads.job(config)),
                "next_job": In(payloads.job(config)),
                "start": In(1),
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
        m.d.comb += [walker.job.eq(job), walker.next_job.eq(self.next_job), walker.start.eq(self.start)]

        # Stage 1: read the next word as soon as the buffer's output is free.
        fetched = Signal()  # the buffer's output holds a word that was not taken yet
        fetched_at = Signal.like(walker.position)
        take = Signal()
        m.d.comb += [
            self.act_read.eq(walker.active & (~fetched | take)),
            self.act_row.eq(walker.position.row),
            walker.step.eq(self.act_read),
        ]
        with m.If(self.act_read):
            m.d.sync += [fetched.eq(1), fetched_at.eq(walker.position)]
        with m.Elif(take):
            m.d.sync += fetched.eq(0)

        # Stage 2: the current word and the mask of its non-zeros that were not popped yet.
        nonzero = Signal(WORD_NIBBLES)
        m.d.comb += nonzero.eq(
            Cat(self.act_word[i].any() for i in range(WORD_NIBBLES)) & (~fetched_at.empty).replicate(WORD_NIBBLES)
        )
        valid = Signal()
        mask = Signal(WORD_NIBBLES)
        word = Signal(payloads.activation_word())
        row_base = Signal.like(self.weight_row)
        phase_end = Signal()

        rest = Signal(WORD_NIBBLES)  # the mask after this cycle's pop
        free = Signal()
        m.d.comb += [
            rest.eq(mask & (mask - 1)),
            self.done.eq(valid & phase_end & (rest == 0)),
            free.eq(~valid | ((rest == 0) & ~phase_end) | self.advance),
        ]
        load = Signal()
        close = Signal()  # an empty last word only marks the current one as the phase's last
        m.d.comb += [
            load.eq(fetched & free & (nonzero.any() | fetched_at.phase_end) & ~close),
            close.eq(fetched & (nonzero == 0) & fetched_at.phase_end & valid & ~phase_end),
            take.eq(load | close | (fetched & (nonzero == 0) & ~fetched_at.phase_end)),
        ]
        with m.If(load | close):
            m.d.sync += [
                phase_end.eq(fetched_at.phase_end),
                self.pixel_end.eq(fetched_at.pixel_end),
                self.job_end.eq(fetched_at.job_end),
            ]
        with m.If(load):
            m.d.sync += [
                valid.eq(1),
                mask.eq(nonzero),
                word.eq(self.act_word),
                row_base.eq(first_weight_row(config, job, fetched_at)),
            ]
        with m.Else():
            m.d.sync += mask.eq(rest)
            with m.If(free & ~close):
                m.d.sync += valid.eq(0)

        # Pop the lowest non-zero: its index addresses the weights, its value follows one cycle later.
        lowest = Signal(WORD_NIBBLES)
        index = Signal(4)
        popped = Signal(ACT_BITS)
        m.d.comb += [
            lowest.eq(mask & ~(mask - 1)),
            self.weight_read.eq(valid & mask.any()),
            self.weight_row.eq(row_base + times_taps(index, job.kernel3)),
        ]
        for bit in range(4):
            m.d.comb += index[bit].eq(Cat(lowest[i] for i in range(WORD_NIBBLES) if i >> bit & 1).any())
        for bit in range(ACT_BITS):
            m.d.comb += popped[bit].eq(Cat(lowest[i] & word[i][bit] for i in range(WORD_NIBBLES)).any())
        with m.If(self.weight_read):
            m.d.sync += self.act.eq(operand(popped, job.signed_acts))
        with m.Else():
            m.d.sync += self.act.eq(0)
        return m
