"""Energy from switching: what the cells of a part consume for given changes of its nets.

``E = sum over nets of toggles * C * V^2 / 2 + sum over cells of toggles * internal energy``. C is that of the pins that
a net drives; wires have none. A cell's internal energy per toggle of its output comes from the library's tables for the
input's transition time and the load; that of its inputs is averaged, weighted by their toggles. A flip-flop's clock pin
switches twice in every cycle: there is no clock gating and no clock tree.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.evaluate import CONSTANTS, Group, levels
from sqdm.synth.energy.netlist import Netlist
from sqdm.synth.energy.partition import Part

FREQUENCY = 100e6  #: of the clock; only leakage depends on it


@dataclass(frozen=True)
class Energy:
    """In J. ``clock``: the registers' clock pins; ``data``: all other switching; ``leakage``."""

    clock: float
    data: float
    leakage: float

    @property
    def total(self) -> float:
        return self.clock + self.data + self.leakage


def typical_slew(library: Library) -> float:
    """Transition time (s) of the smallest inverter that drives four of its kind, and is driven by such a one."""
    inverters = [g for g in library.gates.values() if g.function.startswith("~") and len(g.inputs) == 1]
    inverter = min(inverters, key=lambda g: g.area)
    pin = inverter.inputs[0]
    slew = 0.0
    for _ in range(10):
        slew = float(inverter.slews[pin].at(slew, 4 * inverter.capacitance[pin]))
    return slew


class Loads:
    """Capacitances (F) and transition times (s) of the nets of a netlist, by net, the constants last."""

    def __init__(self, part: Part, netlist: Netlist, library: Library):
        self.groups = levels(netlist)
        self.typical = typical_slew(library)
        total = netlist.count + len(CONSTANTS)
        self.capacitance = np.zeros(total)
        for group in self.groups:
            gate = library.gates[group.kind]
            for pin, nets in zip(gate.inputs, group.inputs, strict=True):
                np.add.at(self.capacitance, nets, gate.capacitance[pin])
        self.d = [netlist.nets[d] for _, d in part.registers if isinstance(d, int)]
        self.d = np.array([net for net in self.d if isinstance(net, int)], np.int64)
        self.q = np.array([netlist.nets[q] for q, _ in part.registers], np.int64)
        np.add.at(self.capacitance, self.d, library.register.data_capacitance)
        self.slew = np.full(total, self.typical)
        self.slew[self.q] = library.register.output_slew.at(self.typical, self.capacitance[self.q])
        for group in self.groups:
            gate = library.gates[group.kind]
            load = self.capacitance[group.outputs]
            slews = [gate.slews[pin].at(self.typical, load) for pin in gate.inputs]
            self.slew[group.outputs] = np.mean(slews, axis=0) if slews else self.typical


def energy(part: Part, netlist: Netlist, library: Library, toggles: np.ndarray, cycles: int) -> Energy:
    """Of ``cycles`` cycles in which the nets changed ``toggles`` times, int64 as of `Evaluator`."""
    loads = Loads(part, netlist, library)
    register, registers = library.register, len(part.registers)
    switching = 0.5 * library.voltage**2 * float(toggles @ loads.capacitance)
    internal = sum(internal_energy(group, library, loads, toggles) for group in loads.groups)
    internal += float(toggles[loads.q] @ register.output_energy.at(loads.typical, loads.capacitance[loads.q]))
    internal += float(toggles[loads.d] @ register.data_energy.at(loads.slew[loads.d], 0.0))
    per_cycle = float(register.clock_energy.at(loads.typical, 0.0)) + register.clock_capacitance * library.voltage**2
    power = sum(library.gates[kind].leakage for kind, _, _ in netlist.cells) + register.leakage * registers
    return Energy(registers * per_cycle * cycles, switching + internal, power * cycles / FREQUENCY)


def internal_energy(group: Group, library: Library, loads: Loads, toggles: np.ndarray) -> float:
    """Of the gates of one kind in one level."""
    gate = library.gates[group.kind]
    if not gate.inputs:
        return 0.0
    load = loads.capacitance[group.outputs]
    weights = toggles[group.inputs].astype(float)
    per_input = [
        gate.energies[pin].at(loads.slew[nets], load) for pin, nets in zip(gate.inputs, group.inputs, strict=True)
    ]
    total = weights.sum(axis=0)
    shares = np.where(total > 0, weights / np.maximum(total, 1), 1 / len(gate.inputs))
    found = float(toggles[group.outputs] @ (shares * per_input).sum(axis=0))
    for pin, nets in zip(gate.inputs, group.inputs, strict=True):
        found += float(toggles[nets] @ gate.input_energies[pin].at(loads.slew[nets], 0.0))
    return found


def cell_counts(netlist: Netlist) -> dict[str, int]:
    """How many cells of each kind."""
    counts: dict[str, int] = defaultdict(int)
    for kind, _, _ in netlist.cells:
        counts[kind] += 1
    return dict(counts)
