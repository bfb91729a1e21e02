"""Quantisation-aware distillation: the fake-quantised network learns to repeat the float network."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sqdm.golden import data, edm, layers, sampler
from sqdm.golden.fake_quant import fake_quantise, fit_levels, layer_name, quant_layers
from sqdm.golden.unet import UNet

BATCH = 64
EMA = 0.99
FIT_IMAGES = 256  # the batch that the scales are fitted to before the first step
LEVEL_IMAGES = 576  # the batch that the factors per noise level are fitted to between the phases, 32 a level
SPARSE_IMAGES = 36  # images that the penalty on non-zeros adds to a batch, two at each of the sampler's noise levels
HINGE = 1.5  # an activation of as many steps of its code, which rounds to 2, counts in full for that penalty


@dataclass(frozen=True)
class Phase:
    """Steps, peak learning rates of weights and of scales, the power of c_out in the loss.

    ``levels`` tells whether the factors per noise level learn, ``warm_up`` how many steps the rates take to rise.
    ``sparsity`` is the weight of the penalty on non-zero activations (`NonzeroPenalty`) in the loss; 0 leaves it out.
    """

    steps: int
    rate: float
    scale_rate: float
    power: int
    levels: bool
    warm_up: int
    sparsity: float = 0.0


# Without the warm-up Adam's first steps multiply the loss of a trained student by ten.
PHASES = (
    Phase(1300, 6e-4, 2e-3, 1, False, 0),
    Phase(1550, 3e-4, 2e-3, 2, True, 50),
    Phase(900, 2e-4, 1e-3, 2, True, 50),
    Phase(450, 2e-4, 1e-3, 2, True, 50),
    Phase(480, 2e-4, 1e-3, 2, True, 50, 6e-3),
    Phase(220, 2e-4, 1e-3, 2, True, 20, 2e-3),
    Phase(220, 2e-4, 1e-3, 2, True, 20, 5e-4),
    Phase(140, 1e-4, 5e-4, 2, True, 20, 5e-4),
)
STEPS = sum(phase.steps for phase in PHASES)


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


def sampler_sigma(count: int) -> torch.Tensor:
    """The sampler's noise levels in turn: float32 (count,)."""
    return torch.tensor(sampler.LEVELS, dtype=torch.float32)[torch.arange(count) % len(sampler.LEVELS)]


def training_batch(phase: Phase, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A `noisy_batch` for a step of ``phase``: BATCH images and, with a penalty, SPARSE_IMAGES behind them."""
    if not phase.sparsity:
        return noisy_batch(BATCH, generator)
    sigma = torch.cat([edm.draw_sigma(BATCH, generator), sampler_sigma(SPARSE_IMAGES)])
    return noisy_batch(len(sigma), generator, sigma)


def soft_nonzeros(steps: torch.Tensor) -> torch.Tensor:
    """How far activations, in steps of their code, are from zero, with a gradient: 0 up to 0, 1 from HINGE on."""
    return (steps.relu() - (steps - HINGE).relu()) / HINGE


class NonzeroPenalty:
    """Soft share of non-zero codes at the inputs of the 4-bit layers behind a ReLU, by multiply-accumulates.

    Watches the forward passes of ``net`` until ``remove``. The accelerator's cycles go with the non-zeros of these
    layers; the gradient acts only on activations that round to 0 or 1.
    """

    def __init__(self, net: UNet):
        macs = {layer.name: layer.macs for layer in layers.layers() if layer.is_4x4 and not layer.act.signed}
        self._counts: dict[str, torch.Tensor] = {}
        self._shares = {name: count / sum(macs.values()) for name, count in macs.items()}
        watched = {layer_name(module): layer for module, layer in quant_layers(net).items()}
        self._hooks = [watched[name].register_forward_pre_hook(self._watch(name)) for name in macs]

    def _watch(self, name: str) -> Callable:
        def hook(layer, args):
            self._counts[name] = soft_nonzeros(layer.act_steps(args[0])).mean((1, 2, 3))

        return hook

    def share(self, first: int) -> torch.Tensor:
        """That of the last pass over the images from ``first`` on: 0..1, a scalar."""
        return sum(share * self._counts[name][first:].mean() for name, share in self._shares.items())

    def remove(self) -> None:
        """Stop watching."""
        for hook in self._hooks:
            hook.remove()


def improve(
    student: UNet, teacher: UNet, phase: Phase, generator: torch.Generator, on_step: Callable[[float], None]
) -> None:
    """One phase of distillation; ``student`` ends as the moving average of its weights.

    ``on_step(loss)`` per step, without the penalty on non-zeros.
    """
    average = {name: value.clone() for name, value in student.state_dict().items()}
    scales = [p for name, p in student.named_parameters() if ".log_" in name]
    others = [p for name, p in student.named_parameters() if ".log_" not in name]
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(phase.levels or not name.endswith(".log_level"))
    rates = ((others, phase.rate), (scales, phase.scale_rate))
    optimiser = torch.optim.Adam([{"params": params, "lr": rate, "peak": rate} for params, rate in rates])
    penalty = NonzeroPenalty(student) if phase.sparsity else None
    for step in range(phase.steps):
        for group in optimiser.param_groups:
            ramp = min(1.0, (step + 1) / (phase.warm_up + 1))
            group["lr"] = group["peak"] * ramp * 0.5 * (1 + math.cos(math.pi * step / phase.steps))
        x, sigma, labels = training_batch(phase, generator)
        inputs = network_input(x, sigma)
        weight = edm.coefficients(sigma)[1][:, None, None, None] ** phase.power  # c_out to that power
        with torch.no_grad():
            target = teacher(*inputs, labels)
        value = (weight * (student(*inputs, labels) - target) ** 2).mean()
        loss = value if penalty is None else value + phase.sparsity * penalty.share(BATCH)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay = min(EMA, (step + 1) / (step + 10))
        for name, tensor in student.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)
        on_step(float(value.detach()))
    if penalty is not None:
        penalty.remove()
    student.load_state_dict(average)


def add_levels(student: UNet, generator: torch.Generator) -> None:
    """Fit the factors per noise level of ``student`` to a batch that has every level equally often."""
    x, sigma, labels = noisy_batch(LEVEL_IMAGES, generator, sampler_sigma(LEVEL_IMAGES))
    fit_levels(student, *network_input(x, sigma), labels)


def distill(teacher: UNet, seed: int, steps: int = STEPS, on_step: Callable[[int, float], None] | None = None) -> UNet:
    """Fake-quantise ``teacher`` and train the copy for ``steps`` steps; returns the moving average of its weights.

    The loss is the squared difference of the two networks' raw outputs times a power of c_out: 1 in the first phase,
    half-way between EDM's loss (0, which favours the last details) and the denoiser's error; 2 in the others, which is
    that error, the one that the quality bar counts. Adam with a cosine schedule in each phase; the logarithms of the
    scales have their own rate. Activation scales are the same at every noise level in the first phase; then a factor
    per level is fitted, and trained with the rest in the others, which start with a linear rise of the rates. The
    last four add a penalty on non-zero activations, strong in the first of them, weak in the last. The phases have
    their share of any number of ``steps``. ``on_step(done, loss)`` is called after every step.
    """
    generator = torch.Generator().manual_seed(seed)
    x, sigma, labels = noisy_batch(FIT_IMAGES, generator)
    student = fake_quantise(teacher, *network_input(x, sigma), labels).to(memory_format=torch.channels_last)
    done = 0

    def report(value: float) -> None:
        nonlocal done
        done += 1
        if on_step is not None:
            on_step(done, value)

    for number, phase in enumerate(PHASES):
        end = steps * sum(p.steps for p in PHASES[: number + 1]) / STEPS
        if number == 1:
            add_levels(student, generator)
        improve(student, teacher, replace(phase, steps=max(1, round(end)) - done), generator, report)
    return student.to(memory_format=torch.contiguous_format).eval()
