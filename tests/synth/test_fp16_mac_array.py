"""The FP16 array of the baselines: bit for bit numpy's FP32 arithmetic."""

import random

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from sqdm.errors import UserError
from sqdm.synth.baselines.floating_point import INFINITY, NEGATIVE_ZERO, QUIET_NAN
from sqdm.synth.baselines.fp16_mac_array import Fp16MacArray
from sqdm.synth.baselines.fp16_multiplier import Fp16Multiplier
from sqdm.synth.baselines.fp32_adder import Fp32Adder

#: FP16: zeros, subnormals, the smallest and the largest normal numbers, ones, infinities, quiet and signalling NaN
CORNERS16 = [
    s | x for s in (0, 0x8000) for x in (0, 1, 0x3FF, 0x400, 0x401, 0x3C00, 0x3C01, 0x7BFF, 0x7C00, 0x7D00, 0x7E01)
]
CORNERS32 = [
    s | x
    for s in (0, NEGATIVE_ZERO)
    for x in (0, 1, 0x7FFFFF, 0x800000, 0x800001, 0xC00000, 0x1000000, 0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x4B7FFFFF,
              0x73000000, 0x72FFFFFF, 0x7F7FFFFF, INFINITY, INFINITY + 1, QUIET_NAN)
]  # fmt: skip


def floats(bits, half=False):
    """FP32 numbers from FP32 or FP16 bits; subnormal ones become zeros of their sign."""
    if half:
        bits = np.array(bits, np.uint16)
        bits = np.where(bits & 0x7C00, bits, bits & 0x8000).astype(np.uint16)
        return bits.view(np.float16).astype(np.float32)
    bits = np.array(bits, np.uint32)
    return np.where(bits & INFINITY, bits, bits & NEGATIVE_ZERO).astype(np.uint32).view(np.float32)


def bits_of(numbers):
    """FP32 bits; one NaN, and zeros instead of subnormals."""
    numbers = np.asarray(numbers, np.float32)
    bits = np.where(np.isnan(numbers), QUIET_NAN, numbers.view(np.uint32))
    return np.where(bits & INFINITY, bits, bits & NEGATIVE_ZERO).tolist()


def pipelined(device, operands, names, result, latency):
    """Presents one tuple of `operands` per cycle; the results, each ``latency`` cycles later."""
    seen = []

    async def bench(ctx):
        for cycle in range(len(operands) + latency):
            for name, value in zip(names, operands[min(cycle, len(operands) - 1)], strict=True):
                ctx.set(Value.cast(getattr(device, name)), value)
            if cycle >= latency:
                seen.append(ctx.get(Value.cast(getattr(device, result))))
            await ctx.tick()

    sim = Simulator(device)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return seen


def close_pairs(rng, count):
    """Pairs of FP32 numbers whose exponents differ by few bits or by about a significand, half of opposite signs."""
    pairs = []
    for _ in range(count):
        a = rng.getrandbits(32)
        exponent = (a >> 23 & 0xFF) + rng.choice((0, 0, 1, -1, 2, rng.randrange(-28, 29)))
        fraction = rng.choice((a & 0x7FFFFF, rng.getrandbits(23), 0, 0x7FFFFF, 1 << rng.randrange(23)))
        pairs.append((a, rng.getrandbits(1) << 31 | min(max(exponent, 0), 255) << 23 | fraction))
    return pairs


@np.errstate(all="ignore")
def test_adder_is_numpys():
    rng = random.Random(1)
    pairs = [(a, b) for a in CORNERS32 for b in CORNERS32] + close_pairs(rng, 4000)
    pairs += [(rng.getrandbits(32), rng.getrandbits(32)) for _ in range(1000)]
    a, b = (floats(column) for column in zip(*pairs, strict=True))
    assert pipelined(Fp32Adder(), pairs, ("a", "b"), "total", Fp32Adder.LATENCY) == bits_of(a + b)


@np.errstate(all="ignore")
def test_multiplier_is_exact():
    rng = random.Random(2)
    pairs = [(a, b) for a in CORNERS16 for b in CORNERS16]
    pairs += [(rng.getrandbits(16), rng.getrandbits(16)) for _ in range(3000)]
    a, b = (floats(column, half=True) for column in zip(*pairs, strict=True))
    device = Fp16Multiplier()
    steps = [(1, *pair) for pair in pairs]
    expected = bits_of(a.astype(np.float64) * b)
    assert expected == bits_of(a * b)
    assert pipelined(device, steps, ("step", "act", "weight"), "product", device.LATENCY) == expected


def random_steps(rng, slots, lanes, cycles, numbers):
    """(step, last, acts, weights) for each cycle; turns close at random and all of them at the end."""
    steps = []
    for cycle in range(cycles):
        step, last = rng.random() < 0.8, rng.random() < 0.15 or cycle >= cycles - Fp16MacArray.TURNS
        acts = [numbers() for _ in range(slots)]
        weights = [[numbers() for _ in range(lanes)] for _ in range(slots)]
        steps.append((step, last, acts, weights))
    return steps


def reference(steps, slots, lanes):
    """FP32 bits of the psums of every closed pixel, in the order in which they are closed."""
    turns, closed = Fp16MacArray.TURNS, []
    sums = np.full((turns, lanes), -0.0, np.float32)
    for cycle, (step, last, acts, weights) in enumerate(steps):
        turn = cycle % turns
        if step:
            terms = list(floats(acts, half=True)[:, None] * floats(weights, half=True))
            while len(terms) > 1:
                terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=True)]
            sums[turn] += terms[0]
        if last:
            closed.append((cycle, bits_of(sums[turn])))
            sums[turn] = -0.0
    return closed


def run(device, steps, slots, lanes):
    """(cycle, psums) of every closed pixel."""
    seen = []

    async def bench(ctx):
        for cycle in range(len(steps) + device.latency):
            step, last, acts, weights = steps[cycle] if cycle < len(steps) else (0, 0, *steps[-1][2:])
            ctx.set(device.step, step)
            ctx.set(device.last, last)
            for slot in range(slots):
                ctx.set(device.acts[slot].as_value(), acts[slot])
                for lane in range(lanes):
                    ctx.set(device.weights[slot][lane].as_value(), weights[slot][lane])
            if ctx.get(device.psums_valid):
                seen.append((cycle - device.latency, [ctx.get(device.psums[i].as_value()) for i in range(lanes)]))
            await ctx.tick()

    sim = Simulator(device)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return seen


@pytest.mark.parametrize(("slots", "lanes", "cycles"), [(1, 3, 300), (4, 1, 200)])
@pytest.mark.parametrize("corners", [False, True])
@np.errstate(all="ignore")
def test_array_is_numpys(slots, lanes, cycles, corners):
    rng = random.Random(slots + corners)

    def numbers():
        if corners and rng.random() < 0.1:
            return rng.choice(CORNERS16)
        return rng.getrandbits(1) << 15 | rng.randrange(8, 22) << 10 | rng.getrandbits(10)

    steps = random_steps(rng, slots, lanes, cycles, numbers)
    expected = reference(steps, slots, lanes)
    assert len(expected) > cycles // 8
    assert run(Fp16MacArray(slots, lanes), steps, slots, lanes) == expected


def test_long_sums_are_numpys():
    """Pixels of 576 products (9 taps of 64 channels), one for each turn: every rounding of the sums counts."""
    rng = np.random.default_rng(5)
    cycles = 576 * Fp16MacArray.TURNS
    acts, weights = (rng.normal(size=cycles).astype(np.float16).view(np.uint16).tolist() for _ in range(2))
    steps = [(1, t >= cycles - Fp16MacArray.TURNS, [acts[t]], [[weights[t]]]) for t in range(cycles)]
    expected = reference(steps, 1, 1)
    assert len(expected) == Fp16MacArray.TURNS
    assert run(Fp16MacArray(1, 1), steps, 1, 1) == expected


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("slots", "lanes", "word"), [(3, 1, "slots"), (0, 1, "slots"), (1, 0, "lanes")])
def test_refuses_wrong_sizes(slots, lanes, word):
    with pytest.raises(UserError, match=f"{word} must be"):
        Fp16MacArray(slots, lanes)
