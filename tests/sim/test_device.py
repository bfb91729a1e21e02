"""Layers through the compiled `tiny` accelerator, against the golden model."""

import numpy as np
import pytest

from sqdm.errors import DeviceError
from sqdm.golden import layout
from sqdm.golden.detector import assign_channels, channel_counts
from sqdm.golden.engine import GoldenEngine
from sqdm.golden.vectors import random_job
from sqdm.rtl.registers import COUNTERS, STALLS, Policy
from sqdm.sim.device import Device
from sqdm.sim.layer import LayerRun, Plan

#: seed, (C, K, H, W), kernel, images, zeros, signed, requantised
CASES = [
    (1, (1, 1, 1, 1), 1, 1, 0.0, False, False),
    (2, (1, 5, 3, 4), 3, 2, 0.5, False, True),
    (3, (7, 17, 5, 5), 3, 3, 0.7, True, True),
    (4, (33, 20, 4, 4), 1, 2, 0.3, True, False),
    (5, (64, 64, 8, 8), 3, 2, 0.65, False, True),
    (6, (20, 16, 8, 2), 3, 1, 1.0, False, True),
    (7, (20, 40, 2, 8), 3, 4, 0.0, False, False),
    (8, (16, 64, 16, 16), 3, 1, 0.9, False, True),
]


def run_of(job, **options):
    return LayerRun(job.acts, job.signed, job.weights, job.requant, **options)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("seed", "shape", "kernel", "images", "zeros", "signed", "requant"), CASES)
def test_outputs_equal_golden(device, seed, shape, kernel, images, zeros, signed, requant, policy):
    job = random_job(seed, *shape, kernel, zeros, images, signed, requant)
    result = device.run_layer(run_of(job, policy=policy))
    golden = GoldenEngine().conv(job)
    assert result.outputs.dtype == golden.dtype
    np.testing.assert_array_equal(result.outputs, golden)
    counters = result.counters
    assert set(counters) == set(COUNTERS)
    assert counters["CYCLES"] == counters["ACTIVE"] + sum(counters[name] for name in STALLS)
    assert counters["NONZEROS"] == np.count_nonzero(job.acts)


def test_random_shapes_equal_golden(device):
    draw = np.random.default_rng(7)
    compared = 0
    for seed in range(100, 125):
        shape = [int(draw.integers(1, high)) for high in (40, 40, 9, 9)]
        kernel, images = int(draw.choice((1, 3))), int(draw.integers(1, 5))
        job = random_job(seed, *shape, kernel, float(draw.random()), images, bool(seed % 3 == 0), bool(seed % 2))
        result = device.run_layer(run_of(job, policy=Policy(seed % 4), scan=bool(seed % 5)))
        np.testing.assert_array_equal(result.outputs, GoldenEngine().conv(job), err_msg=f"seed {seed}, {shape}")
        compared += result.outputs.size
    assert compared > 10_000
    print(f"{device.cycles / device.seconds:,.0f} cycles/s")


@pytest.mark.parametrize("policy", Policy)
def test_update_stores_the_golden_table(device, tiny, policy):
    job = random_job(11, 40, 16, 6, 6, 3, 0.6, 2)
    acts = job.acts.copy()
    acts[:, ::3] = np.minimum(acts[:, ::3], 1) * (np.arange(36).reshape(6, 6) % 5 == 0)  # channels that differ
    result = device.run_layer(LayerRun(acts, False, job.weights, job.requant, policy, scan=False, update=True))
    plan = Plan(LayerRun(acts, False, job.weights, job.requant, policy), tiny)
    order, dense = assign_channels(
        channel_counts(acts),
        policy,
        plan.registers["SPARSE_COUNT"],
        plan.registers["COUNT_SHIFT"],
        acts[:, 0].size,
        tiny.dense_slots,
        tiny.sparse_slots,
    )
    np.testing.assert_array_equal(result.table, layout.pack_table(order, dense, tiny))
    again = device.run_layer(run_of(job, policy=policy, scan=False, table=result.table))
    assert again.counters["DENSE_CHANNELS"] == dense


def test_cycle_limit_raises_and_device_recovers(device):
    job = random_job(3, 8, 16, 4, 4)
    plan = Plan(run_of(job), device.config)
    for name, value in plan.registers.items():
        device.write(name, value)
    with pytest.raises(DeviceError, match=r"cycle limit \(10\)"):
        device.start(10)
    np.testing.assert_array_equal(device.run_layer(run_of(job)).outputs, GoldenEngine().conv(job))


def test_address_outside_memory_raises_and_device_recovers(device):
    job = random_job(3, 8, 16, 4, 4)
    for name, value in Plan(run_of(job), device.config).registers.items():
        device.write(name, value)
    device.write("ACT_BASE", 0x7FFFFF00)
    with pytest.raises(DeviceError, match="outside the memory"):
        device.start(100_000)
    np.testing.assert_array_equal(device.run_layer(run_of(job)).outputs, GoldenEngine().conv(job))


def test_bad_table_is_an_error(device, tiny):
    job = random_job(3, 8, 16, 4, 4)
    table = layout.pack_table(np.arange(8) + 1, 4, tiny)
    with pytest.raises(DeviceError, match="BAD_TABLE"):
        device.run_layer(run_of(job, scan=False, table=table))


def test_latency_costs_cycles_not_results(tiny, device):
    job = random_job(5, 16, 16, 4, 4)
    slow = Device(tiny, latency=300)
    near, far = device.run_layer(run_of(job)), slow.run_layer(run_of(job))
    np.testing.assert_array_equal(near.outputs, far.outputs)
    assert far.counters["CYCLES"] >= near.counters["CYCLES"] + 280


def test_memory_traffic_is_counted(device, tiny):
    job = random_job(9, 16, 16, 4, 4)
    counters = device.run_layer(run_of(job, scan=False)).counters
    shape = Plan(run_of(job), tiny).shape
    table = shape.table_bytes // tiny.bus_bytes
    assert counters["READS"] == table + shape.param_words + 16 * shape.weight_words + 16 * shape.act_words
    assert counters["WRITES"] == 16 * shape.out_words(False)
