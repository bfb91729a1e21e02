import random

import pytest
from streams import emits_verilog, simulate, strobe

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.plane_walker import PlaneWalker

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
BUS256 = Config(name="bus256", lanes=64, bus_bits=256)


def plane_positions(config, planes, wide):
    """(address, exists, first, last) of every position, from the rule for the address of a word."""
    tile = config.lanes // 2 if wide else config.lanes
    for first_channel in range(0, planes["channels"], tile):
        for image in range(planes["images"]):
            for word in range(planes["words"]):
                for channel in range(first_channel, first_channel + tile):
                    address = planes["base"] + channel * planes["stride"] + image * planes["image_stride"] + word
                    yield address, channel < planes["channels"], word == 0, word == planes["words"] - 1


def code_positions(config, planes, pixels, wide):
    """The same for Output.WEIGHTS: 16 channels take 16 bytes."""
    tile = config.lanes // 2 if wide else config.lanes
    word_bytes = config.bus_bits // 8
    for first_channel in range(0, planes["channels"], tile):
        for image in range(planes["images"]):
            for pixel in range(pixels):
                for byte in range(first_channel, first_channel + tile, word_bytes):
                    address = planes["base"] + pixel * planes["stride"] + image * planes["image_stride"]
                    exists = byte // 16 * 16 < planes["channels"]
                    yield address + byte // word_bytes, exists, pixel == 0, pixel == pixels - 1


def walk(config, layers, weights=0, pixels=1, warm_up=0):
    """Positions of each layer, stepped with random pauses; the first layer is begun a second time after `warm_up`."""
    device = PlaneWalker(config)
    rng = random.Random(1)
    taken = []

    async def bench(ctx):
        assert not ctx.get(device.active)
        for planes in layers:
            ctx.set(device.planes, planes)
            ctx.set(device.weights, weights)
            ctx.set(device.pixels, pixels)
            await strobe(ctx, device.start)
            for _ in range(warm_up):
                await strobe(ctx, device.step)
            if warm_up:
                await strobe(ctx, device.start)
            positions = []
            while ctx.get(device.active):
                end = ctx.get(device.end)
                address = ctx.get(device.address)
                positions.append((address, *(bool(ctx.get(s)) for s in (device.exists, device.first, device.last))))
                if rng.random() < 0.2:
                    await ctx.tick()
                    assert ctx.get(device.address) == address
                await strobe(ctx, device.step)
                assert ctx.get(device.active) != end
            taken.append([p if p[1] else (None, *p[1:]) for p in positions])

    simulate(device, bench, limit=40_000)
    return taken


def without_unused_addresses(positions):
    return [(address if exists else None, exists, *rest) for address, exists, *rest in positions]


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=lambda config: config.name)
def test_planes(config, wide):
    widest = (1 << 20) - 1
    layers = [
        {"base": 1000, "stride": 7, "image_stride": 500, "words": 3, "channels": 37, "images": 2, "wide": wide},
        {"base": 5, "stride": 40, "image_stride": 4, "words": 4, "channels": config.lanes, "images": 3, "wide": wide},
        {"base": 1 << 31, "stride": widest, "image_stride": 1, "words": 1, "channels": 70, "images": 1, "wide": wide},
        {"base": 0, "stride": 2, "image_stride": 900, "words": 1, "channels": 1, "images": 3, "wide": wide},
    ]  # fmt: skip
    for planes, positions in zip(layers, walk(config, layers), strict=True):
        assert positions == without_unused_addresses(plane_positions(config, planes, wide))


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("config", [TINY, DEFAULT, BUS256], ids=lambda config: config.name)
def test_codes(config, wide):
    planes = {"base": 90, "stride": 11, "image_stride": 700, "channels": 70, "images": 2, "words": 9, "wide": wide}
    [positions] = walk(config, [planes], weights=1, pixels=5)
    assert positions == without_unused_addresses(code_positions(config, planes, 5, wide))


@pytest.mark.parametrize("warm_up", [1, 33, 100])
def test_start_from_any_state(warm_up):
    planes = {"base": 9, "stride": 5, "image_stride": 300, "words": 2, "channels": 40, "images": 2, "wide": 0}
    [positions] = walk(TINY, [planes], warm_up=warm_up)
    assert positions == without_unused_addresses(plane_positions(TINY, planes, 0))


def test_emits_verilog():
    assert emits_verilog(PlaneWalker(DEFAULT), "plane_walker")
