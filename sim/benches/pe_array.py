"""Dense and sparse PE array: partial sums against the golden convolution, cycles against the specification."""

import cocotb
import numpy as np

from sqdm.rtl.dense_feeder import DenseFeeder
from sqdm.rtl.sparse_feeder import SparseFeeder
from sqdm.sim.lib import real_layers
from sqdm.sim.lib.bench import RUN_BROKEN, VECTORS
from sqdm.sim.lib.faults import FAULTS
from sqdm.sim.lib.pe_bench import PeBench
from sqdm.sim.lib.pe_job import Job, digits
from sqdm.sim.lib.real_layers import REAL_LAYERS
from sqdm.sim.lib.workload import FILLS

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=FILLS, kernel=[1, 3])
async def psums_equal_golden_convolution(dut, fill, kernel):
    tb = PeBench(dut)
    await tb.run([tb.job(channels, (5, 7), kernel, fill) for channels in (1, 6, 16)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=FILLS, signed=[False, True])
async def two_planes(dut, fill, signed):
    tb = PeBench(dut, back_pressure="even")
    await tb.run([tb.job(7, (3, 4), kernel, fill, signed, two_planes=True) for kernel in (1, 3)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=["random", "full"], kernel=[1, 3])
async def planes_have_channels_of_their_own(dut, fill, kernel):
    """Every plane deals its own channels to this array, none in the extreme, and jobs of one and two planes mix."""
    tb = PeBench(dut)
    few, many = tb.config.slots, 17 * tb.config.slots - 1
    jobs = []
    for low, high in ((0, few), (few, 0), (0, 0), (1, many), (many, 2 * few), (0, many)):
        members = [tb.rng.sample(range(many), count) for count in (low, high)]
        jobs.append(tb.job(many, (2, 3), kernel, fill, two_planes=True, low=members[0], high=members[1]))
        jobs.append(tb.job(5, (2, 2), kernel, fill))
    await tb.run(jobs)


@cocotb.test(**TIMEOUT)
async def planes_may_lie_apart(dut):
    tb = PeBench(dut)
    jobs = [tb.job(6, (2, 3), kernel, "mixed", two_planes=True, spare_groups=1) for kernel in (1, 3)]
    await tb.run([*jobs, tb.job(6, (2, 3), 3, "mixed", spare_groups=1)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(halo=[(1, 0), (0, 1), (1, 1)], two_planes=[False, True])
async def strips_with_halo_lines(dut, halo, two_planes):
    tb = PeBench(dut, back_pressure="bursts")
    sizes = ((1, 1), (1, 4), (3, 5), (4, 1))
    await tb.run([tb.job(9, size, 3, "mixed", two_planes=two_planes, halo=halo) for size in sizes])


@cocotb.test(**TIMEOUT)
async def images_go_round_the_activation_buffer(dut):
    """Images of several sizes, so that each base comes up and some images span the buffer's end."""
    tb = PeBench(dut)
    rows, jobs = 0, []
    while rows < 3 * tb.config.act_rows:
        side = 12 if rows % 32 else 16
        jobs.append(tb.job(3, (side, side), 1, "sparse", two_planes=len(jobs) % 3 == 0))
        rows += jobs[-1].rows
    await tb.run(jobs)


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
    groups = min(tb.config.max_depth, tb.config.act_rows) // 16
    flat = tb.job(16 * groups * tb.config.slots, (2, 2), 1, "sparse")
    await tb.run([tb.job(2, (side, side), 1, "sparse"), deepest, flat])


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
            jobs.append(tb.next_image(first))
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
@cocotb.parametrize(two_planes=[False, True], kernel=[1, 3], signed=[False, True])
async def without_zeros_both_kinds_take_the_same_cycles(dut, two_planes, kernel, signed):
    """64 channels without a zero, or as many as fit: at most 1% above one channel per slot and cycle, start to end."""
    tb = PeBench(dut)
    size = (8, 8) if kernel == 3 else (16, 16)
    held = tb.config.slots * tb.config.slot_channels // (1 + two_planes)
    job = tb.job(min(64, held), size, kernel, "full", signed, two_planes)
    await tb.run([job])
    least = job.dense_steps()
    assert job.sparse_steps() == least
    cycles = tb.finished_cycles[0] - tb.taken_cycles[0]
    dut._log.info("cycles: %d, at least %d", cycles, least)
    assert least <= cycles <= 1.01 * least
    assert tb.busy_cycles[-1] - tb.busy_cycles[0] + 1 == len(tb.busy_cycles) == least, "the array paused in mid-job"


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(two_planes=[False, True])
async def jobs_follow_one_another(dut, two_planes):
    """A job that waits is taken before the one before finishes: no idle cycle between them."""
    tb = PeBench(dut)
    first = tb.job(16 * tb.config.slots, (4, 4), 3, "full", two_planes=two_planes)
    jobs = [first, *(tb.next_image(first, "full") for _ in range(3))]
    await tb.run(jobs)
    assert all(taken < end for taken, end in zip(tb.taken_cycles[1:], tb.finished_cycles[:-1], strict=True))
    span = tb.busy_cycles[-1] - tb.busy_cycles[0] + 1
    assert span == len(tb.busy_cycles) == sum(job.dense_steps() for job in jobs)


@cocotb.test(**TIMEOUT)
async def a_plane_without_channels_costs_one_cycle_at_most(dut):
    tb = PeBench(dut)
    slots, pixels = tb.config.slots, 36
    jobs = [
        tb.job(4 * slots, (6, 6), 1, "full", two_planes=True, high=[]),
        tb.job(4 * slots, (6, 6), 1, "full", two_planes=True, low=[]),
        tb.job(4 * slots, (6, 6), 3, "full", two_planes=True, low=[], high=[]),
    ]
    await tb.start()
    for job in jobs:
        await tb.load(job)
        await tb.finish()
    fill = (SparseFeeder if tb.sparse else DenseFeeder).LATENCY - 1
    cycles = [end - begin for begin, end in zip(tb.taken_cycles, tb.finished_cycles, strict=True)]
    assert cycles == [4 * pixels + fill - 1, 5 * pixels + fill - 1, pixels + fill - 1]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(two_planes=[False, True])
async def sparse_cycles_follow_the_busiest_slot(dut, two_planes):
    tb = PeBench(dut)
    job = tb.job(16 * tb.config.slots, (6, 6), 3, "random", two_planes=two_planes)
    await tb.run([job])
    span = tb.busy_cycles[-1] - tb.busy_cycles[0] + 1
    least = job.sparse_steps() if tb.sparse else job.dense_steps()
    assert least <= span < 1.05 * least + 40, f"{span} cycles, {least} needed"


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
    """The busier half of each plane's channels on a dense array, the other half on a sparse one: first lines."""
    tb = PeBench(dut, back_pressure="even")
    layer, config = real_layers.load(VECTORS, number), tb.config
    wide = int(layer.acts.max()) > 15 or int(layer.acts.min()) < -8
    weights = layer.weights
    if int(abs(weights).max()) > 8:
        weights = np.concatenate(digits(weights, signed=True))
    acts = layer.acts[0, :, :8]
    members = []
    for plane in digits(acts, layer.signed) if wide else [acts]:
        busiest_first = np.argsort(-np.count_nonzero(plane, axis=(1, 2)), kind="stable")
        half = len(busiest_first) // 2
        members.append(busiest_first[half:] if tb.sparse else busiest_first[:half])
    lanes, tiles = config.lanes, -(-len(weights) // config.lanes)
    jobs = []
    for tile in sorted({0, tiles - 1}):
        kernels = np.zeros((lanes, *weights.shape[1:]), np.int8)
        part = weights[tile * lanes : (tile + 1) * lanes]
        kernels[: len(part)] = part
        jobs.append(Job(config, acts, kernels, layer.signed, wide, low=members[0], high=members[-1]))
    await tb.run(jobs)


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=FAULTS)
async def broken_device(dut, fault):
    tb = PeBench(dut, back_pressure="even")
    tb.fault = fault
    await tb.run([tb.job(5, (3, 3), 3), tb.job(4, (2, 2), 1, two_planes=True)])
