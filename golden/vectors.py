"""Test vectors: operands and exact results of a layer of the shipped model, or of a random convolution."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from sqdm.errors import UserError
from sqdm.golden import layers, sampler
from sqdm.golden.conv import conv_psum, requantise
from sqdm.golden.edm import coefficients
from sqdm.golden.formats import INT4, INT8, UINT4, WEIGHT_LIMIT, Format
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import Model
from sqdm.golden.requant import Requant
from sqdm.golden.sample import check_labels, check_seed, check_steps


@dataclass(frozen=True)
class Vectors:
    """A convolution of kernel 1 or 3, stride 1, zero padding (R-1)/2.

    ``acts`` int8 or uint8 (N, C, H, W), codes in the range of ``act``; ``weights`` int8 (K, C, R, R) of ``weight_bits``
    4 or 8, or (N, K, C, 1, 1): each image has its own. ``requant``: None gives raw sums. ``clamp``: the result is
    clamped to the 8-bit codes -119..119. Raises ValueError when an operand breaks a rule.
    """

    name: str
    acts: np.ndarray
    act: Format
    weights: np.ndarray
    weight_bits: int
    requant: Requant | None
    clamp: bool = False

    def __post_init__(self):
        limit = WEIGHT_LIMIT[self.weight_bits]
        for label, array, low, high in (
            ("acts", self.acts, self.act.low, self.act.high),
            ("weights", self.weights, -limit, limit),
        ):
            if array.min() < low or array.max() > high:
                raise ValueError(f"{label} must lie in {low}..{high}, not {array.min()}..{array.max()}")
        if self.requant is not None and len(self.requant.bias) != self.out_channels:
            raise ValueError(f"requant must have {self.out_channels} channels, not {len(self.requant.bias)}")

    @property
    def signed(self) -> bool:
        """Whether activations are signed."""
        return self.act.signed

    @property
    def image_weights(self) -> bool:
        """Whether every image has its own weights."""
        return self.weights.ndim == 5

    @property
    def out_channels(self) -> int:
        return self.weights.shape[-4]

    def psum(self) -> np.ndarray:
        """The exact sums: int32 (N, K, H, W)."""
        if not self.image_weights:
            return conv_psum(self.acts, self.weights)
        pairs = zip(self.acts, self.weights, strict=True)
        return np.concatenate([conv_psum(acts[None], weights) for acts, weights in pairs])

    def expected(self) -> np.ndarray | None:
        """The result: int16 (N, K, H, W), or None for raw sums."""
        if self.requant is None:
            return None
        y = requantise(self.psum(), self.requant.multiplier, self.requant.shift, self.requant.bias)
        return np.clip(y, INT8.low, INT8.high) if self.clamp else y


class _EvaluatedError(Exception):
    """Ends a sampling run behind the evaluation that was wanted."""


def check_layer(name: str) -> layers.Layer:
    """The layer of the accelerator called ``name``; UserError with the valid names unless there is one."""
    found = {layer.name: layer for layer in layers.layers()}
    if name in found:
        return found[name]
    parts: dict[str, list[str]] = {}
    for block, _, part in (known.rpartition(".") for known in found):
        parts.setdefault(part, []).append(block)
    groups = [f"{{{', '.join(blocks)}}}.{part}" if blocks != [""] else part for part, blocks in parts.items()]
    raise UserError(f"layer must be one of {', '.join(groups)}, not {name!r}")


def capture(
    model: Model, layer_name: str, step: int = 0, labels: Sequence[int] = (0,), seed: int = 0, steps: int = 18
) -> Vectors:
    """Operands of ``layer_name`` in the first network evaluation of sampling step ``step`` (from 0).

    The run is that of ``sample`` with the same ``labels``, ``steps`` and ``seed`` on the integer network. Raises
    UserError for an unknown layer or label and for a step outside 0..steps-1.
    """
    layer = check_layer(layer_name)
    digits, steps, seed = check_labels(labels), check_steps(steps), check_seed(seed)
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step < steps:
        raise UserError(f"step must be an integer in 0..{steps - 1}, not {step!r}")
    tensors = {}  # of the latest evaluation

    def on_evaluation(evaluation: int, _: int) -> None:
        if evaluation == 2 * step:
            raise _EvaluatedError

    net = IntegerUNet(model.arrays, tensors.__setitem__)
    with suppress(_EvaluatedError):
        sampler.heun(net.denoise, sampler.latents(len(digits), seed), digits, steps, on_evaluation)
    log_sigma = 4 * coefficients(sampler.noise_levels(steps)[step])[3]
    return _layer_vectors(layer, tensors, net, int(sampler.nearest_level(log_sigma)))


def _layer_vectors(layer: layers.Layer, tensors: dict[str, np.ndarray], net: IntegerUNet, level: int) -> Vectors:
    """A layer's operands among the tensors of a network evaluation at a noise level."""
    block, _, part = layer.name.rpartition(".")
    acts = tensors[f"{layer.name}/codes"]
    images = len(acts)
    if part == "mix":  # probabilities [n, p, p'] of pixel p: the input channels are the pixels p'
        acts = acts.transpose(0, 2, 1).reshape(images, layer.C, layer.H, layer.W)
        weights = tensors[f"{block}.v"].reshape(images, layer.K, layer.C).astype(np.int8)[..., None, None]
    elif part == "scores":  # k: the output channels are its pixels
        keys = tensors[f"{layer.name}/weights"].reshape(images, layer.C, layer.K)
        weights = keys.transpose(0, 2, 1)[..., None, None]
    else:
        weights = net.scalars.arrays[f"{layer.name}/weights"]
    requant = None if part == "scores" else Requant(*net.scalars.requant(layer.name, level))
    return Vectors(layer.name, acts, layer.act, weights, layer.weight_bits, requant, clamp=part == "v")


def random_vectors(
    seed: int,
    C: int,
    K: int,
    H: int,
    W: int,
    kernel: int = 3,
    zero_fraction: float = 0.6,
    batch: int = 1,
    signed: bool = False,
    requant: bool = True,
) -> Vectors:
    """A random 4-bit convolution; about ``zero_fraction`` of its activations are 0, none when that is 0.

    The same arguments give the same operands. Multipliers, shift and biases are drawn so that a few outputs saturate.
    Raises UserError for a size below 1, a kernel other than 1 or 3, or a fraction outside 0..1.
    """
    for label, value in (("C", C), ("K", K), ("H", H), ("W", W), ("batch", batch)):
        if value < 1:
            raise UserError(f"{label} must be at least 1, not {value!r}")
    if kernel not in (1, 3):
        raise UserError(f"kernel must be 1 or 3, not {kernel!r}")
    if not 0 <= zero_fraction <= 1:
        raise UserError(f"zero_fraction must be in 0..1, not {zero_fraction!r}")
    draw = np.random.default_rng(check_seed(seed))
    act = INT4 if signed else UINT4
    values = np.array([v for v in range(act.low, act.high + 1) if v], dtype=np.int8)
    acts = np.where(draw.random((batch, C, H, W)) < zero_fraction, np.int8(0), draw.choice(values, (batch, C, H, W)))
    weights = draw.integers(-7, 8, (K, C, kernel, kernel)).astype(np.int8)
    stage = None
    if requant:
        spread = 20.0 * np.sqrt(C * kernel * kernel)  # about the deviation of a psum
        shift = int(draw.integers(8, 16))
        multiplier = np.clip(draw.uniform(0.2, 1.5, K) * 12000 * 2.0**shift / spread, 1, 65535).astype(np.uint16)
        stage = Requant(multiplier, shift, draw.integers(-4000, 4001, K).astype(np.int16))
    return Vectors(f"random_{seed}", acts, act, weights, 4, stage)
