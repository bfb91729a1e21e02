"""From the fake-quantised network to the integer model: codes, multipliers, shifts and static INT16 scales."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sqdm.golden import edm, sampler
from sqdm.golden.conv import INT16_MAX, MULTIPLIER_MAX, SHIFT_MAX
from sqdm.golden.distill import network_input, noisy_batch, sampler_sigma
from sqdm.golden.fake_quant import layer_name, quant_layers
from sqdm.golden.formats import PROBABILITY_MAX
from sqdm.golden.host import A_MAX
from sqdm.golden.quant_layer import QuantLayer
from sqdm.golden.unet import BLOCKS, EPS, SKIP_SCALE, UNet, key

TENSOR_HEADROOM = 1.5  # an INT16 tensor holds half as much again as the largest value met in calibration
SLOPE_HEADROOM = 4.0  # likewise the slope of a normalisation
NORMALISE_SHIFT_MAX = 24
LAST = f"blocks.{key(BLOCKS[-1].name)}"  # its output, several times larger than the others', feeds only the last layer
CALIBRATION_IMAGES = 512


def multiplier_and_shift(ratio: np.ndarray) -> tuple[np.ndarray, int]:
    """(multiplier uint16 (K,), shift): ratio[k] ~ multiplier[k] / 2**shift with the largest shift <= 31 that fits.

    The largest channel's multiplier has 16 significant bits. Raises ValueError when a ratio is above 65535 or not
    positive. Example: [0.5, 0.25] gives [32768, 16384] and 16.
    """
    top = float(np.max(ratio))
    if not 0 < top <= MULTIPLIER_MAX or float(np.min(ratio)) <= 0:
        raise ValueError(f"ratio must be above 0 and at most {MULTIPLIER_MAX}, not {np.min(ratio)}..{top}")
    shift = max(s for s in range(SHIFT_MAX + 1) if math.floor(top * 2.0**s + 0.5) <= MULTIPLIER_MAX)
    return np.floor(ratio * 2.0**shift + 0.5).astype(np.uint16), shift


@torch.no_grad()
def calibrate(net: UNet, seed: int) -> tuple[dict[str, float], dict[str, torch.Tensor], torch.Tensor]:
    """Run the fake-quantised network on a sample and return what its tensors reach.

    The sample is 512 noisy train images, half at training's noise levels and half at the sampler's 18. Returns the
    largest magnitude of every quantised layer's input ("{module}.input") and output ("{module}") and of every block's
    output, for every GroupNorm the slopes weight * (1 + adaptive scale) / deviation as (N, C), and the noise level of
    each image, an index (N,).
    """
    generator = torch.Generator().manual_seed(seed)
    half = CALIBRATION_IMAGES // 2
    sigma = torch.cat([edm.draw_sigma(half, generator), sampler_sigma(half)])
    x, sigma, labels = noisy_batch(CALIBRATION_IMAGES, generator, sigma)

    tops: dict[str, float] = {}
    slopes: dict[str, torch.Tensor] = {}
    adaptive: dict[str, torch.Tensor] = {}

    def record(name):
        def hook(module, args, output):
            if isinstance(module, nn.GroupNorm):
                grouped = args[0].reshape(len(args[0]), module.num_groups, -1)
                inverse = (grouped.var(2, unbiased=False) + EPS).rsqrt()
                inverse = inverse.repeat_interleave(module.num_channels // module.num_groups, 1)
                scale = adaptive.get(name.rpartition(".")[0], torch.zeros(1)) if name.endswith("norm1") else 0.0
                slopes[name] = inverse * module.weight * (1 + scale)
                return
            tops[name], tops[f"{name}.input"] = float(output.abs().max()), float(args[0].abs().max())
            if name.endswith("affine"):
                adaptive[name.rpartition(".")[0]] = output.chunk(2, dim=1)[0]

        return hook

    blocks = {f"blocks.{key(spec.name)}" for spec in BLOCKS}
    hooks = [
        module.register_forward_hook(record(name))
        for name, module in net.named_modules()
        if isinstance(module, QuantLayer | nn.GroupNorm) or name in blocks
    ]
    net(*network_input(x, sigma), labels)
    for hook in hooks:
        hook.remove()
    return tops, slopes, torch.from_numpy(sampler.nearest_level(sigma.double().log().numpy()))


class Lowering:
    """Collects the integer model's arrays under "layer/array" names."""

    def __init__(self, net: UNet, seed: int):
        self.net = net
        self.tops, self.slopes, self.levels = calibrate(net, seed)
        self.arrays: dict[str, np.ndarray] = {}
        self.stream = self.scale(lambda name: name.startswith(("conv_in", "blocks.")) and not name.startswith(LAST))
        self.tail = self.scale(lambda name: name.startswith(LAST))

    def scale(self, chosen: Callable[[str], bool]) -> float:
        """The INT16 scale that holds every chosen tensor of the residual stream."""
        other = ("conv0", "qk", "v", "affine", "input")
        return TENSOR_HEADROOM * max(v for k, v in self.tops.items() if chosen(k) and not k.endswith(other)) / INT16_MAX

    def put(self, name: str, **values) -> None:
        """Store ``values`` of a layer; floats as float32, which is what the integer model computes from."""
        for label, value in values.items():
            array = np.asarray(value.detach().numpy() if isinstance(value, torch.Tensor) else value)
            kind = np.float32 if array.dtype.kind == "f" else np.int32 if array.dtype == np.int64 else array.dtype
            self.arrays[f"{name}/{label}"] = array.astype(kind)

    def codes(self, layer: QuantLayer) -> np.ndarray:
        """Weight codes, int8."""
        with torch.no_grad():
            return layer.weight_codes().numpy().astype(np.int8)

    def conv(self, name: str, module: str, out_scale: float, factor: float = 1.0) -> None:
        """A convolution with INT16 output y = factor * (weights * codes + bias) / out_scale."""
        layer = self.net.get_submodule(module)
        ratio = layer.log_weight.detach().double().exp().numpy() * factor / out_scale
        if layer.log_level is None:
            multiplier, shift = multiplier_and_shift(ratio)
            self.put(name, multiplier=multiplier, shift=shift)
        else:  # the integer model makes the multipliers of each noise level from the ratios
            level_scale = layer.log_level.detach().exp()
            _, shift = multiplier_and_shift(ratio * float(level_scale.max()))
            self.put(name, ratio=ratio, level_scale=level_scale, shift=shift)
        bias = np.clip(np.floor(layer.bias.detach().double().numpy() * factor / out_scale + 0.5), -INT16_MAX, INT16_MAX)
        self.put(name, weights=self.codes(layer), bias=bias.astype(np.int16))

    def linear(self, module: str) -> None:
        """A linear layer whose result stays in float64 on the host."""
        layer, name = self.net.get_submodule(module), layer_name(module)
        self.put(name, weights=self.codes(layer), scale=layer.log_weight.exp(), act_scale=layer.log_act.exp()[0])
        if layer.bias is not None:
            self.put(name, bias=layer.bias)

    def normalise(self, name: str, module: str, norm: str, in_scale: float) -> None:
        """The codes of layer ``name`` behind a GroupNorm whose input has scale ``in_scale``."""
        group, layer = self.net.get_submodule(norm), self.net.get_submodule(module)
        act = layer.log_act.detach().exp()
        level = 1.0 if layer.log_level is None else layer.log_level.detach().exp()[self.levels, None]
        steepest = float((self.slopes[norm] / act / level).abs().max()) * in_scale
        shift = min(NORMALISE_SHIFT_MAX, math.floor(math.log2(A_MAX / (SLOPE_HEADROOM * steepest))))
        unit = torch.ones(group.num_channels) / act
        self.put(name, gain=group.weight * unit, offset=group.bias * unit, unit=unit, act_shift=shift)
        self.put(name, epsilon=EPS / in_scale**2)

    def static(self, name: str, unit: np.ndarray, lowest_level: float = 1.0) -> None:
        """Codes by constants: ``unit`` (C,) is an INT16 step in codes, to be divided by ``lowest_level`` or more."""
        shift = min(SHIFT_MAX, math.floor(math.log2(A_MAX / float(unit.max()) * lowest_level)))
        self.put(name, unit=unit, act_shift=shift)

    def scaled(self, name: str, module: str, in_scale: float) -> None:
        """The codes of layer ``name`` straight from an INT16 tensor of scale ``in_scale``."""
        layer = self.net.get_submodule(module)
        act = layer.log_act.detach().double().exp().numpy()
        lowest = 1.0 if layer.log_level is None else float(layer.log_level.detach().exp().min())
        self.static(name, np.broadcast_to(in_scale / act, layer.weight.shape[1:2]), lowest)

    def block(self, spec) -> None:
        """One block of the UNet with its skip and attention."""
        name, prefix = spec.name, f"blocks.{key(spec.name)}"
        out = self.tail if prefix == LAST else self.stream
        middle = TENSOR_HEADROOM * self.tops[f"{prefix}.conv0"] / INT16_MAX
        self.normalise(f"{name}.conv0", f"{prefix}.conv0", f"{prefix}.norm0", self.stream)
        self.conv(f"{name}.conv0", f"{prefix}.conv0", middle)
        self.linear(f"{prefix}.affine")
        self.normalise(f"{name}.conv1", f"{prefix}.conv1", f"{prefix}.norm1", middle)
        self.conv(f"{name}.conv1", f"{prefix}.conv1", out, SKIP_SCALE)
        if spec.c_in != spec.c_out:
            self.scaled(f"{name}.skip", f"{prefix}.skip", self.stream)
            self.conv(f"{name}.skip", f"{prefix}.skip", out, SKIP_SCALE)
        if spec.attention:
            self.attention(f"{name}.attention", f"{prefix}.attention", spec.c_out)

    def attention(self, name: str, prefix: str, channels: int) -> None:
        """A block's attention. The values' scale is learned; q, k and the mixed values get static INT16 scales."""
        q, k, v = (
            float(self.net.get_submodule(prefix).get_parameter(f"log_{part}").detach().double().exp()) for part in "qkv"
        )
        projections = TENSOR_HEADROOM * self.tops[f"{prefix}.qk"] / INT16_MAX
        mixed = TENSOR_HEADROOM * self.tops[f"{prefix}.proj.input"] / INT16_MAX
        for part, out in (("qk", projections), ("v", v)):
            self.normalise(f"{name}.{part}", f"{prefix}.{part}", f"{prefix}.norm", self.stream)
            self.conv(f"{name}.{part}", f"{prefix}.{part}", out)
        for part, scale in (("q", q), ("k", k)):
            self.static(f"{name}.{part}", np.full(channels, projections / scale))
        self.put(f"{name}.scores", score_scale=q * k / math.sqrt(channels))
        multiplier, shift = multiplier_and_shift(np.full(channels, v / PROBABILITY_MAX / mixed))
        self.put(f"{name}.mix", multiplier=multiplier, shift=shift, bias=np.zeros(channels, np.int16))
        self.scaled(f"{name}.proj", f"{prefix}.proj", mixed)
        self.conv(f"{name}.proj", f"{prefix}.proj", self.stream, SKIP_SCALE)


def lower(net: UNet, seed: int) -> dict[str, np.ndarray]:
    """The integer model's arrays of a fake-quantised network; ``seed`` draws the calibration sample.

    Every tensor of the residual stream has one static scale, so that concatenation and addition need no rescaling; the
    last block's output, the output of each block's first convolution, the attention's q and k and its mixed values have
    their own.
    """
    if set(quant_layers(net)) == set():
        raise ValueError("net must be fake-quantised, not a float network")
    work = Lowering(net, seed)
    for name in ("map0", "map1", "map_label"):
        work.linear(name)
    work.conv("conv_in", "conv_in", work.stream)
    work.put("conv_in", act_scale=net.conv_in.log_act.exp()[0])
    for spec in BLOCKS:
        work.block(spec)
    work.normalise("conv_out", "conv_out", "norm_out", work.tail)
    out = TENSOR_HEADROOM * work.tops["conv_out"] / INT16_MAX
    work.conv("conv_out", "conv_out", out)
    work.put("conv_out", out_scale=out)
    return work.arrays
