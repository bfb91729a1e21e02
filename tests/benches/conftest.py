"""The simulators that the launchers run on."""

import pytest
from sqdm.sim.lib.launch import icarus_missing


@pytest.fixture
def simulator(request) -> str:
    """Parametrised indirectly; Icarus Verilog is optional."""
    if request.param == "icarus" and icarus_missing():
        pytest.skip("Icarus Verilog (iverilog, vvp) is not installed; the bench runs on Verilator only")
    return request.param
