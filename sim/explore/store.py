"""Finished results by content: in the cache of this machine and in the folder of the sweep."""

import json
from pathlib import Path

from sqdm.sim.bench.store import keep
from sqdm.sim.library import cache_dir

FOLDER = "results"  #: in the folder of the sweep


class Store:
    """Results of ``out`` and of the cache. A sweep that was cut off, or a larger one, goes on from them."""

    def __init__(self, out: Path):
        self.folders = (out / FOLDER, cache_dir() / "explore")

    def get(self, key: str) -> dict | None:
        """The result, or None when there is no whole one. One found in the cache is put into ``out`` as well."""
        for folder in self.folders:
            try:
                found = json.loads((folder / f"{key}.json").read_text())
            except (OSError, ValueError):
                continue
            if folder != self.folders[0]:
                _write(self.folders[0], key, found)
            return found
        return None

    def put(self, key: str, result: dict) -> None:
        """Keep a result in both places, whole or not at all."""
        for folder in self.folders:
            _write(folder, key, result)


def _write(folder: Path, key: str, result: dict) -> None:
    keep(folder / f"{key}.json", lambda made: made.write_text(json.dumps(result)))
