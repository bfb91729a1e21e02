"""The model's interface: predictions of layers and programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sqdm.compiler.program import Descriptor, Program
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import STALLS, Policy
from sqdm.sim.cycles import kernel
from sqdm.sim.cycles.labels import Labels
from sqdm.sim.cycles.predictor import Predictor
from sqdm.sim.device import LATENCY


@dataclass(frozen=True)
class Prediction:
    """What a descriptor costs: ``counters`` by register name, those of `kernel.COUNTERS`."""

    name: str
    counters: dict[str, int]

    @property
    def cycles(self) -> int:
        return self.counters["CYCLES"]

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles in which no array multiplies, by cause."""
        return {name: self.counters[name] for name in STALLS}


def total(predictions: Iterable[Prediction]) -> dict[str, int]:
    """The sums of the counters."""
    found = dict.fromkeys(kernel.COUNTERS, 0)
    for prediction in predictions:
        for name in found:
            found[name] += prediction.counters[name]
    return found


def layer_cycles(
    config: Config,
    descriptor: Descriptor,
    nonzeros: np.ndarray,
    labels: Labels,
    policy: Policy = Policy.BALANCED,
    latency: int = LATENCY,
) -> Prediction:
    """One CONV by itself, as a paused program counts it.

    ``nonzeros``: bool (N, C, H, W), or (planes, N, C, H, W) with the plane HIGH first; halo rows included. ``labels``:
    its channel tables; a layer that scans sorts its channels anew. ``policy`` sorts; ``latency`` of the memory.
    """
    if descriptor.kind != Kind.CONV:
        raise ValueError(f"descriptor must be a CONV, not {descriptor.kind.name}")
    predictor = Predictor(config, [descriptor], latency, policy)
    return _predictions([descriptor], predictor.run({0: nonzeros}, {0: labels}, pause=True))[0]


def program_cycles(
    program: Program,
    nonzeros: Mapping[int, np.ndarray],
    labels: Mapping[int, Labels],
    policy: Policy = Policy.BALANCED,
    latency: int = LATENCY,
    pause: bool = False,
    update: bool = True,
) -> list[Prediction]:
    """Every descriptor of a run of ``program``; the cycles of all together are those of the register CYCLES.

    ``nonzeros`` and ``labels`` as for `layer_cycles`, by the number of the CONV in ``program.descriptors``. Layers
    overlap: a descriptor is charged with the cycles from the end of the one before to its own. ``pause`` after each
    descriptor: then nothing overlaps. ``update``: this run sorts and stores tables, as DETECT.period allows.
    """
    predictor = Predictor(program.config, program.descriptors, latency, policy)
    return _predictions(program.descriptors, predictor.run(nonzeros, labels, pause, update))


def _predictions(descriptors: list[Descriptor], counters: np.ndarray) -> list[Prediction]:
    return [
        Prediction(d.name, dict(zip(kernel.COUNTERS, row, strict=True)))
        for d, row in zip(descriptors, counters.tolist(), strict=True)
    ]
