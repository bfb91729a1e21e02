"""The serial receiver and transmitter bit by bit, and the parameters of the board's parts."""

import pytest
from amaranth.sim import Simulator

from sqdm.rtl.board.frame_receiver import FrameReceiver
from sqdm.rtl.board.onchip_memory import OnchipMemory
from sqdm.rtl.board.uart_receiver import UartReceiver
from sqdm.rtl.board.uart_transmitter import UartTransmitter
from sqdm.rtl.config import PRESETS

BYTES = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0xA5]


def frame(byte, stop=1):
    return [0, *(byte >> bit & 1 for bit in range(8)), stop]


def received(clocks, line):
    """Bytes and broken strobes of a receiver that sees ``line``, one level a cycle."""
    dut = UartReceiver(clocks)
    found, broken = [], 0

    async def bench(ctx):
        nonlocal broken
        for level in [1, *line, *[1] * (3 * clocks + 5)]:
            ctx.set(dut.rx, level)
            await ctx.tick()
            if ctx.get(dut.received.valid):
                found.append(ctx.get(dut.received.payload))
            broken += ctx.get(dut.broken)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, broken


def stretched(bits, clocks_per_bit):
    """Levels of every cycle for bits that take ``clocks_per_bit`` cycles, which need not be whole."""
    count = int(len(bits) * clocks_per_bit)
    return [bits[int(cycle / clocks_per_bit)] for cycle in range(count)]


@pytest.mark.parametrize("clocks", [4, 5, 7, 20])
@pytest.mark.parametrize("skew", [1.0, 0.98, 1.02])
def test_receiver_takes_bytes_behind_each_other(clocks, skew):
    line = [level for byte in BYTES for level in stretched(frame(byte), clocks * skew)]
    assert received(clocks, line) == (BYTES, 0)


@pytest.mark.parametrize("clocks", [4, 9])
def test_receiver_reports_a_missing_stop_bit_and_goes_on(clocks):
    bits = [*frame(0x3C, stop=0), 0, 0, 0, 1, *frame(0x42)]
    assert received(clocks, stretched(bits, clocks)) == ([0x42], 1)


@pytest.mark.parametrize("clocks", [4, 9])
def test_receiver_ignores_short_pulses(clocks):
    line = [0] * (clocks // 2 - 1) + [1] * clocks + stretched(frame(0x42), clocks)
    assert received(clocks, line) == ([0x42], 0)


@pytest.mark.parametrize("clocks", [4, 5, 7])
def test_transmitter_sends_whole_bits(clocks):
    dut = UartTransmitter(clocks)
    levels = []

    async def bench(ctx):
        left = list(BYTES)
        for _ in range(len(BYTES) * (10 * clocks + 1) + 4):
            ctx.set(dut.bytes.valid, bool(left))
            ctx.set(dut.bytes.payload, left[0] if left else 0)
            taken = ctx.get(dut.bytes.ready) and left
            levels.append(ctx.get(dut.tx))
            await ctx.tick()
            if taken:
                left.pop(0)
        assert not left

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = [1]  # the cycle in which the first byte is taken
    for byte in BYTES:
        expected += [*stretched(frame(byte), clocks), 1]
    assert levels[: len(expected)] == expected
    assert all(levels[len(expected) :])


@pytest.mark.parametrize("part", [UartReceiver, UartTransmitter])
def test_clocks_per_bit_is_checked(part):
    with pytest.raises(ValueError, match="clocks_per_bit must be >= 4, not 3"):
        part(3)
    with pytest.raises(TypeError, match="clocks_per_bit must be an integer"):
        part(4.5)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="size must be a power of two >= 8, not 96"):
        OnchipMemory(PRESETS["tiny"], 96)
    with pytest.raises(TypeError, match="size must be an integer"):
        OnchipMemory(PRESETS["tiny"], "64")
    with pytest.raises(ValueError, match="idle_cycles must be >= 1, not 0"):
        FrameReceiver(0)
