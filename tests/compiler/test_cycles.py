"""Predictions and listings: cycles counted by hand for simple layers."""

from dataclasses import replace

import numpy as np
from layers_at_random import random_convolution

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.cycles import SETUP, estimate
from sqdm.compiler.listing import listing
from sqdm.compiler.machine import Machine
from sqdm.compiler.program import Descriptor
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import Kind, Resample

TINY = PRESETS["tiny"]  # two pools of 2 slots, 32 lanes, 64-bit memory words


def predicted(conv, config=TINY, run=False):
    """The prediction for the only descriptor, after a run if asked for."""
    program = compile_convolution(conv, config)
    memory = program.new_memory()
    if run:
        Machine(config).run(program, memory)
    return estimate(program.descriptors[0], config, memory if run else None)


def test_dense_layer_by_hand():
    conv = random_convolution(np.random.default_rng(1), (3, 8, 40, 4, 6), 9, scan=False)
    found = predicted(conv, replace(TINY, sparse_arrays=0))
    pairs = (3 * 4 - 2) * (3 * 6 - 2)  # taps outside of the plane are skipped
    assert found.dense == 2 * 3 * pairs * 4  # 2 tiles, 3 images, 8 channels on 2 slots
    assert found.sparse == 0
    weights = 8 * 2 * 9 * 2  # channels, tiles, taps, memory words of 32 lanes
    turn = (2 + 1) * 16  # a turn for each of two slots, 24 pixels and the end of the image: longer than 8 x 2 words
    assert found.loads == 2 * 32 * 4 // 8 + weights + 3 * turn
    assert found.output == 2 * 3 * 24 * 16  # 32 lanes, 2 at a time
    assert found.fill == SETUP + turn
    assert found.total == found.fill + found.dense  # both tiles: neither loads nor outputs take as long


def test_zeros_shorten_sparse_arrays_only_once_they_are_known():
    config = replace(TINY, dense_arrays=0)
    conv = random_convolution(np.random.default_rng(2), (1, 8, 32, 8, 8), 9, zeros=0.75, update=True)
    full, known = predicted(conv, config), predicted(conv, config, run=True)
    assert full.sparse == 22 * 22 * 4
    assert 0.25 * full.sparse < known.sparse < 0.45 * full.sparse


def test_both_planes_cost():
    one = predicted(random_convolution(np.random.default_rng(3), (1, 8, 32, 8, 8), 9))
    two = predicted(random_convolution(np.random.default_rng(3), (1, 8, 32, 8, 8), 9, act_bits=8))
    assert two.dense == 2 * one.dense and two.sparse == 2 * one.sparse


def test_resampling_by_hand():
    values = {"CONTROL.kind": int(Kind.MAP), "CHANNELS": 3, "HEIGHT": 4, "WIDTH": 8, "IMAGES": 2}
    down = estimate(Descriptor("m", values | {"MODE.resample": int(Resample.DOWN)}), TINY)
    assert (down.loads, down.output) == (6 * 8, 6 * 2)
    up = estimate(Descriptor("m", values | {"MODE.resample": int(Resample.UP)}), TINY)
    assert (up.loads, up.output) == (6 * 16, 6 * 32)


def test_listing_has_a_line_for_each_descriptor():
    conv = random_convolution(np.random.default_rng(4), (2, 5, 7, 6, 5), 9, weight_bits=8, statistics=True)
    program = compile_convolution(conv, TINY)
    heads, line, end, total, *rest = listing(program).splitlines()
    assert rest == [] and heads.split()[:3] == ["name", "tag", "kind"]
    assert line.split()[:7] == ["layer.0", "0", "CONV", "5>7", "3x3", "@", "6x5"]
    assert "a4w8" in line and line.endswith("prefetch scan statistics")
    assert end.split() == ["end", "1", "END"]
    cycles = estimate(program.descriptors[0], TINY).total
    assert f"{cycles:,}" in line.split() and total.split() == ["total", f"{cycles:,}"]
