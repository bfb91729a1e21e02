"""The network on the cycle model: what the evaluations of a sampling run cost, from their non-zero maps."""

import numpy as np

from sqdm.compiler.access import conv_shape
from sqdm.compiler.network import NetworkProgram
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles import kernel
from sqdm.sim.cycles.labels import Labels, labels_in_memory, nonzero_counts, sorted_labels
from sqdm.sim.cycles.nonzero_record import as_compiled
from sqdm.sim.cycles.predictor import Predictor


class ModelRun:
    """A network program whose evaluations are predicted one after the other; labels live on, as in the memory.

    ``policy`` and ``period`` as of `RtlEngine`; ``counters``: one array (descriptors, kernel.COUNTERS) an evaluation.
    """

    def __init__(self, program: NetworkProgram, latency: int, policy: Policy = Policy.BALANCED, period: int = 1):
        self.program = program
        self.policy = policy
        self.period = period
        self.predictor = Predictor(program.config, program.descriptors, latency, policy)
        self.convs = {n: d for n, d in enumerate(program.descriptors) if d.kind == Kind.CONV}
        self.labels = {n: labels_in_memory(d, program.config, program.memory) for n, d in self.convs.items()}
        self.counters: list[np.ndarray] = []

    def operands(self, maps: dict[str, np.ndarray], images: slice = slice(None)) -> dict[int, np.ndarray]:
        """Non-zero maps (planes, N, ...) by layer as the descriptors read them, by number."""
        found = {}
        for number, d in self.convs.items():
            shape = conv_shape(d, self.program.config)
            found[number] = as_compiled(d.name, maps[d.name][:, images], shape.channels, shape.height + shape.halo)
        return found

    def evaluate(self, nonzeros: dict[int, np.ndarray], profile: bool = False) -> np.ndarray | None:
        """Predict one evaluation; with ``profile`` returns the counters of the same with a pause after each layer."""
        update = len(self.counters) % self.period == 0
        found: dict[int, Labels] = {}
        for number, d in self.convs.items():
            if update and d["MODE.update"]:
                found[number] = sorted_labels(d, self.program.config, nonzero_counts(nonzeros[number]), self.policy)
        paused = self.predictor.run(nonzeros, self.labels, True, update, found) if profile else None
        self.counters.append(self.predictor.run(nonzeros, self.labels, False, update, found))
        self.labels |= found
        return paused

    def total(self) -> dict[str, int]:
        """The counters of all evaluations together."""
        sums = np.sum(self.counters, axis=(0, 1)) if self.counters else np.zeros(len(kernel.COUNTERS), int)
        return dict(zip(kernel.COUNTERS, sums.tolist(), strict=True))
