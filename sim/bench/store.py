"""Results by content in the cache, so that a benchmark that was cut off goes on where it was."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from sqdm.sim.library import cache_dir, digest, place, writable_cache


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
    """Put what ``write(path)`` writes into the cache, whole; `UserError` when the cache cannot be written."""
    with writable_cache():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{os.getpid()}-{path.name}")
        write(made)
        place(made, path)
