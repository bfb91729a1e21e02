"""Results by content, so that a benchmark or a sweep that was cut off goes on where it was."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from sqdm.errors import UserError
from sqdm.sim.library import cache_dir, digest, place


def path_of(kind: str, *key: object) -> Path:
    """Where the result of that content lies."""
    return cache_dir() / "bench" / f"{kind}-{digest(*key)}.json"


def stored(path: Path, compute: Callable[[], dict]) -> dict:
    """The result at ``path``, or that of ``compute()``, which is put there whole."""
    if path.exists():
        return json.loads(path.read_text())
    found = compute()
    keep(path, lambda made: made.write_text(json.dumps(found)))
    return found


def keep(path: Path, write: Callable[[Path], object]) -> None:
    """Put what ``write(path)`` writes at ``path``, whole or not at all; `UserError` when its folder is not writable."""
    made = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(made)
        place(made, path)
    except OSError as error:
        raise UserError(f"the folder {str(path.parent)!r} must be writable: {os.strerror(error.errno)}") from None
    finally:
        made.unlink(missing_ok=True)
