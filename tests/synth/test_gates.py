"""Gate counts: what is counted, and the bar for the sparse array."""

import json

import pytest

from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import PRESETS
from sqdm.synth import gates
from sqdm.synth.parts import PARTS, component, to_rtlil


def test_figures_leave_memories_out():
    cells = {"$_NAND_": 10, "$_DFF_P_": 2, "$mem_v2": 3}
    memories = "\n".join(
        f"cell $mem_v2 \\m{size}\n  parameter \\SIZE {size}\n  parameter \\WIDTH {width}\nend"
        for size, width in ((16, 8), (32, 4), (1, 1))
    )
    figures = gates.read_figures(json.dumps({"design": {"num_cells_by_type": cells}}), memories)
    assert figures["cells"] == 12
    assert figures["flipflops"] == 2
    assert figures["memory_bits"] == 128 + 128 + 1
    assert figures["area"] == (10 * 4 + 2 * 24) / 4
    assert figures["fmax_mhz"] is None


@pytest.mark.parametrize("name", [name for name in PARTS if name != "all"])
def test_every_part_can_be_built(name):
    assert "module \\part" in to_rtlil(component(name, PRESETS["tiny"]))


def test_all_is_the_accelerator():
    assert isinstance(component("all", PRESETS["tiny"]), Accelerator)


@pytest.mark.parametrize("name", ["default", "paper"])  # one slot, and four
def test_sparse_array_costs_at_most_a_quarter_more(name):
    reported, config = [], PRESETS[name]
    dense, sparse = gates.synthesize(config, ["dense", "sparse"], reported.append)
    assert sorted(reported) == ["dense", "sparse"]
    assert dense["memory_bits"] == sparse["memory_bits"] > 0
    multipliers = config.slots * config.lanes
    assert 200 * multipliers < dense["cells"] < sparse["cells"] <= 1.25 * dense["cells"]
    assert dense["flipflops"] > 2 * multipliers


def test_results_are_cached(monkeypatch):
    first = gates.synthesize(PRESETS["tiny"], ["detector"])
    monkeypatch.setattr(gates, "yosys", lambda *_: pytest.fail("yosys ran again"))
    assert gates.synthesize(PRESETS["tiny"], ["detector"]) == first
    assert first[0]["cells"] > 100
