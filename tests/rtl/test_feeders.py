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
