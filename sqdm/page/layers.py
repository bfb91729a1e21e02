"""Where the cycles of a run go: ideal, arrays that wait for one another, stalls by cause."""

from dataclasses import dataclass

from sqdm.rtl.registers import STALLS

CAUSES = {
    "STALL_ACTS": "activations not loaded", "STALL_WEIGHTS": "weights not loaded",
    "STALL_OUTPUT": "outputs not taken", "STALL_MAP": "resampling (MAP)", "STALL_DETECT": "sorting channels",
    "STALL_OTHER": "descriptors, set-up, pipeline fill",
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """Cycles of one descriptor, or of several.

    ``ideal``: activations that the arrays took / slots, the cycles if every slot worked in every cycle.
    ``uneven``: the rest of the cycles in which some slot worked. ``stalls``: cycles in which none did, by counter.
    ``dense``: cycles with all arrays dense, None when that was not run.
    """

    name: str
    cycles: int
    ideal: float
    uneven: float
    stalls: dict[str, int]
    dense: int | None
    speedup: float | None = None
    zeros: float | None = None


def bar(name: str, counters: dict, config: dict, cycles: int, dense: int | None, **more) -> Bar:
    """From the counters of a run on ``config`` (the parameters by name)."""
    slots = (config["dense_arrays"] + config["sparse_arrays"]) * config["slots"]
    ideal = (counters["OPS_DENSE"] + counters["OPS_SPARSE"]) / slots
    stalls = {name: counters[name] for name in CAUSES}
    return Bar(name, cycles, ideal, counters["ACTIVE"] - ideal, stalls, dense, **more)


def whole(report: dict) -> Bar:
    """The whole run."""
    speedup = report["speedup"]["vs_dense_4bit"]
    return bar("all evaluations", report["counters"], report["config"], report["cycles"], report["cycles_dense"],
               speedup=speedup, zeros=report["zero_fraction"])  # fmt: skip


def by_layer(report: dict) -> list[Bar]:
    """The profiled evaluation: layers and MAPs in the order of the program, then all that did neither as one bar."""
    bars, rest = [], []
    for row in report["layers"]:
        if "counters" not in row:
            continue
        found = bar(row["name"], row["counters"], report["config"], row["cycles"], row["cycles_dense"],
                    speedup=row["speedup"], zeros=row.get("zero_fraction"))  # fmt: skip
        works = row["counters"]["ACTIVE"] or row["counters"]["STALL_MAP"]
        (bars if works else rest).append(found)
    if rest:
        noun = "descriptor" if len(rest) == 1 else "descriptors"
        known = all(one.dense is not None for one in rest)
        bars.append(
            Bar(
                f"{len(rest)} {noun} without arithmetic",
                sum(one.cycles for one in rest),
                0.0,
                0.0,
                {name: sum(one.stalls[name] for one in rest) for name in STALLS},
                sum(one.dense for one in rest) if known else None,
            )
        )
    return bars


def skew(report: dict) -> int:
    """Largest difference of a descriptor's counters from its cycles.

    Counters are read while the next descriptor is already being set up, so a few cycles stand beside the neighbour.
    """
    rows = [row["counters"] for row in report["layers"] if "counters" in row]
    return max((abs(row["CYCLES"] - row["ACTIVE"] - sum(row[name] for name in CAUSES)) for row in rows), default=0)
