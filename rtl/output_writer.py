"""Merges output words and statistics into memory writes and tells when a layer is in memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .plane_walker import placed_word


class OutputWriter(wiring.Component):
    """Writes the words that exist, drops the others, and lets the entries of the statistics go first.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    words : In(stream of placed_word)
        All words of a layer, the last one marked `end`. Words outside a layer are not taken.
    entries : In(stream of payloads.memory_write)
        Statistics; taken before a word that waits.
    pending : In(1)
        There are, or may come, further entries from words that were taken.
    start : In(1)
        Strobe: a layer begins, from any state; drops a write that waits.
    writes : Out(stream of payloads.memory_write)
        Memory writes; a register.
    finished : Out(1)
        1 when all words and entries since `start` have been accepted, at most two cycles after the last one; 1 after
        reset.

    Timing: latency `LATENCY`, initiation interval 1.
    """

    LATENCY = 1  #: cycles from a word to its memory write

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "words": In(stream.Signature(placed_word(config))),
                "entries": In(stream.Signature(payloads.memory_write(config))),
                "pending": In(1),
                "start": In(1),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "finished": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        room = Signal()
        ended = Signal(init=1)  # the last word was taken
        word = self.words.payload
        m.d.comb += [
            room.eq(~self.writes.valid | self.writes.ready),
            self.entries.ready.eq(room),
            self.words.ready.eq(~ended & (~word.exists | (room & ~self.entries.valid))),
        ]
        with m.If(room):
            m.d.sync += self.writes.valid.eq(self.entries.valid | (self.words.valid & ~ended & word.exists))
            with m.If(self.entries.valid):
                m.d.sync += self.writes.payload.eq(self.entries.payload)
            with m.Else():
                m.d.sync += [self.writes.payload.address.eq(word.address), self.writes.payload.data.eq(word.word)]

        with m.If(self.words.valid & self.words.ready & word.end):
            m.d.sync += ended.eq(1)
        with m.If(ended & ~self.pending & room & ~self.entries.valid):
            m.d.sync += self.finished.eq(1)
        with m.If(self.start):
            m.d.sync += [ended.eq(0), self.finished.eq(0), self.writes.valid.eq(0)]

        return m
