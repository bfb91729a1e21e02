"""The cells of a library: functions, capacitances, internal energies, delays and leakage, in SI units."""

from dataclasses import dataclass
from pathlib import Path

from sqdm.errors import UserError
from sqdm.sim.library import digest
from sqdm.synth.energy import liberty_reader
from sqdm.synth.energy.table import Table
from sqdm.synth.yosys import cached, cached_path

DEFAULT = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@dataclass(frozen=True)
class Gate:
    """A cell without state and with one output.

    ``inputs`` in the order of ``function``, a Python expression; ``energies`` (J per toggle of the output), ``delays``
    and ``slews`` (s) by input; ``input_energies`` (J per toggle of an input, whatever the output does); ``capacitance``
    of each input (F); ``area`` in the library's unit; ``leakage`` in W.
    """

    name: str
    area: float
    leakage: float
    inputs: list[str]
    output: str
    function: str
    capacitance: dict[str, float]
    energies: dict[str, Table]
    delays: dict[str, Table]
    slews: dict[str, Table]
    input_energies: dict[str, Table]


@dataclass(frozen=True)
class Register:
    """The flip-flop that registers become. ``clock_energy``: J in a cycle, both edges; otherwise like `Gate`."""

    name: str
    area: float
    leakage: float
    clock_capacitance: float
    data_capacitance: float
    clock_energy: Table
    data_energy: Table
    output_energy: Table
    output_slew: Table


@dataclass(frozen=True)
class Library:
    """Cells of liberty files. ``voltage`` in V, ``digest`` of the files' content."""

    name: str
    digest: str
    files: list[str]
    voltage: float
    gates: dict[str, Gate]
    register: Register


def load(files: list[Path]) -> Library:
    """The library in ``files``; what was read is cached by content. Raises `UserError` for files that do not fit."""
    texts = {}
    for path in files:
        try:
            texts[str(path)] = Path(path).read_text()
        except OSError as error:
            raise UserError(f"liberty {str(path)!r} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"liberty {str(path)!r} must be text") from None
    key = digest(*texts.values(), Path(liberty_reader.__file__).read_text())
    data = cached(cached_path("liberty", key), lambda _: liberty_reader.read(texts))
    gates = {name: gate(cell) for name, cell in data["gates"].items()}
    register = Register(**{k: Table(**v) if isinstance(v, dict) else v for k, v in data["register"].items()})
    return Library(data["name"], key, list(texts), data["voltage"], gates, register)


def gate(cell: dict) -> Gate:
    """A `Gate` from what `read` stored."""
    tables = ("energies", "delays", "slews", "input_energies")
    return Gate(**cell | {name: {pin: Table(**table) for pin, table in cell[name].items()} for name in tables})


def default_files() -> list[Path]:
    """The distribution's library; raises `UserError` when it is not installed."""
    if not DEFAULT.exists():
        raise UserError("liberty must be given (--liberty), or the package qflow-tech-osu018 installed for its library")
    return [DEFAULT]
