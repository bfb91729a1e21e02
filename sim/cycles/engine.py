"""The network on the cycle model: the integer network computes the images, the model what they would have cost."""

from collections import Counter

import numpy as np

from sqdm.compiler.access import conv_shape
from sqdm.compiler.buffers import images_at_once
from sqdm.compiler.network import NetworkProgram, compile_network
from sqdm.errors import UserError
from sqdm.golden.integer import IntegerUNet
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles import kernel
from sqdm.sim.cycles.labels import Labels, labels_in_memory, nonzero_counts, sorted_labels
from sqdm.sim.cycles.nonzero_record import NonzeroRecorder, as_compiled
from sqdm.sim.cycles.predictor import Predictor
from sqdm.sim.device import LATENCY
from sqdm.sim.engine import SIDE, ZeroRecord, dense_equivalent


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
        self.counts: dict[int, np.ndarray] = {}
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
                self.counts[number] = nonzero_counts(nonzeros[number])
                found[number] = sorted_labels(d, self.program.config, self.counts[number], self.policy)
        paused = self.predictor.run(nonzeros, self.labels, True, update, found) if profile else None
        self.counters.append(self.predictor.run(nonzeros, self.labels, False, update, found))
        self.labels |= found
        return paused

    def total(self) -> dict[str, int]:
        """The counters of all evaluations together."""
        sums = np.sum(self.counters, axis=(0, 1)) if self.counters else np.zeros(len(kernel.COUNTERS), int)
        return dict(zip(kernel.COUNTERS, sums.tolist(), strict=True))

    def shares(self) -> dict[str, tuple[float, np.ndarray]]:
        """As `NetworkDevice.tables`: dense channels of each layer that sorts, the share of zeros of each channel."""
        found = {}
        for number, d in self.convs.items():
            if not d["MODE.update"]:
                continue
            shape = conv_shape(d, self.program.config)
            parts = shape.channels // self.program.layers[d.name].C
            counts = self.counts.get(number, np.zeros((shape.planes, shape.channels), int)).reshape(-1, parts).sum(1)
            zeros = 1 - counts / (shape.images * shape.in_pixels * parts)
            found[d.name] = float(self.labels[number].dense.sum()) / parts, zeros
        return found


def dense_cycles(arrays: dict[str, np.ndarray], images: int, config: Config, latency: int, all_4bit: bool) -> int:
    """Cycles of one evaluation with the same multipliers, all dense; no data change them."""
    program = compile_network(arrays, images, dense_equivalent(config), 4 if all_4bit else None)
    run = ModelRun(program, latency, Policy.DENSE)
    nonzeros = {}
    for number, d in run.convs.items():
        shape = conv_shape(d, program.config)
        size = (shape.planes, shape.images, shape.channels, shape.height + shape.halo, shape.width)
        nonzeros[number] = np.zeros(size, bool)
    run.evaluate(nonzeros)
    return run.total()["CYCLES"]


class ModelEngine(IntegerUNet):
    """The network with ``config``, for ``images`` at a time: the figures of `RtlEngine` without its simulation.

    Parameters as of `RtlEngine`. Counters are those of `kernel.COUNTERS`; nothing is compared with anything, since the
    integer network itself makes the images.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        config: Config,
        images: int,
        latency: int = LATENCY,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        profile: int = 0,
    ):
        super().__init__(arrays, self._record)
        if not 1 <= period < 1 << 16:
            raise UserError(f"period must be 1..65535, not {period!r}")
        self.config = config
        self.latency = latency
        self.profile = profile
        self.zeros = ZeroRecord()
        self.dense_shares: dict[str, list[float]] = {}
        self.evaluations = 0
        step = images_at_once(SIDE, SIDE, config)
        self.batches = [slice(first, min(first + step, images)) for first in range(0, images, step)]
        self.runs = [
            ModelRun(compile_network(arrays, batch.stop - batch.start, config), latency, policy, period)
            for batch in self.batches
        ]
        self._arrays = arrays
        self._recorder = NonzeroRecorder()
        self._dense: dict[bool, int] = {}
        self._profiles: dict[str, dict[str, int]] = {}

    def _record(self, name: str, tensor: np.ndarray) -> None:
        self._recorder(name, tensor)

    def network(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `IntegerUNet.network`; all images must have one noise level."""
        self._recorder = NonzeroRecorder()
        result = super().network(x, c_noise, labels)
        self.predict({name: maps[0] for name, maps in self._recorder.maps.items()})
        return result

    def predict(self, maps: dict[str, np.ndarray]) -> None:
        """One evaluation with these non-zero maps (planes, N, C, H, W) by layer, of all images."""
        before = [run.shares() for run in self.runs]
        weights = [batch.stop - batch.start for batch in self.batches]
        for batch, run in zip(self.batches, self.runs, strict=True):
            paused = run.evaluate(run.operands(maps, batch), self.evaluations == self.profile)
            if paused is not None:
                self._profile(run, paused)
        after = [run.shares() for run in self.runs]
        for name, (_, shares) in before[0].items():
            dense = np.average([tables[name][0] for tables in before], weights=weights)
            self.dense_shares.setdefault(name, []).append(float(dense / len(shares)))
            self.zeros.add(name, np.average([tables[name][1] for tables in after], axis=0, weights=weights))
        self.evaluations += 1

    def _profile(self, run: ModelRun, counters: np.ndarray) -> None:
        for d, row in zip(run.program.descriptors, counters.tolist(), strict=True):
            sums = self._profiles.setdefault(d.name, dict.fromkeys(kernel.COUNTERS, 0))
            for name, value in zip(kernel.COUNTERS, row, strict=True):
                sums[name] += value

    def counters(self) -> dict[str, int]:
        """Of all evaluations together."""
        totals = [run.total() for run in self.runs]
        return {name: sum(one[name] for one in totals) for name in kernel.COUNTERS}

    def cycles_dense(self, all_4bit: bool = False) -> int:
        """Cycles of all evaluations with all arrays dense."""
        if all_4bit not in self._dense:
            self._dense[all_4bit] = sum(
                dense_cycles(self._arrays, batch.stop - batch.start, self.config, self.latency, all_4bit)
                for batch in self.batches
            )
        return self.evaluations * self._dense[all_4bit]

    def dense_runs_equal(self) -> bool:
        """The model's dense cycles depend on no data."""
        return True

    def profiles(self) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
        """Counters by descriptor name of the profiled evaluation; none of the dense arrays."""
        return self._profiles, {}

    def comparison(self) -> tuple[Counter[str], Counter[str], str | None]:
        """Nothing is compared."""
        return Counter(), Counter(), None

    def cycles_per_second(self) -> float | None:
        """There is no simulation."""
        return None

    def serial(self) -> dict | None:
        """There is no board."""
        return None
