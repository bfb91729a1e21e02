"""The model's interface: predictions of layers and programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sqdm.compiler.access import conv_shape
from sqdm.compiler.program import Descriptor, Program
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import STALLS, Policy
from sqdm.sim.cycles import kernel, parameters
from sqdm.sim.cycles.labels import Labels, nonzero_counts, sorted_labels
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
    return _predict(config, [descriptor], {0: nonzeros}, {0: labels}, policy, latency, True)[0]


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
    return _predict(program.config, program.descriptors, nonzeros, labels, policy, latency, pause, update)


def _predict(
    config: Config,
    descriptors: list[Descriptor],
    nonzeros: Mapping[int, np.ndarray],
    labels: Mapping[int, Labels],
    policy: Policy,
    latency: int,
    pause: bool,
    update: bool = True,
) -> list[Prediction]:
    layers = (parameters.Layer * len(descriptors))(*(parameters.layer(d, config) for d in descriptors))
    data = (parameters.Data * len(descriptors))()
    kept = []
    for number, d in enumerate(descriptors):
        if d.kind == Kind.CONV:
            layers[number].update &= update
            arrays = operands(d, config, nonzeros[number], labels[number], policy)
            kept.append(arrays)
            for (name, _), array in zip(parameters.Data._fields_, arrays, strict=True):
                setattr(data[number], name, None if array is None else array.ctypes.data)
    counters = kernel.predict(parameters.machine(config, latency), layers, data, pause)
    return [
        Prediction(d.name, dict(zip(kernel.COUNTERS, row, strict=True)))
        for d, row in zip(descriptors, counters.tolist(), strict=True)
    ]


def operands(
    d: Descriptor, config: Config, nonzeros: np.ndarray, labels: Labels, policy: Policy
) -> tuple[np.ndarray | None, ...]:
    """The arrays of `parameters.Data` of a CONV."""
    shape = conv_shape(d, config)
    rows = shape.height + shape.halo
    expected = (shape.planes, shape.images, shape.channels, rows, shape.width)
    maps = np.asarray(nonzeros)
    if maps.size != np.prod(expected) or maps.shape[-4:] != expected[1:]:
        raise ValueError(f"nonzeros of {d.name} must be of shape {expected}, not {maps.shape}")
    maps = np.ascontiguousarray(maps.reshape(expected), bool)
    found = None
    walks = policy == Policy.BALANCED and config.dense_arrays and config.sparse_arrays
    if d["MODE.scan"] or (d["MODE.update"] and walks):
        found = sorted_labels(d, config, nonzero_counts(maps), policy)
    scanned = labels.dense if d["MODE.scan"] else None
    used = found if d["MODE.scan"] else labels
    order, dense = (np.ascontiguousarray(array, np.int32) for array in (used.order, used.dense))
    if order.shape != expected[:1] + expected[2:3] or dense.shape != expected[:1]:
        raise ValueError(f"labels of {d.name} must be of {expected[0]} planes and {expected[2]} channels")
    return maps, order, dense, scanned, found.dense if walks and found else None
