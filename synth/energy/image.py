"""Energy per image of a whole sampling run: measured energies of one evaluation, scaled by the run's counters."""

from dataclasses import dataclass

from sqdm.golden.formats import FP16_OVER_4BIT
from sqdm.rtl.config import Config
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.measure import Measurement
from sqdm.synth.energy.memories import dram_bits, sram_access

PSUM_BITS = 32  #: of an FP16 array's accumulators
MULTIPLY, FEED = "multipliers and accumulators", "feeders"
DRAM = "DRAM"
KINDS = ("clock", "data", "glitches", "leakage")  #: of the energy of logic


@dataclass(frozen=True)
class Work:
    """What a run did for each of its images, on average: clock cycles, slots that multiplied, memory words moved."""

    cycles: float
    operations: float
    reads: float
    writes: float

    @classmethod
    def of(cls, counters: dict[str, float], images: int) -> "Work":
        """From the accelerator's counters of a run of ``images``."""
        return cls(
            counters["CYCLES"] / images,
            (counters["OPS_DENSE"] + counters["OPS_SPARSE"]) / images,
            counters["READS"] / images,
            counters["WRITES"] / images,
        )


@dataclass(frozen=True)
class ImageEnergy:
    """J per image: ``logic`` by part and `KINDS`; ``memories`` by kind; ``dram``."""

    logic: dict[str, dict[str, float]]
    memories: dict[str, float]
    dram: float

    @property
    def on_chip(self) -> float:
        return sum(sum(part.values()) for part in self.logic.values()) + sum(self.memories.values())

    @property
    def total(self) -> float:
        return self.on_chip + self.dram

    def bars(self) -> dict[str, float]:
        """By part and kind of memory, DRAM last."""
        return {name: sum(part.values()) for name, part in self.logic.items()} | self.memories | {DRAM: self.dram}


def ratios(measurement: Measurement, work: Work) -> tuple[float, float, float]:
    """The run's cycles, operations and memory words per image over those of the measured cycles.

    An operation reads a row of weights, so the operations of the measured cycles are known; the memory words are the
    evaluation's, in proportion to the cycles.
    """
    measured = Work.of(measurement.counters, 1)
    words = (measured.reads + measured.writes) * measurement.cycles / measured.cycles
    return (
        work.cycles / measurement.cycles,
        work.operations / measurement.operations,
        (work.reads + work.writes) / words,
    )


def energy(measurement: Measurement, work: Work, config: Config, library: Library, case: str) -> ImageEnergy:
    """Per image, with the memory figures of ``case``.

    Clock and leakage go with the cycles; the data energy of arrays and feeders and the reads of weights with the
    operations; everything else with the memory words moved.
    """
    cycles, operations, words = ratios(measurement, work)
    logic: dict[str, dict[str, float]] = {}
    for part in measurement.parts:
        data = operations if part.label in (MULTIPLY, FEED) else words
        sums = logic.setdefault(part.label, dict.fromkeys(KINDS, 0.0))
        sums["clock"] += part.clock * cycles
        sums["leakage"] += part.leakage * cycles
        sums["data"] += part.data * data
        sums["glitches"] += part.glitches * data
    memories: dict[str, float] = {}
    for memory in measurement.memories:
        reads = memory.reads * (operations if memory.kind == "weight buffers" else words)
        access = sram_access(memory.rows, memory.width, library, case)
        memories[memory.kind] = memories.get(memory.kind, 0.0) + access * (reads + memory.writes * words)
    return ImageEnergy(logic, memories, dram_bits(1, case) * config.bus_bits * (work.reads + work.writes))


def fp16(
    dense: Measurement,
    work: Work,
    cycles_4bit: float,
    per_mac: dict[str, float],
    config: Config,
    library: Library,
    case: str,
) -> ImageEnergy:
    """The dense accelerator with a quarter as many FP16 multipliers, per image.

    ``work`` of the dense arrays, ``cycles_4bit`` per image when all layers have 4 bit, ``per_mac`` of
    `sqdm.synth.energy.fp16`. Four times the cycles, for the clock of everything, four times the bits in operand buffers
    and of weights in DRAM, whose activations have 16 bits anyway; the other parts switch as often as in the dense 4-bit
    accelerator, which favours FP16.
    """
    base = energy(dense, work, config, library, case)
    slower = FP16_OVER_4BIT * cycles_4bit / work.cycles
    logic = {
        name: part | {"clock": part["clock"] * slower, "leakage": part["leakage"] * slower}
        for name, part in base.logic.items()
    }
    multipliers = config.multipliers / FP16_OVER_4BIT
    products = work.operations * config.lanes * cycles_4bit / work.cycles
    cycles = FP16_OVER_4BIT * cycles_4bit
    logic[MULTIPLY] = {
        "clock": per_mac["clock"] * multipliers * cycles,
        "data": per_mac["data"] * products,
        "glitches": per_mac["glitches"] * products,
        "leakage": per_mac["leakage"] * multipliers * cycles,
    }
    factor = {"weight buffers": FP16_OVER_4BIT, "activation buffers": FP16_OVER_4BIT,
              "psum queues": PSUM_BITS / config.acc_bits}  # fmt: skip
    memories = {kind: value * factor.get(kind, 1) for kind, value in base.memories.items()}
    _, _, words = ratios(dense, work)
    weights = sum(memory.writes * memory.width for memory in dense.memories if memory.kind == "weight buffers")
    return ImageEnergy(logic, memories, base.dram + dram_bits(1, case) * (FP16_OVER_4BIT - 1) * weights * words)


def reduction(ours: float, reference: float) -> float:
    """Share of the reference's energy that is saved."""
    return 1 - ours / reference
