"""Knows which answers of the memory are still owed, and tells those to requests of before a flush from new ones."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from . import axi


class AnswerTracker(wiring.Component):
    """Counts the owed answers of both IDs and keeps a note for each that is wanted.

    Every flush changes the ID of new requests, so that answers to older ones are recognised and dropped, however late.
    After a second flush the first ID is used again; the memory answers requests of one ID in order, so that as many
    answers as were still owed at that time belong to the old requests and are dropped first. A memory that loses
    answers is thereby noticed by the watchdog, at the latest after two more flushes.

    Parameters
    ----------
    note : Shape
        What to remember about a wanted answer.

    Members
    -------
    expect : In(stream of note)
        An answer will be wanted. Ready while fewer than `axi.OUTSTANDING` are.
    sent : In(0..16)
        Answers of the transaction that goes to the bus in this cycle; 0 in a cycle with `flush`.
    may_send : Out(1)
        So few old answers are owed that new ones can be counted.
    answered : In(1)
        Strobe: the bus gives an answer (rvalid and rready).
    answer_id : In(1)
        Its ID.
    wanted : Out(1)
        The answer is one to the current requests. Combinational from `answer_id` and `flush`.
    note : Out(note)
        Of the oldest wanted answer that was not removed; at least two cycles after it was expected.
    remove : In(1)
        Strobe: forget it.
    flush : In(1)
        Wants nothing any more; the first cycle of a flush changes `identifier`.
    identifier : Out(1)
        ID of new requests.
    empty : Out(1)
        Nothing is wanted.

    Timing: see the members. Reset state: nothing is owed, `identifier` 0.
    """

    def __init__(self, note):
        self._shape = note
        super().__init__(
            {
                "expect": In(stream.Signature(note)),
                "sent": In(range(axi.MAX_BEATS + 1)),
                "may_send": Out(1),
                "answered": In(1),
                "answer_id": In(1),
                "wanted": Out(1),
                "note": Out(note),
                "remove": In(1),
                "flush": In(1),
                "identifier": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Notes of the wanted answers
        width = Value.cast(self.note).shape().width
        fifo = ResetInserter(self.flush)(SyncFIFOBuffered(width=width, depth=axi.OUTSTANDING))
        m.submodules.notes = fifo
        m.d.comb += [
            fifo.w_data.eq(self.expect.payload),
            fifo.w_en.eq(self.expect.valid),
            self.expect.ready.eq(fifo.w_rdy),
            Value.cast(self.note).eq(fifo.r_data),
            fifo.r_en.eq(self.remove),
            self.empty.eq(fifo.level == 0),
        ]

        # Owed answers: at most OUTSTANDING - 1 old and OUTSTANDING wanted ones of an ID
        owed = [Signal(range(2 * axi.OUTSTANDING), name=f"owed_{number}") for number in range(2)]
        left = [Signal(range(2 * axi.OUTSTANDING), name=f"left_{number}") for number in range(2)]
        old = Signal(range(2 * axi.OUTSTANDING))  # of the current ID; they come first
        for number in range(2):
            here = self.answered & (self.answer_id == number) & (owed[number] != 0)
            m.d.comb += left[number].eq(owed[number] - here)
            m.d.sync += owed[number].eq(left[number] + Mux(self.identifier == number, self.sent, 0))
        current = Mux(self.identifier, owed[1], owed[0])
        mine = self.answer_id == self.identifier
        m.d.comb += [
            self.may_send.eq(old < axi.OUTSTANDING),
            self.wanted.eq(mine & (old == 0) & (current != 0) & ~self.flush),
        ]
        with m.If(self.answered & mine & (old != 0)):
            m.d.sync += old.eq(old - 1)

        # Flush: whatever is owed of the ID that comes into use is old
        flushing = Signal()
        following = Signal()
        m.d.sync += flushing.eq(self.flush)
        m.d.comb += following.eq(self.identifier ^ ~flushing)
        with m.If(self.flush):
            m.d.sync += [self.identifier.eq(following), old.eq(Mux(following, left[1], left[0]))]

        return m
