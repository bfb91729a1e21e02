"""The network's layers by name, with shapes, formats and multiply-accumulates: the accelerator's and the host's."""

from dataclasses import dataclass

from sqdm.golden import formats
from sqdm.golden.formats import INT8, UINT8, Format
from sqdm.golden.unet import BLOCKS, CHANNELS, CLASSES, EMBED_CHANNELS, NOISE_CHANNELS, BlockSpec


@dataclass(frozen=True)
class Layer:
    """A convolution (kernel 1 or 3) or linear layer (1x1 map) of C to K channels on an H x W map.

    ``act`` is the format of its input codes, ``weight_bits`` 4 or 8. The attention's two products are 1x1 convolutions
    whose weights are activations too. Of ``scores`` C is a channel, K a pixel p' and H x W the pixels p (codes q,
    weights k); of ``mix`` C is a pixel p', K a channel and H x W the pixels p (codes: probabilities, weights: v).
    """

    name: str
    C: int
    K: int
    H: int
    W: int
    kernel: int
    act: Format
    weight_bits: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image and one evaluation; zero padding is counted."""
        return self.C * self.K * self.kernel**2 * self.H * self.W

    @property
    def is_4x4(self) -> bool:
        """Whether activations and weights have 4 bits."""
        return self.act.bits == 4 and self.weight_bits == 4


def _weighted(name: str, c: int, k: int, side: int, kernel: int) -> Layer:
    """A layer with weights of its own, in its chosen formats."""
    chosen = formats.chosen()[name]
    return Layer(name, c, k, side, side, kernel, chosen.act, chosen.weight_bits)


def _attention(spec: BlockSpec) -> list[Layer]:
    """The five layers of a block's attention."""
    name, c, side = f"{spec.name}.attention", spec.c_out, spec.size
    return [
        _weighted(f"{name}.qk", c, 2 * c, side, 1),
        _weighted(f"{name}.v", c, c, side, 1),
        Layer(f"{name}.scores", c, side * side, side, side, 1, INT8, 8),
        Layer(f"{name}.mix", side * side, c, side, side, 1, UINT8, 8),
        _weighted(f"{name}.proj", c, c, side, 1),
    ]


def layers() -> tuple[Layer, ...]:
    """The layers that run on the accelerator, in running order."""
    found = [_weighted("conv_in", 1, CHANNELS, 8, 3)]
    for spec in BLOCKS:
        found.append(_weighted(f"{spec.name}.conv0", spec.c_in, spec.c_out, spec.size, 3))
        if spec.c_in != spec.c_out:
            found.append(_weighted(f"{spec.name}.skip", spec.c_in, spec.c_out, spec.size, 1))
        found.append(_weighted(f"{spec.name}.conv1", spec.c_out, spec.c_out, spec.size, 3))
        if spec.attention:
            found += _attention(spec)
    return (*found, _weighted("conv_out", CHANNELS, 1, 8, 3))


def host_layers() -> tuple[Layer, ...]:
    """The layers that the host computes: the embeddings."""

    def linear(name: str, c: int, k: int) -> Layer:
        return Layer(name, c, k, 1, 1, 1, formats.HOST[name.rpartition(".")[2]].act, 8)

    found = [
        linear("map_label", CLASSES, NOISE_CHANNELS),
        linear("map0", NOISE_CHANNELS, EMBED_CHANNELS),
        linear("map1", EMBED_CHANNELS, EMBED_CHANNELS),
    ]
    return tuple(found + [linear(f"{spec.name}.affine", EMBED_CHANNELS, 2 * spec.c_out) for spec in BLOCKS])


def macs_on_accelerator() -> int:
    """Multiply-accumulates of the accelerator's layers for one image and one evaluation."""
    return sum(layer.macs for layer in layers())


def macs_4bit() -> int:
    """Those of them with 4-bit activations and 4-bit weights."""
    return sum(layer.macs for layer in layers() if layer.is_4x4)


def macs_total() -> int:
    """Multiply-accumulates of the whole network, the host's embeddings included."""
    return macs_on_accelerator() + sum(layer.macs for layer in host_layers())
