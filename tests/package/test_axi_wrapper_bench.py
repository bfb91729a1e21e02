"""Launches the bench of the delivered Verilog behind its AXI wrapper."""

import pytest

from sqdm.rtl.config import PRESETS
from sqdm.sim.lib.devices import assert_fails, assert_passes
from sqdm.sim.lib.launch import icarus_missing
from sqdm.sim.lib.package_device import PackageDevice

MODULE = "sqdm.sim.benches.axi_wrapper"
needs_icarus = pytest.mark.skipif(icarus_missing(), reason="Icarus Verilog (iverilog, vvp) is not installed")


def test_random_registers_at_the_start():
    assert_passes(PackageDevice(PRESETS["tiny"]).run(MODULE))


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize("bit", [0, 1])
def test_unknown_registers_at_the_start(bit):
    assert_passes(PackageDevice(PRESETS["tiny"], "icarus", bit=bit).run(MODULE))


@needs_icarus
@pytest.mark.parametrize(
    "change",
    [
        pytest.param((".rst(~aresetn)", ".rst(aresetn)"), id="reset_polarity"),
        pytest.param(
            ("if (program_rst) fsm_state <= 3'h0;\n    else fsm_state", "fsm_state"),
            id="register_without_reset",
            marks=pytest.mark.slow,
        ),
        pytest.param((".m_axi_wdata(m_axi_wdata)", ".m_axi_wdata()"), id="open_write_data", marks=pytest.mark.slow),
        pytest.param((".interrupt(irq)", ".interrupt()"), id="open_interrupt", marks=pytest.mark.slow),
    ],
)
def test_bench_notices_a_broken_package(change):
    assert_fails(PackageDevice(PRESETS["tiny"], "icarus", change).run(MODULE, ["programs"]))
