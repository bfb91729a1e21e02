import random

import numpy as np
import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.golden.conv import add_residual
from sqdm.rtl.config import PRESETS
from sqdm.rtl.residual_adder import ResidualAdder

CONFIGS = [PRESETS["tiny"], PRESETS["default"]]
CORNERS = [0, 1, -1, 2, -2, 3, -3, 32767, -32768]


def pack(values):
    return sum((int(value) & 0xFFFF) << 16 * index for index, value in enumerate(values))


class Words:
    """Random words, some of which do not exist, and their residuals."""

    def __init__(self, config, count, seed, corners=CORNERS):
        rng = random.Random(seed)
        self.config = config
        self.pixels = config.bus_bits // 16
        small = corners * 2 + [rng.randrange(-1 << 15, 1 << 15) for _ in range(20)]
        self.y = [[rng.choice(small) for _ in range(self.pixels)] for _ in range(count)]
        self.residuals = [[rng.choice(small) for _ in range(self.pixels)] for _ in range(count)]
        self.places = [
            {"address": rng.getrandbits(32), "exists": rng.random() < 0.8, "first": rng.getrandbits(1),
             "last": rng.getrandbits(1), "end": index == count - 1}
            for index in range(count)
        ]  # fmt: skip

    def expected(self, enable, multiplier, shift, tail):
        """Words of existing places; None for others."""
        for y, residual, place in zip(self.y, self.residuals, self.places, strict=True):
            total = np.array(y)
            if enable:
                total = add_residual(total, np.array(residual), multiplier, shift)
            if place["last"]:
                total = [*total[:tail], *[0] * (self.pixels - tail)]
            yield pack(total) if place["exists"] else None


def run(words, enable=1, multiplier=1, shift=0, tail=None, idle=0.0, stall=0.0, warm_up=0):
    """Checks all results; returns their cycles since the first word was offered."""
    device = ResidualAdder(words.config)
    tail = words.pixels if tail is None else tail
    offered = [{"word": pack(y)} | place for y, place in zip(words.y, words.places, strict=True)]
    residuals = [pack(r) for r, place in zip(words.residuals, words.places, strict=True) if place["exists"]]
    state = {"started": False}
    cycles = []
    taken = []

    async def source(ctx):
        ctx.set(device.mode, {"enable": enable, "multiplier": multiplier, "shift": shift})
        ctx.set(device.tail, tail)
        if warm_up:  # leaves words in flight
            ctx.set(device.words.payload, offered[0] | {"exists": 0})
            ctx.set(device.words.valid, 1)
            await ctx.tick().repeat(warm_up)
            ctx.set(device.words.valid, 0)
        await strobe(ctx, device.start)
        state["started"] = True
        await send(ctx, device.words, offered, random.Random(1), idle)

    async def residual(ctx):
        while not state["started"]:
            await ctx.tick()
        if enable:
            await send(ctx, device.residuals, residuals, random.Random(2), idle)

    async def sink(ctx):
        while not state["started"]:
            await ctx.tick()
        taken.extend(await collect(ctx, device.sums, len(offered), random.Random(3), stall, cycles=cycles))

    simulate(device, source, residual, sink)
    expected = words.expected(enable, multiplier, shift, tail)
    for result, place, word in zip(taken, words.places, expected, strict=True):
        assert {name: result[name] for name in place} == place
        assert word is None or result.word == word
    return cycles


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize(
    ("multiplier", "shift"), [(1, 0), (65535, 0), (65535, 31), (3, 1), (1, 2), (40000, 15), (0, 5)]
)
def test_adds(config, multiplier, shift):
    run(Words(config, 20, seed=shift), multiplier=multiplier, shift=shift)


def test_rounds_small_negative_values():
    words = Words(CONFIGS[0], 30, seed=1, corners=list(range(-9, 10)) * 4)
    for shift in (1, 2, 3):
        run(words, multiplier=1, shift=shift)


@pytest.mark.parametrize("enable", [0, 1])
@pytest.mark.parametrize("tail", [1, 3, 4, 5, 8])
def test_clears_behind_the_end(enable, tail):
    run(Words(CONFIGS[1], 20, seed=tail), enable=enable, multiplier=9, shift=3, tail=tail)


@pytest.mark.parametrize("enable", [0, 1])
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_idle_and_backpressure(enable, idle, stall):
    run(Words(CONFIGS[0], 30, seed=2), enable=enable, multiplier=300, shift=8, tail=3, idle=idle, stall=stall)


@pytest.mark.parametrize("warm_up", [1, 4, 9])
def test_start_drops_what_is_in_flight(warm_up):
    run(Words(CONFIGS[0], 10, seed=3), multiplier=300, shift=8, warm_up=warm_up)


def test_two_cycles_per_word_with_a_residual_and_one_without():
    words = Words(CONFIGS[1], 20, seed=4)
    first = ResidualAdder.LATENCY
    assert run(words, multiplier=5) == list(range(first, first + 40, 2))
    first = ResidualAdder.BYPASS_LATENCY
    assert run(words, enable=0) == list(range(first, first + 20))


def test_emits_verilog():
    assert emits_verilog(ResidualAdder(CONFIGS[1]), "residual_adder")
