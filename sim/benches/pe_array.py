"""Dense and sparse PE array: partial sums against the golden convolution, cycles against the specification."""

import cocotb
import numpy as np

from sqdm.golden.detector import assign_channels, channel_counts
from sqdm.rtl.registers import Policy
from sqdm.sim.lib import real_layers
from sqdm.sim.lib.bench import RUN_BROKEN, VECTORS
from sqdm.sim.lib.faults import FAULTS
from sqdm.sim.lib.pe_bench import Job, PeBench
from sqdm.sim.lib.real_layers import REAL_LAYERS
from sqdm.sim.lib.workload import FILLS, activations

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=FILLS, kernel=[1, 3])
async def psums_equal_golden_convolution(dut, fill, kernel):
    tb = PeBench(dut)
    await tb.run([tb.job(channels, (5, 7), kernel, fill) for channels in (1, 6, 16)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(size=[(1, 1), (3, 1), (1, 5), (2, 2), (5, 7)], kernel=[1, 3])
async def odd_sizes(dut, size, kernel):
    tb = PeBench(dut, back_pressure="even")
    await tb.run([tb.job(channels, size, kernel, "mixed") for channels in (1, 5, 0, 9)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=["random", "extreme"])
async def signed_activations(dut, fill):
    tb = PeBench(dut)
    await tb.run([tb.job(7, (3, 4), kernel, fill, signed=True) for kernel in (1, 3)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=["random", "sparse", "mixed"])
async def several_groups_of_channels(dut, fill):
    tb = PeBench(dut, back_pressure="bursts")
    slots = tb.config.slots
    await tb.run([tb.job(slots * count - 1, (4, 3), kernel, fill) for count, kernel in ((17, 3), (48, 1), (33, 3))])


@cocotb.test(**TIMEOUT)
async def no_channels_give_zero_psums(dut):
    tb = PeBench(dut, back_pressure="even")
    sizes = ((1, 1), (4, 4), (8, 5))
    await tb.run([tb.job(channels, size, 3) for size in sizes for channels in (0, 4)])


@cocotb.test(**TIMEOUT)
async def largest_map_and_deepest_slot(dut):
    tb = PeBench(dut)
    side = min(tb.config.max_size, int(tb.config.act_rows**0.5))
    deepest = tb.job(tb.config.slots * tb.config.slot_channels, (2, 2), 3, "extreme")
    await tb.run([tb.job(2, (side, side), 1, "sparse"), deepest])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=["steady", "even", "bursts"], back_pressure=["steady", "even", "rare", "bursts"])
async def idle_and_back_pressure_change_nothing(dut, idle, back_pressure):
    tb = PeBench(dut, idle, back_pressure)
    jobs = []
    for number in range(6):
        size, kernel = (tb.rng.randint(1, 5), tb.rng.randint(1, 5)), tb.rng.choice([1, 3])
        jobs.append(tb.job(tb.rng.randint(0, 12), size, kernel, "mixed", signed=number % 2 == 1))
    await tb.run(jobs)


@cocotb.test(**TIMEOUT)
async def images_share_one_weight_load(dut):
    tb = PeBench(dut, back_pressure="even")
    jobs = []
    for _tile in range(3):
        first = tb.job(10, (3, 3), 3)
        jobs.append(first)
        for _image in range(3):
            acts = activations(tb.data_rng, (1, *first.acts.shape), "random")[0]
            jobs.append(Job(tb.config, acts, first.weights, new_weights=False))
    await tb.run(jobs)


@cocotb.test(**TIMEOUT)
async def valid_does_not_wait_for_ready(dut):
    tb = PeBench(dut)
    tb.psums.after_valid = True
    await tb.run([tb.job(5, (4, 4), 3) for _ in range(3)])


@cocotb.test(**TIMEOUT)
async def blocked_only_while_the_queue_is_full(dut):
    tb = PeBench(dut)
    await tb.start()
    await tb.load(tb.job(4 * tb.config.slots, (4, 4), 3, "full"))
    await tb.finish()
    assert tb.blocked == 0, "blocked although every partial sum was taken at once"
    tb.psums.pace = lambda: False
    side = int((2 * tb.config.psum_depth) ** 0.5) + 1
    await tb.load(tb.job(tb.config.slots, (side, side), 1, "full"))
    await tb.until(lambda: tb.blocked, 2_000, "blocked while nothing is taken")
    ops = tb.total_ops
    await tb.cycles(200)
    assert tb.total_ops - ops <= 2 * tb.config.slots * tb.config.psum_depth, "still multiplying while blocked"
    tb.psums.pace = lambda: True
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def steady_state_multiplies_every_cycle(dut):
    tb = PeBench(dut)
    job = tb.job(16 * tb.config.slots, (6, 6), 3, "full")
    await tb.run([job])
    busy = tb.busy_cycles
    if tb.sparse:
        least = job.sparse_steps()
        assert least <= len(busy) and busy[-1] - busy[0] < 1.1 * least + 40, (
            f"{busy[-1] - busy[0] + 1} cycles, {least} needed"
        )
    else:
        assert len(busy) == job.dense_steps()
        assert busy[-1] - busy[0] + 1 == len(busy), "a dense array paused in mid-job"


@cocotb.test(**TIMEOUT)
async def sparse_cycles_follow_the_busiest_slot(dut):
    tb = PeBench(dut)
    job = tb.job(16 * tb.config.slots, (6, 6), 3, "random")
    await tb.run([job])
    span = tb.busy_cycles[-1] - tb.busy_cycles[0] + 1
    least = job.sparse_steps() if tb.sparse else job.dense_steps()
    assert least <= span < 1.35 * least + 40, f"{span} cycles, {least} needed"


@cocotb.test(**TIMEOUT)
async def reset_in_mid_job_leaves_a_working_array(dut):
    tb = PeBench(dut, back_pressure="rare")
    await tb.start()
    await tb.load(tb.job(8, (6, 6), 3, "full"))
    await tb.cycles(40)
    again = PeBench(dut, back_pressure="even")
    await again.reset()
    await again.run([again.job(6, (4, 5), 3), again.job(3, (2, 2), 1)], started=True)


@cocotb.test(skip=not VECTORS, **TIMEOUT)
@cocotb.parametrize(number=range(len(REAL_LAYERS)))
async def real_layer(dut, number):
    """The channels that the balanced split gives to this kind of array, first image, first and last output tile."""
    tb = PeBench(dut, back_pressure="even")
    job, config = real_layers.load(VECTORS, number), tb.config
    counts = channel_counts(job.acts[:1])
    pools = (config.dense_slots, config.sparse_slots)
    order, dense = assign_channels(counts, Policy.BALANCED, 0, 0, job.acts[0, 0].size, *pools)
    channels = order[dense:] if tb.sparse else order[:dense]
    lanes, tiles = config.lanes, -(-len(job.weights) // config.lanes)
    jobs = []
    for tile in sorted({0, tiles - 1}):
        kernels = np.zeros((lanes, *job.weights.shape[1:]), np.int8)
        part = job.weights[tile * lanes : (tile + 1) * lanes]
        kernels[: len(part)] = part
        jobs.append(Job(config, job.acts[0, channels], kernels[:, channels], job.signed))
    await tb.run(jobs)


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=FAULTS)
async def broken_device(dut, fault):
    tb = PeBench(dut, back_pressure="even")
    tb.fault = fault
    await tb.run([tb.job(5, (3, 3), 3), tb.job(4, (2, 2), 1)])
