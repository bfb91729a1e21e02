"""`sqdm bench`: the model against the RTL row by row, files, and what it refuses."""

import json
from pathlib import Path

import pytest

from sqdm.errors import UserError
from sqdm.sim.bench import document, measure, store
from sqdm.sim.bench.text import TITLES

ROOT = Path(__file__).parents[2]
FIELDS = {"name", "cycles", "speedup_fp16", "speedup_4bit", "energy", "area", "speedup_per_area"}
RAN = {"active", "stalls", "busy", "element_sparsity", "exploitable_sparsity", "exploited_sparsity", "bound_reached"}


@pytest.fixture
def small(tmp_path):
    """The smallest hardware that takes the network: compiles fast."""
    path = tmp_path / "small.toml"
    path.write_text(
        "dense_arrays = 1\nsparse_arrays = 1\nslots = 2\nbus_bits = 64\nmax_channels = 128\nmax_out_channels = 128\n"
        "max_size = 8\nmax_images = 4\nslot_channels = 32\nact_rows = 256\npsum_depth = 32\n"
    )
    return path


@pytest.fixture
def areas(tmp_path):
    path = tmp_path / "synth.json"
    parts = [{"name": "mac", "area": 10}, {"name": "mac_fp16", "area": 60}]
    path.write_text(json.dumps({"config": "default", "target": "gates", "parts": parts}))
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache for results; compiled simulations stay where they are."""
    monkeypatch.setattr(store, "cache_dir", lambda: tmp_path / "cache")


def test_model_and_rtl_agree_row_by_row(sqdm, small, areas, cache, tmp_path, monkeypatch):
    options = ("--engine", "rtl", "--config", small, "--images", 2, "--steps", 2, "--synth", areas, "--json")
    wanted = ("paper", "threshold-30", "threshold-60", "period-never", "static", "mixed-dense", "4bit-dense",
              "fp16-dense", "fp16-equal-area")  # fmt: skip
    options += tuple(word for name in wanted for word in ("--row", name))
    outcome = sqdm("bench", *options, "--out", tmp_path / "o")
    assert outcome.status == 0, outcome.err
    rows = {row["name"]: row for row in outcome.json["rows"]}
    assert rows.keys() == set(wanted)
    for name, row in rows.items():
        assert row.keys() >= FIELDS
        assert abs(row["model_error"]) <= 0.01, (name, row["cycles"], row["cycles_model"])
    for name in ("paper", "threshold-30", "threshold-60", "period-never", "static"):
        row = rows[name]
        assert row.keys() >= RAN
        assert row["pictures_equal"] is True
        assert row["cycles"] == row["active"] + sum(row["stalls"].values())
        assert row["exploited_sparsity"] == pytest.approx(row["exploitable_sparsity"], abs=0.01)
        assert rows["paper"]["element_sparsity"] == row["element_sparsity"]
    assert len({rows[name]["cycles"] for name in ("paper", "threshold-30", "threshold-60", "period-never")}) == 4
    assert rows["fp16-dense"]["cycles"] == 4 * rows["4bit-dense"]["cycles"]
    assert rows["fp16-equal-area"]["cycles"] == 6 * rows["4bit-dense"]["cycles"]
    assert 1 < rows["paper"]["speedup_4bit"] < rows["paper"]["speedup_fp16"]
    assert json.loads((tmp_path / "o" / "bench.json").read_text()) == outcome.json
    assert (tmp_path / "o" / "bench.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr(measure, "_count", lambda *_: pytest.fail("a result was in the cache"))
    monkeypatch.setattr(measure, "_count_one", measure._count)
    monkeypatch.setattr(measure, "_predict", measure._count)
    assert sqdm("bench", *options).json == outcome.json


def test_the_model_alone(sqdm, areas, cache):
    options = ("--images", 1, "--steps", 1, "--synth", areas, "--row", "headline", "--row", "mix-1+7")
    outcome = sqdm("bench", *options, "--json")
    assert outcome.status == 0, outcome.err
    rows = {row["name"]: row for row in outcome.json["rows"]}
    assert outcome.json["engine"] == "model"
    assert outcome.json["published"]["speedup_fp16"] == 6.91
    assert rows["default"]["cycles"] < rows["mix-1+7"]["cycles"] < rows["mixed-dense"]["cycles"]
    assert rows["int8-dense"]["cycles"] == pytest.approx(4 * rows["4bit-dense"]["cycles"], rel=0.3)
    shown = sqdm("bench", *options).out
    for name, row in rows.items():
        assert name in shown
        assert f"{row['cycles']:,}" in shown
    assert "predicted by the cycle model" in shown


def test_wrong_pictures_exit_1(sqdm, areas, cache, monkeypatch):
    def spoiled(experiment, setting, work):
        return measure.predicted(experiment, setting, work) | {"pictures": experiment.name != "static"}

    def counted(*arguments):
        found = spoiled(*arguments)
        return found | {"counters": found["counters"] | {"OPS_DENSE": 0, "OPS_SPARSE": 0}}

    monkeypatch.setattr("sqdm.sim.bench.run.counted", counted)
    options = ("--engine", "rtl", "--images", 1, "--steps", 1, "--row", "static", "--row", "paper", "--json")
    outcome = sqdm("bench", *options)
    assert outcome.status == 1
    assert "pictures differ from the golden model's: static" in outcome.err
    assert len(outcome.json["rows"]) == 2


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--row", "fastest"), ("row must be one of", "'fastest'", "headline")),
        (("--engine", "float"), ("float", "rtl")),
        (("--images", 0), ("--images", "0")),
        (("--steps", 0), ("--steps", "0")),
        (("--config", "magic"), ("'magic'", "default")),
        (("--model", "nowhere"), ("model", "'nowhere'")),
        (("--synth", "nowhere"), ("synth 'nowhere' cannot be read",)),
        (("--energy", "nowhere"), ("energy 'nowhere' cannot be read",)),
        (("--latency", 0), ("--latency", "0")),
    ],
)
def test_bad_requests_are_refused(sqdm, tmp_path, monkeypatch, options, fragments):
    monkeypatch.setattr(measure, "_predict", lambda *_: pytest.fail("an experiment ran"))
    sqdm("bench", "--out", tmp_path / "o", *options).assert_refused(*fragments)
    assert list(tmp_path.iterdir()) == []


def measured(engine="rtl", without=""):
    """A result with every headline row."""
    row = {"cycles": 100, "speedup_4bit": 2.0, "speedup_fp16": 8.0, "energy": None, "area": None,
           "speedup_per_area": None, "groups": ["headline"], "problem": None, "model_error": 0.004}  # fmt: skip
    rows = [{"name": name} | row for name in document.LABELS if name != without]
    published = {"speedup_4bit": 1.83, "speedup_fp16": 6.91}
    return {"engine": engine, "published": published, "rows": rows, "images": 1, "evaluations": 1}


def test_document_needs_what_the_rtl_counted(tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(measured()))
    found = document.read_result(path)
    assert "| `default`: eight sparse arrays of one slot | 100 | 2.00x | 8.00x |" in document.headline_table(found)
    assert "| `sparse` | 100 | 8.00x | 2.00x | +0.40% |" in document.page_tables(found)["headline"]
    for wrong, fragment in ((measured("model"), "must be of engine rtl"), (measured(without="paper"), "misses paper")):
        path.write_text(json.dumps(wrong))
        with pytest.raises(UserError, match=fragment):
            document.read_result(path)


def test_pages_have_a_place_for_every_table():
    page = (ROOT / document.PAGE).read_text()
    for name in (*TITLES, "picture"):
        assert page.count(f"<!-- {name} -->\n") == 1
    assert (ROOT / document.README).read_text().count("<!-- headline -->\n") == 1


def test_pages_show_what_was_measured():
    path = ROOT / document.RESULT
    if not path.exists():
        pytest.skip("docs/bench.json is not there: the table has not been measured with `sqdm bench --engine rtl`")
    found = document.read_result(path)
    assert f"<!-- headline -->\n{document.headline_table(found)}\n<!-- end -->" in (ROOT / document.README).read_text()
    page = (ROOT / document.PAGE).read_text()
    for name, table in document.page_tables(found).items():
        assert f"<!-- {name} -->\n{table}\n<!-- end -->" in page
