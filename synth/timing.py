"""Static timing of a mapped netlist with OpenSTA.

The clock is ideal; inputs arrive with its edge and outputs are due at the next one; wires have no load; a memory gives
its data ``access`` seconds after the edge and needs none to take addresses. So the figure bounds the clock from above.
"""

import re
import shutil
import subprocess
from pathlib import Path

from sqdm.errors import UserError
from sqdm.sim.library import digest

from .liberty import Liberty

#: Long enough that no path is late; the slack then says how long the longest one is.
PERIOD = 1e-6

MEMORY = re.compile(r"\\?sqdm_memory #\((.*?)\n  \) (\S+)", re.S)
PARAMETER = re.compile(r"\.(WIDTH|SIZE|ABITS|RD_PORTS|WR_PORTS)\(32's?h(\w+)\)")

SCRIPT = """
{libraries}
read_verilog netlist.v
link_design {top}
create_clock -name clk -period {period:.6g} [get_ports clk]
set_input_delay 0 -clock clk [all_inputs]
set_output_delay 0 -clock clk [all_outputs]
report_checks -path_delay max -digits 6
exit
"""

BUS = """type ({name}) {{ base_type : array; data_type : bit; bit_width : {width}; bit_from : {high}; bit_to : 0; }}
"""


def available() -> bool:
    """OpenSTA is installed."""
    return shutil.which("sta") is not None


def digest_of_script() -> str:
    """Changes when the way of asking does."""
    return digest(SCRIPT, Path(__file__).read_text())


def longest_path(liberty: Liberty, netlist: str, top: str, access: float, folder: Path) -> dict:
    """The longest path: ``fmax_mhz`` and where it starts and ends. Works in ``folder``.

    ``netlist``: Verilog of all units, memories as instances of ``sqdm_memory``. Raises `UserError` when OpenSTA fails.
    """
    for name, text in liberty.files.items():
        (folder / name).write_text(text)
    kinds: dict[str, tuple[int, int, int]] = {}
    (folder / "netlist.v").write_text(MEMORY.sub(lambda match: _macro(match, kinds), _structural(netlist)))
    (folder / "memories.lib").write_text(_memories(liberty, kinds, access))
    libraries = "\n".join(f"read_liberty {name}" for name in (*liberty.files, "memories.lib"))
    period = PERIOD / liberty.time_unit
    (folder / "sta.tcl").write_text(SCRIPT.format(libraries=libraries, top=top, period=period))
    done = subprocess.run(
        ["sta", "-no_splash", "-exit", "sta.tcl"], cwd=folder, capture_output=True, text=True, check=False
    )
    slack = re.search(r"([-\d.]+)\s+slack", done.stdout)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]
    if slack is None or lines:
        raise UserError(f"OpenSTA must report a path, but: {lines[0] if lines else 'it found none'}")
    seconds = (period - float(slack[1])) * liberty.time_unit
    ends = [_readable(match) for match in re.findall(r"^(?:Startpoint|Endpoint): (\S+)", done.stdout, re.M)]
    return {"fmax_mhz": round(1e-6 / seconds, 3), "critical_path": dict(zip(("start", "end"), ends, strict=True))}


def _structural(netlist: str) -> str:
    """OpenSTA's reader knows no signed wires."""
    return re.sub(r"\b(wire|input|output) signed\b", r"\1", netlist)


def _macro(match: re.Match, kinds: dict[str, tuple[int, int, int]]) -> str:
    """An instance of a memory as one of a kind that is named by its sizes."""
    values = {name: int(number, 16) for name, number in PARAMETER.findall(match[1])}
    sizes = values["WIDTH"], values["ABITS"], values["RD_PORTS"], values["WR_PORTS"]
    name = "memory_{}x{}_{}r{}w".format(values["SIZE"], *sizes[:1], *sizes[2:])
    kinds[name] = sizes
    return f"{name} {match[2]}"


def _memories(liberty: Liberty, kinds: dict[str, tuple[int, ...]], access: float) -> str:
    """A liberty file of the memories' ports."""
    delay = access / liberty.time_unit
    cells, widths = [], set()
    for name, (width, abits, reads, writes) in sorted(kinds.items()):
        ports = {
            "RD_ADDR": abits * reads, "RD_EN": reads, "RD_ARST": reads, "RD_SRST": reads,
            "WR_ADDR": abits * writes, "WR_DATA": width * writes, "WR_EN": width * writes,
        }  # fmt: skip
        widths |= {*ports.values(), width * reads, reads, writes}
        pins = [_pin(port, size, "input") for port, size in ports.items()]
        pins += [_pin("RD_CLK", reads, "input", "clock : true;"), _pin("WR_CLK", writes, "input", "clock : true;")]
        arcs = " ".join(f'{edge} (scalar) {{ values ("{value}"); }}' for edge, value in (
            ("cell_rise", delay), ("cell_fall", delay), ("rise_transition", 0), ("fall_transition", 0)))  # fmt: skip
        clock = "RD_CLK" if reads == 1 else "RD_CLK[0]"
        timing = f'timing () {{ related_pin : "{clock}"; timing_type : rising_edge; {arcs} }}'
        cells.append(
            f"cell ({name}) {{ area : 0; {' '.join(pins)} {_pin('RD_DATA', width * reads, 'output', timing)} }}"
        )
    types = "".join(BUS.format(name=f"bus_{width}", width=width, high=width - 1) for width in sorted(widths - {1}))
    head = f'delay_model : table_lookup; time_unit : "{liberty.time_unit_text}";\n'
    head += f"capacitive_load_unit ({liberty.load_unit_text});\n"
    for edge in ("rise", "fall"):
        head += f"input_threshold_pct_{edge} : 50; output_threshold_pct_{edge} : 50; "
        head += f"slew_lower_threshold_pct_{edge} : 20; slew_upper_threshold_pct_{edge} : 80;\n"
    return "library (memories) {\n" + head + types + "\n".join(cells) + "\n}\n"


def _pin(name: str, width: int, direction: str, more: str = "") -> str:
    capacitance = "capacitance : 0;" if direction == "input" else ""
    if width == 1:
        return f"pin ({name}) {{ direction : {direction}; {capacitance} {more} }}"
    return f"bus ({name}) {{ bus_type : bus_{width}; direction : {direction}; {capacitance} {more} }}"


def _readable(point: str) -> str:
    """A pin or instance in terms of modules and signals."""
    return re.sub(r"_reg$|\\", "", point).replace("/", ".")
