"""Launches sim/benches/sparsity_detector.py."""

import pytest

from sqdm.sim.lib.devices import assert_fails, assert_passes, device

MODULE = "sqdm.sim.benches.sparsity_detector"
#: What Icarus, a thousand times slower, runs.
SHORT = ["tables_equal", "corner_counts"]


@pytest.mark.parametrize("config", ["tiny"])
def test_tables_equal_reference_model(config):
    assert_passes(device("sparsity_detector", config, "verilator").run(MODULE))


@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_tables_equal_reference_model_on_icarus(simulator):
    assert_passes(device("sparsity_detector", "tiny", simulator).run(MODULE, SHORT))


def test_bench_notices_broken_detector():
    assert_fails(device("sparsity_detector", "tiny", "verilator").run(MODULE, broken=True))


def test_layers_of_the_shipped_model(real_layers):
    assert_passes(device("sparsity_detector", "tiny", "verilator").run(MODULE, vectors=real_layers))
