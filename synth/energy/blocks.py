"""Runs a single component at gate level, cycle by cycle, on many independent streams of operands at once."""

import numpy as np

from sqdm.synth.energy import power
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.evaluate import CONSTANTS, Gates, popcount
from sqdm.synth.energy.glitches import Glitches
from sqdm.synth.energy.netlist import Netlist
from sqdm.synth.energy.partition import Part

STREAMS = 64  #: in a word


class Block:
    """A component without memories as gates (see `partition.block`), reset, with ``words`` x `STREAMS` streams.

    ``toggles`` by net over all streams; ``cycles``: those counted, times streams.
    """

    def __init__(self, part: Part, netlist: Netlist, library: Library, words: int = 1):
        self.part, self.netlist, self.library, self.words = part, netlist, library, words
        self.gates = Gates(netlist, library)
        self.q = self.gates.rows([q for q, _ in part.registers])
        self.d = self.gates.rows([d for _, d in part.registers])
        registers = {q for q, _ in part.registers}
        self.inputs: dict[str, np.ndarray] = {}
        for number, source in enumerate(part.sources):
            if number not in registers:
                rows = self.inputs.setdefault(source.name, np.full(source.width, -1, np.int64))
                rows[source.bit] = self.gates.net(number)
        self.values = self.gates.new_values(words)
        if "rst" in self.inputs:
            self._cycle({"rst": np.array([1])})
        self._cycle({})
        self.toggles = np.zeros(netlist.count + len(CONSTANTS), np.int64)
        self.cycles = 0
        self.sampling = False  # whether cycles are also computed with delays
        self.glitches = Glitches(self.gates, power.Loads(part, netlist, library), library)
        self.sources = self.gates.rows(range(len(part.sources)))

    def _cycle(self, numbers: dict[str, np.ndarray]) -> None:
        """One clock cycle with the registers' last inputs in them; inputs not given are 0."""
        taken = self.values[self.d]
        values = self.gates.new_values(self.words)
        values[self.q] = taken
        for name, value in numbers.items():
            rows = self.inputs[name]
            values[rows] = pack(np.asarray(value), len(rows))
        self.gates.settle(values)
        self.values = values

    def cycle(self, numbers: dict[str, np.ndarray]) -> None:
        """A counted cycle: for each input port a number for all streams (1,) or one for each, as unsigned integers."""
        before = self.values
        self._cycle(numbers)
        self.toggles += popcount(self.values ^ before)
        self.cycles += STREAMS * self.words
        if self.sampling:
            self.glitches.add(before, self.values, self.sources)

    def energy(self) -> power.Energy:
        """Of all counted cycles of all streams, in J."""
        return power.energy(self.part, self.netlist, self.library, self.toggles, self.cycles)

    def glitch_factor(self) -> float:
        """Energy of data with glitches over that without, in the cycles with ``sampling``."""
        return self.glitches.factor(self.part, self.library)


def pack(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned integers, or rows of bits (numbers, bits), as uint64 (bits, words).

    Stream i is bit i % 64 of word i // 64. A single number goes to all streams: (bits, 1).
    """
    if numbers.ndim == 1:
        numbers = (numbers[:, None] >> np.arange(bits)) & 1
    if len(numbers) == 1:
        return np.where(numbers[0] != 0, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0))[:, None]
    packed = np.packbits(numbers.astype(np.uint8).T, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view(np.uint64)
