"""EDM's deterministic sampler (Karras et al. 2022, algorithm 1 with no churn), in float64 on the host."""

from collections.abc import Callable

import numpy as np

SIGMA_MIN, SIGMA_MAX, RHO = 0.005, 40.0, 7.0


def noise_levels(steps: int) -> np.ndarray:
    """The ``steps`` noise levels from SIGMA_MAX down to SIGMA_MIN and a final 0: float64 (steps + 1,)."""
    ramp = np.arange(steps) / max(steps - 1, 1)
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return np.append((high + ramp * (low - high)) ** RHO, 0.0)


LEVELS = noise_levels(18)[:-1]  # what the tables per noise level are made for


def nearest_level(log_sigma: np.ndarray) -> np.ndarray:
    """Index into LEVELS of the entry nearest to each ln(sigma): int64, same shape as ``log_sigma``."""
    edges = (np.log(LEVELS[1:]) + np.log(LEVELS[:-1])) / 2  # falling
    return np.searchsorted(-edges, -np.asarray(log_sigma, dtype=np.float64))


def evaluations(steps: int) -> int:
    """Network evaluations of a run: two a step (Heun) and one for the last (Euler)."""
    return 2 * steps - 1


def latents(count: int, seed: int, first: int = 0) -> np.ndarray:
    """Unit noise of images ``first`` .. ``first + count - 1``: float64 (count, 1, 8, 8).

    Every image draws from its own generator, so image i is the same in a batch of one and of a thousand.
    """
    return np.stack([np.random.default_rng((seed, first + i)).standard_normal((1, 8, 8)) for i in range(count)])


def heun(
    denoiser: Callable[[np.ndarray, float, np.ndarray], np.ndarray],
    noise: np.ndarray,
    labels: np.ndarray,
    steps: int,
    on_evaluation: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Integrate the probability-flow ODE from ``noise`` (N, 1, 8, 8) to images of the same shape, float64.

    ``denoiser(x, sigma, labels)`` returns D(x; sigma) as float64. ``on_evaluation(evaluation, step)`` is called after
    each of the ``evaluations(steps)`` network evaluations, both counted from 0.
    """
    sigmas = noise_levels(steps)
    x = noise * sigmas[0]
    done = 0

    def slope(at: np.ndarray, sigma: float, step: int) -> np.ndarray:
        nonlocal done
        d = (at - denoiser(at, float(sigma), labels)) / sigma
        if on_evaluation is not None:
            on_evaluation(done, step)
        done += 1
        return d

    for step in range(steps):
        sigma, sigma_next = sigmas[step], sigmas[step + 1]
        d = slope(x, sigma, step)
        euler = x + (sigma_next - sigma) * d
        if sigma_next > 0:
            d = (d + slope(euler, sigma_next, step)) / 2
        x = x + (sigma_next - sigma) * d
    return x
