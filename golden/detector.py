"""Reference model of the sparsity detector: counts, sort and labels (docs/architecture.md, "Sorting")."""

import numpy as np

from sqdm.golden.dealing import clamp_dense
from sqdm.rtl.config import BALANCE_SHIFT, BUCKETS
from sqdm.rtl.registers import Policy


def channel_counts(acts: np.ndarray) -> np.ndarray:
    """Non-zero activations of each channel over all images: int64 (C,) of (N, C, H, W)."""
    return np.count_nonzero(acts, axis=(0, 2, 3)).astype(np.int64)


def count_shift(pixels: int) -> int:
    """The shift that spreads counts of 0..``pixels`` over the buckets."""
    return max(0, pixels.bit_length() - (BUCKETS - 1).bit_length())


def channel_order(counts: np.ndarray, policy: Policy, sparse_count: int, count_shift: int) -> np.ndarray:
    """Channels by descending bucket, ties by ascending number; with policy threshold all dense ones come first."""
    counts = np.asarray(counts, np.int64)
    buckets = np.minimum(counts >> count_shift, BUCKETS - 1)
    if policy == Policy.THRESHOLD:
        buckets = buckets + BUCKETS * (counts > sparse_count)
    return np.argsort(-buckets, kind="stable")


def balanced_split(sorted_counts: np.ndarray, pixels: int, dense_slots: int, sparse_slots: int) -> int:
    """How many channels, in running order, the dense arrays take so that they work as long as the sparse ones.

    One step of ``dense_slots`` channels costs the dense arrays ``pixels`` cycles per tap; the channels that remain cost
    the sparse ones their non-zeros, divided by the slots, plus an eighth for waiting for the slowest slot, but never
    more than without any zeros.
    """
    channels = len(sorted_counts)
    remaining = np.append(np.cumsum(sorted_counts[::-1])[::-1], 0)  # remaining[n]: counts at positions >= n
    dense = 0
    while dense < channels:
        rest = int(remaining[dense])
        work_sparse = min(rest + (rest >> BALANCE_SHIFT), (channels - dense) * pixels)
        if (dense // dense_slots + 1) * pixels * sparse_slots >= work_sparse:
            break
        dense = min(dense + dense_slots, channels)
    return dense


def assign_channels(
    counts: np.ndarray,
    policy: Policy,
    sparse_count: int,
    count_shift: int,
    pixels: int,
    dense_slots: int,
    sparse_slots: int,
    slot_channels: int,
) -> tuple[np.ndarray, int]:
    """The channel table of one plane of a layer: ``(order, dense_channels)``, order int64 (C,).

    Parameters: ``counts`` non-zeros per channel; ``policy``, ``sparse_count``, ``count_shift``, ``slot_channels`` as in
    the registers and descriptor words of those names; ``pixels`` of the input, all images; ``dense_slots`` and
    ``sparse_slots`` the slots of the two pools.

    >>> assign_channels([1, 9, 5], Policy.THRESHOLD, 4, 0, 16, 2, 2, 64)
    (array([1, 2, 0]), 2)
    """
    counts = np.asarray(counts, np.int64)
    channels = len(counts)
    order = channel_order(counts, policy, sparse_count, count_shift)
    if policy == Policy.THRESHOLD:
        dense = int(np.count_nonzero(counts > sparse_count))
    elif policy == Policy.BALANCED and dense_slots and sparse_slots:
        dense = balanced_split(counts[order], pixels, dense_slots, sparse_slots)
    else:
        dense = channels if policy == Policy.DENSE else 0
    return order, clamp_dense(dense, channels, slot_channels, dense_slots, sparse_slots)
