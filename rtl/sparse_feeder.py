"""The feeder of the sparse PE array."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from .config import Config
from .feeder import accept_jobs, signature_members
from .sparse_slot import SparseSlot


class SparseFeeder(wiring.Component):
    """Lets every slot jump from non-zero to non-zero on its own; a phase ends when the slowest slot ends.

    The slots meet at the end of each phase, a plane of an output pixel, because they share the lanes' accumulators.
    Source: the SPE of SQ-DM.

    Parameters and members: see `feeder.signature_members`.

    Latency: a job's first operand leaves `LATENCY` cycles after it was accepted; the next job is accepted while the
    words of this one are still being popped. Initiation interval: as `SparseSlot`, while ``room``. Reset: idle.
    """

    LATENCY = 8

    def __init__(self, config: Config):
        self._config = config
        super().__init__(signature_members(config))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        slots = [SparseSlot(config) for _ in range(config.slots)]
        job, start = accept_jobs(m, self, slots)

        all_done = Signal()
        advance = Signal()
        pixel_end = slots[0].pixel_end  # all slots are in the same phase
        m.d.comb += [
            all_done.eq(Cat(slot.done for slot in slots).all()),
            advance.eq(all_done & (self.room | ~pixel_end)),
            self.blocked.eq(all_done & pixel_end & ~self.room),
            self.closes.eq(advance & pixel_end),
        ]
        for number, slot in enumerate(slots):
            m.submodules[f"slot_{number}"] = slot
            m.d.comb += [
                slot.job.eq(job),
                slot.start.eq(start),
                slot.advance.eq(advance),
                self.act_rows[number].eq(slot.act_row),
                self.act_reads[number].eq(slot.act_read),
                slot.act_word.eq(self.act_words[number]),
                self.weight_rows[number].eq(slot.weight_row),
                self.weight_reads[number].eq(slot.weight_read),
                self.acts[number].eq(slot.act),
            ]
        m.d.comb += self.ops.eq(sum(slot.weight_read for slot in slots))

        # One cycle for the rows of the popped operands, one to read them
        closed = Signal()
        shifted = Signal()
        m.d.sync += [
            closed.eq(self.closes),
            shifted.eq(advance & ~pixel_end),
            self.finished.eq(self.closes & slots[0].job_end),
            self.step.eq(self.weight_reads.any()),
            self.last.eq(closed),
            self.shift.eq(shifted),
        ]
        return m
