import random

import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.output_turn import OutputTurn

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
BUS256 = Config(name="bus256", lanes=64, bus_bits=256)


def random_images(config, images, pixels, raw, seed, wide=0):
    """[image][pixel][output channel of the tile], corners among them."""
    rng = random.Random(seed)
    limit = 1 << (31 if raw else 15)
    corners = [limit - 1, -limit, -1]
    channels = config.lanes >> wide
    return [
        [[rng.choice([*corners, *[rng.randrange(-limit, limit) for _ in range(6)]]) for _ in range(channels)]
         for _ in range(pixels)]
        for _ in range(images)
    ]  # fmt: skip


def groups_of(config, images):
    step = config.post_lanes
    return [pixel[lane : lane + step] for image in images for pixel in image for lane in range(0, len(pixel), step)]


def words_of(config, images, raw):
    """Memory words in the order image, block, lane."""
    bits = 32 if raw else 16
    block = config.bus_bits // bits
    words = []
    for image in images:
        for first in range(0, len(image), block):
            for lane in range(len(image[0])):
                values = [pixel[lane] & (1 << bits) - 1 for pixel in image[first : first + block]]
                words.append(sum(value << bits * index for index, value in enumerate(values)))
    return words


def run(config, raw, images, idle=0.0, stall=0.0, warm_up=0, wide=0):
    """Returns (words, their cycles, cycles that the input took); the first `warm_up` groups are dropped by `start`."""
    device = OutputTurn(config)
    groups = groups_of(config, images)
    words = []
    cycles = []
    state = {"started": False, "taken": 0}

    async def source(ctx):
        rng = random.Random(2)
        ctx.set(device.raw, raw)
        ctx.set(device.wide, wide)
        ctx.set(device.pixels, len(images[0]))
        await send(ctx, device.groups, groups[:warm_up], rng)
        await ctx.tick().repeat(3)
        await strobe(ctx, device.start)
        state["started"] = True
        state["taken"] = await send(ctx, device.groups, groups, rng, idle)

    async def sink(ctx):
        while not state["started"]:
            await ctx.tick()
        count = len(words_of(config, images, raw))
        words.extend(await collect(ctx, device.words, count, random.Random(3), stall, cycles=cycles))

    simulate(device, source, sink)
    return words, cycles, state["taken"]


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize("config", [TINY, DEFAULT, BUS256], ids=lambda config: config.name)
@pytest.mark.parametrize("pixels", [1, 7, 17])
def test_turns_images(config, raw, pixels):
    images = random_images(config, 2, pixels, raw, seed=pixels)
    words, _, _ = run(config, raw, images)
    assert words == words_of(config, images, raw)


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_idle_and_backpressure(raw, idle, stall):
    images = random_images(TINY, 2, 9, raw, seed=5)
    words, _, _ = run(TINY, raw, images, idle, stall)
    assert words == words_of(TINY, images, raw)


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
def test_half_the_channels(config, raw, idle, stall):
    images = random_images(config, 3, 13, raw, seed=8, wide=1)
    words, _, _ = run(config, raw, images, idle, stall, wide=1)
    assert words == words_of(config, images, raw)


def test_missing_pixels_are_zero_although_older_blocks_were_not():
    images = [[[-1] * TINY.lanes for _ in range(9)] for _ in range(4)]
    words, _, _ = run(TINY, 0, images)
    assert words == words_of(TINY, images, 0)
    assert words.count(0xFFFF) == 4 * TINY.lanes


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
def test_input_never_stalls(config, wide, raw):
    images = random_images(config, 2, 32, raw, seed=6, wide=wide)
    words, cycles, taken = run(config, raw, images, wide=wide)
    assert words == words_of(config, images, raw)
    assert taken == len(groups_of(config, images))
    # The first word appears LATENCY cycles after the last group of the first block was accepted
    block_groups = config.bus_bits // (32 if raw else 16) * (config.lanes >> wide) // config.post_lanes
    assert cycles[0] == block_groups - 1 + OutputTurn.LATENCY


@pytest.mark.parametrize("warm_up", [3, 11, 40])
def test_start_drops_what_is_buffered(warm_up):
    images = random_images(TINY, 1, 11, 0, seed=7)
    words, _, _ = run(TINY, 0, images, warm_up=warm_up)
    assert words == words_of(TINY, images, 0)


def test_emits_verilog():
    assert emits_verilog(OutputTurn(DEFAULT), "output_turn")
