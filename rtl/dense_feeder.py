"""The feeder of the dense PE array."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from . import payloads
from .config import MAX_TAPS, WORD_NIBBLES, Config
from .feeder import accept_jobs, operand, signature_members
from .tap_walker import TapWalker


class DenseFeeder(wiring.Component):
    """Steps all slots together through every (pixel, tap, channel); one channel per slot and cycle.

    A pixel takes ``channels * taps inside the map`` cycles, or one cycle when ``channels`` is 0.
    Source: the DPE of SQ-DM (arXiv 2501.15448).

    Parameters and members: see `feeder.signature_members`.

    Latency: a job's first operand leaves `LATENCY` cycles after it was accepted. Initiation interval: one operand per
    cycle while ``room``; one idle cycle between jobs. Reset: idle.
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
        m.d.comb += [walker.job.eq(job), walker.start.eq(start)]

        # Stage 1: the channel index inside the slot, and with it the rows to read.
        index = Signal(payloads.bits_for(config.slot_channels - 1))
        slot_end = Signal()
        word_end = Signal()
        m.d.comb += [
            slot_end.eq((index + 1 == job.channels) | (job.channels == 0)),
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

        row = Signal(payloads.row_bits(config.weight_rows))
        next_row = Signal.like(row)
        half = Mux(job.weight_half, config.weight_rows, 0)
        m.d.comb += row.eq(Mux(index == 0, half + where.tap, next_row))
        with m.If(issue):
            m.d.sync += next_row.eq(row + Mux(job.kernel3, MAX_TAPS, 1))

        has_operand = Signal()
        m.d.comb += [
            has_operand.eq(issue & (job.channels != 0)),
            self.act_reads.eq((issue & (index[:4] == 0)).replicate(config.slots)),
            self.weight_reads.eq(has_operand.replicate(config.slots)),
            self.ops.eq(Mux(has_operand, config.slots, 0)),
        ]
        for slot in range(config.slots):
            m.d.comb += [
                self.act_rows[slot].eq(where.row + Mux(job.act_half, config.act_rows, 0)),
                self.weight_rows[slot].eq(row),
            ]

        # Stage 2: the words and weight rows are there; pick the nibble.
        nibble = Signal(4)
        is_signed = Signal()
        m.d.sync += [self.step.eq(has_operand), self.last.eq(issue & closes)]
        with m.If(has_operand):
            m.d.sync += [nibble.eq(index[:4]), is_signed.eq(job.signed_acts)]
        for slot in range(config.slots):
            picked = Signal(4, name=f"picked_{slot}")
            m.d.comb += picked.eq(self.act_words[slot][nibble])
            with m.If(self.step):
                m.d.comb += self.acts[slot].eq(operand(picked, is_signed))
        return m
