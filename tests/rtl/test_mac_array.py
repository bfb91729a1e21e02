"""MacArray against explicit sums."""

import random

import pytest
from streams import emits_verilog, simulate

from sqdm.rtl.config import PRESETS
from sqdm.rtl.mac_array import MacArray

TINY = PRESETS["tiny"]


def run(steps):
    """Drives (step, last, shift, acts, weights) one per cycle; returns the (cycle, psums) that came out."""
    device = MacArray(TINY)
    seen = []

    async def drive(ctx):
        for step, last, shift, acts, weights in steps:
            ctx.set(device.step, step)
            ctx.set(device.last, last)
            ctx.set(device.shift, shift)
            for slot in range(TINY.slots):
                ctx.set(device.acts[slot], acts[slot])
                for lane in range(TINY.lanes):
                    ctx.set(device.weights[slot][lane], weights[slot][lane])
            await ctx.tick()
        ctx.set(device.step, 0)
        ctx.set(device.last, 0)
        ctx.set(device.shift, 0)
        await ctx.tick().repeat(4)

    async def monitor(ctx):
        for cycle in range(len(steps) + 3):
            _, _, valid, psums = await ctx.tick().sample(device.psums_valid, device.psums)
            if valid:
                seen.append((cycle, [psums[lane] for lane in range(TINY.lanes)]))

    simulate(device, drive, monitor)
    return seen


def random_steps(rng, pixels, extreme=False, shifts=False):
    """Pixels of random length; about a third of the cycles carry no operand, some pixels none at all.

    With ``shifts`` about a fifth of the cycles but the last multiply the sum by 16.
    """
    steps, expected = [], []
    for _ in range(pixels):
        sums = [0] * TINY.lanes
        for left in range(rng.randrange(1, 12), 0, -1):
            step = rng.random() < 0.7
            last = left == 1
            shift = shifts and not last and rng.random() < 0.2 and max(map(abs, sums)) < 1 << 12
            if extreme:
                acts, weights = [15] * TINY.slots, [[-8] * TINY.lanes] * TINY.slots
            else:
                acts = [rng.randrange(-8, 16) for _ in range(TINY.slots)]
                weights = [[rng.randrange(-8, 8) for _ in range(TINY.lanes)] for _ in range(TINY.slots)]
            if not step:
                acts = [0] * TINY.slots
            for lane in range(TINY.lanes):
                sums[lane] += sum(act * row[lane] for act, row in zip(acts, weights, strict=True))
            if shift:
                sums = [16 * value for value in sums]
            steps.append((step, last, shift, acts, weights))
        expected.append((len(steps) - 1 + MacArray.LATENCY, sums))
    return steps, expected


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("shifts", [False, True])
def test_sums_every_pixel_with_the_stated_latency(extreme, shifts):
    steps, expected = random_steps(random.Random(1), 40, extreme, shifts)
    assert run(steps) == expected


def test_accumulates_the_longest_dot_product():
    longest = 9 * TINY.slot_channels
    operands = ([15] * TINY.slots, [[-8] * TINY.lanes] * TINY.slots)
    steps = [(1, 0, 0, *operands)] * (longest - 1) + [(1, 1, 0, *operands)]
    ((_, sums),) = run(steps)
    assert sums == [-9 * TINY.max_channels * 120] * TINY.lanes


def test_sums_wrap_on_the_way():
    """A sum that leaves the accumulator's range is exact modulo its range: it may come back."""
    acts, weights = [15] * TINY.slots, [[7] * TINY.lanes] * TINY.slots
    steps = [(1, number < 6, acts, weights) for number in range(9)]
    total = 0
    for _, shift, *_operands in steps:
        total = (total + 105 * TINY.slots) * (16 if shift else 1)
    half = 1 << TINY.acc_bits - 1
    assert total >= half
    ((_, sums),) = run([(step, number == 8, *rest) for number, (step, *rest) in enumerate(steps)])
    assert sums == [(total + half) % (2 * half) - half] * TINY.lanes


def test_emits_verilog():
    assert emits_verilog(MacArray(TINY), "mac_array")
