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
from sqdm.synth.energy.measure import Measured, Measurement

SEED = 0


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nothing further needs to be computed."""


@dataclass(frozen=True)
class Run:
    """``counters`` of the first accelerator over ``evaluations`` evaluations, and what was measured, in order."""

    measurements: list[Measurement]
    counters: dict[str, int]
    evaluations: int


class MeasuredRun(IntegerUNet):
    """The network on the first of the ``measured`` accelerators; evaluation ``number`` is measured on all of them.

    With ``only_measured`` the run ends with it, by `Stopped`. ``on_evaluation(done)`` is called after each.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        measured: list[Measured],
        number: int,
        only_measured: bool,
        on_evaluation: Callable[[int], None],
    ):
        super().__init__(arrays)
        self.measured, self.number, self.only_measured = measured, number, only_measured
        self.on_evaluation = on_evaluation
        self.measurements: list[Measurement] = []
        self.evaluations = 0

    def network(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `IntegerUNet.network`; all images must have one noise level."""
        first = self.measured[0].device
        if self.evaluations == self.number:
            answers = [self._measure(accelerator, x, c_noise, labels) for accelerator in self.measured]
            if self.only_measured:
                raise Stopped
            answer = answers[0]
        else:
            answer = first.evaluate(x, c_noise, labels)
        self.evaluations += 1
        self.on_evaluation(self.evaluations)
        return answer

    def _measure(self, accelerator: Measured, *inputs: np.ndarray) -> np.ndarray:
        """One evaluation, compared with the golden machine."""
        device = accelerator.device
        device.lock_step = LockStep(device.program, device.policy, device.period)
        answer = accelerator.evaluate(*inputs)
        self.measurements.append(accelerator.result())
        device.lock_step = None
        return answer


def sample_and_measure(
    model: Model,
    measured: list[Measured],
    images: int,
    steps: int,
    only_measured: bool,
    on_evaluation: Callable[[int], None],
) -> Run:
    """Draw ``images`` digits in ``steps`` steps; the evaluation in the middle is measured."""
    number = sampler.evaluations(steps) // 2
    network = MeasuredRun(model.arrays, measured, number, only_measured, on_evaluation)
    with suppress(Stopped):
        sample(model, [image % 10 for image in range(images)], steps, SEED, network.denoise)
    runs = measured[0].device.runs
    return Run(network.measurements, {name: sum(run.counters[name] for run in runs) for name in COUNTERS}, len(runs))
