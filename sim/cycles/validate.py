"""Measures the model's error against the RTL, layer by layer; see docs/cycle-model.md.

``python -m sqdm.sim.cycles --config tiny --network default --out DIR`` writes validation.json and cycle-model.png.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sqdm.compiler.machine import Machine
from sqdm.compiler.network import compile_network
from sqdm.compiler.program import Program
from sqdm.golden import sampler
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import load_model
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles.kernel import COUNTERS
from sqdm.sim.cycles.labels import labels_in_memory, nonzeros_in_memory
from sqdm.sim.cycles.model import program_cycles
from sqdm.sim.cycles.network_run import ModelRun
from sqdm.sim.cycles.nonzero_record import NonzeroRecorder
from sqdm.sim.cycles.random_layers import random_layers
from sqdm.sim.device import LATENCY, Device
from sqdm.sim.network_device import NetworkDevice

OnDone = Callable[[int, str], None]


@dataclass(frozen=True)
class Point:
    """A layer: what was ``predicted`` and ``measured``, cycles; whether it has a ``residual``."""

    config: str
    name: str
    predicted: int
    measured: int
    residual: bool = False

    @property
    def error(self) -> float:
        """Relative, of the prediction."""
        return self.predicted / self.measured - 1


def compare_program(device: Device, program: Program, policy: Policy) -> list[Point]:
    """A paused run of a program of CONVs on the device and on the model, which learns all it needs from the memory."""
    machine = Machine(program.config, policy)
    memory = program.new_memory()
    machine.start()
    nonzeros, labels = {}, {}
    for number, d in enumerate(program.descriptors):
        if d.kind == Kind.CONV:
            nonzeros[number] = nonzeros_in_memory(d, program.config, memory)
            labels[number] = labels_in_memory(d, program.config, memory)
        machine.execute(d, memory)
    predicted = program_cycles(program, nonzeros, labels, policy, device.latency, pause=True)
    steps = device.run_program(program, policy=policy, pause=True).steps
    return [
        Point(program.config.name, d.name, one.cycles, steps[number]["CYCLES"], bool(d["MODE.residual"]))
        for number, (d, one) in enumerate(zip(program.descriptors, predicted, strict=True))
        if d.kind == Kind.CONV
    ]


def compare_layers(config: Config, count: int, seed: int, latency: int, on_done: OnDone, on_build=None) -> list[Point]:
    """At least ``count`` random layers."""
    device = Device(config, latency, on_build)
    points: list[Point] = []
    for program, policy in random_layers(config, seed):
        points += compare_program(device, program, policy)
        on_done(min(len(points), count), config.name)
        if len(points) >= count:
            return points
    return points


class NetworkComparison(IntegerUNet):
    """The digits network evaluation by evaluation on the RTL, paused and not, and on the model.

    ``points``: every descriptor of every paused evaluation; ``runs``: evaluations as a whole, not paused.
    """

    def __init__(self, arrays: dict, config: Config, images: int, policy: Policy, latency: int, on_build=None):
        self.recorder = NonzeroRecorder()
        super().__init__(arrays, self.recorder)
        program = compile_network(arrays, images, config)
        self.model = ModelRun(program, latency, policy)
        self.device, self.paused = (
            NetworkDevice(program, latency, on_build, policy=policy, check=False) for _ in range(2)
        )
        self.points: list[Point] = []
        self.runs: list[Point] = []

    def network(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """One evaluation everywhere; see `IntegerUNet.network`."""
        self.recorder.maps.clear()
        result = super().network(x, c_noise, labels)
        maps = {name: found[0] for name, found in self.recorder.maps.items()}
        self.paused.memory[:] = self.device.memory
        self.paused.evaluate(x, c_noise, np.asarray(labels), pause=True)
        self.device.evaluate(x, c_noise, np.asarray(labels))
        paused = self.model.evaluate(self.model.operands(maps), profile=True)
        self._compare(paused)
        return result

    def _compare(self, paused: np.ndarray) -> None:
        cycles = COUNTERS.index("CYCLES")
        name = self.model.program.config.name
        waits = 0
        for number, d in enumerate(self.model.program.descriptors):
            if d.kind == Kind.END:
                continue
            measured = waits + self.paused.runs[-1].steps[number]["CYCLES"]
            if d.kind == Kind.WAIT:  # what is loaded meanwhile belongs to the layer behind it
                waits = measured
                continue
            waits = 0
            self.points.append(Point(name, d.name, int(paused[number, cycles]), measured, bool(d["MODE.residual"])))
        whole = int(self.model.counters[-1][:, cycles].sum())
        self.runs.append(Point(name, f"evaluation {len(self.runs)}", whole, self.device.runs[-1].counters["CYCLES"]))


def compare_network(
    config: Config, images: int, steps: int, seed: int, policy: Policy, on_done: OnDone, on_build=None
) -> NetworkComparison:
    """A sampling run of the shipped model."""
    net = NetworkComparison(load_model().arrays, config, images, policy, LATENCY, on_build)
    sampler.heun(
        net.denoise,
        sampler.latents(images, seed),
        np.arange(images) % 10,
        steps,
        lambda done, step: on_done(done + 1, f"network on {config.name}"),
    )
    return net


def summary(points: list[Point]) -> dict[str, float]:
    """Errors of points: how many, median and largest, shares that are exact and within 1%, of all cycles together."""
    errors = np.abs([point.error for point in points])
    return {
        "layers": len(points),
        "median": float(np.median(errors)),
        "largest": float(errors.max()),
        "exact": float(np.mean([point.predicted == point.measured for point in points])),
        "within_1_percent": float(np.mean(errors <= 0.01)),
        "sum": sum(point.predicted for point in points) / sum(point.measured for point in points) - 1,
    }


def draw(groups: dict[str, list[Point]], path: Path) -> None:
    """Predicted against measured cycles, and the relative error of every layer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), constrained_layout=True)
    for label, points in groups.items():
        measured = np.array([point.measured for point in points])
        left.loglog(measured, [point.predicted for point in points], ".", label=label, markersize=4)
        right.semilogx(measured, [100 * point.error for point in points], ".", label=label, markersize=4)
    ends = np.array(left.get_xlim())
    left.loglog(ends, ends, "k-", linewidth=0.5)
    left.set(xlabel="cycles in RTL", ylabel="predicted cycles")
    for edge in (-1, 1):
        right.axhline(edge, color="k", linewidth=0.5, linestyle=":")
    right.set(xlabel="cycles in RTL", ylabel="error of the prediction, %", yscale="symlog")
    left.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def result_of(groups: dict[str, list[Point]]) -> dict:
    """Summaries and all points."""
    return {
        "summary": {label: summary(points) for label, points in groups.items()},
        "points": {label: [asdict(point) for point in points] for label, points in groups.items()},
    }
