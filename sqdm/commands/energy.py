"""``sqdm energy``: energy per image, from gate-level switching of a real evaluation."""

import json
from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, progress, show, staged_folder, table

STEPS = 18


@click.command(
    epilog="Example: sqdm energy --run out/sample/report.json --out out/energy", short_help="Energy per image."
)
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--liberty", type=Path, multiple=True, help="Cells; again for several files.  [default: osu018]")
@click.option("--run", "report", type=Path, help="report.json of `sqdm sample`.  [default: a run of its own]")
@click.option("--images", type=click.IntRange(1, 32), default=10, show_default=True, help="In a batch.")
@click.option(
    "--steps", type=click.IntRange(1), default=STEPS, show_default=True, help="Sampling steps of its own run."
)
@click.option("--latency", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of memory, cycles.")
@click.option("--out", type=Path, help="Folder for energy.json and energy.png.")
@json_option
def energy(config: str, liberty: tuple[Path, ...], report: Path | None, out: Path | None, as_json: bool, **options):
    """Energy per image of the accelerator, of the same arrays run dense, and of dense FP16 arrays.

    All logic is mapped to the cells of --liberty; its switching is that of an evaluation in the middle of a sampling
    run, on the RTL, bit for bit. Memories and DRAM are published figures. docs/energy.md says how, and how far to
    trust it.
    """
    from sqdm.golden.model_file import load_model
    from sqdm.rtl.config import load_config
    from sqdm.synth.energy import cell_library
    from sqdm.synth.energy import report as reports
    from sqdm.synth.energy.picture import stacked_bars

    chosen = load_config(config)
    earlier = read_run(report, chosen) if report else None
    if earlier:
        options |= {name: earlier[name] for name in ("images", "steps", "latency")}
    cells = cell_library.load(list(liberty) or cell_library.default_files())
    if out is None:
        result = measure(load_model(None), chosen, cells, earlier, options)
    else:
        with staged_folder(out) as folder:
            result = measure(load_model(None), chosen, cells, earlier, options)
            (folder / "energy.json").write_text(json.dumps(result, indent=1) + "\n")
            stacked_bars(reports.bars(result), "microjoules per image", reports.caption(result), folder / "energy.png")
    show(result, table(reports.rows(result), reports.HEADS) + "\n\n" + reports.summary(result), as_json)
    if result["mismatches"]:
        message(f"{result['mismatches']} values differ from the RTL or the golden model")
        click.get_current_context().exit(1)


def measure(model, config, cells, earlier: dict | None, options: dict) -> dict:
    """Run everything with a progress bar."""
    from sqdm.synth.energy.report import STAGES, report

    with progress("energy", STAGES) as update:
        done = -1

        def on_progress(text: str) -> None:
            nonlocal done
            done += 1
            update(min(done, STAGES), text)

        return report(model, config, cells, earlier, on_progress, **options)


def read_run(path: Path, config) -> dict:
    """The report of a sampling run on the RTL with the same configuration; raises `UserError` when it is not."""
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"run {str(path)!r} cannot be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"run {str(path)!r} must be the report.json of sqdm sample") from None
    needed = ("config", "images", "steps", "latency", "evaluations", "counters", "cycles_dense", "cycles_dense_4bit")
    if not isinstance(found, dict) or not all(name in found for name in needed):
        raise UserError(f"run {str(path)!r} must be the report.json of sqdm sample")
    if not found["counters"]:
        raise UserError(f"run {str(path)!r} must be of engine rtl, not {found.get('engine')}")
    if found["config"] != config.to_dict():
        raise UserError(f"run {str(path)!r} must be of the configuration {config.name}, with the same parameters")
    return found
