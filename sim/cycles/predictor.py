"""Predicts runs of one program again and again; what does not change is worked out once."""

from collections.abc import Mapping

import numpy as np

from sqdm.compiler.access import conv_shape
from sqdm.compiler.program import Descriptor
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles import kernel, parameters
from sqdm.sim.cycles.labels import Labels, nonzero_counts, sorted_labels


class Predictor:
    """``descriptors`` on ``config``, a memory of that ``latency``, labels by ``policy``."""

    def __init__(self, config: Config, descriptors: list[Descriptor], latency: int, policy: Policy):
        self.config = config
        self.descriptors = descriptors
        self.policy = policy
        self._machine = parameters.machine(config, latency)
        self._count = len(descriptors)
        self._layers = {
            update: (parameters.Layer * self._count)(*(parameters.layer(d, config) for d in descriptors))
            for update in (True, False)
        }
        for layer in self._layers[False]:
            layer.update = 0
        self._shapes = {number: _expected(d, config) for number, d in enumerate(descriptors) if d.kind == Kind.CONV}
        self._walks = policy == Policy.BALANCED and config.dense_arrays and config.sparse_arrays

    def run(
        self,
        nonzeros: Mapping[int, np.ndarray],
        labels: Mapping[int, Labels],
        pause: bool = False,
        update: bool = True,
        found: Mapping[int, Labels] | None = None,
    ) -> np.ndarray:
        """Counters of each descriptor: int64 (descriptors, kernel.COUNTERS).

        ``nonzeros`` and ``labels`` by number of the CONV; ``found``: the labels that its update finds, when known.
        """
        data = (parameters.Data * self._count)()
        kept = []
        for number, expected in self._shapes.items():
            sorted_now = found[number] if found is not None and number in found else None
            arrays = self._operands(number, expected, nonzeros[number], labels[number], sorted_now, update)
            kept.append(arrays)
            one = data[number]
            one.nonzeros, one.order, one.dense, one.scan_dense, one.sorted_dense = (
                None if array is None else array.ctypes.data for array in arrays
            )
        return kernel.predict(self._machine, self._layers[update], data, pause)

    def _operands(
        self,
        number: int,
        expected: tuple[int, ...],
        nonzeros: np.ndarray,
        labels: Labels,
        found: Labels | None,
        update: bool,
    ) -> tuple[np.ndarray | None, ...]:
        """The arrays of `parameters.Data` of a CONV."""
        d = self.descriptors[number]
        maps = np.asarray(nonzeros)
        if maps.shape[-4:] != expected[1:] or maps.size != np.prod(expected):
            raise ValueError(f"nonzeros of {d.name} must be of shape {expected}, not {maps.shape}")
        maps = np.ascontiguousarray(maps.reshape(expected), bool)
        scan = d["MODE.scan"]
        if found is None and (scan or (self._walks and update and d["MODE.update"])):
            found = sorted_labels(d, self.config, nonzero_counts(maps), self.policy)
        used = found if scan else labels
        order, dense = (np.ascontiguousarray(array, np.int32) for array in (used.order, used.dense))
        if order.shape != (expected[0], expected[2]) or dense.shape != expected[:1]:
            raise ValueError(f"labels of {d.name} must be of {expected[0]} planes and {expected[2]} channels")
        scanned = np.ascontiguousarray(labels.dense, np.int32) if scan else None
        return maps, order, dense, scanned, found.dense if found is not None and self._walks else None


def _expected(d: Descriptor, config: Config) -> tuple[int, ...]:
    """The shape of a CONV's non-zero map: planes, images, channels, rows, width."""
    shape = conv_shape(d, config)
    return shape.planes, shape.images, shape.channels, shape.height + shape.halo, shape.width
