"""`sqdm energy`: wrong requests, and the complete command."""

import json
import shutil

import pytest

from sqdm.rtl.config import PRESETS
from sqdm.synth.energy import cell_library

REPORT = {
    "engine": "rtl", "config": PRESETS["tiny"].to_dict(), "images": 2, "steps": 2, "latency": 20, "evaluations": 3,
    "counters": {"CYCLES": 1}, "cycles_dense": 2, "cycles_dense_4bit": 2,
}  # fmt: skip


@pytest.fixture
def report(tmp_path):
    """Writes a report and returns its path."""

    def write(content) -> str:
        path = tmp_path / "report.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_missing_run(sqdm, tmp_path):
    sqdm("energy", "--run", tmp_path / "none.json").assert_refused("run", "cannot be read")


@pytest.mark.parametrize("content", ["{", "[]", '{"config": {}}'])
def test_run_that_is_no_report(sqdm, report, content):
    sqdm("energy", "--run", report(content)).assert_refused("must be the report.json of sqdm sample")


def test_run_without_rtl(sqdm, report):
    path = report(REPORT | {"counters": {}, "engine": "golden"})
    sqdm("energy", "--config", "tiny", "--run", path).assert_refused("must be of engine rtl", "golden")


def test_run_of_another_configuration(sqdm, report):
    sqdm("energy", "--run", report(REPORT)).assert_refused("must be of the configuration default")


def test_liberty_that_cannot_be_used(sqdm, tmp_path):
    sqdm("energy", "--liberty", tmp_path / "none.lib").assert_refused("liberty", "cannot be read")
    (tmp_path / "bad.lib").write_text("nothing")
    sqdm("energy", "--liberty", tmp_path / "bad.lib").assert_refused("must be a liberty library")


def test_no_default_liberty(sqdm, tmp_path, monkeypatch):
    monkeypatch.setattr(cell_library, "DEFAULT", tmp_path / "none.lib")
    sqdm("energy").assert_refused("liberty", "qflow-tech-osu018")


def test_nothing_is_left_behind(sqdm, report, tmp_path):
    sqdm("energy", "--run", report(REPORT), "--out", tmp_path / "out").assert_refused()
    assert not (tmp_path / "out").exists()


def test_configuration_that_does_not_fit_the_network_is_refused_at_once(sqdm, monkeypatch):
    monkeypatch.setattr("sqdm.synth.energy.measure.design_of", lambda _: pytest.fail("the hardware was looked at"))
    monkeypatch.setattr("sqdm.synth.energy.cell_library.load", lambda _: None)
    monkeypatch.setattr("sqdm.synth.energy.cell_library.default_files", lambda: [])
    sqdm("energy", "--config", "tiny").assert_refused("tiny", "CHANNELS")


@pytest.mark.slow
@pytest.mark.skipif(not cell_library.DEFAULT.exists(), reason="package qflow-tech-osu018 is not installed")
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_complete_command(sqdm, tmp_path):
    done = sqdm("energy", "--config", "fpga", "--images", 2, "--steps", 2, "--out", tmp_path / "out", "--json")
    assert done.status == 0
    result = done.json
    assert result["mismatches"] == 0
    assert all(measured["outputs_compared"] > 1000 for measured in result["measured"])
    energies = result["energy_per_image"]
    assert 0 < energies["sqdm"] < energies["dense_4bit"] < energies["fp16_dense"]
    assert result["reduction_vs_dense"] == pytest.approx(1 - energies["sqdm"] / energies["dense_4bit"])
    for name, parts in result["breakdown"].items():
        assert sum(parts.values()) == pytest.approx(result["energy_per_image_with_dram"][name])
    assert (tmp_path / "out" / "energy.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "out" / "energy.json").read_text()) == result
