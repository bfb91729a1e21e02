import random

import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.statistics import Statistics

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
BUS256 = Config(name="bus256", lanes=64, bus_bits=256)
BASE = 700


class Layer:
    """Words of random planes in the order of the output, and the entries that they give."""

    def __init__(self, config, channels, images, words, wide=0, seed=0, values=None):
        rng = random.Random(seed)
        pixels = config.bus_bits // 16
        tile = config.lanes // 2 if wide else config.lanes
        size = words * pixels
        parts = max(1, 128 // config.bus_bits)
        self.config = config
        self.settings = {"channels": channels, "images": images, "wide": wide}
        self.words = []
        self.entries = []
        for first in range(0, channels, tile):
            for image in range(images):
                planes = [
                    [rng.choice(values or [-32768, 32767, rng.randrange(-1 << 15, 1 << 15)]) for _ in range(size)]
                    for _ in range(tile)
                ]
                for word in range(words):
                    for lane, plane in enumerate(planes):
                        packed = sum((v & 0xFFFF) << 16 * i for i, v in enumerate(plane[word * pixels :][:pixels]))
                        exists = first + lane < channels
                        place = {"exists": exists, "first": word == 0, "last": word == words - 1}
                        self.words.append({"word": packed, "address": rng.getrandbits(32), "end": 0} | place)
                for channel, plane in enumerate(planes[: channels - first], first):
                    total = sum(plane) & (1 << 64) - 1 | sum(value**2 for value in plane) << 64
                    for part in range(parts):
                        data = total if parts == 1 else total >> 64 * part & (1 << 64) - 1
                        self.entries.append((BASE + (channel * images + image) * parts + part, data))


def run(layer, enable=1, idle=0.0, stall=0.0, entry_stall=0.0, warm_up=0):
    """Checks what is passed and all entries; returns (cycles of the words, of the entries)."""
    device = Statistics(layer.config)
    state = {"started": False}
    cycles = []
    entry_cycles = []
    entries = layer.entries if enable else []

    async def source(ctx):
        ctx.set(device.base, BASE)
        ctx.set(device.planes, layer.settings)
        ctx.set(device.enable, enable)
        await strobe(ctx, device.start)
        if warm_up:
            ctx.set(device.passed.ready, 1)
            await send(ctx, device.words, layer.words[:warm_up], random.Random(0))
            await strobe(ctx, device.start)
        state["started"] = True
        await send(ctx, device.words, layer.words, random.Random(1), idle)

    async def passed(ctx):
        while not state["started"]:
            await ctx.tick()
        taken = await collect(ctx, device.passed, len(layer.words), random.Random(2), stall, cycles=cycles)
        assert [{name: word[name] for name in layer.words[0]} for word in taken] == layer.words

    async def sink(ctx):
        while not state["started"]:
            await ctx.tick()
        taken = await collect(ctx, device.entries, len(entries), random.Random(3), entry_stall, cycles=entry_cycles)
        assert [(entry.address, entry.data) for entry in taken] == entries
        while len(cycles) < len(layer.words):
            await ctx.tick()
        await ctx.tick().repeat(Statistics.LATENCY)
        assert not ctx.get(device.pending)

    simulate(device, source, passed, sink)
    return cycles, entry_cycles


@pytest.mark.parametrize("config", [TINY, DEFAULT, BUS256], ids=lambda config: config.name)
@pytest.mark.parametrize("shape", [(1, 1, 1, 0), (37, 2, 3, 0), (19, 3, 2, 1)])
def test_sums(config, shape):
    run(Layer(config, *shape, seed=1))


@pytest.mark.parametrize("value", [-32768, 32767])
def test_the_largest_plane(value):
    config = Config(name="small", slots=2, bus_bits=64, max_size=8)
    run(Layer(config, 2, 1, 16, wide=1, values=[value]))


@pytest.mark.parametrize("entry_stall", [0.0, 0.7])
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_idle_and_backpressure(idle, stall, entry_stall):
    run(Layer(TINY, 35, 2, 2, seed=2), 1, idle, stall, entry_stall)


def test_only_passes_when_not_enabled():
    layer = Layer(TINY, 32, 1, 2, seed=3)
    cycles, _ = run(layer, enable=0)
    assert cycles == list(range(len(layer.words)))


def test_two_cycles_per_word():
    layer = Layer(DEFAULT, 32, 1, 3, seed=4)
    cycles, entries = run(layer)
    assert cycles == list(range(0, 2 * len(layer.words), 2))
    first_last = 2 * DEFAULT.lanes * 2  # cycle in which the first plane's last word comes
    assert entries == list(range(first_last + Statistics.LATENCY, first_last + Statistics.LATENCY + 64, 2))


@pytest.mark.parametrize("warm_up", [1, 33, 34])
def test_start_drops_sums_and_entries(warm_up):
    run(Layer(TINY, 20, 2, 2, seed=5), warm_up=warm_up)


def test_pending_until_the_entry_was_taken():
    device = Statistics(DEFAULT)
    word = {"word": 5, "exists": 1, "first": 1, "last": 1, "end": 1, "address": 0}

    async def bench(ctx):
        ctx.set(device.planes, {"channels": 1, "images": 1})
        ctx.set(device.enable, 1)
        ctx.set(device.passed.ready, 1)
        await strobe(ctx, device.start)
        assert not ctx.get(device.pending)
        await send(ctx, device.words, [word], random.Random(0))
        for _ in range(10):
            assert ctx.get(device.pending)
            await ctx.tick()
        assert ctx.get(device.entries.valid)
        ctx.set(device.entries.ready, 1)
        await ctx.tick()
        assert not ctx.get(device.pending)

    simulate(device, bench)


def test_emits_verilog():
    assert emits_verilog(Statistics(DEFAULT), "statistics")
