"""Networks and models that several test files share."""

import pytest
import torch

from sqdm.golden import distill, lower
from sqdm.golden.fake_quant import fake_quantise, fit_levels
from sqdm.golden.model_file import load_model
from sqdm.golden.unet import UNet


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads that wait for each other on a shared machine cost more than they bring on networks this small."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def float_net():
    """An untrained network without silent layers: the zero-initialised convolutions get weights too."""
    torch.manual_seed(0)
    net = UNet()
    for parameter in net.parameters():
        if parameter.ndim > 1 and parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.05)
    return net.eval()


@pytest.fixture(scope="session")
def fake_net(float_net):
    """The untrained network with fitted scales, also per noise level, not distilled."""
    generator = torch.Generator().manual_seed(1)
    x, sigma, labels = distill.noisy_batch(64, generator)
    net = fake_quantise(float_net, *distill.network_input(x, sigma), labels).eval()
    x, sigma, labels = distill.noisy_batch(72, generator, distill.sampler_sigma(72))
    fit_levels(net, *distill.network_input(x, sigma), labels)
    return net


@pytest.fixture(scope="session")
def arrays(fake_net):
    """The integer arrays of ``fake_net``."""
    return lower.lower(fake_net, 0)


@pytest.fixture(scope="session")
def model():
    """The shipped model."""
    return load_model()
