"""Reference model of the dealing of channels to slots (docs/architecture.md, "Dealing channels to slots")."""

from collections.abc import Sequence

from sqdm.rtl.config import Config, ceil_div


def clamp_dense(dense: int, channels: int, slot_channels: int, dense_slots: int, sparse_slots: int) -> int:
    """Dense channels of a plane, limited so that no slot of either pool gets more than ``slot_channels`` channels.

    A pool without slots gets no channel.

    >>> [clamp_dense(dense, 10, 3, 2, 2) for dense in (0, 5, 9)]
    [4, 5, 6]
    """
    if dense_slots == 0:
        return 0
    if sparse_slots == 0:
        return channels
    return min(max(dense, channels - slot_channels * sparse_slots), channels, slot_channels * dense_slots)


def deal_pool(channels: Sequence[int], slots: int) -> list[list[int | None]]:
    """Deal channels to the slots of one pool in snake order; every slot gets ceil(n / slots), missing ones are None.

    >>> deal_pool([10, 11, 12, 13, 14], 2)
    [[10, 13, 14], [11, 12, None]]
    """
    depth = ceil_div(len(channels), slots) if slots else 0
    dealt: list[list[int | None]] = [[None] * depth for _ in range(slots)]
    for position, channel in enumerate(channels):
        index, column = divmod(position, slots)
        dealt[column if index % 2 == 0 else slots - 1 - column][index] = int(channel)
    return dealt


def deal(order: Sequence[int], dense_channels: int, config: Config) -> list[list[int | None]]:
    """The channels of every slot by index, slots numbered over all arrays, dense arrays first.

    Element ``[array * config.slots + slot][index]``; None where the pool has no channel left. A configuration without
    one kind of array deals everything to the other.
    """
    dense = 0 if config.dense_arrays == 0 else len(order) if config.sparse_arrays == 0 else dense_channels
    return deal_pool(order[:dense], config.dense_slots) + deal_pool(order[dense:], config.sparse_slots)
