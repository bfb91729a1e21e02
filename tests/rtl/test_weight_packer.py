import random

import numpy as np
import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.golden.conv import split_signed
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.weight_packer import WeightPacker

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
BUS256 = Config(name="bus256", lanes=64, bus_bits=256)
BUS512 = Config(name="bus512", lanes=128, bus_bits=512)


def words_of(config, values):
    """Memory words: low digits of 16 channels, their high digits, and so on."""
    high, low = split_signed(np.clip(np.array(values), -119, 119))
    nibbles = []
    for first in range(0, len(values), 16):
        nibbles += [*low[first : first + 16], *high[first : first + 16]]
    step = config.bus_bits // 4
    return [
        sum((int(digit) & 15) << 4 * index for index, digit in enumerate(nibbles[first : first + step]))
        for first in range(0, len(nibbles), step)
    ]


def run(config, values, idle=0.0, stall=0.0, warm_up=0):
    """Checks all words; returns (cycles of the words, cycles that the input took)."""
    device = WeightPacker(config)
    groups = [values[first : first + config.post_lanes] for first in range(0, len(values), config.post_lanes)]
    expected = words_of(config, values)
    state = {"started": False, "taken": 0}
    cycles = []

    async def source(ctx):
        await send(ctx, device.groups, groups[:warm_up], random.Random(0))
        await strobe(ctx, device.start)
        state["started"] = True
        state["taken"] = await send(ctx, device.groups, groups, random.Random(1), idle)

    async def sink(ctx):
        while not state["started"]:
            await ctx.tick()
        assert await collect(ctx, device.words, len(expected), random.Random(2), stall, cycles=cycles) == expected

    simulate(device, source, sink)
    return cycles, state["taken"]


def random_values(count, seed):
    rng = random.Random(seed)
    return [rng.choice([rng.randrange(-130, 131), rng.randrange(-1 << 15, 1 << 15)]) for _ in range(count)]


@pytest.mark.parametrize("config", [TINY, DEFAULT, BUS256, BUS512], ids=lambda config: config.name)
def test_random_values(config):
    run(config, random_values(192, seed=1))


@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
def test_every_code_and_the_limits(config):
    run(config, [*range(-124, 125), 32767, -32768, 127, 128, -128, -129, 0])


@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_idle_and_backpressure(config, idle, stall):
    run(config, random_values(128, seed=2), idle, stall)


@pytest.mark.parametrize("config", [TINY, DEFAULT, BUS256], ids=lambda config: config.name)
def test_input_never_stalls(config):
    values = random_values(192, seed=3)
    cycles, taken = run(config, values)
    assert taken == len(values) // config.post_lanes
    assert cycles[0] == max(16, config.bus_bits // 8) // config.post_lanes - 1 + WeightPacker.LATENCY


@pytest.mark.parametrize("warm_up", [1, 5, 9])
def test_start_drops_what_is_buffered(warm_up):
    run(TINY, random_values(64, seed=4), warm_up=warm_up)


def test_emits_verilog():
    assert emits_verilog(WeightPacker(DEFAULT), "weight_packer")
