"""Launches sim/benches/address_generator.py."""

import pytest

from sqdm.sim.lib.devices import assert_fails, assert_passes, device

MODULE = "sqdm.sim.benches.address_generator"
#: What Icarus, a thousand times slower, runs.
SHORT = ["every_split", "valid_does_not_wait"]


@pytest.mark.parametrize("config", ["default", "paper", "wide", "bus512"])
def test_requests_equal_reference_model(config):
    assert_passes(device("address_generator", config, "verilator").run(MODULE))


@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_requests_equal_reference_model_on_icarus(simulator):
    assert_passes(device("address_generator", "tiny", simulator).run(MODULE, SHORT))


def test_bench_notices_broken_generator():
    assert_fails(device("address_generator", "paper", "verilator").run(MODULE, broken=True))
