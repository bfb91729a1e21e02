"""Arithmetic around the convolutions: exact integer sums, then a few float64 scalars per layer and image.

The golden model and a run on the RTL call these same functions, so equal codes give equal results.
"""

import numpy as np

from sqdm.golden.conv import MULTIPLIER_MAX, conv_psum, saturate16
from sqdm.golden.formats import PROBABILITY_MAX

A_MAX = (1 << 15) - 1
B_MAX = (1 << 31) - 1


def round_half_up(x: np.ndarray) -> np.ndarray:
    """floor(x + 0.5) of float64 values, as int64."""
    return np.floor(x + 0.5).astype(np.int64)


def quantise(x: np.ndarray, scale: float, low: int, high: int) -> np.ndarray:
    """clamp(floor(x / scale + 0.5), low, high) of float64 values: int16 codes."""
    return np.clip(round_half_up(x / scale), low, high).astype(np.int16)


def multipliers(ratio: np.ndarray, level_scale: float, shift: int) -> np.ndarray:
    """Requantisation multipliers of a layer at one noise level, uint16 (K,): round(ratio[k] * level_scale * 2**shift).

    ``ratio`` float64 (K,) is one psum step in units of the output, ``level_scale`` the level's factor of the activation
    scale. Clamped to 65535.
    """
    return np.minimum(round_half_up(ratio * level_scale * 2.0**shift), MULTIPLIER_MAX).astype(np.uint16)


def linear(codes: np.ndarray, weights: np.ndarray, scale: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """A linear layer on codes: float64 (N, K) = exact integer dot product * scale[k] + bias[k].

    ``codes`` integers (N, C), ``weights`` int8 (K, C), ``scale`` float64 (K,), ``bias`` float64 (K,) or None.
    """
    psum = conv_psum(codes[:, :, None, None], weights[:, :, None, None])[:, :, 0, 0]
    return psum * scale if bias is None else psum * scale + bias


def channel_sums(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and sum of squares of each channel: int64 (N, C) each, exact.

    For INT16 input and H*W <= 1,024 pixels the sum needs 26 bits signed and the sum of squares 41 bits.
    """
    flat = y.reshape(*y.shape[:2], -1).astype(np.int64)
    return flat.sum(2), np.einsum("ncp,ncp->nc", flat, flat)


def normalise_constants(
    sums: tuple[np.ndarray, np.ndarray],
    pixels: int,
    groups: int,
    epsilon: float,
    gain: np.ndarray,
    offset: np.ndarray,
    shift: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) of code = (y*a + b + round) >> shift, int64 (N, C), from a tensor's integer channel sums.

    GroupNorm gives (y - mean) / sqrt(var + epsilon); the code is gain[n, c] times that plus offset[n, c], where gain
    and offset (float64, (N, C) or (C,)) hold GroupNorm's weight and bias, the adaptive scale and shift, and the
    division by the next layer's activation scale. ``epsilon`` is in units of y squared, ``pixels`` is H*W.
    a = round(gain / deviation * 2**shift) is clamped to -32767..32767 and b to -(2**31-1)..2**31-1.
    """
    total, squares = (s.reshape(len(s), groups, -1).sum(2) for s in sums)  # (N, G)
    channels = sums[0].shape[1]
    count = pixels * channels // groups
    mean = total / count
    variance = (count * squares - total * total) / float(count * count)
    inverse = 1.0 / np.sqrt(variance + epsilon)
    mean, inverse = (np.repeat(v, channels // groups, axis=1) for v in (mean, inverse))  # (N, C)
    slope = gain * inverse
    unit = float(1 << shift)
    a = np.clip(round_half_up(slope * unit), -A_MAX, A_MAX)
    b = np.clip(round_half_up(np.clip((offset - mean * slope) * unit, -B_MAX, B_MAX)), -B_MAX, B_MAX)
    return a, b


def static_slopes(unit: np.ndarray, level_scale: float, shift: int) -> np.ndarray:
    """Slopes a of code = (y*a + round) >> shift that do not depend on the data: int64 (C,), within -32767..32767.

    ``unit`` float64 (C,) is one step of y in codes, ``level_scale`` the level's factor of the activation scale.
    """
    return np.clip(round_half_up(unit / level_scale * 2.0**shift), -A_MAX, A_MAX)


def downsample(x: np.ndarray) -> np.ndarray:
    """2x2 mean of INT16: (sum of four + 2) >> 2, round half up; (N, C, H, W) to (N, C, H/2, W/2)."""
    wide = x.astype(np.int32)
    total = wide[:, :, ::2, ::2] + wide[:, :, ::2, 1::2] + wide[:, :, 1::2, ::2] + wide[:, :, 1::2, 1::2]
    return saturate16((total + 2) >> 2)


def upsample(x: np.ndarray) -> np.ndarray:
    """Nearest neighbour: (N, C, H, W) to (N, C, 2H, 2W), no arithmetic."""
    return x.repeat(2, axis=2).repeat(2, axis=3)


def scores(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Attention scores of each image: int32 (N, P, P), [n, p, p'] = sum over c of q[n, c, p] * k[n, c, p'], exact.

    ``q``, ``k`` INT8 codes (N, C, H, W) with P = H*W. Float64 holds every sum: C * 119**2 is far below 2**53.
    """
    q64, k64 = (x.reshape(*x.shape[:2], -1).astype(np.float64) for x in (q, k))
    return np.matmul(q64.transpose(0, 2, 1), k64).astype(np.int32)


def softmax_codes(score: np.ndarray, score_scale: float) -> np.ndarray:
    """Probabilities over p' as UINT8 codes of 1/255, uint8 (N, P, P), from int32 scores of that shape.

    ``score_scale`` holds the scales of q and k and 1/sqrt(C). The softmax is float64; the code is rounded half up.
    """
    real = score * score_scale
    weights = np.exp(real - real.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    return round_half_up(weights * PROBABILITY_MAX).astype(np.uint8)


def mix(v: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Sums over the values: int32 (N, C, H, W), [n, c, p] = sum over p' of v[n, c, p'] * probability[n, p, p'], exact.

    ``v`` INT8 codes (N, C, H, W), ``probability`` UINT8 codes (N, P, P).
    """
    v64 = v.reshape(*v.shape[:2], -1).astype(np.float64)
    return np.matmul(v64, probability.astype(np.float64).transpose(0, 2, 1)).astype(np.int32).reshape(v.shape)
