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

    Latency: 2 cycles. Overflow: wraps. Reset: 0.
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
        # Everything a cycle later: the counters are far away from what they count.
        late = {}
        for name in ("clear", "busy", "counting", *CAUSES, "read", "write", "added_dense_channels", "added_nonzeros"):
            late[name] = Signal.like(getattr(self, name), name=f"late_{name}")
            m.d.sync += late[name].eq(getattr(self, name))
        ops = Signal.like(self.ops)
        m.d.sync += ops.eq(self.ops)
        dense = [ops[i] for i in range(self._config.dense_arrays)]
        sparse = [ops[i] for i in range(self._config.dense_arrays, self._config.arrays)]
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
            (self.dense_channels, late["added_dense_channels"]),
            (self.nonzeros, late["added_nonzeros"]),
        ]
        with m.If(late["clear"]):
            m.d.sync += [getattr(self, name).eq(0) for name in COUNTED]
        with m.Elif(late["busy"]):
            m.d.sync += [self.reads.eq(self.reads + late["read"]), self.writes.eq(self.writes + late["write"])]
        with m.If(late["counting"] & ~late["clear"]):
            m.d.sync += [counter.eq(counter + step) for counter, step in increments]
            causes = (
                (active, None),
                (late["blocked"], self.stall_output),
                (late["running"], self.stall_other),
                (late["waits_weights"], self.stall_weights),
                (late["waits_acts"], self.stall_acts),
                (late["mapping"], self.stall_map),
                (late["draining"], self.stall_output),
                (late["detecting"], self.stall_detect),
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
