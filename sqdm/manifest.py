"""The manifest of generated hardware."""

import importlib
import pkgutil
import re
from dataclasses import asdict

from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

import sqdm.rtl
from sqdm import __version__
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import BYTES, FIELDS
from sqdm.rtl.registers import REGISTERS
from sqdm.sim import emit

MODULE = re.compile(r"^module (\S+?)\s*\(")
MEMORY = re.compile(r"^\s*reg \[(\d+):0\] (\S+) \[(\d+):0\];")


def ports(component: wiring.Component) -> list[dict]:
    """Name, direction and width of every port of the Verilog module, clock and reset first."""
    found = [{"name": name, "direction": "input", "width": 1} for name in ("clk", "rst")]
    for name, (value, direction) in emit.ports(component).items():
        direction = "input" if direction is PortDirection.Input else "output"
        found.append({"name": name, "direction": direction, "width": len(value)})
    return found


def memories(verilog: str) -> list[dict]:
    """Module, name, width and depth of every memory in the text."""
    found = []
    module = ""
    for line in verilog.splitlines():
        if match := MODULE.match(line):
            module = match[1].lstrip("\\")
        elif match := MEMORY.match(line):
            width, depth = int(match[1]) + 1, int(match[3]) + 1
            found.append({"module": module, "name": match[2].lstrip("\\"), "width": width, "depth": depth})
    return found


def latencies() -> dict[str, int]:
    """`LATENCY` of every component that has one, cycles."""
    found = {}
    for info in pkgutil.iter_modules(sqdm.rtl.__path__):
        module = importlib.import_module(f"sqdm.rtl.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, wiring.Component) and value.__module__ == module.__name__:
                latency = getattr(value, "LATENCY", None)
                if isinstance(latency, int):
                    found[name] = latency
    return found


def words(table: dict) -> list[dict]:
    """Registers or descriptor words with their fields."""
    return [asdict(word) for word in table.values()]


def manifest(top: str, component: wiring.Component, config: Config, verilog: str) -> dict:
    """Everything about the generated hardware that an integrator asks for.

    ``parameters`` and what is ``derived`` from them; ``ports``; ``registers`` with offsets, fields and reset values;
    the ``descriptor`` with its words; every memory; cycles of ``latencies`` by component.
    """
    derived = {"arrays": config.arrays, "multipliers": config.multipliers, "post_lanes": config.post_lanes}
    derived |= {"max_depth": config.max_depth, "weight_rows": config.weight_rows}
    found = memories(verilog)
    return {
        "top": top,
        "version": __version__,
        "parameters": config.to_dict(),
        "derived": derived,
        "ports": ports(component),
        "registers": words(REGISTERS),
        "descriptor": {"bytes": BYTES, "words": words(FIELDS)},
        "memories": found,
        "memory_bits": sum(memory["width"] * memory["depth"] for memory in found),
        "latencies": latencies(),
    }
