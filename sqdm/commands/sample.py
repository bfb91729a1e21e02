"""``sqdm sample``: draw digits with the shipped model, on the RTL unless asked otherwise."""

import json
import time
from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, progress, show, staged_folder, table

ENGINES = ("rtl", "golden", "float")
UART = "uart:"  #: begins the name of the engine that is a board; a serial port follows
POLICIES = ("threshold", "balanced", "dense", "sparse")


@click.command(epilog="Example: sqdm sample --labels 4,2 --steps 6 --out out/sample", short_help="Draw digits.")
@click.option("--out", required=True, type=Path, help="Folder for samples.png and report.json.")
@click.option("--images", type=int, help="How many images.  [default: one per label]")
@click.option("--labels", default="0,1,2,3,4,5,6,7,8,9", show_default=True, help="Digits to draw, in turn.")
@click.option("--steps", type=int, default=18, show_default=True, help="Sampling steps (Heun).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the starting noise.")
@click.option("--engine", default="rtl", show_default=True, help="Computes the layers: rtl, golden, float, uart:PORT.")
@click.option("--config", help="Configuration: a name or a TOML file.  [default: default; of a board fpga]")
@click.option("--baud", type=click.IntRange(1), default=3_000_000, show_default=True, help="Of a board's serial port.")
@click.option("--model", type=Path, help="Model folder.  [default: the shipped one]")
@click.option("--policy", type=click.Choice(POLICIES), default="balanced", show_default=True, help="Who is dense.")
@click.option("--period", type=click.IntRange(1), default=1, show_default=True, help="Evaluations between two sorts.")
@click.option("--latency", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of memory, cycles.")
@click.option("--check/--no-check", default=True, help="Compare every output with the golden model.", show_default=True)
@click.option("--stats", is_flag=True, help="Also write the zeros of each channel over time: stats.npz, stats.png.")
@json_option
def sample(out: Path, images: int | None, labels: str, as_json: bool, **options):
    """Draw hand-written digits and report what it took.

    With engine rtl the whole network but its embeddings runs on the compiled Verilog, as one program an evaluation. The
    first two evaluations also run on the configuration with all arrays dense, for comparison, and one in the middle
    once more layer by layer, for the table of layers. Engine uart:PORT drives a board at that serial port (`sqdm fpga`)
    layer by layer.
    """
    from sqdm.golden.model_file import load_model
    from sqdm.golden.sample import check_labels, check_seed, check_steps
    from sqdm.rtl.config import load_config

    check_engine(options["engine"])
    named = options.pop("config")
    config = load_config(named or ("fpga" if options["engine"].startswith(UART) else "default"))
    digits = check_labels(expand(parse_labels(labels), images)).tolist()
    check_steps(options["steps"])
    check_seed(options["seed"])
    if options["stats"] and options["engine"] == "float":
        raise UserError("stats need the engine rtl or golden, not float")
    model = load_model(options.pop("model"))
    engine = make_engine(model, len(digits), config, **options)
    with staged_folder(out) as folder:
        report = run(model, digits, config, engine, folder, **options)
        files = [str(out / path.name) for path in sorted(folder.iterdir())]
    shown = {key: value for key, value in report.items() if key != "layers"}
    show(shown | {"files": files}, text(report, out), as_json)
    if report["mismatches"]:
        message(f"first mismatch: {report['first_mismatch']}")
        click.get_current_context().exit(1)


def check_engine(engine: str) -> None:
    """Raise `UserError` unless this is the name of an engine."""
    if engine not in ENGINES and not (engine.startswith(UART) and len(engine) > len(UART)):
        raise UserError(f"engine must be one of {', '.join(ENGINES)} or {UART}PORT, not {engine!r}")


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


def make_engine(model, images: int, config, engine: str, policy: str, period: int, steps: int, **options):
    """The engine of that name; None for the float network. Raises `UserError` when a layer does not fit `config`."""
    import torch

    from sqdm.golden.sampler import evaluations
    from sqdm.rtl.registers import Policy
    from sqdm.sim.engine import GoldenEngine, RtlEngine

    if engine == "float":
        return None
    if engine == "golden":
        return GoldenEngine(model.arrays)
    torch.set_num_threads(1)  # threads that wait for the next convolution to check would slow the simulator down
    profile = evaluations(steps) // 2
    checks = (Policy[policy.upper()], period, options["check"], profile)
    if engine.startswith(UART):
        return board_engine(model, images, config, engine.removeprefix(UART), options["baud"], checks)
    return RtlEngine(
        model.arrays,
        config,
        images,
        options["latency"],
        message,
        *checks,
    )


def board_engine(model, images: int, config, name: str, baud: int, checks: tuple):
    """The engine that drives the board at the serial port ``name``; ``checks``: the last parameters of `UartEngine`."""
    from sqdm.sim.uart.device import Board
    from sqdm.sim.uart.engine import UartEngine
    from sqdm.sim.uart.link import Link
    from sqdm.sim.uart.port import SerialPort

    port = SerialPort(name, baud)
    return UartEngine(model.arrays, Board(Link(port), config), port, images, *checks)


def run(model, labels: list[int], config, computing, folder: Path, engine: str, steps: int, seed: int, **options):
    """Sample on the engine ``computing``, write all files to `folder`, return the report."""
    from sqdm.golden import sampler
    from sqdm.golden.sample import sample as draw_digits
    from sqdm.picture import draw
    from sqdm.report import figures

    begin = time.perf_counter()
    evaluations = sampler.evaluations(steps)
    with progress("sampling", evaluations) as update:
        made = draw_digits(
            model,
            labels,
            steps,
            seed,
            computing.denoise if computing else "float",
            lambda done, step: update(done + 1, f"step {step + 1} of {steps}"),
        )
    report = {
        "engine": engine.partition(":")[0],
        "config": config.to_dict(),
        "policy": options["policy"],
        "period": options["period"],
        "latency": None if engine.startswith(UART) else options["latency"],
        "images": len(labels),
        "labels": labels,
        "steps": steps,
        "seed": seed,
        "evaluations": evaluations,
        "seconds": time.perf_counter() - begin,
        **figures(computing, len(labels) * evaluations),
    }
    draw(made, labels, caption(report), folder / "samples.png")
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    if options["stats"]:
        write_statistics(computing.zeros.arrays(), folder)
    return report


def write_statistics(shares: dict, folder: Path) -> None:
    """Share of zeros by layer, (channels, evaluations): arrays and a picture."""
    import numpy as np

    from sqdm.picture import heat_maps

    np.savez_compressed(folder / "stats.npz", **shares)
    heat_maps(shares, "share of zeros at the input of each layer", folder / "stats.png")


def caption(report: dict) -> str:
    """One line below the picture."""
    source = {
        "rtl": "the RTL",
        "uart": "the RTL on a board",
        "golden": "the integer model",
        "float": "the float network",
    }[report["engine"]]
    line = f"drawn by {source}, {report['steps']} steps"
    if report["cycles"] is not None:
        line += f", {report['cycles']:,} cycles"
    if report["outputs_compared"]:
        line += f", {report['mismatches']} of {report['outputs_compared']:,} outputs differ from the golden model"
    return line


def text(report: dict, out: Path) -> str:
    """The report for people."""
    from sqdm.report import summary

    def percent(share: float | None) -> str:
        return "" if share is None else f"{share:.0%}"

    rows = table(summary(report), (f"engine {report['engine']}", "")) + f"\nwritten: {out}"
    if report["cycles"] is None:
        return rows
    lines = [
        (
            row["name"],
            percent(row.get("zero_fraction")),
            percent(row["dense_share"]),
            f"{row['cycles']:,}",
            f"{row['speedup']:.2f}x" if row["speedup"] else "",
        )
        for row in report["layers"]
    ]
    heads = (f"evaluation {report['profiled_evaluation']}", "zeros", "dense channels", "cycles", "speed-up")
    return table(lines, heads) + "\n\n" + rows
