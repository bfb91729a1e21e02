"""LayerSetup: derived sizes and refused shapes."""

import random

import pytest
from streams import simulate, strobe

from sqdm.rtl.config import PRESETS, Config, ceil_div
from sqdm.rtl.layer_setup import LayerSetup
from sqdm.rtl.registers import Status, encode

#: Configurations at the edges of what `Config` allows, where a derived width is easily one bit short.
CONFIGS = [
    PRESETS["tiny"],
    PRESETS["default"],
    Config(name="one slot", slots=1, max_channels=1024),
    Config(name="few pixels", max_channels=1024, max_size=15, max_images=8),
    Config(name="part of a tile", max_out_channels=100, max_size=3, max_images=3),
    Config(name="narrow bus", lanes=256, bus_bits=64, act_rows=64, max_size=8),
    Config(name="many slots", slots=16, max_channels=3, max_images=1),
]


def maxima(config):
    """Largest C, K, H, W, N."""
    return (config.max_channels, config.max_out_channels, config.max_size, config.max_size, config.max_images)


def settle(config, shapes, **registers):
    """(status, sizes) of every (C, K, H, W, N, kernel3, raw), with other registers as given."""
    device = LayerSetup(config)
    results = []

    async def bench(ctx):
        for name, value in registers.items():
            ctx.set(getattr(device, name), value)
        for channels, out_channels, height, width, images, kernel3, raw in shapes:
            for name, value in {
                "channels": channels, "out_channels": out_channels, "height": height, "width": width,
                "images": images, "mode": encode("MODE", kernel3=kernel3, raw=raw),
            }.items():  # fmt: skip
                ctx.set(getattr(device, name), value)
            await strobe(ctx, device.start)
            for _ in range(LayerSetup.LATENCY - 1):
                assert not ctx.get(device.done)
                await ctx.tick()
            assert ctx.get(device.done)
            results.append((Status(ctx.get(device.status)), ctx.get(device.sizes)))
            await ctx.tick()

    simulate(device, bench)
    return results


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_derives_all_sizes(config):
    rng = random.Random(3)
    shapes = []
    while len(shapes) < 60:
        shape = [rng.randint(1, top) for top in maxima(config)]
        if config.act_rows_needed(shape[0], shape[2], shape[3]) <= config.act_rows:
            shapes.append((*shape, rng.randrange(2), rng.randrange(2)))
    for shape, (status, sizes) in zip(shapes, settle(config, shapes), strict=True):
        _, out_channels, height, width, images, kernel3, raw = shape
        tiles = ceil_div(out_channels, config.lanes)
        tile_words = (9 if kernel3 else 1) * config.row_words
        plane_words = ceil_div(height * width, 16)
        out_words = ceil_div(height * width * (32 if raw else 16), config.bus_bits)
        assert status is Status.OK
        assert {key: sizes[key] for key in sizes.shape().members} == {
            "pixels": height * width,
            "all_pixels": height * width * images,
            "plane_words": plane_words,
            "act_words": plane_words * images,
            "tiles": tiles,
            "tile_words": tile_words,
            "weight_words": tile_words * tiles,
            "out_words": out_words,
            "channel_words": out_words * images,
            "param_words": tiles * config.lanes * 32 // config.bus_bits,
            "table_words": 1 + ceil_div(shape[0] * 16, config.bus_bits),
        }, shape


def test_refuses_zero_and_too_big():
    config = PRESETS["tiny"]
    good = (32, 32, 8, 8, 2, 1, 0)
    bad = [
        (*good[:i], value, *good[i + 1 :]) for i, top in enumerate(maxima(config)) for value in (0, top + 1, 1 << 31)
    ]
    assert [status for status, _ in settle(config, bad)] == [Status.BAD_SHAPE] * len(bad)


def test_refuses_what_does_not_fit_the_activation_buffer():
    config = PRESETS["tiny"]
    shapes = [(channels, 1, 16, 16, 1, 1, 0) for channels in (1, 32, 33, 64)]
    wanted = [Status.OK if config.act_rows_needed(c, 16, 16) <= config.act_rows else Status.TOO_LARGE
              for c, *_ in shapes]  # fmt: skip
    assert Status.OK in wanted and Status.TOO_LARGE in wanted
    assert [status for status, _ in settle(config, shapes)] == wanted


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_accepts_exactly_what_fits_at_the_maxima(config):
    shapes = [
        (channels, 1, size, size, 1, 1, 0)
        for channels in (1, config.max_channels // 2 or 1, config.max_channels)
        for size in (1, config.max_size // 2 or 1, config.max_size)
    ]
    fits = [config.act_rows_needed(shape[0], shape[2], shape[3]) <= config.act_rows for shape in shapes]
    assert [status for status, _ in settle(config, shapes)] == [Status.OK if fit else Status.TOO_LARGE for fit in fits]


@pytest.mark.parametrize(
    ("register", "good", "bad"),
    [("shift", 31, 32), ("count_shift", 15, 16)]
    + [(f"{name}_base", 0xFFFFFFF0, 0xFFFFFFF4) for name in ("act", "weight", "param", "out", "table")],
)
def test_refuses_other_registers_out_of_range(register, good, bad):
    shape = (32, 32, 8, 8, 2, 1, 0)
    assert settle(PRESETS["tiny"], [shape], **{register: good})[0][0] is Status.OK
    assert settle(PRESETS["tiny"], [shape], **{register: bad})[0][0] is Status.BAD_REGISTER


def test_a_threshold_above_every_count_is_the_largest_one():
    device = LayerSetup(PRESETS["tiny"])

    async def bench(ctx):
        for value, meant in [(0, 0), (65535, 65535), (65536, 65535), (0xFFFFFFFF, 65535)]:
            ctx.set(device.sparse_count, value)
            await ctx.tick()
            assert ctx.get(device.settings.sparse_count) == meant

    simulate(device, bench)
