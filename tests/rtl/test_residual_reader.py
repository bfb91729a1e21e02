import random

import pytest
from streams import IDLES, collect, emits_verilog, simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.residual_reader import ResidualReader
from sqdm.rtl.stream_register import StreamRegister

TINY = PRESETS["tiny"]
PLANES = {"base": 4000, "stride": 6, "image_stride": 300, "words": 2, "channels": 37, "images": 2}


def addresses(planes, wide):
    """Of the words that exist, in the order of the output."""
    tile = TINY.lanes // 2 if wide else TINY.lanes
    for first in range(0, planes["channels"], tile):
        for image in range(planes["images"]):
            for word in range(planes["words"]):
                for channel in range(first, min(first + tile, planes["channels"])):
                    yield planes["base"] + channel * planes["stride"] + image * planes["image_stride"] + word


def run(wide, idle=0.0, stall=0.0, latency=5, enable=1, restart=0):
    """Checks all residuals and returns the cycle of each read; the word at an address is three times the address."""
    device = ResidualReader(TINY)
    expected = list(addresses(PLANES, wide)) if enable else []
    taken = []
    state = {"blocked": False, "done": False}
    reads = []

    async def bench(ctx):
        ctx.set(device.planes, PLANES | {"wide": wide})
        ctx.set(device.enable, enable)
        if restart:  # a layer that was given up, its reads answered and not used
            await strobe(ctx, device.start)
            await ctx.tick().repeat(restart)
            state["blocked"] = True
            await ctx.tick().repeat(restart)
            reads.clear()
        await strobe(ctx, device.start)
        state["blocked"] = False
        taken.extend(await collect(ctx, device.residuals, len(expected), random.Random(1), stall))
        state["done"] = True

    async def memory(ctx):
        rng = random.Random(2)
        waiting = []
        cycle = 0
        while not state["done"]:
            ready = rng.random() >= idle and not state["blocked"]
            answer = bool(waiting) and waiting[0][0] <= cycle and rng.random() >= idle
            ctx.set(device.reads.ready, ready)
            ctx.set(device.answers.valid, answer)
            if answer:
                ctx.set(device.answers.payload, waiting.pop(0)[1] * 3)
            _, _, valid, address, accepted = await ctx.tick().sample(
                device.reads.valid, device.reads.payload, device.answers.ready
            )
            assert accepted or not answer, "an answer was not taken at once"
            if valid and ready:
                waiting.append((cycle + latency, address))
                reads.append(cycle)
            cycle += 1

    simulate(device, bench, memory)
    assert taken == [address * 3 for address in expected]
    assert len(reads) == len(expected)
    return reads


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_reads_in_order(wide, idle, stall):
    run(wide, idle, stall)


def test_a_read_per_cycle():
    reads = run(0, latency=20)
    assert reads[TINY.lanes - 1] - reads[0] == TINY.lanes - 1


def test_reads_no_more_than_it_can_hold():
    device = ResidualReader(TINY)
    places = ResidualReader.PLACES
    seen = []

    async def bench(ctx):
        ctx.set(device.planes, PLANES)
        ctx.set(device.enable, 1)
        ctx.set(device.reads.ready, 1)
        await strobe(ctx, device.start)
        for _ in range(100):
            _, _, valid = await ctx.tick().sample(device.reads.valid)
            seen.append(valid)
        assert sum(seen) == places
        ctx.set(device.answers.valid, 1)
        for _ in range(places):  # all of them can come at once
            assert ctx.get(device.answers.ready)
            await ctx.tick()
        ctx.set(device.answers.valid, 0)
        assert not ctx.get(device.reads.valid)
        ctx.set(device.residuals.ready, 1)
        await ctx.tick().repeat(1 + StreamRegister.LATENCY)
        assert ctx.get(device.reads.valid)

    simulate(device, bench)


def test_nothing_is_read_without_a_residual():
    run(0, enable=0)


def test_start_drops_what_is_buffered():
    run(0, restart=20)


def test_emits_verilog():
    assert emits_verilog(ResidualReader(PRESETS["default"]), "residual_reader")
