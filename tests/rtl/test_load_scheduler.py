"""LoadScheduler: the order of a layer's loads."""

import random

import pytest
from streams import collect, simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.load_scheduler import LoadScheduler
from sqdm.rtl.payloads import LoadKind


def loads(tiles, images, raw, update):
    """The order that docs/architecture.md defines, as (kind, tile or image, half, count)."""
    found = [] if raw else [("PARAMS", 0, 0, 0)]
    found.append(("WEIGHTS", 0, 0, 0))
    resident = images <= 2
    number = 0
    for tile in range(tiles):
        for image in range(images):
            if tile == 0 or not resident:
                found.append(("ACTS", image, number % 2, int(update and tile == 0)))
                number += 1
            if image == 0 and tile + 1 < tiles:
                found.append(("WEIGHTS", tile + 1, (tile + 1) % 2, 0))
    return found


@pytest.mark.parametrize("images", [1, 2, 3, 5])
@pytest.mark.parametrize("tiles", [1, 2, 4])
@pytest.mark.parametrize("raw", [0, 1])
def test_order_of_loads(images, tiles, raw):
    device = LoadScheduler(PRESETS["tiny"])
    rng = random.Random(f"{images} {tiles} {raw}")
    wanted = loads(tiles, images, raw, update=1)
    seen = []

    async def drive(ctx):
        for name, value in {"tiles": tiles, "images": images, "raw": raw, "update": 1}.items():
            ctx.set(getattr(device, name), value)
        ctx.set(device.act_free, 1)
        ctx.set(device.weight_free, 1)
        assert ctx.get(device.finished)
        await strobe(ctx, device.start)
        for command in await collect(ctx, device.commands, len(wanted), rng, stall=0.3):
            kind = LoadKind(command.kind)
            where = {LoadKind.WEIGHTS: command.tile, LoadKind.ACTS: command.image}.get(kind, 0)
            seen.append((kind.name, where, command.half, command.count if kind is LoadKind.ACTS else 0))
        assert ctx.get(device.finished)

    simulate(device, drive)
    assert seen == wanted


def test_waits_for_free_halves():
    device = LoadScheduler(PRESETS["tiny"])

    async def drive(ctx):
        for name, value in {"tiles": 2, "images": 3, "raw": 1}.items():
            ctx.set(getattr(device, name), value)
        ctx.set(device.commands.ready, 1)
        await strobe(ctx, device.start)
        for free, kind in [(device.weight_free, LoadKind.WEIGHTS), (device.act_free, LoadKind.ACTS)]:
            for _ in range(5):
                await ctx.tick()
                assert not ctx.get(device.commands.valid)
            ctx.set(free, 1)
            assert ctx.get(device.commands.valid)
            assert LoadKind(ctx.get(device.commands.payload.kind)) is kind
            await ctx.tick()
            ctx.set(free, 0)

    simulate(device, drive)
