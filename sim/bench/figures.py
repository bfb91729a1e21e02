"""Area and energy of the rows: from files that other commands wrote, from the cache, or synthesised."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqdm.errors import UserError
from sqdm.rtl.config import PRESETS, Config
from sqdm.sim.bench.store import path_of, stored
from sqdm.sim.library import rtl_digest

MULTIPLIERS = ("mac", "mac_fp16")  #: parts whose areas say how much larger an FP16 array is
Progress = Callable[[int, str], None]
Hardware = tuple[tuple[str, int], ...]


@dataclass
class Figures:
    """Areas in gate equivalents and energies in J per image.

    ``areas`` of whole accelerators by `hardware`; ``fp16_ratio``: area of an FP16 array over a 4-bit one's;
    ``energies`` by design of `sqdm energy`, measured on ``energy_config``.
    """

    areas: dict[Hardware, float] = field(default_factory=dict)
    fp16_ratio: float | None = None
    energies: dict[str, float] = field(default_factory=dict)
    energy_config: dict = field(default_factory=dict)


def hardware(config: Config) -> Hardware:
    """What makes two configurations the same hardware: all but the name."""
    return tuple(sorted((name, value) for name, value in config.to_dict().items() if name != "name"))


def read_json(path: Path, what: str, command: str, fields: tuple[str, ...]) -> dict:
    """The JSON object that ``command`` wrote; UserError unless it is one and has the fields."""
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{what} {str(path)!r} cannot be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict) or not all(name in found for name in fields):
        raise UserError(f"{what} {str(path)!r} must be the output of `{command}`")
    return found


def read_synth(path: Path, figures: Figures) -> None:
    """Areas from ``sqdm synth --target gates --json``: of the multipliers, and of a whole preset if it is there."""
    command = "sqdm synth --target gates --part mac --part mac_fp16 --json"
    found = read_json(path, "synth", command, ("config", "target", "parts"))
    try:
        areas = {part["name"]: float(part["area"]) for part in found["parts"]}
        ratio = areas["mac_fp16"] / areas["mac"]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise UserError(f"synth {str(path)!r} must be the output of `{command}`") from None
    if found["target"] != "gates":
        raise UserError(f"synth {str(path)!r} must be of target gates, not {found['target']!r}")
    figures.fp16_ratio = ratio
    if "all" in areas and found["config"] in PRESETS:
        figures.areas[hardware(PRESETS[found["config"]])] = areas["all"]


def read_energy(path: Path, figures: Figures, images: int, steps: int, latency: int) -> None:
    """Energies from ``sqdm energy``; UserError when it measured another run."""
    command = "sqdm energy --json"
    found = read_json(path, "energy", command, ("config", "images", "steps", "latency", "energy_per_image"))
    for name, wanted in (("images", images), ("steps", steps), ("latency", latency)):
        if found[name] != wanted:
            raise UserError(f"energy {str(path)!r} must be of {name} {wanted}, as this run, not {found[name]}")
    energies = found["energy_per_image"]
    if not isinstance(energies, dict) or not {"fp16_dense", "dense_4bit", "sqdm"} <= energies.keys():
        raise UserError(f"energy {str(path)!r} must be the output of `{command}`")
    figures.energies, figures.energy_config = energies, found["config"]


def area_of(config: Config, compute: bool, on_progress: Progress) -> float | None:
    """Gate equivalents of the whole accelerator; None when it is not in the cache and must not be computed."""
    path = path_of("area", rtl_digest(replace(config, name="bench")))
    if not path.exists() and not compute:
        return None
    return stored(path, lambda: {"area": synthesised(config, ["all"], on_progress)["all"]})["area"]


def fp16_over_4bit(config: Config, on_progress: Progress) -> float:
    """Area of an FP16 array's multipliers and accumulators over those of a 4-bit array of ``config``."""
    path = path_of("fp16", rtl_digest(replace(config, name="bench")))
    areas = stored(path, lambda: synthesised(config, list(MULTIPLIERS), on_progress))
    return areas["mac_fp16"] / areas["mac"]


def synthesised(config: Config, parts: list[str], on_progress: Progress) -> dict[str, float]:
    """Gate equivalents by part, mapped with yosys; minutes of processor time for the whole accelerator."""
    from sqdm.synth.area import cut, synthesize
    from sqdm.synth.targets import TARGETS

    found = synthesize(cut(config, parts), TARGETS["gates"], on_job=on_progress)
    return {part["name"]: part["area"] for part in found}
