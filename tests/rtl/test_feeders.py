"""How many jobs a feeder takes before it has finished one: the job scheduler counts them in as many bits."""

import pytest
from amaranth.sim import Simulator

from sqdm.rtl.config import PRESETS
from sqdm.rtl.dense_feeder import DenseFeeder
from sqdm.rtl.feeder import JOBS_AHEAD
from sqdm.rtl.sparse_feeder import SparseFeeder

#: One pixel, one channel a slot: every job is a single word, the shortest there is.
JOB = {"height": 1, "width": 1, "channels_low": 1, "plane_rows": 16, "groups": 1, "high_rows": 16}


@pytest.mark.parametrize("feeder_class", [DenseFeeder, SparseFeeder])
@pytest.mark.parametrize("word", [[1] + [0] * 15, [0] * 16])
def test_takes_at_most_jobs_ahead(feeder_class, word):
    feeder = feeder_class(PRESETS["tiny"])
    taken = finished = 0

    async def cycles(ctx, count):
        nonlocal taken, finished
        for _ in range(count):
            *_, valid, ready, ends = await ctx.tick().sample(feeder.jobs.valid, feeder.jobs.ready, feeder.finished)
            taken += valid & ready
            finished += ends

    async def bench(ctx):
        ctx.set(feeder.jobs.payload, JOB)
        ctx.set(feeder.act_words, [word] * PRESETS["tiny"].slots)
        ctx.set(feeder.jobs.valid, 1)
        await cycles(ctx, 100)
        assert finished == 0
        assert 1 < taken <= JOBS_AHEAD
        ctx.set(feeder.jobs.valid, 0)
        ctx.set(feeder.room, 1)
        await cycles(ctx, 100)
        assert finished == taken

    simulator = Simulator(feeder)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("feeder_class", [DenseFeeder, SparseFeeder])
@pytest.mark.parametrize("channels", [0, 1, 4, 5, 16, 17, 27])
def test_reads_quarters_that_hold_channels(feeder_class, channels):
    feeder = feeder_class(PRESETS["tiny"])
    read = []

    async def bench(ctx):
        job = JOB | {"channels_low": channels, "groups": 2, "plane_rows": 16, "high_rows": 32}
        ctx.set(feeder.jobs.payload, job)
        ctx.set(feeder.act_words, [[3] * 16] * PRESETS["tiny"].slots)  # also what is not read
        ctx.set(feeder.jobs.valid, 1)
        ctx.set(feeder.room, 1)
        operands = 0
        for cycle in range(60):
            *_, reads, ops = await ctx.tick().sample(feeder.act_reads[0], feeder.ops)
            ctx.set(feeder.jobs.valid, int(cycle < 1))
            operands += ops
            if reads:
                read.append(reads)
        filled = channels if feeder_class is DenseFeeder else -(-channels // 4) * 4  # the rest of a quarter is zeros
        assert operands == filled * PRESETS["tiny"].slots

    simulator = Simulator(feeder)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    words = [min(16, channels - first) for first in range(0, channels, 16)]
    assert read == [(1 << -(-held // 4)) - 1 for held in words]
