"""``sqdm fpga``: a bitstream for a board, or the same board in simulation."""

import sys
import time
from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, progress, show, staged_folder, table

BOARDS = ("ulx3s",)
NAP = 0.2  #: seconds between two looks at whether the simulated board is still wanted


@click.command(epilog="Example: sqdm fpga --board ulx3s --out out/fpga", short_help="Bitstream for a board.")
@click.option("--board", default="ulx3s", show_default=True, help="The board: ulx3s (with an LFE5U-85F).")
@click.option("--out", type=Path, help="Folder for sqdm_ulx3s.bit, report.json and the logs.")
@click.option("--config", default="fpga", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--mhz", type=click.IntRange(5, 200), default=60, show_default=True, help="Clock of the accelerator.")
@click.option("--baud", type=click.IntRange(1), help="Of the serial port.  [default: the fastest that the clock makes]")
@click.option("--memory", type=click.IntRange(1), default=128, show_default=True, help="On-chip memory, KiB.")
@click.option("--seed", type=click.IntRange(1), default=1, show_default=True, help="Of the placement.")
@click.option("--simulate", is_flag=True, help="No bitstream: offer the simulated board on a terminal until Ctrl-C.")
@json_option
def fpga(
    board: str,
    out: Path | None,
    config: str,
    mhz: int,
    baud: int | None,
    memory: int,
    seed: int,
    simulate: bool,
    as_json: bool,
):
    """Build the accelerator with on-chip memory and a serial host bridge for a board, with tools from pip only.

    `sqdm sample --engine uart:PORT` drives the board, or with --simulate the compiled board behind the name that is
    printed. Exit status 1: the bitstream was made, but the clock is too fast for it.
    """
    from sqdm.rtl.board.settings import BoardSettings, fastest_baud
    from sqdm.rtl.config import load_config

    if board not in BOARDS:
        raise UserError(f"board must be one of {', '.join(BOARDS)}, not {board!r}")
    chosen = load_config(config)
    if simulate:
        serve(chosen, memory, as_json)
        return
    if out is None:
        raise UserError("out must be a folder, unless the board is simulated")
    clock = mhz * 1_000_000
    settings = BoardSettings(clock_hz=clock, baud=baud or fastest_baud(clock), memory_bytes=memory * 1024)
    report = make(chosen, settings, out, seed)
    show(report, text(report, out), as_json)
    if not report["timing_met"]:
        click.get_current_context().exit(1)


def make(config, settings, out: Path, seed: int) -> dict:
    """Build into ``out``; the report with the names of the files."""
    from sqdm.synth.board import STAGES, build, pll, require_tools

    require_tools()
    pll(settings.clock_hz)
    with staged_folder(out) as folder, progress("building", len(STAGES)) as update:

        def on_stage(done: int, name: str) -> None:
            update(done, name)
            message(f"{name} ({done + 1} of {len(STAGES)})")

        report = build(config, settings, folder, seed, on_stage)
        files = [str(out / path.name) for path in sorted(folder.iterdir())]
    return report | {"files": files}


def text(report: dict, out: Path) -> str:
    """The report for people."""
    rows = [
        (name, f"{cells['used']:,}", f"{cells['available']:,}", f"{cells['used'] / cells['available']:.0%}")
        for name, cells in report["utilisation"].items()
    ]
    verdict = "met" if report["timing_met"] else "MISSED"
    return (
        table(rows, (report["device"], "used", "available", ""))
        + f"\nclock {report['clock_mhz']:g} MHz {verdict} (up to {report['fmax_mhz']:.1f} MHz), {report['baud']:,} baud"
        + f"\nwritten: {out}"
    )


def serve(config, memory: int, as_json: bool) -> None:
    """Offer a simulated board until the user has enough."""
    from dataclasses import replace

    from sqdm.sim.board.simulated_board import SETTINGS, SimulatedBoard
    from sqdm.sim.board.terminal import Terminal

    board = SimulatedBoard(config, replace(SETTINGS, memory_bytes=memory * 1024), message)
    with Terminal(board) as terminal:
        line = f"board at {terminal.name}: sqdm sample --engine uart:{terminal.name} --config {config.name} --out DIR"
        show({"port": terminal.name, "config": config.name, "memory_bytes": memory * 1024}, line, as_json)
        sys.stdout.flush()
        message("Ctrl-C ends it")
        try:
            while True:
                time.sleep(NAP)
        except KeyboardInterrupt:
            message(f"{board.cycle:,} cycles")
