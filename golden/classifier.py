"""A small digit classifier whose features the Frechet distance compares."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sqdm.golden import data

FEATURES = 64
EPOCHS = 30
BATCH = 64
LEARNING_RATE = 2e-3
NOISE = 0.2


class Classifier(nn.Module):
    """Three 3x3 convolutions, two 2x2 means, 64 features, 10 classes: (N, 1, 8, 8) to (N, 10)."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv1 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.dense = nn.Linear(32 * 4, FEATURES)
        self.head = nn.Linear(FEATURES, data.CLASSES)
        self.register_buffer("deviation", torch.ones(()))  # root of the raw features' total variance on the train set

    def raw_features(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, 8, 8) to (N, 64), before the ReLU of the last hidden layer."""
        x = functional.avg_pool2d(functional.relu(self.conv0(x)), 2)
        x = functional.avg_pool2d(functional.relu(self.conv2(functional.relu(self.conv1(x)))), 2)
        return self.dense(x.flatten(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(functional.relu(self.raw_features(x)))


def features(net: Classifier, images: np.ndarray) -> np.ndarray:
    """Features of (N, 1, 8, 8) images, scaled to a total variance of 1 on the train set: float64 (N, 64)."""
    with torch.no_grad():
        raw = net.raw_features(torch.from_numpy(np.asarray(images, dtype=np.float32)))
    return (raw / net.deviation).numpy().astype(np.float64)


def accuracy(net: Classifier, images: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of ``images`` (N, 1, 8, 8) that the classifier reads as ``labels`` (N,)."""
    with torch.no_grad():
        guess = net(torch.from_numpy(np.asarray(images, dtype=np.float32))).argmax(1).numpy()
    return float((guess == np.asarray(labels)).mean())


def fit(seed: int, epochs: int = EPOCHS) -> Classifier:
    """Train on the train split with noise added to the images; takes seconds."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels, _, _ = data.load_split()
    net = Classifier()
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    for _ in range(epochs):
        for picked in torch.randperm(len(images), generator=generator).split(BATCH):
            batch = images[picked]
            batch = batch + NOISE * torch.randn(batch.shape, generator=generator)
            value = functional.cross_entropy(net(batch), labels[picked])
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    with torch.no_grad():
        net.deviation.copy_(net.raw_features(images).var(0).sum().sqrt())
    return net.eval()


def save(net: Classifier, path: Path) -> None:
    """Write the weights as float32 arrays."""
    np.savez_compressed(path, **{name: value.numpy() for name, value in net.state_dict().items()})


def load(path: Path) -> Classifier:
    """The classifier that ``save`` wrote."""
    net = Classifier()
    with np.load(path, allow_pickle=False) as arrays:
        net.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return net.eval()
