import random

import pytest
from streams import IDLES, collect, emits_verilog, send, simulate

from sqdm.rtl.config import PRESETS
from sqdm.rtl.psum_join import PsumJoin

TINY = PRESETS["tiny"]

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")  # those that refuse a parameter


def random_psums(rng, inputs, count):
    """Per input, `count` psums whose sums stay within acc_bits; corners first."""
    limit = (1 << TINY.acc_bits - 1) // inputs
    pixels = [[[value] * TINY.lanes for _ in range(inputs)] for value in (limit - 1, -limit, 0, -1)]
    while len(pixels) < count:
        pixels.append([[rng.randrange(-limit, limit) for _ in range(TINY.lanes)] for _ in range(inputs)])
    return [list(column) for column in zip(*pixels, strict=True)]


def run(inputs, count, idle, stall, seed=1):
    """Returns (sent psums per input, received sums, cycles of the sums)."""
    rng = random.Random(seed)
    device = PsumJoin(TINY, inputs)
    sent = random_psums(rng, inputs, count)
    received = []
    cycles = []

    def source(index):
        async def bench(ctx):
            # Different inputs idle differently: input 0 never lags the others
            await send(ctx, device.array_psums[index], sent[index], random.Random(seed + index), idle * index / inputs)

        return bench

    async def sink(ctx):
        received.extend(await collect(ctx, device.psums, count, rng, stall, cycles=cycles))

    simulate(device, *(source(index) for index in range(inputs)), sink)
    return sent, [list(payload) for payload in received], cycles


@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize(("idle", "stall"), IDLES)
def test_sums_in_order(inputs, idle, stall):
    sent, received, _ = run(inputs, 60, idle, stall)
    assert received == [[sum(lanes) for lanes in zip(*pixel, strict=True)] for pixel in zip(*sent, strict=True)]


def test_full_throughput_after_latency():
    _, _, cycles = run(2, 30, 0, 0)
    assert cycles == [PsumJoin.LATENCY + index for index in range(30)]


def test_waits_for_every_array():
    device = PsumJoin(TINY, 2)

    async def bench(ctx):
        ctx.set(device.psums.ready, 1)
        ctx.set(device.array_psums[0].valid, 1)
        for _ in range(5):
            assert not ctx.get(device.array_psums[0].ready)
            assert not ctx.get(device.psums.valid)
            await ctx.tick()
        ctx.set(device.array_psums[1].valid, 1)
        assert ctx.get(device.array_psums[0].ready)
        await ctx.tick()
        assert ctx.get(device.psums.valid)

    simulate(device, bench)


@pytest.mark.parametrize(("inputs", "error"), [(0, ValueError), ("2", TypeError)])
def test_inputs_wrong(inputs, error):
    with pytest.raises(error, match="inputs must be"):
        PsumJoin(TINY, inputs)


def test_emits_verilog():
    assert emits_verilog(PsumJoin(TINY, 2), "psum_join")
