"""Layers that do not fit are refused before anything runs, naming the limit; registers follow the policy's rules."""

import numpy as np
import pytest

from sqdm.errors import UserError
from sqdm.golden.vectors import random_job
from sqdm.rtl.config import PRESETS
from sqdm.sim.layer import LayerRun, Plan, check_size, images_at_once

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    ("shape", "limit"),
    [
        ((65, 1, 4, 4), "max_channels"),
        ((1, 65, 4, 4), "max_out_channels"),
        ((1, 1, 17, 4), "max_size"),
        ((1, 1, 4, 17), "max_size"),
        ((0, 1, 4, 4), "max_channels"),
        ((33, 1, 16, 16), "act_rows"),
    ],
)
def test_too_large_names_the_limit(shape, limit):
    with pytest.raises(UserError, match=limit):
        check_size(*shape, TINY)


def test_largest_shapes_fit():
    check_size(32, 64, 16, 16, TINY)
    check_size(64, 64, 8, 8, TINY)


def test_too_many_images_are_refused():
    job = random_job(1, 1, 1, 2, 2, batch=TINY.max_images + 1)
    with pytest.raises(UserError, match=r"images must be 1\.\.32"):
        Plan(LayerRun(job.acts, False, job.weights, None), TINY)
    assert images_at_once(2, 2, TINY) == TINY.max_images


@pytest.mark.parametrize(("images", "side"), [(1, 1), (1, 5), (3, 8), (31, 4), (32, 8)])
def test_count_shift_is_the_smallest_that_fits_the_buckets(images, side):
    acts = np.ones((images, 1, side, side), np.int8)
    registers = Plan(LayerRun(acts, False, np.ones((1, 1, 1, 1), np.int8), None), TINY).registers
    pixels, shift = images * side * side, registers["COUNT_SHIFT"]
    assert pixels >> shift < 32
    assert shift == 0 or pixels >> (shift - 1) >= 32
    assert registers["SPARSE_COUNT"] == pixels * 7 // 10
