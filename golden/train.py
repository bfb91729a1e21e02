"""Training of the float network: Adam, EDM's loss, an exponential moving average of the weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sqdm.golden import data, edm
from sqdm.golden.unet import UNet

STEPS = 2900
BATCH = 64
LEARNING_RATE = 1e-3
WARM_UP = 100
EMA = 0.998
CHECKPOINT = "float.npz"


def fit(seed: int, steps: int, on_step: Callable[[int, float], None] | None = None) -> UNet:
    """Train a network from scratch and return the moving average of its weights.

    ``on_step(done, loss)`` is called after every step. The same seed, thread count and torch version give the same
    weights.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels, _, _ = data.load_split()
    net = UNet().to(memory_format=torch.channels_last)
    average = {name: value.clone() for name, value in net.state_dict().items()}
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP)
        picked = torch.randint(len(images), (BATCH,), generator=generator)
        value = edm.loss(net, images[picked], labels[picked], generator)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        decay = min(EMA, (step + 1) / (step + 10))
        for name, tensor in net.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)
        if on_step is not None:
            on_step(step + 1, float(value.detach()))
    net.load_state_dict(average)
    return net.to(memory_format=torch.contiguous_format).eval()


def save_float(net: UNet, path: Path) -> None:
    """Write the weights as float16 arrays, one per parameter, named as in ``UNet.state_dict()``."""
    np.savez_compressed(path, **{name: value.numpy().astype(np.float16) for name, value in net.state_dict().items()})


def load_float(path: Path) -> UNet:
    """The network whose weights ``save_float`` wrote, computing in float32."""
    net = UNet()
    with np.load(path, allow_pickle=False) as arrays:
        net.load_state_dict({name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files})
    return net.eval()
