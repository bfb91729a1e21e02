"""Test bench of the sparsity detector: counted words, sort commands, the channel table that comes out."""

import numpy as np

from sqdm.golden.detector import assign_channels
from sqdm.golden.layout import LayerShape, pack_activations
from sqdm.rtl import payloads
from sqdm.rtl.config import Config
from sqdm.rtl.registers import Policy
from sqdm.sim.lib.bench import Bench
from sqdm.sim.lib.codec import Codec
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.scoreboard import Scoreboard
from sqdm.sim.lib.streams import Sink, Source

LIMIT = 60_000


class DetectorBench(Bench):
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
