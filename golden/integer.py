"""The integer model: the network as the accelerator and its host compute it, bit for bit.

Tensors between layers are INT16 with static scales; every 3x3 convolution goes through the engine as a ``ConvJob``.
"""

from collections.abc import Callable

import numpy as np
import torch

from sqdm.golden import host, layers, sampler
from sqdm.golden.conv import add_residual, conv_psum, join_planes, normalise, requantise, split_planes
from sqdm.golden.edm import coefficients
from sqdm.golden.engine import ConvEngine, ConvJob, Requant
from sqdm.golden.fake_quant import FORMATS
from sqdm.golden.unet import CLASSES, DECODER, ENCODER, BlockSpec, groups_of, noise_features

SKIP_MULTIPLIER, SKIP_SHIFT = 23170, 15  # sqrt(0.5) = 0.70711


class IntegerUNet:
    """The network on an engine.

    ``arrays`` as ``sqdm.golden.lower.lower`` makes them, ``engine`` any ``ConvEngine``. ``on_job(job)``, when given,
    is called before each convolution.
    """

    def __init__(
        self, arrays: dict[str, np.ndarray], engine: ConvEngine, on_job: Callable[[ConvJob], None] | None = None
    ):
        self.arrays = arrays
        self.engine = engine
        self.on_job = on_job
        self.macs = {layer.name: layer.macs for layer in layers.layers()}
        self.macs_total = layers.macs_total()

    def denoise(self, x: np.ndarray, sigma: float | np.ndarray, labels: np.ndarray) -> np.ndarray:
        """D(x; sigma) of EDM: float64 (N, 1, 8, 8) from ``x`` of that shape, ``sigma`` () or (N,), ``labels`` (N,)."""
        sigma = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (len(x),))
        c_skip, c_out, c_in, c_noise = coefficients(sigma)
        skip, out, scale = (c[:, None, None, None] for c in (c_skip, c_out, c_in))
        return skip * x + out * self.network(scale * x, c_noise, labels)

    def network(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """F(x, c_noise, label): float64 (N, 1, 8, 8). Images of one noise level run together, level by level."""
        result = np.empty(x.shape)
        levels = sampler.nearest_level(4 * c_noise)
        for level in np.unique(levels):
            chosen = levels == level
            result[chosen] = self.at_level(int(level), x[chosen], c_noise[chosen], np.asarray(labels)[chosen])
        return result

    def at_level(self, level: int, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """F for images that share an entry of the tables per noise level."""
        emb = self.embed(c_noise, labels)
        y = self.first(x)
        skips = [y]
        for spec in ENCODER:
            y = self.block(spec, y, emb, level)
            skips.append(y)
        for spec in DECODER:
            if spec.concat:
                y = np.concatenate([y, skips.pop()], axis=1)
            y = self.block(spec, y, emb, level)
        return self.last(y)

    def embed(self, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Codes of the embedding after its last ReLU, float64 (N, 128) before each layer's own quantiser."""
        emb = noise_features(torch.from_numpy(np.ascontiguousarray(c_noise))).numpy()
        one_hot = np.eye(CLASSES, dtype=np.int16)[labels]
        weights, scale = self.arrays["map_label/weights"], self.arrays["map_label/scale"].astype(np.float64)
        emb = emb + host.linear(one_hot, weights, scale, None)
        for name in ("map0", "map1"):
            emb = np.maximum(self.linear(name, emb), 0.0)
        return emb

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        """An 8-bit linear layer on the host: float64 (N, C) to (N, K)."""
        a = self.arrays
        fmt = FORMATS[name.rpartition(".")[2]]
        codes = host.quantise(x, float(a[f"{name}/act_scale"]), fmt.low, fmt.high)
        scale, bias = (a[f"{name}/{label}"].astype(np.float64) for label in ("scale", "bias"))
        return host.linear(codes, a[f"{name}/weights"], scale, bias)

    def level_scale(self, name: str, level: int) -> float:
        """Factor of a 4-bit layer's activation scales at a noise level."""
        return float(self.arrays[f"{name}/level_scale"][level])

    def requant(self, name: str, level: int | None = None) -> Requant:
        """The output stage of a layer, for a 4-bit layer at a noise level."""
        a = self.arrays
        shift, bias = int(a[f"{name}/shift"]), a[f"{name}/bias"]
        if level is None:
            return Requant(a[f"{name}/multiplier"], shift, bias)
        ratio = a[f"{name}/ratio"].astype(np.float64)
        return Requant(host.multipliers(ratio, self.level_scale(name, level), shift), shift, bias)

    def run(self, job: ConvJob) -> np.ndarray:
        """One job through the engine."""
        if self.on_job is not None:
            self.on_job(job)
        return self.engine.conv(job)

    def conv4(self, name: str, codes: np.ndarray, level: int) -> np.ndarray:
        """A 4-bit 3x3 convolution at a noise level: UINT4 codes to INT16."""
        macs, requant = self.macs[name] * len(codes), self.requant(name, level)
        return self.run(ConvJob(name, codes, False, self.arrays[f"{name}/weights"], requant, macs, 4))

    def conv8(self, name: str, codes: np.ndarray, signed: bool) -> np.ndarray:
        """An 8-bit 3x3 convolution as nibble planes, recombined and requantised on the host."""
        acts, weights = split_planes(codes, self.arrays[f"{name}/weights"], signed)
        macs = self.macs[name] * len(codes)
        return self.finish(name, join_planes(self.run(ConvJob(name, acts, signed, weights, None, macs, 8))))

    def finish(self, name: str, psum: np.ndarray) -> np.ndarray:
        """Requantise psums that the host holds."""
        out = self.requant(name)
        return requantise(psum, out.multiplier, out.shift, out.bias)

    def conv1x1(self, name: str, codes: np.ndarray) -> np.ndarray:
        """An 8-bit 1x1 convolution on the host: INT8 codes to INT16."""
        return self.finish(name, conv_psum(codes, self.arrays[f"{name}/weights"]))

    def normalise(
        self,
        name: str,
        y: np.ndarray,
        low: int,
        high: int,
        adaptive: np.ndarray | None = None,
        level_scale: float = 1.0,
    ) -> np.ndarray:
        """GroupNorm (and adaptive scale and shift, float64 (N, 2C)) to codes low..high of scale ``level_scale``."""
        a = self.arrays
        gain, offset, unit = (a[f"{name}/{label}"].astype(np.float64) for label in ("gain", "offset", "unit"))
        if adaptive is not None:
            scale, move = np.split(adaptive, 2, axis=1)
            gain, offset = gain * (1 + scale), offset * (1 + scale) + unit * move
        shift = int(a[f"{name}/shift"])
        pixels, groups = y.shape[2] * y.shape[3], groups_of(y.shape[1])
        epsilon = float(a[f"{name}/epsilon"])
        gain, offset = gain / level_scale, offset / level_scale
        slope, start = host.normalise_constants(host.channel_sums(y), pixels, groups, epsilon, gain, offset, shift)
        return normalise(y, slope, start, shift, low, high)

    def first(self, x: np.ndarray) -> np.ndarray:
        """The first convolution: float64 (N, 1, 8, 8) to the INT16 residual stream."""
        fmt = FORMATS["conv_in"]
        return self.conv8("conv_in", host.quantise(x, float(self.arrays["conv_in/act_scale"]), fmt.low, fmt.high), True)

    def last(self, y: np.ndarray) -> np.ndarray:
        """The last convolution: INT16 residual stream to float64 (N, 1, 8, 8)."""
        codes = self.normalise("norm_out", y, 0, FORMATS["conv_out"].high)
        return self.conv8("conv_out", codes, False) * float(self.arrays["conv_out/out_scale"])

    def block(self, spec: BlockSpec, x: np.ndarray, emb: np.ndarray, level: int) -> np.ndarray:
        """One block: INT16 stream in and out, sat16(sat16(conv1) + skip) with sqrt(0.5) inside both terms."""
        scales = [self.level_scale(f"{spec.name}.{conv}", level) for conv in ("conv0", "conv1")]
        x = {"down": host.downsample, "up": host.upsample, "": lambda same: same}[spec.resample](x)
        top = FORMATS["conv0"].high
        y = self.normalise(f"{spec.name}.norm0", x, 0, top, level_scale=scales[0])
        y = self.conv4(f"{spec.name}.conv0", y, level)
        adaptive = self.linear(f"{spec.name}.affine", emb)
        y = self.normalise(f"{spec.name}.norm1", y, 0, top, adaptive, scales[1])
        y = self.conv4(f"{spec.name}.conv1", y, level)
        if spec.c_in == spec.c_out:
            y = add_residual(y, x, SKIP_MULTIPLIER, SKIP_SHIFT)
        else:
            y = add_residual(y, self.skip(f"{spec.name}.skip", x), 1, 0)
        return self.attention(f"{spec.name}.attention", y) if spec.attention else y

    def skip(self, name: str, x: np.ndarray) -> np.ndarray:
        """The 1x1 convolution beside a block: INT16 stream to INT8 codes to INT16 stream."""
        n, c = x.shape[:2]
        slope = np.full((n, c), int(self.arrays[f"{name}/act_slope"]))
        codes = normalise(x, slope, np.zeros_like(slope), int(self.arrays[f"{name}/act_shift"]), -127, 127)
        return self.conv1x1(name, codes)

    def attention(self, name: str, x: np.ndarray) -> np.ndarray:
        """Self-attention with its scaled skip: INT16 stream in and out."""
        a = self.arrays
        qkv = self.conv1x1(f"{name}.qkv", self.normalise(f"{name}.norm", x, -127, 127))
        mixed = host.attend(qkv, float(a[f"{name}/score_scale"]))
        codes = host.quantise(mixed / host.ATTENTION_UNIT, float(a[f"{name}/mix_scale"]), -127, 127)
        return add_residual(self.conv1x1(f"{name}.proj", codes), x, SKIP_MULTIPLIER, SKIP_SHIFT)
