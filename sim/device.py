"""The driver: lays a layer out in memory, programs the registers, runs the compiled accelerator, reads the results."""

import ctypes
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from sqdm.errors import DeviceError, UserError
from sqdm.golden import layout
from sqdm.rtl.config import Config
from sqdm.rtl.registers import COUNTERS, ID_VALUE, REGISTERS, Status, decode
from sqdm.sim import library
from sqdm.sim.layer import LayerResult, LayerRun, Plan, cycle_limit

LATENCY = 20  #: cycles from a read request to its answer, unless asked otherwise
OUTCOMES = ("interrupt", "cycle limit", "address outside the memory")


@cache
def _load(path: Path) -> ctypes.CDLL:
    """The shared library with the signatures of `harness.cpp`."""
    handle, u8, u32, u64 = ctypes.c_void_p, ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64
    signatures = {
        "sim_create": (handle, (ctypes.c_void_p, u64, u32)),
        "sim_destroy": (None, (handle,)),
        "sim_attach": (None, (handle, ctypes.c_void_p, u64)),
        "sim_reset": (None, (handle,)),
        "sim_read": (u32, (handle, u8)),
        "sim_write": (None, (handle, u8, u32)),
        "sim_run": (ctypes.c_int, (handle, u64)),
        "sim_cycle": (u64, (handle,)),
        "sim_fault": (u64, (handle,)),
    }
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f"the compiled simulation {str(path)!r} must be loadable: {error}") from None
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Device:
    """One simulated accelerator with its memory.

    Parameters: ``config``; ``latency`` of a memory read in cycles, >= 1; ``on_build(message)`` is called when the
    Verilog has to be compiled first. ``memory`` is a uint8 array; ``cycles`` and ``seconds`` add up over all runs.
    """

    def __init__(self, config: Config, latency: int = LATENCY, on_build: Callable[[str], None] | None = None):
        if not 1 <= latency <= 10_000:
            raise UserError(f"latency must be 1..10000, not {latency!r}")
        self.config = config
        self.latency = latency
        self.memory = np.zeros(0, np.uint8)
        self.cycles = 0
        self.seconds = 0.0
        self._lib = _load(library.build(config, on_build))
        self._sim = self._lib.sim_create(self.memory.ctypes.data, 0, latency)
        self._finalizer = weakref.finalize(self, self._lib.sim_destroy, self._sim)
        if self.read("ID") != ID_VALUE:
            raise DeviceError(f"ID must read {ID_VALUE:#x}, not {self.read('ID'):#x}")

    def reserve(self, size: int) -> None:
        """Give the memory at least ``size`` bytes; what it held is lost when it grows."""
        if size > len(self.memory):
            self.memory = np.zeros(size, np.uint8)
            self._lib.sim_attach(self._sim, self.memory.ctypes.data, size)

    def read(self, register: str) -> int:
        """Value of a register by name."""
        return self._lib.sim_read(self._sim, REGISTERS[register].offset)

    def write(self, register: str, value: int) -> None:
        """Write a register by name; ``value`` is taken modulo 2**32."""
        self._lib.sim_write(self._sim, REGISTERS[register].offset, value & 0xFFFFFFFF)

    def reset(self) -> None:
        """Reset the accelerator; the memory keeps its content."""
        self._lib.sim_reset(self._sim)

    def start(self, limit: int) -> dict[str, int]:
        """Start the layer that the registers describe, wait for the interrupt and return the fields of STATUS.

        Raises `DeviceError` after ``limit`` cycles without an interrupt, or when an address lies outside the memory;
        the accelerator is reset then.
        """
        self.write("CONTROL", 1)
        first, begin = self._lib.sim_cycle(self._sim), time.perf_counter()
        outcome = self._lib.sim_run(self._sim, limit)
        self.seconds += time.perf_counter() - begin
        self.cycles += self._lib.sim_cycle(self._sim) - first
        if outcome != 0:
            detail = f" ({limit})" if outcome == 1 else f" (word {self._lib.sim_fault(self._sim):#x})"
            self.reset()
            raise DeviceError(
                f"the accelerator must end a layer with an interrupt, not with: {OUTCOMES[outcome]}{detail}"
            )
        return decode("STATUS", self.read("STATUS"))

    def run_layer(self, run: LayerRun) -> LayerResult:
        """Run one convolution from memory to memory.

        Raises `UserError` before anything runs when the layer does not fit the configuration, `DeviceError` when the
        accelerator does not end it with status OK.
        """
        plan = Plan(run, self.config)
        self.reserve(plan.size)
        for address, content in plan.regions:
            self.memory[address : address + content.size] = content
        for name, value in plan.registers.items():
            self.write(name, value)
        status = self.start(cycle_limit(plan.shape, plan.raw, self.latency))
        if status["code"] != Status.OK:
            raise DeviceError(f"a layer must end with status OK, not {Status(status['code']).name}")
        outputs = layout.unpack_output(self.memory[plan.out], plan.shape, plan.raw)
        counters = {name: self.read(name) for name in COUNTERS}
        return LayerResult(outputs, counters, self.memory[plan.table].copy())
