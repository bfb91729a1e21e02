"""``sqdm bench``: the headline table, baselines and ablation."""

import json
from pathlib import Path

import click

from sqdm.output import json_option, message, progress, show, staged_folder

ENGINES = ("model", "rtl")


@click.command(
    epilog="Example: sqdm bench --engine rtl --row headline --out out/bench", short_help="Baselines and ablation."
)
@click.option("--engine", type=click.Choice(ENGINES), default="model", show_default=True,
              help="The cycle model (seconds a row), or the compiled Verilog (minutes a row).")  # fmt: skip
@click.option("--row", multiple=True, help="A row or a group of rows; again for several.  [default: all]")
@click.option("--config", default="default", show_default=True, help="Whose multipliers and buffers all rows share.")
@click.option("--model", type=Path, help="Model folder.  [default: the shipped one]")
@click.option("--images", type=click.IntRange(1), default=10, show_default=True, help="Drawn together.")
@click.option("--steps", type=click.IntRange(1), default=18, show_default=True, help="Sampling steps (Heun).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the starting noise.")
@click.option("--latency", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of memory, cycles.")
@click.option("--synth", type=Path, help="Areas: JSON of `sqdm synth --target gates --part mac --part mac_fp16`.")
@click.option("--energy", type=Path, help="Energies: energy.json of `sqdm energy`.")
@click.option("--area", is_flag=True, help="Synthesise every accelerator whose area is not known yet: minutes each.")
@click.option("--out", type=Path, help="Folder for bench.json and bench.png.")
@json_option
def bench(row: tuple[str, ...], config: str, model: Path | None, out: Path | None, as_json: bool, **options):
    """The sampling run on every configuration and policy that the design is judged against.

    Groups of rows: headline, baselines, threshold, period, mixes, shapes. Every result is kept by content, so that a
    run that was cut off goes on where it was. With engine rtl every row also says what the cycle model predicts, and
    every picture is compared with the golden model's. docs/bench.md defines the rows and fields.
    """
    from sqdm.golden.model_file import load_model
    from sqdm.rtl.config import load_config
    from sqdm.sim.bench.experiments import chosen, experiments

    base = load_config(config)
    every = experiments(base)
    names = chosen(every, row)
    figures = read_figures(options)
    loaded = load_model(model)
    if out is None:
        result = measure(loaded, base, every, names, figures, options)
    else:
        with staged_folder(out) as folder:
            result = measure(loaded, base, every, names, figures, options)
            write(result, folder)
    from sqdm.sim.bench.text import text

    show(result, text(result), as_json)
    wrong = [found["name"] for found in result["rows"] if found.get("pictures_equal") is False]
    if wrong:
        message(f"pictures differ from the golden model's: {', '.join(wrong)}")
        click.get_current_context().exit(1)


def read_figures(options: dict):
    """Areas and energies from the files that were given."""
    from sqdm.sim.bench.figures import Figures, read_energy, read_synth

    found = Figures()
    if options["synth"]:
        read_synth(options["synth"], found)
    if options["energy"]:
        read_energy(options["energy"], found, options["images"], options["steps"], options["latency"])
    return found


def measure(model, base, every: dict, names: list[str], figures, options: dict) -> dict:
    """Run everything with progress bars; the object that --json prints."""
    import torch

    from sqdm.sim.bench import rows, run
    from sqdm.sim.bench.measure import Setting
    from sqdm.sim.bench.trace import Sampling, model_hash, record

    torch.set_num_threads(1)  # threads that wait for the next convolution would slow the simulator down
    sampling = Sampling(options["images"], options["steps"], options["seed"])
    with progress("golden model", sampling.evaluations) as update:
        trace = record(model, sampling, update)
    setting = Setting(model, sampling, trace, options["latency"], on_build=message)
    needed = run.needed(names, every)
    with progress("bench", len(needed) * sampling.evaluations) as update:
        results = run.run(needed, setting, options["engine"], update)
    add_areas(needed, base, names, figures, options["area"])
    return {
        "engine": options["engine"],
        "model": model_hash(model),
        "images": sampling.images,
        "steps": sampling.steps,
        "seed": sampling.seed,
        "evaluations": sampling.evaluations,
        "latency": options["latency"],
        "zero_fraction": trace.zero_fraction(),
        "fp16_over_4bit_area": figures.fp16_ratio,
        "published": rows.PUBLISHED,
        "rows": rows.rows(names, every, results, figures, options["engine"]),
    }


def add_areas(needed: list, base, names: list[str], figures, compute: bool) -> None:
    """Areas that are in the cache or may be computed, and the ratio that the row fp16-equal-area needs."""
    from sqdm.sim.bench.figures import area_of, fp16_over_4bit, hardware

    configs = {hardware(one.config): one.config for one in needed}
    with progress("synthesis", len(configs) + 1) as update:
        for done, (key, config) in enumerate(configs.items()):
            update(done, config.name)
            area = figures.areas.get(key) or area_of(config, compute, lambda _, part, done=done: update(done, part))
            if area is not None:
                figures.areas[key] = area
        if "fp16-equal-area" in names and figures.fp16_ratio is None:
            figures.fp16_ratio = fp16_over_4bit(base, lambda _, part: update(len(configs), part))


def write(result: dict, folder: Path) -> None:
    """The files of --out."""
    from sqdm.sim.bench.picture import stacked_bars

    (folder / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    caption = f"{result['images']} images, {result['evaluations']} evaluations, engine {result['engine']}"
    stacked_bars(result["rows"], caption, folder / "bench.png")
