"""Runs the commands whose results the page shows."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sqdm.errors import UserError

#: Result -> arguments of `sqdm`; ``OUT`` is the folder of results, ``LIBERTY`` the options of the cells.
COMMANDS: dict[str, tuple[str, ...]] = {
    "gates": ("synth", "--target", "gates"),
    "liberty": ("synth", "--target", "liberty", "LIBERTY"),
    "ecp5": ("synth", "--target", "ecp5", "--part", "all"),
    "ice40": ("synth", "--target", "ice40", "--part", "all"),
    "xilinx": ("synth", "--target", "xilinx", "--part", "all"),
    "place": ("synth", "--config", "fpga", "--target", "ecp5", "--place", "--part", "sparse", "--part", "dense",
              "--part", "all"),
    "sample": ("sample", "--out", "OUT/sample"),
    "energy": ("energy", "--run", "OUT/sample/report.json", "--out", "OUT/energy", "LIBERTY"),
}  # fmt: skip


def collect(folder: Path, liberty: Sequence[Path], measure: bool, on_command: Callable[[str], None]) -> dict[str, dict]:
    """The JSON of every command of `COMMANDS`, also written to ``folder``; without ``measure`` those that lie there.

    ``on_command(line)`` is called before each run. Raises `UserError` when a command fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cells = [argument for path in liberty for argument in ("--liberty", str(path))]
    found = {}
    for name, words in COMMANDS.items():
        path = folder / f"{name}.json"
        if not measure and not path.exists():
            continue
        if measure:
            arguments: list[str] = []
            for word in words:
                arguments += cells if word == "LIBERTY" else [word.replace("OUT", str(folder))]
            on_command(f"sqdm {' '.join(arguments)}")
            path.write_text(run(arguments))
        found[name] = json.loads(path.read_text())
    return found


def run(arguments: Sequence[str]) -> str:
    """Standard output of ``sqdm ... --json``; its progress stays visible."""
    done = subprocess.run([sys.executable, "-m", "sqdm", *arguments, "--json"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise UserError(f"`sqdm {' '.join(arguments)}` must succeed, but it ended with {done.returncode}")
    return done.stdout
