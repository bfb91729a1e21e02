"""What the host computes: normalisation constants, resampling, attention."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from sqdm.golden import host
from sqdm.golden.conv import normalise


def test_channel_sums_are_exact_at_the_extremes():
    y = np.full((1, 2, 32, 32), -32768, np.int16)
    total, squares = host.channel_sums(y)
    assert total.tolist() == [[-(1 << 25)] * 2] and squares.tolist() == [[1 << 40] * 2]


@pytest.mark.parametrize(("channels", "groups"), [(32, 8), (96, 24), (64, 16)])
def test_normalisation_follows_torch_group_norm(channels, groups):
    draw = np.random.default_rng(channels)
    y = np.round(draw.normal(draw.normal(0, 500, (3, channels, 1, 1)), 2000, (3, channels, 4, 4))).astype(np.int16)
    weight, bias = draw.normal(1, 0.3, channels), draw.normal(0, 0.5, channels)
    scale, step = 0.001, 0.21  # of the INT16 tensor and of the codes
    real = functional.group_norm(
        torch.from_numpy(y * scale), groups, torch.from_numpy(weight), torch.from_numpy(bias), eps=1e-5
    ).numpy()
    constants = host.normalise_constants(
        host.channel_sums(y), 16, groups, 1e-5 / scale**2, weight / step, bias / step, 18
    )
    exact = np.clip(real / step, 0, 15)
    codes = normalise(y, *constants, 18)
    assert np.abs(codes - exact).max() < 0.51  # half a code of rounding, and the constants' own 1/1000
    assert len(np.unique(codes)) == 16


def test_normalise_constants_stay_in_their_widths():
    y = np.zeros((1, 4, 2, 2), np.int16)
    a, b = host.normalise_constants(host.channel_sums(y), 4, 1, 1e-12, np.full(4, -9.0), np.full(4, 1e9), 20)
    assert (a == -host.A_MAX).all() and (b == host.B_MAX).all()


def test_downsample_rounds_half_up():
    x = np.array([[1, 2, -1, -2], [1, 2, -1, -2]], np.int16).reshape(1, 1, 2, 4)
    assert host.downsample(x).ravel().tolist() == [2, -1]  # 1.5 and -1.5
    full = np.full((1, 1, 2, 2), -32768, np.int16)
    assert host.downsample(full).item() == -32768


def test_upsample_repeats():
    x = np.array([[[[1, 2]]]], np.int16)
    assert host.upsample(x).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_quantise_rounds_half_up_and_clips():
    assert host.quantise(np.array([0.5, -0.5, 1.49, 99.0, -99.0]), 1.0, -3, 5).tolist() == [1, 0, 1, 5, -3]


def test_linear_is_an_exact_dot_product():
    codes, weights = np.array([[3, -2]], np.int16), np.array([[10, 20], [-1, 1]], np.int8)
    assert host.linear(codes, weights, np.array([0.5, 2.0]), np.array([1.0, 0.0])).tolist() == [[-4.0, -10.0]]


def test_attention_follows_torch_softmax():
    qkv = np.random.default_rng(4).integers(-9000, 9000, (2, 24, 2, 2)).astype(np.int16)
    q, k, v = torch.from_numpy(qkv.astype(np.float64)).reshape(2, 3, 8, 4).unbind(1)
    weights = torch.softmax(torch.einsum("ncp,ncq->npq", q, k) * 1e-8, dim=2)
    exact = torch.einsum("npq,ncq->ncp", weights, v).numpy().reshape(2, 8, 2, 2)
    mixed = host.attend(qkv, 1e-8)
    assert mixed.dtype == np.int64
    assert np.abs(mixed / host.ATTENTION_UNIT - exact).max() < 9000 * 4 * 0.5 / host.ATTENTION_UNIT + 1e-6


def test_multipliers_round_and_clamp():
    assert host.multipliers(np.array([0.5, 0.25, 0.9]), 0.75, 4).tolist() == [6, 3, 11]
    assert host.multipliers(np.array([1.0]), 1.0, 16).tolist() == [65535]
    assert host.multipliers(np.array([1.0]), 1.0, 3).dtype == np.uint16
