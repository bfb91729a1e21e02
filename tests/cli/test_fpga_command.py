"""`sqdm fpga`: what it refuses, what it reports, and what it hands to the tools."""

import json

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqdm.errors import UserError
from sqdm.rtl.board.settings import BoardSettings, fastest_baud
from sqdm.rtl.config import Config
from sqdm.synth import board

#: The smallest accelerator that there is.
SMALLEST = Config(
    name="smallest", sparse_arrays=1, bus_bits=64, max_channels=16, max_out_channels=32, max_size=8, max_images=2,
    slot_channels=16, act_rows=64, psum_depth=4,
)  # fmt: skip


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "smallest.toml"
    path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in SMALLEST.to_dict().items()))
    return path


class Loopback(wiring.Component):
    """The ports of a board system around nothing: elaborating a real one takes long."""

    def __init__(self, config, settings):
        super().__init__({"rx": In(1), "tx": Out(1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.tx.eq(self.rx)
        return m


@pytest.fixture
def tools(monkeypatch):
    """In place of yosys, nextpnr and ecppack: notes their calls and makes their files. ``mhz`` is what they reach."""
    calls = {"mhz": 70.0}

    def run(name, arguments, folder):
        calls[name] = arguments
        cells = {"TRELLIS_COMB": {"used": 10, "available": 100}, "DP16KD": {"used": 0, "available": 5}}
        fmax = {"$glbnet$clk": {"achieved": calls["mhz"], "constraint": 60.0}}
        for made, content in (
            ("top.bit", "bits"),
            ("top.rpt", "log"),
            ("top.tim", "log"),
            ("timing.json", json.dumps({"fmax": fmax, "utilization": cells})),
        ):
            (folder / made).write_text(content)
        calls["rtlil"] = (folder / "top.il").read_text()
        calls["pins"] = (folder / "top.lpf").read_text()
        return ""

    monkeypatch.setattr(board, "BoardSystem", Loopback)
    monkeypatch.setattr(board, "yosys", lambda arguments, folder: run("yosys", arguments, folder))
    monkeypatch.setattr(
        board, "run_tool", lambda package, function, name, arguments, folder: run(name, arguments, folder)
    )
    return calls


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--board", "arty"], ["board", "ulx3s", "'arty'"]),
        ([], ["out"]),
        (["--mhz", "61"], ["mhz", "61"]),
        (["--mhz", "25", "--baud", "3000000"], ["baud", "25 MHz", "3000000"]),
        (["--memory", "96"], ["memory_bytes", "98304"]),
        (["--mhz", "4"], ["--mhz"]),
    ],
)
def test_wrong_requests(sqdm, tmp_path, toml, arguments, fragments):
    out = [] if arguments == [] else ["--out", tmp_path / "out"]
    sqdm("fpga", "--config", toml, *out, *arguments).assert_refused(*fragments)
    assert not (tmp_path / "out").exists()


def test_missing_tools_are_named(sqdm, tmp_path, toml, monkeypatch):
    monkeypatch.setattr(board, "NEXTPNR", "yowasp_nextpnr_none")
    sqdm("fpga", "--config", toml, "--out", tmp_path / "out").assert_refused('pip install "sqdm[fpga]"')


@pytest.mark.parametrize(("mhz", "status"), [(70.0, 0), (59.9, 1)])
def test_report_and_status(sqdm, tmp_path, toml, tools, mhz, status):
    tools["mhz"] = mhz
    outcome = sqdm("fpga", "--config", toml, "--out", tmp_path / "out", "--seed", "3", "--json")
    assert outcome.status == status
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert outcome.json.items() >= report.items()
    assert (report["clock_mhz"], report["fmax_mhz"], report["timing_met"]) == (60.0, mhz, status == 0)
    assert (report["baud"], report["memory_bytes"]) == (3_000_000, 128 * 1024)
    assert report["utilisation"] == {"TRELLIS_COMB": {"used": 10, "available": 100}}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"sqdm_ulx3s.bit", "report.json", "yosys.log", "nextpnr.log"}
    arguments = tools["nextpnr-ecp5"]
    assert arguments[arguments.index("--seed") + 1] == "3"
    assert "--85k" in arguments


def test_clock_and_pins(sqdm, tmp_path, toml, tools):
    assert sqdm("fpga", "--config", toml, "--out", tmp_path / "out", "--mhz", "50").status == 0
    for pin in (
        '"clk25_0__io" SITE "G2"',
        '"uart_0__rx__io" SITE "M1"',
        '"uart_0__tx__io" SITE "L4"',
        '"esp32_0__gpio0__io" SITE "L2"',
    ):
        assert f"LOCATE COMP {pin}" in tools["pins"]
    assert 'FREQUENCY PORT "clk25_0__io" 25000000.0 HZ' in tools["pins"]
    for name, value in (("CLKI_DIV", 1), ("CLKFB_DIV", 2), ("CLKOP_DIV", 12)):
        assert any(f"\\{name}" in line and str(value) in line for line in tools["rtlil"].splitlines())


@pytest.mark.parametrize("mhz", [5, 10, 20, 25, 30, 40, 45, 50, 60, 75, 80, 100])
def test_pll_keeps_its_limits(mhz):
    found = board.pll(mhz * 1_000_000)
    assert 25 * found.feedback / found.reference == mhz
    assert 400 <= mhz * found.output <= 800
    assert 25 / found.reference >= 3.125


@pytest.mark.parametrize(("mhz", "baud"), [(60, 3_000_000), (25, 1_000_000), (50, 2_000_000), (12, 3_000_000)])
def test_fastest_baud(mhz, baud):
    assert fastest_baud(mhz * 1_000_000) == baud
    assert abs(BoardSettings(clock_hz=mhz * 1_000_000, baud=baud).baud_error) <= 0.015


@pytest.mark.parametrize(
    "values",
    [
        {"clock_hz": 0},
        {"baud": 20_000_000},
        {"baud": 100},
        {"memory_bytes": 5000},
        {"memory_bytes": 2048},
        {"idle_bytes": 1.5},
    ],
)
def test_settings_are_checked(values):
    with pytest.raises(UserError, match=f"{next(iter(values))} must be"):
        BoardSettings(**values)


@pytest.mark.slow
def test_the_tools_make_a_bitstream(tmp_path, monkeypatch):
    pytest.importorskip(board.NEXTPNR, reason="needs the extra fpga")
    monkeypatch.setattr(board, "BoardSystem", Loopback)
    stages = []
    report = board.build(SMALLEST, BoardSettings(), tmp_path, on_stage=lambda done, name: stages.append(name))
    assert stages == list(board.STAGES)
    assert report["timing_met"]
    assert report["fmax_mhz"] > 60
    assert report["utilisation"]["EHXPLLL"]["used"] == 1
    assert (tmp_path / "sqdm_ulx3s.bit").stat().st_size > 100_000
    assert "Derived frequency constraint of 60.0 MHz" in (tmp_path / "nextpnr.log").read_text()
