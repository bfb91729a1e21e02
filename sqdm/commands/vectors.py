"""``sqdm vectors``: test vectors of a layer of the model, or of a random one."""

from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, show

SIZES = ("C", "K", "H", "W")


@click.command(
    epilog="Example: sqdm vectors --layer enc.8x8_block0.conv1 --step 4 --out out/vectors",
    short_help="Write test vectors.",
)
@click.option("--layer", "name", help="A layer of the model, or `random`.", required=True)
@click.option("--out", required=True, type=Path, help="Folder for the npz and hex files; new or empty.")
@click.option("--step", type=int, default=0, show_default=True, help="Sampling step, from 0.")
@click.option("--steps", type=int, default=18, show_default=True, help="Sampling steps in all.")
@click.option("--labels", default="0", show_default=True, help="Digits of the run, one image each.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the run's noise or of the random layer.")
@click.option("--model", type=Path, help="Model folder.  [default: the shipped one]")
@click.option("--shape", default="16,32,8,8", show_default=True, help="Random layer: C,K,H,W.")
@click.option("--kernel", type=int, default=3, show_default=True, help="Random layer: 1 or 3.")
@click.option("--zeros", type=float, default=0.6, show_default=True, help="Random layer: share of zero activations.")
@json_option
def vectors(name: str, out: Path, as_json: bool, shape: str, kernel: int, zeros: float, **run):
    """Operands and exact results of one convolution, from the golden model, as npz and hex with a README.

    A layer of the model is taken from the first network evaluation of a sampling step.
    """
    from sqdm.golden.vector_files import write_vectors

    if name == "random":
        found = random_layer(shape, kernel, zeros, len(run["labels"].split(",")), run["seed"])
    else:
        found = captured_layer(name, **run)
    files = write_vectors(found, out)
    images, channels, height, width = found.acts.shape
    shapes = {
        "activations": list(found.acts.shape),
        "weights": list(found.weights.shape),
        "outputs": [images, found.out_channels, height, width],
    }
    bits = {"activations": found.act.bits, "weights": found.weight_bits}
    text = (
        f"{found.name}: {images} x {channels} -> {found.out_channels} channels, {height} x {width}, "
        f"{found.act.bits}-bit activations, {found.weight_bits}-bit weights\nwritten: {out}"
    )
    show({"layer": found.name, "shapes": shapes, "bits": bits, "files": [str(path) for path in files]}, text, as_json)


def captured_layer(name: str, step: int, steps: int, labels: str, seed: int, model: Path | None):
    """The operands of a layer in a sampling run."""
    from sqdm.commands.sample import parse_labels
    from sqdm.golden.model_file import load_model
    from sqdm.golden.vectors import capture, check_layer

    check_layer(name)
    return capture(load_model(model), name, step, parse_labels(labels), seed, steps)


def random_layer(shape: str, kernel: int, zeros: float, images: int, seed: int):
    """Random operands from the command line's words."""
    from sqdm.golden.vectors import random_vectors

    try:
        sizes = dict(zip(SIZES, (int(part) for part in shape.split(",")), strict=True))
    except ValueError:
        raise UserError(f"shape must be four numbers C,K,H,W, not {shape!r}") from None
    return random_vectors(seed, **sizes, kernel=kernel, zero_fraction=zeros, batch=images)
