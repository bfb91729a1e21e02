"""Heun's method, the noise ladder and the latents."""

import numpy as np
import pytest
import torch

from sqdm.golden import edm, sampler


def test_noise_levels():
    levels = sampler.noise_levels(18)
    assert len(levels) == 19 and levels[0] == pytest.approx(40) and levels[17] == pytest.approx(0.005)
    assert levels[-1] == 0 and (np.diff(levels) < 0).all()
    assert sampler.noise_levels(1).tolist() == pytest.approx([40, 0])


@pytest.mark.parametrize("steps", [1, 2, 18])
def test_number_of_evaluations(steps):
    seen = []
    x = np.zeros((1, 1, 8, 8))
    sampler.heun(lambda x, s, c: x * 0, x, np.zeros(1), steps, lambda evaluation, step: seen.append((evaluation, step)))
    assert len(seen) == sampler.evaluations(steps) == 2 * steps - 1
    assert [e for e, _ in seen] == list(range(2 * steps - 1)) and seen[-1][1] == steps - 1


def test_point_data_is_reached_exactly():
    target = np.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    out = sampler.heun(lambda x, s, c: target, sampler.latents(1, 0), np.zeros(1), 5)
    assert np.abs(out - target).max() < 1e-9


def test_heun_is_of_second_order():
    # the ideal denoiser of N(0, 0.25) shrinks by 0.25 / (0.25 + s^2); its flow is x / sqrt(1 + (s / 0.5)^2)
    noise = sampler.latents(4, 3)
    exact = noise * 40 / np.sqrt(1 + (40 / 0.5) ** 2)
    errors = [
        np.abs(sampler.heun(lambda x, s, c: x * 0.25 / (0.25 + s * s), noise, np.zeros(4), steps) - exact).max()
        for steps in (64, 128)
    ]
    assert errors[0] < 6e-3
    assert 3 < errors[0] / errors[1] < 5


def test_latents_do_not_depend_on_the_batch():
    assert np.array_equal(sampler.latents(6, 7)[4], sampler.latents(1, 7, first=4)[0])
    assert not np.array_equal(sampler.latents(1, 7), sampler.latents(1, 8))
    assert abs(sampler.latents(50, 0).std() - 1) < 0.05


def test_preconditioning_of_a_silent_network():
    x = torch.randn(2, 1, 8, 8)
    sigma = torch.tensor([0.75, 3.0])
    out = edm.denoise(lambda x, c, label: x * 0, x, sigma, torch.zeros(2, dtype=torch.int64))
    assert torch.allclose(out[0], x[0] / 2) and torch.allclose(out[1], x[1] * (0.5625 / 9.5625))


def test_coefficients_agree_between_torch_and_numpy():
    pairs = zip(edm.coefficients(torch.tensor([2.0])), edm.coefficients(np.array([2.0])), strict=True)
    assert all(float(t[0]) == pytest.approx(float(a[0]), rel=1e-6) for t, a in pairs)


def test_nearest_level():
    log = np.log(sampler.LEVELS)
    assert sampler.LEVELS.shape == (18,)
    assert np.array_equal(sampler.nearest_level(log), np.arange(18))
    assert np.array_equal(sampler.nearest_level(0.6 * log[:-1] + 0.4 * log[1:]), np.arange(17))
    assert np.array_equal(sampler.nearest_level(0.4 * log[:-1] + 0.6 * log[1:]), np.arange(1, 18))
    assert sampler.nearest_level(np.array([9.0, -9.0])).tolist() == [0, 17]
