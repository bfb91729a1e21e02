"""From a float checkpoint to a shipped model: distil, lower to integers, measure, write."""

import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import torch

import sqdm
from sqdm.errors import UserError
from sqdm.golden import classifier, distill, evaluate, layers, lower, model_file, train
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.nonzeros import nonzero_shares

MSE_SEED = 1000
CLASSIFIER_SEED = 0


class ZeroCounter:
    """Share of zero activations at the inputs of the 4x4-bit layers, weighted by multiply-accumulates."""

    def __init__(self):
        self.layer_macs = {f"{layer.name}/codes": layer.macs for layer in layers.layers() if layer.is_4x4}
        self.zero_macs = 0.0
        self.macs = 0

    def __call__(self, name: str, tensor: np.ndarray) -> None:
        if name in self.layer_macs:
            macs = self.layer_macs[name] * len(tensor)
            self.zero_macs += macs * float((tensor == 0).mean())
            self.macs += macs

    @property
    def fraction(self) -> float:
        """0..1."""
        return self.zero_macs / self.macs


def read_checkpoint(path: Path):
    """The float network of a checkpoint of ``train``; UserError when it is not one."""
    try:
        return train.load_float(path)
    except OSError as error:
        raise UserError(f"checkpoint {str(path)!r} cannot be read: {error.strerror}") from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"checkpoint must be a float.npz of sqdm train, not {str(path)!r}: {reason}") from None


def measure(net, arrays: dict, judge, images: int, seeds: tuple[int, ...], on_images: Callable[[int], None]) -> dict:
    """Frechet distance of float and integer model on the same latents, denoiser MSE and zero fraction.

    ``fd`` and ``fd_float`` are distances to the train images, ``fd_test`` and ``fd_float_test`` to the held-out ones.

    ``images`` per seed and model; ``on_images(count)`` is called as images are made, 2 * images * len(seeds) in all.
    """
    zeros = ZeroCounter()
    integer = IntegerUNet(arrays, zeros)
    mse = evaluate.denoiser_mse(evaluate.float_denoiser(net), IntegerUNet(arrays).denoise, MSE_SEED)
    distances: dict[str, list[float]] = {name: [] for name in ("float", "integer", "float_test", "integer_test")}
    done = 0
    for seed in seeds:
        for name, denoiser in (("float", evaluate.float_denoiser(net)), ("integer", integer.denoise)):
            made = evaluate.generate(denoiser, images, seed, on_images=lambda n: on_images(done + n))  # noqa: B023
            done += images
            distances[name].append(evaluate.distance_to_real(judge, made))
            distances[f"{name}_test"].append(evaluate.distance_to_real(judge, made, "test"))
    return {
        "fd": float(np.mean(distances["integer"])),
        "fd_float": float(np.mean(distances["float"])),
        "fd_per_seed": distances["integer"],
        "fd_float_per_seed": distances["float"],
        "fd_test": float(np.mean(distances["integer_test"])),
        "fd_float_test": float(np.mean(distances["float_test"])),
        "fd_floor": evaluate.floor(judge),
        "fd_images": images,
        "fd_seeds": list(seeds),
        "fd_steps": evaluate.FD_STEPS,
        "mse": mse,
        "mse_images": evaluate.MSE_IMAGES,
        "zero_fraction": zeros.fraction,
    }


def train_float(
    out_dir: str | Path, seed: int = 0, steps: int = train.STEPS, images: int = evaluate.FD_IMAGES, progress=None
) -> dict:
    """Train the float network, write ``float.npz`` to ``out_dir`` and measure the weights as written (float16).

    ``progress(stage, done, total)`` reports. Returns fd (``images`` images of the first seed), seconds and checkpoint
    (the file). Raises UserError for fewer than one step or two images, and an output that exists and is not empty.
    """
    begin = time.perf_counter()
    report = progress or (lambda stage, done, total: None)
    check_counts(steps, images)
    out = prepare_folder(Path(out_dir))
    path = out / train.CHECKPOINT
    train.save_float(train.fit(seed, steps, lambda done, _: report("train", done, steps)), path)
    judge = classifier.fit(CLASSIFIER_SEED)
    made = evaluate.generate(
        evaluate.float_denoiser(train.load_float(path)),
        images,
        evaluate.FD_SEEDS[0],
        on_images=lambda done: report("measure", done, images),
    )
    fd = evaluate.distance_to_real(judge, made)
    return {"fd": fd, "seconds": time.perf_counter() - begin, "checkpoint": str(path)}


def quantize(
    checkpoint: str | Path,
    out_dir: str | Path,
    seed: int = 0,
    steps: int = distill.STEPS,
    images: int = evaluate.FD_IMAGES,
    seeds: tuple[int, ...] = evaluate.FD_SEEDS,
    progress: Callable[[str, int, int], None] | None = None,
    command: str = "",
    training: dict | None = None,
) -> dict:
    """Quantise a float checkpoint and write a complete model directory, which ``load_model`` reads.

    ``steps`` of distillation, then ``images`` per seed of ``seeds`` and model for the Frechet distance.
    ``progress(stage, done, total)`` reports. ``command`` and ``training`` go into the manifest as they are. Returns
    fd, fd_float, mse, seconds, checkpoint (the directory) and the other figures of the manifest. Raises UserError for
    a checkpoint that cannot be read, fewer than one step or two images, and an output that exists and is not empty.
    """
    begin = time.perf_counter()
    report = progress or (lambda stage, done, total: None)
    check_counts(steps, images)
    net = read_checkpoint(Path(checkpoint))
    out = prepare_folder(Path(out_dir))
    student = distill.distill(net, seed, steps, lambda done, _: report("distil", done, steps))
    arrays = lower.lower(student, seed)
    arrays |= nonzero_shares(arrays)
    judge = classifier.fit(CLASSIFIER_SEED)
    total = 2 * images * len(seeds)
    figures = measure(net, arrays, judge, images, seeds, lambda done: report("measure", done, total))

    model_file.save_integer(arrays, out / model_file.INTEGER)
    classifier.save(judge, out / model_file.CLASSIFIER)
    if Path(checkpoint).resolve() != (out / model_file.FLOAT).resolve():
        shutil.copyfile(checkpoint, out / model_file.FLOAT)
    record = {
        "command": command,
        "training": training or {},
        "quantisation": {"seed": seed, "steps": steps, "classifier_seed": CLASSIFIER_SEED},
        "versions": versions(),
        "macs_total": layers.macs_total(),
        "macs_on_accelerator": layers.macs_on_accelerator(),
        "macs_4bit": layers.macs_4bit(),
        "quality": figures,
    }
    model_file.write_manifest(out, record)
    return figures | {"seconds": time.perf_counter() - begin, "checkpoint": str(out)}


def check_counts(steps: int, images: int) -> None:
    """UserError for fewer than one step or two images."""
    if steps < 1:
        raise UserError(f"steps must be at least 1, not {steps!r}")
    if images < 2:
        raise UserError(f"images must be at least 2, not {images!r}")


def prepare_folder(out: Path) -> Path:
    """Create ``out`` and return it; UserError when it cannot be, or holds something."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UserError(f"output folder must be new or empty, not {str(out)!r}")
    except OSError as error:
        raise UserError(f"output folder {str(out)!r} cannot be written: {error.strerror}") from None
    return out


def versions() -> dict[str, str]:
    """Versions of everything that takes part in the arithmetic."""
    return {
        "sqdm": sqdm.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
