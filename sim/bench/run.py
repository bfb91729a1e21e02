"""Runs the experiments that the wanted rows need, one after the other."""

from collections.abc import Callable
from dataclasses import replace

from sqdm.errors import UserError
from sqdm.sim.bench.experiments import REFERENCES, Experiment
from sqdm.sim.bench.measure import Setting, batches, counted, predicted
from sqdm.sim.bench.rows import Result


def needed(names: list[str], every: dict[str, Experiment]) -> list[Experiment]:
    """The experiments of those rows, and the references of every speed-up first."""
    found = dict.fromkeys((*REFERENCES, *(name for name in names if name in every)))
    return [every[name] for name in found]


def run(
    experiments: list[Experiment], setting: Setting, engine: str, on_progress: Callable[[int, str], None]
) -> dict[str, Result]:
    """The result of every experiment by name; ``on_progress(evaluations done, remark)``.

    The model predicts with either engine. What lies in the cache is taken from there. An experiment whose
    configuration is too small for the network has a ``problem`` instead of figures.
    """
    found = {}
    evaluations = setting.sampling.evaluations
    for number, experiment in enumerate(experiments):

        def on_evaluation(done: int, number: int = number, name: str = experiment.name) -> None:
            on_progress(number * evaluations + done, f"{name}, evaluation {done}")

        own = replace(setting, on_evaluation=on_evaluation)
        on_evaluation(0)
        try:
            work = batches(experiment, own)
        except UserError as error:
            found[experiment.name] = Result(problem=str(error))
            continue
        model = predicted(experiment, own, work)
        rtl = counted(experiment, own, work) if engine == "rtl" else None
        found[experiment.name] = Result(model, rtl)
        on_progress((number + 1) * evaluations, experiment.name)
    return found
