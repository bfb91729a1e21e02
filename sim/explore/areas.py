"""Area of a configuration: the whole accelerator synthesised, kept by content, and split by unit."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sqdm.rtl.config import Config
from sqdm.sim.explore.store import Store
from sqdm.sim.library import digest, rtl_digest

Progress = Callable[[int, str], None]
SOURCES = ("area", "hierarchy", "mapping", "memories", "parts", "targets", "yosys")  #: of sqdm.synth


@dataclass(frozen=True)
class Area:
    """``area`` in gate equivalents without memories, ``memory_bits``; ``units``: area by the parts of `sqdm energy`.

    ``problems``: memories that would become flip-flops.
    """

    area: float
    memory_bits: int
    units: dict[str, float]
    problems: list[str]


def area_of(config: Config, store: Store, on_unit: Progress) -> Area:
    """From the store, or mapped with yosys for target gates; ``on_unit(done, name)`` after each unit.

    A unit that another configuration has as well is in the cache of `sqdm synth`. Raises `UserError` when a tool is
    missing or fails.
    """
    from sqdm.synth import area, targets

    folder = Path(area.__file__).parent
    texts = [(folder / f"{name}.py").read_text() for name in SOURCES]
    key = "area-" + digest(rtl_digest(replace(config, name="explore")), *texts, Path(__file__).read_text())
    found = store.get(key)
    if found is None:
        cut = area.cut(config, ["all"])
        (part,) = area.synthesize(cut, targets.TARGETS["gates"], on_job=on_unit)
        found = {name: part[name] for name in ("area", "memory_bits", "problems")}
        found["units"] = by_unit(part["hierarchy"])
        store.put(key, found)
    return Area(**found)


def by_unit(hierarchy: list[dict]) -> dict[str, float]:
    """Area by the labels of `sqdm.synth.energy.partition`, each place of the hierarchy counted once."""
    from sqdm.synth.energy.partition import CONTROL, MODULES

    areas = {row["path"]: row["area"] for row in hierarchy}

    def parents(path: str) -> list[str]:
        """From the path itself up to the top, whose path is empty."""
        parts = path.split(".") if path else []
        return [".".join(parts[:length]) for length in range(len(parts), -1, -1)]

    found = dict.fromkeys((*MODULES, CONTROL), 0.0)
    for path, own in areas.items():
        below = [other for other in areas if other and other != path and nearest(parents(other)[1:], areas) == path]
        label = next((name for place in parents(path) for name, pattern in MODULES.items()
                      if re.fullmatch(pattern, place)), CONTROL)  # fmt: skip
        found[label] += own - sum(areas[other] for other in below)
    return {name: round(value, 3) for name, value in found.items()}


def nearest(paths: list[str], known: dict[str, float]) -> str:
    """The first of the paths that is known."""
    return next(path for path in paths if path in known)
