"""Fake-quantised and integer network: scales, lowering, agreement, determinism."""

import copy

import numpy as np
import pytest
import torch

from sqdm.golden import distill, edm, evaluate, layers, lower, sampler
from sqdm.golden.conv import INT16_MAX, INT16_MIN
from sqdm.golden.engine import GoldenEngine
from sqdm.golden.fake_quant import UINT4, QuantLayer, fit_levels, fit_scale, quant_layers, round_through
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.unet import UNet


def batch(count, seed=2):
    return distill.noisy_batch(count, torch.Generator().manual_seed(seed))


def as_numpy(x, sigma, labels):
    return x.double().numpy(), sigma.double().numpy(), labels.numpy()


def test_parameters_and_macs_of_the_network():
    assert sum(p.numel() for p in UNet().parameters()) == 1_084_737
    assert layers.macs_total() == 24_387_904
    found = layers.layers()
    assert len(found) == 30 and sum(layer.bits == 4 for layer in found) == 28
    assert sum(layer.macs for layer in found if layer.bits == 4) == 22_708_224


def test_round_through_passes_the_gradient():
    x = torch.tensor([0.5, -0.5, 1.4], requires_grad=True)
    y = round_through(x)
    y.sum().backward()
    assert y.tolist() == [1.0, 0.0, 1.0] and x.grad.tolist() == [1.0, 1.0, 1.0]


def test_fit_scale_recovers_a_grid():
    codes = torch.arange(16.0).repeat(2, 4)
    scales = fit_scale(codes * torch.tensor([[0.5], [3.0]]), 0, 15)
    assert torch.allclose(scales, torch.tensor([0.5, 3.0]))


def test_quant_layer_is_exact_on_representable_operands():
    conv = torch.nn.Conv2d(2, 1, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_((torch.arange(18.0).reshape(1, 2, 3, 3) % 15 - 7) * 0.25)
    x = torch.randint(0, 16, (1, 2, 4, 4)).float() * 0.5
    x[0, :, 0, 0] = 7.5
    layer = QuantLayer(conv, UINT4)
    layer.initialise(x)
    assert torch.allclose(layer(x), conv(x), atol=1e-5)


def test_every_layer_learns(fake_net):
    fake_net.zero_grad()
    x, sigma, labels = batch(16)
    (fake_net(*distill.network_input(x, sigma), labels) ** 2).mean().backward()
    for name, layer in quant_layers(fake_net).items():
        for label in ("weight", "log_act", "log_weight") + ("log_level",) * (layer.fmt.bits == 4):
            assert getattr(layer, label).grad.abs().max() > 0, f"{name}.{label}"
    for parameter in fake_net.parameters():
        parameter.grad = None


def test_noise_level_scales_codes_and_output():
    conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3) - 4)
    layer = QuantLayer(conv, UINT4)
    with torch.no_grad():
        layer.log_level[4], layer.log_level[7] = torch.log(torch.tensor([0.5, 3.0]))
    layer.level = torch.tensor([4, 7, 0])
    codes = torch.randint(0, 16, (1, 1, 4, 4)).float()
    x = codes * torch.tensor([0.5, 3.0, 1.0]).reshape(3, 1, 1, 1)
    assert torch.equal(layer.act_codes(x), codes.expand(3, 1, 4, 4))
    assert torch.allclose(layer(x), conv(x), atol=1e-4)


def test_fit_levels_finds_the_range_of_a_level(fake_net):
    """A level whose activations are 1.5 times as large gets about 1.5 times the factor."""
    net = copy.deepcopy(fake_net)
    first = net.get_submodule("blocks.enc_8x8_block0.conv0")
    x, sigma, labels = distill.noisy_batch(36, torch.Generator().manual_seed(3), distill.sampler_sigma(36))
    inputs = distill.network_input(x, sigma)
    fit_levels(net, *inputs, labels)
    before = first.log_level.detach().clone()
    louder = torch.where(torch.arange(36) % 18 == 5, 1.5, 1.0)[:, None, None, None]
    net.get_submodule("blocks.enc_8x8_block0.norm0").register_forward_hook(lambda module, args, y: y * louder)
    fit_levels(net, *inputs, labels)
    change = (first.log_level.detach() - before).exp()
    assert change[5] == pytest.approx(1.5, rel=0.1)
    assert torch.equal(change[torch.arange(18) != 5], torch.ones(17))


def test_multipliers_follow_the_noise_level(arrays):
    net, name = IntegerUNet(arrays, GoldenEngine()), "dec.8x8_up.conv1"
    top = int(arrays[f"{name}/level_scale"].argmax())
    assert net.requant(name, top).multiplier.max() > 32767
    whole = net.requant(name, top).multiplier / arrays[f"{name}/level_scale"][top]
    for level, scale in enumerate(arrays[f"{name}/level_scale"]):
        assert np.allclose(net.requant(name, level).multiplier, whole * scale, atol=1.1)


def test_a_batch_of_two_noise_levels_runs_level_by_level(arrays):
    jobs = []
    x, _, labels = as_numpy(*batch(3))
    IntegerUNet(arrays, GoldenEngine(), jobs.append).denoise(x, sampler.LEVELS[[4, 9, 4]], labels)
    assert [len(job.acts) for job in jobs if job.name == "enc.4x4_down.conv0"] == [2, 1]


def test_channel_scale_folds_into_the_weights_exactly():
    conv = torch.nn.Conv2d(3, 2, 1)
    layer = QuantLayer(conv, UINT4)
    with torch.no_grad():
        layer.log_act.copy_(torch.tensor([0.1, 1.0, 3.0]).log())
        layer.log_weight.fill_(-12.0)  # weights finer than float32 shows are clamped, so widen the range instead
        layer.fmt = type(UINT4)(0, 15, 1 << 22, 4)
    x = torch.tensor([0.3, 4.0, 9.0]).reshape(1, 3, 1, 1)  # 3, 4 and 3 codes
    assert layer.act_codes(x).flatten().tolist() == [3.0, 4.0, 3.0]
    assert torch.allclose(layer(x), conv(x), atol=1e-4)


@pytest.mark.parametrize("ratio", [[0.5, 0.25], [1e-4, 7e-6], [1234.5, 1.0]])
def test_multiplier_and_shift(ratio):
    multiplier, shift = lower.multiplier_and_shift(np.array(ratio))
    assert multiplier.dtype == np.uint16 and 0 <= shift <= 31
    assert np.abs(multiplier / 2.0**shift - ratio).max() <= 0.5 / 2.0**shift
    assert shift == 31 or multiplier.max() > 32767


@pytest.mark.parametrize("ratio", [[0.0, 1.0], [70000.0], [-1.0, 1.0]])
def test_multiplier_refuses(ratio):
    with pytest.raises(ValueError, match="ratio must be"):
        lower.multiplier_and_shift(np.array(ratio))


def test_lower_refuses_a_float_network(float_net):
    with pytest.raises(ValueError, match="fake-quantised"):
        lower.lower(float_net, 0)


def test_first_layers_repeat_the_fake_quantised_codes(fake_net, arrays):
    """Before differences can multiply: the codes of the first 4-bit layer agree but for ties."""
    seen, jobs = [], []
    hook = fake_net.get_submodule("blocks.enc_8x8_block0.conv0").register_forward_pre_hook(
        lambda layer, args: seen.append(layer.act_codes(args[0]).detach().numpy())
    )
    x, sigma, labels = batch(32)
    with torch.no_grad():
        edm.denoise(fake_net, x, sigma, labels)
    hook.remove()
    IntegerUNet(arrays, GoldenEngine(), jobs.append).denoise(*as_numpy(x, sigma, labels))
    levels = sampler.nearest_level(np.log(sigma.double().numpy()))
    order = np.argsort(levels, kind="stable")  # the integer model runs level by level
    acts = np.concatenate([j.acts for j in jobs if j.name == "enc.8x8_block0.conv0"])
    assert np.abs(acts - seen[0][order]).max() <= 1
    assert (acts != seen[0][order]).mean() < 0.005


def test_integer_network_is_as_close_to_float_as_the_fake_quantised(float_net, fake_net, arrays):
    """Single codes differ and spread, so the two are compared by their distance to the float network."""
    args = as_numpy(*batch(64))
    exact, fake = (evaluate.float_denoiser(net)(*args) for net in (float_net, fake_net))
    integer = IntegerUNet(arrays, GoldenEngine()).denoise(*args)
    error_fake, error_integer = ((fake - exact) ** 2).mean(), ((integer - exact) ** 2).mean()
    assert error_integer == pytest.approx(error_fake, rel=0.1)
    assert ((integer - fake) ** 2).mean() < error_fake


def test_integer_tensors_do_not_saturate(arrays):
    extremes = []

    class Watch(GoldenEngine):
        def conv(self, job):
            y = super().conv(job)
            if job.requant is not None:
                extremes.append(((y == INT16_MIN) | (y == INT16_MAX)).mean())
            return y

    IntegerUNet(arrays, Watch()).denoise(*as_numpy(*batch(32)))
    assert len(extremes) % 28 == 0 and max(extremes) == 0


def test_jobs_follow_the_listing(arrays):
    jobs = []
    x, _, labels = as_numpy(*batch(3))
    IntegerUNet(arrays, GoldenEngine(), jobs.append).denoise(x, 0.7, labels)
    listed = layers.layers()
    assert [job.name for job in jobs] == [layer.name for layer in listed]
    for job, layer in zip(jobs, listed, strict=True):
        planes = 1 if layer.bits == 4 else 2
        assert job.bits == layer.bits and job.macs == 3 * layer.macs
        assert job.acts.shape == (3 * planes, layer.C, layer.H, layer.W)
        assert job.weights.shape == (layer.K * planes, layer.C, 3, 3)
        assert job.signed == (layer.name == "conv_in") and (job.requant is None) == (layer.bits == 8)


def test_integer_network_is_deterministic_and_batch_independent(arrays):
    x, sigma, labels = as_numpy(*batch(6))
    net = IntegerUNet(arrays, GoldenEngine())
    whole = net.denoise(x, sigma, labels)
    assert np.array_equal(whole, net.denoise(x, sigma, labels))
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        assert np.array_equal(whole, net.denoise(x, sigma, labels))
    finally:
        torch.set_num_threads(threads)
    for i in range(6):
        assert np.array_equal(whole[i : i + 1], net.denoise(x[i : i + 1], sigma[i], labels[i : i + 1]))


def test_a_wrong_engine_changes_the_image(arrays):
    class Broken(GoldenEngine):
        def conv(self, job):
            y = super().conv(job)
            return (
                y
                if job.name != "dec.4x4_in1.conv0"
                else y + np.int16(500) * (np.arange(y.shape[1]) == 3)[:, None, None]
            )

    args = as_numpy(*batch(2))
    right, wrong = (IntegerUNet(arrays, engine).denoise(*args) for engine in (GoldenEngine(), Broken()))
    assert not np.array_equal(right, wrong)
