"""Drawing digits with the shipped model, on the float network or on any convolution engine."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from sqdm.errors import UserError
from sqdm.golden import sampler
from sqdm.golden.data import CLASSES
from sqdm.golden.engine import ConvEngine
from sqdm.golden.evaluate import Denoiser, float_denoiser
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import Model


def check_labels(labels: Sequence[int]) -> np.ndarray:
    """``labels`` as int64 (N,); UserError unless there is at least one and all are 0..9."""
    if len(labels) == 0:
        raise UserError("labels must name at least one digit, not none")
    for label in labels:
        if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < CLASSES:
            raise UserError(f"label must be a digit 0..{CLASSES - 1}, not {label!r}")
    return np.array(labels, dtype=np.int64)


def check_steps(steps: int) -> int:
    """``steps``; UserError unless it is an integer of at least 1."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise UserError(f"steps must be an integer of at least 1, not {steps!r}")
    return int(steps)


def check_seed(seed: int) -> int:
    """``seed``; UserError unless it is an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed must be an integer of at least 0, not {seed!r}")
    return int(seed)


def denoiser_of(model: Model, engine: Literal["float"] | ConvEngine) -> Denoiser:
    """D(x; sigma, labels) of the float network, or of the integer network on ``engine``."""
    if engine == "float":
        return float_denoiser(model.float_net)
    if isinstance(engine, str):
        raise UserError(f"engine must be 'float' or a convolution engine, not {engine!r}")
    return IntegerUNet(model.arrays, engine).denoise


def sample(
    model: Model,
    labels: Sequence[int],
    steps: int = 18,
    seed: int = 0,
    engine: Literal["float"] | ConvEngine = "float",
    on_evaluation: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """One image per label: float64 (N, 8, 8) clipped to [-1, 1].

    Heun's method with ``steps`` noise levels makes 2*steps - 1 network evaluations, each on the whole batch;
    ``on_evaluation(evaluation, step)`` is called after each, both counted from 0. Image i starts from noise that
    depends on ``seed`` and i alone. Raises UserError for a label outside 0..9, steps below 1 or a negative seed.
    """
    digits, steps, seed = check_labels(labels), check_steps(steps), check_seed(seed)
    denoiser = denoiser_of(model, engine)
    images = sampler.heun(denoiser, sampler.latents(len(digits), seed), digits, steps, on_evaluation)
    return np.clip(images[:, 0], -1.0, 1.0)
