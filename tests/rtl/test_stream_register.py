"""StreamRegister: order, rate, and no way through in one cycle."""

import random

import pytest
from streams import IDLES, collect, send, simulate

from sqdm.rtl.stream_register import StreamRegister


@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_everything_comes_in_order(idle, stall):
    device = StreamRegister(8)
    rng = random.Random(1)
    values = [rng.randrange(256) for _ in range(300)]
    seen, cycles = [], []

    async def source(ctx):
        await send(ctx, device.source, values, rng, idle)

    async def sink(ctx):
        seen.extend(await collect(ctx, device.sink, len(values), rng, stall, cycles=cycles))

    simulate(device, source, sink)
    assert seen == values
    if not idle and not stall:
        assert cycles == [StreamRegister.LATENCY + number for number in range(len(values))]


def test_ready_and_valid_do_not_pass_in_one_cycle():
    device = StreamRegister(8)

    async def bench(ctx):
        ctx.set(device.source.valid, 1)
        assert not ctx.get(device.sink.valid)
        for _ in range(2):  # two places
            assert ctx.get(device.source.ready)
            await ctx.tick()
        assert not ctx.get(device.source.ready)
        ctx.set(device.sink.ready, 1)
        assert not ctx.get(device.source.ready)
        await ctx.tick()
        assert ctx.get(device.source.ready)

    simulate(device, bench)
