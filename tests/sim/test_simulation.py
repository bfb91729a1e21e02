"""The memory and the register port of the compiled simulation, with a copying engine in the accelerator's place."""

from pathlib import Path

import numpy as np
import pytest

from sqdm.errors import DeviceError
from sqdm.rtl.registers import ID_VALUE, REGISTERS
from sqdm.sim import library
from sqdm.sim.simulation import Fault, Simulation

SOURCE = Path(__file__).with_name("copier.sv")
FROM, TO, BURSTS, STROBES, LENGTH, FLIP_LAST = (
    REGISTERS[name].offset for name in ("PROGRAM_BASE", "WINDOW_FIRST", "WINDOW_LAST", "WATCHDOG", "DETECT", "CYCLES")
)
WORST, TO_RESPONSE, TO_DATA = (REGISTERS[name].offset for name in ("TAG", "FAULT", "CYCLES"))
START = REGISTERS["CONTROL"].offset
OKAY, READ_ERROR, WRITE_ERROR = 0, 8, 2
SIZE = 8064  # the end lies inside a burst that does not cross 4 KiB


@pytest.fixture(scope="module")
def copiers(tmp_path_factory):
    """``copiers(bus_bits, latency)``: a simulation of the copying engine; 4 KiB random bytes, then SIZE - 4096 of 0."""

    def make(bus_bits=128, latency=20):
        text = f"`define BUS_BITS {bus_bits}\n{SOURCE.read_text()}"
        made = Simulation(library.build_text(text, bus_bits, "compiling a copier"), latency)
        made.reserve(SIZE)
        made.memory[:4096] = np.random.default_rng(bus_bits).integers(0, 256, 4096)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SQDM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield make


def copy(made, bursts=3, length=15, source=0, target=4096, strobes=0xFFFFFFFFFFFFFFFF, flip_last=0, limit=10_000):
    values = {FROM: source, TO: target, BURSTS: bursts, STROBES: strobes, LENGTH: length, FLIP_LAST: flip_last}
    for offset, value in values.items():
        made.write(offset, value)
    made.write(START, 1)
    made.run(limit)


@pytest.mark.parametrize("bus_bits", [128, 512])
@pytest.mark.parametrize("latency", [1, 20])
def test_bursts_are_copied_in_the_promised_time(copiers, bus_bits, latency):
    made = copiers(bus_bits, latency)
    words = bus_bits // 8
    strobes = 0xFFFFFFFF
    copy(made, bursts=2, length=7, source=3 * words, target=4096 + words, strobes=strobes)
    copied = made.memory[4096 + words : 4096 + 17 * words].reshape(16, words)[:, :32]
    np.testing.assert_array_equal(copied, made.memory[3 * words : 19 * words].reshape(16, words)[:, :32])
    assert not made.memory[4096 : 4096 + words].any()
    assert not made.memory[4096 + 17 * words :].any()
    assert made.read(TO_DATA) == made.read(TO_RESPONSE) == latency
    assert made.read(WORST) == OKAY
    assert made.traffic == (16, 16)


def test_a_long_burst_takes_a_cycle_a_word(copiers):
    made = copiers(latency=5)
    times = []
    for length in (0, 15):
        before = made.cycle
        copy(made, bursts=1, length=length)
        times.append(made.cycle - before)
    assert times[1] - times[0] == 2 * 15


def test_only_strobed_bytes_are_written(copiers):
    made = copiers()
    made.memory[4096:] = 7
    copy(made, bursts=1, length=0, strobes=0b1000_0000_0000_0101)
    expected = np.full(SIZE - 4096, 7, np.uint8)
    expected[[0, 2, 15]] = made.memory[[0, 2, 15]]
    np.testing.assert_array_equal(made.memory[4096:], expected)


def test_addresses_outside_answer_with_an_error(copiers):
    made = copiers()
    copy(made, bursts=1, source=8192 - 256)
    assert made.read(WORST) == READ_ERROR
    before = made.memory.copy()
    copy(made, bursts=1, target=8192)
    assert made.read(WORST) == WRITE_ERROR
    np.testing.assert_array_equal(made.memory, before)


def test_faults_hit_the_chosen_answer(copiers):
    made = copiers()
    made.break_memory(Fault.FAIL_READ, 40)
    copy(made, bursts=2)
    assert made.read(WORST) == OKAY
    copy(made, bursts=2)
    assert made.read(WORST) == READ_ERROR
    made.break_memory(Fault.FAIL_WRITE, 1)
    copy(made, bursts=1)
    assert made.read(WORST) == OKAY
    copy(made, bursts=1)
    assert made.read(WORST) == WRITE_ERROR
    made.break_memory(Fault.NONE)
    copy(made)
    assert made.read(WORST) == OKAY


@pytest.mark.parametrize("fault", [Fault.DROP_READ, Fault.STOP_READS, Fault.STOP_WRITES])
def test_silence_ends_at_the_cycle_limit_and_reset_recovers(copiers, fault):
    made = copiers()
    made.break_memory(fault, {Fault.DROP_READ: 31, Fault.STOP_READS: 20, Fault.STOP_WRITES: 1}[fault])
    copy(made, bursts=1)
    with pytest.raises(DeviceError, match=r"cycle limit \(500\)"):
        copy(made, limit=500)
    made.reset()
    made.memory[4096:] = 0
    copy(made, bursts=4)
    np.testing.assert_array_equal(made.memory[4096:5120], made.memory[:1024])


@pytest.mark.parametrize(("options", "rule"), [({"source": 8}, "whole words"), ({"source": 4096 - 16}, "4 KiB"),
                                               ({"flip_last": 1}, "WLAST")])  # fmt: skip
def test_broken_protocol_is_found(copiers, options, rule):
    with pytest.raises(DeviceError, match=rule):
        copy(copiers(), bursts=1, **options)


def test_registers_answer_and_errors_are_reported(copiers):
    made = copiers()
    assert made.read(REGISTERS["ID"].offset) == ID_VALUE
    made.write(FROM, -1)
    assert made.read(FROM) == 0xFFFFFFFF
    with pytest.raises(DeviceError, match="the write at 0x800 with OKAY"):
        made.write(0x800, 1)
