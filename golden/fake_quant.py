"""The fake-quantised network: the float UNet whose convolutions and linear layers compute on rounded operands.

Gradients pass the rounding unchanged (straight-through), so every scale is learned together with the weights. One
activation scale per layer for 8 bit; for 4 bit one per input channel, which costs the hardware nothing: a ReLU is
positively homogeneous, so the host divides it out in the multiply-add that makes the codes, and the weights carry it.
4-bit layers also have a factor g per noise level (the 18 of ``sampler.LEVELS``; any other sigma uses the nearest): the
host divides it out in the same multiply-add, and the requantisation of the layer's output multiplies by it.

    code[c] = clamp(round(x[c] / (s[c] * g))),  weight[k,c] = clamp(round(w[k,c] * s[c] / t[k]))
    y[k] = t[k] * g * sum + bias[k]
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from sqdm.golden import sampler
from sqdm.golden.unet import UNet

MINIMUM_SCALE = 1e-6
LEVEL_CANDIDATES = torch.logspace(-1.0, 1.0, 41, base=2.0)  # factors of a noise level: half to double in 5% steps


@dataclass(frozen=True)
class Format:
    """Integer ranges of a layer: activation codes low..high, weight codes -limit..limit, bits 4 or 8."""

    low: int
    high: int
    limit: int
    bits: int


UINT4 = Format(0, 15, 7, 4)  # the 28 3x3 convolutions in blocks
SIGNED_PLANES = Format(-119, 119, 119, 8)  # first convolution: two balanced digits reach 119
UNSIGNED_PLANES = Format(0, 255, 119, 8)  # last convolution, after a ReLU
INT8 = Format(-127, 127, 127, 8)  # skip 1x1, attention, noise features
UINT8 = Format(0, 255, 127, 8)  # embedding layers after a ReLU
ONE_HOT = Format(0, 1, 127, 8)  # class embedding

FORMATS = {
    "conv0": UINT4,
    "conv1": UINT4,
    "conv_in": SIGNED_PLANES,
    "conv_out": UNSIGNED_PLANES,
    "skip": INT8,
    "qkv": INT8,
    "proj": INT8,
    "map0": INT8,
    "map1": UINT8,
    "affine": UINT8,
    "map_label": ONE_HOT,
}


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


class QuantLayer(nn.Module):
    """A convolution or linear layer on codes.

    ``log_act`` is (C,) or (1,), ``log_weight`` (K,) and, for 4 bit, ``log_level`` (18,): zero until ``fit_levels``.
    ``level`` (N,) or (1,), the noise level of each image, is set by the network before it runs.
    """

    def __init__(self, layer: nn.Module, fmt: Format):
        super().__init__()
        self.fmt = fmt
        self.padding = layer.padding if isinstance(layer, nn.Conv2d) else None  # None marks a linear layer
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
        self.log_act = nn.Parameter(torch.zeros(self.weight.shape[1] if fmt.bits == 4 else 1))
        self.log_weight = nn.Parameter(torch.zeros(len(self.weight)))
        self.log_level = nn.Parameter(torch.zeros(len(sampler.LEVELS))) if fmt.bits == 4 else None
        self.level = torch.zeros(1, dtype=torch.int64)

    def _channelwise(self, values: torch.Tensor) -> torch.Tensor:
        """(C,) broadcast against the layer's input."""
        return values if self.padding is None else values[:, None, None]

    def level_scale(self) -> torch.Tensor | float:
        """The factor of each image's noise level, broadcast against the layer's input and output; 1 for 8 bit."""
        return 1.0 if self.log_level is None else self.log_level[self.level].exp()[:, None, None, None]

    def act_codes(self, x: torch.Tensor) -> torch.Tensor:
        """Integer-valued activations, same shape as ``x``."""
        scale = self._channelwise(self.log_act.exp()) * self.level_scale()
        return round_through((x / scale).clamp(self.fmt.low, self.fmt.high))

    def folded_weight(self) -> torch.Tensor:
        """The weights times the activation scale of their input channel."""
        return self.weight * self.log_act.exp().reshape(1, -1, *[1] * (self.weight.ndim - 2))

    def weight_codes(self) -> torch.Tensor:
        """Integer-valued weights, same shape as ``weight``."""
        scale = self.log_weight.exp().reshape(-1, *[1] * (self.weight.ndim - 1))
        return round_through((self.folded_weight() / scale).clamp(-self.fmt.limit, self.fmt.limit))

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
        rows = x.transpose(0, 1).flatten(1)  # (C, samples)
        whole = fit_scale(rows.reshape(1, -1), self.fmt.low, self.fmt.high)
        if self.log_act.numel() > 1:
            own = fit_scale(rows, self.fmt.low, self.fmt.high).clamp(min=float(whole) / 16)
            whole = (whole * own).sqrt()
        self.log_act.copy_(whole.log())
        self.log_weight.copy_(fit_scale(self.folded_weight().flatten(1), -self.fmt.limit, self.fmt.limit).log())


def quant_layers(net: nn.Module) -> dict[str, QuantLayer]:
    """The quantised layers of a network by module name."""
    return {name: module for name, module in net.named_modules() if isinstance(module, QuantLayer)}


def set_levels(net: nn.Module, args: tuple) -> None:
    """Tell every layer the noise level of each image: a hook in front of the network, ``args`` its arguments."""
    level = torch.from_numpy(sampler.nearest_level(4 * args[1].double().numpy()))
    for layer in quant_layers(net).values():
        layer.level = level


@torch.no_grad()
def fit_levels(net: UNet, x: torch.Tensor, c_noise: torch.Tensor, labels: torch.Tensor) -> None:
    """Set the factors per noise level of a fake-quantised network by least squares over LEVEL_CANDIDATES.

    ``x``, ``c_noise``, ``labels`` as in ``fake_quantise``, with images at every level. The error of an activation
    counts with the square of the weights that it meets. Factors fitted before are forgotten.
    """
    seen: dict[str, torch.Tensor] = {}
    layers = {name: layer for name, layer in quant_layers(net).items() if layer.log_level is not None}

    def remember(name):
        return lambda module, args: seen.__setitem__(name, args[0])

    hooks = [layer.register_forward_pre_hook(remember(name)) for name, layer in layers.items()]
    for layer in layers.values():
        layer.log_level.zero_()
    net(x, c_noise, labels)
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        codes = seen[name] / layer.log_act.exp()[:, None, None]
        weight = (layer.folded_weight() ** 2).sum((0, 2, 3))
        for level in range(len(layer.log_level)):
            sample = codes[layer.level == level]
            errors = [
                ((torch.floor(sample / g + 0.5).clamp(layer.fmt.low, layer.fmt.high) * g - sample) ** 2).sum((0, 2, 3))
                for g in LEVEL_CANDIDATES
            ]
            layer.log_level[level] = LEVEL_CANDIDATES[int((torch.stack(errors) @ weight).argmin())].log()


def fake_quantise(net: UNet, x: torch.Tensor, c_noise: torch.Tensor, labels: torch.Tensor) -> UNet:
    """A copy of ``net`` with every layer quantised and its scales fitted to the inputs seen on one batch.

    ``x`` (N, 1, 8, 8) already scaled by c_in, ``c_noise`` (N,), ``labels`` (N,): a sample of what the network meets.
    """
    seen: dict[str, torch.Tensor] = {}
    targets = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}

    def remember(name):
        return lambda module, args: seen.__setitem__(name, args[0].detach())

    hooks = [module.register_forward_pre_hook(remember(name)) for name, module in targets.items()]
    with torch.no_grad():
        net(x, c_noise, labels)
    for hook in hooks:
        hook.remove()
    quantised = copy.deepcopy(net)
    quantised.register_forward_pre_hook(set_levels)
    for name, module in targets.items():
        parent, _, leaf = name.rpartition(".")
        layer = QuantLayer(module, FORMATS[leaf])
        layer.initialise(seen[name])
        setattr(quantised.get_submodule(parent), leaf, layer)
    return quantised
