"""The data set: scikit-learn's hand-written digits, 8x8 pixels, 1,797 images that ship with the package."""

from functools import cache

import numpy as np
import torch

CLASSES = 10
SIZE = 8
TEST_IMAGES = 360
SPLIT_SEED = 0


@cache
def load_split() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(train images, train labels, test images, test labels): float32 (N, 1, 8, 8) in [-1, 1] and int64 (N,).

    The split is stratified by digit and always the same: 1,437 images to train on, 360 to test.
    """
    from sklearn.datasets import load_digits  # here, because sampling needs neither and importing them takes seconds
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images.astype(np.float32) / 8.0 - 1.0)[:, None]  # 0..16 -> -1..1
    labels = digits.target.astype(np.int64)
    parts = train_test_split(images, labels, test_size=TEST_IMAGES, stratify=labels, random_state=SPLIT_SEED)
    train_x, test_x, train_y, test_y = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
    return train_x, train_y, test_x, test_y
