"""`sqdm sample`: files, figures, and what it refuses."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest

from sqdm.golden.layers import layers
from sqdm.golden.model_file import DEFAULT
from sqdm.rtl.registers import COUNTERS
from sqdm.sim import network_device
from sqdm.sim.device import Device, ProgramRun
from sqdm.sim.engine import RtlEngine

FIELDS = {
    "engine", "images", "steps", "evaluations", "seconds", "cycles", "macs", "macs_4bit", "macs_total",
    "macs_on_accelerator", "outputs_compared", "mismatches", "zero_fraction", "speedup", "stalls",
}  # fmt: skip


@pytest.fixture
def network_config(tmp_path):
    """The smallest hardware that takes the network: compiles fast."""
    path = tmp_path / "small.toml"
    path.write_text(
        "dense_arrays = 1\nsparse_arrays = 1\nslots = 2\nbus_bits = 64\nmax_channels = 128\nmax_out_channels = 128\n"
        "max_size = 8\nmax_images = 4\nslot_channels = 32\nact_rows = 256\npsum_depth = 8\n"
    )
    return path


def test_rtl_equals_golden(sqdm, tmp_path, network_config):
    out = tmp_path / "new" / "sample"
    options = ("--labels", "3", "--steps", 1, "--config", network_config, "--period", 2, "--stats", "--json")
    outcome = sqdm("sample", *options, "--out", out)
    assert outcome.status == 0, outcome.err
    files = ["report.json", "samples.png", "stats.npz", "stats.png"]
    assert sorted(path.name for path in out.iterdir()) == files
    assert outcome.json["files"] == [str(out / name) for name in files]
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= FIELDS
    assert outcome.json.items() >= {key: report[key] for key in FIELDS}.items()
    assert report["mismatches"] == 0
    assert report["outputs_compared"] > 100_000
    assert report["macs_4bit"] < report["macs"] < report["macs_total"]
    assert report["macs_on_accelerator"] > 0.99
    assert report["speedup"]["vs_dense_fp16"] > report["speedup"]["vs_dense_4bit"] > 1
    assert report["cycles"] == report["counters"]["ACTIVE"] + sum(report["stalls"].values())
    assert 0.3 < report["zero_fraction"] < 0.9
    rows = {row["name"]: row for row in report["layers"]}
    assert rows.keys() >= {layer.name for layer in layers()}
    assert sum(row["cycles"] for row in rows.values()) == pytest.approx(report["cycles"], rel=0.5)
    with np.load(out / "stats.npz") as stats:
        for name, shares in stats.items():
            channels = 9 if name == "conv_in" else rows[name]["channels"]  # a program takes its nine taps as channels
            assert shares.shape == (channels * rows[name]["act_bits"] // 4, 1)
            assert rows[name]["zero_fraction"] == pytest.approx(shares.mean())


def test_mismatch_exits_1(sqdm, tmp_path, monkeypatch):
    def counted(self):
        return Counter({"conv_in": 9}), Counter({"conv_in": 1}), "int16 of conv_in, run 0"

    monkeypatch.setattr(RtlEngine, "comparison", counted)
    monkeypatch.setattr(network_device, "Device", NoDevice)
    outcome = sqdm("sample", "--labels", 3, "--steps", 1, "--json", "--out", tmp_path / "o")
    assert outcome.status == 1
    assert outcome.json["mismatches"] == 1
    assert "first mismatch: int16 of conv_in, run 0" in outcome.err


class NoDevice:
    """Does nothing, and takes a cycle for each descriptor."""

    cycles_per_second = 1.0

    def __init__(self, *_):
        self.memory = None

    def load(self, program):
        self.memory = program.new_memory()

    def run_program(self, program, *_, pause, load):
        steps = {tag: dict.fromkeys(COUNTERS, 1) for tag in range(len(program.descriptors) - 1)}
        return ProgramRun(dict.fromkeys(COUNTERS, len(steps)), steps if pause else {})


@pytest.mark.parametrize("name", ["golden", "float"])
def test_other_engines(sqdm, tmp_path, name):
    outcome = sqdm("sample", "--engine", name, "--images", 3, "--labels", "1,2", "--steps", 2, "--json",
                   "--out", tmp_path / "o")  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert set(outcome.json) >= FIELDS
    assert outcome.json["images"] == 3
    assert outcome.json["evaluations"] == 3
    assert outcome.json["cycles"] is None
    assert outcome.json["speedup"] == {"vs_dense_4bit": None, "vs_dense_fp16": None}
    assert json.loads((tmp_path / "o" / "report.json").read_text())["labels"] == [1, 2, 1]


def test_statistics_of_the_golden_engine(sqdm, tmp_path):
    options = ("--engine", "golden", "--labels", "1,2", "--steps", 2, "--stats", "--json", "--out", tmp_path / "o")
    outcome = sqdm("sample", *options)
    assert outcome.status == 0, outcome.err
    with np.load(tmp_path / "o" / "stats.npz") as stats:
        assert set(stats) == {layer.name for layer in layers()}
        for layer in layers():
            assert stats[layer.name].shape == (layer.C * layer.act.bits // 4, 3)
        assert 0.3 < stats["dec.8x8_block1.conv0"].mean() < 0.95


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--labels", "1,10"), ("label must be a digit 0..9", "10")),
        (("--labels", "one"), ("labels", "'one'")),
        (("--labels", ""), ("labels", "''")),
        (("--steps", 0), ("steps must be an integer of at least 1", "0")),
        (("--steps", "many"), ("--steps", "many")),
        (("--images", 0), ("images must be >= 1", "0")),
        (("--seed", -1), ("seed", "-1")),
        (("--engine", "magic"), ("magic", "rtl")),
        (("--policy", "magic"), ("magic", "balanced")),
        (("--period", 0), ("--period", "0")),
        (("--latency", 0), ("--latency", "0")),
        (("--config", "magic"), ("'magic'", "default")),
        (("--config", "tiny"), ("tiny", "CHANNELS must be 1..64", "128")),
        (("--engine", "float", "--stats"), ("stats need the engine rtl or golden", "float")),
        (("--model", "nowhere"), ("model", "'nowhere'")),
    ],
)
def test_bad_requests_are_refused(sqdm, tmp_path, monkeypatch, options, fragments):
    monkeypatch.setattr(Device, "__init__", lambda *_: pytest.fail("a device was built"))
    sqdm("sample", "--out", tmp_path / "o", *options).assert_refused(*fragments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("slots = 0", ("slots must be >= 1", "0")),
        ("lanes = 48", ("lanes must be a power of two", "48")),
        ("lanes = 16", ("lanes must be a power of two >= 32", "16")),
        ("bus_bits = 512", ("lanes must be a multiple of 128", "32")),
        ("acc_bits = 12", ("acc_bits must be >= 21", "12")),
        ("colour = 1", ("'colour'", "slots")),
        ("slots = = 1", ("not TOML",)),
    ],
)
def test_bad_configurations_are_refused(sqdm, tmp_path, line, fragments):
    (tmp_path / "c.toml").write_text(line)
    sqdm("sample", "--config", tmp_path / "c.toml", "--out", tmp_path / "o").assert_refused(*fragments)
    assert not (tmp_path / "o").exists()


def corrupt(path, how):
    """Damage the integer model in `path`."""
    file = path / "integer.npz"
    content = bytearray(file.read_bytes())
    if how == "truncated":
        content = content[:-100]
    elif how == "hash":
        content[len(content) // 2] ^= 1
    file.write_bytes(content)
    if how == "manifest":
        (path / "manifest.json").write_text("{")


@pytest.mark.parametrize(("how", "rule"), [("truncated", "bytes"), ("hash", "sha256"), ("manifest", "JSON")])
def test_corrupt_model_is_refused(sqdm, tmp_path, how, rule):
    shutil.copytree(DEFAULT, tmp_path / "model")
    corrupt(tmp_path / "model", how)
    outcome = sqdm("sample", "--model", tmp_path / "model", "--engine", "golden", "--out", tmp_path / "o")
    outcome.assert_refused(rule, tmp_path / "model")
    assert not (tmp_path / "o").exists()


def test_unwritable_output_is_refused(sqdm, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        sqdm("sample", "--engine", "float", "--out", out).assert_refused("output", out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_failure_leaves_nothing_behind(sqdm, tmp_path, monkeypatch):
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sqdm.sim.library.verilog", lambda config: "module x")
    sqdm("sample", "--out", tmp_path / "a" / "b").assert_refused("g++")
    assert not (tmp_path / "a").exists()
