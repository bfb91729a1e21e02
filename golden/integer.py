"""The integer model: the network as the accelerator and its host compute it, bit for bit.

Tensors between layers are INT16 with static scales. The host's scalars come from ``sqdm.golden.scalars``.
"""

from collections.abc import Callable

import numpy as np

from sqdm.golden import host, sampler
from sqdm.golden.conv import add_residual, conv_psum, normalise, requantise
from sqdm.golden.edm import coefficients
from sqdm.golden.formats import INT8
from sqdm.golden.scalars import SKIP_MULTIPLIER, SKIP_SHIFT, Scalars
from sqdm.golden.unet import DECODER, ENCODER, BlockSpec

RESAMPLE = {"down": host.downsample, "up": host.upsample, "": lambda same: same}


class IntegerUNet:
    """The network on the reference arithmetic.

    ``arrays`` as ``sqdm.golden.lower.lower`` makes them. ``on_tensor(name, array)``, when given, is called with every
    tensor, in running order, once per group of images of one noise level:

    - "{layer}/codes": a layer's input codes, int8 or uint8 (N, C, H, W); of the scores q, of the mix the probabilities
      uint8 (N, P, P); "{block}.attention.scores/weights": k, int8 (N, C, H, W)
    - "{layer}": its output, int16 (N, K, H, W), before any residual; v is clamped to INT8; scores are int32 (N, P, P)
    - "{block}/input": the INT16 stream after concatenation and resampling; "{block}" and "{block}.attention": after
      their residual
    """

    def __init__(self, arrays: dict[str, np.ndarray], on_tensor: Callable[[str, np.ndarray], None] | None = None):
        self.scalars = Scalars(arrays)
        self.on_tensor = on_tensor

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
        emb = self.scalars.embed(c_noise, labels)
        y = self.layer("conv_in", self.scalars.input_codes(x), level)
        skips = [y]
        for spec in ENCODER:
            y = self.block(spec, y, emb, level)
            skips.append(y)
        for spec in DECODER:
            if spec.concat:
                y = np.concatenate([y, skips.pop()], axis=1)
            y = self.block(spec, y, emb, level)
        return self.scalars.output(self.layer("conv_out", self.normalised("conv_out", y, None, level), level))

    def tell(self, name: str, array: np.ndarray) -> np.ndarray:
        """Pass a tensor to ``on_tensor`` and return it."""
        if self.on_tensor is not None:
            self.on_tensor(name, array)
        return array

    def codes(self, consumer: str, y: np.ndarray, constants: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """A consumer's codes from an INT16 tensor and (a, b)."""
        act = self.scalars.act(consumer)
        return normalise(y, *constants, self.scalars.act_shift(consumer), act.low, act.high)

    def normalised(self, consumer: str, y: np.ndarray, adaptive: np.ndarray | None, level: int) -> np.ndarray:
        """A consumer's codes behind a GroupNorm (and the adaptive scale and shift, float64 (N, 2C))."""
        pixels = y.shape[2] * y.shape[3]
        return self.codes(consumer, y, self.scalars.constants(consumer, host.channel_sums(y), pixels, adaptive, level))

    def scaled(self, consumer: str, y: np.ndarray, level: int) -> np.ndarray:
        """A consumer's codes by constants that do not depend on the data."""
        return self.codes(consumer, y, self.scalars.static_constants(consumer, level))

    def layer(self, name: str, codes: np.ndarray, level: int) -> np.ndarray:
        """A convolution: codes to INT16."""
        psum = conv_psum(self.tell(f"{name}/codes", codes), self.scalars.arrays[f"{name}/weights"])
        return self.tell(name, requantise(psum, *self.scalars.requant(name, level)))

    def block(self, spec: BlockSpec, x: np.ndarray, emb: np.ndarray, level: int) -> np.ndarray:
        """One block: INT16 stream in and out, sat16(sat16(conv1) + skip) with sqrt(0.5) inside both terms."""
        name = spec.name
        x = self.tell(f"{name}/input", RESAMPLE[spec.resample](x))
        y = self.layer(f"{name}.conv0", self.normalised(f"{name}.conv0", x, None, level), level)
        residual, multiplier, shift = x, SKIP_MULTIPLIER, SKIP_SHIFT
        if spec.c_in != spec.c_out:
            residual = self.layer(f"{name}.skip", self.scaled(f"{name}.skip", x, level), level)
            multiplier, shift = 1, 0
        adaptive = self.scalars.adaptive(name, emb)
        y = self.layer(f"{name}.conv1", self.normalised(f"{name}.conv1", y, adaptive, level), level)
        y = self.tell(name, add_residual(y, residual, multiplier, shift))
        return self.attention(name, y, level) if spec.attention else y

    def attention(self, block: str, x: np.ndarray, level: int) -> np.ndarray:
        """Self-attention with its scaled skip: INT16 stream in and out."""
        name = f"{block}.attention"
        qk = self.layer(f"{name}.qk", self.normalised(f"{name}.qk", x, None, level), level)
        q, k = np.split(qk, 2, axis=1)
        q8 = self.tell(f"{name}.scores/codes", self.scaled(f"{name}.q", q, level))
        k8 = self.tell(f"{name}.scores/weights", self.scaled(f"{name}.k", k, level))
        v8 = self.values(f"{name}.v", self.normalised(f"{name}.v", x, None, level), level)
        score = self.tell(f"{name}.scores", host.scores(q8, k8))
        p8 = self.tell(f"{name}.mix/codes", self.scalars.softmax_codes(block, score))
        mixed = requantise(host.mix(v8, p8), *self.scalars.requant(f"{name}.mix", level))
        mixed = self.tell(f"{name}.mix", mixed)
        y = self.layer(f"{name}.proj", self.scaled(f"{name}.proj", mixed, level), level)
        return self.tell(name, add_residual(y, x, SKIP_MULTIPLIER, SKIP_SHIFT))

    def values(self, name: str, codes: np.ndarray, level: int) -> np.ndarray:
        """The attention's values: a convolution whose INT16 output is clamped to INT8 codes."""
        psum = conv_psum(self.tell(f"{name}/codes", codes), self.scalars.arrays[f"{name}/weights"])
        y = requantise(psum, *self.scalars.requant(name, level))
        return self.tell(name, np.clip(y, INT8.low, INT8.high))
