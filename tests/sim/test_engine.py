"""The RTL engine: periods, batches, checks and the dense reference."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sqdm.errors import UserError
from sqdm.golden.engine import GoldenEngine
from sqdm.golden.vectors import random_job
from sqdm.rtl.registers import Policy
from sqdm.sim.engine import RtlEngine, dense_equivalent


def evaluations(count, images=2):
    """The same layer with other activations each time."""
    first = random_job(50, 12, 20, 5, 5, zero_fraction=0.5, batch=images)
    for seed in range(count):
        acts = random_job(60 + seed, 12, 20, 5, 5, zero_fraction=0.2 + 0.1 * seed, batch=images).acts
        yield replace(first, name="layer", acts=acts)


@pytest.mark.parametrize("policy", [Policy.THRESHOLD, Policy.BALANCED])
@pytest.mark.parametrize("period", [1, 2, 4])
def test_periods_give_golden_outputs(device, policy, period):
    engine = RtlEngine(device, policy, period)
    tables = []
    for job in evaluations(5):
        np.testing.assert_array_equal(engine.conv(job), GoldenEngine().conv(job))
        tables.append(engine.layers["layer"].tables[0].tobytes())
    stats = engine.layers["layer"]
    assert stats.runs == 5
    assert stats.mismatches == 0
    assert stats.outputs_compared == 5 * 2 * 20 * 25
    changed = [a != b for a, b in pairwise(tables)]
    assert not any(change for run, change in enumerate(changed, 1) if run % period)
    assert any(changed[run - 1] for run in range(period, 5, period))


def test_batch_above_the_limit_is_split(device, dense_device):
    engine = RtlEngine(device, dense=dense_device)
    job = next(evaluations(1, images=device.config.max_images + 3))
    np.testing.assert_array_equal(engine.conv(job), GoldenEngine().conv(job))
    stats = engine.layers["layer"]
    assert sorted(stats.tables) == [0, device.config.max_images]
    assert stats.runs == 1
    assert stats.macs == job.macs
    assert len(stats.dense_cycles) == 1


def test_dense_cycles_do_not_depend_on_data(device, dense_device):
    engine = RtlEngine(device, dense=dense_device)
    for job in evaluations(3):
        engine.conv(job)
    stats = engine.layers["layer"]
    assert len(stats.dense_cycles) == 2
    assert stats.dense_cycles[0] == stats.dense_cycles[1] > 0
    assert stats.cycles_dense == 3 * stats.dense_cycles[0]
    assert dense_equivalent(device.config).multipliers == device.config.multipliers


def test_wrong_outputs_are_counted_and_located(device, monkeypatch):
    engine = RtlEngine(device)
    honest = device.run_layer

    def broken(run):
        result = honest(run)
        result.outputs[1, 2, 3, 4] ^= 1
        return result

    monkeypatch.setattr(device, "run_layer", broken)
    job = next(evaluations(1))
    outputs = engine.conv(job)
    assert engine.layers["layer"].mismatches == 1
    assert "(1, 2, 3, 4)" in engine.first_mismatch
    assert outputs[1, 2, 3, 4] != GoldenEngine().conv(job)[1, 2, 3, 4]


def test_statistics_count_zeros(device):
    engine = RtlEngine(device, check=False)
    job = next(evaluations(1))
    engine.conv(job)
    stats = engine.layers["layer"]
    assert stats.zeros == np.count_nonzero(job.acts == 0)
    assert stats.activations == job.acts.size
    assert stats.outputs_compared == 0


def test_period_zero_is_refused(device):
    with pytest.raises(UserError, match="period must be >= 1, not 0"):
        RtlEngine(device, period=0)
