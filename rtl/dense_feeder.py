"""The feeder of the dense PE array."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from . import payloads
from .config import MAX_TAPS, WORD_NIBBLES, Config
from .feeder import accept_jobs, first_weight_row, operand, signature_members
from .tap_walker import TapWalker


class DenseFeeder(wiring.Component):
    """Steps all slots together through every (pixel, tap, channel); one channel per slot and cycle.

    A plane of a pixel takes ``channels * taps inside the input strip`` cycles. A plane LOW without channels takes one
    cycle, without an operand; a plane HIGH without channels takes none.
    Source: the DPE of SQ-DM (arXiv 2501.15448).

    Parameters and members: see `feeder.signature_members`.

    Latency: a job's first operand leaves `LATENCY` cycles after it was accepted. Initiation interval: one operand per
    cycle while ``room``, from job to job too. Reset: idle.
    """

    LATENCY = 2

    def __init__(self, config: Config):
        self._config = config
        super().__init__(signature_members(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        job, _running, start = accept_jobs(m, self, payloads.job(config))
        m.submodules.walker = walker = TapWalker(config)
        where = walker.position
        m.d.comb += [walker.job.eq(job), walker.next_job.eq(self.jobs.payload), walker.start.eq(start)]

        # Stage 1: the channel index inside the slot, and with it the rows to read.
        index = Signal(payloads.bits_for(config.max_depth - 1))
        channels = Signal.like(job.channels_low)
        slot_end = Signal()
        word_end = Signal()
        m.d.comb += [
            channels.eq(Mux(where.high, job.channels_high, job.channels_low)),
            slot_end.eq((index + 1 == channels) | where.empty),
            word_end.eq(slot_end | (index[:4] == WORD_NIBBLES - 1)),
        ]
        closes = Signal()
        issue = Signal()
        m.d.comb += [
            closes.eq(word_end & where.pixel_end),
            issue.eq(walker.active & (self.room | ~closes)),
            self.blocked.eq(walker.active & closes & ~self.room),
            walker.step.eq(issue & word_end),
            self.finished.eq(issue & closes & where.job_end),
        ]
        with m.If(issue):
            m.d.sync += index.eq(Mux(slot_end, 0, index + 1))

        row = Signal(payloads.weight_row_bits(config))
        next_row = Signal.like(row)
        m.d.comb += row.eq(Mux(index[:4] == 0, first_weight_row(config, job, where), next_row))
        with m.If(issue):
            m.d.sync += next_row.eq(row + Mux(job.kernel3, MAX_TAPS, 1))

        has_operand = Signal()
        m.d.comb += [
            has_operand.eq(issue & ~where.empty),
            self.act_reads.eq((issue & (index[:4] == 0)).replicate(config.slots)),
            self.weight_reads.eq(has_operand.replicate(config.slots)),
            self.ops.eq(Mux(has_operand, config.slots, 0)),
        ]
        for slot in range(config.slots):
            m.d.comb += [
                self.act_rows[slot].eq(where.row),
                self.weight_rows[slot].eq(row),
            ]

        # Stage 2: the words and weight rows are there; pick the nibble.
        nibble = Signal(4)
        is_signed = Signal()
        m.d.sync += [
            self.step.eq(has_operand),
            self.last.eq(issue & closes),
            self.shift.eq(issue & word_end & where.phase_end & where.high),
        ]
        with m.If(has_operand):
            m.d.sync += [nibble.eq(index[:4]), is_signed.eq(job.signed_acts)]
        for slot in range(config.slots):
            picked = Signal(4, name=f"picked_{slot}")
            m.d.comb += picked.eq(self.act_words[slot][nibble])
            with m.If(self.step):
                m.d.comb += self.acts[slot].eq(operand(picked, is_signed))
        return m
