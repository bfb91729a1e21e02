"""The digits network as a program: one run is one evaluation of N images of one noise level."""

from dataclasses import dataclass, field, replace

import numpy as np

from sqdm.compiler import attention
from sqdm.compiler.conv_descriptor import SPARSE_SHARE, Place
from sqdm.compiler.host import NetworkHost
from sqdm.compiler.layer_builder import LayerBuilder, network_layers
from sqdm.compiler.prefetch import allow_prefetch
from sqdm.compiler.program import Builder, Program
from sqdm.compiler.rows import PAIR
from sqdm.compiler.rules import BadDescriptorError, check
from sqdm.compiler.tensors import Tensor, Tensors, output_name
from sqdm.errors import UserError
from sqdm.golden import planes
from sqdm.golden.layers import Layer
from sqdm.golden.scalars import SKIP_MULTIPLIER, SKIP_SHIFT
from sqdm.golden.unet import DECODER, ENCODER, BlockSpec
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind, Resample


@dataclass
class NetworkProgram(Program):
    """The program of the network, with its ``host``.

    ``tensors`` that lie in memory by the names of `IntegerUNet`'s ``on_tensor``; ``layers`` by name as compiled.
    """

    host: NetworkHost | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    @property
    def images(self) -> int:
        return self.host.images

    def begin(self, memory: np.ndarray, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray) -> None:
        """Write what one evaluation needs before it starts.

        ``x`` = c_in * picture, float64 (N, 1, 8, 8); ``c_noise`` (N,), all of one noise level; ``labels`` (N,).
        """
        bits = self.layers["conv_in"].act.bits
        self.host.begin(memory, self.regions["x"], bits, x, np.asarray(c_noise), np.asarray(labels))

    def result(self, memory: np.ndarray) -> np.ndarray:
        """The network's output after a run, float64 (N, 1, 8, 8)."""
        return self.host.scalars.output(self.tensors["conv_out"].read(memory, self.images))


def compile_network(
    arrays: dict[str, np.ndarray],
    images: int,
    config: Config,
    bits: int | None = None,
    sparse_share: float = SPARSE_SHARE,
    sort: bool = True,
) -> NetworkProgram:
    """The program that evaluates the integer model ``arrays`` for ``images`` images on ``config``.

    ``bits``: the same shapes with every layer at 4-bit or 8-bit activations and weights, for timing; its results are
    meaningless. ``sparse_share``: share of zeros, 0..1, from which on policy threshold calls a channel sparse. Without
    ``sort`` the channel tables stay those of calibration. UserError when the network or so many images do not fit.
    """
    if not 1 <= images <= config.max_images:
        raise UserError(f"images must be 1..{config.max_images} (max_images of {config.name}), not {images}")
    if bits not in (None, 4, 8):
        raise UserError(f"bits must be 4 or 8, not {bits!r}")
    if not 0 <= sparse_share <= 1:
        raise UserError(f"sparse_share must be 0..1, not {sparse_share!r}")
    work = _Network(arrays, images, config, network_layers(bits), sparse_share, sort)
    work.network()
    work.builder.descriptors = allow_prefetch(work.builder.descriptors, config)
    program = work.builder.finish()
    try:
        for descriptor in program.descriptors:
            check(descriptor, config)
    except BadDescriptorError as error:
        raise UserError(f"config {config.name} must fit the network: {error}") from None
    return NetworkProgram(**vars(program), host=work.host, tensors=work.tensors.made, layers=work.layers)


class _Network:
    """Adds the network's layers in running order."""

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        images: int,
        config: Config,
        layers: dict[str, Layer],
        sparse_share: float,
        sort: bool,
    ):
        self.images = images
        self.layers = layers
        self.builder = Builder(config)
        self.host = NetworkHost(arrays, images, config)
        self.add = LayerBuilder(self.builder, self.host, self.layers, sparse_share, sort)
        over_rows = self.add.shape("conv_out").halo  # then a pair of rows is a channel: one stride through an image
        self.tensors = Tensors(self.builder, images, [output_name(DECODER[-1])] if over_rows else ())

    def network(self) -> None:
        """All layers."""
        x = self.first()
        for spec in (*ENCODER, *DECODER):
            if spec.concat:
                x = self.tensors.concatenated(f"{spec.name}/input")
            x = self.block(spec, x)
        self.last(x)

    def first(self) -> Tensor:
        """The first convolution on codes that the host writes."""
        layer = self.layers["conv_in"]
        plane = planes.code_bytes(layer.H * layer.W, layer.act.bits == 8)
        sizes = {"channels": layer.C, "height": layer.H, "width": layer.W}
        region = self.builder.allocate("x", plane * layer.C * self.images, "codes", image_stride=plane, **sizes)
        y = self.tensors.new("conv_in", layer.K, layer.H, layer.W, statistics=True)
        acts = Place(region.address, plane * self.images, plane)
        self.add.conv("conv_in", acts, y.place, statistics=y.statistics)
        return y

    def last(self, x: Tensor) -> None:
        """The last convolution, whose channels are rows of ``x`` and of the result where that fits."""
        out = self.tensors.new("conv_out", 1, x.height, x.width, statistics=False)
        (constants,) = self.add.wait_for_constants(["conv_out"], x)
        acts, rows = x.place, out.place
        if self.add.shape("conv_out").halo:
            row = 2 * x.width
            acts, rows = replace(acts, stride=PAIR * row), replace(rows, stride=row)
        self.add.conv("conv_out", acts, rows, constants)

    def block(self, spec: BlockSpec, x: Tensor) -> Tensor:
        """One block: INT16 stream in and out."""
        name, size = spec.name, (spec.size, spec.size)
        x = self.resample(spec, x) if spec.resample else x
        (constants,) = self.add.wait_for_constants([f"{name}.conv0"], x)
        middle = self.tensors.new(f"{name}.conv0", spec.c_out, *size, statistics=True)
        self.add.conv(f"{name}.conv0", x.place, middle.place, constants, statistics=middle.statistics)
        residual = (x.place, SKIP_MULTIPLIER, SKIP_SHIFT)
        if spec.c_in != spec.c_out:
            skip = self.tensors.new(f"{name}.skip", spec.c_out, *size, statistics=False)
            self.add.conv(f"{name}.skip", x.place, skip.place, self.add.static_constants(f"{name}.skip", spec.c_in))
            residual = (skip.place, 1, 0)
        (constants,) = self.add.wait_for_constants([f"{name}.conv1"], middle, name)
        y = self.tensors.new(name, spec.c_out, *size, statistics=True)
        self.add.conv(f"{name}.conv1", middle.place, y.place, constants, residual=residual, statistics=y.statistics)
        return attention.add_attention(self.add, self.tensors, name, y) if spec.attention else y

    def resample(self, spec: BlockSpec, x: Tensor) -> Tensor:
        """A block's input at its own size. The sums of an enlarged tensor are four times those of its source."""
        name = f"{spec.name}/input"
        down = spec.resample == "down"
        y = self.tensors.new(name, x.channels, spec.size, spec.size, statistics=down)
        values = {
            "MODE.resample": int(Resample.DOWN if down else Resample.UP),
            "CHANNELS": x.channels,
            "HEIGHT": x.height,
            "WIDTH": x.width,
            "IMAGES": self.images,
            **x.place.values("ACT"),
            **y.place.values("OUT"),
        }
        if down:
            values |= {"MODE.statistics": 1, "STATISTICS_BASE": y.statistics}
        else:
            y = self.tensors.keep(Tensor(name, y.place, x.channels, *[spec.size] * 2, x.statistics, repeats=4))
        self.builder.add(name, Kind.MAP, values)
        return y
