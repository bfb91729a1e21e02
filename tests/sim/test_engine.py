"""The network's engine, with the golden machine in the device's place: results, checks, batches and statistics."""

from dataclasses import replace

import numpy as np
import pytest
from machine_device import CYCLES, DENSE_CYCLES, MachineDevice, outputs_of

from sqdm.errors import UserError
from sqdm.golden import layers, sampler
from sqdm.golden.model_file import DEFAULT, load_model
from sqdm.report import figures
from sqdm.rtl.config import PRESETS
from sqdm.rtl.registers import Policy
from sqdm.sim import network_device
from sqdm.sim.engine import GoldenEngine, RtlEngine, dense_equivalent

#: Both kinds of arrays, so that tables have a split.
MIXED = PRESETS["paper"]
LABELS = np.array([3, 7, 1])
SIGMAS = (40.0, 3.0, 0.4)
FIRST = SIGMAS[:1]


@pytest.fixture(scope="module")
def arrays():
    return load_model(DEFAULT).arrays


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(network_device, "Device", MachineDevice)


def evaluate(engine, sigmas=SIGMAS, labels=LABELS):
    noise = sampler.latents(len(labels), seed=5)
    return [engine.denoise(noise * sigma, sigma, labels) for sigma in sigmas]


def assert_same_zeros(engine, golden):
    """All but the first layer's: a program takes its nine taps as channels."""
    theirs = golden.zeros.arrays()
    for name, shares in engine.zeros.arrays().items():
        if name != "conv_in":
            np.testing.assert_allclose(shares, theirs[name], atol=1e-12, err_msg=name)


def test_results_are_those_of_the_integer_network(arrays):
    engine, golden = RtlEngine(arrays, MIXED, 3), GoldenEngine(arrays)
    for mine, theirs in zip(evaluate(engine), evaluate(golden), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    compared, mismatches, first = engine.comparison()
    assert sum(compared.values()) > 500_000
    assert not mismatches
    assert first is None
    assert engine.zeros.arrays().keys() <= golden.zeros.arrays().keys()
    assert_same_zeros(engine, golden)
    four = {layer.name for layer in layers.layers() if layer.is_4x4}
    assert four <= engine.zeros.arrays().keys()


def test_batches_above_the_limit_are_split(arrays):
    engine = RtlEngine(arrays, replace(MIXED, max_images=2), 3)
    assert [batch.images for batch in engine.batches] == [slice(0, 2), slice(2, 3)]
    golden = GoldenEngine(arrays)
    np.testing.assert_array_equal(evaluate(engine, FIRST)[0], evaluate(golden, FIRST)[0])
    assert_same_zeros(engine, golden)


def test_figures_count_evaluations_and_references(arrays):
    engine = RtlEngine(arrays, MIXED, 3, profile=1)
    evaluate(engine)
    descriptors = len(engine.batches[0].main.program.descriptors) - 1
    report = figures(engine, 9)
    assert report["cycles"] == 3 * CYCLES * descriptors
    assert report["cycles_dense"] == report["cycles_dense_4bit"] == 3 * DENSE_CYCLES * descriptors
    assert report["dense_runs_equal"]
    assert report["speedup"] == {"vs_dense_4bit": 2.5, "vs_dense_fp16": 10.0}
    assert report["macs"] == 9 * layers.macs_on_accelerator()
    assert report["macs_4bit"] == 9 * layers.macs_4bit()
    assert report["macs_on_accelerator"] == pytest.approx(report["macs"] / report["macs_total"])
    assert 0.3 < report["zero_fraction"] < 0.9
    rows = {row["name"]: row for row in report["layers"]}
    assert rows.keys() >= {layer.name for layer in layers.layers()}
    assert all(row["cycles"] % CYCLES == 0 and row["speedup"] == 2.5 for row in rows.values())
    assert 0 < rows["dec.4x4_block0.conv0"]["dense_share"] < 1
    assert [len(device.runs) for device in engine.batches[0].devices()] == [3, 1, 2, 1, 1]


@pytest.mark.parametrize("period", [1, 2])
def test_tables_change_as_the_period_says(arrays, period):
    engine = RtlEngine(arrays, MIXED, 3, policy=Policy.THRESHOLD, period=period)
    evaluate(engine)
    assert engine.comparison()[2] is None
    shares = engine.zeros.arrays()["dec.4x4_block0.conv1"]
    assert not np.array_equal(shares[:, 0], shares[:, 2])
    assert np.array_equal(shares[:, 0], shares[:, 1]) == (period == 2)


def test_mismatch_is_counted_and_located(arrays, monkeypatch):
    made = []

    def spoiled(*args):
        def spoil(tag, memory):
            address, wrong = outputs_of(engine.batches[0].main.program, "dec.4x4_in0.conv0")
            if device is made[-1] and tag == wrong:
                memory[address + 2] ^= 1

        device = MachineDevice(*args, spoil=spoil)
        made.append(device)
        return device

    monkeypatch.setattr(network_device, "Device", spoiled)
    engine = RtlEngine(arrays, MIXED, 3, profile=-1)
    evaluate(engine, FIRST)
    _, mismatches, first = engine.comparison()
    assert dict(mismatches) == {"dec.4x4_in0.conv0": 1}
    assert first.startswith("int16 of dec.4x4_in0.conv0, run 0, at (0, 0, 1): ")


def test_no_check_compares_nothing(arrays):
    engine = RtlEngine(arrays, MIXED, 3, check=False)
    evaluate(engine, FIRST)
    assert not engine.comparison()[0]


@pytest.mark.parametrize("config", [MIXED, PRESETS["default"], PRESETS["tiny"]], ids=lambda config: config.name)
def test_dense_equivalent_has_the_same_multipliers_in_two_arrays(config):
    dense = dense_equivalent(config)
    assert (dense.multipliers, dense.dense_arrays, dense.sparse_arrays) == (config.multipliers, 2, 0)


def test_what_does_not_fit_is_refused(arrays):
    with pytest.raises(UserError, match=r"period must be 1\.\.65535, not 0"):
        RtlEngine(arrays, MIXED, 1, period=0)
    with pytest.raises(UserError, match=r"tiny.*CHANNELS must be 1\.\.64"):
        RtlEngine(arrays, PRESETS["tiny"], 1)
