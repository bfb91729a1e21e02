"""The arithmetic that golden model and hardware share, against explicit loops and numbers worked by hand."""

import numpy as np
import pytest

from sqdm.golden import conv


def slow_conv(acts, weights):
    """The definition, one product at a time."""
    n, c, h, w = acts.shape
    k, _, r, _ = weights.shape
    pad = r // 2
    out = np.zeros((n, k, h, w), dtype=object)
    for i, o, y, x in np.ndindex(out.shape):
        for ch, dy, dx in np.ndindex(c, r, r):
            row, column = y + dy - pad, x + dx - pad
            if 0 <= row < h and 0 <= column < w:
                out[i, o, y, x] += int(acts[i, ch, row, column]) * int(weights[o, ch, dy, dx])
    return out


@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1, 3), (2, 3, 2, 4, 5, 3), (1, 5, 3, 3, 2, 1), (1, 2, 1, 1, 7, 3)])
def test_conv_psum_equals_loops(shape):
    n, c, k, h, w, r = shape
    draw = np.random.default_rng(sum(shape))
    acts = draw.integers(0, 16, (n, c, h, w)).astype(np.int8)
    weights = draw.integers(-8, 8, (k, c, r, r)).astype(np.int8)
    psum = conv.conv_psum(acts, weights)
    assert psum.dtype == np.int32
    assert np.array_equal(psum, slow_conv(acts, weights).astype(np.int64))


def test_conv_psum_by_hand():
    acts = np.array([[[[1, 2], [3, 4]]]], dtype=np.int8)
    weights = np.arange(1, 10, dtype=np.int8).reshape(1, 1, 3, 3)
    # top left: 5*1 + 6*2 + 8*3 + 9*4 = 77; bottom right: 1*1 + 2*2 + 4*3 + 5*4 = 37
    assert conv.conv_psum(acts, weights).tolist() == [[[[77, 67], [47, 37]]]]


def test_conv_psum_is_exact_at_the_bound():
    acts = np.full((1, 512, 3, 3), 15, dtype=np.int8)
    weights = np.full((1, 512, 3, 3), -8, dtype=np.int8)
    assert conv.conv_psum(acts, weights)[0, 0, 1, 1] == -conv.psum_bound(512, 9)


def test_conv_psum_is_exact_beyond_float32():
    acts = np.full((1, 2000, 1, 1), 127, dtype=np.int16)
    weights = np.full((1, 2000, 1, 1), 127, dtype=np.int16)
    acts[0, 0], weights[0, 0] = 1, 1  # makes the sum odd, which float32 cannot hold above 2**24
    assert conv.conv_psum(acts, weights).item() == 1999 * 127 * 127 + 1


def test_conv_psum_without_onednn(monkeypatch):
    draw = np.random.default_rng(3)
    acts, weights = draw.integers(0, 16, (2, 4, 5, 3)), draw.integers(-7, 8, (6, 4, 3, 3))
    expected = conv.conv_psum(acts, weights)
    monkeypatch.setattr(conv.torch.backends.mkldnn, "is_available", lambda: False)
    assert np.array_equal(conv.conv_psum(acts, weights), expected)


@pytest.mark.parametrize("weights", [(4, 3, 3, 3), (4, 2, 3, 1), (4, 2, 5, 5)])
def test_conv_psum_wrong_shape(weights):
    with pytest.raises(ValueError, match="weights must be"):
        conv.conv_psum(np.zeros((1, 2, 4, 4), np.int8), np.zeros(weights, np.int8))


def test_conv_psum_refuses_sums_beyond_int32():
    big = np.full((1, 1, 1, 1), 1 << 16)
    with pytest.raises(ValueError, match="psums must fit int32"):
        conv.conv_psum(big, big)


@pytest.mark.parametrize(
    ("value", "shift", "rounded"),
    [(5, 1, 3), (-5, 1, -2), (-6, 2, -1), (6, 2, 2), (-7, 2, -2), (7, 0, 7), (-7, 0, -7), (-1, 31, 0), (1, 1, 1)],
)
def test_shift_round_is_half_up(value, shift, rounded):
    assert conv.shift_round(np.array(value), shift) == rounded


@pytest.mark.parametrize(
    ("psum", "multiplier", "shift", "bias", "expected"),
    [
        (-3, 1, 1, 10, 9),  # -1.5 rounds up to -1
        (3, 1, 1, 10, 12),
        (1000, 65535, 16, 0, 1000),  # 999.98
        (-1000, 40000, 16, -7, -617),  # -610.35 -> -610
        (1 << 20, 65535, 4, 0, 32767),
        (-(1 << 20), 65535, 4, 0, -32768),
        (32760, 1, 0, 100, 32767),
        (40000, 1, 0, -10000, 30000),  # saturated once, after the bias
        (123456, 0, 5, -32768, -32768),
    ],
)
def test_requantise_by_hand(psum, multiplier, shift, bias, expected):
    y = conv.requantise(np.full((1, 1, 1, 1), psum), np.array([multiplier], np.uint16), shift, np.array([bias]))
    assert y.dtype == np.int16
    assert y.item() == expected


def test_requantise_equals_python_integers():
    draw = np.random.default_rng(5)
    for shift in range(32):
        psum = draw.integers(-(1 << 31), 1 << 31, (2, 3, 2, 2))
        m, b = draw.integers(0, 65536, 3).astype(np.uint16), draw.integers(-32768, 32768, 3).astype(np.int16)
        y = conv.requantise(psum, m, shift, b)
        for at in np.ndindex(psum.shape):
            half = (1 << shift) >> 1
            exact = ((int(psum[at]) * int(m[at[1]]) + half) >> shift) + int(b[at[1]])
            assert y[at] == max(-32768, min(32767, exact))


def test_add_residual_saturates_after_the_sum():
    y = np.array([30000, -30000, 5, 5], np.int16).reshape(1, 1, 2, 2)
    r = np.array([10000, -10000, 3, -3], np.int16).reshape(1, 1, 2, 2)
    assert conv.add_residual(y, r, 1, 0).ravel().tolist() == [32767, -32768, 8, 2]
    assert conv.add_residual(y, r, 1, 1).ravel().tolist() == [32767, -32768, 7, 4]  # 1.5 -> 2, -1.5 -> -1


def test_normalise_by_hand():
    y = np.array([-4, 0, 3, 100], np.int16).reshape(1, 1, 2, 2)
    codes = conv.normalise(y, np.array([[6]]), np.array([[2]]), 2)
    assert codes.ravel().tolist() == [0, 1, 5, 15]  # -5.5, 0.5, 5.0, 150.5
    assert conv.normalise(y, np.array([[-6]]), np.array([[2]]), 2, -127, 127).ravel().tolist() == [7, 1, -4, -127]


def test_signed_split_is_exact_over_its_range():
    values = np.arange(conv.SIGNED_MIN, conv.SIGNED_MAX + 1)
    hi, lo = conv.split_signed(values)
    assert np.array_equal(16 * hi.astype(int) + lo, values)
    assert min(hi.min(), lo.min()) == -8 and max(hi.max(), lo.max()) == 7


def test_unsigned_split_is_exact_over_its_range():
    hi, lo = conv.split_unsigned(np.arange(256))
    assert np.array_equal(16 * hi.astype(int) + lo, np.arange(256))
    assert min(hi.min(), lo.min()) == 0 and max(hi.max(), lo.max()) == 15


@pytest.mark.parametrize(("split", "value"), [("signed", 120), ("signed", -137), ("unsigned", 256), ("unsigned", -1)])
def test_split_out_of_range(split, value):
    with pytest.raises(ValueError, match="values must lie in"):
        getattr(conv, f"split_{split}")(np.array([value]))


@pytest.mark.parametrize("signed", [True, False])
def test_planes_repeat_the_eight_bit_convolution(signed):
    draw = np.random.default_rng(9)
    acts = draw.integers(-119, 120, (3, 5, 4, 4)) if signed else draw.integers(0, 256, (3, 5, 4, 4))
    weights = draw.integers(-119, 120, (2, 5, 3, 3))
    planes, digits = conv.split_planes(acts, weights, signed)
    assert planes.shape == (6, 5, 4, 4) and digits.shape == (4, 5, 3, 3)
    assert np.array_equal(conv.join_planes(conv.conv_psum(planes, digits)), conv.conv_psum(acts, weights))
