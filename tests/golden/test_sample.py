"""Sampling with the shipped model, and the requests that it refuses."""

import numpy as np
import pytest

from sqdm.errors import UserError
from sqdm.golden import classifier
from sqdm.golden.sample import sample


def test_digits_are_what_was_asked_for(model):
    labels = list(range(10))
    images = sample(model, labels, 8, 0, "integer")
    assert images.shape == (10, 8, 8) and np.abs(images).max() <= 1
    assert classifier.accuracy(model.classifier, images[:, None], labels) >= 0.9


def test_float_and_integer_start_from_the_same_noise(model):
    exact, integer = (sample(model, [3, 5], 6, 4, engine) for engine in ("float", "integer"))
    other = sample(model, [3, 5], 6, 5, "float")
    assert np.abs(exact - integer).mean() < 0.15 < np.abs(exact - other).mean()


def test_image_does_not_depend_on_the_batch(model):
    together, alone = (sample(model, labels, 2, 9, "integer") for labels in ([7, 1, 4], [7]))
    assert np.array_equal(together[:1], alone)


def test_one_step_is_one_evaluation(model):
    seen = []
    sample(model, [0], 1, 0, "integer", lambda evaluation, step: seen.append((evaluation, step)))
    assert seen == [(0, 0)]


@pytest.mark.parametrize("labels", [[10], [-1], [0, 1.5], ["3"], [True], []])
def test_refuses_labels(model, labels):
    with pytest.raises(UserError, match="label"):
        sample(model, labels, 1)


@pytest.mark.parametrize("steps", [0, -3, 1.5, "4", True])
def test_refuses_steps(model, steps):
    with pytest.raises(UserError, match="steps must be an integer of at least 1"):
        sample(model, [0], steps)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_refuses_seed(model, seed):
    with pytest.raises(UserError, match="seed must be an integer of at least 0"):
        sample(model, [0], 1, seed)


def test_any_denoiser_is_an_engine(model):
    images = sample(model, [0, 1], 1, 0, lambda x, sigma, labels: np.full_like(x, 0.25))
    assert images.shape == (2, 8, 8) and np.allclose(images, 0.25)


@pytest.mark.parametrize("engine", ["gpu", None, 3])
def test_refuses_engine(model, engine):
    with pytest.raises(UserError, match=r"engine must be .* not "):
        sample(model, [0], 1, 0, engine)
