"""Small results of the commands that `sqdm report` shows, made by hand, and a reader of the page."""

import copy
import json
from html.parser import HTMLParser

import numpy as np

from sqdm.picture import draw
from sqdm.rtl.config import PRESETS
from sqdm.rtl.registers import COUNTERS

EVALUATIONS = 3
ZEROS = {"first": np.array([[0.25, 0.5, 0.75], [1.0, 1.0, 1.0]]), "second": np.array([[0.125, 0.25, 0.0]])}


def counters(**values):
    return dict.fromkeys(COUNTERS, 0) | values


REPORT = {
    "engine": "rtl", "config": PRESETS["default"].to_dict(), "policy": "balanced", "period": 1, "latency": 20,
    "images": 2, "labels": [4, 2], "steps": 2, "seed": 7, "evaluations": EVALUATIONS, "seconds": 1.5, "cycles": 4321,
    "cycles_dense": 9876, "cycles_dense_4bit": 9000, "macs_total": 1_000_000, "macs_on_accelerator": 0.9917,
    "zero_fraction": 0.6, "outputs_compared": 54321, "mismatches": 0, "first_mismatch": None,
    "speedup": {"vs_dense_4bit": 9876 / 4321, "vs_dense_fp16": 4 * 9000 / 4321}, "stalls": {"acts": 300, "weights": 21},
    "counters": counters(CYCLES=4321, ACTIVE=4000, OPS_SPARSE=24_000, STALL_ACTS=300, STALL_WEIGHTS=21),
    "cycles_per_second": 1000.0, "profiled_evaluation": 1,
    "layers": [
        {"name": "constants first", "cycles": 17, "cycles_dense": 17, "speedup": 1.0,
         "counters": counters(CYCLES=17, STALL_OTHER=20)},
        {"name": "first", "cycles": 1300, "cycles_dense": 2600, "speedup": 2.0, "zero_fraction": 0.75,
         "counters": counters(CYCLES=1300, ACTIVE=1000, OPS_DENSE=80, OPS_SPARSE=6400, STALL_ACTS=297)},
        {"name": "resized", "cycles": 140, "cycles_dense": 140, "speedup": 1.0,
         "counters": counters(CYCLES=140, STALL_MAP=140)},
        {"name": "second", "cycles": 90, "cycles_dense": 180, "speedup": 2.0, "zero_fraction": 0.125,
         "counters": counters(CYCLES=90, ACTIVE=80, OPS_SPARSE=400, STALL_WEIGHTS=10)},
    ],
}  # fmt: skip

STALLS = {"detect": 0, "weights": 20, "acts": 200, "output": 0, "map": 0, "other": 30}
ROW = {"groups": ["headline"], "energy": None, "area": None, "speedup_per_area": None, "problem": None}
BENCH = {
    "engine": "model", "images": 2, "steps": 2, "evaluations": EVALUATIONS,
    "published": {"name": "SQ-DM", "source": "arXiv 2501.15448, simulated", "speedup_fp16": 6.91, "speedup_4bit": 1.83},
    "rows": [
        ROW | {"name": "fp16-dense", "cycles": 36000, "speedup_fp16": 1.0, "speedup_4bit": 0.27},
        ROW | {"name": "default", "cycles": 4321, "speedup_fp16": 8.33, "speedup_4bit": 2.29, "energy": 0.0211,
               "area": 695255.5, "speedup_per_area": 1.87, "active": 4071, "stalls": STALLS, "bits": None,
               "element_sparsity": 0.731, "groups": ["headline", "mixes"]},
        ROW | {"name": "small", "cycles": None, "speedup_fp16": None, "speedup_4bit": None, "groups": ["shapes"],
               "problem": "slot_channels must be larger"},
    ],
}  # fmt: skip

PART = {"unit": "gate equivalents", "flipflops": 11, "memory_bits": 4096, "fmax_mhz": None, "share_of_core": None,
        "hierarchy": []}  # fmt: skip
MODULES = [{"path": path, "area": area, "memory_bits": bits}
           for path, area, bits in (("", 9000.5, 4096), ("core", 8000, 4096), ("core.mac_0", 3000, 0))]  # fmt: skip
SYNTH = {
    "config": "default", "target": "gates", "ratios": {"sparse_over_dense": 1.0614},
    "parts": [PART | {"name": "sparse", "area": 3810.0, "cells": 1879, "share_of_core": 0.43842},
              PART | {"name": "all", "area": 9000.5, "cells": 4444, "hierarchy": MODULES}],
}  # fmt: skip

BREAKDOWN = {"fp16_dense": {"mac": 2e-3, "DRAM": 3e-4}, "dense_4bit": {"mac": 5e-4, "DRAM": 2e-4},
             "sqdm": {"mac": 2.5e-4, "DRAM": 2e-4}}  # fmt: skip
ENERGY = {
    "config": PRESETS["default"].to_dict(), "liberty": "small", "voltage": 1.8, "images": 2, "steps": 2, "latency": 20,
    "energy_per_image": {name: parts["mac"] for name, parts in BREAKDOWN.items()},
    "energy_per_image_with_dram": {name: sum(parts.values()) for name, parts in BREAKDOWN.items()},
    "breakdown": BREAKDOWN, "mismatches": 0, "measured": [{"cycles": 4096}], "reduction_vs_dense": 0.5,
    "reduction_vs_dense_with_dram": 0.357, "reduction_vs_fp16": 0.875, "reduction_vs_fp16_with_dram": 0.804,
    "reduction_vs_dense_range": [0.48, 0.52], "reduction_vs_dense_with_dram_range": [0.3, 0.4], "own_run": False,
}  # fmt: skip


def write_sample(folder, zeros=ZEROS, **changes):
    """A folder as `sqdm sample` leaves it, without statistics when ``zeros`` is None."""
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(copy.deepcopy(REPORT) | changes))
    draw(np.zeros((2, 8, 8)), [4, 2], "two digits", folder / "samples.png")
    if zeros is not None:
        np.savez_compressed(folder / "stats.npz", **zeros)
    return folder


def write_json(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_all(folder):
    """Every input in ``folder``, by option."""
    return {
        "--sample": write_sample(folder / "sample"),
        "--bench": write_json(folder / "bench.json", BENCH),
        "--synth": write_json(folder / "synth.json", SYNTH),
        "--energy": write_json(folder / "energy.json", ENERGY),
    }


class Page(HTMLParser):
    """What is in the page: ``tables`` by section (rows of cells), ``images``, ``links``, ``codes``, ``tags``, text."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.images, self.links, self.codes, self.tags = {}, [], [], [], []
        self.texts, self.attributes = {}, []
        self.section, self.in_cell, self.in_code = "", False, False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "section":
            self.section = values["id"]
        elif tag == "table":
            self.tables.setdefault(self.section, []).append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.tables[self.section][-1][-1].append("")
            self.in_cell = True
        elif tag == "img":
            self.images.append(values)
        elif tag == "a":
            self.links.append(values["href"])
        elif tag == "code":
            self.codes.append("")
            self.in_code = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False
        elif tag == "code":
            self.in_code = False

    def handle_data(self, data):
        if self.in_cell:
            self.tables[self.section][-1][-1][-1] += data
        if self.in_code:
            self.codes[-1] += data
        self.texts[self.section] = self.texts.get(self.section, "") + data

    def row(self, section, table, name):
        """The cells of a row by the heads of its table."""
        heads, *rows = self.tables[section][table]
        return dict(zip(heads, next(row for row in rows if row[0] == name), strict=True))
