"""The network on the compiled Verilog: every evaluation compared with the golden machine, measured and profiled."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sqdm.compiler.buffers import images_at_once
from sqdm.compiler.conv_descriptor import SPARSE_SHARE
from sqdm.compiler.network import compile_network
from sqdm.errors import UserError
from sqdm.golden import layers
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.planes import digits
from sqdm.rtl.config import Config
from sqdm.rtl.registers import COUNTERS, Policy
from sqdm.sim.device import LATENCY
from sqdm.sim.network_device import NetworkDevice

DENSE_RUNS = 2  #: evaluations that the dense reference computes too
SIDE = 8  #: rows and columns of the network's largest map


def dense_equivalent(config: Config) -> Config:
    """The configuration with the same multipliers in two dense arrays, or in as few as there may be.

    Dense slots work in step, so how they are grouped changes no cycle count.
    """
    total = config.arrays * config.slots
    slots = next(slots for slots in (16, 8, 4, 2, 1) if total % slots == 0 and (total // slots > 1 or total == 1))
    dense = {"dense_arrays": total // slots, "sparse_arrays": 0, "slots": slots}
    return replace(config, name=f"{config.name}-dense", **dense)


class ZeroRecord:
    """Share of zeros in each channel at the inputs of each layer, evaluation by evaluation.

    ``layers`` by name: a list of float64 (channels,), one an evaluation. An 8-bit layer has twice its channels: the
    high digits, then the low ones. On the accelerator the nine taps of the first layer are channels too.
    """

    def __init__(self):
        self.layers: dict[str, list[np.ndarray]] = {}

    def add(self, name: str, shares: np.ndarray) -> None:
        """What a layer read in one evaluation."""
        self.layers.setdefault(name, []).append(shares)

    def arrays(self) -> dict[str, np.ndarray]:
        """float64 (channels, evaluations) by layer."""
        return {name: np.stack(shares, axis=1) for name, shares in self.layers.items()}

    def mean(self, name: str) -> float | None:
        """Of one layer over everything; None when nothing is known."""
        return float(np.mean(self.layers[name])) if name in self.layers else None


class GoldenEngine(IntegerUNet):
    """The integer network itself, with the zeros that it met in ``zeros``."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        super().__init__(arrays, self._count)
        self.zeros = ZeroRecord()
        self._formats = {layer.name: layer.act for layer in layers.layers()}

    def _count(self, name: str, tensor: np.ndarray) -> None:
        layer, _, what = name.rpartition("/")
        if what == "codes":
            act = self._formats[layer]
            split = digits(tensor, act.signed) if act.bits == 8 else (tensor,)
            axes = (0, *range(2, tensor.ndim))
            self.zeros.add(layer, np.concatenate([np.mean(digit == 0, axis=axes) for digit in split]))


class Batch:
    """``count`` images that run together: ``main`` is measured, ``paused`` profiled; the others are dense references.

    Parameters: ``arrays`` of the model, ``images`` of the whole job, the rest as of `RtlEngine`.
    """

    def __init__(self, arrays: dict[str, np.ndarray], config: Config, images: slice, latency: int, on_build, **options):
        self.images = images
        self.count = count = images.stop - images.start
        dense = dense_equivalent(config)

        def device(config: Config, check: bool, bits: int | None = None, **options) -> NetworkDevice:
            program = compile_network(arrays, count, config, bits, sparse_share, sort)
            return NetworkDevice(program, latency, on_build, check=check, **options)

        check, sparse_share, sort = (options.pop(name) for name in ("check", "sparse_share", "sort"))
        self.main = device(config, check, **options)
        self.paused = device(config, check, policy=options["policy"])
        self.dense = device(dense, check)
        self.dense_paused = device(dense, False)
        self.dense_4bit = device(dense, False, 4)

    def devices(self) -> list[NetworkDevice]:
        """All of them."""
        return [self.main, self.paused, self.dense, self.dense_paused, self.dense_4bit]


class RtlEngine(IntegerUNet):
    """The network on accelerators with ``config``, for ``images`` at a time.

    Parameters: ``arrays`` of the model; ``latency`` of the memory; ``on_build(message)``; ``policy`` that labels the
    channels; ``period``: the tables are sorted anew in every ``period``-th evaluation, >= 1, starting with the first;
    ``check`` compares everything that the accelerator writes with the golden machine; ``profile``: number of the
    evaluation that runs once more with a pause after each descriptor, for the counters of each layer, -1 for none.
    ``references``: whether dense references run; ``sparse_share`` and ``sort`` as of `compile_network`.

    The first `DENSE_RUNS` evaluations also run on the same arrays, all dense, the first one there once more with every
    layer in 4 bit. Raises `UserError` when a layer of the network does not fit. The accelerator's results are what
    `denoise` goes on with, right or wrong.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        config: Config,
        images: int,
        latency: int = LATENCY,
        on_build: Callable[[str], None] | None = None,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        check: bool = True,
        profile: int = 0,
        references: bool = True,
        sparse_share: float = SPARSE_SHARE,
        sort: bool = True,
    ):
        super().__init__(arrays)
        if not 1 <= period < 1 << 16:
            raise UserError(f"period must be 1..65535, not {period!r}")
        self.profile = profile
        self.dense_runs = DENSE_RUNS if references else 0
        self.zeros = ZeroRecord()
        self.evaluations = 0
        step = images_at_once(SIDE, SIDE, config)
        self.batches = [
            Batch(
                arrays,
                config,
                slice(first, min(first + step, images)),
                latency,
                on_build,
                policy=policy,
                period=period,
                check=check,
                sparse_share=sparse_share,
                sort=sort,
            )
            for first in range(0, images, step)
        ]
        self.dense_shares: dict[str, list[float]] = {}

    def network(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `IntegerUNet.network`; all images must have one noise level."""
        self._record([batch.main.tables() for batch in self.batches], before=True)
        results = [
            self._evaluate(batch, x[batch.images], c_noise[batch.images], np.asarray(labels)[batch.images])
            for batch in self.batches
        ]
        self._record([batch.main.tables() for batch in self.batches], before=False)
        self.evaluations += 1
        return np.concatenate(results)

    def _evaluate(self, batch: Batch, *inputs: np.ndarray) -> np.ndarray:
        """One batch: wherever it is due, and last on the device that is measured."""
        if self.evaluations == self.profile:
            batch.paused.memory[:] = batch.main.memory
            batch.paused.evaluate(*inputs, pause=True)
            batch.dense_paused.evaluate(*inputs, pause=True)
        if self.evaluations < self.dense_runs:
            batch.dense.evaluate(*inputs)
        if self.evaluations == 0 and self.dense_runs:
            batch.dense_4bit.evaluate(*inputs)
        return batch.main.evaluate(*inputs)

    def _record(self, tables: list[dict[str, tuple[float, np.ndarray]]], before: bool) -> None:
        """Channel tables of all batches: before an evaluation they say how it runs, after it what it counted."""
        weights = [batch.count for batch in self.batches]
        for name, (_, shares) in tables[0].items():
            if before:
                dense = np.average([table[name][0] for table in tables], weights=weights)
                self.dense_shares.setdefault(name, []).append(float(dense / len(shares)))
            else:
                self.zeros.add(name, np.average([table[name][1] for table in tables], axis=0, weights=weights))

    def counters(self) -> dict[str, int]:
        """Of all measured runs together."""
        runs = [run for batch in self.batches for run in batch.main.runs]
        return {name: sum(run.counters[name] for run in runs) for name in COUNTERS}

    def cycles_dense(self, all_4bit: bool = False) -> int | None:
        """Cycles of all evaluations with all arrays dense: those of one, which no data change, times their number.

        None when no reference runs.
        """
        if not self.dense_runs:
            return None
        references = [batch.dense_4bit if all_4bit else batch.dense for batch in self.batches]
        return self.evaluations * sum(reference.runs[0].counters["CYCLES"] for reference in references)

    def dense_runs_equal(self) -> bool:
        """Whether the dense reference took the same time in each of its runs."""
        return all(len({run.counters["CYCLES"] for run in batch.dense.runs}) == 1 for batch in self.batches)

    def profiles(self) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
        """Counters by descriptor name of the profiled evaluation, and of the same with all arrays dense."""
        found = ({}, {})
        for batch in self.batches:
            for device, names in zip((batch.paused, batch.dense_paused), found, strict=True):
                for tag, counters in device.runs[0].steps.items() if device.runs else ():
                    total = names.setdefault(device.program.descriptors[tag].name, dict.fromkeys(COUNTERS, 0))
                    for name, value in counters.items():
                        total[name] += value
        return found

    def comparison(self) -> tuple[Counter[str], Counter[str], str | None]:
        """Outputs compared and mismatches by descriptor name, and where the first mismatch was."""
        steps = [device.lock_step for batch in self.batches for device in batch.devices() if device.lock_step]
        first = next((step.first_mismatch for step in steps if step.first_mismatch), None)
        return (
            sum((step.compared for step in steps), Counter()),
            sum((step.mismatches for step in steps), Counter()),
            first,
        )

    def cycles_per_second(self) -> float | None:
        """Speed of the simulation of the measured runs."""
        return self.batches[0].main.device.cycles_per_second

    def serial(self) -> dict | None:
        """Traffic of the serial line to a board; None without one."""
        return None
