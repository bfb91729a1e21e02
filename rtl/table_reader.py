"""Unpacks a channel table that comes from memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import TABLE_ENTRY_BITS, Config


class TableReader(wiring.Component):
    """Takes the memory words of a channel table and writes its entries one by one.

    Layout: word 0 holds the number of dense channels, then the channels in running order (docs/architecture.md).

    Parameters
    ----------
    config : Config

    Members
    -------
    channels : In(range(max_channels + 1))
        Entries of the table, at least 1; constant from ``start`` on.
    start : In(1)
        The next word is word 0.
    words : In(stream(bus_bits))
    table_writes : Out(stream(payloads.table_write), always ready)
    dense_channels : Out(range(max_channels + 1))
    bad : Out(1)
        An entry is out of range or was there before, or there are more dense channels than channels. Such an entry
        is written as channel 0.
    finished : Out(1)
        One-cycle pulse after the last entry was written.

    Latency: 1 cycle per entry; a word is taken with its last entry. Reset: waits for ``start``.
    """

    def __init__(self, config: Config):
        self._config = config
        count = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "channels": In(count),
                "start": In(1),
                "words": In(stream.Signature(config.bus_bits)),
                "table_writes": Out(stream.Signature(payloads.table_write(config), always_ready=True)),
                "dense_channels": Out(count),
                "bad": Out(1),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        per_word = self._config.bus_bits // TABLE_ENTRY_BITS
        entries = data.ArrayLayout(TABLE_ENTRY_BITS, per_word)(self.words.payload)
        position = Signal.like(self.channels)
        lane = Signal(range(per_word))
        entry = Signal(TABLE_ENTRY_BITS)
        seen = Signal(self._config.max_channels)  # C entries in range, each seen once, are all channels
        legal = Signal()
        m.d.comb += [
            entry.eq(entries[lane]),
            legal.eq((entry < self.channels) & ~seen.bit_select(entry[: len(position)], 1)),
            self.table_writes.payload.position.eq(position),
        ]
        with m.If(legal):
            m.d.comb += self.table_writes.payload.channel.eq(entry)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [position.eq(0), lane.eq(0), self.bad.eq(0), seen.eq(0)]
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += self.words.ready.eq(1)
                with m.If(self.words.valid):
                    m.d.sync += [self.dense_channels.eq(entries[0]), self.bad.eq(entries[0] > self.channels)]
                    m.next = "ENTRIES"
            with m.State("ENTRIES"):
                last = position == self.channels - 1
                m.d.comb += [
                    self.table_writes.valid.eq(self.words.valid),
                    self.words.ready.eq(last | (lane == per_word - 1)),
                ]
                with m.If(self.words.valid):
                    m.d.sync += [position.eq(position + 1), lane.eq(lane + 1)]
                    with m.If(legal):
                        m.d.sync += seen.bit_select(entry[: len(position)], 1).eq(1)
                    with m.Else():
                        m.d.sync += self.bad.eq(1)
                    with m.If(last):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.finished.eq(1)
                m.next = "IDLE"
        return m
