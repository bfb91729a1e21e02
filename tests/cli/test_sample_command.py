"""`sqdm sample`: files, figures, and what it refuses."""

import json
import shutil

import pytest

from sqdm.golden.model_file import DEFAULT
from sqdm.rtl.config import PRESETS
from sqdm.sim import engine
from sqdm.sim.device import Device

FIELDS = {
    "engine", "images", "steps", "evaluations", "seconds", "cycles", "macs", "macs_4bit", "macs_total",
    "macs_on_accelerator", "outputs_compared", "mismatches", "zero_fraction", "speedup", "stalls",
}  # fmt: skip


@pytest.fixture
def network_config(tmp_path):
    """The smallest hardware that takes the network: compiles fast."""
    path = tmp_path / "small.toml"
    path.write_text(
        "slots = 2\nlanes = 16\nbus_bits = 64\nmax_channels = 128\nmax_out_channels = 64\nmax_size = 8\n"
        "act_rows = 256\npsum_depth = 8\n"
    )
    return path


def test_rtl_equals_golden(sqdm, tmp_path, network_config):
    out = tmp_path / "new" / "sample"
    options = ("--labels", "3", "--steps", 1, "--config", network_config, "--period", 2, "--json")
    outcome = sqdm("sample", *options, "--out", out)
    assert outcome.status == 0, outcome.err
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "samples.png"]
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= FIELDS
    assert outcome.json.items() >= {key: report[key] for key in FIELDS}.items()
    assert report["mismatches"] == 0
    assert report["outputs_compared"] > 50_000
    assert report["macs_4bit"] < report["macs"] < report["macs_total"]
    assert report["speedup"]["vs_dense_4bit"] > 1
    assert 0.3 < report["zero_fraction"] < 0.9
    assert len(report["layers"]) == 30
    assert sum(row["cycles"] for row in report["layers"]) == report["cycles"]


def test_mismatch_exits_1(sqdm, tmp_path, network_config, monkeypatch):
    honest = Device.run_layer

    def broken(self, run):
        result = honest(self, run)
        result.outputs[0, 0, 0, 0] ^= 1
        return result

    monkeypatch.setattr(Device, "run_layer", broken)
    monkeypatch.setattr(engine, "DENSE_RUNS", 0)
    outcome = sqdm("sample", "--labels", 3, "--steps", 1, "--config", network_config, "--json", "--out", tmp_path / "o")
    assert outcome.status == 1
    assert outcome.json["mismatches"] == 30
    assert "first mismatch: conv_in, run 0" in outcome.err


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
        (("--config", "tiny"), ("dec.4x4_block0.conv0", "max_channels", "128")),
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
        ("lanes = 16", ("lanes must be a multiple of 32", "16")),
        ("acc_bits = 12", ("acc_bits must be >= 20", "12")),
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


def test_default_configuration_takes_the_network():
    from sqdm.commands.sample import check_network

    check_network(PRESETS["default"])
