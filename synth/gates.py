"""Technology-independent synthesis: how many gates and flip-flops a part needs, its memories counted apart.

yosys maps everything but memories to two-input gates and one kind of flip-flop (enables and resets become gates). Its
longer default script would take four times as long for 3% fewer cells. `area` is in gate equivalents: transistors of
static CMOS gates, divided by the four of a NAND.
"""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqdm.rtl.config import Config
from sqdm.synth.parts import component, to_rtlil
from sqdm.synth.yosys import cached, cached_path, unpack, yosys

WORKERS = 2
FLIPFLOP = "$_DFF_P_"

#: Transistors of a static CMOS cell; a transmission-gate multiplexer and flip-flop, two-level And-Or gates.
TRANSISTORS = {
    "$_BUF_": 4, "$_NOT_": 2, "$_NAND_": 4, "$_NOR_": 4, "$_AND_": 6, "$_OR_": 6, "$_ANDNOT_": 6, "$_ORNOT_": 6,
    "$_XOR_": 12, "$_XNOR_": 12, "$_MUX_": 12, "$_NMUX_": 10, "$_AOI3_": 6, "$_OAI3_": 6, "$_AOI4_": 8,
    "$_OAI4_": 8, FLIPFLOP: 24,
}  # fmt: skip

SCRIPT = """
read_rtlil part.il
hierarchy -check -top {top}
proc
flatten
opt_expr
opt_clean
opt -nodffe -nosdff
wreduce
peepopt
opt_clean
alumacc
opt
memory -nomap
opt_clean
tee -q -o memories.txt dump t:$mem*
opt -fast -full
techmap
opt -fast
delete t:$scopeinfo
dfflegalize -cell {flipflop} 01
opt_clean
abc -g gates -script +strash;dc2;strash;map
opt_clean
tee -q -o cells.json stat -json
"""


def synthesize(
    config: Config, names: list[str], on_part: Callable[[str], None] | None = None
) -> list[dict[str, str | int | float | None]]:
    """Area of each named part (see `sqdm.synth.parts`); results are cached by content.

    ``on_part(name)`` is called after each one. Raises `UserError` when yosys is missing or fails.
    """
    designs = {name: to_rtlil(component(name, config)) for name in names}
    missing = [name for name in names if not _path(designs[name]).exists()]
    for name in names:
        if name not in missing and on_part is not None:
            on_part(name)
    if missing:
        unpack()
    with ThreadPoolExecutor(WORKERS) as pool:
        for name, _ in zip(missing, pool.map(lambda n: _synthesize(designs[n]), missing), strict=True):
            if on_part is not None:
                on_part(name)
    return [{"name": name, **_synthesize(designs[name])} for name in names]


def _path(design: str) -> Path:
    return cached_path("gates", design, SCRIPT, TRANSISTORS)


def _synthesize(design: str) -> dict:
    """The figures of one design, from the cache or from yosys."""

    def compute(folder: Path) -> dict:
        (folder / "part.il").write_text(design)
        (folder / "gates.ys").write_text(SCRIPT.format(top="part", flipflop=FLIPFLOP))
        yosys(["-q", "gates.ys"], folder)
        return read_figures((folder / "cells.json").read_text(), (folder / "memories.txt").read_text())

    return cached(_path(design), compute)


def read_figures(cells: str, memories: str) -> dict[str, str | int | float | None]:
    """Area, cells, flip-flops and memory bits from the outputs of yosys' `stat -json` and `dump`."""
    counts = json.loads(cells[cells.index("{") :])["design"]["num_cells_by_type"]
    gates = {kind: count for kind, count in counts.items() if not kind.startswith("$mem")}
    sizes = zip(
        re.findall(r"parameter \\SIZE (\d+)", memories), re.findall(r"parameter \\WIDTH (\d+)", memories), strict=True
    )
    return {
        "area": sum(TRANSISTORS[kind] * count for kind, count in gates.items()) / 4,
        "unit": "gate equivalents",
        "cells": sum(gates.values()),
        "flipflops": gates.get(FLIPFLOP, 0),
        "memory_bits": sum(int(size) * int(width) for size, width in sizes),
        "fmax_mhz": None,
    }
