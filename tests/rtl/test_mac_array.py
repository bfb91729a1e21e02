"""MacArray against explicit sums."""

import random

import pytest
from streams import emits_verilog, simulate

from sqdm.rtl.config import PRESETS
from sqdm.rtl.mac_array import MacArray

TINY = PRESETS["tiny"]


def run(steps):
    """Drives (step, last, acts, weights) one per cycle; returns the (cycle, psums) that came out."""
    device = MacArray(TINY)
    seen = []

    async def drive(ctx):
        for step, last, acts, weights in steps:
            ctx.set(device.step, step)
            ctx.set(device.last, last)
            for slot in range(TINY.slots):
                ctx.set(device.acts[slot], acts[slot])
                for lane in range(TINY.lanes):
                    ctx.set(device.weights[slot][lane], weights[slot][lane])
            await ctx.tick()
        ctx.set(device.step, 0)
        ctx.set(device.last, 0)
        await ctx.tick().repeat(4)

    async def monitor(ctx):
        for cycle in range(len(steps) + 3):
            _, _, valid, psums = await ctx.tick().sample(device.psums_valid, device.psums)
            if valid:
                seen.append((cycle, [psums[lane] for lane in range(TINY.lanes)]))

    simulate(device, drive, monitor)
    return seen


def random_steps(rng, pixels, extreme=False):
    """Pixels of random length; about a third of the cycles carry no operand, some pixels none at all."""
    steps, expected = [], []
    for _ in range(pixels):
        sums = [0] * TINY.lanes
        for left in range(rng.randrange(1, 12), 0, -1):
            step = rng.random() < 0.7
            last = left == 1
            if extreme:
                acts, weights = [15] * TINY.slots, [[-8] * TINY.lanes] * TINY.slots
            else:
                acts = [rng.randrange(-8, 16) for _ in range(TINY.slots)]
                weights = [[rng.randrange(-8, 8) for _ in range(TINY.lanes)] for _ in range(TINY.slots)]
            if not step:
                acts = [0] * TINY.slots
            for lane in range(TINY.lanes):
                sums[lane] += sum(act * row[lane] for act, row in zip(acts, weights, strict=True))
            steps.append((step, last, acts, weights))
        expected.append((len(steps) - 1 + MacArray.LATENCY, sums))
    return steps, expected


@pytest.mark.parametrize("extreme", [False, True])
def test_sums_every_pixel_with_the_stated_latency(extreme):
    steps, expected = random_steps(random.Random(1), 40, extreme)
    assert run(steps) == expected


def test_accumulates_the_longest_dot_product():
    longest = 9 * TINY.slot_channels
    step = (1, 0, [15] * TINY.slots, [[-8] * TINY.lanes] * TINY.slots)
    steps = [step] * (longest - 1) + [(1, 1, *step[2:])]
    ((_, sums),) = run(steps)
    assert sums == [-9 * TINY.max_channels * 120] * TINY.lanes


def test_emits_verilog():
    assert emits_verilog(MacArray(TINY), "mac_array")
