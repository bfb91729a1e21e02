"""The Frechet distance on sets whose distance is known."""

import numpy as np
import pytest

from sqdm.golden.frechet import frechet, gaussian_distance


def test_identical_sets_are_at_distance_0():
    features = np.random.default_rng(0).normal(size=(200, 6))
    assert frechet(features, features) == pytest.approx(0, abs=1e-9)


def test_one_dimension_by_hand():
    # means 1 and 4, deviations 2 and 5: 3**2 + 3**2
    assert gaussian_distance(np.array([1.0]), np.array([[4.0]]), np.array([4.0]), np.array([[25.0]])) == 18


def test_commuting_covariances_by_hand():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    cov0, cov1 = (turn @ np.diag(d) @ turn.T for d in ([1.0, 4.0, 9.0], [4.0, 4.0, 1.0]))
    assert gaussian_distance(np.zeros(3), cov0, np.ones(3), cov1) == pytest.approx(3 + 1 + 0 + 4)


def test_shift_adds_its_square():
    features = np.random.default_rng(2).normal(size=(100, 4))
    assert frechet(features, features + 2.0) == pytest.approx(16, rel=1e-9)


def test_rank_deficient_sets():
    features = np.random.default_rng(3).normal(size=(5, 20))
    assert frechet(features, features) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(10, 3), (10,), (1, 4)])
def test_refuses_sets_that_do_not_match(shape):
    with pytest.raises(ValueError, match="features must"):
        frechet(np.zeros((10, 4)), np.zeros(shape))
