"""What every run of the benchmark has in common: the pictures and the non-zeros at each layer's input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import sqdm.golden
from sqdm.golden import layers, sampler
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import Model
from sqdm.sim.bench.store import keep
from sqdm.sim.cycles import nonzero_record
from sqdm.sim.library import cache_dir, digest

LABELS = 10  #: digits; image n is drawn with label n % LABELS


@dataclass(frozen=True)
class Sampling:
    """A run of the sampler: ``images`` of the digits in turn, Heun ``steps``, ``seed`` of the noise."""

    images: int
    steps: int
    seed: int

    @property
    def evaluations(self) -> int:
        return sampler.evaluations(self.steps)

    @property
    def labels(self) -> np.ndarray:
        return np.arange(self.images) % LABELS

    def run(self, denoise: Callable, on_evaluation: Callable[[int], None]) -> np.ndarray:
        """The pictures that a denoiser draws, float64 (N, 1, 8, 8)."""
        noise = sampler.latents(self.images, self.seed)
        return sampler.heun(denoise, noise, self.labels, self.steps, lambda done, _: on_evaluation(done + 1))


@dataclass(frozen=True)
class Trace:
    """A run of the integer network.

    ``maps``: bool (evaluations, planes, N, C, H, W) by layer, where codes are not zero; ``pictures`` (N, 1, 8, 8).
    """

    key: str
    maps: dict[str, np.ndarray]
    pictures: np.ndarray

    def evaluation(self, number: int) -> dict[str, np.ndarray]:
        """The maps (planes, N, C, H, W) of one evaluation."""
        return {name: maps[number] for name, maps in self.maps.items()}

    def zero_fraction(self) -> float:
        """Share of zeros at the inputs of the layers in 4x4 bit, weighted by their multiply-accumulates."""
        four = [layer for layer in layers.layers() if layer.is_4x4]
        shares = [1 - np.mean(self.maps[layer.name]) for layer in four]
        return float(np.average(shares, weights=[layer.macs for layer in four]))


def record(model: Model, sampling: Sampling, on_evaluation: Callable[[int], None]) -> Trace:
    """The trace of the integer network, from the cache when neither model nor golden model changed."""
    sources = sorted(Path(sqdm.golden.__file__).parent.glob("*.py"))
    texts = [path.read_text() for path in (*sources, Path(nonzero_record.__file__))]
    key = digest(*texts, model_hash(model), sampling)
    path = cache_dir() / "bench" / f"trace-{key}.npz"
    pictures = path.with_suffix(".npy")
    if not (path.exists() and pictures.exists()):
        recorder = nonzero_record.NonzeroRecorder()
        made = sampling.run(IntegerUNet(model.arrays, recorder).denoise, on_evaluation)
        maps = {name: np.stack(found) for name, found in recorder.maps.items()}
        keep(path, lambda to: nonzero_record.save(to, maps))
        keep(pictures, lambda to: np.save(to, made))
    return Trace(key, nonzero_record.load(path), np.load(pictures))


def model_hash(model: Model) -> str:
    """Hash of the model's files."""
    return digest(*(f"{name} {digest(content.hex())}" for name, content in sorted(model.files.items())))
