"""Quality: Frechet distance of sampled images, and the squared error of the denoiser against the float network."""

from collections.abc import Callable

import numpy as np
import torch

from sqdm.golden import classifier, data, edm, sampler
from sqdm.golden.distill import noisy_batch
from sqdm.golden.frechet import frechet
from sqdm.golden.unet import UNet

FD_IMAGES = 1440
FD_SEEDS = (100, 101, 102)
FD_STEPS = 18
MSE_IMAGES = 2048
CHUNK = 240

Denoiser = Callable[[np.ndarray, float, np.ndarray], np.ndarray]


def float_denoiser(net: UNet) -> Denoiser:
    """D(x; sigma) of the float (or fake-quantised) network for the sampler: float64 in, float64 out."""

    @torch.no_grad()
    def denoise(x: np.ndarray, sigma: float, labels: np.ndarray) -> np.ndarray:
        levels = torch.as_tensor(np.broadcast_to(sigma, (len(x),)).astype(np.float32))
        return (
            edm.denoise(net, torch.from_numpy(x.astype(np.float32)), levels, torch.as_tensor(labels)).double().numpy()
        )

    return denoise


def generate(denoiser: Denoiser, count: int, seed: int, steps: int = FD_STEPS, on_images=None) -> np.ndarray:
    """``count`` images with labels 0..9 in turn, float64 (count, 1, 8, 8); image i depends on ``seed`` and i alone.

    ``on_images(done)`` is called after each chunk.
    """
    images = []
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        labels = np.arange(first, first + size) % data.CLASSES
        images.append(sampler.heun(denoiser, sampler.latents(size, seed, first), labels, steps))
        if on_images is not None:
            on_images(first + size)
    return np.concatenate(images)


def distance_to_real(net: classifier.Classifier, images: np.ndarray, split: str = "train") -> float:
    """Frechet distance between ``images`` and the "train" or the "test" images, all clipped to [-1, 1]."""
    train, _, test, _ = data.load_split()
    real = {"train": train, "test": test}[split].numpy()
    return frechet(classifier.features(net, np.clip(images, -1, 1)), classifier.features(net, real))


def floor(net: classifier.Classifier) -> float:
    """Frechet distance between real test images and real train images: what a perfect generator would score."""
    _, _, test, _ = data.load_split()
    return distance_to_real(net, test.numpy())


def denoiser_mse(reference: Denoiser, candidate: Denoiser, seed: int, count: int = MSE_IMAGES) -> float:
    """Mean squared difference of two denoisers' outputs, pixel values in [-1, 1].

    Both see the same ``count`` noisy train images, whose noise levels follow the training distribution.
    """
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        x, sigma, labels = noisy_batch(size, generator)
        args = x.double().numpy(), sigma.double().numpy(), labels.numpy()
        total += float(((reference(*args) - candidate(*args)) ** 2).mean()) * size
    return total / count
