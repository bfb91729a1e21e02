"""Area of parts and of the whole accelerator: cut into units, mapped, summed up, memories checked."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sqdm.rtl.config import Config

from . import timing
from .hierarchy import Design, Place
from .liberty import Liberty
from .mapping import Job, map_units, netlist
from .memories import SMALL_BITS, buffer_bits
from .parts import ARRAYS, rtlil_text
from .targets import Target
from .yosys import cached, cached_path


@dataclass(frozen=True)
class Cut:
    """Parts cut into units: ``jobs`` by unit, each unit once; ``places`` by part."""

    config: Config
    jobs: dict[str, Job]
    places: dict[str, list[Place]]


def cut(config: Config, names: list[str]) -> Cut:
    """The named parts (see `sqdm.synth.parts`): ``all`` unit by unit, every other part as a whole."""
    jobs: dict[str, Job] = {}
    places: dict[str, list[Place]] = {}
    for name in names:
        design = Design(rtlil_text(name, config))
        places[name] = design.places if name == "all" else [Place("", design.whole, False)]
        for place in places[name]:
            if place.unit not in jobs:
                owner = f"{name}.{place.path}".rstrip(".")
                jobs[place.unit] = Job(place.unit, design.text(place.unit, place.opened), owner)
    return Cut(config, jobs, places)


def synthesize(
    parts: Cut,
    target: Target,
    liberty: Liberty | None = None,
    access: float = 0.0,
    on_job: Callable[[int, str], None] | None = None,
) -> list[dict]:
    """Figures of each part. ``liberty`` belongs to its ``target``; ``access``: of memories, in s.

    ``on_job(done, part)`` after each unit. ``problems`` of a part: memories that would not be memories. Raises
    `UserError` when a tool is missing or fails.
    """
    figures = map_units(list(parts.jobs.values()), target, liberty, on_job)
    found = []
    for name, places in parts.places.items():
        part = {"name": name, **summary(places, figures, target)}
        part["problems"] += missing_bits(parts.config, part, target)
        if liberty is not None:
            units = [parts.jobs[unit] for unit in dict.fromkeys(place.unit for place in places)]
            part |= longest_path(units, figures, target, liberty, access)
        found.append(part)
    return found


def count(cells: dict[str, int], target: Target) -> dict:
    """Area and counts of a mapped netlist."""
    if target.name in ("gates", "liberty"):
        area = sum(target.weights[kind] * n for kind, n in cells.items())
    else:
        area = sum(target.weights.get(kind, 0) * n for kind, n in cells.items())
    figures = {
        "area": round(area, 3),
        "kinds": dict(sorted(cells.items())),
        "cells": sum(cells.values()),
        "flipflops": sum(n for kind, n in cells.items() if kind.startswith(target.flipflops)),
    }
    for name, kinds in (("luts", target.luts), ("dsps", target.dsps), ("brams", target.brams),
                        ("lutrams", target.lutrams)):  # fmt: skip
        if kinds:
            weight = kinds if name == "luts" else dict.fromkeys(kinds, 1)
            figures[name] = sum(weight.get(kind, 0) * n for kind, n in cells.items())
    return figures


def summary(places: list[Place], figures: dict[str, dict], target: Target) -> dict:
    """A part's figures from those of its units; ``hierarchy`` has a row for each place, with what lies below it."""
    cells: Counter[str] = Counter()
    macros, problems, rows = [], [], []
    for place in places:
        unit = figures[place.unit]
        cells.update(unit["cells"])
        for memory in unit["memories"]:
            path = f"{place.path}.{memory['name']}".lstrip(".")
            lost = memory["name"] in unit["lost"]
            problem = "becomes flip-flops" if lost and memory["bits"] > SMALL_BITS else None
            if not target.brams:  # what an FPGA's memories cannot do, its synthesis finds out
                problem = memory["problem"]
            if problem:
                problems.append(f"{path} ({memory['bits']:,} bits) {problem}")
            if not lost:
                macros.append({key: value for key, value in memory.items() if key != "problem"} | {"name": path})
    for place in places if len(places) > 1 else ():
        below = [p for p in places if not place.path or f"{p.path}.".startswith(f"{place.path}.")]
        inside: Counter[str] = Counter()
        for p in below:
            inside.update(figures[p.unit]["cells"])
        bits = sum(m["bits"] for m in macros if not place.path or m["name"].startswith(f"{place.path}."))
        row = count(inside, target)
        del row["kinds"]
        rows.append({"path": place.path, **row, "memory_bits": bits})
    units = {place.unit for place in places}
    return {
        "unit": target.unit,
        **count(cells, target),
        "memory_bits": sum(macro["bits"] for macro in macros),
        "fmax_mhz": None,
        "macros": macros,
        "hierarchy": rows,
        "problems": problems,
        "seconds": round(sum(figures[unit]["seconds"] for unit in units), 1),
    }


def missing_bits(config: Config, part: dict, target: Target) -> list[str]:
    """Complaints when memories hold fewer bits than the buffers that the configuration asks for."""
    name = part["name"]
    if name not in ARRAYS and name != "all":
        return []
    needed = buffer_bits(config) * (config.arrays if name == "all" else 1)
    problems = []
    if part["memory_bits"] < needed:
        problems.append(f"memories of {name} hold {part['memory_bits']:,} bits, its buffers have {needed:,}")
    sizes = target.brams | target.lutrams
    if sizes and (room := sum(sizes.get(kind, 0) * n for kind, n in part["kinds"].items())) < part["memory_bits"]:
        problems.append(f"memory cells of {name} hold {room:,} bits, its memories have {part['memory_bits']:,}")
    return problems


def longest_path(units: list[Job], figures: dict[str, dict], target: Target, liberty: Liberty, access: float) -> dict:
    """``fmax_mhz`` of a part, whose top is the first of ``units``, and what it comes from.

    OpenSTA times the whole part. Where it is not installed the longest path that ABC finds within one unit counts:
    without the flip-flops' own times, the memories' and the paths from one unit into the next.
    """
    if not timing.available():
        slowest = max(units, key=lambda job: figures[job.unit]["logic_ps"])
        picoseconds = figures[slowest.unit]["logic_ps"]
        return {
            "fmax_mhz": round(1e6 / picoseconds, 3) if picoseconds else None,
            "fmax_source": "ABC: logic within one unit, without flip-flops and memories (OpenSTA is not installed)",
            "critical_path": {"unit": slowest.owner},
        }
    texts = [netlist(job, target, liberty) for job in units]
    path = cached_path("timing", liberty.digest, access, timing.digest_of_script(), *texts)
    found = cached(path, lambda folder: timing.longest_path(liberty, "".join(texts), units[0].unit, access, folder))
    return found | {"fmax_source": "OpenSTA", "memory_access_ns": access * 1e9}


def with_shares(parts: list[dict], config: Config) -> list[dict]:
    """Adds ``share_of_core``: of the area of ``all``, every array counted; None when one is missing."""
    total = next((part["area"] for part in parts if part["name"] == "all"), None)
    instances = {"dense": config.dense_arrays, "sparse": config.sparse_arrays}
    for part in parts:
        number = instances.get(part["name"], 0 if part["name"].startswith("mac") else 1)
        part["share_of_core"] = round(part["area"] * number / total, 5) if total and number else None
    return parts


def ratios(parts: list[dict]) -> dict[str, float]:
    """What the parts are compared by, as far as they are there."""
    areas = {part["name"]: part for part in parts}
    found = {}
    for name, (above, below) in {"sparse_over_dense": ("sparse", "dense"), "int8_over_4bit": ("mac_int8", "mac"),
                                 "fp16_over_4bit": ("mac_fp16", "mac")}.items():  # fmt: skip
        if above in areas and below in areas:
            found[name] = round(areas[above]["area"] / areas[below]["area"], 4)
            found[f"{name}_cells"] = round(areas[above]["cells"] / areas[below]["cells"], 4)
    if {"address", "detector", "all"} <= areas.keys():
        both = areas["address"]["area"] + areas["detector"]["area"]
        found["address_and_detector_of_all"] = round(both / areas["all"]["area"], 5)
    return found
