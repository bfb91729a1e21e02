"""``sqdm quantize``: from a float checkpoint to a model folder."""

import shlex
from pathlib import Path

import click

from sqdm.output import json_option, show
from sqdm.stages import Stages


@click.command(
    epilog="Example: sqdm quantize --checkpoint out/float/float.npz --out out/model",
    short_help="Quantise a trained network to 4 bit.",
)
@click.option("--checkpoint", required=True, type=Path, help="float.npz of `sqdm train`.")
@click.option("--out", required=True, type=Path, help="Model folder to write; new or empty.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the distillation.")
@click.option("--steps", type=int, help="Distillation steps.  [default: those of the shipped model]")
@click.option("--images", type=int, help="Images per seed of the Frechet distance.  [default: 1,440]")
@json_option
def quantize(checkpoint: Path, out: Path, seed: int, steps: int | None, images: int | None, as_json: bool):
    """Distil a trained network into 4-bit integers, measure it and write a folder for `sample --model`."""
    from sqdm.golden import distill, evaluate
    from sqdm.golden import quantize as golden

    chosen = {"seed": seed, "steps": distill.STEPS if steps is None else steps}
    chosen["images"] = evaluate.FD_IMAGES if images is None else images
    words = [f"--{key}={value}" for key, value in chosen.items()]
    command = shlex.join(("sqdm", "quantize", f"--checkpoint={checkpoint.name}", *words))
    with Stages() as progress:
        result = golden.quantize(checkpoint, out, progress=progress, command=command, **chosen)
    text = (
        f"Frechet distance {result['fd']:.4f} (float {result['fd_float']:.4f}), denoiser error {result['mse']:.1e}, "
        f"{result['seconds']:.0f} s\nwritten: {result['checkpoint']}"
    )
    show(result, text, as_json)
