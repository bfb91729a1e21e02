"""Measures an accelerator at gate level while it computes one real evaluation of the network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sqdm.compiler.network import NetworkProgram, compile_network
from sqdm.rtl.config import Config
from sqdm.sim import library as simulation_library
from sqdm.synth.energy import power, trace
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.evaluate import Evaluator
from sqdm.synth.energy.glitches import Glitches
from sqdm.synth.energy.memories import memory_kind
from sqdm.synth.energy.netlist import Netlist, synthesize
from sqdm.synth.energy.partition import Design, partition
from sqdm.synth.yosys import cached_path, working_folder

PERIOD = 8  #: of this many records of 4,096 cycles one is evaluated
#: Glitches are counted in the first `GLITCH_WORDS` x 64 cycles of each `GLITCH_PERIOD`-th record, and in one part of
#: each label: with delays a cycle takes some hundred times as long.
GLITCH_PERIOD, GLITCH_WORDS = 3, 4

Progress = Callable[[str], None]


@dataclass(frozen=True)
class PartEnergy:
    """One part in the measured evaluation: energies in J, see `power.Energy`; its size.

    ``glitches``: what changes within a cycle add to ``data``, estimated from a sample of the cycles.
    """

    name: str
    label: str
    clock: float
    data: float
    glitches: float
    leakage: float
    registers: int
    cells: int


@dataclass(frozen=True)
class MemoryAccesses:
    """One memory in the measured evaluation."""

    name: str
    kind: str
    rows: int
    width: int
    reads: int
    writes: float


@dataclass(frozen=True)
class Measurement:
    """An evaluation at gate level. ``cycles``: those measured, evenly spread; ``counters`` of the whole evaluation.

    ``mismatches``: register bits in which gates and RTL differ; ``outputs_compared`` and ``output_mismatches``: values
    written to memory, against the golden machine.
    """

    config: str
    images: int
    cycles: int
    counters: dict[str, int]
    parts: list[PartEnergy]
    memories: list[MemoryAccesses]
    mismatches: int
    outputs_compared: int
    output_mismatches: int

    @property
    def operations(self) -> int:
        """Of the measured cycles: slots that multiplied, which is rows of weights read."""
        return sum(memory.reads for memory in self.memories if memory.kind == "weight buffers")


def same_arrays_dense(config: Config) -> Config:
    """The configuration with dense arrays in place of the sparse ones: the same slots, lanes, queues and buffers."""
    return replace(config, name=f"{config.name}-dense", dense_arrays=config.arrays, sparse_arrays=0)


def design_of(config: Config) -> Design:
    """The accelerator cut into parts, from the cache when neither generator nor configuration changed."""
    import pickle

    key = simulation_library.rtl_digest(config), Path(__file__).with_name("partition.py").read_text()
    path = cached_path("energy-design", *key).with_suffix(".pickle")
    if not path.exists():
        with working_folder(path.parent) as folder:
            design = partition(config, folder)
            (folder / "design.pickle").write_bytes(pickle.dumps(design))
            (folder / "design.pickle").replace(path)
    return pickle.loads(path.read_bytes())


class Measured:
    """An accelerator that is measured while it runs a network's program.

    Parameters: ``arrays`` of the model; ``images`` in a batch; ``latency`` of the memory; ``library`` of cells;
    ``on_progress(text)``.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        config: Config,
        images: int,
        latency: int,
        library: Library,
        on_progress: Progress = lambda _: None,
    ):
        self.config, self.images, self.library = config, images, library
        program: NetworkProgram = compile_network(arrays, images, config)
        on_progress(f"{config.name}: Verilog and parts")
        self.design = design_of(config)
        on_progress(f"{config.name}: cells")
        self.netlists: dict[str, Netlist] = synthesize(self.design.parts, library)
        path = trace.build(self.design, config.bus_bits, on_progress)
        self.device = trace.TracedNetworkDevice(program, path, latency)

    def evaluate(self, *inputs: np.ndarray) -> np.ndarray:
        """Like `NetworkDevice.evaluate`; afterwards `result` knows what it took."""
        parts = self.design.parts
        evaluators = [Evaluator(part, self.netlists[part.to_json()], self.library) for part in parts]
        starts = trace.first_word(parts)
        self.glitches = self._glitches(evaluators)
        records = 0

        def add(record: np.ndarray) -> None:
            nonlocal records
            sampled = records % GLITCH_PERIOD == 0
            records += 1
            for part, evaluator, start in zip(parts, evaluators, starts, strict=False):
                values, before = evaluator.add(record[start * trace.LANES :])
                if sampled and self.glitches[part.label][0] is evaluator:
                    words = slice(0, GLITCH_WORDS)
                    self.glitches[part.label][1].add(before[:, words], values[:, words], evaluator.sources)

        self.device.device.record(starts[-1], add, PERIOD)
        answer = self.device.evaluate(*inputs)
        self.device.device.stop()
        self.evaluators = evaluators
        return answer

    def _glitches(self, evaluators: list[Evaluator]) -> dict[str, tuple[Evaluator, Glitches]]:
        """By label, for the first part of that label."""
        found: dict[str, tuple[Evaluator, Glitches]] = {}
        for part, evaluator in zip(self.design.parts, evaluators, strict=True):
            if part.label not in found:
                loads = power.Loads(part, evaluator.netlist, self.library)
                found[part.label] = evaluator, Glitches(evaluator.gates, loads, self.library)
        return found

    def result(self) -> Measurement:
        """Of the last evaluation."""
        parts, memories = [], []
        of_label = {part.label: part for part in reversed(self.design.parts)}
        factors = {name: found.factor(of_label[name], self.library) for name, (_, found) in self.glitches.items()}
        for part, evaluator in zip(self.design.parts, self.evaluators, strict=True):
            netlist = evaluator.netlist
            used = power.energy(part, netlist, self.library, evaluator.toggles, evaluator.cycles)
            extra = used.data * (factors[part.label] - 1)
            parts.append(PartEnergy(part.name, part.label, used.clock, used.data, extra, used.leakage,
                                    len(part.registers), len(netlist.cells)))  # fmt: skip
            memories += [
                MemoryAccesses(memory.name, memory_kind(memory.name), memory.rows, memory.width, reads, writes)
                for memory, (reads, writes) in zip(part.memories, evaluator.accesses(), strict=True)
            ]
        steps = self.device.lock_step
        return Measurement(
            self.config.name,
            self.images,
            self.evaluators[0].cycles,
            self.device.runs[-1].counters,
            parts,
            memories,
            sum(evaluator.mismatches for evaluator in self.evaluators),
            sum(steps.compared.values()) if steps else 0,
            sum(steps.mismatches.values()) if steps else 0,
        )
