"""Random convolutions with everything that a CONV can do, and what comes out of them by `golden.conv` alone."""

from dataclasses import replace

import numpy as np

from sqdm.compiler.convolution import Convolution
from sqdm.golden.conv import add_residual, conv_psum, normalise, requantise
from sqdm.golden.requant import Requant
from sqdm.rtl.descriptor import Output

RANGES = {(False, 4): (0, 15), (True, 4): (-8, 7), (False, 8): (0, 255), (True, 8): (-119, 119)}


def random_convolution(rng: np.random.Generator, shape: tuple[int, ...], taps: int, **options) -> Convolution:
    """A layer of ``shape`` (N, C, K, H, W). ``options`` replace fields of `Convolution`; ``int16``, ``residual`` and
    ``image_weights`` (True or False) ask for these operands, ``zeros`` is the share of zero activations.
    """
    images, channels, out_channels, height, width = shape
    signed, bits = options.get("signed", False), options.get("act_bits", 4)
    low, high = RANGES[signed, bits]
    side = 3 if taps == 9 else 1
    limit = 119 if options.get("weight_bits", 4) == 8 else 7
    sets = (images,) if options.pop("image_weights", False) else ()
    zeros = options.pop("zeros", 0.5)
    operands = {}
    if options.pop("int16", False):
        acts = rng.integers(-3000, 3000, (images, channels, height, width)).astype(np.int16)
        operands["constants"] = (
            rng.integers(-99, 100, (images, channels)),
            rng.integers(-9999, 9999, (images, channels)),
        )
        operands["normalise_shift"] = 14 if bits == 4 else 10
    else:
        acts = rng.integers(low, high + 1, (images, channels, height, width)).astype(np.int16)
        acts[rng.random(acts.shape) < zeros] = 0
    if options.get("output") != Output.RAW:
        multiplier = rng.integers(0, 4000, out_channels).astype(np.uint16)
        bias = rng.integers(-500, 500, out_channels).astype(np.int16)
        operands["requant"] = Requant(multiplier, 12, bias)
    if options.pop("residual", False):
        operands["residual"] = rng.integers(-30000, 30000, (images, out_channels, height, width)).astype(np.int16)
        operands |= {"residual_multiplier": int(rng.integers(0, 65536)), "residual_shift": 15}
    weights = rng.integers(-limit, limit + 1, (*sets, out_channels, channels, side, side)).astype(np.int16)
    return replace(Convolution(acts, weights, **operands), **options)


def codes_of(conv: Convolution) -> np.ndarray:
    """The activation codes (N, C, H, W)."""
    if conv.constants is None:
        return conv.acts
    return normalise(conv.acts, *conv.constants, conv.normalise_shift, *RANGES[conv.signed, conv.act_bits])


def expected_outputs(conv: Convolution) -> np.ndarray:
    """What the layer gives, (N, K, H, W)."""
    codes = codes_of(conv).astype(np.int16)
    sets = conv.weights if conv.image_weights else [conv.weights] * len(codes)
    psums = np.concatenate([conv_psum(image[None], own) for image, own in zip(codes, sets, strict=True)])
    if conv.written == Output.RAW:
        return psums
    outputs = requantise(psums, conv.requant.multiplier, conv.requant.shift, conv.requant.bias)
    if conv.written == Output.WEIGHTS:
        return np.clip(outputs, -119, 119)
    if conv.residual is not None:
        outputs = add_residual(outputs, conv.residual, conv.residual_multiplier, conv.residual_shift)
    return outputs
