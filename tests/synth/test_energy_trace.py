"""The recorder in C++, around a model that only counts; and the wrapper that brings signals out."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from sqdm.synth.energy import trace
from sqdm.synth.energy.partition import Design, Part, Source

WORDS = 2
MODEL = """
#pragma once
#include <cstdint>
struct Vmodel { uint8_t clk = 0; uint64_t cycle = 0, trace_0 = 0, trace_1 = 0; void eval() {
    if (clk) return;
    trace_0 = cycle; trace_1 = ~cycle; ++cycle; } };
"""
DRIVE = """
#include "Vtop.h"
extern "C" void drive(int cycles) { static Vtop top; for (int i = 0; i < cycles; ++i) {
    top.clk = 0; top.eval(); top.clk = 1; top.eval(); } }
"""


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    """The library of a model whose two words are the number of the cycle and its complement."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "Vmodel.h").write_text(MODEL)
    (folder / "Vtop.h").write_text('#pragma once\n#include "trace.h"\n')
    shutil.copy(trace.FOLDER / "trace.h", folder)
    words = "\n".join(f"words[{word}] = trace_{word};" for word in range(WORDS))
    (folder / "record.cpp").write_text(trace.CPP.format(words=words) + DRIVE)
    command = ["g++", "-std=gnu++20", "-shared", "-fPIC", "-O1", f"-DTRACE_WORDS={WORDS}", "-fno-gnu-unique"]
    subprocess.run([*command, "-o", "recorder.so", "record.cpp"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "recorder.so"))


def device_of(library) -> trace.TracedDevice:
    """A device without an accelerator: what records is there."""
    device = trace.TracedDevice.__new__(trace.TracedDevice)
    device._library = library
    return device


@pytest.mark.parametrize("period", [1, 3])
def test_records(recorder, period):
    device, records = device_of(recorder), []
    length = trace.BLOCKS * trace.LANES
    device.record(WORDS, lambda record: records.append(record.copy()), period)
    recorder.drive(4 * length + 70)
    device.stop()
    recorder.drive(length)
    assert len(records) == -(-4 // period)
    bits = np.unpackbits(np.ascontiguousarray(records[0]).view(np.uint8), axis=1, bitorder="little")
    numbers = (bits[:64].astype(np.uint64) << np.arange(64, dtype=np.uint64)[:, None]).sum(axis=0)
    assert (np.diff(numbers) == 1).all()
    assert (bits[:64] != bits[64:]).all()
    if period > 1:
        assert records[1][:64][0, 0] == records[0][:64][0, 0]  # bit 0 of the number alternates
        first = [int(record[12, 0] & 1) for record in records]  # bit 12 changes from record to record, 3 lie between
        assert first[0] != first[1]


def test_an_error_of_the_receiver_is_raised(recorder):
    def fail(_):
        raise ValueError("too much")

    device = device_of(recorder)
    device.record(WORDS, fail)
    recorder.drive(2 * trace.BLOCKS * trace.LANES)
    with pytest.raises(ValueError, match="too much"):
        device.stop()


def test_wrapper_names_every_source():
    part = Part("part", "part", [Source(("inner",), "a.b", 3, 8), Source((), "flag", 0, 1)])
    text = trace.wrapper(Design([part], "", {"clk": "input [0:0] clk"}))
    assert "dut.\\inner .\\a.b [3]" in text
    assert "assign trace_0 = {dut.\\flag , dut.\\inner .\\a.b [3]};" in text
    assert "output [63:0] trace_0" in text
    assert trace.first_word([part, part]) == [0, 1, 2]
