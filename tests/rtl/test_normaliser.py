"""Normaliser against the golden model's `normalise`, `split_signed` and `split_unsigned`."""

import random

import numpy as np
import pytest
from streams import IDLES, collect, emits_verilog, send, simulate

from sqdm.golden.conv import normalise, split_signed, split_unsigned
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.normaliser import Normaliser
from sqdm.rtl.payloads import LoadKind

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
WIDE = Config(name="wide", lanes=64, bus_bits=256, max_channels=64)
HUGE = Config(name="huge", lanes=128, bus_bits=512, max_channels=64)
CONFIGS = [TINY, DEFAULT, WIDE, HUGE]

#: (signed, two planes) -> limits of the codes, from the interface's description
LIMITS = {(0, 0): (0, 15), (1, 0): (-8, 7), (0, 1): (0, 255), (1, 1): (-119, 119)}
PIXEL_CORNERS = [-32768, 32767, 0, 1, -1]


class Planes:
    """Random chunks (16 pixels of a channel), some of them rows of zeros, and constants of `channels` channels."""

    def __init__(self, config, mode, seed, chunks=40, channels=12):
        self.rng = rng = random.Random(seed)
        self.config = config
        self.mode = mode
        self.shift = mode["shift"]
        code_max = LIMITS[mode["signed_codes"], mode["two_planes"]][1]
        # A slope that spreads the codes over their range, and a few corners
        spread = max(1, min(32767, (code_max << self.shift) >> 12))
        self.slopes = [rng.choice([32767, -32767, 0, 1, *[rng.randint(-spread, spread) for _ in range(8)]])
                       for _ in range(channels)]  # fmt: skip
        limit = max(2, min(1 << 31, code_max << self.shift + 1))
        self.offsets = [rng.choice([(1 << 31) - 1, -(1 << 31) + 1, *[rng.randrange(-limit, limit) for _ in range(6)]])
                        for _ in range(channels)]  # fmt: skip
        self.chunks = [
            {
                "channel": rng.randrange(channels),
                "pixels": [rng.choice([*PIXEL_CORNERS, *[rng.randrange(-(1 << 15), 1 << 15) for _ in range(10)],
                                       *[rng.randrange(-99, 99) for _ in range(5)]]) for _ in range(16)],
                "zero": rng.random() < 0.2,
                "tail": rng.random() < 0.3,
                "row": rng.randrange(16),
                "slot": rng.randrange(2),
            }
            for _ in range(chunks)
        ]  # fmt: skip

    def constant_writes(self, garbage=False):
        """Memory words of constants; the unused bits 31..16 are random. With `garbage` all values are wrong."""
        per_row = self.config.bus_bits // 64
        channels = len(self.slopes)
        for row in range(-(-channels // per_row)):
            word = 0
            for index in range(per_row):
                c = row * per_row + index
                a, b = (self.slopes[c], self.offsets[c]) if c < channels else (7, 7)
                if garbage:
                    a, b = ~a, ~b
                entry = (a & 0xFFFF) | self.rng.randrange(1 << 16) << 16 | (b & 0xFFFFFFFF) << 32
                word |= entry << 64 * index
            yield {"row": row, "word": word}

    def tag(self, chunk, **marks):
        names = ("channel", "zero", "tail", "row", "slot")
        return {"kind": LoadKind.ACTS, **{name: chunk[name] for name in names}, **marks}

    def words(self, chunks=None):
        bus = self.config.bus_bits
        for chunk in self.chunks if chunks is None else chunks:
            pixels = sum((value & 0xFFFF) << 16 * index for index, value in enumerate(chunk["pixels"]))
            if chunk["zero"]:
                yield {"word": self.rng.randrange(1 << bus), "tag": self.tag(chunk, begin=1, end=1)}
            elif bus > 256:  # two groups of 16 pixels in a word
                upper = self.rng.randrange(2)
                word = pixels << 256 * upper | self.rng.randrange(1 << 256) << 256 * (1 - upper)
                yield {"word": word, "tag": self.tag(chunk, begin=1, end=1, part=4 * upper)}
            else:
                count = 256 // bus
                for index in range(count):
                    marks = {"begin": index == 0, "end": index == count - 1}
                    yield {"word": pixels >> bus * index & (1 << bus) - 1, "tag": self.tag(chunk, **marks)}

    def expected(self):
        """(low nibbles, high nibbles, tag's channel and row) of each chunk."""
        signed, two_planes = self.mode["signed_codes"], self.mode["two_planes"]
        low, high = LIMITS[signed, two_planes]
        result = []
        for chunk in self.chunks:
            y = np.array(chunk["pixels"]).reshape(1, 1, 4, 4)
            a = np.array([[self.slopes[chunk["channel"]]]])
            b = np.array([[self.offsets[chunk["channel"]]]])
            codes = normalise(y, a, b, self.shift, low, high).ravel().astype(np.int64)
            if chunk["zero"]:
                codes[:] = 0
            if chunk["tail"]:
                codes[self.mode["tail_pixels"] :] = 0
            if two_planes:
                highs, lows = split_signed(codes) if signed else split_unsigned(codes)
            else:
                highs, lows = np.zeros_like(codes), codes
            result.append(([int(v) & 15 for v in lows], [int(v) & 15 for v in highs], chunk["channel"], chunk["row"]))
        return result


def mode_of(signed, two_planes, shift, tail_pixels=16):
    return {"signed_codes": signed, "two_planes": two_planes, "shift": shift, "tail_pixels": tail_pixels}


def run(planes, idle=0.0, stall=0.0):
    """Returns (received chunks as in `Planes.expected`, their cycles)."""
    device = Normaliser(planes.config)
    taken, cycles, started = [], [], []

    async def source(ctx):
        ctx.set(device.mode, planes.mode)
        await send(ctx, device.constant_writes, planes.constant_writes(), planes.rng, idle, always_ready=True)
        started.append(True)
        await send(ctx, device.words, planes.words(), planes.rng, idle)

    async def sink(ctx):
        while not started:
            await ctx.tick()
        taken.extend(await collect(ctx, device.codes, len(planes.chunks), random.Random(7), stall, cycles=cycles))

    simulate(device, source, sink)
    chunks = [
        ([code.low[i] for i in range(16)], [code.high[i] for i in range(16)], code.tag.channel, code.tag.row)
        for code in taken
    ]
    assert all(code.tag.end for code in taken)
    return chunks, cycles


@pytest.mark.parametrize(("signed", "two_planes"), LIMITS)
@pytest.mark.parametrize("shift", [0, 1, 5, 12, 16, 24, 30, 31])
def test_codes_equal_the_golden_model(signed, two_planes, shift):
    planes = Planes(TINY, mode_of(signed, two_planes, shift, 1 + shift % 16), seed=shift)
    received, _ = run(planes)
    assert received == planes.expected()


@pytest.mark.parametrize(("signed", "two_planes"), LIMITS)
def test_all_codes_occur(signed, two_planes):
    """Pixel = code + a step past either limit, so that the clamp and every digit are seen."""
    low, high = LIMITS[signed, two_planes]
    planes = Planes(TINY, mode_of(signed, two_planes, 3), seed=1, channels=1)
    planes.slopes, planes.offsets = [8], [-8]
    values = [value + 1 for value in range(low - 3, high + 20)]
    planes.chunks = [
        {"channel": 0, "pixels": values[first : first + 16], "zero": 0, "tail": 0, "row": 0, "slot": 0}
        for first in range(0, len(values) - 15, 16)
    ]
    received, _ = run(planes)
    assert received == planes.expected()
    digit = 16 if two_planes else 0
    seen = {lo + digit * hi for lows, highs, *_ in received for lo, hi in zip(lows, highs, strict=True)}
    assert len(seen) == high - low + 1


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("tail_pixels", [1, 4, 9, 16])
def test_every_bus_width_and_tail(config, tail_pixels):
    planes = Planes(config, mode_of(1, 1, 10, tail_pixels), seed=tail_pixels, chunks=20)
    received, _ = run(planes)
    assert received == planes.expected()


@pytest.mark.parametrize("config", [TINY, DEFAULT, HUGE], ids=lambda config: config.name)
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_idle_and_backpressure(config, idle, stall):
    planes = Planes(config, mode_of(0, 0, 9, 5), seed=2, chunks=24)
    received, _ = run(planes, idle, stall)
    assert received == planes.expected()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_takes_a_word_per_cycle(config):
    planes = Planes(config, mode_of(1, 0, 9), seed=3, chunks=12)
    for chunk in planes.chunks:
        chunk["zero"] = 0
    _, cycles = run(planes)
    words = config.chunk_words
    assert cycles == [words - 1 + Normaliser.LATENCY + words * index for index in range(12)]


def test_zero_rows_take_one_cycle():
    planes = Planes(TINY, mode_of(1, 0, 9), seed=4, chunks=8)
    for chunk in planes.chunks:
        chunk["zero"] = 1
    received, cycles = run(planes)
    assert received == planes.expected()
    assert cycles == [Normaliser.LATENCY + index for index in range(8)]


def test_constants_written_in_the_cycle_of_a_word_are_for_the_next():
    """The old constants hold for the word that is taken while they are overwritten, even in a pipeline that stalls."""
    planes = Planes(TINY, mode_of(0, 1, 4), seed=5, chunks=1, channels=1)
    planes.slopes, planes.offsets = [3], [17]
    planes.chunks[0].update(pixels=list(range(0, 320, 20)), zero=0, tail=0)
    device = Normaliser(TINY)
    taken = []

    async def source(ctx):
        ctx.set(device.mode, planes.mode)
        await send(ctx, device.constant_writes, planes.constant_writes(), planes.rng, always_ready=True)
        words = list(planes.words())
        await send(ctx, device.words, words[:-1], planes.rng)
        ctx.set(device.words.payload, words[-1])
        ctx.set(device.words.valid, 1)
        await send(ctx, device.constant_writes, planes.constant_writes(garbage=True), planes.rng, always_ready=True)
        ctx.set(device.words.valid, 0)

    async def sink(ctx):
        taken.extend(await collect(ctx, device.codes, 1, random.Random(8)))

    simulate(device, source, sink)
    lows, highs, *_ = planes.expected()[0]
    assert [taken[0].low[i] for i in range(16)] == lows
    assert [taken[0].high[i] for i in range(16)] == highs


@pytest.mark.parametrize("config", [TINY, DEFAULT, HUGE], ids=lambda config: config.name)
def test_emits_verilog(config):
    assert emits_verilog(Normaliser(config), "normaliser")
