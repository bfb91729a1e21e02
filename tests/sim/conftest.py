"""Compiled devices that the simulation tests share."""

import pytest

from sqdm.rtl.config import PRESETS
from sqdm.sim.device import Device
from sqdm.sim.engine import dense_equivalent


@pytest.fixture(scope="session")
def tiny():
    return PRESETS["tiny"]


@pytest.fixture(scope="session")
def device(tiny):
    return Device(tiny)


@pytest.fixture(scope="session")
def dense_device(tiny):
    return Device(dense_equivalent(tiny))
