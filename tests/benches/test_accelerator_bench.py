"""Launches sim/benches/accelerator.py."""

from sqdm.sim.lib.devices import assert_fails, assert_passes, device

MODULE = "sqdm.sim.benches.accelerator"
#: What the larger configuration runs.
SHORT = ["every_share_of_zeros", "stored_table", "registers_identify"]


def test_output_equals_golden_convolution():
    assert_passes(device("accelerator", "tiny", "verilator").run(MODULE))


def test_output_equals_golden_convolution_with_default_config():
    assert_passes(device("accelerator", "default", "verilator").run(MODULE, SHORT))


def test_bench_notices_broken_accelerator():
    assert_fails(device("accelerator", "tiny", "verilator").run(MODULE, broken=True))


def test_layers_of_the_shipped_model(real_layers):
    assert_passes(device("accelerator", "default", "verilator").run(MODULE, vectors=real_layers))
