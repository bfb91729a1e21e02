"""EDM's preconditioning and loss (Karras et al. 2022, table 1)."""

from collections.abc import Callable

import numpy as np
import torch

SIGMA_DATA = 0.75
P_MEAN, P_STD = -0.6, 1.3


def coefficients(sigma):
    """(c_skip, c_out, c_in, c_noise) for a tensor or an array ``sigma``, in its own precision."""
    log = torch.log if isinstance(sigma, torch.Tensor) else np.log
    total = sigma**2 + SIGMA_DATA**2
    return SIGMA_DATA**2 / total, sigma * SIGMA_DATA / total**0.5, total**-0.5, log(sigma) / 4


def denoise(net: Callable, x: torch.Tensor, sigma: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """D(x; sigma) = c_skip x + c_out F(c_in x, c_noise, label): the estimate of the clean image, (N, 1, 8, 8).

    ``x`` (N, 1, 8, 8), ``sigma`` (N,), ``labels`` int64 (N,); ``net`` is F.
    """
    c_skip, c_out, c_in, c_noise = coefficients(sigma)
    skip, out, scale = (c[:, None, None, None] for c in (c_skip, c_out, c_in))
    return skip * x + out * net(scale * x, c_noise, labels)


def draw_sigma(count: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels of training: ln(sigma) is normal with mean P_MEAN and deviation P_STD; float32 (count,)."""
    return torch.exp(torch.randn(count, generator=generator) * P_STD + P_MEAN)


def loss(net: Callable, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """EDM's loss on a batch: the weighted squared error of the denoiser at random noise levels, a scalar."""
    sigma = draw_sigma(len(images), generator)
    noise = torch.randn(images.shape, generator=generator) * sigma[:, None, None, None]
    weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
    error = denoise(net, images + noise, sigma, labels) - images
    return (weight[:, None, None, None] * error**2).mean()
