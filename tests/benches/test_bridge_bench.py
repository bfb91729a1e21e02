"""Launches sim/benches/bridge.py."""

from dataclasses import asdict, replace
from functools import cache

import pytest

from sqdm.rtl.board.settings import BoardSettings
from sqdm.rtl.config import PRESETS
from sqdm.sim import emit
from sqdm.sim.lib.bridge_device import BridgeDevice
from sqdm.sim.lib.devices import assert_fails, assert_passes
from sqdm.sim.lib.launch import TextDevice

MODULE = "sqdm.sim.benches.bridge"
CONFIGS = {64: PRESETS["tiny"], 128: PRESETS["default"]}
SETTINGS = BoardSettings(clock_hz=12_000_000, memory_bytes=16 * 1024, idle_bytes=16)


@cache
def device(bus_bits: int, clocks_per_bit: int) -> TextDevice:
    config = CONFIGS[bus_bits]
    settings = replace(SETTINGS, baud=SETTINGS.clock_hz // clocks_per_bit)
    name = f"bridge_{bus_bits}_{clocks_per_bit}"
    text = emit.to_verilog(BridgeDevice(config, settings), name)
    return TextDevice(text, name, {"config": config.to_dict(), "settings": asdict(settings)})


def test_bridge_with_cocotbext_uart_and_axi():
    assert_passes(device(64, 4).run(MODULE))


@pytest.mark.slow
@pytest.mark.parametrize(("bus_bits", "clocks_per_bit"), [(128, 5), (64, 20)])
def test_wider_words_and_other_baud_rates(bus_bits, clocks_per_bit):
    assert_passes(device(bus_bits, clocks_per_bit).run(MODULE))


def test_bench_notices_a_broken_bridge():
    assert_fails(device(64, 4).run(MODULE, broken=True))
