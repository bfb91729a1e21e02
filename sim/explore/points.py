"""The points of a sweep: what is reported of each, the fronts, and the files."""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

from sqdm.golden.formats import FP16_OVER_4BIT
from sqdm.rtl.registers import STALLS
from sqdm.sim.explore.areas import Area
from sqdm.sim.explore.pareto import front
from sqdm.sim.explore.space import Candidate, Refused

COSTS = ("area", "energy")
COLUMNS = ("name", "preset", "workload", "policy", "multipliers", "cycles", "speedup_4bit", "speedup_fp16", "area",
           "memory_bits", "speedup_per_area", "energy", "pareto_area", "pareto_energy")  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """The dense arrays that a workload is compared with: ``cycles`` as it is, ``cycles_4bit`` with all layers in 4 bit.

    ``area`` in gate equivalents, None when it was not synthesised.
    """

    cycles: int
    cycles_4bit: int
    area: float | None


def point(
    candidate: Candidate, workload: str, outcome: dict, reference: Reference, area: Area | None, energy: float | None
) -> dict:
    """One row; ``outcome`` has the fields of `Outcome`."""
    config, counters = candidate.config, outcome["counters"]
    cycles = counters["CYCLES"]
    speedup = reference.cycles / cycles
    per_area = speedup * reference.area / area.area if area and reference.area else None
    return {
        "name": candidate.name,
        "preset": candidate.preset,
        "workload": workload,
        "config": config.to_dict(),
        "policy": candidate.policy.name.lower(),
        "multipliers": config.multipliers,
        "cycles": cycles,
        "speedup_4bit": speedup,
        "speedup_fp16": FP16_OVER_4BIT * reference.cycles_4bit / cycles,
        "area": area.area if area else None,
        "memory_bits": area.memory_bits if area else None,
        "speedup_per_area": per_area,
        "energy": energy,
        "stalls": {name.removeprefix("STALL_").lower(): counters[name] for name in STALLS},
        "active": counters["ACTIVE"],
        "products": outcome["products"],
    }


def mark_fronts(points: list[dict]) -> None:
    """Adds ``pareto_area`` and ``pareto_energy``: on the front of its workload; None where the figure is missing.

    Where no areas are known the front of cycles against multipliers stands in as ``pareto_multipliers``.
    """
    for cost in (*COSTS, "multipliers"):
        for one in points:
            one[f"pareto_{cost}"] = None if one[cost] is None else False
        for workload in dict.fromkeys(one["workload"] for one in points):
            known = [one for one in points if one["workload"] == workload and one[cost] is not None]
            for number in front([(one["cycles"], one[cost]) for one in known]):
                known[number][f"pareto_{cost}"] = True


def cost_of(points: list[dict], objective: str) -> str:
    """The cost that the front is drawn against: the objective, or multipliers where no point has it."""
    return objective if any(one[objective] is not None for one in points) else "multipliers"


def pareto(points: list[dict], cost: str) -> list[dict]:
    """The points on the front against that cost, by workload and cycles."""
    chosen = [one for one in points if one[f"pareto_{cost}"]]
    fields = ("name", "workload", "policy", "cycles", "speedup_4bit", cost)
    return [
        {field: one[field] for field in fields} for one in sorted(chosen, key=lambda o: (o["workload"], o["cycles"]))
    ]


def refusals(refused: list[Refused]) -> list[dict]:
    """For reports."""
    return [asdict(one) for one in refused]


def write_csv(points: list[dict], refused: list[Refused], path: Path) -> None:
    """One line a point, then one for each refused configuration with the rule it breaks in the last column."""
    stalls = [f"stall_{name.removeprefix('STALL_').lower()}" for name in STALLS]
    config = [name for name in (points[0]["config"] if points else {}) if name != "name"]
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, (*COLUMNS, *stalls, *config, "problem"), restval="")
        lines.writeheader()
        for one in points:
            line = {name: one[name] for name in COLUMNS}
            line |= {f"stall_{name}": value for name, value in one["stalls"].items()}
            line |= {name: one["config"][name] for name in config}
            lines.writerow({name: "" if value is None else value for name, value in line.items()})
        for one in refused:
            lines.writerow({"name": one.name, "workload": one.workload or "", "problem": one.problem})
