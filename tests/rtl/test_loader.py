"""Loader: every word to its place, with a memory and a normaliser that take their time."""

import random
from collections import Counter

import pytest
from streams import emits_verilog, send, simulate

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.loader import Loader
from sqdm.rtl.payloads import HIGH, LOW, LoadKind

TINY = PRESETS["tiny"]
CONFIGS = [
    TINY,
    PRESETS["default"],
    Config(name="bus512", lanes=128, bus_bits=512, max_channels=64, max_images=4),
    Config(name="rows4", lanes=64, bus_bits=64, max_channels=64, max_images=4),
]
SIZE = 16


class Traffic:
    """Random loads, and what the specification wants to come of them.

    A normaliser of the test makes the codes: both digit words of a chunk are random and known in advance.
    """

    def __init__(self, config, rng, int16_acts):
        self.config, self.rng, self.int16_acts = config, rng, int16_acts
        self.slots = config.arrays * config.slots
        self.requests, self.memory = [], {}
        self.codes, self.pixels = [], []
        self.params, self.weights, self.constants, self.tables = [], [], [], []
        self.blocks, self.counted = [], []
        self.acts_loaded, self.weights_loaded = [], []  # blocks and weight rows that are complete at each pulse

    def request(self, **tag):
        address = self.rng.getrandbits(32)
        while address in self.memory:
            address = self.rng.getrandbits(32)
        tag["kind"] = tag["kind"].value
        if not tag.get("zero"):
            self.memory[address] = self.rng.getrandbits(self.config.bus_bits)
        self.requests.append({"address": address, "tag": tag})
        return self.memory.get(address)

    def words(self, kind, count, row, to):
        for i in range(count):
            to.append((row + i, self.request(kind=kind, row=row + i, last=i == count - 1)))

    def weight_rows(self, plane, count):
        for i in range(count):
            place = {"kind": LoadKind.WEIGHTS, "plane": plane, "slot": self.rng.randrange(self.slots)}
            place["row"] = self.rng.randrange(2 * self.config.weight_rows)
            if self.rng.random() < 0.2:
                self.request(**place, zero=1, last=i == count - 1)
                continue
            row = 0
            for beat in range(self.config.row_words):
                last = i == count - 1 and beat == self.config.row_words - 1
                row |= self.request(**place, last=last) << beat * self.config.bus_bits
            self.weights.append((place["slot"], place["row"], row))
        if plane == LOW:
            self.weights_loaded.append(len(self.weights))

    def acts(self, plane, blocks):
        for block in range(blocks):
            place = {"kind": LoadKind.ACTS, "plane": plane, "slot": self.rng.randrange(self.slots)}
            place["row"] = self.rng.randrange(self.config.act_rows // SIZE) * SIZE
            matrix = [self.row(place, block == blocks - 1 and i == SIZE - 1) for i in range(SIZE)]
            self.blocks.append((place["slot"], place["row"], matrix))
        if plane == LOW:
            self.acts_loaded.append(by_slot(self.blocks))

    def row(self, place, last):
        """One chunk of one channel; returns its 16 nibbles."""
        rng, config = self.rng, self.config
        channel, first = rng.randrange(config.max_channels), rng.getrandbits(1)
        zero = rng.random() < 0.2
        tag = place | {"zero": zero, "channel": channel, "first": first, "count": not zero and rng.getrandbits(1)}
        part = rng.randrange(config.word_parts)
        beats = config.chunk_words if self.int16_acts and not zero else 1
        for beat in range(beats):
            ends = {"begin": beat == 0, "end": beat == beats - 1, "last": last and beat == beats - 1}
            word = self.request(**tag, part=part, **ends)
            if self.int16_acts:
                self.pixels.append(word)
        if self.int16_acts:
            nibbles = {digit: [0 if zero else rng.randrange(16) for _ in range(SIZE)] for digit in ("low", "high")}
            self.codes.append(nibbles | {"tag": self.requests[-1]["tag"]})
            code = nibbles["high" if place["plane"] == HIGH else "low"]
        else:
            granule = 0 if zero else word >> 64 * part
            code = [granule >> 4 * i & 15 for i in range(SIZE)]
        if tag["count"]:
            self.counted.append((place["plane"], channel, first, code))
        return code


def random_traffic(config, rng, int16_acts):
    traffic = Traffic(config, rng, int16_acts)
    traffic.words(LoadKind.TABLE, 3, 0, traffic.tables)
    traffic.words(LoadKind.PARAMS, 3, config.param_rows, traffic.params)
    for _ in range(2):
        traffic.words(LoadKind.CONSTANTS, 3, 0, traffic.constants)
        for plane in (HIGH, LOW):
            traffic.weight_rows(plane, rng.randint(1, 6))
        for plane in (HIGH, LOW):
            traffic.acts(plane, rng.randint(1, 3))
    traffic.words(LoadKind.CONSTANTS, 1, 0, traffic.constants)
    traffic.words(LoadKind.PARAMS, 1, 0, traffic.params)
    return traffic


class Surroundings:
    """Memory, normaliser and buffers around a loader; `seen` is what came out, by stream."""

    def __init__(self, traffic, idle, stall):
        self.traffic, self.idle, self.stall, self.rng = traffic, idle, stall, traffic.rng
        self.device = Loader(traffic.config)
        streams = ("params", "constants", "tables", "weights", "acts", "counted", "pixels")
        self.seen = {name: [] for name in streams}
        self.acts_loaded, self.weights_loaded = [], []
        self.pixels_before = []  # taken when each word of constants came
        self.asked = []
        self.chunks = [0, 0]  # that the normaliser has taken, and given back
        self.cycles = 0
        self.done = False
        benches = (self.requests, self.reads, self.answers, self.pixels, self.codes, self.buffers)
        simulate(self.device, *benches, limit=60_000)

    async def requests(self, ctx):
        ctx.set(self.device.int16_acts, self.traffic.int16_acts)
        await send(ctx, self.device.requests, self.traffic.requests, self.rng, self.idle)

    async def take(self, ctx, stream, ready):
        ctx.set(stream.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        return payload if valid and ready else None

    async def reads(self, ctx):
        while not self.done:
            address = await self.take(ctx, self.device.reads, self.rng.random() >= self.stall)
            if address is not None:
                self.asked.append(address)

    async def answers(self, ctx):
        while not self.done:
            if self.asked:
                word = self.traffic.memory[self.asked.pop(0)]
                await send(ctx, self.device.answers, [word], self.rng, self.idle)
            else:
                await ctx.tick()

    async def pixels(self, ctx):
        while not self.done:
            ready = self.rng.random() >= self.stall and self.chunks[0] < self.chunks[1] + 3
            pixel = await self.take(ctx, self.device.pixels, ready)
            if pixel is not None:
                self.seen["pixels"].append(None if pixel.tag.zero else pixel.word)
                self.chunks[0] += pixel.tag.end

    async def codes(self, ctx):
        for code in self.traffic.codes:
            while self.chunks[0] <= self.chunks[1]:
                await ctx.tick()
            await send(ctx, self.device.codes, [code], self.rng, self.idle)
            self.chunks[1] += 1

    async def buffers(self, ctx):
        seen, device = self.seen, self.device
        streams = [device.param_writes, device.constant_writes, device.weight_writes, device.counted_words]
        streams += device.activation_writes
        signals = [signal for stream in streams for signal in (stream.valid, stream.payload)]
        left = 60  # nothing more may come in these cycles
        while left:
            ctx.set(device.table_words.ready, ready := self.rng.random() >= self.stall)
            tables = (device.table_words.valid, device.table_words.payload)
            _, _, table_there, table, acts_loaded, weights_loaded, *sampled = await ctx.tick().sample(
                *tables, device.acts_loaded, device.weights_loaded, *signals
            )
            pairs = zip(sampled[::2], sampled[1::2], strict=True)
            param, constant, weight, counted, *acts = (payload if valid else None for valid, payload in pairs)
            if table_there and ready:
                seen["tables"].append(table)
            if param is not None:
                seen["params"].append((param.row, param.word))
            if constant is not None:
                seen["constants"].append((constant.row, constant.word))
                self.pixels_before.append(len(seen["pixels"]))
            if weight is not None:
                seen["weights"].append((weight.slot, weight.row, weight.weights.as_bits()))
            for parity, act in enumerate(acts):
                if act is not None:
                    assert act.slot % 2 == parity
                    seen["acts"].append((act.slot, act.row, nibbles(act.word)))
            if counted is not None:
                seen["counted"].append((counted.plane, counted.channel, counted.first, nibbles(counted.word)))
            if acts_loaded:
                self.acts_loaded.append(by_slot(seen["acts"]))
            if weights_loaded:
                self.weights_loaded.append(len(seen["weights"]))
            if len(seen["acts"]) >= SIZE * len(self.traffic.blocks) and len(seen["params"]) >= len(self.traffic.params):
                left -= 1
            else:
                self.cycles += 1
        self.done = True


def by_slot(writes):
    """How many of these writes, or blocks, each slot has."""
    return Counter(slot for slot, _, _ in writes)


def nibbles(word):
    return [word[i] for i in range(SIZE)]


def check(traffic, idle=0.0, stall=0.0):
    """Runs the traffic and compares everything; returns the cycles it took."""
    result = Surroundings(traffic, idle, stall)
    seen = result.seen
    assert seen["tables"] == [word for _, word in traffic.tables]
    assert seen["params"] == traffic.params
    assert seen["constants"] == traffic.constants
    assert seen["weights"] == traffic.weights
    assert seen["counted"] == traffic.counted
    assert seen["pixels"] == traffic.pixels
    assert len(seen["acts"]) == SIZE * len(traffic.blocks)
    for number, (slot, row, matrix) in enumerate(traffic.blocks):
        before = SIZE * by_slot(traffic.blocks[:number])[slot]  # words; only the order of a slot's blocks is defined
        block = [write for write in seen["acts"] if write[0] == slot][before : before + SIZE]
        assert sorted(block) == [(slot, row + i, list(word)) for i, word in enumerate(zip(*matrix, strict=True))]
    # Words of the next image may have come when an image has ended; none of its own may be missing.
    for has, needs in zip(result.acts_loaded, traffic.acts_loaded, strict=True):
        assert all(has[slot] >= SIZE * blocks for slot, blocks in needs.items())
    assert result.weights_loaded == traffic.weights_loaded
    if traffic.int16_acts:
        kinds = [request["tag"]["kind"] for request in traffic.requests]
        before = [kinds[:i].count(LoadKind.ACTS.value) for i, k in enumerate(kinds) if k == LoadKind.CONSTANTS.value]
        assert result.pixels_before == before
    return result.cycles


@pytest.mark.parametrize("int16_acts", [0, 1])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_word_to_its_place(config, int16_acts):
    check(random_traffic(config, random.Random(f"{config.name} {int16_acts}"), int16_acts), 0.4, 0.4)


@pytest.mark.parametrize("pace", [(0.0, 0.0), (0.0, 0.8), (0.8, 0.0)], ids=str)
@pytest.mark.parametrize("int16_acts", [0, 1])
def test_any_pace(int16_acts, pace):
    check(random_traffic(TINY, random.Random(str(pace)), int16_acts), *pace)


@pytest.mark.parametrize("int16_acts", [0, 1])
def test_activations_flow_at_a_word_per_cycle(int16_acts):
    """A memory that answers at once: no idle cycles but those of the last block's way out."""
    traffic = Traffic(PRESETS["default"], random.Random(1), int16_acts)
    traffic.acts(LOW, 12)
    traffic.words(LoadKind.PARAMS, 1, 0, traffic.params)
    assert check(traffic) <= len(traffic.requests) + 30


@pytest.mark.parametrize("config", CONFIGS[:2], ids=lambda config: config.name)
def test_emits_verilog(config):
    assert emits_verilog(Loader(config), "loader")
