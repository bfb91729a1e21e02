"""The fake-quantised network: the float UNet whose layers compute on rounded operands, as the accelerator will."""

import copy
import math

import torch
from torch import nn

from sqdm.golden import formats, sampler
from sqdm.golden.formats import INT8, PROBABILITY_MAX, Precision
from sqdm.golden.quant_layer import QuantLayer, fit_scale, fixed_codes, round_through
from sqdm.golden.unet import SKIP_SCALE, Attention, UNet


def layer_name(module: str) -> str:
    """The name of a layer from its module's: "blocks.dec_4x4_in0.conv0" to "dec.4x4_in0.conv0"."""
    return module.removeprefix("blocks.").replace("_", ".", 1) if module.startswith("blocks.") else module


def rows_of(conv: nn.Conv2d, first: int, last: int) -> nn.Conv2d:
    """A 1x1 convolution that computes output channels ``first`` .. ``last - 1`` of ``conv``."""
    part = nn.Conv2d(conv.in_channels, last - first, 1)
    part.weight, part.bias = nn.Parameter(conv.weight[first:last]), nn.Parameter(conv.bias[first:last])
    return part


class FakeAttention(nn.Module):
    """``unet.Attention`` with queries, keys, values and probabilities as 8-bit codes, and its projections quantised.

    ``log_q``, ``log_k``, ``log_v`` (1,) are the logarithms of the scales of the three.
    """

    def __init__(self, attention: Attention, qk: Precision, v: Precision, proj: Precision):
        super().__init__()
        c = attention.proj.in_channels
        self.norm = attention.norm
        self.qk = QuantLayer(rows_of(attention.qkv, 0, 2 * c), qk)
        self.v = QuantLayer(rows_of(attention.qkv, 2 * c, 3 * c), v)
        self.proj = QuantLayer(attention.proj, proj)
        self.log_q, self.log_k, self.log_v = (nn.Parameter(torch.zeros(1)) for _ in range(3))

    def mix(self, x: torch.Tensor) -> torch.Tensor:
        """What the projection reads, (N, C, H, W)."""
        n, c, h, w = x.shape
        y = self.norm(x)
        q, k = self.qk(y).reshape(n, 2, c, h * w).unbind(1)
        q8, k8 = fixed_codes(q, self.log_q, INT8.low, INT8.high), fixed_codes(k, self.log_k, INT8.low, INT8.high)
        scores = torch.einsum("ncp,ncq->npq", q8, k8) * ((self.log_q + self.log_k).exp() / math.sqrt(c))
        p8 = round_through(torch.softmax(scores, dim=2) * PROBABILITY_MAX)
        # Product and bias are rounded one by one: the accelerator adds an integer bias to the rounded product.
        scale, bias = self.log_v.exp(), self.v.bias[:, None, None]
        v8 = round_through((self.v(y) - bias) / scale) + round_through(bias / scale)
        v8 = v8.clamp(INT8.low, INT8.high).reshape(n, c, h * w)
        return (torch.einsum("npq,ncq->ncp", p8, v8) * (scale / PROBABILITY_MAX)).reshape(n, c, h, w)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.proj(self.mix(x)) + x) * SKIP_SCALE

    @torch.no_grad()
    def initialise(self, attention: Attention, y: torch.Tensor, mixed: torch.Tensor) -> None:
        """Set all scales from samples of what the float ``attention`` normalises to and of what it projects."""
        for layer, sample in ((self.qk, y), (self.v, y), (self.proj, mixed)):
            layer.initialise(sample)
        for log_scale, part in zip((self.log_q, self.log_k, self.log_v), attention.qkv(y).chunk(3, 1), strict=True):
            log_scale.copy_(fit_scale(part.reshape(1, -1), INT8.low, INT8.high).log())


def quant_layers(net: nn.Module) -> dict[str, QuantLayer]:
    """The quantised layers of a network by module name."""
    return {name: module for name, module in net.named_modules() if isinstance(module, QuantLayer)}


def set_levels(net: nn.Module, args: tuple) -> None:
    """Tell every layer the noise level of each image: a hook in front of the network, ``args`` its arguments."""
    level = torch.from_numpy(sampler.nearest_level(4 * args[1].double().numpy()))
    for layer in quant_layers(net).values():
        layer.level = level


@torch.no_grad()
def inputs_of(net: nn.Module, modules: dict[str, nn.Module], *args: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each of ``modules`` reads when ``net`` runs on ``args``."""
    seen: dict[str, torch.Tensor] = {}

    def remember(name):
        return lambda module, args: seen.__setitem__(name, args[0].detach())

    hooks = [module.register_forward_pre_hook(remember(name)) for name, module in modules.items()]
    net(*args)
    for hook in hooks:
        hook.remove()
    return seen


@torch.no_grad()
def fit_levels(net: UNet, x: torch.Tensor, c_noise: torch.Tensor, labels: torch.Tensor) -> None:
    """Fit every factor per noise level of a fake-quantised network; factors fitted before are forgotten.

    ``x``, ``c_noise``, ``labels`` as in ``fake_quantise``, with images at every level.
    """
    layers = {name: layer for name, layer in quant_layers(net).items() if layer.log_level is not None}
    for layer in layers.values():
        layer.log_level.zero_()
    for name, seen in inputs_of(net, layers, x, c_noise, labels).items():
        layers[name].fit_levels(seen)


def fake_quantise(
    net: UNet,
    x: torch.Tensor,
    c_noise: torch.Tensor,
    labels: torch.Tensor,
    precisions: dict[str, Precision] | None = None,
) -> UNet:
    """A copy of ``net`` with every layer quantised and its scales fitted to the inputs seen on one batch.

    ``x`` (N, 1, 8, 8) already scaled by c_in, ``c_noise`` (N,), ``labels`` (N,): a sample of what the network meets.
    ``precisions`` of the accelerator's layers by name, ``formats.chosen`` by default.
    """
    precisions = formats.HOST | (precisions or formats.chosen())
    targets = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    seen = inputs_of(net, targets, x, c_noise, labels)
    quantised = copy.deepcopy(net)
    quantised.register_forward_pre_hook(set_levels)
    for name, module in list(net.named_modules()):
        parent, _, leaf = name.rpartition(".")
        if isinstance(module, Attention):
            parts = (precisions[f"{layer_name(name)}.{part}"] for part in ("qk", "v", "proj"))
            layer = FakeAttention(copy.deepcopy(module), *parts)
            layer.initialise(module, seen[f"{name}.qkv"], seen[f"{name}.proj"])
        elif name in targets and not parent.endswith("attention"):
            key = leaf if leaf in formats.HOST else layer_name(name)
            layer = QuantLayer(module, precisions[key])
            layer.initialise(seen[name])
        else:
            continue
        setattr(quantised.get_submodule(parent), leaf, layer)
    return quantised
