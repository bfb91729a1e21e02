"""What runs on every configuration of a sweep: the digits network on the non-zero maps of a real sampling run."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sqdm.compiler.access import conv_shape
from sqdm.compiler.buffers import images_at_once
from sqdm.compiler.network import compile_network
from sqdm.compiler.program import Descriptor, Program
from sqdm.golden import sampler
from sqdm.golden.model_file import load_model
from sqdm.rtl.config import Config
from sqdm.rtl.registers import Policy
from sqdm.sim.bench import sparsity
from sqdm.sim.bench.trace import Sampling, Trace, record
from sqdm.sim.cycles import kernel
from sqdm.sim.cycles.labels import nonzero_counts, sorted_labels
from sqdm.sim.cycles.network_run import ModelRun
from sqdm.sim.engine import SIDE


@dataclass
class Outcome:
    """What a workload costs, all images and evaluations together.

    ``counters`` of `kernel.COUNTERS`; ``products`` that the multipliers form, zero weights and idle slots of dense
    steps included; ``words``: activations read and outputs written by the layers.
    """

    counters: dict[str, int]
    products: int
    words: int

    @classmethod
    def of(cls, sums: np.ndarray, products: int, words: int, times: float) -> "Outcome":
        """``sums`` of counters (kernel.COUNTERS,), products and words of some evaluations, for ``times`` as many."""
        counters = {name: round(int(value) * times) for name, value in zip(kernel.COUNTERS, sums, strict=True)}
        return cls(counters, round(products * times), round(words * times))


def spread(total: int, wanted: int) -> list[int]:
    """``wanted`` of ``total`` evaluations: the middles of equal stretches; all when there are not more.

    >>> spread(35, 5)
    [3, 10, 17, 24, 31]
    """
    wanted = min(total, wanted)
    return [(2 * i + 1) * total // (2 * wanted) for i in range(wanted)]


def described(workload, **more: object) -> dict:
    """What reports say of any workload, and ``more`` of this one."""
    fields = {name: getattr(workload, name) for name in ("name", "images", "steps", "seed", "evaluations")}
    return fields | {"predicted_evaluations": spread(workload.evaluations, workload.sampled), **more}


def words_of(descriptors: Iterable[Descriptor], config: Config) -> int:
    """Activations read and outputs written by CONVs."""
    shapes = [conv_shape(d, config) for d in descriptors]
    return sum(s.images * (s.channels * s.in_pixels + s.out_channels * s.pixels) for s in shapes)


def products_of(program: Program, nonzeros: dict, labels: dict) -> int:
    """Products of an evaluation."""
    return sparsity.of_evaluation(program, nonzeros, labels).taken * program.config.lanes


@lru_cache(maxsize=2)
def trace_of(sampling: Sampling) -> Trace:
    """The shipped model's run, from the cache or computed."""
    return record(load_model(None), sampling, lambda done: None)


@dataclass(frozen=True)
class Digits:
    """The shipped model drawing digits: ``images`` together, Heun ``steps``, ``seed`` of the noise.

    Only ``sampled`` evaluations, spread over the run, are predicted, and stand for all of them. The channel tables of
    each come from the non-zeros of the evaluation before, as on the accelerator with period 1.
    """

    images: int = 10
    steps: int = 18
    seed: int = 0
    sampled: int = 5
    name: str = "digits"

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.images, self.steps, self.seed)

    @property
    def evaluations(self) -> int:
        return sampler.evaluations(self.steps)

    def describe(self) -> dict:
        """For reports."""
        return described(self, maps="of a sampling run of the shipped model")

    def prepare(self) -> None:
        """Compute and keep what all predictions share."""
        trace_of(self.sampling)

    def predict(self, config: Config, policy: Policy, latency: int, bits: int | None = None) -> Outcome:
        """On ``config``; ``bits``: every layer at 4 or 8 bits, dense arrays only. UserError when it does not fit."""
        step = images_at_once(SIDE, SIDE, config)
        dense = config.sparse_arrays == 0
        chosen = [0] if dense else spread(self.evaluations, self.sampled)
        sums = np.zeros(len(kernel.COUNTERS), np.int64)
        products = words = 0
        for first in range(0, self.images, step):
            part = slice(first, min(first + step, self.images))
            program = compile_network(load_model(None).arrays, part.stop - part.start, config, bits)
            run = ModelRun(program, latency, policy)
            words += len(chosen) * words_of(run.convs.values(), config)
            for number in chosen:
                if bits is None:
                    nonzeros = self._maps(run, number, part)
                    products += products_of(program, nonzeros, run.labels)
                else:
                    nonzeros = {n: np.zeros(sparsity.map_shape(program, d), bool) for n, d in run.convs.items()}
                run.evaluate(nonzeros)
            sums += np.sum(run.counters, axis=(0, 1))
        return Outcome.of(sums, products, words, self.evaluations / len(chosen))

    def _maps(self, run: ModelRun, number: int, part: slice) -> dict[int, np.ndarray]:
        """The maps of an evaluation; sorts the tables of ``run`` by those of the one before."""
        trace = trace_of(self.sampling)
        if number:
            before = run.operands(trace.evaluation(number - 1), part)
            for n, d in run.convs.items():
                if d["MODE.update"]:
                    run.labels[n] = sorted_labels(d, run.program.config, nonzero_counts(before[n]), run.policy)
        return run.operands(trace.evaluation(number), part)
