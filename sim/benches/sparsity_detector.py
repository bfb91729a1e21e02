"""Sparsity detector: channel tables and labels against the reference model."""

import cocotb
import numpy as np
from sqdm.golden.detector import assign_channels, channel_counts
from sqdm.golden.layout import LayerShape, pack_activations
from sqdm.rtl import payloads
from sqdm.rtl.config import COUNT_BITS, Config
from sqdm.rtl.registers import Policy
from sqdm.sim.lib import real_layers
from sqdm.sim.lib.bench import RUN_BROKEN, VECTORS, Bench
from sqdm.sim.lib.codec import Codec
from sqdm.sim.lib.faults import FAULTS, Fault
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.real_layers import REAL_LAYERS
from sqdm.sim.lib.scoreboard import Scoreboard
from sqdm.sim.lib.streams import Sink, Source

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}
LIMIT = 200_000


class TB(Bench):
    """Sends counted words and sort commands, collects the channel table, compares it when its labels arrive."""

    def __init__(self, dut, idle: str = "steady", back_pressure: str = "steady"):
        super().__init__(dut)
        self.config = config = Config(**self.parameters["config"])
        pace = PACES[idle]
        self.words = self.add(Source(self, "words", payloads.counted_word(config), pace(self.rng)))
        self.commands = self.add(Source(self, "commands", payloads.sort_command(config), pace(self.rng)))
        self.table: dict[int, int] = {}
        self.add(Sink(self, "table_writes", payloads.table_write(config), PACES["steady"](self.rng), self._write))
        ready = PACES[back_pressure](self.rng)
        self.labels = self.add(Sink(self, "labels", payloads.labels(config), ready, self._label))
        self.scoreboard = Scoreboard("sorted tables")
        self.counts = np.zeros(config.max_channels, np.int64)

    def _write(self, write: dict):
        assert write["position"] not in self.table, f"position {write['position']} was written twice"
        self.table[write["position"]] = write["channel"]

    def _label(self, labels: dict):
        positions = sorted(self.table)
        assert positions == list(range(len(positions))), f"positions must be 0.., not {positions}"
        order = [self.table[position] for position in positions]
        self.table.clear()
        self.scoreboard.observe({"order": order, **labels})

    def word(self, channel: int, nonzeros: int, first: bool) -> dict:
        """A word of a channel with so many non-zero activations, at random places."""
        places = set(self.rng.sample(range(16), nonzeros))
        codes = [self.rng.randint(1, 15) if place in places else 0 for place in range(16)]
        return {"channel": channel, "first": int(first), "word": codes}

    async def count(self, counts: list[int], interleave: bool = False):
        """Send words so that channel c has counts[c] non-zeros."""
        runs = []
        for channel, total in enumerate(counts):
            run, left = [], total
            while left or not run:
                here = min(left, 16 if total > 64 else self.rng.randint(0, 16))
                run.append(self.word(channel, here, not run))
                left -= here
            runs.append(run)
        words = [word for run in runs for word in run]
        if interleave:  # words of different channels in any order, those of one channel in theirs
            owners = [channel for channel, run in enumerate(runs) for _ in run]
            self.rng.shuffle(owners)
            queues = [iter(run) for run in runs]
            words = [next(queues[owner]) for owner in owners]
        self.words.send(words)
        self.counts[: len(counts)] = counts
        await self.until(lambda: not self.words.pending, LIMIT, "all words are sent")

    def send_activations(self, acts: np.ndarray):
        """Send activations (N, C, H, W) as they lie in memory: channel by channel, 16 pixels a word."""
        images, channels, height, width = acts.shape
        shape = LayerShape(self.config, channels, 1, height, width, images, 1)
        words = pack_activations(acts, self.config).view("<u8")[: channels * shape.act_words].tolist()
        word = Codec(payloads.activation_word())
        self.words.send(
            {"channel": i // shape.act_words, "first": int(i % shape.act_words == 0), "word": word.unpack(bits)}
            for i, bits in enumerate(words)
        )

    async def sort(self, channels: int, policy: Policy, sparse_count=0, count_shift=0, pixels=64):
        """Sort the first channels; returns when the labels have been compared."""
        counts = self.counts[:channels]
        pools = (self.config.dense_slots, self.config.sparse_slots)
        order, dense = assign_channels(counts, policy, sparse_count, count_shift, pixels, *pools)
        expected = {"order": order.tolist(), "dense_channels": dense, "nonzeros": int(counts.sum())}
        self.scoreboard.expect([expected])
        command = {"channels": channels, "policy": policy, "sparse_count": sparse_count}
        self.commands.send([command | {"count_shift": count_shift, "pixels": pixels}])
        await self.until(lambda: not self.scoreboard.pending, LIMIT, "the labels")

    async def random_sorts(self, number: int, channels: int, top: int):
        """Some sorts of the same counts with random policies and thresholds."""
        for _ in range(number):
            pixels = max(1, self.rng.choice([top // 4, top // 2, top]))
            shift = self.rng.randint(0, max(0, top.bit_length() - 4))
            await self.sort(channels, self.rng.choice(list(Policy)), self.rng.randint(0, top), shift, pixels)

    async def finish(self):
        """Nothing more comes."""
        await self.drain()
        self.scoreboard.close()
        assert not self.table, "table writes without labels"


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(policy=list(Policy), channels=[1, 2, 17, 48])
async def tables_equal_golden_sort(dut, policy, channels):
    tb = TB(dut)
    await tb.start()
    for _ in range(3):
        await tb.count([tb.rng.choice([0, 1, 5, 5, tb.rng.randint(0, 64), 64]) for _ in range(channels)])
        await tb.sort(channels, policy, tb.rng.randint(0, 64), tb.rng.randint(0, 3), 64)
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=["steady", "even", "bursts"], back_pressure=["steady", "even", "rare"])
async def idle_and_back_pressure_change_nothing(dut, idle, back_pressure):
    tb = TB(dut, idle, back_pressure)
    await tb.start()
    for _ in range(4):
        channels = tb.rng.randint(1, 32)
        await tb.count([tb.rng.randint(0, 50) for _ in range(channels)], interleave=True)
        await tb.random_sorts(3, channels, 50)
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(counts=["zero", "full", "equal", "ascending", "descending"])
async def corner_counts(dut, counts):
    tb = TB(dut)
    await tb.start()
    channels = 24
    await tb.count({
        "zero": [0] * channels, "full": [64] * channels, "equal": [7] * channels,
        "ascending": list(range(channels)), "descending": list(range(channels, 0, -1)),
    }[counts])  # fmt: skip
    for policy in Policy:
        for sparse_count in (0, 7, 63, 64):
            await tb.sort(channels, policy, sparse_count, 1, 64)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def most_channels(dut):
    tb = TB(dut)
    await tb.start()
    channels = tb.config.max_channels
    await tb.count([tb.rng.randint(0, 40) for _ in range(channels)], interleave=True)
    await tb.random_sorts(6, channels, 40)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def largest_counts(dut):
    tb = TB(dut)
    await tb.start()
    top = (1 << COUNT_BITS) - 1
    await tb.count([top, 0, top, 33_000])
    for policy in Policy:
        for sparse_count, count_shift, pixels in ((top, 15, top), (top - 1, 11, top), (33_000, 11, 1), (0, 0, 16_384)):
            await tb.sort(4, policy, sparse_count, count_shift, pixels)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def balanced_split_with_many_pixel_counts(dut):
    tb = TB(dut)
    await tb.start()
    channels = 40
    counts = [tb.rng.randint(0, 64) for _ in range(channels)]
    await tb.count(counts)
    for pixels in (*range(1, 64, 5), 64, 100, 200, 400, 1000, 65535):
        await tb.sort(channels, Policy.BALANCED, 0, 1, pixels)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def first_word_restarts_only_its_own_channel(dut):
    tb = TB(dut)
    await tb.start()
    await tb.count([30, 40, 50])
    tb.words.send([tb.word(1, 5, True), tb.word(1, 6, False), tb.word(1, 16, False)])
    await tb.until(lambda: not tb.words.pending, LIMIT, "all words are sent")
    tb.counts[1] = 27
    await tb.sort(3, Policy.THRESHOLD, 28)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def fewer_channels_than_before(dut):
    tb = TB(dut)
    await tb.start()
    for channels in (32, 5, 1, 20):
        await tb.count([tb.rng.randint(0, 32) for _ in range(channels)])
        await tb.random_sorts(2, channels, 32)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def label_valid_does_not_wait_for_ready(dut):
    tb = TB(dut)
    tb.labels.after_valid = True
    await tb.start()
    await tb.count([3, 1, 2])
    await tb.random_sorts(4, 3, 3)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def reset_in_mid_sort_leaves_a_working_detector(dut):
    tb = TB(dut)
    await tb.start()
    await tb.count([tb.rng.randint(0, 32) for _ in range(30)])
    tb.commands.send([{"channels": 30, "policy": Policy.BALANCED, "sparse_count": 3, "count_shift": 1, "pixels": 32}])
    await tb.cycles(25)
    again = TB(dut)
    await again.reset()
    await again.count([again.rng.randint(0, 32) for _ in range(12)])
    await again.random_sorts(4, 12, 32)
    await again.finish()


@cocotb.test(skip=not VECTORS, **TIMEOUT)
@cocotb.parametrize(number=range(len(REAL_LAYERS)))
async def real_layer(dut, number):
    tb = TB(dut, idle="even", back_pressure="even")
    await tb.start()
    acts = real_layers.load(VECTORS, number).acts[:, : tb.config.max_channels]
    tb.send_activations(acts)
    tb.counts[: acts.shape[1]] = channel_counts(acts)
    await tb.until(lambda: not tb.words.pending, LIMIT, "all words are sent")
    pixels = acts[:, 0].size
    for policy in Policy:
        await tb.sort(acts.shape[1], policy, pixels * 7 // 10, max(0, pixels.bit_length() - 5), pixels)
    await tb.finish()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=[fault for fault in FAULTS if fault != Fault.UNSTEADY])
async def broken_device(dut, fault):
    tb = TB(dut)
    tb.fault = fault
    await tb.start()
    await tb.count([3, 9, 1, 0, 7, 5])
    await tb.random_sorts(3, 6, 9)
    await tb.finish()
