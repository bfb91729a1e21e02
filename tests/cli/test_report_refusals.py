"""`sqdm report`: wrong requests and damaged files end in one line and leave nothing behind."""

import numpy as np
import pytest
from report_inputs import BENCH, ENERGY, SYNTH, write_all, write_json

from sqdm.page import environment


@pytest.fixture(autouse=True)
def no_checkout(monkeypatch, tmp_path):
    """No docs/bench.json of this checkout."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)


@pytest.fixture
def inputs(tmp_path):
    """All options with small inputs."""
    return write_all(tmp_path)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--steps", 0), ("steps must be an integer of at least 1", "0")),
        (("--images", 0), ("images must be >= 1", "0")),
        (("--config", "magic"), ("config must be one of", "magic")),
        (("--engine", "magic"), ("magic", "rtl")),
        (("--sample", "none", "--steps", 2), ("steps must be left out when a sample is given",)),
        (("--sample", "none"), ("sample", "none", "cannot be read")),
        (("--bench", "none.json"), ("bench", "none.json", "cannot be read")),
        (("--synth", "none.json"), ("synth", "none.json", "cannot be read")),
        (("--energy", "none.json"), ("energy", "none.json", "cannot be read")),
    ],
)
def test_bad_requests_are_refused(sqdm, tmp_path, monkeypatch, options, fragments):
    monkeypatch.chdir(tmp_path)
    sqdm("report", "--out", "out", *options).assert_refused(*fragments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "content", "fragments"),
    [
        ("--bench", "{", ("bench", "must be one JSON object")),
        ("--bench", "[" * 100_000, ("bench", "must be one JSON object")),
        ("--bench", [], ("bench", "must be an object, not []")),
        ("--bench", BENCH | {"rows": [{}]}, ("rows[0] must have a field 'name'",)),
        ("--bench", BENCH | {"rows": [BENCH["rows"][1] | {"stalls": {}}]}, ("rows[0].stalls must have a field",)),
        (
            "--synth",
            SYNTH | {"parts": [SYNTH["parts"][0] | {"area": "x"}]},
            ("parts[0].area must be a number, not 'x'",),
        ),
        ("--energy", ENERGY | {"breakdown": {}}, (".breakdown must have a field 'fp16_dense'",)),
    ],
)
def test_wrong_files_are_refused(sqdm, tmp_path, inputs, option, content, fragments):
    path = write_json(tmp_path / "wrong.json", content)
    sqdm("report", "--out", tmp_path / "out", "--sample", inputs["--sample"], option, path).assert_refused(*fragments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "fragments"),
    [
        (lambda folder: (folder / "report.json").write_text("{}"), ("must have a field 'engine'",)),
        (lambda folder: (folder / "samples.png").unlink(), ("samples.png", "cannot be read")),
        (lambda folder: (folder / "samples.png").write_text("x"), ("must be a PNG",)),
        (lambda folder: (folder / "stats.npz").write_text("x"), ("must be the statistics",)),
        (lambda folder: np.savez(folder / "stats.npz", first=np.ones(3)), ("must hold shares", "first")),
        (lambda folder: np.savez(folder / "stats.npz", first=np.full((2, 3), 0.5)), ("must be of the run", "first")),
        (lambda folder: np.savez(folder / "stats.npz", first=np.full((2, 4), 0.75)), ("must be of the run", "first")),
        (lambda folder: np.savez(folder / "stats.npz", first=np.array([None])), ("must be the statistics",)),
    ],
)
def test_damaged_samples_are_refused(sqdm, tmp_path, inputs, damage, fragments):
    damage(inputs["--sample"])
    sqdm("report", "--out", tmp_path / "out", "--sample", inputs["--sample"]).assert_refused(*fragments)
    assert not (tmp_path / "out").exists()


def test_unwritable_output_is_refused(sqdm, inputs):
    sqdm("report", "--sample", inputs["--sample"], "--out", inputs["--bench"]).assert_refused("output", "folder")
