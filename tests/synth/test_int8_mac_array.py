"""The INT8 array of the baselines against explicit sums."""

import random

import pytest
from amaranth.sim import Simulator

from sqdm.errors import UserError
from sqdm.synth.baselines.int8_mac_array import Int8MacArray


@pytest.mark.parametrize(("slots", "lanes", "acc_bits"), [(1, 3, 32), (2, 2, 20)])
def test_sums_every_pixel_with_the_stated_latency(slots, lanes, acc_bits):
    rng = random.Random(slots)
    device = Int8MacArray(slots, lanes, acc_bits)
    seen, expected, sums = [], [], [0] * lanes

    async def bench(ctx):
        for cycle in range(300):
            step, last = rng.random() < 0.8, rng.random() < 0.1
            acts = [rng.choice((-128, 127, rng.randrange(-128, 128))) for _ in range(slots)]
            weights = [[rng.choice((-128, 127, rng.randrange(-128, 128))) for _ in acts] for _ in range(lanes)]
            ctx.set(device.step, step)
            ctx.set(device.last, last)
            for slot, act in enumerate(acts):
                ctx.set(device.acts[slot], act)
                for lane in range(lanes):
                    ctx.set(device.weights[slot][lane], weights[lane][slot])
            if ctx.get(device.psums_valid):
                seen.append((cycle, [ctx.get(psum) for psum in device.psums]))
            for lane in range(lanes):
                if step:
                    sums[lane] += sum(a * w for a, w in zip(acts, weights[lane], strict=True))
            if last:
                expected.append((cycle + device.LATENCY, list(sums)))
                sums[:] = [0] * lanes
            await ctx.tick()

    sim = Simulator(device)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    expected = [entry for entry in expected if entry[0] < 300]
    assert len(expected) > 20
    assert seen == expected


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("sizes", "word"), [((3, 1), "slots"), ((1, 0), "lanes"), ((1, 1, 15), "acc_bits must be >= 16, not 15")]
)
def test_refuses_wrong_sizes(sizes, word):
    with pytest.raises(UserError, match=word):
        Int8MacArray(*sizes)
