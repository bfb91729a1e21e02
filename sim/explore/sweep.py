"""Runs a sweep: predictions first, then areas, then energies; everything that is finished is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqdm.rtl.config import Config
from sqdm.rtl.registers import Policy
from sqdm.sim.bench.figures import hardware
from sqdm.sim.engine import dense_equivalent
from sqdm.sim.explore.areas import Area, area_of
from sqdm.sim.explore.energy import EnergyReport, Work, estimate
from sqdm.sim.explore.points import Reference, mark_fronts, point
from sqdm.sim.explore.space import AXES, Candidate, Refused
from sqdm.sim.explore.store import Store
from sqdm.sim.explore.tasks import Task
from sqdm.sim.explore.workers import Run
from sqdm.sim.explore.workload import Digits

Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class Sweep:
    """``candidates`` on ``workloads``; ``reference``: the configuration whose dense equivalent is compared with.

    ``latency`` of the memory in cycles; ``energy``: a measurement to scale, or None.
    """

    candidates: list[Candidate]
    workloads: list
    reference: Config
    latency: int
    energy: EnergyReport | None = None

    def __post_init__(self):
        object.__setattr__(self, "reference", dense_equivalent(self.reference))

    @property
    def energy_task(self) -> Task | None:
        """The run that `sqdm energy` measured, on the cycle model."""
        if self.energy is None:
            return None
        run = Digits(self.energy.images, self.energy.steps, sampled=self.workloads[0].sampled)
        return Task(self.energy.config, Policy.BALANCED, run, self.energy.latency)

    def points(self) -> list[tuple[Candidate, object, Task]]:
        """Every candidate on every workload."""
        return [
            (one, workload, Task(one.config, one.policy, workload, self.latency))
            for workload in self.workloads
            for one in self.candidates
        ]

    def references(self, workload: object) -> list[Task]:
        """The dense arrays, as the workload is and with every layer in 4 bit."""
        task = Task(self.reference, Policy.DENSE, workload, self.latency)
        return [task, replace(task, bits=4)]

    def tasks(self) -> list[Task]:
        """All predictions, those of the references first, each once."""
        wanted = [task for workload in self.workloads for task in self.references(workload)]
        wanted += [self.energy_task] if self.energy else []
        wanted += [task for _, _, task in self.points()]
        return list({task.key: task for task in wanted}.values())


def predict(sweep: Sweep, run: Run, store: Store, on_done: Progress) -> dict[str, dict]:
    """Results by the keys of the tasks; those that are missing are computed and stored one by one."""
    tasks = {task.key: task for task in sweep.tasks()}
    found = {key: kept for key in tasks if (kept := store.get(key)) is not None}
    on_done(len(found), "")
    missing = [task for key, task in tasks.items() if key not in found]
    for task, result in run(missing):
        store.put(task.key, result)
        found[task.key] = result
        on_done(len(found), task.config.name)
    return found


def areas(sweep: Sweep, results: dict[str, dict], store: Store, on_done: Progress) -> dict[tuple, Area]:
    """Areas by `hardware` of the reference, of what was measured, and of every candidate that fits a workload."""
    fitting = [one.config for one, _, task in sweep.points() if "problem" not in results[task.key]]
    wanted = [sweep.reference, *([sweep.energy.config] if sweep.energy else []), *fitting]
    configs = {hardware(config): config for config in wanted}
    found = {}
    for number, (key, config) in enumerate(configs.items()):
        on_done(number, config.name)
        found[key] = area_of(config, store, lambda _, part, at=number, of=config: on_done(at, f"{of.name}: {part}"))
    on_done(len(configs), "")
    return found


def rows(sweep: Sweep, results: dict[str, dict], known: dict[tuple, Area]) -> tuple[list[dict], list[Refused]]:
    """The points with their fronts, and the candidates that do not fit a workload."""
    found, refused = [], []
    for candidate, workload, task in sweep.points():
        outcome = results[task.key]
        if "problem" in outcome:
            values = {axis: getattr(candidate.config, parameter) for axis, parameter in AXES.items()}
            refused.append(Refused(candidate.name, values, outcome["problem"], workload.name))
            continue
        area = known.get(hardware(candidate.config))
        energy = energy_of(sweep, results, known, outcome, area, workload.images)
        reference = reference_of(sweep, results, known, workload)
        found.append(point(candidate, workload.name, outcome, reference, area, energy))
    mark_fronts(found)
    return found, refused


def reference_of(sweep: Sweep, results: dict[str, dict], known: dict[tuple, Area], workload: object) -> Reference:
    """What a workload's points are compared with."""
    mixed, four = (results[task.key]["counters"]["CYCLES"] for task in sweep.references(workload))
    area = known.get(hardware(sweep.reference))
    return Reference(mixed, four, area.area if area else None)


def energy_of(
    sweep: Sweep, results: dict[str, dict], known: dict[tuple, Area], outcome: dict, area: Area | None, images: int
) -> float | None:
    """J per image on chip; None without a measurement or without areas."""
    if sweep.energy is None or area is None:
        return None
    measured = Work.of(results[sweep.energy_task.key], sweep.energy.images)
    units = known[hardware(sweep.energy.config)].units
    return estimate(sweep.energy, measured, units, Work.of(outcome, images), area.units)
