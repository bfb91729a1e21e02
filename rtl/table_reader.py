"""Unpacks the channel tables that come from memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, TABLE_ENTRY_BITS, Config


def clamp_dense(config: Config, dense, channels, slot_channels):
    """`dense` limited so that no slot gets more than `slot_channels` channels of a plane: an Amaranth expression.

    Without dense (sparse) arrays it is 0 (`channels`). `channels` must not exceed `slot_channels` times all slots.
    """
    if config.dense_arrays == 0:
        return 0
    if config.sparse_arrays == 0:
        return channels
    least = channels - slot_channels * config.sparse_slots
    most = slot_channels * config.dense_slots
    return Mux(dense < least, least, Mux(dense > most, most, dense))[: payloads.bits_for(config.max_channels)]


class TableReader(wiring.Component):
    """Takes the memory words of a layer's channel tables and writes their entries one by one.

    Layout: word 0 of a table holds the number of dense channels, then follow 32-bit entries in running order, each the
    channel in the low and its count in the high half; the table of the plane HIGH comes first, if there is one
    (docs/architecture.md). The counts are not used.

    Parameters
    ----------
    config : Config

    Members
    -------
    channels : In(range(max_channels + 1))
        Entries of each table, at least 1.
    slot_channels : In(range(max_depth + 1))
        No slot may get more channels of a plane: `dense_low` and `dense_high` are limited accordingly.
    two_planes : In(1)
        There are two tables. Constant from ``start`` to ``finished``, as `channels` and `slot_channels` are.
    start : In(1)
        The next word is word 0 of the first table.
    words : In(stream(bus_bits))
    table_writes : Out(stream(payloads.table_write), always ready)
        `count` is 0.
    dense_low, dense_high : Out(range(max_channels + 1))
        Dense channels of each plane; a configuration without dense (sparse) arrays gives 0 (``channels``).
        ``dense_high`` has no meaning without `two_planes`.
    bad : Out(1)
        Since ``start`` an entry was out of range or was there before, or a table had more dense channels than channels.
        Such an entry is written as channel 0.
    finished : Out(1)
        One-cycle pulse after the last entry was written.

    Latency: 1 cycle per entry and 1 per table, 3 more until the last entry is checked; a word is taken with its last
    entry. Reset: waits for ``start``.
    """

    def __init__(self, config: Config):
        self._config = config
        count = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "channels": In(count),
                "slot_channels": In(payloads.bits_for(config.max_depth)),
                "two_planes": In(1),
                "start": In(1),
                "words": In(stream.Signature(config.bus_bits)),
                "table_writes": Out(stream.Signature(payloads.table_write(config), always_ready=True)),
                "dense_low": Out(count),
                "dense_high": Out(count),
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
        plane = Signal()
        channel = Signal(COUNT_BITS)
        header = Signal(COUNT_BITS)
        seen = Signal(self._config.max_channels)  # C entries in range, each seen once, are all channels
        found = Signal(COUNT_BITS)
        legal = Signal()
        m.d.comb += [
            channel.eq(entries[lane]),
            header.eq(entries[0]),
        ]
        # An entry is looked up the cycle after it was taken, and written one later.
        taken = Signal()
        looked_up = Signal()
        entry = Signal(COUNT_BITS)
        entry_at = Signal.like(position)
        entry_plane = Signal()
        fresh = Signal()
        written = self.table_writes
        m.d.sync += [
            looked_up.eq(taken),
            entry.eq(channel),
            entry_at.eq(position),
            entry_plane.eq(plane),
            written.valid.eq(looked_up),
            legal.eq(fresh & (entry < self.channels)),
            found.eq(entry),
            written.payload.position.eq(entry_at),
            written.payload.plane.eq(entry_plane),
        ]
        m.d.comb += [
            fresh.eq(~seen.bit_select(entry[: len(position)], 1)),
            written.payload.channel.eq(Mux(legal, found, 0)),
        ]
        with m.If(looked_up):
            m.d.sync += seen.bit_select(entry[: len(position)], 1).eq(1)
        with m.If(written.valid & ~legal):
            m.d.sync += self.bad.eq(1)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [plane.eq(self.two_planes), self.bad.eq(0)]
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += self.words.ready.eq(1)
                m.d.sync += [position.eq(0), lane.eq(0), seen.eq(0)]
                with m.If(self.words.valid):
                    dense = clamp_dense(self._config, header, self.channels, self.slot_channels)
                    with m.If(plane == payloads.HIGH):
                        m.d.sync += self.dense_high.eq(dense)
                    with m.Else():
                        m.d.sync += self.dense_low.eq(dense)
                    with m.If(header > self.channels):
                        m.d.sync += self.bad.eq(1)
                    m.next = "ENTRIES"
            with m.State("ENTRIES"):
                last = position == self.channels - 1
                m.d.comb += [
                    taken.eq(self.words.valid),
                    self.words.ready.eq(last | (lane == per_word - 1)),
                ]
                with m.If(self.words.valid):
                    m.d.sync += [position.eq(position + 1), lane.eq(lane + 1)]
                    with m.If(last):
                        m.d.sync += plane.eq(payloads.LOW)
                        m.next = "LAST"
                        with m.If(plane == payloads.HIGH):
                            m.next = "HEADER"
            with m.State("LAST"):
                with m.If(~looked_up & ~written.valid):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.finished.eq(1)
                m.next = "IDLE"
        return m
