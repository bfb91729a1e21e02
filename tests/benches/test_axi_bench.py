"""Launches sim/benches/axi.py."""

from dataclasses import replace
from functools import cache

import pytest

from sqdm.rtl.config import PRESETS
from sqdm.sim.lib.axi_device import AxiDevice
from sqdm.sim.lib.devices import assert_fails, assert_passes
from sqdm.sim.lib.launch import Device

MODULE = "sqdm.sim.benches.axi"
#: What depends on the width of a memory word.
SHORT = ["words_of_all", "consecutive", "nothing_outside", "flushes"]
CONFIGS = {64: PRESETS["tiny"], 128: PRESETS["default"], 512: replace(PRESETS["default"], bus_bits=512, lanes=128)}


@cache
def device(bus_bits: int) -> Device:
    config = CONFIGS[bus_bits]
    return Device(AxiDevice(config), f"axi_{bus_bits}", "answers_0", {"config": config.to_dict()})


def test_bus_interfaces_with_cocotbext_axi():
    assert_passes(device(64).run(MODULE))


@pytest.mark.parametrize("bus_bits", [128, 512])
def test_wider_memory_words(bus_bits):
    assert_passes(device(bus_bits).run(MODULE, SHORT))


def test_bench_notices_broken_answers():
    assert_fails(device(64).run(MODULE, broken=True))
