"""Quantisation-aware distillation: the fake-quantised network learns to repeat the float network."""

import math
from collections.abc import Callable

import torch
from sqdm.golden import data, edm
from sqdm.golden.fake_quant import fake_quantise
from sqdm.golden.unet import UNet

STEPS = 1300
BATCH = 64
LEARNING_RATE = 6e-4
SCALE_RATE = 2e-3
EMA = 0.99
FIT_IMAGES = 256  # the batch that the scales are fitted to before the first step


def noisy_batch(
    count: int, generator: torch.Generator, sigma: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(train images + noise (N, 1, 8, 8), sigma (N,), labels (N,)); without ``sigma`` the noise levels of training."""
    images, labels, _, _ = data.load_split()
    picked = torch.randint(len(images), (count,), generator=generator)
    if sigma is None:
        sigma = edm.draw_sigma(count, generator)
    noise = torch.randn(count, *images.shape[1:], generator=generator)
    return images[picked] + noise * sigma[:, None, None, None], sigma, labels[picked]


def network_input(x: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the raw network sees: (c_in * x, c_noise)."""
    _, _, c_in, c_noise = edm.coefficients(sigma)
    return c_in[:, None, None, None] * x, c_noise


def distill(teacher: UNet, seed: int, steps: int = STEPS, on_step: Callable[[int, float], None] | None = None) -> UNet:
    """Fake-quantise ``teacher`` and train the copy for ``steps`` steps; returns the moving average of its weights.

    The loss is the squared difference of the two networks' raw outputs times c_out: half-way between EDM's loss (the
    raw outputs, which favours the last details) and the denoiser's error (c_out squared, which is what the
    quality bar counts). Adam with a cosine schedule; the logarithms of the scales have their own rate.
    ``on_step(done, loss)`` is called after every step.
    """
    generator = torch.Generator().manual_seed(seed)
    x, sigma, labels = noisy_batch(FIT_IMAGES, generator)
    student = fake_quantise(teacher, *network_input(x, sigma), labels).to(memory_format=torch.channels_last)
    average = {name: value.clone() for name, value in student.state_dict().items()}
    scales = [p for name, p in student.named_parameters() if ".log_" in name]
    others = [p for name, p in student.named_parameters() if ".log_" not in name]
    rates = ((others, LEARNING_RATE), (scales, SCALE_RATE))
    optimiser = torch.optim.Adam([{"params": params, "lr": rate, "peak": rate} for params, rate in rates])
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * 0.5 * (1 + math.cos(math.pi * step / steps))
        x, sigma, labels = noisy_batch(BATCH, generator)
        inputs = network_input(x, sigma)
        weight = edm.coefficients(sigma)[1][:, None, None, None]  # c_out
        with torch.no_grad():
            target = teacher(*inputs, labels)
        value = (weight * (student(*inputs, labels) - target) ** 2).mean()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        decay = min(EMA, (step + 1) / (step + 10))
        for name, tensor in student.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)
        if on_step is not None:
            on_step(step + 1, float(value.detach()))
    student.load_state_dict(average)
    return student.to(memory_format=torch.contiguous_format).eval()
