"""`sqdm explore`: fields, files, refusals."""

import csv
import json

import pytest
from PIL import Image

from sqdm.rtl.config import PRESETS
from sqdm.sim.explore.areas import Area

SMALL = ("--dense", "0,1", "--sparse", "1,2", "--slots", "4", "--images", "1", "--steps", "1", "--jobs", "1")


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("sqdm.sim.explore.store.cache_dir", lambda: tmp_path / "cache")


@pytest.fixture
def areas(monkeypatch):
    """Areas without synthesis: a sparse array costs a tenth more than a dense one."""
    asked = []

    def area_of(config, store, on_unit):
        asked.append(config.name)
        area = 100.0 * config.dense_arrays + 110.0 * config.sparse_arrays
        return Area(area, 1000, {"feeders": area}, ["a memory becomes flip-flops"] if config.dense_arrays == 1 else [])

    monkeypatch.setattr("sqdm.sim.explore.sweep.area_of", area_of)
    return asked


@pytest.fixture
def report(tmp_path):
    part = {"clock": 2.0, "data": 1.0, "glitches": 0.0, "leakage": 0.0}
    path = tmp_path / "energy.json"
    content = {"config": PRESETS["sparse"].to_dict(), "images": 1, "steps": 1, "latency": 20,
               "energy_per_image": {"sqdm": 7.0}, "logic": {"sqdm": {"feeders": part}},
               "breakdown": {"sqdm": {"feeders": 3.0, "weight buffers": 4.0, "DRAM": 5.0}}}  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def test_points_files_and_refusals(sqdm, tmp_path):
    out = tmp_path / "out"
    outcome = sqdm("explore", *SMALL, "--no-area", "--lanes", "16,32", "--multipliers", "128,256", "--config", "paper",
                   "--policy", "balanced,threshold", "--json", "--out", out)  # fmt: skip
    assert outcome.status == 0, outcome.err
    found = outcome.json
    assert {one["name"] for one in found["points"]} == {"0+1x4x32", "0+2x4x32", "1+1x4x32", "1+1x4x32/threshold"}
    fields = {"name", "config", "policy", "cycles", "speedup_4bit", "speedup_fp16", "area", "speedup_per_area",
              "energy", "stalls"}  # fmt: skip
    assert all(fields <= one.keys() for one in found["points"])
    assert {one["preset"] for one in found["points"]} == {None, "sparse", "paper"}
    assert found["pareto_cost"] == "multipliers"
    assert {one["name"] for one in found["pareto"]} == {"0+1x4x32", "0+2x4x32"}
    assert {one["name"] for one in found["refused"]} == {"0+2x4x16", "1+1x4x16"}  # 1+2x4x16 has 192 multipliers
    assert all("lanes must be" in one["problem"] for one in found["refused"])
    assert json.loads((out / "points.json").read_text()) == found
    lines = list(csv.DictReader((out / "points.csv").read_text().splitlines()))
    assert len(lines) == 4 + len(found["refused"])
    assert [int(line["cycles"]) for line in lines[:4]] == [one["cycles"] for one in found["points"]]
    with Image.open(out / "pareto.png") as picture:
        assert picture.width > 500
    assert sorted(path.name for path in out.iterdir()) == ["pareto.png", "points.csv", "points.json", "results"]


def test_areas_energies_and_front(sqdm, tmp_path, areas, report):
    arguments = ("--lanes", 32, "--energy", report, "--objective", "energy", "--config", "sparse", "--json")
    outcome = sqdm("explore", *SMALL, *arguments, "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    found = {one["preset"]: one for one in outcome.json["points"]}
    assert set(found) == {"sparse", "paper"}
    assert found["sparse"]["energy"] == pytest.approx(7.0)  # it is what was measured, DRAM left out
    assert found["sparse"]["speedup_per_area"] == pytest.approx(found["sparse"]["speedup_4bit"] * 200 / 220)
    assert found["paper"]["energy"] > 7.0 and found["paper"]["area"] == 210
    assert outcome.json["pareto_cost"] == "energy"
    assert [one["name"] for one in outcome.json["pareto"]] == ["0+2x4x32"]
    assert found["paper"]["pareto_area"] is True and found["paper"]["pareto_energy"] is False
    assert "a memory becomes flip-flops" in outcome.err
    assert len(areas) == 3  # reference, sparse, paper


def test_space_file_and_text(sqdm, tmp_path):
    space = tmp_path / "space.toml"
    space.write_text("dense = 0\nsparse = [1, 2]\nslots = 4\nlanes = 32\n")
    run = ("--images", 1, "--steps", 1, "--jobs", 1, "--no-area", "--space", space, "--config", "sparse")
    outcome = sqdm("explore", *run, "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert "0+2x4x32" in outcome.out and "1 of them predicted" in outcome.out and "0 refused" in outcome.out
    over = sqdm("explore", *run, "--sparse", "2", "--lanes", "32,64", "--json", "--out", tmp_path / "over").json
    assert [one["name"] for one in over["points"]] == ["0+2x4x32"]  # options come before the file
    assert over["left_out"] == 1


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--dense", "0,x"), ("dense", "'0,x'")),
        (("--policy", "fastest"), ("policy", "'fastest'")),
        (("--multipliers", "7"), ("legal configuration", "0 illegal")),
        (("--sparse", "9", "--dense", "0", "--multipliers", "any"), ("legal configuration", "1..8, not 9")),
        (("--config", "nope"), ("config", "'nope'")),
        (("--workload", "cats"), ("workload", "'cats'")),
        (("--workload", "none.toml"), ("workload", "cannot be read")),
        (("--space", "none.toml"), ("space", "cannot be read")),
        (("--energy", "none.json"), ("energy", "cannot be read")),
        (("--objective", "energy"), ("objective energy needs",)),
        (("--jobs", "0"), ("--jobs",)),
        (("--evaluations", "0"), ("--evaluations",)),
        (("--scheduler", "tcp://127.0.0.1:9"), ("scheduler",)),
    ],
)
def test_bad_requests_are_refused(sqdm, tmp_path, arguments, fragments):
    sqdm("explore", "--slots", "4", "--lanes", "32", *arguments, "--out", tmp_path / "o").assert_refused(*fragments)
    assert not (tmp_path / "o").exists()


def test_file_that_is_no_report_is_refused(sqdm, tmp_path, report):
    content = json.loads(report.read_text())
    for broken in ({}, [], content | {"images": "x"}, content | {"logic": {}}, content | {"config": {"lanes": 1}}):
        report.write_text(json.dumps(broken))
        outcome = sqdm("explore", "--energy", report, "--out", tmp_path / "o")
        outcome.assert_refused("energy", "sqdm energy --json")


def test_output_that_is_a_file_is_refused(sqdm, tmp_path):
    (tmp_path / "o").write_text("mine")
    sqdm("explore", *SMALL, "--no-area", "--out", tmp_path / "o").assert_refused("must be a folder")
    assert (tmp_path / "o").read_text() == "mine"


def test_reference_that_does_not_fit_is_refused(sqdm, tmp_path):
    outcome = sqdm("explore", "--config", "tiny", "--dense", 1, "--sparse", 1, "--slots", 2, "--lanes", 32, "--images",
                   1, "--steps", 1, "--jobs", 1, "--no-area", "--out", tmp_path / "o")  # fmt: skip
    outcome.assert_refused("config", "must fit")
    assert not (tmp_path / "o" / "points.json").exists()
