"""Drawing digits with the shipped model: on the float network, the integer network or any other denoiser."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from sqdm.errors import UserError
from sqdm.golden import sampler
from sqdm.golden.data import CLASSES
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


def denoiser_of(model: Model, engine: Literal["float", "integer"] | Denoiser) -> Denoiser:
    """D(x; sigma, labels) of the model's float or integer network, or ``engine`` itself when it is a denoiser."""
    if engine == "float":
        return float_denoiser(model.float_net)
    if engine == "integer":
        return IntegerUNet(model.arrays).denoise
    if not callable(engine):
        raise UserError(f"engine must be 'float', 'integer' or a denoiser, not {engine!r}")
    return engine


def sample(
    model: Model,
    labels: Sequence[int],
    steps: int = 18,
    seed: int = 0,
    engine: Literal["float", "integer"] | Denoiser = "float",
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
