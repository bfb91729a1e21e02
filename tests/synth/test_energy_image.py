"""From a measured evaluation to the energy of an image."""

import pytest

from sqdm.rtl.config import Config
from sqdm.synth.energy.image import FEED, MULTIPLY, Work, energy, fp16, reduction
from sqdm.synth.energy.measure import Measurement, MemoryAccesses, PartEnergy, same_arrays_dense
from sqdm.synth.energy.memories import dram_bits, sram_access
from sqdm.synth.energy.picture import stacked_bars

COUNTERS = {"CYCLES": 2000, "OPS_DENSE": 0, "OPS_SPARSE": 600, "READS": 300, "WRITES": 100}
WEIGHTS = MemoryAccesses("sparse_array_0.weights_0", "weight buffers", 64, 128, 150, 30.0)
QUEUE = MemoryAccesses("tags.storage", "other memories", 32, 16, 10, 10.0)
#: 500 of 2,000 cycles were measured.
MEASURED = Measurement(
    "default", 10, 500, COUNTERS,
    [
        PartEnergy("a", MULTIPLY, 1.0, 2.0, 0.5, 0.25, 10, 100),
        PartEnergy("b", "control", 4.0, 8.0, 0.0, 0.5, 10, 100),
    ],
    [WEIGHTS, QUEUE], 0, 1, 0,
)  # fmt: skip
WORK = Work.of({"CYCLES": 40_000, "OPS_DENSE": 0, "OPS_SPARSE": 6_000, "READS": 7_000, "WRITES": 1_000}, 10)


def test_work_per_image():
    assert Work(4000, 600, 700, 100) == WORK


def test_clock_goes_with_cycles_and_data_with_work(cells):
    found = energy(MEASURED, WORK, Config(), cells, "typical")
    # cycles 4000 / 500; operations 600 / 150; words 800 of an image over 100 in the measured quarter
    assert found.logic[MULTIPLY] == pytest.approx({"clock": 8.0, "data": 8.0, "glitches": 2.0, "leakage": 2.0})
    assert found.logic["control"] == pytest.approx({"clock": 32.0, "data": 64.0, "glitches": 0.0, "leakage": 4.0})
    access = sram_access(64, 128, cells)
    assert found.memories["weight buffers"] == pytest.approx(access * (150 * 4 + 30 * 8))
    assert found.memories["other memories"] == pytest.approx(sram_access(32, 16, cells) * 20 * 8)
    assert found.dram == pytest.approx(dram_bits(128 * 800))
    assert sum(found.bars().values()) == pytest.approx(found.total)
    assert found.total - found.on_chip == pytest.approx(found.dram)


def test_fp16_takes_four_times_the_cycles_and_bits(cells):
    per_mac = {"clock": 3.0, "data": 5.0, "glitches": 1.0, "leakage": 0.5}
    base = energy(MEASURED, WORK, Config(), cells, "typical")
    found = fp16(MEASURED, WORK, 2000.0, per_mac, Config(), cells, "typical")  # half the cycles in 4 bit
    assert found.logic["control"] == pytest.approx({"clock": 64.0, "data": 64.0, "glitches": 0.0, "leakage": 8.0})
    products = 600 * 32 / 2
    cycles = 64 * 8000
    assert found.logic[MULTIPLY] == pytest.approx(
        {"clock": 3.0 * cycles, "data": 5.0 * products, "glitches": products, "leakage": 0.5 * cycles}
    )
    assert found.memories["weight buffers"] == pytest.approx(4 * base.memories["weight buffers"])
    assert found.memories["other memories"] == base.memories["other memories"]
    assert found.dram - base.dram == pytest.approx(dram_bits(3 * 30 * 128 * 8))


def test_reduction():
    assert reduction(45.0, 100.0) == pytest.approx(0.55)


def test_same_arrays_dense():
    dense = same_arrays_dense(Config(dense_arrays=1, sparse_arrays=3, slots=2))
    assert (dense.dense_arrays, dense.sparse_arrays, dense.slots) == (4, 0, 2)
    assert dense.multipliers == Config(dense_arrays=1, sparse_arrays=3, slots=2).multipliers


def test_picture(tmp_path):
    stacked_bars({"one": {MULTIPLY: 1.0, FEED: 2.0}, "two": {MULTIPLY: 3.0, FEED: 1.0}}, "J", "c", tmp_path / "e.png")
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")
