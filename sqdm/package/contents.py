# amaranth: UnusedElaboratable=no
"""The files of `sqdm generate`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqdm import __version__
from sqdm.header import c_header
from sqdm.manifest import manifest
from sqdm.package import verilog, wrapper
from sqdm.package.fill import fill
from sqdm.register_page import register_page
from sqdm.rtl import axi
from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import Config
from sqdm.rtl.register_file import ADDRESS_BITS
from sqdm.sim.library import TOP

TEMPLATES = Path(__file__).parent / "files"
HEADER = "sqdm_registers.h"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class File:
    """One file: `kind` for programs, `doc` for people."""

    kind: str
    doc: str
    text: str


def _filled(name: str, values: dict[str, object]) -> str:
    """A template with its ``@NAME@`` replaced."""
    text = (TEMPLATES / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def _port_list(ports: list[dict], direction: str) -> str:
    """The ports that constraints name, one a line: all of a direction but clock and interrupt."""
    left_out = (wrapper.CLOCK, wrapper.INTERRUPT)
    chosen = [port for port in ports if port["direction"] == direction and port["name"] not in left_out]
    return "\n".join(f"  {port['name']}{'[*]' if port['width'] > 1 else ''}" for port in chosen)


def _memory_table(memories: list[dict]) -> str:
    """Memories of equal name and size as a row, the largest first."""
    groups: dict[tuple, list[str]] = {}
    for memory in memories:
        key = (memory["name"], memory["width"], memory["depth"])
        groups.setdefault(key, []).append(memory["module"].removeprefix(f"{TOP}_"))
    rows = sorted(groups.items(), key=lambda row: -row[0][1] * row[0][2] * len(row[1]))
    return "\n".join(
        f"| `{name}` | {width} | {depth} | {width * depth:,} | {len(modules)} | {', '.join(modules)} |"
        for (name, width, depth), modules in rows
    )


def contents(config: Config, on_wait: Callable[[str], None] | None = None) -> dict[str, File]:
    """Every file by name; see `verilog.verilog` for ``on_wait`` and errors."""
    text = verilog.verilog(config, on_wait)
    component = Accelerator(config)  # only its ports are used
    described = manifest(TOP, component, config, text)
    ports = wrapper.ports(component)
    wrapped = wrapper.wrapper(component, TOP)
    values = {
        "TOP": TOP,
        "WRAPPER": wrapper.WRAPPER,
        "VERSION": __version__,
        "CONFIG": config.name,
        "INPUTS": _port_list(ports, "input"),
        "OUTPUTS": _port_list(ports, "output"),
        "LITE_BITS": ADDRESS_BITS,
        "BUS_BITS": config.bus_bits,
        "MAX_BEATS": axi.MAX_BEATS,
        "OUTSTANDING": axi.OUTSTANDING,
        "MEMORY_BITS": f"{described['memory_bits']:,}",
        "MEMORIES": len(described["memories"]),
        "MEMORY_TABLE": _memory_table(described["memories"]),
    }
    files = {
        f"{TOP}.sv": File("systemverilog", "the accelerator, all modules", text),
        f"{wrapper.WRAPPER}.v": File("verilog", "the top: complete AXI ports, clock, reset, interrupt", wrapped),
        HEADER: File("c_header", "registers and descriptors for software", c_header(config)),
        "registers.md": File("document", "the same to read", register_page()),
        f"{TOP}.core": File("fusesoc", "FuseSoC core description", _filled("core.yaml", values)),
        "sqdm.sdc": File("constraints", "clock and port timing (SDC)", _filled("sqdm.sdc", values)),
        "synth.ys": File("yosys_script", "synthesis with yosys", _filled("synth.ys", values)),
        "vivado.tcl": File("vivado_script", "out-of-context synthesis with Vivado", _filled("vivado.tcl", values)),
        "sqdm_lint.vlt": File("lint_waivers", "Verilator's waivers with reasons", _filled("sqdm_lint.vlt", values)),
    }
    filled = fill(text, TOP, wrapper.WRAPPER, described["memories"])
    files["sqdm_fill.sv"] = File("simulation", "content for the memories in simulators with X (optional)", filled)
    listed = {name: (file.kind, file.doc) for name, file in files.items()}
    listed |= {MANIFEST: ("manifest", "parameters, ports, registers, memories, latencies, files (JSON)")}
    listed |= {"README.md": ("document", "this page")}
    described["wrapper"] = {"top": wrapper.WRAPPER, "ports": ports}
    described["files"] = [{"name": name, "kind": kind, "doc": doc} for name, (kind, doc) in listed.items()]
    files[MANIFEST] = File(*listed[MANIFEST], json.dumps(described, indent=1) + "\n")
    values["FILES"] = "\n".join(f"| {name} | {doc} |" for name, (_, doc) in listed.items())
    files["README.md"] = File(*listed["README.md"], _filled("README.md", values))
    return files
