"""The integer arithmetic that the golden model and the hardware share: exact sums, requantisation, nibbles.

Every function is pure, works on integer arrays and is exact: no result depends on the order of a sum, the batch size
or the number of threads. Layouts: activations (N, C, H, W), weights (K, C, R, S), sums and outputs (N, K, H, W).
Source of the formulas: docs/numerics.md.
"""

import numpy as np
import torch
from torch.nn import functional

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
MULTIPLIER_MAX = (1 << 16) - 1
SHIFT_MAX = 31
SIGNED_MIN, SIGNED_MAX = -136, 119  # what two balanced digits, 16*hi + lo with hi and lo in -8..7, can represent
FLOAT32_EXACT = 1 << 24


def psum_bound(channels: int, taps: int, act_max: int = 15, weight_max: int = 8) -> int:
    """Largest magnitude that a sum over ``channels * taps`` products can reach.

    >>> psum_bound(128, 9, 15, 7)  # 120,960: 18 bits signed
    120960
    """
    return channels * taps * act_max * weight_max


def conv_psum(acts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Stride-1 convolution with zero padding (R-1)/2, exact.

    Parameters: ``acts`` integers (N, C, H, W), ``weights`` integers (K, C, R, R) with R in {1, 3}.
    Returns int32 (N, K, H, W). The sum is taken in float32 when the bound C*R*R*max|a|*max|w| stays below 2**24, so
    that every partial sum is an integer that float32 holds, and in float64 otherwise. oneDNN's convolution is the
    direct algorithm; without it torch may choose a transformed (Winograd) one, which rounds, so the taps are gathered.
    Raises ValueError when the shapes do not match or the bound leaves int32.
    """
    n, c, h, w = acts.shape
    k, c_weights, r, s = weights.shape
    if c != c_weights or r != s or r not in (1, 3):
        raise ValueError(f"weights must be (K, {c}, R, R) with R in {{1, 3}}, not {weights.shape!r}")
    act_max = int(np.abs(acts.astype(np.int64)).max(initial=0))
    weight_max = int(np.abs(weights.astype(np.int64)).max(initial=0))
    bound = psum_bound(c, r * s, act_max, weight_max)
    if bound >= 1 << 31:
        raise ValueError(f"psums must fit int32, but {c} channels of {r}x{s} taps can reach {bound}")
    dtype = torch.float32 if bound < FLOAT32_EXACT else torch.float64
    x = torch.from_numpy(np.ascontiguousarray(acts)).to(dtype)
    kernel = torch.from_numpy(np.ascontiguousarray(weights)).to(dtype)
    if torch.backends.mkldnn.is_available():
        psum = functional.conv2d(x, kernel, padding=r // 2)
    else:
        columns = functional.unfold(x, r, padding=r // 2)  # (N, C*R*S, H*W)
        psum = torch.matmul(kernel.reshape(k, -1), columns).reshape(n, k, h, w)
    return psum.to(torch.int32).numpy()


def shift_round(value: np.ndarray, shift: int) -> np.ndarray:
    """(value + (1 << (shift-1))) >> shift in int64, arithmetic shift: round half towards plus infinity.

    ``shift`` 0 adds nothing. 5 >> 1 gives 3, -5 >> 1 gives -2, -6 >> 2 gives -1 (-1.5 rounds up).
    """
    value = value.astype(np.int64)
    return value if shift == 0 else (value + (1 << (shift - 1))) >> shift


def saturate16(value: np.ndarray) -> np.ndarray:
    """Clamp to -32768..32767 and return int16."""
    return np.clip(value, INT16_MIN, INT16_MAX).astype(np.int16)


def requantise(psum: np.ndarray, multiplier: np.ndarray, shift: int, bias: np.ndarray) -> np.ndarray:
    """y = sat16(((psum * multiplier[k] + round) >> shift) + bias[k]); round half up, saturated once at the end.

    Parameters: ``psum`` integers (N, K, H, W) of up to 32 bits, ``multiplier`` (K,) 0..65535, ``shift`` 0..31,
    ``bias`` int16 (K,). Returns int16 (N, K, H, W). The product needs 48 bits signed for a 32-bit psum (40 for 24).
    Example: psum -3, multiplier 1, shift 1, bias 10: (-3 + 1) >> 1 = -1, plus 10 is 9.
    """
    m = multiplier.astype(np.int64).reshape(1, -1, 1, 1)
    b = bias.astype(np.int64).reshape(1, -1, 1, 1)
    return saturate16(shift_round(psum.astype(np.int64) * m, shift) + b)


def add_residual(y: np.ndarray, residual: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """sat16(y + ((residual * multiplier + round) >> shift)): the second half of a block's last layer.

    ``y`` is the requantised (and already saturated) convolution and ``residual`` an INT16 tensor of the same shape,
    so a block's output is sat16(sat16(conv) + skip); ``multiplier`` is one number per layer, 0..65535.
    """
    return saturate16(y.astype(np.int64) + shift_round(residual.astype(np.int64) * int(multiplier), shift))


def normalise(y: np.ndarray, a: np.ndarray, b: np.ndarray, shift: int, low: int = 0, high: int = 15) -> np.ndarray:
    """code = clamp((y * a[n, c] + b[n, c] + round) >> shift, low, high): GroupNorm, adaptive scale, ReLU, quantiser.

    Parameters: ``y`` int16 (N, C, H, W), ``a`` int16-ranged (N, C), ``b`` int32-ranged (N, C), ``shift`` 0..31;
    round half up; |y*a| < 2**30 and |b| < 2**31, so 33 bits signed hold the sum. ``low`` 0 is the ReLU; ``low`` -127
    (and ``high`` 127) is the signed 8-bit form in front of the attention. Returns int8, or uint8 when ``high`` > 127.
    """
    a4 = a.astype(np.int64)[:, :, None, None]
    b4 = b.astype(np.int64)[:, :, None, None]
    code = np.clip(shift_round(y.astype(np.int64) * a4 + b4, shift), low, high)
    return code.astype(np.uint8 if high > 127 else np.int8)


def split_signed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Balanced digits: (hi, lo) int8 in -8..7 with values = 16*hi + lo, for values in -136..119.

    Example: 8 is 16*1 - 8 and -136 is 16*-8 - 8. Raises ValueError outside the range.
    """
    v = values.astype(np.int64)
    if v.size and (v.min() < SIGNED_MIN or v.max() > SIGNED_MAX):
        raise ValueError(f"values must lie in {SIGNED_MIN}..{SIGNED_MAX}, not {v.min()}..{v.max()}")
    lo = ((v + 8) & 15) - 8
    return ((v - lo) >> 4).astype(np.int8), lo.astype(np.int8)


def split_unsigned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unsigned nibbles: (hi, lo) int8 in 0..15 with values = 16*hi + lo, for values in 0..255; else ValueError."""
    v = values.astype(np.int64)
    if v.size and (v.min() < 0 or v.max() > 255):
        raise ValueError(f"values must lie in 0..255, not {v.min()}..{v.max()}")
    return (v >> 4).astype(np.int8), (v & 15).astype(np.int8)


def split_planes(acts: np.ndarray, weights: np.ndarray, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Turn an 8-bit convolution into one 4-bit convolution over planes.

    ``acts`` (N, C, H, W) become (2N, C, H, W), high nibbles first, and ``weights`` (K, C, R, S) become (2K, C, R, S),
    high digits first. ``signed`` says whether the activations are split in balanced digits or unsigned nibbles.
    """
    acts_split = split_signed(acts) if signed else split_unsigned(acts)
    return np.concatenate(acts_split, axis=0), np.concatenate(split_signed(weights), axis=0)


def join_planes(psum: np.ndarray) -> np.ndarray:
    """Recombine int32 psums (2N, 2K, H, W) of ``split_planes`` into int32 (N, K, H, W): 256*hh + 16*(hl + lh) + ll."""
    n, k = psum.shape[0] // 2, psum.shape[1] // 2
    p = psum.astype(np.int64)
    joined = 256 * p[:n, :k] + 16 * (p[:n, k:] + p[n:, :k]) + p[n:, k:]
    return joined.astype(np.int32)
