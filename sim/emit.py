"""Verilog of a component, in a folder named by its content, so that a build of the same hardware is found again."""

import hashlib
import os
import tempfile
from pathlib import Path

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil, verilog
from amaranth.hdl import Const, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

DIGEST_DIGITS = 16


def ports(component: wiring.Component) -> dict[str, tuple[Value, PortDirection]]:
    """The ports of a component by their flattened names; constants (`ready` of an always ready stream) are none."""
    found = {}
    for path, member, value in component.signature.flatten(component):
        signal = Value.cast(value)
        if not isinstance(signal, Const):
            direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
            found["__".join(map(str, path))] = (signal, direction)
    return found


def to_verilog(component: wiring.Component, name: str, assigns: bool = False) -> str:
    """The SystemVerilog text of `component` as module `name`.

    SystemVerilog's `always_comb` runs at time 0; the `always @*` of plain Verilog does not in Icarus, which would leave
    idle outputs undefined. Source locations are left out: the text depends on the hardware alone.

    With ``assigns`` all combinational logic is continuous assignments. Icarus needs that: the passing values of
    variables in two `always_comb` blocks that read each other's wake them for ever, though no bit depends on itself.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    text = rtlil.convert(component, name=name, ports=ports(component), emit_src=False)
    if assigns:
        script = f"read_rtlil <<rtlil\n{text}\nrtlil\nproc\nmemory_collect\nwrite_verilog -sv -noattr"
        return find_yosys(lambda version: version >= (0, 40)).run(["-q", "-"], script, ignore_warnings=True)
    return verilog._convert_rtlil_text(text, strip_internal_attrs=True, write_verilog_opts=("-sv",))


def digest(text: str) -> str:
    """Short hexadecimal hash that names a build folder."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]


def write_once(path: Path, text: str) -> Path:
    """Write `text` unless the file is already there; whole or not at all, also with several processes."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as part:
            part.write(text)
        os.replace(part.name, path)
    return path


def emit(component: wiring.Component, name: str, out_dir: Path) -> Path:
    """Write module `name` to ``<out_dir>/<name>-<hash of the text>/<name>.sv`` and return that path."""
    text = to_verilog(component, name)
    return write_once(Path(out_dir) / f"{name}-{digest(text)}" / f"{name}.sv", text)
