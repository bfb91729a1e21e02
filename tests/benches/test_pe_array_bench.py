"""Launches sim/benches/pe_array.py on the dense and the sparse PE array."""

import pytest

from sqdm.sim.lib.devices import assert_fails, assert_passes, device

MODULE = "sqdm.sim.benches.pe_array"
ARRAYS = pytest.mark.parametrize("array", ["dense_array", "sparse_array"])
#: What Icarus, a thousand times slower, runs.
SHORT = ["odd_sizes", "signed_activations", "images_share_one_weight_load", "halo_lines/halo=2"]


@ARRAYS
def test_psums_equal_golden_convolution(array):
    assert_passes(device(array, "paper", "verilator").run(MODULE))


def test_psums_equal_golden_convolution_with_one_slot():
    assert_passes(device("sparse_array", "default", "verilator").run(MODULE))


@ARRAYS
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_psums_equal_golden_convolution_on_icarus(array, simulator):
    assert_passes(device(array, "tiny", simulator).run(MODULE, only=SHORT))


@ARRAYS
def test_bench_notices_broken_array(array):
    assert_fails(device(array, "paper", "verilator").run(MODULE, broken=True))


@ARRAYS
def test_layers_of_the_shipped_model(array, real_layers):
    assert_passes(device(array, "paper", "verilator").run(MODULE, vectors=real_layers))
