"""The report of the energy command, from measurements made up by hand."""

import json

import pytest

from sqdm.golden.model_file import load_model
from sqdm.rtl.config import Config
from sqdm.synth.energy import report as reports
from sqdm.synth.energy.image import FEED, MULTIPLY
from sqdm.synth.energy.measure import Measurement, MemoryAccesses, PartEnergy
from sqdm.synth.energy.run import Run

CYCLES, DENSE_CYCLES = 1000, 3000


def measurement(name: str, cycles: int, operations: int, wrong: int = 0) -> Measurement:
    counters = {"CYCLES": cycles, "OPS_DENSE": 0, "OPS_SPARSE": operations, "READS": 200, "WRITES": 100}
    parts = [
        PartEnergy("core.compute.sparse_array_0.mac", MULTIPLY, cycles * 1e-9, operations * 1e-9, 0.0, 0.0, 9, 99),
        PartEnergy("core.compute.sparse_array_0.feeder", FEED, cycles * 1e-9, operations * 1e-9, 0.0, 0.0, 9, 99),
        PartEnergy("control", "control", cycles * 1e-9, 300e-9, 1e-9, 0.0, 9, 99),
    ]
    memories = [MemoryAccesses("sparse_array_0.weights_0", "weight buffers", 1152, 128, operations, 50.0)]
    return Measurement(name, 10, cycles, counters, parts, memories, wrong, 5000, 0)


@pytest.fixture
def made(monkeypatch, cells):
    """Calls ``report`` with these measurements in place of real ones."""

    def run(wrong: int = 0, earlier: dict | None = None) -> dict:
        ours, dense = measurement("default", CYCLES, 600, wrong), measurement("dense", DENSE_CYCLES, 2000)
        result = Run([ours, dense], {name: 3 * value for name, value in ours.counters.items()}, 3)
        per_mac = {"clock": 1e-10, "data": 1e-10, "glitches": 0.0, "leakage": 0.0, "macs": 1}
        monkeypatch.setattr(reports, "Measured", lambda *_: None)
        monkeypatch.setattr(reports, "sample_and_measure", lambda *_: result)
        monkeypatch.setattr(reports.fp16, "energy_per_mac", lambda *_: per_mac)
        return reports.report(load_model(None), Config(), cells, earlier, lambda _: None, 10, 2, 20)

    return run


def test_energies_add_up(made):
    result = made()
    assert set(result["energy_per_image"]) == {"fp16_dense", "dense_4bit", "sqdm"}
    for name, bars in result["breakdown"].items():
        assert sum(bars.values()) == pytest.approx(result["energy_per_image_with_dram"][name])
        assert bars["DRAM"] > 0
    energies = result["energy_per_image"]
    assert result["reduction_vs_dense"] == pytest.approx(1 - energies["sqdm"] / energies["dense_4bit"])
    low, high = result["reduction_vs_dense_range"]
    assert low < result["reduction_vs_dense"] < high
    assert result["cycles_per_image"] == pytest.approx({"sqdm": 3 * CYCLES / 10, "dense_4bit": 3 * DENSE_CYCLES / 10})
    assert result["spread_of_arrays"]["default"][MULTIPLY] == [1.0, 1.0]
    assert json.loads(json.dumps(result)) == result


def test_an_earlier_run_gives_the_counters(made):
    counters = {"CYCLES": 6000, "OPS_DENSE": 0, "OPS_SPARSE": 3600, "READS": 1200, "WRITES": 600}
    earlier = {"counters": counters, "cycles_dense": 9000, "cycles_dense_4bit": 8000}
    result = made(earlier=earlier)
    assert result["cycles_per_image"]["sqdm"] == 600
    assert not result["own_run"]


def test_mismatches_are_counted(made):
    assert made()["mismatches"] == 0
    assert made(wrong=7)["mismatches"] == 7


def test_text_of_the_report(made):
    result = made()
    rows = reports.rows(result)
    assert [row[0] for row in rows][-3:] == ["DRAM", "on chip", "with DRAM"]
    assert all(len(row) == len(reports.HEADS) for row in rows)
    assert f"-{result['reduction_vs_dense']:.1%} on chip" in reports.summary(result)
    assert reports.caption(result).startswith("small, 2.0 V")


def test_products_count_8_bit_operands_twice():
    assert reports.products_4bit() < reports.products() < 2 * reports.products_4bit()
