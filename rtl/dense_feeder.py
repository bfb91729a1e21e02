"""The feeder of the dense PE array."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring

from . import payloads
from .config import MAX_TAPS, WORD_NIBBLES, Config
from .feeder import accept_jobs, connect_readings, operand, reading, signature_members
from .stream_register import StreamRegister
from .tap_walker import TapWalker


class DenseFeeder(wiring.Component):
    """Steps all slots together through every (pixel, tap, channel); one channel per slot and cycle.

    A plane of a pixel takes ``channels * taps inside the input strip`` cycles. A plane LOW without channels takes one
    cycle, without an operand; a plane HIGH without channels takes none.
    Source: the DPE of SQ-DM (arXiv 2501.15448).

    Parameters and members: see `feeder.signature_members`.

    Latency: a job's first operand leaves `LATENCY` cycles after it was accepted. Initiation interval: one operand per
    cycle while ``room``, from job to job too unless the last words have less than three channels. Reset: idle.
    """

    LATENCY = 5

    def __init__(self, config: Config):
        self._config = config
        super().__init__(signature_members(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.walker = walker = TapWalker(config)
        m.submodules.words = words = StreamRegister(reading(config))
        job, start = accept_jobs(m, self, [walker])
        connect_readings(m, config, walker, words.source, job)
        where = words.sink.payload
        m.d.comb += [walker.job.eq(job), walker.start.eq(start)]

        # Stage 1: the channel index inside the slot, and with it the rows to read.
        index = Signal(payloads.bits_for(config.max_depth - 1))
        slot_end = Signal()
        word_end = Signal()
        m.d.comb += [
            slot_end.eq(index == where.last_index),
            word_end.eq(slot_end | (index[:4] == WORD_NIBBLES - 1)),
        ]
        closes = Signal()
        issue = Signal()
        m.d.comb += [
            closes.eq(word_end & where.pixel_end),
            issue.eq(words.sink.valid & (self.room | ~closes)),
            self.blocked.eq(words.sink.valid & closes & ~self.room),
            words.sink.ready.eq(issue & word_end),
            self.closes.eq(issue & closes),
        ]
        with m.If(issue):
            m.d.sync += index.eq(Mux(slot_end, 0, index + 1))

        row = Signal(payloads.weight_row_bits(config))
        next_row = Signal.like(row)
        m.d.comb += row.eq(Mux(index[:4] == 0, where.weight_row, next_row))
        with m.If(issue):
            m.d.sync += next_row.eq(row + Mux(where.kernel3, MAX_TAPS, 1))

        # Stage 2: the activation words are there; a quarter of each is kept. The weight rows are read.
        has_operand = Signal()
        nibble = Signal(4)
        is_signed = Signal()
        weight_row = Signal.like(row)
        closed = Signal()
        shifted = Signal()
        m.d.comb += self.act_reads.eq((issue & (index[:4] == 0)).replicate(config.slots))
        m.d.sync += [
            has_operand.eq(issue & ~where.empty),
            closed.eq(self.closes),
            shifted.eq(issue & word_end & where.phase_end & where.high),
            self.finished.eq(self.closes & where.job_end),
        ]
        with m.If(issue):
            m.d.sync += [nibble.eq(index[:4]), is_signed.eq(where.signed_acts), weight_row.eq(row)]
        m.d.comb += [
            self.weight_reads.eq(has_operand.replicate(config.slots)),
            self.ops.eq(Mux(has_operand, config.slots, 0)),
        ]

        # Stage 3: the weight rows are there; pick the nibble.
        place = Signal(2)
        has_sign = Signal()
        m.d.sync += [
            self.step.eq(has_operand),
            self.last.eq(closed),
            self.shift.eq(shifted),
            place.eq(nibble[2:]),
            has_sign.eq(is_signed),
        ]
        for slot in range(config.slots):
            quarter = Signal(WORD_NIBBLES, name=f"quarter_{slot}")  # the nibbles with these low index bits
            word = self.act_words[slot].as_value()
            for group in range(4):
                m.d.sync += quarter.word_select(group, 4).eq(word.word_select(Cat(nibble[:2], Const(group, 2)), 4))
            m.d.comb += [self.act_rows[slot].eq(where.row), self.weight_rows[slot].eq(weight_row)]
            with m.If(self.step):
                m.d.comb += self.acts[slot].eq(operand(quarter.word_select(place, 4), has_sign))
        return m
