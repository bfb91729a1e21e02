"""The compiled device that the simulation tests share."""

import pytest

from sqdm.rtl.config import PRESETS
from sqdm.sim.device import Device


@pytest.fixture(scope="session")
def device():
    return Device(PRESETS["tiny"])
