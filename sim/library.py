"""Compiles an accelerator's Verilog and the harness into a shared library, once per content."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import sqdm.rtl
from sqdm.errors import UserError
from sqdm.rtl.config import Config
from sqdm.sim import emit, toolchain

TOP = "sqdm_accelerator"
HARNESS = (Path(__file__).with_name("harness.cpp"), Path(__file__).with_name("axi_memory.h"))
LIBRARY = "simulation.so"
VERILATOR_FLAGS = (
    "--cc", "--exe", "--build", "-j", "2", "--threads", "1", "-O3", "--x-assign", "fast", "--x-initial", "fast",
    "--noassert", "-Wno-fatal", "-Wno-lint", "--top-module", TOP, "--prefix", "Vtop", "-LDFLAGS", "-shared",
    "-MAKEFLAGS", "OPT_FAST=-O2 OPT_SLOW=-O0",
)  # fmt: skip
COMPILER_FLAGS = "-fPIC"


def cache_dir() -> Path:
    """Where compiled simulations are kept: SQDM_CACHE, or ``sqdm`` in the user's cache folder."""
    if "SQDM_CACHE" in os.environ:
        return Path(os.environ["SQDM_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sqdm"


def digest(*parts: object) -> str:
    """Short hash of the parts' text, for the names of cache entries."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]


def rtl_digest(config: Config) -> str:
    """Hash of everything that the Verilog of `config` depends on."""
    sources = sorted(Path(sqdm.rtl.__file__).parent.glob("**/*.py"))
    texts = [path.read_text() for path in sources]
    return digest(*texts, sorted(config.to_dict().items()), Path(emit.__file__).read_text(), version("amaranth"))


def place(made: Path, final: Path) -> None:
    """Rename a finished file into the cache; a parallel process that was faster does no harm."""
    final.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, final)


def verilog(config: Config) -> str:
    """SystemVerilog of the accelerator, from the cache when neither the generator nor the configuration changed."""
    path = cache_dir() / f"{TOP}-{rtl_digest(config)}.sv"
    if path.exists():
        return path.read_text()
    from sqdm.rtl.accelerator import Accelerator

    text = emit.to_verilog(Accelerator(config), TOP)
    emit.write_once(path, text)
    return text


def build(config: Config, on_build: Callable[[str], None] | None = None) -> Path:
    """Path of the shared library that simulates `config`.

    It is found in the cache when Verilog, harness, flags and versions are the same; otherwise it is compiled (about a
    minute), after a call of ``on_build(message)``. Raises `UserError` when a tool is missing or fails, or the cache
    cannot be written.
    """
    with writable_cache():
        text = verilog(config)
    return build_text(text, config.bus_bits, f"compiling the {config.name} accelerator", on_build, HARNESS)


def build_text(
    text: str,
    bus_bits: int,
    message: str,
    on_build: Callable[[str], None] | None = None,
    harness: tuple[Path, ...] = HARNESS,
) -> Path:
    """Like `build`, from the Verilog ``text`` of a module `TOP`; ``harness``: the C++ that drives its ports."""
    with writable_cache():
        sources = [text, *(path.read_text() for path in harness)]
        key = digest(*sources, version("verilator"), VERILATOR_FLAGS, COMPILER_FLAGS)
        final = cache_dir() / f"{TOP}-{key}.so"
        if not final.exists():
            toolchain.verilator_bin()
            if on_build is not None:
                on_build(message)
            _compile(text, bus_bits, final, harness)
    return final


@contextmanager
def writable_cache() -> Iterator[None]:
    """Turns an error of the file system into one that names the cache."""
    try:
        yield
    except OSError as error:
        raise UserError(f"the build cache {str(cache_dir())!r} must be writable: {error.strerror}") from None


def _compile(text: str, bus_bits: int, final: Path, harness: tuple[Path, ...]) -> None:
    """Run Verilator and the C++ compiler in a private folder inside the cache and keep the library."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=cache_dir()))
    try:
        (folder / f"{TOP}.sv").write_text(text)
        for path in harness:
            shutil.copy(path, folder)
        flags = f"{COMPILER_FLAGS} -DBUS_WORDS={bus_bits // 32}"
        command = [str(toolchain.verilator_bin()), *VERILATOR_FLAGS, "-CFLAGS", flags, "--Mdir", "obj"]
        command += ["-o", LIBRARY, f"{TOP}.sv", str(folder / harness[0].name)]
        done = subprocess.run(
            command, cwd=folder, env=toolchain.build_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
            raise UserError(
                f"the simulation must compile, but: {lines[0].strip() if lines else 'no error was printed'}"
            )
        place(folder / "obj" / LIBRARY, final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
