"""Activations and weights for the benches: random, and the corner cases of a sparse accelerator."""

import numpy as np

from sqdm.rtl.config import CODE_MAX

#: Kinds of activations that `activations` makes.
FILLS = ("random", "zero", "full", "sparse", "mixed", "extreme")


def activations(
    rng: np.random.Generator, shape: tuple[int, ...], fill: str, signed: bool = False, two_planes: bool = False
) -> np.ndarray:
    """int8 codes (N, C, H, W), 0..15 or -8..7; with ``two_planes`` int16 codes, 0..255 or -119..119.

    ``random``: half zeros. ``zero``, ``full``: all or none. ``sparse``: one in ten is non-zero. ``mixed``: each channel
    has its own share of zeros, none and all included. ``extreme``: only the codes of the largest magnitude. All this
    holds for each digit of 8-bit codes.
    """
    if two_planes:
        high, low = (activations(rng, shape, fill, signed).astype(np.int16) for _ in range(2))
        return np.clip(16 * high + low, -CODE_MAX, CODE_MAX if signed else None)
    low, high = (-8, 7) if signed else (0, 15)
    codes = rng.integers(low, high + 1, shape)
    codes[codes == 0] = high
    if fill == "extreme":
        codes = np.full(shape, low if signed else high)
    share = {"random": 0.5, "zero": 0.0, "full": 1.0, "sparse": 0.1, "extreme": 1.0}.get(fill)
    if share is None:
        share = rng.choice([0.0, 0.1, 0.3, 0.5, 0.8, 1.0], (1, shape[1], 1, 1))
    return np.where(rng.random(shape) < share, codes, 0).astype(np.int8)


def weights(rng: np.random.Generator, shape: tuple[int, ...], fill: str = "random") -> np.ndarray:
    """int8 codes (K, C, R, S) in -8..7; with fill ``extreme`` all are -8."""
    if fill == "extreme":
        return np.full(shape, -8, np.int8)
    return rng.integers(-8, 8, shape).astype(np.int8)


def valid_tap_acts(acts: np.ndarray, taps: int) -> int:
    """Non-zero activations of (C, H, W), each as often as a tap of the kernel reads it inside the map."""
    return int((np.count_nonzero(acts, axis=0) * tap_uses(*acts.shape[1:], taps)).sum())


def tap_uses(height: int, width: int, taps: int) -> np.ndarray:
    """How many output pixels read each input pixel: (H, W), 4 to 9 for a 3x3 kernel on a large map."""
    if taps == 1:
        return np.ones((height, width), np.int64)
    rows = np.array([min(y + 1, height - 1) - max(y - 1, 0) + 1 for y in range(height)])
    columns = np.array([min(x + 1, width - 1) - max(x - 1, 0) + 1 for x in range(width)])
    return rows[:, None] * columns[None, :]
