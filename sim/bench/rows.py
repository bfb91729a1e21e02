"""The rows of ``sqdm bench``: cycles, speed-ups, stalls, sparsity, area and energy."""

from dataclasses import dataclass

from sqdm.golden.formats import FP16_OVER_4BIT
from sqdm.rtl.registers import STALLS, Policy
from sqdm.sim.bench.experiments import INT8_OVER_4BIT, NEVER, Experiment, groups_of
from sqdm.sim.bench.figures import Figures, hardware
from sqdm.sim.bench.sparsity import Products

#: The paper's own figures, simulated, on other models (arXiv 2501.15448).
PUBLISHED = {"name": "SQ-DM", "speedup_fp16": 6.91, "speedup_4bit": 1.83, "source": "arXiv 2501.15448, simulated"}


@dataclass(frozen=True)
class Result:
    """Of an experiment: ``model`` and ``rtl`` as `measure.predicted` and `measure.counted` give them, or a ``problem``.

    ``rtl`` is None with the engine model.
    """

    model: dict | None = None
    rtl: dict | None = None
    problem: str | None = None

    @property
    def counters(self) -> dict[str, int] | None:
        """Those of the engine."""
        found = self.rtl or self.model
        return found["counters"] if found else None

    def cycles(self, by_model: bool = False) -> int | None:
        """Cycles of the engine, or of the model."""
        counters = (self.model and self.model["counters"]) if by_model else self.counters
        return counters["CYCLES"] if counters else None


def rows(
    names: list[str], every: dict[str, Experiment], results: dict[str, Result], figures: Figures, engine: str
) -> list[dict]:
    """One row per name. ``results`` hold those names' experiments and the references'."""
    found = []
    for name in names:
        row = _derived(name, results, figures) if name not in every else _measured(every[name], results[name], engine)
        row |= {"groups": list(groups_of(every, name))}
        found.append(_with_figures(row, every, results, figures))
    return found


def _measured(experiment: Experiment, result: Result, engine: str) -> dict:
    """A row that ran."""
    row = {
        "name": experiment.name,
        "cycles": result.cycles(),
        "cycles_model": result.cycles(by_model=True),
        "engine": engine,
        "source": "one evaluation times their number" if experiment.dense else "every evaluation",
        "config": experiment.config.to_dict(),
        "policy": experiment.policy.name.lower() if experiment.sort else "static",
        "threshold": experiment.sparse_share if experiment.policy == Policy.THRESHOLD else None,
        "period": None if not experiment.sort or experiment.period == NEVER else experiment.period,
        "bits": experiment.bits,
        "problem": result.problem,
    }
    counters = result.counters
    if counters:
        row |= {
            "active": counters["ACTIVE"],
            "stalls": {name.removeprefix("STALL_").lower(): counters[name] for name in STALLS},
            "busy": {name: counters[f"BUSY_{name.upper()}"] for name in ("dense", "sparse")},
            "pictures_equal": result.rtl["pictures"] if result.rtl else None,
        }
        if result.model["products"]:
            row |= sparsity_of(Products(**result.model["products"]), result.rtl)
    return row


def sparsity_of(products: Products, rtl: dict | None) -> dict[str, float]:
    """The three shares; what was skipped is counted by the RTL where it ran."""
    shares = products.shares()
    if rtl:
        taken = rtl["counters"]["OPS_DENSE"] + rtl["counters"]["OPS_SPARSE"]
        shares["exploited_sparsity"] = 1 - taken / products.total
    return shares


def _derived(name: str, results: dict[str, Result], figures: Figures) -> dict:
    """A row that follows from that of the dense arrays with every layer in 4 bit."""
    sources = {
        "fp16-dense": (FP16_OVER_4BIT, "paper's convention: an FP16 product takes as long as four 4-bit ones"),
        "int8-convention": (INT8_OVER_4BIT, "paper's convention: an 8-bit product takes as long as two 4-bit ones"),
        "fp16-equal-area": (figures.fp16_ratio, "as many FP16 multipliers as fit the area of the 4-bit ones"),
    }
    factor, source = sources[name]
    by_engine, by_model = (results["4bit-dense"].cycles(by_model) for by_model in (False, True))

    def times(cycles: int | None) -> int | None:
        return round(factor * cycles) if factor and cycles else None

    return {
        "name": name,
        "cycles": times(by_engine),
        "cycles_model": times(by_model),
        "engine": "derived",
        "source": source,
        "factor": factor,
        "problem": None if factor else "no areas of mac and mac_fp16",
    }


def _with_figures(row: dict, every: dict[str, Experiment], results: dict[str, Result], figures: Figures) -> dict:
    """Speed-ups over the references, area and energy."""
    cycles, fp16 = row["cycles"], results["4bit-dense"].cycles()
    mixed = results["mixed-dense"].cycles()
    fp16 = FP16_OVER_4BIT * fp16 if fp16 else None
    dense = every["mixed-dense"].config
    area, area_dense = area_of_row(row, every, figures), figures.areas.get(hardware(dense))
    relative = area / area_dense if area and area_dense else None
    speedup_4bit = mixed / cycles if cycles and mixed else None
    found = {
        "name": row["name"],
        "cycles": cycles,
        "speedup_fp16": fp16 / cycles if cycles and fp16 else None,
        "speedup_4bit": speedup_4bit,
        "energy": energy_of_row(row, figures),
        "area": area,
        "speedup_per_area": speedup_4bit / relative if speedup_4bit and relative else None,
    }
    if cycles and row["cycles_model"] and results["mixed-dense"].rtl:
        found["model_error"] = row["cycles_model"] / cycles - 1
    if row.get("element_sparsity") is not None and speedup_4bit:
        found["bound_reached"] = speedup_4bit * (1 - row["element_sparsity"])
    return found | {key: value for key, value in row.items() if key not in found}


def area_of_row(row: dict, every: dict[str, Experiment], figures: Figures) -> float | None:
    """Gate equivalents; the FP16 array of equal area has that of the dense arrays, the others none of their own."""
    name = "mixed-dense" if row["name"] == "fp16-equal-area" else row["name"]
    return figures.areas.get(hardware(every[name].config)) if name in every else None


def energy_of_row(row: dict, figures: Figures) -> float | None:
    """J per image of the design of `sqdm energy` that the row is."""
    if not figures.energies:
        return None
    if row["name"] in ("fp16-dense", "mixed-dense"):
        return figures.energies["fp16_dense" if row["name"] == "fp16-dense" else "dense_4bit"]
    same = {**row.get("config", {}), "name": ""} == {**figures.energy_config, "name": ""}
    usual = row.get("policy") == "balanced" and row.get("period") == 1 and row.get("bits") is None
    return figures.energies["sqdm"] if same and usual else None
