"""Test bench of a PE array: fills its buffers, sends jobs, compares partial sums with the golden convolution."""

import cocotb
import numpy as np

from sqdm.golden.conv import conv_psum
from sqdm.rtl import payloads
from sqdm.rtl.config import WORD_NIBBLES, Config, ceil_div
from sqdm.sim.lib.bench import Bench, Watch
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.scoreboard import Scoreboard
from sqdm.sim.lib.streams import Sink, Source
from sqdm.sim.lib.workload import activations, tap_uses, valid_tap_acts, weights


class Job:
    """One image through one output tile: ``acts`` (C, H, W) and ``weights`` (lanes, C, R, R), C dealt to the slots.

    ``acts`` that are empty (C = 0) make a job without channels. ``new_weights`` False reuses the job before's.
    """

    def __init__(self, config: Config, acts: np.ndarray, kernel: np.ndarray, signed=False, new_weights=True):
        self.acts, self.weights, self.signed, self.new_weights = acts, kernel, signed, new_weights
        self.height, self.width = acts.shape[1:]
        self.taps = kernel.shape[2] * kernel.shape[3]
        self.pixels = self.height * self.width
        self.plane_rows = WORD_NIBBLES * ceil_div(self.pixels, WORD_NIBBLES)
        self.channels = ceil_div(acts.shape[0], config.slots)
        self.slots = [list(range(slot, acts.shape[0], config.slots)) for slot in range(config.slots)]
        self.slot_count = config.slots

    def psums(self) -> list[list[int]]:
        """Expected partial sums: pixels in raster order, lanes."""
        if self.acts.shape[0] == 0:
            return [[0] * self.weights.shape[0]] * self.pixels
        return conv_psum(self.acts[None], self.weights)[0].reshape(self.weights.shape[0], -1).T.tolist()

    def dense_steps(self) -> int:
        """Cycles that a dense array multiplies: every channel of a slot under every tap inside the map."""
        return self.channels * int(tap_uses(self.height, self.width, self.taps).sum())

    def sparse_steps(self) -> int:
        """The least number of cycles for a sparse array: the busiest slot of each output pixel."""
        pad = int(self.taps == 9)
        work = np.zeros((self.slot_count, self.height, self.width), np.int64)
        for slot, channels in enumerate(self.slots):
            nonzeros = np.pad(np.count_nonzero(self.acts[channels], axis=0), pad)
            for y in range(1 + 2 * pad):
                for x in range(1 + 2 * pad):
                    work[slot] += nonzeros[y : y + self.height, x : x + self.width]
        return int(work.max(axis=0).sum())


class PeBench(Bench):
    """Fills the buffer halves as soon as their jobs have finished, sends jobs, compares partial sums."""

    def __init__(self, dut, idle: str = "steady", back_pressure: str = "steady"):
        super().__init__(dut)
        self.config = config = Config(**self.parameters["config"])
        self.sparse = self.parameters["kind"] == "SPARSE"
        self.first_slot = self.parameters["first_slot"]
        pace = PACES[idle]
        self.activation_writes = self.source("activation_writes", payloads.activation_write(config), pace)
        self.weight_writes = self.source("weight_writes", payloads.weight_write(config), pace)
        self.jobs = self.source("jobs", payloads.job(config), pace)
        self.scoreboard = Scoreboard("psums")
        ready = PACES[back_pressure](self.rng)
        self.psums = self.add(Sink(self, "psums", payloads.psums(config), ready, self.scoreboard.observe))
        self.add(Watch(dut, ("ops", "blocked", "finished"), self._count))
        self.finished = self.blocked = self.total_ops = 0
        self.busy_cycles: list[int] = []  # cycles in which a slot multiplied
        self._sent = 0
        self._act_half = self._weight_half = 0
        self._act_user = [0, 0]  # for each half: how many jobs must have finished before it may be filled
        self._weight_user = [0, 0]

    def source(self, name, layout, pace):
        return self.add(Source(self, name, layout, pace(self.rng)))

    def _count(self, ops: int, blocked: int, finished: int):
        assert ops <= self.config.slots, f"ops must be 0..{self.config.slots}, not {ops}"
        self.total_ops += ops
        self.blocked += blocked
        self.finished += finished
        assert self.finished <= self._sent, "more jobs have finished than were sent"
        if ops:
            self.busy_cycles.append(self.cycle)

    async def load(self, job: Job):
        """Fill the next buffer halves and queue the job; returns when the job has been taken."""
        self._act_half ^= 1
        if job.new_weights:
            self._weight_half ^= 1
        act_half, weight_half = self._act_half, self._weight_half
        free = max(self._act_user[act_half], self._weight_user[weight_half] if job.new_weights else 0)
        await self.until(lambda: self.finished >= free, 60_000, "a buffer half is free")
        if job.channels:
            self.activation_writes.send(self._activation_rows(job, act_half))
            if job.new_weights:
                self.weight_writes.send(self._weight_rows(job, weight_half))
        self.activation_writes.send(self._foreign_rows("word", 16, 0))
        self.weight_writes.send(self._foreign_rows("weights", self.config.lanes, -8))
        await self.until(
            lambda: not self.activation_writes.pending and not self.weight_writes.pending,
            60_000,
            "the buffers are filled",
        )
        self.scoreboard.expect(job.psums())
        self.jobs.send([self._payload(job, act_half, weight_half)])
        self._sent += 1
        self._act_user[act_half] = self._weight_user[weight_half] = self._sent
        await self.until(lambda: not self.jobs.pending, 60_000, "the job is taken")

    def _payload(self, job: Job, act_half: int, weight_half: int) -> dict:
        return {
            "height": job.height,
            "width": job.width,
            "kernel3": int(job.taps == 9),
            "signed_acts": int(job.signed),
            "channels": job.channels,
            "plane_rows": job.plane_rows,
            "act_half": act_half,
            "weight_half": weight_half,
        }

    def _activation_rows(self, job: Job, half: int) -> list[dict]:
        """Every activation word of every slot, in random order."""
        flat = job.acts.reshape(job.acts.shape[0], -1) & 15
        rows = []
        for slot, channels in enumerate(job.slots):
            for group in range(ceil_div(job.channels, WORD_NIBBLES)):
                members = channels[group * WORD_NIBBLES : (group + 1) * WORD_NIBBLES]
                words = np.zeros((job.pixels, WORD_NIBBLES), np.int64)
                words[:, : len(members)] = flat[members].T
                first = half * self.config.act_rows + group * job.plane_rows
                rows += [
                    {"slot": self.first_slot + slot, "row": first + pixel, "word": word}
                    for pixel, word in enumerate(words.tolist())
                ]
        self.rng.shuffle(rows)
        return rows

    def _weight_rows(self, job: Job, half: int) -> list[dict]:
        """Every weight row of every slot, in random order; slots without a channel keep what they hold."""
        flat = job.weights.reshape(job.weights.shape[0], job.weights.shape[1], -1)
        rows = [
            {
                "slot": self.first_slot + slot,
                "row": half * self.config.weight_rows + index * job.taps + tap,
                "weights": flat[:, channel, tap].tolist(),
            }
            for slot, channels in enumerate(job.slots)
            for index, channel in enumerate(channels)
            for tap in range(job.taps)
        ]
        self.rng.shuffle(rows)
        return rows

    def _foreign_rows(self, key: str, count: int, low: int) -> list[dict]:
        """Writes to the slots of other arrays, which this one must ignore."""
        own = range(self.first_slot, self.first_slot + self.config.slots)
        return [
            {"slot": slot, "row": row, key: [self.rng.randint(low, low + 15) for _ in range(count)]}
            for slot in range(self.config.arrays * self.config.slots)
            if slot not in own
            for row in range(2)
        ]

    async def finish(self):
        """Everything came, nothing more comes, every job has finished."""
        await self.until(lambda: not self.scoreboard.pending, 60_000, "all partial sums")
        await self.drain()
        self.scoreboard.close()
        assert self.finished == self._sent, f"{self.finished} of {self._sent} jobs have finished"

    async def run(self, jobs: list[Job], started: bool = False):
        """Load and compute the jobs, check the multiplications."""
        if not started:
            await self.start()
        if cocotb.SIM_NAME.startswith("Icarus"):
            # A slot that has never multiplied offers 0 and an undefined weight; in Verilog their product is undefined.
            jobs = [self.job(self.config.slots, (1, 1), 1, "full"), *jobs]
        for job in jobs:
            await self.load(job)
        await self.finish()
        if self.sparse:
            expected = sum(valid_tap_acts(job.acts, job.taps) for job in jobs)
        else:
            expected = sum(job.dense_steps() for job in jobs) * self.config.slots
        assert self.total_ops == expected, f"ops must add up to {expected}, not {self.total_ops}"

    def job(self, channels: int, size: tuple[int, int], kernel: int, fill="random", signed=False, **kwargs) -> Job:
        """A random job."""
        acts = activations(self.data_rng, (1, channels, *size), fill, signed)[0]
        shape = (self.config.lanes, channels, kernel, kernel)
        return Job(self.config, acts, weights(self.data_rng, shape, fill), signed, **kwargs)
