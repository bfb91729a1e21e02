"""Results by content in the cache, so that a benchmark that was cut off goes on where it was."""

import json
import os
import tempfile
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as made:
            json.dump(found, made)
        place(Path(made.name), path)
    except OSError as error:
        raise UserError(f"the cache {str(cache_dir())!r} must be writable: {os.strerror(error.errno)}") from None
    return found
