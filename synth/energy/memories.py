"""Energy of memory accesses: a table of published figures, not a measurement.

SRAM: a memory is macros of 64 bit side by side, whose energy per bit and access grows with the square root of their
rows (bit lines and word lines grow with the sides of an array). It is scaled from the source's 45 nm to a library by
C * V^2 of the smallest inverter, because a memory's lines load what they load in multiples of such gates. A write costs
as much as a read; idle memories cost nothing. DRAM is a chip of its own and is not scaled.
"""

import math
from dataclasses import dataclass

from sqdm.synth.energy.cell_library import Library

CASES = ("low", "typical", "high")


@dataclass(frozen=True)
class Figure:
    """A published energy in J per bit: ``low`` .. ``high`` is the range reported, ``source`` where it is from."""

    name: str
    low: float
    typical: float
    high: float
    source: str

    def value(self, case: str) -> float:
        """One of `CASES`."""
        return getattr(self, case)


SRAM = Figure(
    "SRAM of 8 KiB, 45 nm, 0.9 V",
    0.078e-12, 0.156e-12, 0.312e-12,
    "Horowitz, ISSCC 2014, figure 1.1.9: 10 pJ for 64 bit of an 8 KiB cache; half and twice of it as range",
)  # fmt: skip
DRAM = Figure(
    "DRAM",
    3.9e-12, 20.3e-12, 70e-12,
    "low: HBM2, O'Connor et al., MICRO 2017; typical: Horowitz, ISSCC 2014, 1.3 nJ for 64 bit; "
    "high: DDR3, Malladi et al., ISCA 2012",
)  # fmt: skip
SRAM_ROWS = 1024  #: of 64 bit: what `SRAM` is for

#: Input capacitance (F) and supply (V) of the smallest inverter at 45 nm: INV_X1 of the Nangate 45 nm library; the
#: voltage is that of `SRAM`.
REFERENCE_CAPACITANCE, REFERENCE_VOLTAGE = 1.70e-15, 0.9


def scale(library: Library) -> float:
    """What multiplies `SRAM` in the technology of ``library``."""
    inverters = [gate for gate in library.gates.values() if gate.function.startswith("~") and len(gate.inputs) == 1]
    inverter = min(inverters, key=lambda gate: gate.area)
    ratio = inverter.capacitance[inverter.inputs[0]] / REFERENCE_CAPACITANCE
    return ratio * (library.voltage / REFERENCE_VOLTAGE) ** 2


def sram_access(rows: int, width: int, library: Library, case: str = "typical") -> float:
    """J to read or write one row of a memory of ``rows`` x ``width`` bits."""
    per_bit = SRAM.value(case) * math.sqrt(rows / SRAM_ROWS)
    return width * per_bit * scale(library)


def dram_bits(bits: int, case: str = "typical") -> float:
    """J to move ``bits`` from or to DRAM."""
    return bits * DRAM.value(case)


def memory_kind(name: str) -> str:
    """The group that a memory is reported in, by its name in the hierarchy."""
    leaf = name.replace(".storage", "").rsplit(".", 1)[-1]
    for start, kind in (("weights_", "weight buffers"), ("acts_", "activation buffers")):
        if start in leaf or f".{start}" in name:
            return kind
    return "psum queues" if "_array_" in name else "other memories"
