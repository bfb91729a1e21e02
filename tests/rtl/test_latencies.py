"""The `LATENCY` constants that other parts and the manifest rely on, measured in the simulator."""

import pytest
from streams import simulate, strobe

from sqdm.rtl.address_generator import AddressGenerator
from sqdm.rtl.config import PRESETS
from sqdm.rtl.dense_feeder import DenseFeeder
from sqdm.rtl.output_writer import OutputWriter
from sqdm.rtl.payloads import LoadKind
from sqdm.rtl.sparse_feeder import SparseFeeder

TINY = PRESETS["tiny"]


async def cycles_until(ctx, signal, limit=30):
    """Cycles from now until `signal` is 1."""
    for cycle in range(limit):
        if ctx.get(signal):
            return cycle
        await ctx.tick()
    raise AssertionError(f"{signal.name} is still 0 after {limit} cycles")


@pytest.mark.parametrize("kind", [LoadKind.PARAMS, LoadKind.ACTS])
def test_address_generator(kind):
    device = AddressGenerator(TINY)

    async def bench(ctx):
        for name in ("channels", "dense_low", "plane_words", "groups", "param_words"):
            ctx.set(getattr(device.layer, name), 1)
        ctx.set(device.commands.payload.kind, kind)
        ctx.set(device.commands.valid, 1)
        assert ctx.get(device.commands.ready)
        assert await cycles_until(ctx, device.requests.valid) == AddressGenerator.LATENCY

    simulate(device, bench)


@pytest.mark.parametrize("feeder", [DenseFeeder, SparseFeeder])
def test_feeder(feeder):
    device = feeder(TINY)

    async def bench(ctx):
        for name, value in {
            "height": 2,
            "width": 2,
            "kernel3": 1,
            "channels_low": 1,
            "groups": 1,
            "plane_rows": 16,
        }.items():
            ctx.set(getattr(device.jobs.payload, name), value)
        for slot in range(TINY.slots):
            ctx.set(device.act_words[slot][0], 7)
        ctx.set(device.room, 1)
        ctx.set(device.jobs.valid, 1)
        assert ctx.get(device.jobs.ready)
        assert await cycles_until(ctx, device.step) == feeder.LATENCY
        assert ctx.get(device.acts[0]) == 7

    simulate(device, bench)


def test_output_writer():
    device = OutputWriter(TINY)

    async def bench(ctx):
        await strobe(ctx, device.start)
        ctx.set(device.words.payload.exists, 1)
        ctx.set(device.words.valid, 1)
        assert ctx.get(device.words.ready)
        assert await cycles_until(ctx, device.writes.valid) == OutputWriter.LATENCY

    simulate(device, bench)
