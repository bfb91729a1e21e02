"""A `ConvEngine` whose convolutions come from the compiled Verilog, each output checked against the golden model."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sqdm.errors import UserError
from sqdm.golden.engine import ConvJob, GoldenEngine
from sqdm.rtl.config import Config
from sqdm.rtl.registers import COUNTERS, Policy
from sqdm.sim.device import LATENCY, Device
from sqdm.sim.layer import LayerResult, LayerRun, images_at_once

DENSE_RUNS = 2  #: evaluations that the dense reference computes too


def dense_equivalent(config: Config) -> Config:
    """The configuration with the same number of arrays, all of them dense."""
    return replace(config, name=f"{config.name}-dense", dense_arrays=config.arrays, sparse_arrays=0)


@dataclass
class LayerStats:
    """What one layer did, summed over its runs. ``zeros`` and ``activations`` count the layer's inputs."""

    shape: dict[str, int]
    bits: int
    runs: int = 0
    macs: int = 0
    activations: int = 0
    zeros: int = 0
    outputs_compared: int = 0
    mismatches: int = 0
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    dense_cycles: list[int] = field(default_factory=list)
    tables: dict[int, np.ndarray] = field(default_factory=dict)

    def count(self, job: ConvJob) -> None:
        """Add a job's activations, zeros and multiply-accumulates."""
        self.activations += job.acts.size
        self.zeros += job.acts.size - int(np.count_nonzero(job.acts))
        self.macs += job.macs

    @property
    def cycles(self) -> int:
        return self.counters["CYCLES"]

    @property
    def cycles_dense(self) -> int:
        """Cycles of all runs on the dense reference; a dense run's length depends on the shape alone."""
        return self.dense_cycles[0] * self.runs if self.dense_cycles else 0


class CountingEngine:
    """The golden model, with the statistics of each layer by name in ``layers``."""

    def __init__(self):
        self.layers: dict[str, LayerStats] = {}
        self._golden = GoldenEngine()

    def conv(self, job: ConvJob) -> np.ndarray:
        """See `ConvEngine.conv`."""
        stats = self._stats(job)
        stats.count(job)
        stats.runs += 1
        return self._golden.conv(job)

    def _stats(self, job: ConvJob) -> LayerStats:
        if job.name not in self.layers:
            self.layers[job.name] = LayerStats(shape_of(job), job.bits)
        return self.layers[job.name]


class RtlEngine(CountingEngine):
    """Runs convolutions on a `Device`.

    Parameters: ``device``; ``policy`` that labels the channels; ``period``: a layer's channel table is sorted anew in
    every ``period``-th evaluation of that layer, >= 1, starting with the first, which also scans its input beforehand;
    ``check`` compares every output with `GoldenEngine`; ``dense`` is a device with dense arrays only that repeats the
    first `DENSE_RUNS` runs of each layer, for its cycles.

    ``layers`` holds the statistics by layer name, ``first_mismatch`` says where the first wrong output was. The
    accelerator's outputs are what `conv` returns, right or wrong.
    """

    def __init__(
        self,
        device: Device,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        check: bool = True,
        dense: Device | None = None,
    ):
        super().__init__()
        if period < 1:
            raise UserError(f"period must be >= 1, not {period!r}")
        self.device = device
        self.dense = dense
        self.policy = policy
        self.period = period
        self.check = check
        self.first_mismatch: str | None = None

    @classmethod
    def for_config(
        cls,
        config: Config,
        latency: int = LATENCY,
        dense: bool = False,
        on_build: Callable[[str], None] | None = None,
        **options,
    ) -> "RtlEngine":
        """An engine with devices of its own; with ``dense`` also the dense reference of `config`."""
        reference = Device(dense_equivalent(config), latency, on_build) if dense else None
        return cls(Device(config, latency, on_build), dense=reference, **options)

    def conv(self, job: ConvJob) -> np.ndarray:
        """See `ConvEngine.conv`. Batches above the device's limit run in parts."""
        stats = self._stats(job)
        stats.count(job)
        step = images_at_once(*job.acts.shape[2:], self.device.config)
        parts = []
        for first in range(0, len(job.acts), step):
            part = replace(job, acts=job.acts[first : first + step])
            parts.append(self._run(part, stats, first))
        outputs = np.concatenate(parts)
        golden = self._golden.conv(job) if self.check else None
        if golden is not None:
            self._compare(job.name, outputs, golden, stats)
        if self.dense is not None and stats.runs < DENSE_RUNS:
            self._run_dense(job, golden, stats, step)
        stats.runs += 1
        return outputs

    def _run(self, job: ConvJob, stats: LayerStats, first: int) -> np.ndarray:
        """One run on the device, with the channel table of the images from ``first`` on."""
        run = LayerRun(
            job.acts,
            job.signed,
            job.weights,
            job.requant,
            self.policy,
            scan=first not in stats.tables,
            update=stats.runs % self.period == 0,
            table=stats.tables.get(first),
        )
        result: LayerResult = self.device.run_layer(run)
        if run.update:
            stats.tables[first] = result.table
        for name, value in result.counters.items():
            stats.counters[name] += value
        return result.outputs

    def _run_dense(self, job: ConvJob, golden: np.ndarray | None, stats: LayerStats, step: int) -> None:
        """Repeat a job on the dense reference: no scan, channels in ascending order."""
        cycles = 0
        parts = []
        for first in range(0, len(job.acts), step):
            acts = job.acts[first : first + step]
            result = self.dense.run_layer(LayerRun(acts, job.signed, job.weights, job.requant, scan=False))
            cycles += result.counters["CYCLES"]
            parts.append(result.outputs)
        stats.dense_cycles.append(cycles)
        if golden is not None:
            self._compare(f"{job.name} (dense)", np.concatenate(parts), golden, stats)

    def _compare(self, name: str, outputs: np.ndarray, golden: np.ndarray, stats: LayerStats) -> None:
        """Count the outputs that differ from the golden model's and remember where the first one is."""
        differs = outputs != golden
        wrong = int(np.count_nonzero(differs))
        stats.outputs_compared += outputs.size
        stats.mismatches += wrong
        if wrong and self.first_mismatch is None:
            at = tuple(int(i) for i in np.argwhere(differs)[0])
            self.first_mismatch = (
                f"{name}, run {stats.runs}, (image, channel, y, x) = {at}: {outputs[at]} instead of {golden[at]}"
            )


def shape_of(job: ConvJob) -> dict[str, int]:
    """The sizes of a job by name."""
    images, channels, height, width = job.acts.shape
    return {
        "images": images,
        "channels": channels,
        "out_channels": job.weights.shape[0],
        "height": height,
        "width": width,
        "kernel": job.weights.shape[2],
    }
