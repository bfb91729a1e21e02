"""The host's part of the integer model: constants of each layer from integer sums, and what stays in float64.

Pure functions of the integer model's arrays. The golden network and a run on the accelerator call these same functions,
so equal sums give equal constants. Layers are named as in ``sqdm.golden.layers``; ``level`` is an index into
``sampler.LEVELS``. A *consumer* is whatever reads codes: a layer with weights, or "{block}.attention.q" and ".k", the
two operands of the scores.
"""

import numpy as np
import torch

from sqdm.golden import formats, host
from sqdm.golden.formats import INT8, Format
from sqdm.golden.unet import CLASSES, groups_of, noise_features

SKIP_MULTIPLIER, SKIP_SHIFT = 23170, 15  # sqrt(0.5) = 0.70711


class Scalars:
    """``arrays`` as ``sqdm.golden.lower.lower`` makes them."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays
        self.formats = {name: precision.act for name, precision in formats.chosen().items()}

    def real(self, name: str) -> np.ndarray:
        """An array of the model as float64."""
        return self.arrays[name].astype(np.float64)

    def act(self, consumer: str) -> Format:
        """The format of a consumer's codes."""
        return self.formats.get(consumer, INT8)  # q and k are INT8

    def act_shift(self, consumer: str) -> int:
        """The shift of the multiply-add that makes a consumer's codes, 0..31."""
        return int(self.arrays[f"{consumer}/act_shift"])

    def level_scale(self, layer: str, level: int) -> float:
        """Factor of a layer's activation scales at a noise level; 1 for 8-bit activations."""
        table = self.arrays.get(f"{layer}/level_scale")
        return 1.0 if table is None else float(table[level])

    def requant(self, layer: str, level: int) -> tuple[np.ndarray, int, np.ndarray]:
        """(multiplier uint16 (K,), shift 0..31, bias int16 (K,)) of ``conv.requantise``; not for the scores."""
        a = self.arrays
        shift, bias = int(a[f"{layer}/shift"]), a[f"{layer}/bias"]
        if f"{layer}/ratio" not in a:
            return a[f"{layer}/multiplier"], shift, bias
        return host.multipliers(self.real(f"{layer}/ratio"), self.level_scale(layer, level), shift), shift, bias

    def constants(
        self,
        consumer: str,
        sums: tuple[np.ndarray, np.ndarray],
        pixels: int,
        adaptive: np.ndarray | None,
        level: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(a, b) of ``conv.normalise`` behind a GroupNorm, int64 (N, C) within int16 and int32.

        ``sums`` of the normalised tensor as ``host.channel_sums`` gives them, ``pixels`` H*W, ``adaptive`` float64
        (N, 2C), scale then shift, of a block's second convolution and None elsewhere.
        """
        gain, offset, unit = (self.real(f"{consumer}/{label}") for label in ("gain", "offset", "unit"))
        if adaptive is not None:
            scale, move = np.split(adaptive, 2, axis=1)
            gain, offset = gain * (1 + scale), offset * (1 + scale) + unit * move
        level_scale, epsilon = self.level_scale(consumer, level), float(self.arrays[f"{consumer}/epsilon"])
        gain, offset = gain / level_scale, offset / level_scale
        groups = groups_of(sums[0].shape[1])
        return host.normalise_constants(sums, pixels, groups, epsilon, gain, offset, self.act_shift(consumer))

    def static_constants(self, consumer: str, level: int) -> tuple[np.ndarray, np.ndarray]:
        """(a, b) of ``conv.normalise`` that do not depend on the data, int64 (1, C); b is 0.

        For a skip, the attention's projection, q and k.
        """
        level_scale = self.level_scale(consumer, level)
        a = host.static_slopes(self.real(f"{consumer}/unit"), level_scale, self.act_shift(consumer))[None]
        return a, np.zeros_like(a)

    def softmax_codes(self, block: str, score: np.ndarray) -> np.ndarray:
        """Probabilities of a block's attention as UINT8 codes, uint8 (N, P, P), from int32 scores [n, p, p']."""
        return host.softmax_codes(score, float(self.arrays[f"{block}.attention.scores/score_scale"]))

    def input_codes(self, x: np.ndarray) -> np.ndarray:
        """Codes of the first convolution: int8 (N, 1, 8, 8) from c_in * x, float64 of that shape."""
        act = self.act("conv_in")
        return host.quantise(x, float(self.arrays["conv_in/act_scale"]), act.low, act.high).astype(np.int8)

    def output(self, y: np.ndarray) -> np.ndarray:
        """The network's output, float64 (N, 1, 8, 8), from the last convolution's INT16."""
        return y * float(self.arrays["conv_out/out_scale"])

    def embed(self, c_noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The embedding after its last ReLU: float64 (N, 128), from ``c_noise`` float64 (N,) and ``labels`` (N,)."""
        emb = noise_features(torch.from_numpy(np.ascontiguousarray(c_noise))).numpy()
        one_hot = np.eye(CLASSES, dtype=np.int16)[labels]
        emb = emb + host.linear(one_hot, self.arrays["map_label/weights"], self.real("map_label/scale"), None)
        for name in ("map0", "map1"):
            emb = np.maximum(self._linear(name, emb), 0.0)
        return emb

    def adaptive(self, block: str, emb: np.ndarray) -> np.ndarray:
        """A block's adaptive scale and shift, float64 (N, 2C), from the embedding."""
        return self._linear(f"{block}.affine", emb)

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        """A linear layer of the embeddings: float64 (N, C) to (N, K)."""
        act = formats.HOST[name.rpartition(".")[2]].act
        codes = host.quantise(x, float(self.arrays[f"{name}/act_scale"]), act.low, act.high)
        return host.linear(codes, self.arrays[f"{name}/weights"], self.real(f"{name}/scale"), self.real(f"{name}/bias"))
