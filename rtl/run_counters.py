"""Counts what the cycles of a program were spent on."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .registers import COUNTERS

COUNTER_BITS = 32
COUNTED = tuple(name.lower() for name in COUNTERS)

#: Why no array multiplies; the first that holds is charged, else OTHER. ``running`` (a job is under way, its pipeline
#: fills) counts as OTHER, ``blocked`` and ``draining`` as OUTPUT.
CAUSES = ("blocked", "running", "waits_weights", "waits_acts", "mapping", "draining", "detecting")


class RunCounters(wiring.Component):
    """One counter per register CYCLES .. NONZEROS; each cycle without work is charged to exactly one cause.

    Parameters
    ----------
    config : Config

    Members
    -------
    clear, busy, counting : In(1)
        A program begins: all counters to 0. A program runs: reads and writes are counted. It does not wait for the
        host: cycles are.
    ops : In(arrays x range(slots + 1))
        `PeArray.ops`, dense arrays first.
    blocked, running, waits_weights, waits_acts, mapping, draining, detecting : In(1)
        See `CAUSES`.
    read, write : In(1)
        A memory word is requested, written.
    added_dense_channels, added_nonzeros : In(32)
        Added in every cycle: 0 but for one cycle of a layer.
    One Out(32) per counter, named like the register in lower case.

    Latency: 1 cycle. Overflow: wraps. Reset: 0.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {name: In(1) for name in ("clear", "busy", "counting", *CAUSES, "read", "write")}
            | {"ops": In(data.ArrayLayout(range(config.slots + 1), config.arrays))}
            | {"added_dense_channels": In(COUNTER_BITS), "added_nonzeros": In(COUNTER_BITS)}
            | {name: Out(COUNTER_BITS) for name in COUNTED}
        )

    def elaborate(self, platform):
        m = Module()
        dense = [self.ops[i] for i in range(self._config.dense_arrays)]
        sparse = [self.ops[i] for i in range(self._config.dense_arrays, self._config.arrays)]
        dense_ops = Signal(range(self._config.dense_slots + 1))
        sparse_ops = Signal(range(self._config.sparse_slots + 1))
        m.d.comb += [dense_ops.eq(sum(dense)), sparse_ops.eq(sum(sparse))]
        active = dense_ops.any() | sparse_ops.any()

        increments = [
            (self.cycles, 1),
            (self.busy_dense, dense_ops.any()),
            (self.busy_sparse, sparse_ops.any()),
            (self.active, active),
            (self.ops_dense, dense_ops),
            (self.ops_sparse, sparse_ops),
            (self.dense_channels, self.added_dense_channels),
            (self.nonzeros, self.added_nonzeros),
        ]
        with m.If(self.clear):
            m.d.sync += [getattr(self, name).eq(0) for name in COUNTED]
        with m.Elif(self.busy):
            m.d.sync += [self.reads.eq(self.reads + self.read), self.writes.eq(self.writes + self.write)]
        with m.If(self.counting & ~self.clear):
            m.d.sync += [counter.eq(counter + step) for counter, step in increments]
            causes = (
                (active, None),
                (self.blocked, self.stall_output),
                (self.running, self.stall_other),
                (self.waits_weights, self.stall_weights),
                (self.waits_acts, self.stall_acts),
                (self.mapping, self.stall_map),
                (self.draining, self.stall_output),
                (self.detecting, self.stall_detect),
            )
            clause = m.If
            for condition, counter in causes:
                with clause(condition):
                    if counter is not None:
                        m.d.sync += counter.eq(counter + 1)
                clause = m.Elif
            with m.Else():
                m.d.sync += self.stall_other.eq(self.stall_other + 1)
        return m
