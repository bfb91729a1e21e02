"""`sqdm report`: the page says what its inputs say, and needs nothing else."""

import json
import platform
import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from report_inputs import BENCH, REPORT, SYNTH, ZEROS, Page, write_all, write_json, write_sample

from sqdm.cli import main
from sqdm.page import environment

ROOT = environment.ROOT
SECTIONS = ("samples", "headline", "layers", "sparsity", "area", "energy", "environment")


@pytest.fixture(autouse=True)
def no_checkout(monkeypatch, tmp_path):
    """Neither a docs/bench.json nor a commit of this checkout; restored where a test wants them."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)


@pytest.fixture
def inputs(tmp_path):
    """All options with small inputs."""
    return write_all(tmp_path)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """What the command says about a page of all inputs, made once; the page; its path."""
    folder = tmp_path_factory.mktemp("full")
    words = [str(word) for pair in write_all(folder).items() for word in pair]
    with pytest.raises(SystemExit) as leaving, redirect_stdout(StringIO()) as printed:
        main(["report", *words, "--json", "--out", str(folder / "out")])
    assert leaving.value.code == 0
    path = folder / "out" / "report.html"
    return json.loads(printed.getvalue()), Page(path.read_text(encoding="utf-8")), path


@pytest.fixture
def report(sqdm, tmp_path):
    """Runs the command; gives its sections and the page."""

    def run(options, status=0):
        words = [word for pair in options.items() for word in pair]
        outcome = sqdm("report", *words, "--json", "--out", tmp_path / "new" / "out")
        assert outcome.status == status, outcome.err
        page = tmp_path / "new" / "out" / "report.html"
        assert str(page) in outcome.json["files"]
        return outcome.json["sections"], Page(page.read_text(encoding="utf-8")), page

    return run


def test_everything_given(full):
    result, page, path = full
    assert result == {"files": [str(path)], "sections": dict.fromkeys(SECTIONS, "present")}
    assert page.links == [f"#{name}" for name in SECTIONS]
    assert len(page.images) == 7
    assert all(len(image["alt"]) > 20 for image in page.images)
    assert all(word.startswith("sqdm ") or word == "python -m pip list" for word in page.codes)
    assert len(page.codes) == len(page.images) + sum(map(len, page.tables.values()))


def test_page_needs_nothing_else(full):
    _, page, path = full
    assert [path] == list(path.parent.iterdir())
    values = [value for name, value in page.attributes if name in ("src", "href", "srcset", "data", "action")]
    assert values and all(value.startswith(("#", "data:image/")) for value in values)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    html = re.sub(r'"data:[^"]*"', '""', path.read_text(encoding="utf-8"))
    assert not re.search(r"https?:|//\w|@import|url\(", html)
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in page.attributes


def test_no_machine_in_the_page(full):
    _, _, path = full
    html = re.sub(r'"data:[^"]*"|<style>.*?</style>', "", path.read_text(encoding="utf-8"), flags=re.S)
    assert str(path.parents[1]) not in html
    assert str(ROOT) not in html
    assert not re.search(rf"\b{re.escape(platform.node())}\b", html)


def test_samples_and_their_command(full):
    _, page, _ = full
    table = dict(page.tables["samples"][0])
    assert table["cycles"] == "4,321"
    assert table["speed-up over dense 4 bit"] == f"{9876 / 4321:.2f}x"
    assert page.codes[0] == (
        "sqdm sample --engine rtl --config default --labels 4,2 --steps 2 --seed 7 --policy balanced --period 1 "
        "--latency 20 --stats --out DIR"
    )
    assert "All 54,321 values that it wrote equal the golden model" in page.texts["samples"]


def test_cycles_by_layer(full):
    _, page, _ = full
    assert page.row("layers", 0, "all evaluations") == {
        "": "all evaluations", "zeros": "60%", "ideal": "3,000", "uneven": "1,000", "acts": "300", "weights": "21",
        "output": "0", "map": "0", "detect": "0", "other": "0", "achieved": "4,321", "use": f"{3000 / 4321:.0%}",
        "all dense": "9,876", "speed-up": "2.29x",
    }  # fmt: skip
    first = page.row("layers", 1, "first")
    assert (first["ideal"], first["uneven"], first["acts"], first["achieved"]) == ("810", "190", "297", "1,300")
    assert (first["zeros"], first["all dense"], first["speed-up"]) == ("75%", "2,600", "2.00x")
    resized = page.row("layers", 1, "resized")
    assert (resized["zeros"], resized["map"], resized["use"]) == ("–", "140", "0%")  # noqa: RUF001
    assert page.row("layers", 1, "1 descriptor without arithmetic")["achieved"] == "17"
    assert [row[0] for row in page.tables["layers"][1][1:]] == [
        "first",
        "resized",
        "second",
        "1 descriptor without arithmetic",
    ]
    assert "1,547 cycles, where an evaluation of the whole run took 1,440" in page.texts["layers"]
    assert "Up to 3 cycles of a descriptor" in page.texts["layers"]


def test_zeros(full):
    _, page, _ = full
    assert page.tables["sparsity"][0][1:] == [
        ["first", "2", "75.0%", "50.0%", "100.0%", "12.5%"],
        ["second", "1", "12.5%", "12.5%", "12.5%", "18.8%"],
    ]


def test_headline(full):
    _, page, _ = full
    row = page.row("headline", 0, "default")
    assert (row["cycles"], row["over FP16"], row["over 4 bit"], row["per area"]) == ("4,321", "8.33x", "2.29x", "1.87x")
    assert (row["zeros"], row["energy"], row["stalls"]) == ("73.1%", "21,100.0 uJ", f"{250 / 4321:.1%}")
    assert page.row("headline", 0, "fp16-dense")["over FP16"] == "1.00x"
    assert len(page.tables["headline"]) == 3
    assert "6.91x and 1.83x" in page.texts["headline"]
    assert "small: slot_channels must be larger." in page.texts["headline"]


def test_area_and_energy(full):
    _, page, _ = full
    row = page.row("area", 0, "sparse")
    assert (row["gate equivalents"], row["of the core"], row["cells"]) == ("3,810", "43.8%", "1,879")
    assert page.tables["area"][1][1] == ["sparse over dense", "1.061"]
    assert "sqdm synth --config default --target gates --part sparse --part all --json" in page.codes
    assert page.row("energy", 0, "with DRAM")["sqdm"] == "450.0"
    assert page.row("energy", 0, "mac")["4 bit, dense arrays"] == "500.0"
    assert "-50.0% on chip (48.0% to 52.0%" in page.texts["energy"]


def test_what_is_missing_names_its_command(report, tmp_path):
    sections, page, _ = report({"--sample": write_sample(tmp_path / "sample", zeros=None)})
    missing = {"headline": "bench", "sparsity": "sample", "area": "synth", "energy": "energy"}
    assert {name for name, state in sections.items() if state == "missing"} == set(missing)
    for section, command in missing.items():
        assert any(code.startswith(f"sqdm {command} ") for code in page.codes)
        assert "This makes it" in page.texts[section]
    assert "--stats" in next(code for code in page.codes if code.startswith("sqdm sample") and "--stats" in code)


def test_sample_without_rtl_has_no_layers(report, tmp_path):
    rows = [{"name": "first", "zero_fraction": 0.75}, {"name": "second", "zero_fraction": 0.125}]
    nothing = {"cycles": None, "cycles_dense": None, "cycles_dense_4bit": None, "counters": {}, "stalls": {},
               "cycles_per_second": None, "profiled_evaluation": None, "engine": "golden", "outputs_compared": 0,
               "speedup": {"vs_dense_4bit": None, "vs_dense_fp16": None}}  # fmt: skip
    sections, page, _ = report({"--sample": write_sample(tmp_path / "sample", layers=rows, **nothing)})
    assert sections["layers"] == "missing"
    assert sections["sparsity"] == "present"
    assert "No output of the accelerator was compared" in page.texts["samples"]


def test_run_without_dense_references(report, tmp_path):
    rows = [row | {"cycles_dense": None, "speedup": None} for row in REPORT["layers"]]
    changes = {"layers": rows, "cycles_dense": None, "cycles_dense_4bit": None,
               "speedup": {"vs_dense_4bit": None, "vs_dense_fp16": None}}  # fmt: skip
    _, page, _ = report({"--sample": write_sample(tmp_path / "sample", **changes)})
    assert page.row("layers", 1, "first")["all dense"] == "–"  # noqa: RUF001


def test_odd_names_are_shown_as_they_are(report, inputs, tmp_path):
    odd = '<script>alert("$x$ & $")</script>'
    config = REPORT["config"] | {"name": odd}
    rows = [row | {"name": row["name"].replace("first", odd)} for row in REPORT["layers"]]
    zeros = {"second": ZEROS["second"]}
    inputs["--sample"] = write_sample(tmp_path / "odd", zeros, config=config, layers=rows)
    inputs["--synth"] = write_json(tmp_path / "synth.json", SYNTH | {"config": odd})
    inputs["--bench"] = write_json(tmp_path / "bench.json", BENCH | {"rows": [BENCH["rows"][1] | {"name": odd}]})
    _, page, _ = report(inputs)
    assert "script" not in page.tags
    assert page.row("layers", 1, odd)["achieved"] == "1,300"
    assert page.row("headline", 0, odd)["cycles"] == "4,321"
    assert f"Configuration {odd}, target gates" in page.texts["area"]


def test_mismatches_are_said_and_exit_1(report, tmp_path):
    _, page, _ = report({"--sample": write_sample(tmp_path / "sample", mismatches=3)}, status=1)
    assert "3 of 54,321 values differ from the golden model" in page.texts["samples"]


def test_bench_of_the_checkout_is_the_default(report, inputs, tmp_path):
    (tmp_path / "docs").mkdir()
    inputs["--bench"].rename(tmp_path / "docs" / "bench.json")
    sections, _, _ = report({"--sample": inputs["--sample"]})
    assert sections["headline"] == "present"


def test_own_run(sqdm, tmp_path, monkeypatch):
    monkeypatch.setattr("sqdm.picture.heat_maps", lambda shares, title, path: path.touch())  # only sqdm sample's
    out = tmp_path / "out"
    outcome = sqdm("report", "--engine", "golden", "--images", 2, "--steps", 1, "--out", out, "--json")
    assert outcome.status == 0, outcome.err
    files = ["report.html", "report.json", "samples.png", "stats.npz", "stats.png"]
    assert outcome.json["files"] == [str(out / name) for name in files]
    found = json.loads((out / "report.json").read_text())
    assert (found["labels"], found["steps"], found["engine"]) == ([0, 1], 1, "golden")
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    with np.load(out / "stats.npz") as zeros:
        assert len(zeros) > 10
        for name, share in zeros.items():
            assert page.row("sparsity", 0, name)["mean"] == f"{share.mean():.1%}"


def test_own_run_is_that_of_sample(sqdm, tmp_path, monkeypatch):
    from sqdm.commands import sample

    asked = {}

    def run(model, labels, config, computing, folder, **options):
        asked.update(options, labels=labels, config=config.name)
        write_sample(folder / "made")
        for path in (folder / "made").iterdir():
            path.rename(folder / path.name)
        (folder / "made").rmdir()

    monkeypatch.setattr(sample, "run", run)
    monkeypatch.setattr(sample, "make_engine", lambda *_, **options: asked.update(options))
    assert sqdm("report", "--out", tmp_path / "out").status == 0
    defaults = {option.name: option.default for option in sample.sample.params}
    for name in ("engine", "steps", "seed", "policy", "period", "latency", "check"):
        assert asked[name] == defaults[name], name
    assert asked["config"] == "default"
    assert asked["stats"]
    assert asked["labels"] == [int(label) for label in defaults["labels"].split(",")]
