"""Builds a device for a simulator and runs a cocotb test module on it.

Builds live in ``out/sim_build`` of the checkout (SQDM_SIM_BUILD overrides it), in a folder named by the hash of the
Verilog and the build options, and are found again by it. SQDM_SEED sets the seed, ``random`` picks one.
"""

import contextlib
import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from amaranth.lib import wiring
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Icarus, Runner, Verilator

from sqdm.sim import emit, toolchain
from sqdm.sim.lib.faults import Breakable
from sqdm.sim.lib.lock import locked

DEFAULT_SEED = 2501
TIMESCALE = ("1ns", "1ps")
#: Makefile variables: a bench spends its time in Python, so the model is compiled quickly, in one piece.
MAKE_ARGS = ("OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1", "VM_PARALLEL_BUILDS=0")
#: Verilator's own code, the same for every model: compiled once for all builds.
RUNTIME_OBJECTS = ("verilated.o", "verilated_vpi.o", "verilated_threads.o")
VERILATOR_ARGS = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "--x-assign", "unique", "--x-initial", "unique")


class PortsOnly(Verilator):
    """Verilator with only the ports of the top module public, which builds and runs several times faster than with all.

    Parameters: ``runtime``, the folder that keeps the compiled runtime.
    """

    def __init__(self, runtime: Path):
        super().__init__()
        self._runtime = runtime

    def _build_command(self) -> list[list[str]]:
        verilate, make = (list(command) for command in super()._build_command())
        at = verilate.index("--public-flat-rw")
        verilate[at : at + 1] = ["--public-depth", "1"]
        kept = [str(self._runtime / name) for name in RUNTIME_OBJECTS]
        built = [str(self.build_dir / name) for name in RUNTIME_OBJECTS]
        if all(Path(path).exists() for path in kept):
            return [verilate, ["cp", *kept, str(self.build_dir)], [*make, *MAKE_ARGS]]
        self._runtime.mkdir(parents=True, exist_ok=True)
        return [verilate, [*make, *MAKE_ARGS], ["cp", *built, str(self._runtime)]]


@dataclass(frozen=True)
class Result:
    """Outcome of one simulation."""

    tests: int
    failures: int
    log: Path


def build_root() -> Path:
    """Where builds are kept."""
    checkout = Path(emit.__file__).parents[1]
    return Path(os.environ.get("SQDM_SIM_BUILD") or checkout / "out" / "sim_build").absolute()


def seed() -> int:
    """The seed of this run."""
    text = os.environ.get("SQDM_SEED", str(DEFAULT_SEED))
    return random.SystemRandom().randrange(1 << 31) if text == "random" else int(text)


@contextlib.contextmanager
def simulator_environment(simulator: str):
    """The process's environment while the runner copies it."""
    before = dict(os.environ)
    if simulator == "verilator":
        os.environ.update(toolchain.build_environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class TextDevice:
    """A Verilog text built for one simulator.

    Parameters: ``text``; ``name`` of its top module; ``parameters`` handed to the bench as JSON; ``simulator``
    "verilator" or "icarus"; ``plusargs`` of the simulation.
    """

    ICARUS_ARGS = ("-g2012",)

    def __init__(self, text: str, name: str, parameters: dict, simulator: str = "verilator", plusargs: tuple = ()):
        self._simulator = simulator
        self._parameters = parameters
        self._plusargs = plusargs
        options = " ".join((simulator, *VERILATOR_ARGS, *MAKE_ARGS, *TIMESCALE, *versions()))
        self._runtime = build_root() / f"runtime-{emit.digest(options)}"
        self._folder = build_root() / f"{name}-{simulator}-{emit.digest(text + options)}"
        self._name = name
        self._source = emit.write_once(self._folder / f"{name}.sv", text)

    def _runner(self) -> Runner:
        return PortsOnly(self._runtime) if self._simulator == "verilator" else Icarus()

    def build(self):
        """Build unless this very Verilog has been built."""
        done = self._folder / "built"
        with locked(self._folder / "lock"):
            if done.exists():
                return
            with simulator_environment(self._simulator):
                self._runner().build(
                    sources=[self._source],
                    hdl_toplevel=self._name,
                    build_dir=self._folder / "build",
                    build_args=VERILATOR_ARGS if self._simulator == "verilator" else self.ICARUS_ARGS,
                    timescale=TIMESCALE,
                    log_file=self._folder / "build.log",
                )
            done.touch()

    def run(self, module: str, only: Sequence[str] = (), broken: bool = False, vectors: Path | None = None) -> Result:
        """Run a cocotb test module; returns how many tests ran and failed, without raising for failed ones.

        ``only`` are parts of the names of the tests to run, all if empty.
        ``broken`` runs the module's test ``broken_device`` instead, which sets a fault and must fail; ``vectors``, a
        file of `real_layers`, its test ``real_layer``.
        """
        self.build()
        label = f"{'broken' if broken else 'real' if vectors else 'run'}-{os.getpid()}"
        folder = self._folder / label
        folder.mkdir(exist_ok=True)
        log = folder / "run.log"
        results = folder / "results.xml"
        number = seed()
        if broken or vectors:
            only = ["broken_device"] if broken else ["real_layer"]
        environment = {
            "SQDM_BENCH": json.dumps(self._parameters),
            "SQDM_BROKEN": str(int(broken)),
            "SQDM_VECTORS": str(vectors or ""),
            "COCOTB_REWRITE_ASSERTION_FILES": "",  # rewriting would apply to every import and take 10 s for torch
            "SQDM_SEED": str(number),
        }
        with simulator_environment(self._simulator), contextlib.suppress(SystemExit):
            self._runner().test(
                test_module=module,
                hdl_toplevel=self._name,
                hdl_toplevel_lang="verilog",
                build_dir=self._folder / "build",
                test_dir=folder,
                results_xml=str(results),
                seed=number,
                test_filter="|".join(only) or None,
                extra_env=environment,
                log_file=log,
                plusargs=self._plusargs,
                timescale=TIMESCALE if self._simulator == "icarus" else None,
            )
        tests, failures = get_results(results)
        return Result(tests, failures, log)


class Device(TextDevice):
    """A component built for one simulator, with a `Fault` input on one of its output streams.

    Parameters: as of `TextDevice`; ``component`` in place of its text; ``stream`` that faults hit.
    """

    def __init__(
        self, component: wiring.Component, name: str, stream: str, parameters: dict, simulator: str = "verilator"
    ):
        text = emit.to_verilog(Breakable(component, stream), name, assigns=simulator == "icarus")
        super().__init__(text, name, parameters, simulator)


def versions() -> tuple[str, ...]:
    """Versions of the packages that a build depends on."""
    return tuple(f"{name} {metadata.version(name)}" for name in ("cocotb", "verilator"))


def icarus_missing() -> bool:
    """Whether benches on Icarus Verilog must be skipped."""
    return toolchain.iverilog() is None or shutil.which("vvp") is None
