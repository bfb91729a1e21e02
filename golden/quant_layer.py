"""A layer on rounded operands: fitted scales, straight-through gradients.

Gradients pass the rounding unchanged, so every scale is learned together with the weights. One activation scale per
layer for 8-bit activations; for 4-bit ones one per input channel, which costs the hardware nothing: the multiply-add
that makes the codes divides it out (a ReLU is positively homogeneous), and the weights carry it. 4-bit activations
also have a factor g per noise level (the 18 of ``sampler.LEVELS``; any other sigma uses the nearest): the host divides
it out in the same multiply-add, and the requantisation of the layer's output multiplies by it.

    code[c] = clamp(round(x[c] / (s[c] * g))),  weight[k,c] = clamp(round(w[k,c] * s[c] / t[k]))
    y[k] = t[k] * g * sum + bias[k]
"""

import torch
from torch import nn
from torch.nn import functional

from sqdm.golden import sampler
from sqdm.golden.formats import Precision

MINIMUM_SCALE = 1e-6
LEVEL_CANDIDATES = torch.logspace(-1.0, 1.0, 41, base=2.0)  # factors of a noise level: half to double in 5% steps


def round_through(x: torch.Tensor) -> torch.Tensor:
    """Round half up (as the integer model does); the gradient is that of the identity."""
    return x + (torch.floor(x + 0.5) - x).detach()


def fit_scale(x: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """Least-squares scale of each row of ``x`` (G, M) for codes low..high: (G,), by search below the largest value."""
    top = x.abs().amax(1).clamp(min=MINIMUM_SCALE) / high
    best, best_error = top, torch.full_like(top, float("inf"))
    for fraction in torch.linspace(0.2, 1.0, 41):
        scale = (top * fraction)[:, None]
        error = ((torch.floor(x / scale + 0.5).clamp(low, high) * scale - x) ** 2).sum(1)
        best = torch.where(error < best_error, top * fraction, best)
        best_error = torch.minimum(error, best_error)
    return best


def fixed_codes(x: torch.Tensor, log_scale: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """Integer-valued codes of ``x`` for a scale whose logarithm is given, same shape as ``x``."""
    return round_through((x / log_scale.exp()).clamp(low, high))


class QuantLayer(nn.Module):
    """A convolution or linear layer on codes.

    ``log_act`` is (C,) for 4-bit activations and (1,) for 8-bit ones, ``log_weight`` (K,) and, for 4-bit activations,
    ``log_level`` (18,): zero until fitted. ``level`` (N,) or (1,), the noise level of each image, is set by the
    network before it runs.
    """

    def __init__(self, layer: nn.Module, precision: Precision):
        super().__init__()
        self.precision = precision
        self.padding = getattr(layer, "padding", None)  # None marks a linear layer
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
        narrow = self.padding is not None and precision.act.bits == 4
        self.log_act = nn.Parameter(torch.zeros(self.weight.shape[1] if narrow else 1))
        self.log_weight = nn.Parameter(torch.zeros(len(self.weight)))
        self.log_level = nn.Parameter(torch.zeros(len(sampler.LEVELS))) if narrow else None
        self.level = torch.zeros(1, dtype=torch.int64)

    def _channelwise(self, values: torch.Tensor) -> torch.Tensor:
        """(C,) broadcast against the layer's input."""
        return values if self.padding is None else values[:, None, None]

    def level_scale(self) -> torch.Tensor | float:
        """The factor of each image's noise level, broadcast against input and output; 1 for 8-bit activations."""
        return 1.0 if self.log_level is None else self.log_level[self.level].exp()[:, None, None, None]

    def act_steps(self, x: torch.Tensor) -> torch.Tensor:
        """Activations in steps of the code, before they are rounded and limited, same shape as ``x``."""
        return x / (self._channelwise(self.log_act.exp()) * self.level_scale())

    def act_codes(self, x: torch.Tensor) -> torch.Tensor:
        """Integer-valued activations, same shape as ``x``."""
        return round_through(self.act_steps(x).clamp(self.precision.act.low, self.precision.act.high))

    def folded_weight(self) -> torch.Tensor:
        """The weights times the activation scale of their input channel."""
        return self.weight * self.log_act.exp().reshape(1, -1, *[1] * (self.weight.ndim - 2))

    def weight_codes(self) -> torch.Tensor:
        """Integer-valued weights, same shape as ``weight``."""
        scale = self.log_weight.exp().reshape(-1, *[1] * (self.weight.ndim - 1))
        limit = self.precision.weight_limit
        return round_through((self.folded_weight() / scale).clamp(-limit, limit))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.log_weight.exp().reshape(-1, *[1] * (self.weight.ndim - 1))
        weight = self.weight_codes() * scale
        if self.padding is None:
            return functional.linear(self.act_codes(x), weight, self.bias)
        psum = functional.conv2d(self.act_codes(x), weight, padding=self.padding)
        return psum * self.level_scale() + self.bias[:, None, None]

    @torch.no_grad()
    def initialise(self, x: torch.Tensor) -> None:
        """Set the scales by least squares from a sample ``x`` of the layer's input.

        With a scale per channel, each is the geometric mean of the channel's own optimum and the layer's, which
        shares the range mismatch between activations and weights.
        """
        act, limit = self.precision.act, self.precision.weight_limit
        rows = x.transpose(0, 1).flatten(1)  # (C, samples)
        whole = fit_scale(rows.reshape(1, -1), act.low, act.high)
        if self.log_act.numel() > 1:
            own = fit_scale(rows, act.low, act.high).clamp(min=float(whole) / 16)
            whole = (whole * own).sqrt()
        self.log_act.copy_(whole.log())
        self.log_weight.copy_(fit_scale(self.folded_weight().flatten(1), -limit, limit).log())

    @torch.no_grad()
    def fit_levels(self, x: torch.Tensor) -> None:
        """Set the factors per noise level by least squares from inputs ``x`` of the images whose levels are set.

        The error of an activation counts with the square of the weights that it meets. Levels without an image keep
        their factor.
        """
        codes = x / self._channelwise(self.log_act.exp())
        weight = (self.folded_weight() ** 2).sum((0, 2, 3))
        low, high = self.precision.act.low, self.precision.act.high
        for level in self.level.unique():
            sample = codes[self.level == level]
            errors = [
                ((torch.floor(sample / g + 0.5).clamp(low, high) * g - sample) ** 2).sum((0, 2, 3))
                for g in LEVEL_CANDIDATES
            ]
            self.log_level[level] = LEVEL_CANDIDATES[int((torch.stack(errors) @ weight).argmin())].log()
