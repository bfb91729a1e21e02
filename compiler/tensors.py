"""INT16 tensors of the network in memory; those that the decoder concatenates lie behind each other from the start."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from sqdm.compiler.conv_descriptor import Place
from sqdm.compiler.program import Builder, Region
from sqdm.golden import layout, planes
from sqdm.golden.unet import CHANNELS, DECODER, ENCODER, BlockSpec


@dataclass(frozen=True)
class Tensor:
    """Planes of ``channels`` channels of ``height`` x ``width``, INT16, or INT32 when ``raw``, for all images.

    ``statistics``: address of the sums of its channels, if they are made; every pixel counts ``repeats`` times in what
    the tensor stands for (after a nearest-neighbour enlargement the sums of the smaller one serve).
    """

    name: str
    place: Place
    channels: int
    height: int
    width: int
    statistics: int | None = None
    repeats: int = 1
    raw: bool = False

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def read(self, memory: np.ndarray, images: int) -> np.ndarray:
        """The values, (N, C, H, W)."""
        shape = (images, self.channels, self.pixels * (4 if self.raw else 2))
        stacked = planes.gather(memory, self.place.address, (self.place.image_stride, self.place.stride), shape)
        unpack = planes.unpack_raw if self.raw else planes.unpack_int16
        return unpack(stacked, self.pixels).reshape(images, self.channels, self.height, self.width)

    def part(self, name: str, first: int, channels: int) -> "Tensor":
        """Some of its channels, without statistics."""
        return Tensor(name, self.place.offset(first), channels, self.height, self.width)


def output_name(spec: BlockSpec) -> str:
    """The name of the tensor that a block hands on."""
    return f"{spec.name}.attention" if spec.attention else spec.name


def concatenations() -> dict[str, tuple[str, int, int]]:
    """Tensors that are part of a concatenated one, by name: (its name, first channel in it, its channels)."""
    found = {}
    skips = [("conv_in", CHANNELS), *((output_name(spec), spec.c_out) for spec in ENCODER)]
    last = skips[-1]
    for spec in DECODER:
        if spec.concat:
            skip = skips.pop()
            found[last[0]] = (f"{spec.name}/input", 0, last[1] + skip[1])
            found[skip[0]] = (f"{spec.name}/input", last[1], last[1] + skip[1])
        last = (output_name(spec), spec.c_out)
    return found


class Tensors:
    """Allocates tensors for ``images`` images; ``made`` has all of them by name.

    Channels are whole runs of all images; in the tensors named in ``by_image`` images are whole runs of all channels.
    """

    def __init__(self, builder: Builder, images: int, by_image: Collection[str] = ()):
        self.made: dict[str, Tensor] = {}
        self._builder = builder
        self._images = images
        self._by_image = by_image
        self._homes = concatenations()
        self._shared: dict[str, Tensor] = {}

    def new(self, name: str, channels: int, height: int, width: int, statistics: bool, raw: bool = False) -> Tensor:
        """A tensor; one that will be concatenated gets its place there, and its statistics theirs."""
        home = self._homes.get(name)
        if home is None:
            tensor = self._allocate(name, channels, height, width, statistics, raw)
        else:
            group, first, total = home
            if group not in self._shared:
                self._shared[group] = self._allocate(group, total, height, width, True, False)
            whole = self._shared[group]
            sums = whole.statistics + first * self._images * layout.statistics_bytes(self._builder.config)
            tensor = Tensor(name, whole.place.offset(first), channels, height, width, sums)
        self.made[name] = tensor
        return tensor

    def concatenated(self, name: str) -> Tensor:
        """The concatenation with this name, whose parts have been made."""
        self.made[name] = self._shared[name]
        return self.made[name]

    def keep(self, tensor: Tensor) -> Tensor:
        """Remember a tensor that needed no memory of its own."""
        self.made[tensor.name] = tensor
        return tensor

    def _allocate(self, name: str, channels: int, height: int, width: int, statistics: bool, raw: bool) -> Tensor:
        """A region for a tensor and one for its statistics."""
        config = self._builder.config
        plane = (planes.raw_bytes if raw else planes.int16_bytes)(height * width, config)
        strides = (plane, plane * channels) if name in self._by_image else (plane * self._images, plane)
        sizes = {"channels": channels, "images": self._images, "height": height, "width": width}
        region = self._region(name, plane * channels, "raw" if raw else "int16", sizes | {"image_stride": strides[1]})
        sums = None
        if statistics:
            sums = self._region(
                f"{name}.statistics", channels * layout.statistics_bytes(config), "statistics", sizes
            ).address
        return Tensor(name, Place(region.address, *strides), channels, height, width, sums, raw=raw)

    def _region(self, name: str, image_bytes: int, kind: str, sizes: dict[str, int]) -> Region:
        return self._builder.allocate(name, image_bytes * self._images, kind, **sizes)
