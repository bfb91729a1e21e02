"""Layers of the shipped model as inputs of the benches: captured once from the golden sampler, kept as npz."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sqdm.golden.requant import Requant
from sqdm.sim.lib.lock import locked

#: (layer, sampling step): an 8-bit layer, both map sizes, one and several channel groups of a slot.
REAL_LAYERS = (
    ("conv_in", 0),
    ("enc.8x8_block0.conv1", 0),
    ("dec.4x4_block0.conv0", 0),
    ("dec.8x8_up.conv1", 1),
)


@dataclass(frozen=True)
class Layer:
    """Operands of one layer: ``acts`` (N, C, H, W), ``weights`` (K, C, R, R); ``requant`` None for raw sums."""

    name: str
    acts: np.ndarray
    signed: bool
    weights: np.ndarray
    requant: Requant | None


def save(jobs: list, path: Path):
    """Write layers (anything with the fields of `Layer`) whole or not at all."""
    arrays = {}
    for number, job in enumerate(jobs):
        arrays |= {f"{number}.acts": job.acts, f"{number}.weights": job.weights, f"{number}.signed": job.signed}
        if job.requant is not None:
            requant = job.requant
            arrays |= {f"{number}.multiplier": requant.multiplier, f"{number}.bias": requant.bias}
            arrays[f"{number}.shift"] = requant.shift
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(part, **arrays)
    part.replace(path)


def load(path: str | Path, number: int) -> Layer:
    """`REAL_LAYERS[number]`."""
    with np.load(path) as arrays:
        values = {key.partition(".")[2]: arrays[key] for key in arrays if key.startswith(f"{number}.")}
    requant = None
    if "shift" in values:
        requant = Requant(values["multiplier"], int(values["shift"]), values["bias"])
    return Layer(REAL_LAYERS[number][0], values["acts"], bool(values["signed"]), values["weights"], requant)


def captured(folder: Path) -> Path:
    """The file with all `REAL_LAYERS` of the shipped model; runs the golden sampler unless `folder` holds it.

    Raises UserError when there is no shipped model.
    """
    from sqdm.golden.model_file import load_model, sha256
    from sqdm.golden.vectors import capture

    model = load_model()
    path = folder / f"layers-{sha256(repr((model.manifest['files'], REAL_LAYERS)).encode())[:16]}.npz"
    with locked(folder / "layers.lock"):
        if not path.exists():
            save([capture(model, name, step) for name, step in REAL_LAYERS], path)
    return path
