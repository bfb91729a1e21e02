"""LoadScheduler: which loads a layer makes, and when."""

import random

import pytest
from streams import simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.load_scheduler import LoadScheduler
from sqdm.rtl.payloads import LoadKind

SETTINGS = {
    "tiles": 2, "images": 3, "buffer_images": 3, "item_rows": 32, "raw": 0, "count": 1, "two_planes": 0,
    "int16_acts": 0, "image_weights": 0, "tile_words": 9, "weight_image_stride": 100, "act_image_stride": 40,
    "constant_stride": 7,
}  # fmt: skip


async def run(ctx, device, settings, rng=None, scan=0, **pins):
    """Start a layer with free buffers and take all commands."""
    rng = rng or random.Random(1)
    for name, value in ({"act_free": 1, "weight_free": 1, "act_low": 1, "go": 1, "scan": scan} | pins).items():
        ctx.set(getattr(device, name), value)
    ctx.set(device.settings, settings)
    await strobe(ctx, device.start)
    seen = []
    while not ctx.get(device.finished):
        ready = rng.random() < 0.6
        ctx.set(device.commands.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(device.commands.valid, device.commands.payload)
        if valid and ready:
            seen.append(payload)
    return seen


def weights(settings):
    """(plane, offset, half) of every weight load in order."""
    planes = (1, 0) if settings["two_planes"] else (0,)
    found, half = [], 0
    for tile in range(settings["tiles"]):
        for image in range(settings["images"] if settings["image_weights"] else 1):
            offset = tile * settings["tile_words"] + image * settings["weight_image_stride"]
            found += [(plane, offset, half) for plane in planes]
            half ^= 1
    return found


def acts(settings):
    """(plane, offset, row, count, first) of every activation load in order."""
    planes = (1, 0) if settings["two_planes"] else (0,)
    resident = settings["images"] <= settings["buffer_images"]
    found, place = [], 0
    for tile in range(1 if resident else settings["tiles"]):
        for image in range(settings["images"]):
            row = place % settings["buffer_images"] * settings["item_rows"]
            count = int(settings["count"] and tile == 0)
            found += [(plane, image * settings["act_image_stride"], row, count, int(image == 0)) for plane in planes]
            place += 1
    return found


@pytest.mark.parametrize(
    "change",
    [{}, {"buffer_images": 2}, {"two_planes": 1}, {"int16_acts": 1}, {"int16_acts": 1, "constant_stride": 0},
     {"image_weights": 1}, {"raw": 1, "images": 1, "tiles": 1},
     {"two_planes": 1, "int16_acts": 1, "buffer_images": 1, "count": 0}],
    ids=str,
)  # fmt: skip
def test_every_load_of_a_layer(change):
    settings = SETTINGS | change
    device = LoadScheduler(PRESETS["tiny"])

    async def bench(ctx):
        assert ctx.get(device.finished)
        seen = await run(ctx, device, settings)
        kinds = [LoadKind(command.kind) for command in seen]
        assert kinds.count(LoadKind.PARAMS) == 1 - settings["raw"]
        assert settings["raw"] or (kinds[0] is LoadKind.PARAMS and seen[0].half == ctx.get(device.param_half))
        by_kind = {kind: [c for c, k in zip(seen, kinds, strict=True) if k is kind] for kind in LoadKind}
        assert [(c.plane, c.offset, c.half) for c in by_kind[LoadKind.WEIGHTS]] == weights(settings)
        assert [(c.plane, c.offset, c.row, c.count, c.first) for c in by_kind[LoadKind.ACTS]] == acts(settings)
        offsets = [c.offset for c in by_kind[LoadKind.CONSTANTS]]
        images = len(acts(settings)) // (1 + settings["two_planes"])
        if not settings["int16_acts"]:
            assert offsets == []
        elif settings["constant_stride"]:
            assert offsets == [i % settings["images"] * settings["constant_stride"] for i in range(images)]
        else:
            assert offsets == [0] * (images // settings["images"])
        assert kinds.index(LoadKind.WEIGHTS) < kinds.index(LoadKind.ACTS)

    simulate(device, bench)


def test_halves_alternate_from_layer_to_layer():
    device = LoadScheduler(PRESETS["tiny"])
    settings = SETTINGS | {"tiles": 1, "images": 1}

    async def bench(ctx):
        halves = []
        for _ in range(3):
            seen = await run(ctx, device, settings)
            halves.append([c.half for c in seen if LoadKind(c.kind) is not LoadKind.ACTS])
        assert halves == [[1, 0], [0, 1], [1, 0]]  # of the parameters, of the weights

    simulate(device, bench)


def test_a_scan_loads_all_activations_once_and_nothing_else():
    device = LoadScheduler(PRESETS["tiny"])

    async def bench(ctx):
        seen = await run(ctx, device, SETTINGS | {"buffer_images": 2, "count": 0}, scan=1, act_free=0, weight_free=0)
        assert [LoadKind(c.kind) for c in seen] == [LoadKind.ACTS] * 3
        assert [(c.offset, c.row, c.count, c.first) for c in seen] == [(0, 0, 1, 1), (40, 0, 1, 0), (80, 0, 1, 0)]

    simulate(device, bench)


def test_waits_for_room_and_for_the_layer_before():
    device = LoadScheduler(PRESETS["tiny"])

    async def bench(ctx):
        ctx.set(device.settings, SETTINGS | {"raw": 1, "tiles": 1})
        ctx.set(device.commands.ready, 1)
        await strobe(ctx, device.start)
        seen = []
        for pins in ({}, {"weight_free": 1}, {"act_free": 1}, {"go": 1}):
            for name, value in pins.items():
                ctx.set(getattr(device, name), value)
            for _ in range(10):
                _, _, valid, payload = await ctx.tick().sample(device.commands.valid, device.commands.payload)
                if valid:
                    seen.append((*pins, LoadKind(payload.kind)))
        assert seen == [("weight_free", LoadKind.WEIGHTS)] + [("go", LoadKind.ACTS)] * 3

    simulate(device, bench)


@pytest.mark.parametrize("low", [0, 1])
def test_images_go_before_the_next_weights_only_while_few_are_ahead(low):
    device = LoadScheduler(PRESETS["tiny"])

    async def bench(ctx):
        seen = [LoadKind(c.kind).name[0] for c in await run(ctx, device, SETTINGS | {"raw": 1}, act_low=low)]
        assert "".join(seen) == ("WAAAW" if low else "WWAAA")

    simulate(device, bench)
