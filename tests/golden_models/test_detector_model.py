"""The sparsity detector's reference model against examples worked by hand from docs/architecture.md."""

import numpy as np
import pytest

from sqdm.golden.detector import assign_channels, channel_counts
from sqdm.rtl.registers import Policy


def labels(counts, policy, sparse_count=0, count_shift=0, pixels=16, dense_slots=2, sparse_slots=2, slot_channels=64):
    pools = (dense_slots, sparse_slots)
    order, dense = assign_channels(counts, policy, sparse_count, count_shift, pixels, *pools, slot_channels)
    return order.tolist(), dense


def test_counts_cover_all_images_and_negative_codes():
    acts = np.zeros((2, 3, 2, 2), np.int8)
    acts[0, 1] = [[1, 0], [-8, 3]]
    acts[1, 1, 0, 0] = 15
    acts[1, 2, 1, 1] = 1
    assert channel_counts(acts).tolist() == [0, 4, 1]


def test_order_is_descending_with_ties_by_channel_number():
    assert labels([3, 9, 3, 9, 0], Policy.SPARSE) == ([1, 3, 0, 2, 4], 0)


def test_counts_of_one_bucket_keep_channel_order():
    # >> 2: buckets 1, 2, 1, 2, so 5 and 7 tie although they differ, and so do 8 and 11
    assert labels([5, 8, 7, 11], Policy.DENSE, count_shift=2) == ([1, 3, 0, 2], 4)


def test_last_bucket_holds_everything_above():
    # buckets 31 (saturated), 31, 30, 31
    assert labels([31, 4000, 30, 32], Policy.DENSE) == ([0, 1, 3, 2], 4)


def test_threshold_takes_strictly_more_than_sparse_count():
    assert labels([4, 5, 6, 0], Policy.THRESHOLD, sparse_count=5) == ([2, 1, 0, 3], 1)


def test_threshold_puts_dense_channels_first_within_one_bucket():
    # all in bucket 0; 6 and 7 are dense and keep their order, then 5 and 4
    assert labels([5, 6, 4, 7], Policy.THRESHOLD, sparse_count=5, count_shift=4) == ([1, 3, 0, 2], 2)


@pytest.mark.parametrize(
    "dense_slots, sparse_slots, expected", [(0, 4, 0), (4, 0, 3)], ids=["no_dense_array", "no_sparse_array"]
)
@pytest.mark.parametrize("policy", list(Policy))
def test_one_kind_of_array_takes_every_channel(policy, dense_slots, sparse_slots, expected):
    assert labels([1, 2, 3], policy, 1, 0, 4, dense_slots, sparse_slots)[1] == expected


def test_balanced_split_by_hand():
    # pixels 16, 2 + 2 slots, counts 16 15 12 8 4 2 0 0 in order.
    # n=0: 1 * 16 * 2 = 32 < 57 + 7 -> 2.  n=2: 2 * 16 * 2 = 64 < 26 + 3 is false -> stop at 2.
    assert labels([0, 2, 4, 8, 12, 15, 16, 0], Policy.BALANCED) == ([6, 5, 4, 3, 2, 1, 0, 7], 2)


def test_balanced_comparison_is_strict():
    # 1 * 9 * 2 = 18 against R + R // 8 = 16 + 2 = 18: equal, so nothing becomes dense
    assert labels([8, 8], Policy.BALANCED, pixels=9)[1] == 0
    # 18 against 17 + 2 = 19
    assert labels([8, 8, 1], Policy.BALANCED, pixels=9)[1] == 2


def test_without_zeros_both_kinds_work_equally_long():
    # 2 + 2 slots: 4 of 8 channels. n=2: 2 * 16 * 2 = 64 < 6 * 16 -> 4.  n=4: 96 < 4 * 16 is false.
    assert labels([16] * 8, Policy.BALANCED)[1] == 4
    # 2 + 6 slots: 8 of 32. n=6: 4 * 16 * 6 = 384 < 26 * 16 -> 8.  n=8: 480 < 24 * 16 is false.
    assert labels([16] * 32, Policy.BALANCED, sparse_slots=6)[1] == 8


def test_balanced_split_ends_at_the_last_channel():
    # n=0: 8 < 12 -> 2, n=2: 16 < 4 is false
    assert labels([4, 4, 4], Policy.BALANCED, pixels=4)[1] == 2
    # a step of 4 dense slots stops at C = 3
    assert labels([10, 10, 10], Policy.BALANCED, pixels=10, dense_slots=4, sparse_slots=1)[1] == 3


def test_all_zero_layer_is_sparse():
    assert labels([0, 0, 0], Policy.BALANCED) == ([0, 1, 2], 0)
    assert labels([0, 0, 0], Policy.THRESHOLD) == ([0, 1, 2], 0)


def test_no_slot_gets_more_than_slot_channels():
    # 7 channels, 2 a slot, 2 + 2 slots: 3 .. 4 are dense, whatever the policy wants
    counts = [9, 8, 7, 6, 5, 4, 3]
    assert labels(counts, Policy.SPARSE, slot_channels=2) == (list(range(7)), 3)
    assert labels(counts, Policy.DENSE, slot_channels=2)[1] == 4
    assert [labels(counts, Policy.THRESHOLD, t, slot_channels=2)[1] for t in (3, 5, 6, 9)] == [4, 4, 3, 3]
    # balanced alone: n=0: 32 < 42 + 5 -> 2; n=2: 64 < 25 + 3 is false -> 2
    assert labels(counts, Policy.BALANCED)[1] == 2
    assert labels(counts, Policy.BALANCED, slot_channels=2)[1] == 3
