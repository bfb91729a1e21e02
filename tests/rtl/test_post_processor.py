import random

import numpy as np
import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.golden.conv import requantise
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.post_processor import PostProcessor

TINY = PRESETS["tiny"]
ACC32 = Config(name="acc32", bus_bits=64, acc_bits=32, max_channels=64, max_out_channels=40)
BUS512 = Config(name="bus512", lanes=128, bus_bits=512, max_out_channels=128)
MULTIPLIERS = [0, 1, 65535, 32768]
BIASES = [0, -1, 32767, -32768]


class Layer:
    """Random psums and parameters of all output tiles, with the corners among them; `wide`: twice the tiles."""

    def __init__(self, config, pixels, seed, magnitude=None, wide=0):
        rng = random.Random(seed)
        limit = 1 << config.acc_bits - 1
        magnitude = magnitude or limit
        self.config = config
        self.pixels = pixels
        self.wide = wide
        self.rng = rng
        self.tile = config.lanes // 2 if wide else config.lanes  # output channels of a tile
        self.tiles = -(-config.max_out_channels // self.tile)
        channels = self.tiles * self.tile
        corners = [limit - 1, -limit, 0, 1, -1, 2, -2, 3, -3]
        self.multipliers = [rng.choice([*MULTIPLIERS, rng.randrange(1 << 16)]) for _ in range(channels)]
        self.biases = [rng.choice([*BIASES, rng.randrange(-1 << 15, 1 << 15)]) for _ in range(channels)]
        self.psums = [
            [[rng.choice([*corners, *[rng.randrange(-magnitude, magnitude) for _ in corners]])
              for _ in range(config.lanes)] for _ in range(pixels)]
            for _ in range(self.tiles)
        ]  # fmt: skip

    def param_writes(self, half=0):
        step = self.config.post_lanes
        for row in range(len(self.multipliers) // step):
            word = 0
            for lane in range(step):
                k = row * step + lane
                word |= (self.multipliers[k] | (self.biases[k] & 0xFFFF) << 16) << 32 * lane
            yield {"row": half * self.config.param_rows + row, "word": word}

    @staticmethod
    def channel_lanes(channel):
        """Lanes of the low and the high digit of a tile's output channel, by the layout of 8-bit weights."""
        group, place = divmod(channel, 16)
        return 32 * group + place, 32 * group + 16 + place

    def expected(self, shift, raw):
        """All groups in order."""
        groups = []
        for tile, psums in enumerate(self.psums):
            values = np.array(psums, dtype=np.int64)  # (pixels, lanes)
            if self.wide:
                lanes = [self.channel_lanes(channel) for channel in range(self.tile)]
                values = np.stack([values[:, low] + 16 * values[:, high] for low, high in lanes], axis=1)
            if not raw:
                part = slice(tile * self.tile, (tile + 1) * self.tile)
                multiplier = np.array(self.multipliers[part])
                bias = np.array(self.biases[part])
                values = requantise(values[:, :, None, None], multiplier, shift, bias)[:, :, 0, 0]
            groups += values.reshape(-1, self.config.post_lanes).tolist()
        return groups


def run(layer, shift, raw=0, idle=0.0, stall=0.0, warm_up=0, half=0, other=None):
    """Returns (received groups, their cycles since the first psum); the parameters of `other` are written meanwhile."""
    device = PostProcessor(layer.config)
    received = []
    cycles = []

    async def bench(ctx):
        ctx.set(device.mode.shift, shift)
        ctx.set(device.mode.raw, raw)
        ctx.set(device.mode.wide, layer.wide)
        ctx.set(device.param_half, half)
        ctx.set(device.tile_pixels, layer.pixels)
        await send(ctx, device.param_writes, layer.param_writes(half), layer.rng, idle, always_ready=True)
        if warm_up:  # an aborted layer: tile and counters must return to 0
            ctx.set(device.groups.ready, 1)
            await send(ctx, device.psums, layer.psums[0][:1] * warm_up, layer.rng)
            ctx.set(device.groups.ready, 0)
            await ctx.tick().repeat(PostProcessor.LATENCY)
        await strobe(ctx, device.start)
        flags["started"] = True
        await send(ctx, device.psums, [p for tile in layer.psums for p in tile], layer.rng, idle)

    flags = {"started": False}

    async def sink(ctx):
        while not flags["started"]:
            await ctx.tick()
        count = layer.tiles * layer.pixels * layer.tile // layer.config.post_lanes
        received.extend(await collect(ctx, device.groups, count, random.Random(7), stall, cycles=cycles))

    async def writer(ctx):
        while not flags["started"]:
            await ctx.tick()
        if other:
            await send(ctx, device.param_writes, other.param_writes(1 - half), layer.rng, always_ready=True)

    simulate(device, bench, sink, writer)
    return [list(group) for group in received], cycles


@pytest.mark.parametrize("shift", [0, 1, 7, 16, 30, 31])
def test_requantises(shift):
    layer = Layer(TINY, 5, seed=shift)
    received, _ = run(layer, shift)
    assert received == layer.expected(shift, raw=False)


@pytest.mark.parametrize("shift", [0, 2, 31])
def test_requantises_32_bit_psums_and_partial_last_tile(shift):
    layer = Layer(ACC32, 4, seed=shift)
    received, _ = run(layer, shift)
    assert received == layer.expected(shift, raw=False)


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_rounds_small_negative_values(shift):
    layer = Layer(TINY, 12, seed=shift, magnitude=9)
    layer.multipliers = [1] * len(layer.multipliers)
    received, _ = run(layer, shift)
    expected = layer.expected(shift, raw=False)
    assert received == expected
    assert any(value < 0 for group in expected for value in group)


def test_saturates_both_sides():
    layer = Layer(TINY, 4, seed=3)
    received, _ = run(layer, 4)
    values = {value for group in received for value in group}
    assert {32767, -32768} <= values


@pytest.mark.parametrize("config", [TINY, ACC32])
def test_raw_is_the_psum(config):
    layer = Layer(config, 4, seed=9)
    received, _ = run(layer, 13, raw=1)
    assert received == layer.expected(13, raw=True)


@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_idle_and_backpressure(idle, stall):
    layer = Layer(TINY, 6, seed=4)
    received, _ = run(layer, 9, idle=idle, stall=stall)
    assert received == layer.expected(9, raw=False)


def test_default_configuration():
    layer = Layer(PRESETS["default"], 2, seed=5)
    received, _ = run(layer, 11)
    assert received == layer.expected(11, raw=False)


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize("config", [TINY, PRESETS["default"], BUS512], ids=lambda config: config.name)
def test_two_lanes_make_a_channel(config, raw):
    layer = Layer(config, 2, seed=10, wide=1)
    received, _ = run(layer, 12, raw=raw)
    assert received == layer.expected(12, raw)


def test_two_lanes_make_a_channel_with_backpressure():
    layer = Layer(TINY, 3, seed=11, wide=1)
    received, _ = run(layer, 15, idle=0.3, stall=0.3)
    assert received == layer.expected(15, raw=False)


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("wide", [0, 1])
def test_parameters_of_the_next_layer_come_meanwhile(half, wide):
    layer = Layer(TINY, 4, seed=12, wide=wide)
    received, _ = run(layer, 9, half=half, other=Layer(TINY, 1, seed=13))
    assert received == layer.expected(9, raw=False)


@pytest.mark.parametrize("warm_up", [1, 4])
def test_start_returns_to_tile_0(warm_up):
    layer = Layer(TINY, 3, seed=6)
    received, _ = run(layer, 9, warm_up=warm_up)
    assert received == layer.expected(9, raw=False)


def test_one_group_per_cycle_after_latency():
    layer = Layer(TINY, 5, seed=8)
    _, cycles = run(layer, 9)
    assert cycles == list(range(PostProcessor.LATENCY, PostProcessor.LATENCY + len(cycles)))


def test_emits_verilog():
    assert emits_verilog(PostProcessor(PRESETS["default"]), "post_processor")
