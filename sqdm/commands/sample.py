"""``sqdm sample``: draw digits with the shipped model, on the RTL unless asked otherwise."""

import json
import time
from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, progress, show, staged_folder, table

ENGINES = ("rtl", "golden", "float")
POLICIES = ("threshold", "balanced", "dense", "sparse")


@click.command(epilog="Example: sqdm sample --labels 4,2 --steps 6 --out out/sample", short_help="Draw digits.")
@click.option("--out", required=True, type=Path, help="Folder for samples.png and report.json.")
@click.option("--images", type=int, help="How many images.  [default: one per label]")
@click.option("--labels", default="0,1,2,3,4,5,6,7,8,9", show_default=True, help="Digits to draw, in turn.")
@click.option("--steps", type=int, default=18, show_default=True, help="Sampling steps (Heun).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the starting noise.")
@click.option("--engine", type=click.Choice(ENGINES), default="rtl", show_default=True, help="Computes the layers.")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--model", type=Path, help="Model folder.  [default: the shipped one]")
@click.option("--policy", type=click.Choice(POLICIES), default="balanced", show_default=True, help="Who is dense.")
@click.option("--period", type=click.IntRange(1), default=1, show_default=True, help="Evaluations between two sorts.")
@click.option("--latency", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of memory, cycles.")
@click.option("--check/--no-check", default=True, help="Compare every output with the golden model.", show_default=True)
@json_option
def sample(out: Path, images: int | None, labels: str, as_json: bool, **options):
    """Draw hand-written digits and report what it took.

    With engine rtl every layer that the accelerator supports runs on the compiled Verilog; its first two evaluations
    also run on the configuration with all arrays dense, for comparison.
    """
    from sqdm.golden.model_file import load_model
    from sqdm.golden.sample import check_labels, check_seed, check_steps
    from sqdm.rtl.config import load_config

    config = load_config(options.pop("config"))
    digits = check_labels(expand(parse_labels(labels), images)).tolist()
    check_steps(options["steps"])
    check_seed(options["seed"])
    if options["engine"] == "rtl":
        check_network(config)
    model = load_model(options.pop("model"))
    with staged_folder(out) as folder:
        report = run(model, digits, config, folder, **options)
    shown = {key: value for key, value in report.items() if key != "layers"}
    show(shown | {"files": [str(out / "samples.png"), str(out / "report.json")]}, text(report, out), as_json)
    if report["mismatches"]:
        message(f"first mismatch: {report['first_mismatch']}")
        click.get_current_context().exit(1)


def parse_labels(labels: str) -> list[int]:
    """Digits from a comma-separated list."""
    try:
        return [int(part) for part in labels.split(",")]
    except ValueError:
        raise UserError(f"labels must be digits separated by commas, not {labels!r}") from None


def expand(labels: list[int], images: int | None) -> list[int]:
    """One label per image: the list again and again when there are more images."""
    if images is None:
        return labels
    if images < 1:
        raise UserError(f"images must be >= 1, not {images}")
    return [labels[i % len(labels)] for i in range(images)]


def check_network(config) -> None:
    """Raise `UserError` unless every layer of the network fits the configuration."""
    from sqdm.golden.layers import layers
    from sqdm.sim.layer import check_size

    for layer in layers():
        planes = 2 if layer.bits == 8 else 1  # an 8-bit layer's weights are two planes of output channels
        try:
            check_size(layer.C, layer.K * planes, layer.H, layer.W, config)
        except UserError as error:
            raise UserError(f"layer {layer.name}: {error}") from None


def make_engine(name: str, config, policy: str, period: int, latency: int, check: bool):
    """The engine of that name; None for the float network."""
    from sqdm.rtl.registers import Policy
    from sqdm.sim.engine import CountingEngine, RtlEngine

    if name == "float":
        return None
    if name == "golden":
        return CountingEngine()
    return RtlEngine.for_config(
        config, latency, True, message, policy=Policy[policy.upper()], period=period, check=check
    )


def run(model, labels: list[int], config, folder: Path, engine: str, steps: int, seed: int, **options) -> dict:
    """Sample, write both files to `folder`, return the report."""
    from sqdm.golden import layers, sampler
    from sqdm.golden.sample import sample as draw_digits
    from sqdm.picture import draw
    from sqdm.report import figures

    begin = time.perf_counter()
    convolutions = make_engine(engine, config, **options)
    evaluations = sampler.evaluations(steps)
    with progress("sampling", evaluations) as update:
        made = draw_digits(
            model,
            labels,
            steps,
            seed,
            convolutions or "float",
            lambda done, step: update(done + 1, f"step {step + 1} of {steps}"),
        )
    report = {
        "engine": engine,
        "config": config.to_dict(),
        "policy": options["policy"],
        "period": options["period"],
        "latency": options["latency"],
        "images": len(labels),
        "labels": labels,
        "steps": steps,
        "seed": seed,
        "evaluations": evaluations,
        "seconds": time.perf_counter() - begin,
        **figures(convolutions, layers.macs_total() * len(labels) * evaluations),
    }
    draw(made, labels, caption(report), folder / "samples.png")
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def caption(report: dict) -> str:
    """One line below the picture."""
    source = {"rtl": "the RTL", "golden": "the integer model", "float": "the float network"}[report["engine"]]
    line = f"drawn by {source}, {report['steps']} steps"
    if report["cycles"] is not None:
        line += f", {report['cycles']:,} cycles"
    if report["outputs_compared"]:
        line += f", {report['mismatches']} of {report['outputs_compared']:,} outputs differ from the golden model"
    return line


def text(report: dict, out: Path) -> str:
    """The report for people."""
    from sqdm.report import summary

    rows = summary(report)
    if report["layers"] and report["cycles"] is not None:
        lines = [
            (
                row["name"],
                f"{row['zero_fraction']:.0%}",
                f"{row['dense_share']:.0%}",
                f"{row['cycles']:,}",
                f"{row['speedup']:.2f}x",
            )
            for row in report["layers"]
        ]
        return "\n".join(
            (
                table(lines, ("layer", "zeros", "dense channels", "cycles", "speed-up")),
                "",
                table(rows, (f"engine {report['engine']}", "")),
                f"written: {out}",
            )
        )
    return table(rows, (f"engine {report['engine']}", "")) + f"\nwritten: {out}"
