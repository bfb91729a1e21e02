"""What the host does for the digits network: before an evaluation, at each WAIT, and with the result.

All of it is scalar work: codes of the input picture, a and b of the normalisations from integer sums, softmax codes.
The arithmetic is `sqdm.golden.scalars`, which the integer model calls too, so equal sums give equal constants.
"""

from collections.abc import Callable

import numpy as np

from sqdm.compiler.conv_descriptor import Place
from sqdm.compiler.program import HostStep, Region
from sqdm.golden import layout, planes, sampler
from sqdm.golden.layout import LayerShape
from sqdm.golden.scalars import Scalars
from sqdm.rtl.config import Config


def unfold(codes: np.ndarray) -> np.ndarray:
    """The 3x3 neighbours of each pixel of (N, 1, H, W), 0 outside: (9, N, H * W), tap 3 * r + s first."""
    images, _, height, width = codes.shape
    padded = np.pad(codes[:, 0], ((0, 0), (1, 1), (1, 1)))
    taps = [padded[:, r : r + height, s : s + width] for r in range(3) for s in range(3)]
    return np.stack(taps).reshape(9, images, height * width)


class NetworkHost:
    """State of the host: ``arrays`` of the integer model, ``images`` that run together, all at one noise level.

    `begin` writes what one evaluation needs; the steps that the other methods give read and write the memory.
    """

    def __init__(self, arrays: dict[str, np.ndarray], images: int, config: Config):
        self.scalars = Scalars(arrays)
        self.images = images
        self.config = config
        self.level = 0
        self._adaptive: dict[str, np.ndarray] = {}
        self._blocks: set[str] = set()
        self._levels: list[Callable[[np.ndarray], None]] = []

    def params(self, layer: str, shape: LayerShape) -> np.ndarray:
        """The requantisation parameters of a layer that runs as ``shape``, at the current noise level.

        Over rows every row of an output channel has the channel's.
        """
        multiplier, _, bias = self.scalars.requant(layer, self.level)
        rows = shape.out_channels // multiplier.size
        return layout.pack_params(multiplier.repeat(rows), bias.repeat(rows), self.config, shape.wide)

    def static_constants(self, consumer: str) -> np.ndarray:
        """Constants of one image that do not depend on the data, at the current noise level."""
        a, b = self.scalars.static_constants(consumer, self.level)
        return layout.pack_constants(a[0], b[0], self.config)

    def has_levels(self, layer: str) -> bool:
        """Whether a layer's multipliers (and static constants) depend on the noise level."""
        return f"{layer}/level_scale" in self.scalars.arrays

    def every_level(self, region: Region, content: Callable[[], np.ndarray]) -> None:
        """Write ``content()`` to ``region`` at the start of every evaluation."""

        def write(memory: np.ndarray) -> None:
            packed = content()
            memory[region.address : region.address + packed.size] = packed

        self._levels.append(write)

    def begin(
        self, memory: np.ndarray, region: Region, bits: int, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray
    ) -> None:
        """Write what an evaluation needs: codes of ``bits`` of the input and all values that depend on the noise level.

        ``x`` = c_in * picture, float64 (N, 1, 8, 8), goes to ``region``; ``c_noise`` (N,), all of one noise level of
        the sampler, ``labels`` (N,). ValueError for another number of images or several levels.
        """
        levels = np.unique(sampler.nearest_level(4 * c_noise))
        if len(x) != self.images or len(levels) != 1:
            raise ValueError(f"there must be {self.images} images of one noise level, not {len(x)} of {len(levels)}")
        self.level = int(levels[0])
        embedding = self.scalars.embed(c_noise, labels)
        self._adaptive = {block: self.scalars.adaptive(block, embedding) for block in self._blocks}
        for write in self._levels:
            write(memory)
        codes = unfold(self.scalars.input_codes(x))
        packed = planes.pack_codes(narrowed(codes, True, bits), True, bits == 8)
        memory[region.address : region.address + packed.size] = packed.reshape(-1)

    def normalise_step(
        self,
        consumers: dict[str, Region],
        statistics: int,
        channels: int,
        pixels: int,
        repeats: int,
        block: str | None,
        copies: int,
    ) -> HostStep:
        """At a WAIT: constants of ``consumers`` from the statistics (N, ``channels``) at that address.

        Every pixel counts ``repeats`` times (after a nearest-neighbour enlargement); ``block``: whose adaptive
        scale and shift apply. Each channel's constants are stored ``copies`` times, for consumers that run over rows.
        """
        if block is not None:
            self._blocks.add(block)
        size = channels * self.images * layout.statistics_bytes(self.config)

        def step(memory: np.ndarray) -> None:
            stored = layout.unpack_statistics(
                memory[statistics : statistics + size], channels, self.images, self.config
            )
            sums = (stored[0] * repeats, stored[1] * repeats)
            adaptive = None if block is None else self._adaptive[block]
            for consumer, region in consumers.items():
                a, b = self.scalars.constants(consumer, sums, pixels, adaptive, self.level)
                packed = layout.pack_constants(a.repeat(copies, axis=1), b.repeat(copies, axis=1), self.config)
                memory[region.address : region.address + packed.size] = packed.reshape(-1)

        return step

    def softmax_step(self, block: str, scores: Place, probabilities: Place, pixels: int, bits: int) -> HostStep:
        """At a WAIT: codes of the probabilities, channel p' and pixel p, from the scores, channel p' and pixel p."""

        def step(memory: np.ndarray) -> None:
            strides = (scores.image_stride, scores.stride)
            raw = planes.unpack_raw(
                planes.gather(memory, scores.address, strides, (self.images, pixels, 4 * pixels)), pixels
            )
            codes = self.scalars.softmax_codes(block, raw.swapaxes(1, 2)).swapaxes(1, 2)
            packed = planes.pack_codes(narrowed(codes, False, bits), False, bits == 8)
            planes.place(memory, probabilities.address, (probabilities.image_stride, probabilities.stride), packed)

        return step


def narrowed(codes: np.ndarray, signed: bool, bits: int) -> np.ndarray:
    """Codes clamped to 4 bits, or as they are: programs with every layer at 4 bits are for timing only."""
    return codes if bits == 8 else np.clip(codes, *((-8, 7) if signed else (0, 15)))
