"""The constants of a convolution's output stage."""

from dataclasses import dataclass

import numpy as np

from sqdm.golden.conv import SHIFT_MAX


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
