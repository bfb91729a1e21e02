"""A compiled accelerator behind ctypes: its clock, its register port and its memory (`harness.cpp`)."""

import ctypes
import time
import weakref
from enum import IntEnum
from functools import cache
from pathlib import Path

import numpy as np

from sqdm.errors import DeviceError, UserError

OUTCOMES = ("interrupt", "cycle limit", "broken AXI protocol")
VIOLATIONS = ("", "a burst of another kind than whole words, ascending", "a burst across 4 KiB", "a misplaced WLAST")
NO_ANSWER, REFUSED = -1, -2


class Fault(IntEnum):
    """What the memory does wrong on demand. Reads are counted in words, writes in responses."""

    NONE = 0
    DROP_READ = 1  #: one word of a read never comes
    FAIL_READ = 2  #: one word comes with SLVERR
    STOP_READS = 3  #: no word comes any more until the next call
    FAIL_WRITE = 4  #: one response is SLVERR
    STOP_WRITES = 5  #: no response comes any more until the next call


@cache
def _load(path: Path) -> ctypes.CDLL:
    """The shared library with the signatures of `harness.cpp`."""
    handle, u32, u64, i64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64
    signatures = {
        "sim_create": (handle, (ctypes.c_void_p, u64, u32)),
        "sim_destroy": (None, (handle,)),
        "sim_attach": (None, (handle, ctypes.c_void_p, u64)),
        "sim_reset": (None, (handle,)),
        "sim_read": (i64, (handle, u32)),
        "sim_write": (i64, (handle, u32, u32)),
        "sim_run": (ctypes.c_int, (handle, u64)),
        "sim_break": (None, (handle, ctypes.c_int, u64)),
        "sim_cycle": (u64, (handle,)),
        "sim_words_read": (u64, (handle,)),
        "sim_words_written": (u64, (handle,)),
        "sim_violation": (ctypes.c_int, (handle,)),
    }
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f"the compiled simulation {str(path)!r} must be loadable: {error}") from None
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Simulation:
    """One accelerator and its memory, from the shared library at ``path``.

    ``latency``: cycles from a read request to its first word and from a written word to its response, >= 1. ``memory``
    is a uint8 array from address 0; ``cycles`` and ``seconds`` add up over all calls of `run`.
    """

    def __init__(self, path: Path, latency: int):
        self.memory = np.zeros(0, np.uint8)
        self.cycles = 0
        self.seconds = 0.0
        self._lib = _load(path)
        self._sim = self._lib.sim_create(self.memory.ctypes.data, 0, latency)
        self._finalizer = weakref.finalize(self, self._lib.sim_destroy, self._sim)

    def reserve(self, size: int) -> None:
        """Give the memory at least ``size`` bytes; what it held is lost when it grows."""
        if size > len(self.memory):
            self.memory = np.zeros(size, np.uint8)
            self._lib.sim_attach(self._sim, self.memory.ctypes.data, size)

    def read(self, offset: int) -> int:
        """The register at byte ``offset``."""
        return self._answer(self._lib.sim_read(self._sim, offset), "read", offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register; ``value`` is taken modulo 2**32."""
        self._answer(self._lib.sim_write(self._sim, offset, value & 0xFFFFFFFF), "write", offset)

    def _answer(self, result: int, access: str, offset: int) -> int:
        if result == NO_ANSWER:
            raise DeviceError(f"the register port must answer the {access} at {offset:#x}, but it does not")
        if result == REFUSED:
            raise DeviceError(f"the register port must answer the {access} at {offset:#x} with OKAY, not with an error")
        return result

    def reset(self) -> None:
        """Reset the accelerator and the memory's transactions; the memory keeps its content."""
        self._lib.sim_reset(self._sim)

    def run(self, limit: int) -> None:
        """Run until the interrupt.

        Raises `DeviceError` after ``limit`` cycles without one or when the accelerator breaks the AXI protocol; only
        `reset` helps then.
        """
        first, begin = self._lib.sim_cycle(self._sim), time.perf_counter()
        outcome = self._lib.sim_run(self._sim, limit)
        self.seconds += time.perf_counter() - begin
        self.cycles += self._lib.sim_cycle(self._sim) - first
        if outcome != 0:
            detail = limit if outcome == 1 else VIOLATIONS[self._lib.sim_violation(self._sim)]
            raise DeviceError(
                f"the accelerator must end a run with an interrupt, not with: {OUTCOMES[outcome]} ({detail})"
            )

    def break_memory(self, fault: Fault, skipped: int = 0) -> None:
        """The memory's next answer but ``skipped`` goes wrong as ``fault`` says; `Fault.NONE` ends it."""
        self._lib.sim_break(self._sim, fault, skipped)

    @property
    def cycle(self) -> int:
        """The number of the current clock cycle."""
        return self._lib.sim_cycle(self._sim)

    @property
    def traffic(self) -> tuple[int, int]:
        """Memory words requested and written so far."""
        return self._lib.sim_words_read(self._sim), self._lib.sim_words_written(self._sim)
