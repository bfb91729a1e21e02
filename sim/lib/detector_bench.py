"""Test bench of the sparsity detector: counted words, sort commands, the channel table that comes out."""

import numpy as np

from sqdm.golden.detector import assign_channels, channel_counts
from sqdm.rtl import payloads
from sqdm.rtl.config import WORD_NIBBLES, Config, ceil_div
from sqdm.rtl.registers import Policy
from sqdm.sim.lib.bench import Bench
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
        self.table: dict[int, dict] = {}
        self.add(Sink(self, "table_writes", payloads.table_write(config), PACES["steady"](self.rng), self._write))
        ready = PACES[back_pressure](self.rng)
        self.labels = self.add(Sink(self, "labels", payloads.labels(config), ready, self._label))
        self.scoreboard = Scoreboard("sorted tables")
        self.counts = np.zeros((2, config.max_channels), np.int64)

    def _write(self, write: dict):
        assert write["position"] not in self.table, f"position {write['position']} was written twice"
        self.table[write["position"]] = write

    def _label(self, labels: dict):
        positions = sorted(self.table)
        assert positions == list(range(len(positions))), f"positions must be 0.., not {positions}"
        entries = [self.table[position] for position in positions]
        self.table.clear()
        columns = {key: [entry[key] for entry in entries] for key in ("plane", "channel", "count")}
        self.scoreboard.observe(columns | labels)

    def word(self, channel: int, nonzeros: int, first: bool, plane: int = 0) -> dict:
        """A word of a channel with so many non-zero activations, at random places."""
        places = set(self.rng.sample(range(WORD_NIBBLES), nonzeros))
        codes = [self.rng.randint(1, 15) if place in places else 0 for place in range(WORD_NIBBLES)]
        return {"plane": plane, "channel": channel, "first": int(first), "word": codes}

    async def count(self, counts: list[int], interleave: bool = False, planes: tuple[int, ...] = (0,)):
        """Send words so that channel c has counts[c] non-zeros in each of the planes."""
        runs = []
        for plane in planes:
            for channel, total in enumerate(counts):
                run, left = [], total
                while left or not run:
                    here = min(left, WORD_NIBBLES if total > 64 else self.rng.randint(0, WORD_NIBBLES))
                    run.append(self.word(channel, here, not run, plane))
                    left -= here
                runs.append(run)
            self.counts[plane, : len(counts)] = counts
        words = [word for run in runs for word in run]
        if interleave:  # words of different channels in any order, those of one channel in theirs
            owners = [owner for owner, run in enumerate(runs) for _ in run]
            self.rng.shuffle(owners)
            queues = [iter(run) for run in runs]
            words = [next(queues[owner]) for owner in owners]
        await self.send_words(words)

    async def send_words(self, words: list[dict]):
        """Send words and wait until all are taken."""
        self.words.send(words)
        await self.until(lambda: not self.words.pending, LIMIT, "all words are sent")

    async def count_activations(self, acts: np.ndarray):
        """Send the low digits of activations (N, C, H, W) image by image, 16 pixels a word."""
        images, channels, height, width = acts.shape
        pixels = height * width
        chunks = np.zeros((images, channels, ceil_div(pixels, WORD_NIBBLES) * WORD_NIBBLES), np.uint8)
        chunks[:, :, :pixels] = acts.reshape(images, channels, pixels) & 15
        self.counts[0, :channels] = channel_counts(acts & 15)
        await self.send_words(
            [
                {"plane": 0, "channel": channel, "first": int(image == 0 and chunk == 0), "word": word.tolist()}
                for image in range(images)
                for channel in range(channels)
                for chunk, word in enumerate(chunks[image, channel].reshape(-1, WORD_NIBBLES))
            ]
        )

    def depths(self, channels: int) -> list[int]:
        """Some legal values of `slot_channels`: just enough, one more, no limit."""
        least = ceil_div(channels, self.config.arrays * self.config.slots)
        most = self.config.max_depth
        return [least, min(least + 1, most), most]

    async def sort(
        self, channels: int, policy: Policy, sparse_count=0, count_shift=0, pixels=64, slot_channels=None, plane=0
    ):
        """Sort the first channels of a plane; returns when the labels have been compared."""
        counts = self.counts[plane, :channels]
        slot_channels = slot_channels or self.config.max_depth
        pools = (self.config.dense_slots, self.config.sparse_slots)
        order, dense = assign_channels(counts, policy, sparse_count, count_shift, pixels, *pools, slot_channels)
        table = {"plane": [plane] * channels, "channel": order.tolist(), "count": counts[order].tolist()}
        self.scoreboard.expect([table | {"dense_channels": dense, "nonzeros": int(counts.sum())}])
        command = {"plane": plane, "channels": channels, "slot_channels": slot_channels, "policy": policy}
        self.commands.send([command | {"sparse_count": sparse_count, "count_shift": count_shift, "pixels": pixels}])
        await self.until(lambda: not self.scoreboard.pending, LIMIT, "the labels")

    async def random_sorts(self, number: int, channels: int, top: int, plane: int = 0):
        """Some sorts of the same counts with random policies, thresholds and limits."""
        for _ in range(number):
            pixels = max(1, self.rng.choice([top // 4, top // 2, top]))
            shift = self.rng.randint(0, max(0, top.bit_length() - 4))
            policy, sparse_count = self.rng.choice(list(Policy)), self.rng.randint(0, top)
            depth = self.rng.choice(self.depths(channels))
            await self.sort(channels, policy, sparse_count, shift, pixels, depth, plane)

    async def finish(self):
        """Nothing more comes."""
        await self.drain()
        self.scoreboard.close()
        assert not self.table, "table writes without labels"
