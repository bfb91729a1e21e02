"""Workloads without a trained model: real shapes, but non-zero maps drawn at random from the digits run's densities."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.operands import Convolution, Part
from sqdm.compiler.program import Descriptor
from sqdm.golden import sampler
from sqdm.golden.requant import Requant
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import Policy
from sqdm.sim.bench.trace import Sampling
from sqdm.sim.cycles import kernel
from sqdm.sim.cycles.labels import nonzero_counts, sorted_labels
from sqdm.sim.cycles.predictor import Predictor
from sqdm.sim.explore.shapes import SIGNED, Shape
from sqdm.sim.explore.workload import Outcome, described, products_of, spread, trace_of, words_of

MEASURED = Sampling(10, 18, 0)  #: the digits run that densities come from
LEAST = 1e-3  #: density of a channel where a share of zeros is asked for
SHIFT = 8  #: of requantisation and normalisation; no cycle depends on it


@dataclass(frozen=True)
class Synthetic:
    """Layers by themselves, one after the other, ``images`` together, Heun ``steps``.

    Every channel of a layer gets the densities of a channel that is drawn, with ``seed``, from the layers of its role
    in the digits run: all its evaluations, stretched to the length of this run, so channels differ and drift as there;
    where a layer asks for a share of zeros, to the power that gives it.
    An activation is then non-zero with its channel's density, independently of all others. ``sampled`` evaluations
    are predicted; channel tables come from the maps of the evaluation before, those of the first from its own.
    """

    name: str
    shapes: tuple[Shape, ...]
    images: int = 1
    steps: int = 18
    seed: int = 0
    sampled: int = 5

    @property
    def evaluations(self) -> int:
        return sampler.evaluations(self.steps)

    def describe(self) -> dict:
        """For reports."""
        return described(
            self,
            layers=len(self.shapes),
            macs=sum(shape.macs for shape in self.shapes),
            maps="synthetic: drawn at random from densities of the digits run's channels",
        )

    def prepare(self) -> None:
        """Compute and keep what all predictions share."""
        trace_of(MEASURED)

    def predict(self, config: Config, policy: Policy, latency: int, bits: int | None = None) -> Outcome:
        """As `Digits.predict`, layer by layer: no layer overlaps with the next one."""
        dense = config.sparse_arrays == 0
        chosen = [0] if dense else spread(self.evaluations, self.sampled)
        sums = np.zeros(len(kernel.COUNTERS), np.int64)
        products = words = 0
        for number, shape in enumerate(self.shapes):
            shape = shape if bits is None else replace(shape, act_bits=bits, weight_bits=bits)
            plain = replace(shape, name="layer", zeros=None)
            layer = compiled(plain, self.images, config)
            predictor = Predictor(config, layer.descriptors, latency, policy)
            words += len(chosen) * words_of(layer.convs.values(), config)
            for evaluation in chosen:
                if dense:
                    now = before = np.zeros(self._size(shape), bool)
                else:
                    before, now = (self.maps(number, e) for e in (max(0, evaluation - 1), evaluation))
                labels = {
                    n: sorted_labels(layer.descriptors[n], config, nonzero_counts(maps), policy)
                    for n, maps in layer.cut(before).items()
                }
                nonzeros = layer.cut(now)
                sums += np.sum(predictor.run(nonzeros, labels), axis=0)
                products += products_of(layer, nonzeros, labels)
        return Outcome.of(sums, products, words, self.evaluations / len(chosen))

    def maps(self, number: int, evaluation: int) -> np.ndarray:
        """Where the input of a layer is not zero: bool (planes, N, C, H, W)."""
        shape = self.shapes[number]
        random = np.random.default_rng([self.seed, 1, number, evaluation])
        densities = self.densities(number, evaluation)[:, None, :, None, None]
        return random.random(self._size(shape), np.float32) < densities

    def densities(self, number: int, evaluation: int) -> np.ndarray:
        """Share of non-zeros of each channel of a layer: float64 (planes, C)."""
        shape = self.shapes[number]
        known = measured_densities()[shape.role, shape.planes]
        random = np.random.default_rng([self.seed, 0, number])
        drawn = known[:, :, random.integers(known.shape[2], size=shape.channels)]
        if shape.zeros is not None:
            drawn = np.maximum(drawn, LEAST)
            drawn = drawn ** exponent(drawn, 1 - shape.zeros)
        place = evaluation / max(1, self.evaluations - 1) * (len(drawn) - 1)
        return drawn[round(place)]

    def _size(self, shape: Shape) -> tuple[int, ...]:
        return shape.planes, self.images, shape.channels, shape.height, shape.width


def exponent(densities: np.ndarray, mean: float) -> float:
    """The power of densities, all between 0 and 1, whose mean is ``mean``."""
    low, high = 0.0, 64.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(densities**middle) > mean else (low, middle)
    return high


@lru_cache(maxsize=1)
def measured_densities() -> dict[tuple[str, int], np.ndarray]:
    """Of all channels of the layers of a role with so many planes: float64 (evaluations, planes, channels)."""
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for name, maps in trace_of(MEASURED).maps.items():
        channel = 3 if maps.ndim == 6 else 4  # attention's probabilities: (evaluations, planes, N, pixels, channels)
        others = tuple(axis for axis in range(2, maps.ndim) if axis != channel)
        found.setdefault((name.rpartition(".")[2], maps.shape[1]), []).append(maps.mean(axis=others))
    pooled = {key: np.concatenate(parts, axis=2) for key, parts in found.items()}
    for role, planes in list(pooled):  # a file may give a role other formats than the shipped model has
        pooled.setdefault((role, 3 - planes), np.repeat(pooled[role, planes][:, :1], 3 - planes, axis=1))
    return pooled


@dataclass(frozen=True)
class CompiledLayer:
    """A layer as descriptors: one for every strip of rows, part of the images and block of output channels."""

    config: Config
    descriptors: list[Descriptor]
    parts: list[Part]

    @property
    def convs(self) -> dict[int, Descriptor]:
        """By number; the last descriptor ends the program."""
        return {number: d for number, d in enumerate(self.descriptors) if d.kind == Kind.CONV}

    def cut(self, maps: np.ndarray) -> dict[int, np.ndarray]:
        """What each descriptor reads of the layer's map."""
        found = {}
        for number, d in self.convs.items():
            part = self.parts[int(d.name.rpartition(".")[2])]
            found[number] = maps[:, part.images, :, part.strip.input_rows]
        return found


@lru_cache(maxsize=64)
def compiled(shape: Shape, images: int, config: Config) -> CompiledLayer:
    """The descriptors of a layer, with the operands that its role has in the network."""
    role, pixels = shape.role, (shape.height, shape.width)
    per_image = (images,) if role in ("scores", "mix") else ()
    weights = np.zeros((*per_image, shape.out_channels, shape.channels, shape.kernel, shape.kernel), np.int8)
    outputs = np.zeros(shape.out_channels, np.uint16)
    from_codes = role in ("conv_in", "mix")
    size = (images, shape.channels, *pixels)
    signed = role in SIGNED
    convolution = Convolution(
        acts=np.zeros(size, (np.int8 if signed else np.uint8) if from_codes else np.int16),
        weights=weights,
        requant=Requant(outputs, SHIFT, outputs.astype(np.int16)),
        signed=signed,
        act_bits=shape.act_bits,
        weight_bits=shape.weight_bits,
        constants=None if from_codes else tuple(np.zeros((images, shape.channels), np.int32) for _ in range(2)),
        normalise_shift=0 if from_codes else SHIFT,
        residual=np.zeros((images, shape.out_channels, *pixels), np.int16) if role in ("conv1", "proj") else None,
        statistics=role in ("conv_in", "conv0", "conv1", "proj"),
        scan=False,
        update=role != "mix",
    )
    program = compile_convolution(convolution, config)
    return CompiledLayer(config, program.descriptors, program.parts)
