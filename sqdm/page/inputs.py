"""What the page shows: results of other commands, read and checked."""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sqdm.errors import UserError
from sqdm.page.shapes import NUMBER, OBJECT, OPTIONAL, TEXT, Shape, check
from sqdm.rtl.registers import STALLS

PNG = b"\x89PNG\r\n\x1a\n"

COUNTERS = {name: NUMBER for name in ("CYCLES", "ACTIVE", "OPS_DENSE", "OPS_SPARSE", *STALLS)}
ARRAYS = {"name": TEXT, "dense_arrays": NUMBER, "sparse_arrays": NUMBER, "slots": NUMBER}
REPORT: Shape = {
    "engine": TEXT, "config": ARRAYS, "policy": TEXT, "period": NUMBER, "latency": OPTIONAL, "images": NUMBER,
    "labels": [NUMBER], "steps": NUMBER, "seed": NUMBER, "evaluations": NUMBER, "seconds": NUMBER, "cycles": OPTIONAL,
    "cycles_dense": OPTIONAL, "cycles_dense_4bit": OPTIONAL, "cycles_per_second": OPTIONAL, "macs_total": NUMBER,
    "macs_on_accelerator": NUMBER, "zero_fraction": OPTIONAL, "outputs_compared": NUMBER, "mismatches": NUMBER,
    "speedup": {"vs_dense_4bit": OPTIONAL, "vs_dense_fp16": OPTIONAL}, "stalls": {...: NUMBER},
    "profiled_evaluation": OPTIONAL, "counters": OBJECT, "layers": [{"name": TEXT}],
}  # fmt: skip
PROFILED: Shape = {"cycles": NUMBER, "cycles_dense": OPTIONAL, "speedup": OPTIONAL, "counters": COUNTERS}
ROW: Shape = {"name": TEXT, "groups": [TEXT], "cycles": OPTIONAL, "speedup_fp16": OPTIONAL, "speedup_4bit": OPTIONAL,
              "energy": OPTIONAL, "area": OPTIONAL, "speedup_per_area": OPTIONAL,
              "problem": (str, type(None), "text or null")}  # fmt: skip
RAN: Shape = {
    "active": NUMBER,
    "bits": OPTIONAL,
    "stalls": {name.removeprefix("STALL_").lower(): NUMBER for name in STALLS},
}
BENCH: Shape = {
    "engine": TEXT, "images": NUMBER, "steps": NUMBER, "evaluations": NUMBER, "rows": [ROW],
    "published": {"source": TEXT, "speedup_fp16": NUMBER, "speedup_4bit": NUMBER},
}  # fmt: skip
PART: Shape = {"name": TEXT, "unit": TEXT, "area": NUMBER, "cells": NUMBER, "flipflops": NUMBER, "memory_bits": NUMBER,
               "fmax_mhz": OPTIONAL, "share_of_core": OPTIONAL,
               "hierarchy": [{"path": TEXT, "area": NUMBER, "memory_bits": NUMBER}]}  # fmt: skip
SYNTH: Shape = {"config": TEXT, "target": TEXT, "parts": [PART], "ratios": {...: NUMBER}}
DESIGNS = {name: {...: NUMBER} for name in ("fp16_dense", "dense_4bit", "sqdm")}
TOTALS = {name: NUMBER for name in DESIGNS}
REDUCTIONS = ("reduction_vs_dense", "reduction_vs_dense_with_dram", "reduction_vs_fp16", "reduction_vs_fp16_with_dram")
ENERGY: Shape = {
    "config": {"name": TEXT}, "liberty": TEXT, "voltage": NUMBER, "images": NUMBER, "steps": NUMBER, "latency": NUMBER,
    "energy_per_image": TOTALS, "energy_per_image_with_dram": TOTALS, "breakdown": DESIGNS, "mismatches": NUMBER,
    "measured": [{"cycles": NUMBER}], **dict.fromkeys(REDUCTIONS, NUMBER),
    "reduction_vs_dense_range": [NUMBER], "reduction_vs_dense_with_dram_range": [NUMBER],
}  # fmt: skip


@dataclass
class Sample:
    """A folder of `sqdm sample`: its report, the picture as PNG, and the share of zeros by layer.

    ``zeros``: layer -> (channels, evaluations) in 0..1; empty when it ran without ``--stats``.
    """

    report: dict
    picture: bytes
    zeros: dict[str, np.ndarray]

    @property
    def profiled(self) -> bool:
        """Whether it has cycles of single layers: the RTL ran."""
        return self.report["cycles"] is not None and any("counters" in row for row in self.report["layers"])


@dataclass
class Inputs:
    """Everything the page is made of; None or empty: not given."""

    sample: Sample
    bench: dict | None = None
    synth: list[dict] = field(default_factory=list)
    energy: dict | None = None


def read_json(path: Path, label: str, shape: Shape) -> dict:
    """The JSON object in ``path``; raises `UserError` when it cannot be read or a field of ``shape`` is missing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{label} {str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{label} {str(path)!r} must be one JSON object") from None
    check(found, shape, f"{label} {str(path)!r}")
    return found


def read_bench(path: Path) -> dict:
    """The result of `sqdm bench --json`; raises `UserError` when it is not that."""
    found = read_json(path, "bench", BENCH)
    for index, row in enumerate(found["rows"]):
        if "stalls" in row:
            check(row, RAN, f"bench {str(path)!r}.rows[{index}]")
    return found


def read_sample(folder: Path) -> Sample:
    """The results of `sqdm sample --out folder`; raises `UserError` when they are not that."""
    report = read_json(folder / "report.json", "sample", REPORT)
    for index, row in enumerate(report["layers"]):
        where = f"sample {str(folder / 'report.json')!r}.layers[{index}]"
        check(row.get("zero_fraction"), OPTIONAL, f"{where}.zero_fraction")
        if "counters" in row:
            check(row, PROFILED, where)
    config = report["config"]
    if (config["dense_arrays"] + config["sparse_arrays"]) * config["slots"] <= 0:
        raise UserError(f"sample {str(folder / 'report.json')!r}.config must have arrays and slots, but has none")
    if report["cycles"] is not None:
        check(report["counters"], COUNTERS, f"sample {str(folder / 'report.json')!r}.counters")
    try:
        picture = (folder / "samples.png").read_bytes()
    except OSError as error:
        raise UserError(f"sample {str(folder / 'samples.png')!r} cannot be read: {error.strerror}") from None
    if not picture.startswith(PNG):
        raise UserError(f"sample {str(folder / 'samples.png')!r} must be a PNG picture")
    statistics = folder / "stats.npz"
    zeros = read_zeros(statistics, report) if statistics.exists() else {}
    return Sample(report, picture, zeros)


def read_zeros(path: Path, report: dict) -> dict[str, np.ndarray]:
    """Shares of zeros by layer, (channels, evaluations) each; raises `UserError` unless they are those of the run."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = dict(archive.items())
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile):
        raise UserError(f"sample {str(path)!r} must be the statistics of sqdm sample --stats") from None
    means = {row["name"]: row.get("zero_fraction") for row in report["layers"]}
    for name, share in found.items():
        numbers = share.ndim == 2 and share.size and share.dtype.kind == "f"
        if not numbers or not (share.min() >= 0 and share.max() <= 1):
            raise UserError(f"sample {str(path)!r} must hold shares (channels, evaluations) in 0..1, not {name!r}")
        mean = means.get(name)
        other = not isinstance(mean, float) or not np.isclose(share.mean(), mean, atol=1e-6)
        if other or share.shape[1] != report["evaluations"]:
            raise UserError(f"sample {str(path)!r} must be of the run in report.json, but {name!r} is of another")
    return found
