"""A sampling run on accelerators of which one evaluation is measured at gate level."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from sqdm.golden import sampler
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import Model
from sqdm.golden.sample import sample
from sqdm.rtl.registers import COUNTERS
from sqdm.sim.lock_step import LockStep
from sqdm.sim.network_device import NetworkDevice
from sqdm.synth.energy.measure import Measured, Measurement

SEED = 0


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nothing further needs to be computed."""


@dataclass(frozen=True)
class Run:
    """``counters`` of the device over ``evaluations`` evaluations, and what was measured, in order."""

    measurements: list[Measurement]
    counters: dict[str, int]
    evaluations: int


class MeasuredRun(IntegerUNet):
    """The network on ``device``; evaluation ``number`` also runs on the ``measured`` accelerators.

    The first of them goes on from the device's memory, so it has its channel tables. With ``only_measured`` the run
    ends there, by `Stopped`. ``on_evaluation(done)`` is called after each.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        device: NetworkDevice,
        measured: list[Measured],
        number: int,
        only_measured: bool,
        on_evaluation: Callable[[int], None],
    ):
        super().__init__(arrays)
        self.device, self.measured = device, measured
        self.number, self.only_measured = number, only_measured
        self.on_evaluation = on_evaluation
        self.measurements: list[Measurement] = []
        self.evaluations = 0

    def network(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `IntegerUNet.network`; all images must have one noise level."""
        if self.evaluations == self.number:
            self.measured[0].device.memory[:] = self.device.memory
            for accelerator in self.measured:
                self._measure(accelerator, x, c_noise, labels)
            if self.only_measured:
                raise Stopped
        answer = self.device.evaluate(x, c_noise, labels)
        self.evaluations += 1
        self.on_evaluation(self.evaluations)
        return answer

    def _measure(self, accelerator: Measured, *inputs: np.ndarray) -> None:
        """One evaluation, compared with the golden machine."""
        device = accelerator.device
        device.lock_step = LockStep(device.program, device.policy, device.period)
        accelerator.evaluate(*inputs)
        self.measurements.append(accelerator.result())


def sample_and_measure(
    model: Model,
    measured: list[Measured],
    images: int,
    steps: int,
    only_measured: bool,
    on_evaluation: Callable[[int], None],
    on_build: Callable[[str], None],
) -> Run:
    """Draw ``images`` digits in ``steps`` steps; the evaluation in the middle is measured."""
    number = sampler.evaluations(steps) // 2
    traced = measured[0].device
    device = NetworkDevice(traced.program, traced.latency, on_build, check=False)
    network = MeasuredRun(model.arrays, device, measured, number, only_measured, on_evaluation)
    with suppress(Stopped):
        sample(model, [image % 10 for image in range(images)], steps, SEED, network.denoise)
    counters = {name: sum(run.counters[name] for run in device.runs) for name in COUNTERS}
    return Run(network.measurements, counters, len(device.runs))
