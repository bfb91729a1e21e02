"""Stores a plane's channel table to memory."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, TABLE_ENTRY_BITS, Config


class TableWriter(wiring.Component):
    """Keeps the channel table of the plane that was sorted last and writes it to memory, the inverse of `TableReader`.

    Parameters
    ----------
    config : Config

    Members
    -------
    table_writes : In(stream(payloads.table_write), always ready)
        What the sparsity detector gives out; not while the table is being stored. `plane` is not used: there is one
        table at a time.
    channels, dense_channels : In(range(max_channels + 1))
        Constant while it works; ``channels`` at least 1.
    base : In(32)
        Memory word address of the plane's table; read with ``start``.
    start : In(1)
        Ignored while it works.
    writes : Out(stream(payloads.memory_write))
        The word with `dense_channels`, then the entries: channel in the low and count in the high half of 32 bits.
    finished : Out(1)
        One-cycle pulse with the transfer of the last word.

    Latency: the first word 1 cycle after ``start``. Initiation interval: 1 entry per cycle, so bus_bits / 32 cycles per
    word. Reset: idle; the table keeps its content.
    """

    def __init__(self, config: Config):
        self._config = config
        count = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "table_writes": In(stream.Signature(payloads.table_write(config), always_ready=True)),
                "channels": In(count),
                "dense_channels": In(count),
                "base": In(payloads.ADDRESS_BITS),
                "start": In(1),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        per_word = config.bus_bits // TABLE_ENTRY_BITS
        channel_bits = payloads.bits_for(config.max_channels - 1)
        entry = data.StructLayout({"channel": channel_bits, "count": COUNT_BITS})
        m.submodules.table = table = memory.Memory(shape=entry, depth=config.max_channels, init=[])
        table_write = table.write_port()
        table_read = table.read_port()
        written = self.table_writes.payload
        m.d.comb += [
            table_write.addr.eq(written.position),
            table_write.data.channel.eq(written.channel),
            table_write.data.count.eq(written.count),
            table_write.en.eq(self.table_writes.valid),
        ]

        # Stage 1: read an entry. Stage 2: put it into the word; a complete word leaves once the one before is gone.
        position = Signal.like(self.channels)
        issue = Signal()
        valid = Signal()
        last = Signal()
        lane = Signal(range(per_word))
        collected = [Signal(TABLE_ENTRY_BITS, name=f"collected_{i}") for i in range(per_word - 1)]
        packed = Cat(table_read.data.channel, Const(0, COUNT_BITS - channel_bits), table_read.data.count)
        lanes = [Mux(lane == i, packed, word) for i, word in enumerate(collected)]
        lanes.append(Mux(lane == per_word - 1, packed, 0))
        complete = Signal()
        free = Signal()
        advance = Signal()
        out_last = Signal()
        idle = Signal(init=1)
        m.d.comb += [
            issue.eq(~idle & (position != self.channels)),
            table_read.addr.eq(position),
            table_read.en.eq(advance & issue),
            complete.eq(valid & (last | (lane == per_word - 1))),
            free.eq(~self.writes.valid | self.writes.ready),
            advance.eq(~complete | free),
            self.finished.eq(self.writes.valid & self.writes.ready & out_last),
        ]
        with m.If(free):
            m.d.sync += self.writes.valid.eq(complete)
        with m.If(advance):
            m.d.sync += [valid.eq(issue), last.eq(position == self.channels - 1)]
            with m.If(issue):
                m.d.sync += position.eq(position + 1)
            with m.If(valid):
                m.d.sync += [lane.eq(Mux(complete, 0, lane + 1)), out_last.eq(last)]
                for word, value in zip(collected, lanes, strict=False):
                    m.d.sync += word.eq(Mux(complete, 0, value))
            with m.If(complete):
                m.d.sync += self.writes.payload.address.eq(self.writes.payload.address + 1)
                m.d.sync += self.writes.payload.data.eq(Cat(*lanes))
        with m.If(self.finished):
            m.d.sync += idle.eq(1)
        with m.If(idle & self.start):
            m.d.sync += [
                idle.eq(0),
                position.eq(0),
                out_last.eq(0),
                self.writes.valid.eq(1),
                self.writes.payload.address.eq(self.base),
                self.writes.payload.data.eq(self.dense_channels),
            ]
        return m
