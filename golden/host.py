"""What the host computes between convolutions: exact integer sums, then a few float64 scalars per layer and image.

The golden model and a run on the RTL call these same functions, so equal codes give equal results.
"""

import numpy as np

from sqdm.golden.conv import MULTIPLIER_MAX, conv_psum, saturate16

A_MAX = (1 << 15) - 1
B_MAX = (1 << 31) - 1
ATTENTION_UNIT = (1 << 15) - 1  # the code of probability 1


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


def downsample(x: np.ndarray) -> np.ndarray:
    """2x2 mean of INT16: (sum of four + 2) >> 2, round half up; (N, C, H, W) to (N, C, H/2, W/2)."""
    wide = x.astype(np.int32)
    total = wide[:, :, ::2, ::2] + wide[:, :, ::2, 1::2] + wide[:, :, 1::2, ::2] + wide[:, :, 1::2, 1::2]
    return saturate16((total + 2) >> 2)


def upsample(x: np.ndarray) -> np.ndarray:
    """Nearest neighbour: (N, C, H, W) to (N, C, 2H, 2W), no arithmetic."""
    return x.repeat(2, axis=2).repeat(2, axis=3)


def attend(qkv: np.ndarray, score_scale: float) -> np.ndarray:
    """Self-attention over pixels: int64 (N, C, H, W) in units of v / 32767.

    ``qkv`` int16 (N, 3C, H, W): queries, keys, values. Scores are exact integer dot products times ``score_scale``
    (which holds the scales of q and k and 1/sqrt(C)), their softmax is float64 and rounded to probabilities in
    0..32767, and the sum over values is an exact integer again.
    """
    n, c3, h, w = qkv.shape
    q, k, v = qkv.reshape(n, 3, c3 // 3, h * w).astype(np.int64).transpose(1, 0, 2, 3)  # each (N, C, P)
    scores = np.matmul(q.transpose(0, 2, 1), k) * score_scale  # (N, P, P)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    probability = round_half_up(weights * ATTENTION_UNIT)
    return np.matmul(v, probability.transpose(0, 2, 1)).reshape(n, c3 // 3, h, w)
