"""How often nets change within a cycle when gates have delays.

The sources of a part change at the beginning of a cycle, and all its nets start from the values in which the cycle
before settled. So cycles are independent of one another here too, and a word holds 64 of them. A gate's output takes a
new value when its function has had it for the gate's delay: shorter pulses are lost (inertial delay). Delays are whole
numbers of time steps, rounded from the library's delay at the gate's load; sources all change at once.
"""

import numpy as np

from sqdm.errors import DeviceError
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.evaluate import CONSTANTS, Gates, popcount
from sqdm.synth.energy.partition import Part
from sqdm.synth.energy.power import Loads, energy

STEPS_PER_GATE = 3  #: time steps in the median delay of a gate
LONGEST = 8  #: steps that a gate delays its output at most
PATIENCE = 2000  #: steps after which a cycle must have settled


class Glitches:
    """Counts changes of the nets of ``gates`` in chosen cycles: ``toggles``, ``settled`` (without delays), by net."""

    def __init__(self, gates: Gates, loads: Loads, library: Library):
        self.gates = gates
        delays, outputs = [], []
        for group in gates.groups:
            gate = library.gates[group.kind]
            load = loads.capacitance[group.outputs]
            of_pins = [gate.delays[pin].at(loads.slew[nets], load) for pin, nets in zip(gate.inputs, group.inputs,
                                                                                      strict=True)]  # fmt: skip
            delays.append(np.mean(of_pins, axis=0) if of_pins else np.zeros(len(load)))
            outputs.append(group.outputs)
        seconds = np.concatenate(delays) if delays else np.zeros(0)
        self.outputs = np.concatenate(outputs) if outputs else np.zeros(0, np.int64)
        self.step = np.median(seconds) / STEPS_PER_GATE if len(seconds) else 1.0
        steps = np.clip(np.rint(seconds / self.step), 1, LONGEST).astype(np.int64)
        self.by_delay = [(delay, np.flatnonzero(steps == delay)) for delay in range(1, LONGEST + 1)]
        self.toggles = np.zeros(gates.netlist.count + len(CONSTANTS), np.int64)
        self.settled = np.zeros_like(self.toggles)
        self.cycles = 0

    def add(self, before: np.ndarray, after: np.ndarray, sources: np.ndarray) -> None:
        """Cycles whose nets settled in ``after`` (nets, words) and, in the cycle before each, in ``before``."""
        self.settled += popcount(before ^ after)
        self.cycles += 64 * after.shape[1]
        values = before.copy()
        values[sources] = after[sources]
        self.toggles += popcount(values ^ before)
        gates = self.gates
        functions = np.zeros((len(self.outputs), after.shape[1]), np.uint64)
        recent = [values[self.outputs]] * LONGEST  # of all functions, the latest first
        quiet = 0
        for _ in range(PATIENCE):
            first = 0
            for group in gates.groups:
                last = first + len(group.outputs)
                functions[first:last] = gates.function(group, values)
                first = last
            recent = [functions.copy(), *recent[:-1]]
            held = values[self.outputs]
            now = held.copy()
            for delay, chosen in self.by_delay:
                if len(chosen):
                    window = [row[chosen] for row in recent[:delay]]
                    always, ever = np.bitwise_and.reduce(window), np.bitwise_or.reduce(window)
                    now[chosen] = (held[chosen] | always) & ever
            changed = now ^ held
            quiet = 0 if changed.any() else quiet + 1
            if quiet > LONGEST:
                break
            self.toggles[self.outputs] += popcount(changed)
            values[self.outputs] = now
        if not np.array_equal(values[self.outputs], after[self.outputs]):
            raise DeviceError("gates with delays must settle in the values that gates without have, but do not")

    def factor(self, part: Part, library: Library) -> float:
        """Energy of data with glitches over that without, in the counted cycles; 1 when there were none."""
        with_glitches, settled = (
            energy(part, self.gates.netlist, library, toggles, self.cycles).data
            for toggles in (self.toggles, self.settled)
        )
        return with_glitches / settled if settled else 1.0
