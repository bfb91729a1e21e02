"""Channel tables as the model needs them: from memory, or as the sparsity detector would sort them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sqdm.compiler import access
from sqdm.compiler.program import Descriptor
from sqdm.golden import planes
from sqdm.golden.dealing import clamp_dense
from sqdm.golden.detector import assign_channels
from sqdm.rtl.config import Config
from sqdm.rtl.registers import Policy


@dataclass(frozen=True)
class Labels:
    """The channel tables of a layer, the plane HIGH first.

    ``order``: int32 (planes, C), channels in running order; ``dense``: int32 (planes,), how many of them are dense.
    """

    order: np.ndarray
    dense: np.ndarray


def _labels(tables: Sequence[tuple[np.ndarray, int]]) -> Labels:
    return Labels(
        np.array([order for order, _ in tables], np.int32), np.array([dense for _, dense in tables], np.int32)
    )


def labels_in_memory(d: Descriptor, config: Config, memory: np.ndarray) -> Labels:
    """Those of a CONV's tables in a memory image, limited as the hardware limits them."""
    tables = access.read_tables(d, memory, access.conv_shape(d, config))[::-1]
    slots = (d["BUFFERS.slot_channels"], config.dense_slots, config.sparse_slots)
    return _labels([(order, clamp_dense(dense, d["CHANNELS"], *slots)) for order, dense, _ in tables])


def sorted_labels(d: Descriptor, config: Config, counts: np.ndarray, policy: Policy) -> Labels:
    """What the detector makes of ``counts``: non-zeros of each plane and channel over all images, (planes, C)."""
    shape = access.conv_shape(d, config)
    return _labels(
        [
            assign_channels(
                plane,
                policy,
                d["SPARSE_COUNT"],
                d["SHIFTS.count"],
                shape.images * shape.in_pixels,
                config.dense_slots,
                config.sparse_slots,
                slot_channels=d["BUFFERS.slot_channels"],
            )
            for plane in counts
        ]
    )


def nonzero_counts(nonzeros: np.ndarray) -> np.ndarray:
    """Non-zeros of each plane and channel: int64 (planes, C) of a map (planes, N, C, H, W)."""
    flat = nonzeros.reshape(*nonzeros.shape[:3], -1)
    return np.add.reduce(np.add.reduce(flat, axis=3, dtype=np.int64), axis=1)


def nonzeros_in_memory(d: Descriptor, config: Config, memory: np.ndarray) -> np.ndarray:
    """Where the activations of a CONV in a memory image are not zero: bool (planes, N, C, H, W), HIGH first."""
    shape = access.conv_shape(d, config)
    codes = access.read_codes(d, memory, config, shape.in_pixels)[..., : shape.in_pixels]
    split = planes.digits(codes, bool(d["MODE.signed_acts"])) if shape.two_planes else (codes,)
    return np.stack([digit != 0 for digit in split]).reshape(
        shape.planes, shape.images, shape.channels, -1, shape.width
    )
