"""The interface between the integer model and whatever computes its 3x3 convolutions (golden model or RTL)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sqdm.golden.conv import SHIFT_MAX, conv_psum, requantise


@dataclass(frozen=True)
class Requant:
    """Constants of y = sat16(((psum * multiplier[k] + round) >> shift) + bias[k]).

    ``multiplier`` uint16 (K,), ``shift`` 0..31, ``bias`` int16 (K,). Raises ValueError or TypeError otherwise.
    """

    multiplier: np.ndarray
    shift: int
    bias: np.ndarray

    def __post_init__(self):
        if self.multiplier.dtype != np.uint16 or self.bias.dtype != np.int16:
            raise TypeError(
                f"multiplier must be uint16 and bias int16, not {self.multiplier.dtype!s} and {self.bias.dtype!s}"
            )
        if self.multiplier.shape != self.bias.shape or self.multiplier.ndim != 1:
            raise ValueError(f"multiplier and bias must be (K,), not {self.multiplier.shape} and {self.bias.shape}")
        if not 0 <= self.shift <= SHIFT_MAX:
            raise ValueError(f"shift must be 0..{SHIFT_MAX}, not {self.shift!r}")


@dataclass(frozen=True)
class ConvJob:
    """One convolution, stride 1, zero padding (R-1)/2, over 4-bit operands.

    ``name`` of the layer; ``acts`` int8 (N, C, H, W), 0..15 or -8..7 when ``signed``; ``weights`` int8 (K, C, R, R)
    in -8..7; ``requant`` the output stage, or None for raw int32 psums. ``macs`` are the multiply-accumulates of the
    layer the job stands for (whole batch, padding counted), ``bits`` the precision of that layer: 4, or 8 when the job
    is the nibble planes of an 8-bit layer, which have four products for each of its MACs. Raises ValueError or
    TypeError when an operand breaks a rule.
    """

    name: str
    acts: np.ndarray
    signed: bool
    weights: np.ndarray
    requant: Requant | None
    macs: int
    bits: int

    def __post_init__(self):
        for label, array, low, high in (
            ("acts", self.acts, -8 if self.signed else 0, 7 if self.signed else 15),
            ("weights", self.weights, -8, 7),
        ):
            if array.dtype != np.int8:
                raise TypeError(f"{label} must be int8, not {array.dtype!s}")
            if array.ndim != 4 or 0 in array.shape:
                raise ValueError(f"{label} must have 4 non-empty dimensions, not shape {array.shape}")
            if array.min() < low or array.max() > high:
                raise ValueError(f"{label} must lie in {low}..{high}, not {array.min()}..{array.max()}")
        if self.weights.shape[1] != self.acts.shape[1]:
            raise ValueError(f"weights must have {self.acts.shape[1]} input channels, not {self.weights.shape[1]}")
        if self.weights.shape[2:] not in ((1, 1), (3, 3)):
            raise ValueError(f"kernel must be 1x1 or 3x3, not {self.weights.shape[2]}x{self.weights.shape[3]}")
        if self.requant is not None and self.requant.bias.shape[0] != self.weights.shape[0]:
            raise ValueError(f"requant must have {self.weights.shape[0]} channels, not {self.requant.bias.shape[0]}")
        if self.bits not in (4, 8):
            raise ValueError(f"bits must be 4 or 8, not {self.bits!r}")


class ConvEngine(Protocol):
    """Whatever computes a ``ConvJob``."""

    def conv(self, job: ConvJob) -> np.ndarray:
        """int16 (N, K, H, W), or int32 psums of that shape when ``job.requant`` is None."""
        ...


class GoldenEngine:
    """The reference: exact integer arithmetic of ``sqdm.golden.conv``."""

    def conv(self, job: ConvJob) -> np.ndarray:
        """See ``ConvEngine.conv``."""
        psum = conv_psum(job.acts, job.weights)
        if job.requant is None:
            return psum
        return requantise(psum, job.requant.multiplier, job.requant.shift, job.requant.bias)
