"""The non-zero maps of a sampling run, kept in a file: they depend on neither policy nor configuration."""

from pathlib import Path

import numpy as np

from sqdm.compiler.host import unfold
from sqdm.compiler.rows import PAIR
from sqdm.golden import layers, planes

FORMAT = "sqdm-nonzeros-1"


class NonzeroRecorder:
    """An ``on_tensor`` of `IntegerUNet`: where each layer's input codes are not zero, evaluation by evaluation.

    ``maps`` by layer: a list of bool (planes, N, C, H, W), one an evaluation, the plane HIGH first, as the network has
    them; `as_compiled` makes of them what a program's layer reads.
    """

    def __init__(self):
        self.maps: dict[str, list[np.ndarray]] = {}
        self._formats = {layer.name: layer.act for layer in layers.layers()}

    def __call__(self, name: str, tensor: np.ndarray) -> None:
        layer, _, what = name.rpartition("/")
        if what != "codes" or layer not in self._formats:
            return
        act = self._formats[layer]
        split = planes.digits(tensor, act.signed) if act.bits == 8 else (tensor,)
        self.maps.setdefault(layer, []).append(np.stack([digit != 0 for digit in split]))


def save(path: Path, maps: dict[str, np.ndarray]) -> None:
    """Write maps, eight to a byte."""
    packed = {name: np.packbits(array, axis=-1) for name, array in maps.items()}
    widths = {f"{name}/width": np.int64(array.shape[-1]) for name, array in maps.items()}
    np.savez_compressed(path, format=np.str_(FORMAT), **packed, **widths)


def load(path: Path) -> dict[str, np.ndarray]:
    """What `save` wrote."""
    with np.load(path) as found:
        names = [name for name in found if name != "format" and not name.endswith("/width")]
        return {
            name: np.unpackbits(found[name], axis=-1, count=int(found[f"{name}/width"])).astype(bool) for name in names
        }


def as_compiled(name: str, maps: np.ndarray, channels: int, rows: int) -> np.ndarray:
    """A layer's map (planes, N, C, H, W) as its descriptor, with so many channels and rows, reads it."""
    if maps.ndim == 4:  # probabilities (planes, N, P, P'): the channel is p', a row the pixels
        maps = maps.swapaxes(2, 3)[:, :, :, None, :]
    if maps.shape[2] == channels:
        return maps.reshape(*maps.shape[:3], rows, -1)
    if name == "conv_in":
        return np.stack([unfold(plane).swapaxes(0, 1) for plane in maps]).reshape(*maps.shape[:2], channels, rows, -1)
    count, channels_before, height, width = maps.shape[1:]
    pairs = maps.reshape(maps.shape[0], count, channels_before * height // PAIR, PAIR * width)
    return pairs.reshape(maps.shape[0], count, channels, rows, width)
