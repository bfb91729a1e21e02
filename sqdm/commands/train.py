"""``sqdm train``: train the float network."""

from pathlib import Path

import click

from sqdm.output import json_option, show
from sqdm.stages import Stages


@click.command(epilog="Example: sqdm train --out out/float", short_help="Train the float network.")
@click.option("--out", required=True, type=Path, help="Folder for float.npz; new or empty.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights, batches and noise.")
@click.option("--steps", type=int, help="Training steps.  [default: those of the shipped model]")
@click.option("--images", type=int, help="Images that the Frechet distance is measured on.  [default: 1,440]")
@json_option
def train(out: Path, seed: int, steps: int | None, images: int | None, as_json: bool):
    """Train the EDM UNet on scikit-learn's digits and measure its Frechet distance."""
    from sqdm.golden import evaluate
    from sqdm.golden import train as golden
    from sqdm.golden.quantize import train_float

    with Stages() as progress:
        result = train_float(
            out,
            seed,
            golden.STEPS if steps is None else steps,
            evaluate.FD_IMAGES if images is None else images,
            progress,
        )
    text = f"Frechet distance {result['fd']:.4f}, {result['seconds']:.0f} s\nwritten: {result['checkpoint']}"
    show(result, text, as_json)
