"""The benchmark's rows: what is compared, and the arithmetic between cycles and figures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sqdm.compiler.network import compile_network
from sqdm.errors import UserError
from sqdm.golden.model_file import load_model
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.registers import STALLS
from sqdm.sim.bench import figures, measure, rows, run, sparsity, store
from sqdm.sim.bench.experiments import DERIVED, HEADLINE, REFERENCES, chosen, experiments
from sqdm.sim.bench.figures import Figures, hardware
from sqdm.sim.bench.measure import Setting, batches, predicted
from sqdm.sim.bench.rows import Result
from sqdm.sim.bench.text import TITLES, text
from sqdm.sim.bench.trace import Sampling, record
from sqdm.sim.cycles import kernel
from sqdm.sim.cycles.network_run import ModelRun

BASE = PRESETS["default"]


@pytest.fixture(scope="module")
def every():
    return experiments(BASE)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache for results; compiled simulations stay where they are."""
    monkeypatch.setattr(store, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "bench"


@pytest.fixture(scope="module")
def setting():
    model, sampling = load_model(), Sampling(images=2, steps=2, seed=0)
    return Setting(model, sampling, record(model, sampling, lambda _: None), latency=20)


def test_rows_have_the_multipliers_and_the_presets(every):
    assert {one.config.multipliers for one in every.values()} == {BASE.multipliers}
    for name in ("paper", "sparse", "default"):
        assert every[name].config == PRESETS[name]
    groups = {group for one in every.values() for group in one.groups}
    assert groups == set(TITLES)
    assert set(HEADLINE) <= {*DERIVED, *every}
    assert set(REFERENCES) <= set(every)
    configurations = {
        (hardware(one.config), one.policy, one.sparse_share, one.period, one.sort, one.bits) for one in every.values()
    }
    assert len(configurations) == len(every), "two rows must not be the same experiment"


def test_slots_that_cannot_be_halved_are_refused():
    with pytest.raises(UserError, match=r"even number of slots.*not 3"):
        experiments(Config(name="three", sparse_arrays=3, slots=1, max_channels=128))


def test_rows_are_chosen_by_name_and_group(every):
    assert chosen(every, ()) == [*DERIVED, *every]
    assert chosen(every, ("static", "int8-convention")) == ["int8-convention", "static"]
    assert set(chosen(every, ("headline",))) == set(HEADLINE)
    with pytest.raises(UserError, match=r"row must be one of .*'fastest'"):
        chosen(every, ("fastest",))


def counters(cycles, **others):
    found = dict.fromkeys((*STALLS, "ACTIVE", "BUSY_DENSE", "BUSY_SPARSE", "OPS_DENSE", "OPS_SPARSE"), 0)
    return {"counters": found | {"CYCLES": cycles, "ACTIVE": cycles - 10, "STALL_ACTS": 10} | others}


def result(cycles, model=None, **others):
    products = {"total": 100, "zero": 70, "exploitable": 60, "taken": 45}
    return Result(counters(model or cycles) | {"products": products}, counters(cycles, **others) | {"pictures": True})


def made(every, names, found, known=None):
    return {row["name"]: row for row in rows.rows(names, every, found, known or Figures(), "rtl")}


RESULTS = {
    "4bit-dense": result(1000),
    "mixed-dense": result(1200),
    "paper": result(600, 597, OPS_DENSE=20, OPS_SPARSE=22),
}


def test_speedups_are_over_the_references(every):
    found = made(every, [*DERIVED, *RESULTS], RESULTS)
    assert found["fp16-dense"]["cycles"] == 4000
    assert found["int8-convention"]["cycles"] == 2000
    paper = found["paper"]
    assert (paper["speedup_fp16"], paper["speedup_4bit"]) == (4000 / 600, 2.0)
    assert found["fp16-dense"]["speedup_fp16"] == found["mixed-dense"]["speedup_4bit"] == 1
    assert paper["model_error"] == pytest.approx(-0.005)
    assert paper["cycles"] == paper["active"] + sum(paper["stalls"].values())
    assert paper["element_sparsity"] == pytest.approx(0.7)
    assert paper["exploitable_sparsity"] == pytest.approx(0.6)
    assert paper["exploited_sparsity"] == pytest.approx(0.58), "the RTL's own counters, where it ran"
    assert paper["bound_reached"] == pytest.approx(2 * 0.3)
    assert paper["area"] is paper["energy"] is paper["speedup_per_area"] is None
    assert found["fp16-equal-area"]["cycles"] is None
    assert "mac_fp16" in found["fp16-equal-area"]["problem"]


def test_area_and_energy_are_those_of_the_configuration(every):
    areas = {hardware(every["mixed-dense"].config): 100.0, hardware(every["paper"].config): 125.0}
    energies = {"fp16_dense": 4e-6, "dense_4bit": 2e-6, "sqdm": 1e-6}
    known = Figures(areas, 6.0, energies, every["paper"].config.to_dict())
    found = made(every, [*DERIVED, *RESULTS, "threshold-30"], RESULTS | {"threshold-30": result(700)}, known)
    assert found["paper"]["speedup_per_area"] == pytest.approx(2.0 / 1.25)
    assert found["fp16-equal-area"]["cycles"] == 6000
    assert found["fp16-equal-area"]["speedup_per_area"] == pytest.approx(0.2)
    assert found["fp16-dense"]["area"] is None
    energy = {name: row["energy"] for name, row in found.items() if row["energy"] is not None}
    assert energy == {"fp16-dense": 4e-6, "mixed-dense": 2e-6, "paper": 1e-6}


def test_experiment_that_does_not_fit_is_a_row_with_its_problem(every):
    found = made(every, ["static", "paper"], RESULTS | {"static": Result(problem="too small")})
    assert found["static"]["problem"] == "too small"
    assert found["static"]["cycles"] is found["static"]["speedup_4bit"] is None
    published = rows.PUBLISHED
    shown = {"engine": "rtl", "images": 1, "evaluations": 1, "zero_fraction": 0.5, "published": published}
    assert "static: too small" in text(shown | {"rows": list(found.values())})


def test_file_of_another_command_is_refused(tmp_path):
    path = tmp_path / "x.json"
    for content in ("{", "[]", '{"config": 1, "target": "gates", "parts": [{"name": "mac", "area": 0}]}'):
        path.write_text(content)
        with pytest.raises(UserError, match="must be the output of `sqdm synth"):
            figures.read_synth(path, Figures())
    parts = [{"name": "mac", "area": 10}, {"name": "mac_fp16", "area": 65}, {"name": "all", "area": 7}]
    good = {"config": "paper", "target": "gates", "parts": parts}
    path.write_text(json.dumps(good | {"target": "ecp5"}))
    with pytest.raises(UserError, match="target gates, not 'ecp5'"):
        figures.read_synth(path, Figures())
    path.write_text(json.dumps(good))
    found = Figures()
    figures.read_synth(path, found)
    assert found.fp16_ratio == 6.5
    assert found.areas == {hardware(PRESETS["paper"]): 7}


def test_area_is_synthesised_on_demand_and_kept(every, cache, monkeypatch):
    asked = []
    monkeypatch.setattr(figures, "synthesised", lambda config, parts, _: asked.append(parts) or dict.fromkeys(parts, 8))
    config = every["paper"].config
    assert figures.area_of(config, False, print) is None
    assert figures.area_of(config, True, print) == figures.area_of(replace(config, name="x"), False, print) == 8
    assert figures.area_of(every["sparse"].config, False, print) is None
    assert figures.fp16_over_4bit(config, print) == figures.fp16_over_4bit(config, print) == 1
    assert asked == [["all"], ["mac", "mac_fp16"]]


def test_energy_of_another_run_is_refused(tmp_path):
    path = tmp_path / "energy.json"
    report = {"config": {}, "images": 10, "steps": 18, "latency": 20, "energy_per_image": {"sqdm": 1}}
    path.write_text(json.dumps(report))
    with pytest.raises(UserError, match="of steps 2, as this run, not 18"):
        figures.read_energy(path, Figures(), 10, 2, 20)
    with pytest.raises(UserError, match="output of `sqdm energy"):
        figures.read_energy(path, Figures(), 10, 18, 20)


def test_products_are_those_of_the_convolutions(every, setting):
    """Against a count over every output pixel, tap and channel of one layer."""
    program = compile_network(setting.model.arrays, 2, every["paper"].config)
    model = ModelRun(program, 20)
    maps = model.operands(setting.trace.evaluation(0))
    number, d = next((n, d) for n, d in model.convs.items() if d.name == "enc.8x8_block0.conv0")
    found = sparsity.of_evaluation(program, {number: maps[number]}, model.labels)
    padded = np.pad(maps[number][0], ((0, 0), (0, 0), (1, 1), (1, 1)))
    inside = np.pad(np.ones((8, 8), bool), 1)
    tiles = -(-d["OUT_CHANNELS"] // BASE.lanes)
    taken = whole = 0
    for row in range(3):
        for column in range(3):
            taken += tiles * np.count_nonzero(padded[:, :, row : row + 8, column : column + 8])
            whole += tiles * 2 * d["CHANNELS"] * np.count_nonzero(inside[row : row + 8, column : column + 8])
    assert (found.total, found.total - found.zero) == (whole, taken)
    assert 0 < found.exploitable < found.zero
    assert found.taken == found.total - found.exploitable, "its dense channels fill whole steps"


def test_sparse_arrays_exploit_every_zero_and_dense_ones_none(every, setting, cache):
    found = {}
    for name in ("default", "paper", "mixed-dense", "threshold-90"):
        products = predicted(every[name], setting, batches(every[name], setting))["products"]
        found[name] = sparsity.Products(**products).shares()
    assert len({shares["element_sparsity"] for shares in found.values()}) == 1
    assert found["default"]["exploited_sparsity"] == found["default"]["element_sparsity"]
    assert found["mixed-dense"]["exploitable_sparsity"] == 0
    assert found["mixed-dense"]["exploited_sparsity"] <= 0
    assert 0 < found["threshold-90"]["exploitable_sparsity"] < found["paper"]["exploitable_sparsity"]


def test_batches_above_the_limit_are_split(every, setting, cache):
    narrow = replace(every["paper"], config=replace(every["paper"].config, max_images=1))
    work = batches(narrow, setting)
    assert [part for part, _ in work] == [slice(0, 1), slice(1, 2)]
    whole = predicted(every["paper"], setting, batches(every["paper"], setting))
    halves = predicted(narrow, setting, work)
    assert halves["products"]["zero"] == whole["products"]["zero"]
    assert halves["counters"]["CYCLES"] > whole["counters"]["CYCLES"]


def test_run_that_was_cut_off_goes_on(every, setting, cache, monkeypatch):
    needed = run.needed(["paper", "static"], every)
    assert [one.name for one in needed] == [*REFERENCES, "paper", "static"]
    asked = []

    class Interrupted(ModelRun):
        def __init__(self, program, *options):
            if len(asked) == 3:
                raise KeyboardInterrupt
            asked.append(program)
            super().__init__(program, *options)

    monkeypatch.setattr("sqdm.sim.bench.measure.ModelRun", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run(needed, setting, "model", lambda *_: None)
    assert len(list(cache.glob("model-*.json"))) == 3
    monkeypatch.setattr("sqdm.sim.bench.measure.ModelRun", lambda *_: asked.append(1) or ModelRun(*_))
    first = run.run(needed, setting, "model", lambda *_: None)
    assert len(asked) == 4, "only the experiment that was missing ran"
    assert run.run(needed, setting, "model", lambda *_: None) == first
    assert len(asked) == 4
    other = replace(setting, latency=21)
    run.run(needed[:1], other, "model", lambda *_: None)
    assert len(asked) == 5, "another memory is another result"


def test_predictions_are_kept_by_the_model_that_made_them(monkeypatch):
    """Not by what its files hold later on: a benchmark runs for hours, and the model is loaded once."""
    made_with = measure._model_sources()
    monkeypatch.setattr(kernel, "build", lambda: Path("changed.so"))
    monkeypatch.setattr(Path, "read_text", lambda path: "changed")
    assert measure._model_sources() == made_with
