"""``python -m sqdm.sim.cycles``: the model's error against the RTL, as a table and a picture."""

import json
from pathlib import Path

import click

from sqdm.cli import main
from sqdm.errors import UserError
from sqdm.output import json_option, message, progress, show, staged_folder, table
from sqdm.rtl.config import load_config
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles.validate import compare_layers, compare_network, draw, result_of
from sqdm.sim.device import LATENCY

HEADS = ("layers", "number", "median error", "largest", "exact", "within 1%", "sum")


@click.command(epilog="Example: python -m sqdm.sim.cycles --config tiny --layers 60 --network default --out out/cycles")
@click.option("--out", required=True, type=Path, help="Folder for validation.json and cycle-model.png.")
@click.option("--config", "configs", multiple=True, help="Random layers on this configuration; may be repeated.")
@click.option("--layers", default=60, show_default=True, type=click.IntRange(1), help="So many on each.")
@click.option("--seed", default=1, show_default=True, help="Of the random layers.")
@click.option("--network", "networks", multiple=True, help="The digits network on this one; may be repeated.")
@click.option("--images", default=10, show_default=True, type=click.IntRange(1), help="Of the network.")
@click.option("--steps", default=18, show_default=True, type=click.IntRange(1), help="Sampling steps.")
@json_option
def validate(
    out: Path,
    configs: tuple[str, ...],
    layers: int,
    seed: int,
    networks: tuple[str, ...],
    images: int,
    steps: int,
    as_json: bool,
):
    """Run layers on the compiled Verilog and on the cycle model, and compare their cycles."""
    if not configs and not networks:
        raise UserError("config or network must name at least one configuration")
    groups = {}
    with staged_folder(out) as folder:
        for name in configs:
            config = load_config(name)
            with progress(f"layers on {config.name}", layers) as update:
                groups[f"{config.name}, random layers"] = compare_layers(config, layers, seed, LATENCY, update, message)
        for name in networks:
            config = load_config(name)
            with progress(f"network on {config.name}", 2 * steps - 1) as update:
                found = compare_network(config, images, steps, seed=0, policy=Policy.BALANCED, on_done=update,
                                        on_build=message)  # fmt: skip
            groups[f"{config.name}, network's layers"] = found.points
            groups[f"{config.name}, network's evaluations"] = found.runs
        result = result_of(groups)
        (folder / "validation.json").write_text(json.dumps(result, indent=1) + "\n")
        draw(groups, folder / "cycle-model.png")
    rows = [
        (label, one["layers"], *(f"{100 * one[key]:.3f}%" for key in ("median", "largest", "exact",
                                                                      "within_1_percent", "sum")))
        for label, one in result["summary"].items()
    ]  # fmt: skip
    show({"summary": result["summary"]}, table(rows, HEADS), as_json)


if __name__ == "__main__":
    main(command=validate, name="python -m sqdm.sim.cycles")
