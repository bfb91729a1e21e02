"""Cuts an accelerator into parts of combinational logic between registers, memories and the borders of the parts.

What the registers, the memories' read ports and the inputs of a part hold in a cycle determines every net of it. So a
simulation of the RTL that records them (`sqdm.synth.energy.trace`) is all that the gates need as stimuli, and cycles
can be evaluated in parallel (`sqdm.synth.energy.evaluate`).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import Config
from sqdm.sim.emit import ports
from sqdm.synth.yosys import yosys

TOP = "sqdm_accelerator"
CONTROL = "control"

#: Label of a part -> the modules below the accelerator that it consists of; everything else is `CONTROL`.
MODULES = {
    "multipliers and accumulators": r"core\.compute\.\w+_array_\d+\.mac",
    "feeders": r"core\.compute\.\w+_array_\d+\.feeder",
    "psum queues and join": r"core\.compute",
    "loader and corner turns": r"core\.loader",
    "address generator": r"core\.addresses",
    "normaliser": r"core\.normaliser",
    "sparsity detector": r"core\.tables",
    "output path": r"core\.outputs",
    "map engine": r"core\.map",
    "memory port": r"port",
}

SCRIPT = """
read_rtlil design.il
hierarchy -check -top {top}
proc
{keep}
flatten
memory_collect
opt_clean
write_json design.json
write_verilog -noattr -sv design.sv
"""


@dataclass(frozen=True)
class Source:
    """A bit of a wire in the simulation: instances on the way to it, its name, the bit, the wire's width."""

    path: tuple[str, ...]
    name: str
    bit: int
    width: int


@dataclass(frozen=True)
class Memory:
    """A memory that a part uses. Enables are nets of the part or constants: one to read, one for each bit to write."""

    name: str
    rows: int
    width: int
    read_enable: int | str
    write_enables: list[int | str]


@dataclass
class Part:
    """Combinational logic with numbered nets.

    ``sources``: for each input net 0, 1, ... the place of its value in the simulation.
    ``outputs``: nets of the register inputs, of the memories' inputs and of the part's outputs, each once.
    ``registers``: (input number of Q, net of D); a net is a number or a constant ``"0"``, ``"1"``, ``"x"``.
    ``cells``: word-level cells as of yosys' JSON format, connected to these nets.
    """

    name: str
    label: str
    sources: list[Source] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    registers: list[tuple[int, int | str]] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    cells: list[dict] = field(default_factory=list)

    def to_json(self) -> str:
        """The logic alone as a module ``part`` with ports ``s`` and ``y``, for yosys; the same for equal logic."""
        # yosys counts nets from 2 on
        lift = {"s": [net + 2 for net in range(len(self.sources))], "y": [net + 2 for net in self.outputs]}
        port = {name: {"direction": way, "bits": lift[name]} for name, way in (("s", "input"), ("y", "output"))}
        cells = {
            f"c{number}": cell
            | {
                "connections": {
                    pin: [net + 2 if isinstance(net, int) else net for net in nets]
                    for pin, nets in cell["connections"].items()
                }
            }
            for number, cell in enumerate(self.cells)
        }
        return json.dumps({"modules": {"part": {"ports": port, "cells": cells, "netnames": {}}}})


def block(component: wiring.Component, folder: Path) -> Part:
    """A component alone as one part; works in ``folder``."""
    text = rtlil.convert(component, name="block", ports=ports(component), emit_src=False)
    (folder / "design.il").write_text(text)
    (folder / "design.ys").write_text(SCRIPT.format(top="block", keep=""))
    yosys(["-q", "design.ys"], folder)
    design = json.loads((folder / "design.json").read_text())["modules"]
    return cut_module(design, "block", (), "block", "block")


def label(module: str) -> str | None:
    """The part that a module of the hierarchy is the top of, or None."""
    return next((name for name, pattern in MODULES.items() if re.fullmatch(pattern, module)), None)


@dataclass(frozen=True)
class Design:
    """An accelerator's parts, and its SystemVerilog (module `TOP`), whose names they refer to.

    ``ports``: declarations of its ports by name.
    """

    parts: list[Part]
    text: str
    ports: dict[str, str]


def partition(config: Config, folder: Path) -> Design:
    """The accelerator with ``config``, cut into parts. Works in ``folder``."""
    part = Accelerator(config)
    text = rtlil.convert(part, name=TOP, ports=ports(part), emit_src=False)
    modules = re.findall(r"^module \\(\S+)$", text, re.M)
    kept = [name for name in modules if label(name.removeprefix(TOP + "."))]
    keep = "\n".join(f"setattr -mod -set keep_hierarchy 1 {name}" for name in kept)
    (folder / "design.il").write_text(text)
    (folder / "design.ys").write_text(SCRIPT.format(top=TOP, keep=keep))
    yosys(["-q", "design.ys"], folder)
    design = json.loads((folder / "design.json").read_text())["modules"]
    declared = {
        name: f"{details['direction']} [{len(details['bits']) - 1}:0] {name}"
        for name, details in design[TOP]["ports"].items()
    }
    return Design(cut(design, TOP), (folder / "design.sv").read_text(), declared)


def cut(design: dict, top: str) -> list[Part]:
    """One part for each module of a design in yosys' JSON format, found from module ``top`` on."""
    found: list[Part] = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        name = module.removeprefix(top).removeprefix(".")
        found.append(cut_module(design, module, path, name or CONTROL, label(name) or CONTROL))
        for cell_name, cell in design[module]["cells"].items():
            if cell["type"] in design:
                visit(cell["type"], (*path, cell_name))

    visit(top, ())
    return found


def cut_module(design: dict, module: str, path: tuple[str, ...], name: str, part_label: str) -> Part:
    """A module's combinational logic. Registers are `$dff`, memories `$mem_v2` with one clocked port of either kind."""
    content = design[module]
    part = Part(name, part_label)
    numbers: dict[int, int] = {}  # net of the module -> net of the part
    names = {}
    for wire, details in content["netnames"].items():
        if not details["hide_name"]:
            for bit, net in enumerate(details["bits"]):
                names.setdefault(net, (wire, bit, len(details["bits"])))
    clocks = {net for cell in content["cells"].values() for net in clock_nets(cell, design)}

    def number(net):
        if not isinstance(net, int):
            return net
        return numbers.setdefault(net, len(numbers))

    def source(net, place=None):
        if isinstance(net, int) and net not in numbers and net not in clocks:
            part.sources.append(place or Source(path, *names[net]))
            number(net)

    registers, memories, logic, sinks = [], [], [], []
    for port, details in content["ports"].items():
        for bit, net in enumerate(details["bits"]):
            if details["direction"] == "input":
                source(net, Source(path, port, bit, len(details["bits"])))
            else:
                sinks.append(net)
    for cell_name, cell in content["cells"].items():
        pins, kind = cell["connections"], cell["type"]
        if kind == "$dff":
            for net in pins["Q"]:
                source(net)
            registers.append(pins)
        elif kind == "$mem_v2":
            for net in pins["RD_DATA"]:
                source(net)
            memories.append((cell_name, cell))
        elif kind in design:
            for port, details in design[kind]["ports"].items():
                for bit, net in enumerate(pins[port]):
                    if details["direction"] == "output":
                        source(net, Source((*path, cell_name), port, bit, len(details["bits"])))
                    else:
                        sinks.append(net)
        elif kind != "$scopeinfo":
            logic.append(cell)
    for cell in logic:
        part.cells.append(
            {
                "type": cell["type"],
                "parameters": cell["parameters"],
                "port_directions": cell["port_directions"],
                "connections": {pin: [number(net) for net in nets] for pin, nets in cell["connections"].items()},
            }
        )
    for pins in registers:
        part.registers += [(number(q), number(d)) for q, d in zip(pins["Q"], pins["D"], strict=True)]
        sinks += pins["D"]
    for cell_name, cell in memories:
        pins, sizes = cell["connections"], cell["parameters"]
        for pin in ("RD_ADDR", "RD_EN", "WR_ADDR", "WR_DATA", "WR_EN"):
            sinks += pins[pin]
        part.memories.append(
            Memory(
                cell_name,
                int(sizes["SIZE"], 2),
                int(sizes["WIDTH"], 2),
                number(pins["RD_EN"][0]),
                [number(net) for net in pins["WR_EN"]],
            )
        )
    wanted = {number(net): None for net in sinks if isinstance(net, int) and net not in clocks}
    part.outputs = [net for net in wanted if net >= len(part.sources)]
    return part


def clock_nets(cell: dict, design: dict) -> list[int]:
    """Nets that a cell uses as a clock."""
    names = {"$dff": ("CLK",), "$mem_v2": ("RD_CLK", "WR_CLK")}.get(cell["type"], ())
    return [net for name in names for net in cell["connections"][name]]
