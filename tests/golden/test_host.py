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


def codes(*shape, low=-119, high=119):
    return np.random.default_rng(4).integers(low, high + 1, shape)


def test_scores_and_mix_are_exact():
    q, k, v = codes(3, 2, 64, 4, 4).astype(np.int8)
    p8 = codes(2, 16, 16, low=0, high=255).astype(np.uint8)
    flat = [x.reshape(2, 64, 16).astype(np.int64) for x in (q, k, v)]
    score, mixed = host.scores(q, k), host.mix(v, p8)
    assert score.dtype == mixed.dtype == np.int32
    assert np.array_equal(score, np.einsum("ncp,ncq->npq", *flat[:2]))
    assert np.array_equal(mixed.reshape(2, 64, 16), np.einsum("ncq,npq->ncp", flat[2], p8.astype(np.int64)))
    top = np.full((1, 64, 4, 4), 119, np.int8)
    assert (host.scores(top, -top) == -64 * 119**2).all()
    assert (host.mix(top, np.full((1, 16, 16), 255, np.uint8)) == 16 * 119 * 255).all()


def test_softmax_codes_follow_torch():
    score = codes(2, 16, 16, low=-900_000, high=900_000).astype(np.int32)
    p8 = host.softmax_codes(score, 3e-6)
    exact = torch.softmax(torch.from_numpy(score * 3e-6), dim=2).numpy() * 255
    assert p8.dtype == np.uint8 and np.abs(p8 - exact).max() <= 0.5 + 1e-9


def test_softmax_codes_at_the_extremes():
    score = np.full((1, 16, 16), -906_304, np.int32)
    assert (host.softmax_codes(score, 1.0) == 16).all()  # 255/16 = 15.94
    score[0, :, 3] = 906_304
    p8 = host.softmax_codes(score, 1.0)
    assert (p8[0, :, 3] == 255).all() and p8.sum() == 16 * 255
    halves = host.softmax_codes(np.zeros((1, 2, 2), np.int32), 1.0)
    assert (halves == 128).all()  # 127.5 rounds up


def test_static_slopes_round_and_clamp():
    assert host.static_slopes(np.array([0.5, 0.25, 1.0]), 0.5, 3).tolist() == [8, 4, 16]
    assert host.static_slopes(np.array([0.3]), 1.0, 0).tolist() == [0]
    assert host.static_slopes(np.array([1.0, -1.0]), 1.0, 15).tolist() == [32767, -32767]


def test_multipliers_round_and_clamp():
    assert host.multipliers(np.array([0.5, 0.25, 0.9]), 0.75, 4).tolist() == [6, 3, 11]
    assert host.multipliers(np.array([1.0]), 1.0, 16).tolist() == [65535]
    assert host.multipliers(np.array([1.0]), 1.0, 3).dtype == np.uint16
