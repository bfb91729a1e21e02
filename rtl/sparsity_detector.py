"""Counts the non-zeros of every channel and sorts the channels into dense and sparse ones."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import BALANCE_SHIFT, BUCKETS, COUNT_BITS, WORD_NIBBLES, Config, ceil_div
from .payloads import PolicyShape
from .table_reader import clamp_dense

KEYS = 2 * BUCKETS  # a channel's key: its bucket, with policy THRESHOLD the dense flag on top


def population(bits: list):
    """How many of the bits are 1: a tree of adders as wide as needed."""
    while len(bits) > 1:
        bits = [sum(bits[index + 1 : index + 2], bits[index]) for index in range(0, len(bits), 2)]
    return bits[0]


class SparsityDetector(wiring.Component):
    """Counts non-zeros per plane and channel and, on command, counting-sorts a plane's channels in descending order.

    A channel has the key ``min(count >> count_shift, 31)``, plus 32 if ``count > sparse_count`` with policy THRESHOLD;
    ties go by channel number. docs/architecture.md, "Sorting", defines `labels.dense_channels` for each policy; it is
    then limited so that no slot gets more than `slot_channels` channels. Paper: the temporal sparsity detector.

    Four passes share one pipeline (counts memory, key, histogram memory): clear the histogram, count the keys, turn
    them into first positions, give every channel its position. Policy BALANCED then walks the sorted counts.

    Parameters
    ----------
    config : Config
        The accelerator. Without dense (sparse) arrays `dense_channels` is always 0 (all channels).

    Members
    -------
    words : In(always-ready stream of payloads.counted_word)
        Activations to count, in any order; `first` restarts the count of that plane's channel. Dropped from a command
        to its labels.
    commands : In(stream of payloads.sort_command)
        Taken at the end of the sort, in the cycle before `labels` becomes valid.
    table_writes : Out(always-ready stream of payloads.table_write)
        One entry per position with the command's plane and the channel's count, channels ascending.
    labels : Out(stream of payloads.labels)
        After the last table write.

    Timing: `LATENCY` from a word to its count, initiation interval 1. `labels` is valid `sort_cycles(channels)` cycles
    after the command, BALANCED at most 2 * channels + 1 later. Counts are undefined until a `first` word; they do not
    overflow, because the pixels of all images fit COUNT_BITS (`Config`).
    """

    LATENCY = 2  #: cycles from a word to its count in memory
    PASS_CYCLES = 4  #: cycles of a pass beyond one per item

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "words": In(stream.Signature(payloads.counted_word(config), always_ready=True)),
                "commands": In(stream.Signature(payloads.sort_command(config))),
                "table_writes": Out(stream.Signature(payloads.table_write(config), always_ready=True)),
                "labels": Out(stream.Signature(payloads.labels(config))),
            }
        )

    @classmethod
    def sort_cycles(cls, channels: int) -> int:
        """Cycles from a valid command to its labels, except for policy BALANCED."""
        return 2 * (KEYS + cls.PASS_CYCLES) + 2 * (channels + cls.PASS_CYCLES) + 2

    def elaborate(self, platform):
        config = self._config
        command = self.commands.payload
        channel_bits = payloads.bits_for(config.max_channels - 1)
        position_bits = payloads.bits_for(config.max_channels)
        sum_bits = payloads.bits_for(config.max_channels * ((1 << COUNT_BITS) - 1))
        m = Module()

        # Counts of both planes, those of the plane HIGH in the upper half
        m.submodules.counts = counts = Memory(shape=COUNT_BITS, depth=2 << channel_bits, init=[])
        counts_write = counts.write_port()
        counts_read = counts.read_port(transparent_for=(counts_write,))
        m.submodules.histogram = histogram = Memory(shape=position_bits, depth=KEYS, init=[])
        histogram_write = histogram.write_port()
        histogram_read = histogram.read_port(transparent_for=(histogram_write,))

        idle = Signal()
        by_channel = Signal()  # the pass is over channels, otherwise over keys, descending
        scatter = Signal()  # the pass gives positions

        # Stage 1: read the channel's count
        index = Signal(range(max(config.max_channels, KEYS) + 1))
        items = Signal.like(index)
        issue = Signal()
        counted = Cat(self.words.payload.channel, self.words.payload.plane)
        m.d.comb += [
            items.eq(Mux(by_channel, command.channels, KEYS)),
            issue.eq(~idle & (index != items)),
            counts_read.addr.eq(Mux(idle, counted, Cat(index[:channel_bits], command.plane))),
        ]

        # Stage 2 of words: add
        word_valid = Signal()
        word_first = Signal()
        word_channel = Signal(channel_bits + 1)
        word_count = Signal(range(WORD_NIBBLES + 1))
        m.d.sync += [
            word_valid.eq(self.words.valid & idle),
            word_first.eq(self.words.payload.first),
            word_channel.eq(counted),
            word_count.eq(population([nibble.any() for nibble in self.words.payload.word])),
        ]
        m.d.comb += [
            counts_write.addr.eq(word_channel),
            counts_write.data.eq(Mux(word_first, 0, counts_read.data) + word_count),
            counts_write.en.eq(word_valid),
        ]

        # Stage 2 of a pass: the count is there. Stage 3: key, read the histogram
        count_valid = Signal()
        count_index = Signal.like(index)
        count = Signal(COUNT_BITS)
        key_valid = Signal()
        key_index = Signal.like(index)
        shifted = Signal(COUNT_BITS)
        bucket = Signal(range(BUCKETS))
        dense = Signal()
        m.d.sync += [
            count_valid.eq(issue), count_index.eq(index),
            key_valid.eq(count_valid), key_index.eq(count_index), count.eq(counts_read.data),
        ]  # fmt: skip
        m.d.comb += [
            shifted.eq(count >> command.count_shift),
            bucket.eq(Mux(shifted >= BUCKETS, BUCKETS - 1, shifted)),
            dense.eq((command.policy == PolicyShape.THRESHOLD) & (count > command.sparse_count)),
            histogram_read.addr.eq(Mux(by_channel, Cat(bucket, dense), ~key_index)),
        ]

        # Stage 4 of a pass: update the histogram
        entry_valid = Signal()
        entry_key = Signal(range(KEYS))
        entry_channel = Signal(channel_bits)
        entry_count = Signal(COUNT_BITS)
        positions = Signal(position_bits)  # channels with a greater key
        m.d.sync += [
            entry_valid.eq(key_valid),
            entry_key.eq(histogram_read.addr),
            entry_channel.eq(key_index),
            entry_count.eq(count),
        ]
        m.d.comb += [
            histogram_write.addr.eq(entry_key),
            histogram_write.en.eq(entry_valid),
            self.table_writes.payload.plane.eq(command.plane),
            self.table_writes.payload.position.eq(histogram_read.data),
            self.table_writes.payload.channel.eq(entry_channel),
            self.table_writes.payload.count.eq(entry_count),
            self.table_writes.valid.eq(scatter & entry_valid),
        ]

        pass_end = Signal()
        m.d.comb += pass_end.eq(~issue & ~count_valid & ~key_valid & ~entry_valid)
        with m.If(idle | pass_end):
            m.d.sync += index.eq(0)
        with m.Elif(issue):
            m.d.sync += index.eq(index + 1)

        nonzeros = Signal(sum_bits)
        dense_channels = Signal(position_bits)
        m.d.comb += [self.labels.payload.dense_channels.eq(dense_channels), self.labels.payload.nonzeros.eq(nonzeros)]
        both = config.dense_arrays > 0 and config.sparse_arrays > 0
        walking = Signal()
        walk_end = Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += idle.eq(1)
                m.d.sync += [nonzeros.eq(0), positions.eq(0)]
                m.d.sync += dense_channels.eq(Mux(command.policy == PolicyShape.DENSE, command.channels, 0))
                with m.If(self.commands.valid):
                    m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.comb += histogram_write.data.eq(0)
                with m.If(pass_end):
                    m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += by_channel.eq(1)
                m.d.comb += histogram_write.data.eq(histogram_read.data + 1)
                with m.If(key_valid):
                    m.d.sync += nonzeros.eq(nonzeros + count)
                    m.d.sync += dense_channels.eq(dense_channels + dense)
                with m.If(pass_end):
                    m.next = "POSITIONS"
            with m.State("POSITIONS"):
                m.d.comb += histogram_write.data.eq(positions)
                with m.If(entry_valid):
                    m.d.sync += positions.eq(positions + histogram_read.data)
                with m.If(pass_end):
                    m.next = "SCATTER"
            with m.State("SCATTER"):
                m.d.comb += [by_channel.eq(1), scatter.eq(1)]
                m.d.comb += histogram_write.data.eq(histogram_read.data + 1)
                with m.If(pass_end):
                    m.next = "END"
                    with m.If(command.policy == PolicyShape.BALANCED):
                        m.next = "WALK" if both else "END"
            with m.State("WALK"):
                m.d.comb += walking.eq(1)
                with m.If(walk_end):
                    m.next = "END"
            with m.State("END"):
                m.d.comb += self.commands.ready.eq(1)
                clamped = clamp_dense(config, dense_channels, command.channels, command.slot_channels)
                m.d.sync += dense_channels.eq(clamped)
                m.next = "LABELS"
            with m.State("LABELS"):
                m.d.comb += self.labels.valid.eq(1)
                with m.If(self.labels.ready):
                    m.next = "IDLE"
        if both:
            m.d.comb += walk_end.eq(self._walk(m, walking, nonzeros, dense_channels))

        return m

    def _walk(self, m: Module, walking, nonzeros, dense_channels):
        """Policy BALANCED, while `walking`: dense_channels grows by Md while the sparse arrays work longer.

        Returns 1 in the last cycle.
        """
        config = self._config
        command = self.commands.payload
        entry = self.table_writes

        # The dense arrays' work, (dense_channels / Md + 1) * pixels * Ms, grows by pixels * Ms per Md channels
        steps = ceil_div(config.max_channels, config.dense_slots) + 1
        step = Signal(range(((1 << COUNT_BITS) - 1) * config.sparse_slots + 1))
        work_dense = Signal(range(((1 << COUNT_BITS) - 1) * config.sparse_slots * steps + 1))
        rest = Signal.like(nonzeros)  # sum of the counts at positions >= dense_channels
        full = Signal.like(nonzeros)  # what it would be without zeros
        waiting = Signal(len(rest) + 1)
        work_sparse = Signal.like(waiting)  # a slot waits for the slowest one only where there are zeros
        m.d.comb += [waiting.eq(rest + (rest >> BALANCE_SHIFT)), work_sparse.eq(Mux(waiting < full, waiting, full))]
        slot = Signal(range(config.dense_slots))
        m.d.comb += step.eq(command.pixels * config.sparse_slots)

        # Counts by position, written while the positions are given
        m.submodules.sorted_counts = memory = Memory(shape=COUNT_BITS, depth=config.max_channels, init=[])
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(entry.payload.position),
            write.data.eq(entry.payload.count),
            write.en.eq(entry.valid),
            read.addr.eq(dense_channels),
        ]
        with m.If(entry.valid):
            m.d.sync += [rest.eq(nonzeros), work_dense.eq(step), full.eq(full + command.pixels)]
        with m.If(self.commands.ready):  # the end of every sort, also of one that does not walk
            m.d.sync += full.eq(0)

        end = Signal()
        with m.FSM(name="walk"):
            with m.State("COMPARE"):
                m.d.sync += slot.eq(0)
                with m.If(walking):
                    with m.If((dense_channels != command.channels) & (work_dense < work_sparse)):
                        m.d.sync += work_dense.eq(work_dense + step)
                        m.next = "SUBTRACT"
                    with m.Else():
                        m.d.comb += end.eq(1)
            with m.State("SUBTRACT"):
                m.d.sync += [
                    rest.eq(rest - read.data),
                    full.eq(full - command.pixels),
                    dense_channels.eq(dense_channels + 1),
                    slot.eq(slot + 1),
                ]
                m.next = "READ"
                with m.If((slot == config.dense_slots - 1) | (dense_channels + 1 == command.channels)):
                    m.next = "COMPARE"
            with m.State("READ"):
                m.next = "SUBTRACT"
        return end
