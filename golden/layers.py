"""The network's layers by name, with shapes and multiply-accumulates; 3x3 convolutions run on the accelerator."""

from dataclasses import dataclass

from sqdm.golden.unet import BLOCKS, CHANNELS, CLASSES, EMBED_CHANNELS, NOISE_CHANNELS


@dataclass(frozen=True)
class Layer:
    """A convolution (kernel 1 or 3) or linear layer (1x1 map) of C to K channels on an H x W map; bits 4 or 8."""

    name: str
    C: int
    K: int
    H: int
    W: int
    kernel: int
    bits: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image and one evaluation; zero padding is counted."""
        return self.C * self.K * self.kernel**2 * self.H * self.W


def layers() -> tuple[Layer, ...]:
    """The 30 layers that go through the convolution engine, in the order they run."""
    found = [Layer("conv_in", 1, CHANNELS, 8, 8, 3, 8)]
    for spec in BLOCKS:
        found.append(Layer(f"{spec.name}.conv0", spec.c_in, spec.c_out, spec.size, spec.size, 3, 4))
        found.append(Layer(f"{spec.name}.conv1", spec.c_out, spec.c_out, spec.size, spec.size, 3, 4))
    found.append(Layer("conv_out", CHANNELS, 1, 8, 8, 3, 8))
    return tuple(found)


def host_layers() -> tuple[Layer, ...]:
    """The layers that the host computes: embeddings, skip 1x1, attention projections and its two products."""
    found = [
        Layer("map_label", CLASSES, NOISE_CHANNELS, 1, 1, 1, 8),
        Layer("map0", NOISE_CHANNELS, EMBED_CHANNELS, 1, 1, 1, 8),
        Layer("map1", EMBED_CHANNELS, EMBED_CHANNELS, 1, 1, 1, 8),
    ]
    for spec in BLOCKS:
        side, c = spec.size, spec.c_out
        found.append(Layer(f"{spec.name}.affine", EMBED_CHANNELS, 2 * c, 1, 1, 1, 8))
        if spec.c_in != c:
            found.append(Layer(f"{spec.name}.skip", spec.c_in, c, side, side, 1, 8))
        if spec.attention:
            found.append(Layer(f"{spec.name}.attention.qkv", c, 3 * c, side, side, 1, 8))
            found.append(Layer(f"{spec.name}.attention.scores", c, side * side, side, side, 1, 8))
            found.append(Layer(f"{spec.name}.attention.mix", side * side, c, side, side, 1, 8))
            found.append(Layer(f"{spec.name}.attention.proj", c, c, side, side, 1, 8))
    return tuple(found)


def macs_total() -> int:
    """Multiply-accumulates of the whole network for one image and one evaluation."""
    return sum(layer.macs for layer in layers() + host_layers())
