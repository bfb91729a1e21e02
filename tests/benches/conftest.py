"""The simulators that the launchers run on."""

from pathlib import Path

import pytest

from sqdm.golden import model_file
from sqdm.sim.lib.launch import build_root, icarus_missing
from sqdm.sim.lib.real_layers import captured


@pytest.fixture
def simulator(request) -> str:
    """Parametrised indirectly; Icarus Verilog is optional."""
    if request.param == "icarus" and icarus_missing():
        pytest.skip("Icarus Verilog (iverilog, vvp) is not installed; the bench runs on Verilator only")
    return request.param


@pytest.fixture(scope="session")
def real_layers() -> Path:
    """Layers of the shipped model, captured once."""
    if not model_file.DEFAULT.is_dir():
        pytest.skip("the checkout holds no shipped model to take layers from")
    return captured(build_root())
