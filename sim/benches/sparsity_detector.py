"""Sparsity detector: channel tables and labels against the reference model."""

import cocotb

from sqdm.rtl.config import COUNT_BITS
from sqdm.rtl.registers import Policy
from sqdm.sim.lib import real_layers
from sqdm.sim.lib.bench import RUN_BROKEN, VECTORS
from sqdm.sim.lib.detector_bench import DetectorBench
from sqdm.sim.lib.faults import FAULTS, Fault
from sqdm.sim.lib.real_layers import REAL_LAYERS

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(policy=list(Policy), channels=[1, 2, 17, 48])
async def tables_equal_golden_sort(dut, policy, channels):
    tb = DetectorBench(dut)
    await tb.start()
    for _ in range(3):
        await tb.count([tb.rng.choice([0, 1, 5, 5, tb.rng.randint(0, 64), 64]) for _ in range(channels)])
        await tb.sort(channels, policy, tb.rng.randint(0, 64), tb.rng.randint(0, 3), 64)
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=["steady", "even", "bursts"], back_pressure=["steady", "even", "rare"])
async def idle_and_back_pressure_change_nothing(dut, idle, back_pressure):
    tb = DetectorBench(dut, idle, back_pressure)
    await tb.start()
    for _ in range(4):
        channels = tb.rng.randint(1, 32)
        await tb.count([tb.rng.randint(0, 50) for _ in range(channels)], interleave=True)
        await tb.random_sorts(3, channels, 50)
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(counts=["zero", "full", "equal", "ascending", "descending"])
async def corner_counts(dut, counts):
    tb = DetectorBench(dut)
    await tb.start()
    channels = 24
    await tb.count({
        "zero": [0] * channels, "full": [64] * channels, "equal": [7] * channels,
        "ascending": list(range(channels)), "descending": list(range(channels, 0, -1)),
    }[counts])  # fmt: skip
    for policy in Policy:
        for sparse_count in (0, 7, 63, 64):
            await tb.sort(channels, policy, sparse_count, 1, 64)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def most_channels(dut):
    tb = DetectorBench(dut)
    await tb.start()
    channels = tb.config.max_channels
    await tb.count([tb.rng.randint(0, 40) for _ in range(channels)], interleave=True)
    await tb.random_sorts(6, channels, 40)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def largest_counts(dut):
    tb = DetectorBench(dut)
    await tb.start()
    top = (1 << COUNT_BITS) - 1
    await tb.count([top, 0, top, 33_000])
    for policy in Policy:
        for sparse_count, count_shift, pixels in ((top, 15, top), (top - 1, 11, top), (33_000, 11, 1), (0, 0, 16_384)):
            await tb.sort(4, policy, sparse_count, count_shift, pixels)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def balanced_split_with_many_pixel_counts(dut):
    tb = DetectorBench(dut)
    await tb.start()
    channels = 40
    counts = [tb.rng.randint(0, 64) for _ in range(channels)]
    await tb.count(counts)
    for pixels in (*range(1, 64, 5), 64, 100, 200, 400, 1000, 65535):
        await tb.sort(channels, Policy.BALANCED, 0, 1, pixels)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def first_word_restarts_only_its_own_channel(dut):
    tb = DetectorBench(dut)
    await tb.start()
    await tb.count([30, 40, 50])
    await tb.send_words([tb.word(1, 5, True), tb.word(1, 6, False), tb.word(1, 16, False)])
    tb.counts[0, 1] = 27
    await tb.sort(3, Policy.THRESHOLD, 28)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def planes_do_not_mix(dut):
    tb = DetectorBench(dut)
    await tb.start()
    for channels in (20, 7):
        await tb.count([tb.rng.randint(0, 48) for _ in range(channels)], interleave=True, planes=(0, 1))
        restarted = [tb.rng.randint(0, 16) for _ in range(channels)]
        await tb.send_words([tb.word(channel, count, True, 1) for channel, count in enumerate(restarted)])
        tb.counts[1, :channels] = restarted
        for plane in (1, 0, 0, 1):
            await tb.random_sorts(1, channels, 48, plane)
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(policy=list(Policy))
async def no_slot_gets_more_than_slot_channels(dut, policy):
    tb = DetectorBench(dut)
    await tb.start()
    for channels in (1, 8, 30):
        await tb.count([tb.rng.randint(0, 64) for _ in range(channels)])
        for depth in tb.depths(channels):
            await tb.sort(channels, policy, 32, 1, 64, depth)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def fewer_channels_than_before(dut):
    tb = DetectorBench(dut)
    await tb.start()
    for channels in (32, 5, 1, 20):
        await tb.count([tb.rng.randint(0, 32) for _ in range(channels)])
        await tb.random_sorts(2, channels, 32)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def label_valid_does_not_wait_for_ready(dut):
    tb = DetectorBench(dut)
    tb.labels.after_valid = True
    await tb.start()
    await tb.count([3, 1, 2])
    await tb.random_sorts(4, 3, 3)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def reset_in_mid_sort_leaves_a_working_detector(dut):
    tb = DetectorBench(dut)
    await tb.start()
    await tb.count([tb.rng.randint(0, 32) for _ in range(30)])
    command = {"plane": 0, "channels": 30, "slot_channels": 20, "policy": Policy.BALANCED}
    tb.commands.send([command | {"sparse_count": 3, "count_shift": 1, "pixels": 32}])
    await tb.cycles(25)
    again = DetectorBench(dut)
    await again.reset()
    await again.count([again.rng.randint(0, 32) for _ in range(12)])
    await again.random_sorts(4, 12, 32)
    await again.finish()


@cocotb.test(skip=not VECTORS, **TIMEOUT)
@cocotb.parametrize(number=range(len(REAL_LAYERS)))
async def real_layer(dut, number):
    tb = DetectorBench(dut, idle="even", back_pressure="even")
    await tb.start()
    acts = real_layers.load(VECTORS, number).acts[:, : tb.config.max_channels]
    await tb.count_activations(acts)
    pixels = acts[:, 0].size
    for policy in Policy:
        await tb.sort(acts.shape[1], policy, pixels * 7 // 10, max(0, pixels.bit_length() - 5), pixels)
    await tb.finish()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=[fault for fault in FAULTS if fault != Fault.UNSTEADY])
async def broken_device(dut, fault):
    tb = DetectorBench(dut)
    tb.fault = fault
    await tb.start()
    await tb.count([3, 9, 1, 0, 7, 5])
    await tb.random_sorts(3, 6, 9)
    await tb.finish()
