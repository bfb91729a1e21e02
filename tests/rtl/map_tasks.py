"""Planes in memory, what a MAP makes of them, and a run of the engine on them; for test_map_engine."""

import random

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from streams import collect, send, simulate, strobe

from sqdm.golden.conv import normalise, split_signed
from sqdm.golden.host import downsample, upsample
from sqdm.rtl.descriptor import Resample
from sqdm.rtl.map_engine import MapEngine
from sqdm.rtl.normaliser import Normaliser


def pack(values, bits):
    return sum((int(value) & (1 << bits) - 1) << bits * index for index, value in enumerate(values))


def split_words(values, bits, config):
    """Memory words of `bits`-bit values, the last one filled up with zeros."""
    per_word = config.bus_bits // bits
    return [pack(values[first : first + per_word], bits) for first in range(0, len(values), per_word)]


class Both(wiring.Component):
    """The engine and the normaliser that it normally shares with the load path."""

    def __init__(self, config):
        self.engine = MapEngine(config)
        self.normaliser = Normaliser(config)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine, m.submodules.normaliser = self.engine, self.normaliser
        wiring.connect(m, self.engine.pixels, self.normaliser.words)
        wiring.connect(m, self.normaliser.codes, self.engine.codes)
        return m


class Map:
    """Random INT16 planes (N, C, H, W) in a memory of random garbage, and what the engine is to give for them."""

    BASE = 0xFFFF_FF00  # addresses wrap: nothing else may depend on their top bits

    def __init__(self, config, shape, resample=Resample.NONE, codes=None, seed=0):
        """`codes`: None, or 4 or 8 bits of signed codes."""
        self.config = config
        self.codes = codes
        self.rng = rng = random.Random(seed)
        self.images, self.channels, self.height, self.width = shape
        self.planes = np.array([rng.choice([-32768, 32767, rng.randrange(-1 << 15, 1 << 15), rng.randrange(-99, 99)])
                                for _ in range(int(np.prod(shape)))], dtype=np.int16).reshape(shape)  # fmt: skip
        pixels = self.height * self.width
        size = config.bus_bits // 16
        padded = config.plane_bytes // 2 * -(-pixels // (config.plane_bytes // 2))
        plane_words = padded // size
        self.stride = plane_words + rng.randrange(3)
        self.image_stride = self.stride * self.channels + rng.randrange(5)
        self.memory = {}
        for n in range(self.images):
            for c in range(self.channels):
                values = [*self.planes[n, c].ravel(), *(rng.randrange(1 << 16) for _ in range(padded - pixels))]
                for index, word in enumerate(split_words(values, 16, config)):
                    address = (self.BASE + n * self.image_stride + c * self.stride + index) & 0xFFFF_FFFF
                    self.memory[address] = word
        self.output_planes = self.expected_planes(resample)
        self.settings = {
            "resample": resample.value, "codes": codes is not None, "two_planes": codes == 8,
            "channels": self.channels, "images": self.images, "height": self.height, "width": self.width,
            "base": self.BASE, "stride": self.stride, "image_stride": self.image_stride,
            "words": len(self.output_planes[0][0]),
        }  # fmt: skip

    def expected_planes(self, resample):
        """[image][channel] -> memory words."""
        config = self.config
        if self.codes is None:
            output = {Resample.NONE: lambda y: y, Resample.DOWN: downsample, Resample.UP: upsample}[resample](
                self.planes
            )
            return [[split_words(plane.ravel(), 16, config) for plane in image] for image in output]
        rng = self.rng
        self.slopes = [rng.choice([300, -300, 32767, 11]) for _ in range(self.channels)]
        self.offsets = [rng.randrange(-1 << 18, 1 << 18) for _ in range(self.channels)]
        a = np.array([self.slopes] * self.images)
        b = np.array([self.offsets] * self.images)
        limits = (-8, 7) if self.codes == 4 else (-119, 119)
        codes = normalise(self.planes, a, b, 16 if self.codes == 8 else 20, *limits)
        result = []
        for image in codes:
            result.append([])
            for plane in image:
                values = np.zeros(-(-plane.size // 16) * 16, dtype=np.int64)
                values[: plane.size] = plane.ravel()
                if self.codes == 8:
                    high, low = split_signed(values.reshape(-1, 16))
                    values = np.concatenate([low, high], axis=1).ravel()
                result[-1].append(split_words(values, 4, config))
        return result

    def expected(self):
        """Output words in order: tile, image, word, lane; zeros for lanes past the last channel."""
        lanes = self.config.lanes
        words = []
        for tile in range(-(-self.channels // lanes)):
            for planes in self.output_planes:
                for index in range(len(planes[0])):
                    for channel in range(tile * lanes, (tile + 1) * lanes):
                        words.append(planes[channel][index] if channel < self.channels else 0)
        return words

    def constant_writes(self):
        per_row = self.config.bus_bits // 64
        entries = [(a & 0xFFFF) | (b & 0xFFFFFFFF) << 32 for a, b in zip(self.slopes, self.offsets, strict=True)]
        for row in range(-(-self.channels // per_row)):
            yield {"row": row, "word": pack(entries[row * per_row : (row + 1) * per_row], 64)}

    def mode(self):
        tail = self.height * self.width % 16 or 16
        return {"shift": 16 if self.codes == 8 else 20, "signed_codes": 1, "two_planes": self.codes == 8,
                "tail_pixels": tail}  # fmt: skip


def run(device, task, latency=(3, 3), idle=0.0, stall=0.0):
    """Returns (words, addresses read, cycles). Memory answers after `latency` (from, to) cycles, in order."""
    engine = device.engine
    words, reads, state = [], [], {}
    rng = random.Random(11)

    async def control(ctx):
        if task.codes is not None:
            ctx.set(device.normaliser.mode, task.mode())
            await send(ctx, device.normaliser.constant_writes, task.constant_writes(), rng, always_ready=True)
        ctx.set(engine.settings, task.settings)
        assert not ctx.get(engine.running)
        await strobe(ctx, engine.start)
        state["started"] = True
        state["cycles"] = 1
        while ctx.get(engine.running):
            await ctx.tick()
            state["cycles"] += 1
        state["ended"] = True

    async def sink(ctx):
        while "started" not in state:
            await ctx.tick()
        count = len(task.expected())
        words.extend(await collect(ctx, engine.words, count, random.Random(12), stall, after=30))
        assert "ended" in state
        state["done"] = True

    async def memory(ctx):
        waiting, cycle, valid, last = [], 0, False, 0
        while "done" not in state:
            if valid:
                ctx.set(engine.answers.payload, task.memory[waiting[0][1]])
            ctx.set(engine.answers.valid, valid)
            ready = rng.random() >= idle
            ctx.set(engine.reads.ready, ready)
            assert ctx.get(engine.answers.ready), "an answer would have to wait"
            _, _, asked, address = await ctx.tick().sample(engine.reads.valid, engine.reads.payload)
            cycle += 1
            if valid:
                waiting.pop(0)
            if asked and ready:
                assert address in task.memory, f"read outside of the planes: {address:#x}"
                reads.append(address)
                last = max(last, cycle + rng.randint(*latency) - 1)
                waiting.append((last, address))
            valid = bool(waiting) and waiting[0][0] <= cycle

    simulate(device, control, sink, memory, limit=60_000)
    return words, reads, state["cycles"]
