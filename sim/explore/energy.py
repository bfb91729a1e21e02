"""Energy of a point, estimated from what `sqdm energy` measured of one configuration."""

from dataclasses import dataclass
from pathlib import Path

from sqdm.errors import UserError
from sqdm.rtl.config import Config
from sqdm.sim.bench.figures import read_json

ARRAYS = ("multipliers and accumulators", "feeders")  #: parts whose data energy goes with the products
WEIGHTS = "weight buffers"  #: the memories that are read once a product
OUTSIDE = "DRAM"  #: not on the chip
FIELDS = ("config", "images", "steps", "latency", "energy_per_image", "logic", "breakdown")


@dataclass(frozen=True)
class EnergyReport:
    """What `sqdm energy` measured of ``config``: J per image.

    ``logic`` by part and kind (clock, data, glitches, leakage), ``memories`` by kind of memory; ``images`` in a batch,
    ``steps``, ``latency`` of its run.
    """

    config: Config
    images: int
    steps: int
    latency: int
    logic: dict[str, dict[str, float]]
    memories: dict[str, float]


@dataclass(frozen=True)
class Work:
    """Per image: clock cycles, products, activations read and outputs written."""

    cycles: float
    products: float
    words: float

    @classmethod
    def of(cls, outcome: dict, images: int) -> "Work":
        """From the fields of `Outcome`."""
        return cls(outcome["counters"]["CYCLES"] / images, outcome["products"] / images, outcome["words"] / images)


def read_energy(path: Path) -> EnergyReport:
    """The report in a file; UserError when it is none."""
    found = read_json(path, "energy", "sqdm energy --json", FIELDS)
    try:
        logic = {part: {kind: float(value) for kind, value in kinds.items()}
                 for part, kinds in found["logic"]["sqdm"].items()}  # fmt: skip
        breakdown = {part: float(value) for part, value in found["breakdown"]["sqdm"].items()}
        numbers = [found[name] for name in ("images", "steps", "latency")]
        if not all(type(number) is int and number >= 1 for number in numbers):
            raise ValueError
        config = Config(**found["config"])
    except (KeyError, TypeError, ValueError, AttributeError, UserError):
        raise UserError(f"energy {str(path)!r} must be the output of `sqdm energy --json`") from None
    memories = {part: value for part, value in breakdown.items() if part not in logic and part != OUTSIDE}
    return EnergyReport(config, *numbers, logic, memories)


def estimate(report: EnergyReport, measured: Work, units: dict[str, float], work: Work, own: dict[str, float]) -> float:
    """J per image on chip.

    ``measured`` and ``units``: work and gate equivalents by part of the configuration that was measured; ``work`` and
    ``own`` those of the point. Clock and leakage of a part go with its gates and the cycles, the data energy of arrays
    and feeders and the reads of weights with the products, everything else with the words.
    """
    cycles = work.cycles / measured.cycles
    products, words = work.products / measured.products, work.words / measured.words
    total = 0.0
    for part, kinds in report.logic.items():
        gates = own.get(part, 0.0) / units[part] if units.get(part) else 1.0
        total += (kinds["clock"] + kinds["leakage"]) * cycles * gates
        total += (kinds["data"] + kinds["glitches"]) * (products if part in ARRAYS else words)
    for kind, value in report.memories.items():
        total += value * (products if kind == WEIGHTS else words)
    return total
