"""Compiles the model's C++ once per content and calls it."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from sqdm.errors import UserError
from sqdm.sim import library, toolchain
from sqdm.sim.cycles import parameters

SOURCE = "kernel.cpp"
FLAGS = ("-O3", "-shared", "-fPIC", "-std=c++17")
CPU_FLAGS = Path("/proc/cpuinfo")  #: where Linux tells what the processor can do
#: The counters that the model predicts, in the order of timing.h.
COUNTERS = (
    "CYCLES", "BUSY_DENSE", "BUSY_SPARSE", "ACTIVE", "STALL_DETECT", "STALL_WEIGHTS", "STALL_ACTS", "STALL_OUTPUT",
    "STALL_MAP", "STALL_OTHER",
)  # fmt: skip


def build() -> Path:
    """Path of the compiled model, from the cache of simulations; a few seconds when it is not there.

    Raises `UserError` when there is no C++ compiler or the cache cannot be written.
    """
    folder = Path(__file__).parent
    sources = [*sorted(folder.glob("*.h")), folder / SOURCE]
    compiler = toolchain.compiler()
    flags = (*FLAGS, *(("-mavx2",) if CPU_FLAGS.exists() and " avx2 " in CPU_FLAGS.read_text() else ()))
    key = library.digest(*(path.read_text() for path in sources), compiler, flags)
    final = library.cache_dir() / f"sqdm_cycles-{key}.so"
    if not final.exists():
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=final.parent) as work:
                made = Path(work) / final.name
                _compile([str(compiler), *flags, "-o", str(made), str(folder / SOURCE)])
                shutil.move(made, final)
        except OSError as error:
            raise UserError(f"the build cache {str(final.parent)!r} must be writable: {error.strerror}") from None
    return final


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "rror" in line]
        raise UserError(f"the cycle model must compile, but: {lines[0].strip() if lines else 'no error was printed'}")


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL:
    lib = ctypes.CDLL(str(build()))
    lib.sqdm_size.argtypes, lib.sqdm_size.restype = (ctypes.c_int,), ctypes.c_int
    lib.sqdm_predict.argtypes = (*(ctypes.c_void_p,) * 3, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    lib.sqdm_predict.restype = None
    for number, structure in enumerate((parameters.Machine, parameters.Layer, parameters.Data)):
        if lib.sqdm_size(number) != ctypes.sizeof(structure):
            raise ValueError(f"{structure.__name__} must have the size of its counterpart in timing.h")
    return lib


def predict(machine: parameters.Machine, layers: ctypes.Array, data: ctypes.Array, pause: bool) -> np.ndarray:
    """Counters of each descriptor: int64 (descriptors, COUNTERS)."""
    counters = np.zeros((len(layers), len(COUNTERS)), np.int64)
    _load().sqdm_predict(ctypes.addressof(machine), layers, data, len(layers), int(pause), counters.ctypes.data)
    return counters
