"""Resampler: assembled words against the golden model's `downsample`, `upsample` and packing by hand."""

import random

import numpy as np
import pytest
from streams import IDLES, collect, emits_verilog, send, simulate

from sqdm.golden.host import downsample, upsample
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.resampler import Resampler, Work

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
HUGE = Config(name="huge", lanes=128, bus_bits=512, max_channels=64)
CONFIGS = [TINY, DEFAULT, HUGE]
CORNERS = [-32768, 32767, -1, 0, 1, 2, -2]


def pack(values, bits):
    return sum((int(value) & (1 << bits) - 1) << bits * index for index, value in enumerate(values))


def lines(config, count, seed):
    """`count` random lines of one memory word each."""
    rng = random.Random(seed)
    size = config.bus_bits // 16
    values = [[rng.choice([*CORNERS, *[rng.randrange(-1 << 15, 1 << 15) for _ in CORNERS]]) for _ in range(size)]
              for _ in range(count)]  # fmt: skip
    return np.array(values, dtype=np.int16)


def run(config, work, steps, count, idle=0.0, stall=0.0, two_planes=0):
    """Returns (words, their cycles)."""
    device = Resampler(config)
    words, cycles = [], []

    async def source(ctx):
        ctx.set(device.work, work)
        ctx.set(device.two_planes, two_planes)
        await send(ctx, device.steps, steps, random.Random(1), idle)

    async def sink(ctx):
        words.extend(await collect(ctx, device.words, count, random.Random(2), stall, cycles=cycles))

    simulate(device, source, sink)
    return words, cycles


def mean_steps(rows):
    """Steps of lines of one memory word: pairs above each other, two pairs make an output word."""
    for index, row in enumerate(rows):
        yield {"word": pack(row, 16), "first": index % 4 == 0, "last": index % 4 == 3, "half": index % 2}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_means(config, idle, stall):
    rows = lines(config, 12, seed=1)
    expected = downsample(rows[None, None]).reshape(-1, config.bus_bits // 16)
    words, cycles = run(config, Work.MEAN, mean_steps(rows), len(expected), idle, stall)
    assert words == [pack(row, 16) for row in expected]
    if not idle and not stall:
        assert cycles == [3 + 4 * index + Resampler.LATENCY for index in range(len(expected))]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_missing_pair_and_missing_word_are_zero(config):
    rows = lines(config, 4, seed=2)
    whole = list(mean_steps(rows))
    garbage = pack(rows[3], 16)
    steps = [
        *whole,
        *whole[:2],
        {"word": garbage, "zero": 1, "last": 1},
        {"word": garbage, "zero": 1, "first": 1, "last": 1},
        *whole,
    ]
    mean = pack(downsample(rows[None, None]).ravel(), 16)
    half = mean & (1 << config.bus_bits // 2) - 1
    assert run(config, Work.MEAN, steps, 4)[0] == [mean, half, 0, mean]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_doubles_pixels(config, idle, stall):
    rows = lines(config, 5, seed=3)
    steps = [{"word": pack(row, 16), "first": 1, "last": 1, "half": half} for row in rows for half in (0, 1)]
    expected = upsample(rows[None, None])[0, 0, ::2].reshape(-1, config.bus_bits // 16)
    words, cycles = run(config, Work.DOUBLE, [*steps, {"word": 1, "zero": 1, "first": 1, "last": 1}], 11, idle, stall)
    assert words == [*(pack(row, 16) for row in expected), 0]
    if not idle and not stall:
        assert cycles == [index + Resampler.LATENCY for index in range(11)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_copies_the_pixels_of_the_plane(config):
    size = config.bus_bits // 16
    rows = lines(config, size + 1, seed=4)
    steps = [
        {"word": pack(row, 16), "first": 1, "last": 1, "pixels": pixels, "zero": pixels == 0}
        for pixels, row in enumerate(rows)
    ]
    words, _ = run(config, Work.COPY, steps, size + 1)
    assert words == [pack(row[:pixels], 16) for pixels, row in enumerate(rows)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("two_planes", [0, 1])
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_packs_codes(config, two_planes, idle, stall):
    rng = random.Random(5)
    part_bits = min(128 if two_planes else 64, config.bus_bits)
    parts = config.bus_bits // part_bits
    steps, expected = [], []
    for _ in range(5):
        codes = [rng.randrange(1 << part_bits) for _ in range(parts)]
        expected.append(pack(codes, part_bits))
        for index, code in enumerate(codes):
            # Above a part's bits: whatever the high digits of a 4-bit layer happen to be
            word = (code | rng.randrange(1 << 64) << part_bits) & (1 << config.bus_bits) - 1
            steps.append({"word": word, "first": index == 0, "last": index == parts - 1})
        if parts > 1:  # a word that has fewer parts
            expected.append(codes[0] << part_bits * (parts - 1))
            steps.append({"word": codes[0], "first": 1, "last": 1})
    words, _ = run(config, Work.CODES, steps, len(expected), idle, stall, two_planes)
    assert words == expected


def test_emits_verilog():
    assert emits_verilog(Resampler(DEFAULT), "resampler")
