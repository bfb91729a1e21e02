"""Liberty files as a target: what synthesis has to know about the cells, and the script.

Only names, areas and a buffer are read here; yosys, ABC and OpenSTA read the rest by themselves.
"""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

from sqdm.errors import UserError
from sqdm.sim.library import digest

from .targets import GATES, Target

#: The distribution's package qflow-tech-osu018.
DEFAULT = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
FEMTOFARADS = {"pf": 1e3, "ff": 1.0, "nf": 1e6}

#: Inputs of the smallest buffer that load every output of a unit.
FANOUT = 4

#: yosys' own script for a liberty with constraints, but for the end: the longest path goes to ``stats.txt`` instead of
#: standard output, which `abc` keeps for itself.
ABC = "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;dretime;strash;&get,-n;&dch,-f;&nf;&put;buffer;upsize;dnsize;stime,-d"

#: Registers lose their value at power-up: their reset gives it. The last names are for the paths that timing reports.
SCRIPT = """
setattr -unset init w:*
dfflibmap {register_files}
opt_clean
abc {files} -constr constraints -script {abc}
opt_clean -purge
tee -q -o cells.json stat -json
chtype -set \\sqdm_memory t:$mem_v2
{read_registers}
rename -wire -suffix _reg {registers}
write_verilog -noattr -noexpr -nodec -simple-lhs netlist.v
"""

COMMENT = re.compile(r"/\*.*?\*/", re.S)
#: Words begin with letters, which Python searches much faster than a border of words: libraries have up to 60 MB.
CELL = re.compile(r'cell(?<!\wcell)\s*\(\s*"?(\w+)"?\s*\)\s*\{')
PIN = re.compile(r'pin(?<!\wpin)\s*\(\s*"?(\w+)"?\s*\)\s*\{')
FLIPFLOP = re.compile(r"ff(?<!\wff)\s*\(")
LATCH = re.compile(r"latch(?<!\wlatch)\s*\(")


@dataclass(frozen=True)
class Liberty:
    """Cells of one technology. ``texts``: the files' content; ``time_unit`` in s.

    ``areas`` of all cells that may be used, ``registers`` among them (flip-flops and latches). ``buffer``: the smallest
    one, drives all inputs; ``load`` (fF) of all outputs.
    """

    name: str
    texts: tuple[str, ...]
    time_unit: float
    time_unit_text: str
    load_unit_text: str
    areas: dict[str, float]
    registers: frozenset[str]
    buffer: str
    load: float

    @property
    def constraints(self) -> str:
        """ABC's file of constraints."""
        return f"set_driving_cell {self.buffer}\nset_load {self.load:.4f}\n"

    @property
    def target(self) -> Target:
        files = " ".join(f"-liberty {name}" for name in self.files)
        holders = [name for name, text in self.files.items() if not self.registers.isdisjoint(_cells(text))]
        registers = " ".join(f"t:{name}" for name in sorted(self.registers))
        script = GATES + SCRIPT.format(
            files=files,
            abc=ABC,
            register_files=" ".join(f"-liberty {name}" for name in holders),
            read_registers="\n".join(f"read_liberty -lib {name}" for name in holders),
            registers=registers,
        )
        return Target("liberty", "um2", script, self.areas, tuple(sorted(self.registers)))

    @property
    def files(self) -> dict[str, str]:
        """The liberty files by the names that the script knows."""
        return {f"cells_{number}.lib": text for number, text in enumerate(self.texts)}

    @property
    def digest(self) -> str:
        return digest(*self.texts)


def load(paths: list[Path]) -> Liberty:
    """The technology in ``paths``, which are read together; ``.gz`` is unpacked. Without paths it is `DEFAULT`.

    Cells with ``dont_use`` are left out. Raises `UserError` for files that cannot be read or are no liberty files, and
    for a library without flip-flop or buffer.
    """
    if not paths and not DEFAULT.exists():
        raise UserError("liberty must be given (--liberty), or the package qflow-tech-osu018 installed for its library")
    paths = paths or [DEFAULT]
    texts = tuple(_read(path) for path in paths)
    areas: dict[str, float] = {}
    registers: set[str] = set()
    buffers: list[tuple[float, str, float]] = []
    has_flipflop = False
    for path, text in zip(paths, texts, strict=True):
        cells = _cells(text)
        if not re.search(r"library\s*\(", text) or not cells:
            raise UserError(f"liberty {str(path)!r} must be a liberty library with cells, but it is not")
        for name, body in cells.items():
            if "dont_use" in body and re.search(r'dont_use\s*:\s*"?true', body):
                continue
            area = re.search(r'area(?<!\warea)\s*:\s*"?([-+.\deE]+)', body)
            areas[name] = float(area[1]) if area else 0.0
            is_flipflop = FLIPFLOP.search(body) is not None
            has_flipflop |= is_flipflop
            if is_flipflop or LATCH.search(body):
                registers.add(name)
            elif (load := _buffer_load(body)) is not None:
                buffers.append((areas[name], name, load))
    if not has_flipflop:
        raise UserError(f"liberty {_names(paths)} must hold a flip-flop, but it has none")
    if not buffers:
        raise UserError(f"liberty {_names(paths)} must hold a buffer, but it has none")
    first = texts[0]
    time_text = _attribute(first, r'\btime_unit\s*:\s*"?([\d.]*\s*\w+)', "1ns")
    load_size, load_unit = re.search(r'capacitive_load_unit\s*\(\s*"?([\d.]+)"?\s*,\s*"?(\w+)', first).groups()
    _, buffer, load_value = min(buffers)
    scale = float(load_size) * FEMTOFARADS[load_unit.lower()]
    size, unit = re.fullmatch(r"([\d.]*)\s*(\w+)", time_text).groups()
    return Liberty(
        _attribute(first, r'\blibrary\s*\(\s*"?([\w.]+)', "liberty"),
        texts,
        float(size or 1) * SECONDS[unit.lower()],
        time_text,
        f"{load_size},{load_unit}",
        areas,
        frozenset(registers),
        buffer,
        FANOUT * load_value * scale,
    )


def _read(path: Path) -> str:
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is no whole gzip file"
        raise UserError(f"liberty {str(path)!r} cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise UserError(f"liberty {str(path)!r} must be a liberty library with cells, but it is not text") from None
    return COMMENT.sub("", text)


def _names(paths: list[Path]) -> str:
    return ", ".join(repr(str(path)) for path in paths)


def _attribute(text: str, pattern: str, default: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else default


def _cells(text: str) -> dict[str, str]:
    """Text of every cell: from its name to the next cell's."""
    starts = list(CELL.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return {start[1]: text[start.end() : end] for start, end in zip(starts, ends, strict=False)}


def _buffer_load(body: str) -> float | None:
    """Capacitance of a buffer's input, in the library's unit; None when the cell is no buffer."""
    starts = list(PIN.finditer(body))
    if len(starts) != 2 or "three_state" in body:
        return None
    ends = [start.start() for start in starts[1:]] + [len(body)]
    pins = {start[1]: body[start.end() : end] for start, end in zip(starts, ends, strict=True)}
    inputs = [name for name, pin in pins.items() if re.search(r'direction\s*:\s*"?input', pin)]
    functions = re.findall(r'function(?<!\wfunction)\s*:\s*"([^"]*)"', body)
    if len(inputs) != 1 or len(functions) != 1 or functions[0].strip("() ") != inputs[0]:
        return None
    capacitance = re.search(r'capacitance(?<!\wcapacitance)\s*:\s*"?([-+.\deE]+)', pins[inputs[0]])
    return float(capacitance[1]) if capacitance else None
