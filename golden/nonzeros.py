"""Share of non-zeros of every layer's input channels over a sampling run: where the channel tables start from."""

import numpy as np

from sqdm.golden import layers, planes, sampler
from sqdm.golden.integer import IntegerUNet

IMAGES, STEPS = 20, 18  #: of the sampling run
SEED = 2000


class NonzeroCounter:
    """Counts non-zeros per plane and channel; an ``on_tensor`` of `IntegerUNet`."""

    def __init__(self):
        self._layers = {f"{layer.name}/codes": layer for layer in layers.layers()}
        self._nonzeros: dict[str, np.ndarray] = {}
        self._pixels: dict[str, int] = {}

    def __call__(self, name: str, tensor: np.ndarray) -> None:
        layer = self._layers.get(name)
        if layer is None:
            return
        if tensor.ndim == 3:  # probabilities (N, P, P'): the channel is p'
            tensor = tensor.transpose(0, 2, 1)[..., None]
        found = planes.digits(tensor, layer.act.signed) if layer.act.bits == 8 else (tensor,)
        counts = np.stack([np.count_nonzero(plane, axis=(0, 2, 3)) for plane in found])
        self._nonzeros[layer.name] = self._nonzeros.get(layer.name, 0) + counts
        self._pixels[layer.name] = self._pixels.get(layer.name, 0) + tensor[:, 0].size

    def shares(self) -> dict[str, np.ndarray]:
        """By "layer/nonzeros": float32 (planes, C), 0..1; of 8-bit layers the plane HIGH comes first."""
        return {
            f"{name}/nonzeros": (counts / self._pixels[name]).astype(np.float32)
            for name, counts in self._nonzeros.items()
        }


def nonzero_shares(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`NonzeroCounter.shares` of the integer model ``arrays`` over one run of the sampler, two images a class."""
    counter = NonzeroCounter()
    net = IntegerUNet(arrays, counter)
    sampler.heun(net.denoise, sampler.latents(IMAGES, SEED), np.arange(IMAGES) % 10, STEPS)
    return counter.shares()
