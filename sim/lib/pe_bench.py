"""Test bench of a PE array: fills its buffers, sends jobs, compares partial sums with the golden convolution."""

import cocotb
import numpy as np

from sqdm.rtl import payloads
from sqdm.rtl.config import TURNS, WORD_NIBBLES, Config
from sqdm.sim.lib.bench import Bench, Watch
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.pe_job import Job
from sqdm.sim.lib.scoreboard import Scoreboard
from sqdm.sim.lib.streams import Sink, Source
from sqdm.sim.lib.workload import activations, weights


class PeBench(Bench):
    """Fills the buffers as soon as the jobs that used them have finished, sends jobs, compares partial sums.

    Images lie behind one another in the activation buffer, which is used as a ring.
    """

    def __init__(self, dut, idle: str = "steady", back_pressure: str = "steady"):
        super().__init__(dut)
        self.config = config = Config(**self.parameters["config"])
        self.sparse = self.parameters["kind"] == "SPARSE"
        self.first_slot = self.parameters["first_slot"]
        pace = PACES[idle]
        layout = payloads.activation_write(config)
        self.activation_writes = [self.source(f"activation_writes__{turn}", layout, pace) for turn in range(TURNS)]
        self.weight_writes = self.source("weight_writes", payloads.weight_write(config), pace)
        self.jobs = self.source("jobs", payloads.job(config), pace)
        self.scoreboard = Scoreboard("psums")
        ready = PACES[back_pressure](self.rng)
        self.psums = self.add(Sink(self, "psums", payloads.psums(config), ready, self.scoreboard.observe))
        self.add(Watch(dut, ("ops", "blocked", "finished"), self._count))
        self.finished = self.blocked = self.total_ops = 0
        self.busy_cycles: list[int] = []  # cycles in which a slot multiplied
        self.taken_cycles: list[int] = []  # cycles in which a job was taken
        self.finished_cycles: list[int] = []  # cycles in which a job finished
        self._sent = 0
        self._next_block = 0
        # How many jobs must have finished before 16 rows, or a half of the weights, may be filled
        self._block_user = [0] * (config.act_rows // WORD_NIBBLES)
        self._weight_half = 0
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
        if finished:
            self.finished_cycles.append(self.cycle)

    async def load(self, job: Job):
        """Fill the next rows and queue the job; returns when the job has been taken."""
        if job.new_weights:
            self._weight_half ^= 1
        half = self._weight_half
        total = len(self._block_user)
        assert job.rows <= self.config.act_rows, "the job must fit the activation buffer"
        first = (self._next_block + self.rng.randint(0, 2)) % total
        blocks = [(first + number) % total for number in range(job.rows // WORD_NIBBLES)]
        self._next_block = first + len(blocks)
        free = max(self._block_user[block] for block in blocks)
        if job.new_weights:
            free = max(free, self._weight_user[half])
        await self.until(lambda: self.finished >= free, 60_000, "the buffers are free")
        self._send_activations(self._activation_rows(job, first * WORD_NIBBLES))
        if job.new_weights:
            self.weight_writes.send(self._weight_rows(job, half))
        self._send_activations(self._foreign_rows("word", WORD_NIBBLES, 0))
        self.weight_writes.send(self._foreign_rows("weights", self.config.lanes, -8))
        await self.until(
            lambda: not any(source.pending for source in (*self.activation_writes, self.weight_writes)),
            60_000,
            "the buffers are filled",
        )
        self.scoreboard.expect(job.psums())
        self.jobs.send([job.payload(first * WORD_NIBBLES, half)])
        self._sent += 1
        for block in blocks:
            self._block_user[block] = self._sent
        self._weight_user[half] = self._sent
        await self.until(lambda: not self.jobs.pending, 60_000, "the job is taken")
        self.taken_cycles.append(self.cycle - 1)

    def _send_activations(self, rows: list[dict]):
        """Every row to the stream of its slot."""
        for turn, source in enumerate(self.activation_writes):
            source.send(row for row in rows if row["slot"] % TURNS == turn)

    def _activation_rows(self, job: Job, base: int) -> list[dict]:
        """Every activation word of every slot, in random order; planes without channels keep what the buffer holds."""
        rows = []
        for plane, codes in enumerate(job.planes):
            flat = codes.reshape(codes.shape[0], job.lines * job.width) & 15
            for slot in range(self.config.slots):
                for index in range(0, job.depths[plane], WORD_NIBBLES):
                    members = job.channels(plane, slot)[index : index + WORD_NIBBLES]
                    words = np.zeros((flat.shape[1], WORD_NIBBLES), np.int64)
                    words[:, : len(members)] = flat[members].T
                    first = base + (plane * job.groups + index // WORD_NIBBLES) * job.plane_rows
                    rows += [
                        {"slot": self.first_slot + slot, "row": (first + pixel) % self.config.act_rows, "word": word}
                        for pixel, word in enumerate(words.tolist())
                    ]
        self.rng.shuffle(rows)
        return rows

    def _weight_rows(self, job: Job, half: int) -> list[dict]:
        """Every weight row of every slot, in random order; slots without a channel keep what they hold."""
        flat = job.kernel.reshape(*job.kernel.shape[:2], job.taps)
        rows = []
        for plane in range(len(job.planes)):
            for slot in range(self.config.slots):
                for index, channel in enumerate(job.channels(plane, slot)):
                    place = (plane * job.groups * WORD_NIBBLES + index) * job.taps
                    assert place + job.taps <= self.config.weight_rows, "the job must fit the weight buffer"
                    rows += [
                        {
                            "slot": self.first_slot + slot,
                            "row": half * self.config.weight_rows + place + tap,
                            "weights": flat[:, channel, tap].tolist(),
                        }
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
            expected = sum(job.nonzero_operands() for job in jobs)
        else:
            expected = sum(job.dense_steps() for job in jobs) * self.config.slots
        assert self.total_ops == expected, f"ops must add up to {expected}, not {self.total_ops}"

    def job(
        self, channels: int, size: tuple[int, int], kernel: int, fill="random", signed=False, two_planes=False,
        halo=(0, 0), **kwargs,
    ) -> Job:  # fmt: skip
        """A random job; ``size`` is that of the output strip."""
        lines = (channels, size[0] + sum(halo), size[1])
        acts = activations(self.data_rng, (1, *lines), fill, signed, two_planes)[0]
        shape = (self.config.lanes, channels, kernel, kernel)
        return Job(self.config, acts, weights(self.data_rng, shape, fill), signed, two_planes, halo, **kwargs)

    def next_image(self, job: Job, fill="random") -> Job:
        """A job with other activations and the weights of ``job``, which must be the one before."""
        shape = (job.kernel.shape[1], job.lines, job.width)
        acts = activations(self.data_rng, (1, *shape), fill, job.signed, job.two_planes)[0]
        return Job(self.config, acts, job.kernel, job.signed, job.two_planes, job.halo, new_weights=False)
