"""How many products zeros could save, and how many the accelerator skips.

The unit is that of the registers OPS_DENSE and OPS_SPARSE: an activation that a slot takes for `lanes` weights. An
8-bit activation is two digits, each counted; taps on the zero padding are no work for any array.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sqdm.compiler import access
from sqdm.compiler.program import Descriptor, Program
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import ceil_div
from sqdm.sim.cycles import Labels

KERNEL = 3


@dataclass(frozen=True)
class Products:
    """``total``: of dense processing; ``zero``: with a zero activation; ``exploitable``: those of them in channels
    labelled sparse; ``taken``: what the slots take, the idle slots of dense steps included.
    """

    total: int = 0
    zero: int = 0
    exploitable: int = 0
    taken: int = 0

    def __add__(self, other: "Products") -> "Products":
        return Products(*(getattr(self, name) + getattr(other, name) for name in vars(self)))

    def shares(self) -> dict[str, float]:
        """Of the total: zeros, those that the labels allow to skip, products really skipped."""
        return {
            "element_sparsity": self.zero / self.total,
            "exploitable_sparsity": self.exploitable / self.total,
            "exploited_sparsity": 1 - self.taken / self.total,
        }


def of_evaluation(program: Program, nonzeros: Mapping[int, np.ndarray], labels: Mapping[int, Labels]) -> Products:
    """All convolutions of one evaluation: their maps (planes, N, C, H, W) and channel tables by number."""
    layers = (_of_layer(program, program.descriptors[n], maps, labels[n]) for n, maps in nonzeros.items())
    return sum(layers, Products())


def _of_layer(program: Program, d: Descriptor, nonzeros: np.ndarray, labels: Labels) -> Products:
    config, shape = program.config, access.conv_shape(d, program.config)
    reach = uses(d, shape)
    counts = np.add.reduce(nonzeros, axis=1, dtype=np.int64)  # (planes, C, H, W), over the images
    needed = shape.tiles * np.tensordot(counts, reach, axes=2)  # (planes, C)
    whole = shape.tiles * shape.images * int(reach.sum())  # of one channel, dense
    zero = exploitable = taken = 0
    for channels, order, dense in zip(needed, labels.order, labels.dense, strict=True):
        sparse = channels[order[dense:]]
        zero += int(np.sum(whole - channels))
        exploitable += int(np.sum(whole - sparse))
        steps = ceil_div(int(dense), config.dense_slots) if config.dense_slots else 0
        taken += int(sparse.sum()) + whole * steps * config.dense_slots
    return Products(shape.planes * shape.channels * whole, zero, exploitable, taken)


def uses(d: Descriptor, shape: LayerShape) -> np.ndarray:
    """How many output pixels each input pixel reaches: int64 (rows, columns), halo rows included."""
    if shape.taps == 1:
        return np.ones((shape.height, shape.width), np.int64)
    first = d["MODE.halo_top"]
    rows = _reached(shape.height + shape.halo, first, first + shape.height)
    return np.outer(rows, _reached(shape.width, 0, shape.width))


def _reached(inputs: int, first: int, end: int) -> np.ndarray:
    """Of outputs ``first`` .. ``end - 1``, those within one of each input."""
    at = np.arange(inputs)
    return np.minimum(at + KERNEL // 2, end - 1) - np.maximum(at - KERNEL // 2, first) + 1


def map_shape(program: Program, d: Descriptor) -> tuple[int, ...]:
    """Planes, images, channels, rows and columns that a CONV reads."""
    shape = access.conv_shape(d, program.config)
    return shape.planes, shape.images, shape.channels, shape.height + shape.halo, shape.width
