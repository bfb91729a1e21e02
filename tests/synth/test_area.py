"""Area: what is counted, every target on a small part, and the bars for the sparse array and for memories."""

import json
import os
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import PRESETS
from sqdm.synth import area, hierarchy, mapping, timing
from sqdm.synth.baselines.int8_mac_array import Int8MacArray
from sqdm.synth.hierarchy import Design, Place
from sqdm.synth.liberty import DEFAULT, load
from sqdm.synth.mapping import Job, map_units, read_figures
from sqdm.synth.memories import buffer_bits
from sqdm.synth.parts import PARTS, component, to_rtlil
from sqdm.synth.targets import TARGETS

needs_osu = pytest.mark.skipif(not DEFAULT.exists(), reason="the package qflow-tech-osu018 is not installed")


def synthesize(config, names, target="gates", liberty=None):
    parts = area.synthesize(area.cut(config, names), liberty.target if liberty else TARGETS[target], liberty)
    assert not [problem for part in parts for problem in part["problems"]]
    return parts


def figures_of(device, target):
    """Figures of a component of our own."""
    design = Design(to_rtlil(device))
    places = [Place("", design.whole, False)]
    job = Job(design.whole, design.text(design.whole, False), "own")
    return area.summary(places, map_units([job], target, None, None), target)


class Table(wiring.Component):
    """256 words of 8 bits with one read port, and a number of write ports."""

    def __init__(self, write_ports=1, read_domain="sync"):
        self._write_ports = write_ports
        self._read_domain = read_domain
        super().__init__({"address": In(8), "data": In(8), "write": In(write_ports), "out": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=8, depth=256, init=[])
        read = words.read_port(domain=self._read_domain)
        m.d.comb += [read.addr.eq(self.address), self.out.eq(read.data)]
        for number in range(self._write_ports):
            port = words.write_port()
            m.d.comb += [port.addr.eq(self.address + number), port.data.eq(self.data), port.en.eq(self.write[number])]
        return m


class Pair(wiring.Component):
    """Two equal parts and a table: what a hierarchy is made of."""

    def __init__(self):
        super().__init__({"step": In(1), "last": In(1), "act": In(8), "address": In(8), "sums": Out(16).array(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Table()
        m.d.comb += [table.address.eq(self.address), table.data.eq(self.act), table.write.eq(self.last)]
        for number in range(2):
            m.submodules[f"half_{number}"] = half = Int8MacArray(1, 1, 16)
            m.d.comb += [half.step.eq(self.step), half.last.eq(self.last), half.acts[0].eq(self.act ^ number)]
            m.d.comb += [half.weights[0][0].eq(table.out), self.sums[number].eq(half.psums[0])]
        return m


def test_figures_leave_memories_and_other_units_out():
    cells = {"$_NAND_": 10, "$_DFF_P_": 2, "$mem_v2": 3, "unit_12ab": 1}
    sizes = (("16", "8"), ("32", "4"), ("11'00000000001", "1"))
    memories = "\n".join(
        f"cell $mem_v2 \\m{size}\n  parameter \\SIZE {size}\n  parameter \\WIDTH {width}\n  parameter \\RD_PORTS 1\n"
        "  parameter \\WR_PORTS 1\n  parameter \\RD_CLK_ENABLE 1'1\nend"
        for size, width in sizes
    )
    figures = read_figures(json.dumps({"design": {"num_cells_by_type": cells}}), memories, "")
    counted = area.count(figures["cells"], TARGETS["gates"])
    assert (counted["cells"], counted["flipflops"], counted["area"]) == (12, 2, (10 * 4 + 2 * 24) / 4)
    assert [memory["bits"] for memory in figures["memories"]] == [128, 128, 1]


@pytest.mark.parametrize("name", [name for name in PARTS if name not in ("all", "mac_fp16")])  # tested by themselves
def test_every_part_can_be_built(name):
    assert "module \\part" in to_rtlil(component(name, PRESETS["tiny"]))


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_all_is_the_accelerator():
    assert isinstance(component("all", PRESETS["tiny"]), Accelerator)


@pytest.mark.parametrize("name", ["default", pytest.param("paper", marks=pytest.mark.slow)])  # one slot, and four
def test_sparse_array_costs_at_most_a_quarter_more(name):
    config = PRESETS[name]
    dense, sparse = parts = synthesize(config, ["dense", "sparse"])
    assert dense["memory_bits"] == sparse["memory_bits"] > 0
    multipliers = config.slots * config.lanes
    assert 200 * multipliers < dense["cells"] < sparse["cells"] <= 1.25 * dense["cells"]
    assert dense["flipflops"] > 2 * multipliers
    assert area.ratios(parts)["sparse_over_dense_cells"] == round(sparse["cells"] / dense["cells"], 4)


def test_results_are_cached(monkeypatch):
    first = synthesize(PRESETS["tiny"], ["detector"])
    monkeypatch.setattr(mapping, "yosys", lambda *_: pytest.fail("yosys ran again"))
    assert synthesize(PRESETS["tiny"], ["detector"]) == first
    assert first[0]["cells"] > 100


@pytest.mark.parametrize("name", ["ice40", "ecp5", pytest.param("xilinx", marks=pytest.mark.slow)])
def test_memory_becomes_memory_on_fpgas(name):
    found = figures_of(Table(), TARGETS[name])
    assert found["problems"] == []
    assert found["memory_bits"] == 2048
    assert found.get("brams", 0) + found.get("lutrams", 0) > 0
    assert found["flipflops"] < 64
    assert found["area"] == found["luts"]


@pytest.mark.parametrize(
    ("target", "ports", "complaint"),
    [
        ("ice40", {"read_domain": "comb"}, "becomes flip-flops"),
        ("gates", {"read_domain": "comb"}, "reads without a clock"),
        ("gates", {"write_ports": 2}, "has 2 write ports"),
    ],
)
def test_memory_that_is_none_is_named(target, ports, complaint):
    (problem,) = figures_of(Table(**ports), TARGETS[target])["problems"]
    assert problem.startswith("words (2,048 bits) ")
    assert complaint in problem


def test_buffers_that_are_no_memories_are_missed():
    config = PRESETS["tiny"]
    part = {"name": "dense", "memory_bits": buffer_bits(config), "kinds": {}}
    assert area.missing_bits(PRESETS["tiny"], part, TARGETS["gates"]) == []
    (problem,) = area.missing_bits(PRESETS["tiny"], part | {"memory_bits": part["memory_bits"] // 2}, TARGETS["gates"])
    assert "memories of dense hold" in problem
    (problem,) = area.missing_bits(PRESETS["tiny"], part | {"kinds": {"DP16KD": 1}}, TARGETS["ecp5"])
    assert "memory cells of dense hold 18,432 bits" in problem


def test_equal_modules_are_mapped_once_and_counted_twice(monkeypatch):
    whole = figures_of(Pair(), TARGETS["gates"])
    monkeypatch.setattr(hierarchy, "BIG", 1)
    monkeypatch.setattr(area, "rtlil_text", lambda name, config: to_rtlil(Pair()))
    cut = area.cut(PRESETS["tiny"], ["all"])
    assert [place.path for place in cut.places["all"]] == ["", "table", "half_0", "half_1"]
    assert len(cut.jobs) == 3
    monkeypatch.setattr(area, "missing_bits", lambda *_: [])
    (part,) = area.synthesize(cut, TARGETS["gates"])
    for key in ("cells", "flipflops"):  # nothing is shared across units
        assert whole[key] <= part[key] < 1.3 * whole[key]
    assert part["memory_bits"] == whole["memory_bits"] == 2048
    assert [macro["name"] for macro in part["macros"]] == ["table.words"]
    rows = {row["path"]: row for row in part["hierarchy"]}
    assert rows["half_0"]["cells"] == rows["half_1"]["cells"] > 100
    assert rows[""]["cells"] == part["cells"]
    assert rows["table"]["memory_bits"] == 2048


@needs_osu
def test_liberty_gives_area_and_clock(monkeypatch):
    liberty = load([])
    monkeypatch.setattr(hierarchy, "BIG", 1)
    monkeypatch.setattr(area, "rtlil_text", lambda name, config: to_rtlil(Pair()))
    monkeypatch.setattr(area, "missing_bits", lambda *_: [])
    cut = area.cut(PRESETS["tiny"], ["all"])

    def synthesize(access):
        return area.synthesize(cut, liberty.target, liberty, access)[0]

    part = synthesize(0)
    assert part["area"] == sum(liberty.areas[kind] * number for kind, number in part["kinds"].items()) > 0
    if timing.available():
        assert part["fmax_source"] == "OpenSTA"
        assert part["critical_path"]["start"].startswith(("table.words", "act"))
        slow = synthesize(5e-9)
        assert slow["critical_path"]["start"].startswith("table.words")
        period, slow_period = 1e3 / part["fmax_mhz"], 1e3 / slow["fmax_mhz"]
        assert period < slow_period <= period + 5.01
    with monkeypatch.context() as without_tool:
        without_tool.setattr(timing, "available", lambda: False)
        without = synthesize(0)
    assert without["fmax_source"].startswith("ABC")
    assert without["critical_path"]["unit"].startswith("all")
    if timing.available():  # the same logic, without what comes before and behind it
        assert part["fmax_mhz"] < without["fmax_mhz"] < 3 * part["fmax_mhz"]


def test_delay_of_logic_is_read_from_abc(tmp_path):
    assert mapping.read_delay(tmp_path / "stats.txt") == 0
    (tmp_path / "stats.txt").write_text("netlist 32 32 1947 59840 7000 \nnetlist 32 32 1947 59840 5081 ")
    assert mapping.read_delay(tmp_path / "stats.txt") == 5081


@pytest.mark.parametrize(("folder", "time_unit"), [("ihp-sg13g2", 1e-9), ("asap7", 1e-12)])
def test_liberty_files_of_other_technologies(folder, time_unit):
    files = sorted((Path(os.environ.get("SQDM_SHARED", "")) / "pdk" / folder).glob("*.lib.gz"))
    if not files:
        pytest.skip("SQDM_SHARED does not name a folder with the liberty files")
    liberty = load(files)
    assert liberty.time_unit == time_unit
    assert len(liberty.areas) > 70
    assert liberty.registers
    assert "buf" in liberty.buffer.lower() or liberty.buffer.startswith("HB")
    assert 1 < liberty.load < 20
