"""``sqdm report``: one page with everything that was measured."""

from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, show, staged_folder, table

STEPS = 18
LABELS = list(range(10))
RUN_OPTIONS = ("config", "images", "steps", "engine")


@click.command(
    epilog="Example: sqdm report --sample out/sample --energy energy.json --out out/report",
    short_help="One HTML page of all results.",
)
@click.option("--out", required=True, type=Path, help="Folder for report.html.")
@click.option("--sample", "folder", type=Path, help="Folder of `sqdm sample --stats`.  [default: a run of its own]")
@click.option("--bench", type=Path, help="Result of `sqdm bench --json`.  [default: docs/bench.json, if there]")
@click.option("--synth", type=Path, multiple=True, help="Result of `sqdm synth --json`; again for several.")
@click.option("--energy", type=Path, help="Result of `sqdm energy --json`.")
@click.option("--config", help="Of its own run: a name or a TOML file.  [default: default]")
@click.option("--images", type=int, help="Of its own run.  [default: 10]")
@click.option("--steps", type=int, help="Of its own run.  [default: 18]")
@click.option("--engine", type=click.Choice(["rtl", "golden"]), help="Of its own run.  [default: rtl]")
@json_option
def report(out: Path, folder: Path | None, bench: Path | None, synth: tuple[Path, ...], energy: Path | None,
           as_json: bool, **options):  # fmt: skip
    """Write one HTML page that needs no network: pictures, tables and what made them.

    It shows results of other commands: digits, speed-ups, cycles by layer with their stalls, zeros by channel and
    step, area, energy, and the environment. What was not given is left out, with the command that makes it. Without
    --sample it draws digits first, as `sqdm sample --stats` does, and leaves their files beside the page.
    """
    from sqdm.page import inputs as reading
    from sqdm.page.environment import ROOT

    given = [name for name in RUN_OPTIONS if options[name] is not None]
    if folder and given:
        raise UserError(f"{given[0]} must be left out when a sample is given")
    if bench is None and (ROOT / "docs" / "bench.json").exists():
        bench = ROOT / "docs" / "bench.json"
    results = {
        "bench": reading.read_bench(bench) if bench else None,
        "synth": [reading.read_json(path, "synth", reading.SYNTH) for path in synth],
        "energy": reading.read_json(energy, "energy", reading.ENERGY) if energy else None,
    }
    earlier = reading.read_sample(folder) if folder else None
    prepared = None if folder else prepare(**options)
    with staged_folder(out) as staging:
        if prepared:
            draw(*prepared, staging)
        found = reading.Inputs(earlier or reading.read_sample(staging), **results)
        states = write(found, staging)
        files = [str(out / path.name) for path in sorted(staging.iterdir())]
    text = table(list(states.items()), ("section", "")) + f"\nwritten: {out / 'report.html'}"
    show({"files": files, "sections": states}, text, as_json)
    if mismatches := found.sample.report["mismatches"]:
        message(f"{mismatches} outputs of the sampling run differ from the golden model")
        click.get_current_context().exit(1)


def write(inputs, folder: Path) -> dict[str, str]:
    """Write report.html; gives `present` or `missing` by section."""
    from sqdm.page.page import render, sections

    found = sections(inputs)
    (folder / "report.html").write_text(render(found, inputs), encoding="utf-8")
    return {section.name: "missing" if section.missing else "present" for section in found}


def prepare(config: str | None, images: int | None, steps: int | None, engine: str | None) -> tuple:
    """Check the request for a run of its own: model, labels, configuration, engine, and options for `draw`."""
    from sqdm.commands.sample import expand, make_engine
    from sqdm.golden.model_file import load_model
    from sqdm.golden.sample import check_labels, check_steps
    from sqdm.rtl.config import load_config

    chosen = load_config(config or "default")
    labels = check_labels(expand(LABELS, images)).tolist()
    options = {"engine": engine or "rtl", "steps": STEPS if steps is None else steps, "policy": "balanced",
               "period": 1, "latency": 20, "check": True}  # fmt: skip
    check_steps(options["steps"])
    model = load_model(None)
    return model, labels, chosen, make_engine(model, len(labels), chosen, **options), options


def draw(model, labels: list[int], config, computing, options: dict, folder: Path) -> None:
    """Run the sampler; the files of `sqdm sample --stats` in ``folder``."""
    from sqdm.commands.sample import run

    run(model, labels, config, computing, folder, seed=0, stats=True, **options)
