"""Maps a part's logic to the cells of a library, and keeps the netlist in the cache by content."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqdm.errors import UserError
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.partition import Part
from sqdm.synth.yosys import cached, cached_path, unpack, yosys

WORKERS = 2

#: Delay target far below what is possible: buffers and cell sizes as fast as they get without a larger structure.
DELAY_TARGET_PS = 1000

#: The default recipe without its two slowest passes: a seventh of the time for the output path.
RECIPE = "+strash;dc2;strash;&get,-n;&nf,{D};&put;buffer,-c;upsize,{D};dnsize,{D}"

SCRIPT = """
read_json part.json
hierarchy -top part
opt_expr
opt_clean
wreduce
peepopt
opt_clean
alumacc
opt -fast
techmap
opt -fast
abc {liberties} -constr constraints -D {delay} -script {recipe}
opt_clean
write_json netlist.json
"""


@dataclass(frozen=True)
class Netlist:
    """Cells of a part. Nets are numbers; the first are the part's inputs, in order.

    ``cells``: (cell name, nets of its inputs in the order of `Gate.inputs`, net of its output). ``nets``: net of the
    part -> net here, or a constant, for its inputs and outputs; those that nothing drives are left out.
    """

    count: int
    cells: list[tuple[str, list[int | str], int]]
    nets: dict[int, int | str]


def synthesize(parts: list[Part], library: Library, on_part: Callable[[int], None] | None = None) -> dict[str, Netlist]:
    """Netlists by the parts' JSON text; equal parts are mapped once. ``on_part(done)`` after each one."""
    texts = list(dict.fromkeys(part.to_json() for part in parts))
    paths = {
        text: cached_path("energy-netlist", text, library.digest, SCRIPT, RECIPE, DELAY_TARGET_PS) for text in texts
    }
    if not all(path.exists() for path in paths.values()):
        unpack()
    by_size = sorted(texts, key=len, reverse=True)
    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(lambda text: cached(paths[text], lambda folder: map_part(text, library, folder)), by_size)
        for number, _ in enumerate(done):
            if on_part is not None:
                on_part(number + 1)
    return {text: read_netlist(text, json.loads(paths[text].read_text()), library) for text in texts}


def map_part(text: str, library: Library, folder: Path) -> dict:
    """Run yosys: the mapped module in yosys' JSON format."""
    names = []
    for number, path in enumerate(library.files):
        names.append(f"library{number}.lib")
        shutil.copy(path, folder / names[-1])
    smallest = min((g for g in library.gates.values() if g.function.startswith("~") and len(g.inputs) == 1),
                   key=lambda g: g.area)  # fmt: skip
    load = 4 * smallest.capacitance[smallest.inputs[0]] * 1e15
    (folder / "constraints").write_text(f"set_driving_cell {smallest.name}\nset_load {load:.3f} [all_outputs]\n")
    (folder / "part.json").write_text(text)
    liberties = " ".join(f"-liberty {name}" for name in names)
    (folder / "map.ys").write_text(SCRIPT.format(liberties=liberties, delay=DELAY_TARGET_PS, recipe=RECIPE))
    yosys(["-q", "map.ys"], folder)
    module = json.loads((folder / "netlist.json").read_text())["modules"]["part"]
    return {
        "ports": {name: port["bits"] for name, port in module["ports"].items()},
        "cells": [[cell["type"], cell["connections"]] for cell in module["cells"].values()],
    }


def read_netlist(text: str, module: dict, library: Library) -> Netlist:
    """The `Netlist` of a mapped module. Raises `UserError` for a cell that the library's tables do not know."""
    numbers: dict[int, int] = {}

    def number(net):
        return numbers.setdefault(net, len(numbers)) if isinstance(net, int) else net

    ports = json.loads(text)["modules"]["part"]["ports"]
    nets = {}
    for name in ("s", "y"):
        for before, after in zip(ports[name]["bits"], module["ports"][name], strict=True):
            nets[before - 2] = number(after)
    cells = []
    for kind, pins in module["cells"]:
        if kind not in library.gates:
            raise UserError(f"liberty must describe every cell that yosys chose, but {kind} has no single function")
        gate = library.gates[kind]
        cells.append((kind, [number(pins[pin][0]) for pin in gate.inputs], number(pins[gate.output][0])))
    return Netlist(len(numbers), cells, nets)
