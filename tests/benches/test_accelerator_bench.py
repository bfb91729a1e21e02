"""Launches the benches of the whole accelerator."""

import pytest

from sqdm.sim.lib.devices import assert_fails, assert_passes, device

MODULES = {
    "modes": "sqdm.sim.benches.accelerator",
    "programs": "sqdm.sim.benches.accelerator_programs",
    "errors": "sqdm.sim.benches.accelerator_errors",
}
#: What the larger configuration runs.
SHORT = {
    "modes": ["every_share_of_zeros/fill=mixed", "layer=all_8_bit", "layer=weights_wide", "map_equals"],
    "programs": ["timing_changes_nothing/number=3", "outputs_become_operands"],
    "errors": ["error_response/write=False/word=3", "stop_in_mid_run/after=250"],
}


@pytest.mark.parametrize("name", MODULES)
def test_memory_equals_golden_machine(name):
    assert_passes(device("accelerator", "tiny", "verilator").run(MODULES[name]))


@pytest.mark.parametrize("name", MODULES)
def test_memory_equals_golden_machine_with_default_config(name):
    assert_passes(device("accelerator", "default", "verilator").run(MODULES[name], SHORT[name]))


def test_bench_notices_broken_accelerator():
    assert_fails(device("accelerator", "tiny", "verilator").run(MODULES["modes"], broken=True))


def test_layers_of_the_shipped_model(real_layers):
    assert_passes(device("accelerator", "default", "verilator").run(MODULES["modes"], vectors=real_layers))
