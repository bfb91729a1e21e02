"""Stores a channel table to memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import TABLE_ENTRY_BITS, Config


class TableWriter(wiring.Component):
    """Reads the address generator's channel table and writes it to memory, the inverse of `TableReader`.

    Parameters
    ----------
    config : Config

    Members
    -------
    channels, dense_channels : In(range(max_channels + 1))
        Constant while it works; ``channels`` at least 1.
    base : In(32)
        Memory word address of the table.
    start : In(1)
    position, channel : Out, In
        Table read port; the channel is there one cycle after the position.
    writes : Out(stream(payloads.memory_write))
    finished : Out(1)
        One-cycle pulse after the last word was taken.

    Latency: 2 cycles per entry and 1 per word. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        count = payloads.bits_for(config.max_channels)
        entry = payloads.table_write(config)
        super().__init__(
            {
                "channels": In(count),
                "dense_channels": In(count),
                "base": In(32),
                "start": In(1),
                "position": Out(entry["position"].shape),
                "channel": In(entry["channel"].shape),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        per_word = self._config.bus_bits // TABLE_ENTRY_BITS
        word = Signal(data.ArrayLayout(TABLE_ENTRY_BITS, per_word))
        position = Signal.like(self.channels)
        lane = Signal(range(per_word))
        address = Signal(32)
        m.d.comb += [
            self.position.eq(position),
            self.writes.payload.address.eq(address),
            self.writes.payload.data.eq(word),
        ]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [position.eq(0), lane.eq(0), address.eq(self.base), word.eq(self.dense_channels)]
                    m.next = "WRITE"
            with m.State("READ"):
                m.next = "COLLECT"
            with m.State("COLLECT"):
                m.d.sync += [word[lane].eq(self.channel), lane.eq(lane + 1), position.eq(position + 1)]
                with m.If((lane == per_word - 1) | (position == self.channels - 1)):
                    m.next = "WRITE"
                with m.Else():
                    m.next = "READ"
            with m.State("WRITE"):
                m.d.comb += self.writes.valid.eq(1)
                with m.If(self.writes.ready):
                    m.d.sync += [address.eq(address + 1), word.eq(0), lane.eq(0)]
                    with m.If(position == self.channels):
                        m.d.comb += self.finished.eq(1)
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "READ"
        return m
