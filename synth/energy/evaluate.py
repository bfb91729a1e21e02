"""Values of all nets of a netlist for many cycles at once, and how often they change.

A net's values are 64-bit words, bit i of word j is cycle 64 * j + i. Gates are ordered by level, and the gates of one
kind in a level are evaluated together. No delays: a net changes at most once in a cycle.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from sqdm.errors import DeviceError
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.netlist import Netlist
from sqdm.synth.energy.partition import Part

ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
CONSTANTS = ("0", "1", "x")  # an undefined net is 0


@dataclass(frozen=True)
class Group:
    """Gates of one kind in one level: nets of the inputs (inputs, gates) and of the outputs (gates,)."""

    kind: str
    inputs: np.ndarray
    outputs: np.ndarray


def levels(netlist: Netlist) -> list[Group]:
    """The gates in an order in which each one's inputs come before it."""
    constant = {name: netlist.count + index for index, name in enumerate(CONSTANTS)}
    driver = {output: index for index, (_, _, output) in enumerate(netlist.cells)}
    level = [-1] * len(netlist.cells)
    for start in range(len(netlist.cells)):
        stack = [start]
        while stack:
            index = stack[-1]
            if level[index] >= 0:
                stack.pop()
                continue
            before = [driver[net] for net in netlist.cells[index][1] if net in driver]
            open_ones = [other for other in before if level[other] < 0]
            if open_ones:
                if len(stack) > len(netlist.cells):
                    raise DeviceError("a netlist must not have a combinational loop")
                stack += open_ones
            else:
                level[index] = 1 + max((level[other] for other in before), default=-1)
                stack.pop()
    groups = defaultdict(list)
    for index, (kind, _, _) in enumerate(netlist.cells):
        groups[level[index], kind].append(index)
    found = []
    for (_, kind), members in sorted(groups.items()):
        inputs = np.array([[constant.get(n, n) for n in netlist.cells[i][1]] for i in members], np.int64)
        found.append(Group(kind, inputs.T, np.array([netlist.cells[i][2] for i in members], np.int64)))
    return found


def popcount(words: np.ndarray) -> np.ndarray:
    """Ones in each row of uint64 (rows, words)."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1).sum(axis=1, dtype=np.int64)


class Gates:
    """Settles the nets of a netlist: rows of a uint64 array, the netlist's first, then the constants."""

    def __init__(self, netlist: Netlist, library: Library):
        self.netlist = netlist
        self.groups = levels(netlist)
        self.functions = {
            kind: compile(library.gates[kind].function.replace("True", "ALL").replace("False", "NONE"), kind, "eval")
            for kind in {group.kind for group in self.groups}
        }
        self.names = {kind: library.gates[kind].inputs for kind in self.functions}
        self.constants = {name: netlist.count + number for number, name in enumerate(CONSTANTS)}

    def net(self, of_part: int | str) -> int:
        """Row of a net of the part."""
        here = self.netlist.nets[of_part] if isinstance(of_part, int) else of_part
        return self.constants.get(here, here)

    def rows(self, of_part: list) -> np.ndarray:
        """`net` of several."""
        return np.array([self.net(net) for net in of_part], np.int64)

    def new_values(self, words: int) -> np.ndarray:
        """Rows with the constants in them."""
        values = np.zeros((self.netlist.count + len(CONSTANTS), words), np.uint64)
        values[self.constants["1"]] = ALL
        return values

    def settle(self, values: np.ndarray) -> None:
        """Compute every other row from the inputs' rows."""
        for group in self.groups:
            values[group.outputs] = self.function(group, values)

    def function(self, group: Group, values: np.ndarray) -> np.ndarray:
        """What the gates of a group make of the nets' values."""
        pins = {name: values[nets] for name, nets in zip(self.names[group.kind], group.inputs, strict=True)}
        return eval(self.functions[group.kind], {"ALL": ALL, "NONE": np.uint64(0)}, pins)


class Evaluator:
    """Counts changes and ones of every net of one part.

    ``toggles``, ``ones``: int64 by net of the netlist, behind them the constants; ``cycles`` so far; ``mismatches``:
    bits that a register would have taken from the gates, but that differ from the RTL's next value.
    """

    def __init__(self, part: Part, netlist: Netlist, library: Library):
        self.netlist = netlist
        self.gates = gates = Gates(netlist, library)
        self.sources = gates.rows(range(len(part.sources)))
        self.q = gates.rows([q for q, _ in part.registers])
        self.d = gates.rows([d for _, d in part.registers])
        self.reads = [gates.net(memory.read_enable) for memory in part.memories]
        self.writes = [gates.rows(memory.write_enables) for memory in part.memories]
        self.toggles = np.zeros(netlist.count + len(CONSTANTS), np.int64)
        self.ones = np.zeros_like(self.toggles)
        self.cycles = 0
        self.mismatches = 0

    def add(self, record: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate successive cycles: uint64 (inputs, words) in the order of `Part.sources`.

        Between two calls there may be cycles that were not recorded. Returns all nets' values (nets,
        words), and those of the cycle before each.
        """
        values = self.gates.new_values(record.shape[1])
        values[self.sources] = record[: len(self.sources)]
        self.gates.settle(values)
        previous = values << np.uint64(1)
        previous[:, 1:] |= values[:, :-1] >> np.uint64(63)
        previous[:, 0] |= values[:, 0] & np.uint64(1)  # nothing is known of the cycle before the first
        self.toggles += popcount(values ^ previous)
        self.ones += popcount(values)
        differs = values[self.q] ^ previous[self.d]
        differs[:, 0] &= ~np.uint64(1)
        self.mismatches += int(popcount(differs).sum())
        self.cycles += 64 * record.shape[1]
        return values, previous

    def accesses(self) -> list[tuple[int, float]]:
        """Reads and writes of each of the part's memories; writes of some of the bits count as a part."""
        return [
            (int(self.ones[read]), float(self.ones[write].mean()))
            for read, write in zip(self.reads, self.writes, strict=True)
        ]
