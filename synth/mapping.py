"""Maps units with yosys, two at a time; figures and netlists are cached by content."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from .liberty import Liberty
from .memories import read_dump
from .targets import Target
from .yosys import cached, cached_path, unpack, yosys

WORKERS = 2


@dataclass(frozen=True)
class Job:
    """A unit to map: its name, which is that of its top module, its RTLIL, and the part that it belongs to."""

    unit: str
    text: str
    owner: str


def map_units(
    jobs: list[Job], target: Target, liberty: Liberty | None, on_job: Callable[[int, str], None] | None
) -> dict[str, dict]:
    """Figures of every unit, by name; the longest text first, so that a short one ends last.

    ``on_job(done, owner)`` after each one. Raises `UserError` when yosys is missing or fails.
    """
    if any(not path_of(job, target, liberty).exists() for job in jobs):
        unpack()
    figures: dict[str, dict] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        order = sorted(jobs, key=lambda job: -len(job.text))
        running = {pool.submit(_map, job, target, liberty): job for job in order}
        try:
            for future in as_completed(running):
                job = running[future]
                figures[job.unit] = future.result()
                if on_job is not None:
                    on_job(len(figures), job.owner)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return figures


def path_of(job: Job, target: Target, liberty: Liberty | None) -> Path:
    """Where the unit's figures are kept; its netlist lies beside them."""
    technology = (liberty.digest, liberty.constraints) if liberty else ()
    return cached_path("area", job.text, target.script, *technology)


def netlist(job: Job, target: Target, liberty: Liberty) -> str:
    """Verilog of a unit that has been mapped to cells."""
    return path_of(job, target, liberty).with_suffix(".v").read_text()


def _map(job: Job, target: Target, liberty: Liberty | None) -> dict:
    """Counts of one unit, from the cache or from yosys."""
    path = path_of(job, target, liberty)

    def compute(folder: Path) -> dict:
        begin = time.monotonic()
        (folder / "part.il").write_text(job.text)
        (folder / "map.ys").write_text(target.script.format(top=job.unit))
        if liberty is not None:
            (folder / "constraints").write_text(liberty.constraints)
            for name, text in liberty.files.items():
                (folder / name).write_text(text)
        yosys(["-q", "map.ys"], folder)
        figures = read_figures(*((folder / name).read_text() for name in ("cells.json", "memories.txt", "lost.txt")))
        if liberty is not None:
            (folder / "netlist.v").replace(path.with_suffix(".v"))
            figures["logic_ps"] = read_delay(folder / "stats.txt")
        return figures | {"seconds": round(time.monotonic() - begin, 1)}

    return cached(path, compute)


def read_figures(cells: str, memories: str, lost: str) -> dict:
    """Cells by type and memories of a unit, from the outputs of yosys' `stat -json` and `dump`."""
    counts = json.loads(cells[cells.index("{") :])["design"].get("num_cells_by_type", {})
    left_out = ("$mem", "$scopeinfo", "unit_")
    return {
        "cells": {kind: n for kind, n in counts.items() if not kind.lstrip("\\").startswith(left_out)},
        "memories": [memory.to_dict() | {"problem": memory.problem} for memory in read_dump(memories)],
        "lost": [memory.name for memory in read_dump(lost)],
    }


def read_delay(path: Path) -> int:
    """Longest path of a unit's logic in ps, from the last line of ABC's ``stats.txt``; 0 for a unit without logic."""
    return int(path.read_text().split()[-1]) if path.exists() else 0
