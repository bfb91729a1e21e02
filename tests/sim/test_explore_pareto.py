"""Pareto front, fronts of points, and areas and energies of points, on hand-made numbers."""

import csv

import numpy as np
import pytest

from sqdm.rtl.config import PRESETS
from sqdm.sim.explore import areas, energy, points
from sqdm.sim.explore.areas import by_unit
from sqdm.sim.explore.pareto import front
from sqdm.sim.explore.space import Refused
from sqdm.sim.explore.store import Store


def test_front_of_hand_made_points():
    #        best cycles  beaten    on front  same cost, slower  smallest  equal to the first
    found = [(10, 9),     (12, 9.5), (15, 5),  (20, 5),           (30, 1),  (10, 9)]  # fmt: skip
    assert front(found) == [0, 5, 2, 4]
    assert front([(10, 2), (10, 1)]) == [1]
    assert front([]) == []


def test_front_is_what_no_point_beats():
    cloud = [tuple(pair) for pair in np.random.default_rng(0).integers(0, 12, (60, 2)).tolist()]

    def beaten(a):
        return any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in cloud)

    assert sorted(front(cloud)) == [n for n, one in enumerate(cloud) if not beaten(one)]


def one(name, workload, cycles, area, energy=None):
    config = PRESETS["default"].to_dict()
    empty = dict.fromkeys(points.COLUMNS) | {"config": config, "multipliers": 256, "stalls": {"acts": 3}}
    return empty | {"name": name, "workload": workload, "cycles": cycles, "area": area, "energy": energy,
                    "policy": "balanced", "speedup_4bit": 100 / cycles}  # fmt: skip


def test_fronts_are_those_of_each_workload():
    found = [one("a", "x", 10, 9), one("b", "x", 12, 10), one("c", "x", 20, 4, 1.0), one("a", "y", 50, 9)]
    points.mark_fronts(found)
    assert [p["pareto_area"] for p in found] == [True, False, True, True]
    assert [p["pareto_energy"] for p in found] == [None, None, True, None]
    assert [(p["name"], p["workload"]) for p in points.pareto(found, "area")] == [("a", "x"), ("c", "x"), ("a", "y")]


def test_front_against_multipliers_where_nothing_was_synthesised():
    found = [one("a", "x", 10, None), one("b", "x", 12, None)]
    points.mark_fronts(found)
    assert points.cost_of(found, "area") == "multipliers"
    assert [p["name"] for p in points.pareto(found, "multipliers")] == ["a"]


def test_csv_has_points_and_refusals(tmp_path):
    found = [one("a", "x", 10, None)]
    points.mark_fronts(found)
    points.write_csv(found, [Refused("b", {}, "lanes must be more")], tmp_path / "p.csv")
    first, second = csv.DictReader((tmp_path / "p.csv").read_text().splitlines())
    assert (first["name"], first["cycles"], first["area"], first["stall_acts"], first["lanes"]) == (
        "a", "10", "", "3", "32"
    )  # fmt: skip
    assert (second["name"], second["problem"], second["cycles"]) == ("b", "lanes must be more", "")


def test_area_by_unit_counts_every_place_once():
    rows = [("", 1000), ("port", 100), ("core", 800), ("core.compute", 500), ("core.compute.sparse_array_0", 300),
            ("core.compute.sparse_array_0.mac", 200), ("core.compute.sparse_array_0.feeder", 60),
            ("core.loader.turns", 30), ("core.loader", 50), ("core.sequencer", 20)]  # fmt: skip
    found = by_unit([{"path": path, "area": area} for path, area in rows])
    wanted = {"memory port": 100, "multipliers and accumulators": 200, "feeders": 60, "psum queues and join": 240,
              "loader and corner turns": 50, "control": 350}  # fmt: skip
    assert {name: area for name, area in found.items() if area} == wanted
    assert sum(found.values()) == 1000


def test_areas_are_synthesised_once(tmp_path, monkeypatch):
    import sqdm.synth.area

    calls = []
    part = {"area": 7.0, "memory_bits": 9, "problems": [], "hierarchy": [{"path": "", "area": 7.0}]}
    monkeypatch.setattr("sqdm.sim.explore.store.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(sqdm.synth.area, "cut", lambda config, names: names)
    monkeypatch.setattr(sqdm.synth.area, "synthesize", lambda cut, target, on_job: calls.append(target.name) or [part])
    found = [areas.area_of(PRESETS[name], Store(tmp_path / "out"), print) for name in ("tiny", "tiny", "paper")]
    assert calls == ["gates", "gates"]  # of tiny and of paper
    assert found[0] == found[1] and found[0].area == 7.0 and found[0].units["control"] == 7.0


REPORT = energy.EnergyReport(
    PRESETS["default"], 10, 18, 20,
    {"feeders": {"clock": 4.0, "data": 2.0, "glitches": 1.0, "leakage": 1.0},
     "output path": {"clock": 8.0, "data": 3.0, "glitches": 0.0, "leakage": 0.0}},
    {"weight buffers": 5.0, "activation buffers": 7.0},
)  # fmt: skip


def test_energy_of_what_was_measured_is_the_measurement():
    work, units = energy.Work(100, 1000, 50), {"feeders": 10.0, "output path": 20.0}
    assert energy.estimate(REPORT, work, units, work, units) == pytest.approx(4 + 2 + 1 + 1 + 8 + 3 + 5 + 7)


def test_energy_scales_with_cycles_gates_products_and_words():
    work, units = energy.Work(100, 1000, 50), {"feeders": 10.0, "output path": 20.0}
    other, own = energy.Work(200, 3000, 25), {"feeders": 15.0, "output path": 20.0}
    wanted = (4 + 1) * 2 * 1.5 + (2 + 1) * 3 + 8 * 2 + 3 * 0.5 + 5 * 3 + 7 * 0.5
    assert energy.estimate(REPORT, work, units, other, own) == pytest.approx(wanted)
