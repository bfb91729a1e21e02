"""The interface to the engines: rules of a job, and the golden engine."""

import numpy as np
import pytest

from sqdm.golden.conv import conv_psum, requantise
from sqdm.golden.engine import ConvJob, GoldenEngine, Requant
from sqdm.golden.vectors import random_job


def job(**changes):
    fields = {
        "name": "test",
        "acts": np.ones((1, 2, 3, 3), np.int8),
        "signed": False,
        "weights": np.ones((4, 2, 3, 3), np.int8),
        "requant": None,
        "macs": 648,
        "bits": 4,
    }
    return ConvJob(**(fields | changes))


def requant(k=4, shift=3):
    return Requant(np.full(k, 5, np.uint16), shift, np.zeros(k, np.int16))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"acts": np.ones((1, 2, 3, 3), np.int16)}, TypeError, "acts must be int8"),
        ({"acts": np.full((1, 2, 3, 3), 16, np.int8)}, ValueError, "acts must lie in 0..15"),
        ({"acts": np.full((1, 2, 3, 3), -1, np.int8)}, ValueError, "acts must lie in 0..15"),
        ({"acts": np.full((1, 2, 3, 3), 8, np.int8), "signed": True}, ValueError, "acts must lie in -8..7"),
        ({"acts": np.ones((2, 3, 3), np.int8)}, ValueError, "acts must have 4 non-empty dimensions"),
        ({"acts": np.ones((0, 2, 3, 3), np.int8)}, ValueError, "acts must have 4 non-empty dimensions"),
        ({"weights": np.full((4, 2, 3, 3), 8, np.int8)}, ValueError, "weights must lie in -8..7"),
        ({"weights": np.ones((4, 3, 3, 3), np.int8)}, ValueError, "weights must have 2 input channels"),
        ({"weights": np.ones((4, 2, 5, 5), np.int8)}, ValueError, "kernel must be 1x1 or 3x3"),
        ({"requant": requant(3)}, ValueError, "requant must have 4 channels"),
        ({"bits": 5}, ValueError, "bits must be 4 or 8"),
    ],
)
def test_job_refuses(changes, error, message):
    with pytest.raises(error, match=message):
        job(**changes)


def test_requant_refuses():
    with pytest.raises(TypeError, match="multiplier must be uint16"):
        Requant(np.ones(3, np.int32), 1, np.ones(3, np.int16))
    with pytest.raises(ValueError, match=r"must be \(K,\)"):
        Requant(np.ones(3, np.uint16), 1, np.ones(2, np.int16))
    with pytest.raises(ValueError, match=r"shift must be 0..31"):
        requant(shift=32)


def test_golden_engine_returns_psums_without_output_stage():
    raw = random_job(1, 5, 6, 4, 3, requant=False)
    out = GoldenEngine().conv(raw)
    assert out.dtype == np.int32 and np.array_equal(out, conv_psum(raw.acts, raw.weights))


def test_golden_engine_requantises():
    staged = random_job(2, 5, 6, 4, 3)
    stage = staged.requant
    out = GoldenEngine().conv(staged)
    psum = conv_psum(staged.acts, staged.weights)
    assert out.dtype == np.int16
    assert np.array_equal(out, requantise(psum, stage.multiplier, stage.shift, stage.bias))
    assert len(np.unique(out)) > 10
