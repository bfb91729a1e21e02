"""Fake-quantised network and its lowering: scales, factors per noise level, multipliers."""

import copy

import numpy as np
import pytest
import torch

from sqdm.golden import distill, lower
from sqdm.golden.fake_quant import FakeAttention, fit_levels, quant_layers
from sqdm.golden.formats import INT4, INT8, UINT4, UINT8, Precision, precision
from sqdm.golden.quant_layer import QuantLayer, fit_scale, round_through
from sqdm.golden.scalars import Scalars
from sqdm.golden.unet import Attention

NARROW = precision(False, 4, 4)  # UINT4 activations, 4-bit weights


def batch(count, seed=2):
    return distill.noisy_batch(count, torch.Generator().manual_seed(seed))


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
    layer = QuantLayer(conv, NARROW)
    layer.initialise(x)
    assert torch.allclose(layer(x), conv(x), atol=1e-5)


def test_every_layer_learns(fake_net):
    fake_net.zero_grad()
    x, sigma, labels = batch(16)
    (fake_net(*distill.network_input(x, sigma), labels) ** 2).mean().backward()
    for name, layer in quant_layers(fake_net).items():
        for label in ("weight", "log_act", "log_weight") + ("log_level",) * (layer.log_level is not None):
            assert getattr(layer, label).grad.abs().max() > 0, f"{name}.{label}"
    for name, module in fake_net.named_modules():
        if isinstance(module, FakeAttention):
            assert all(scale.grad.abs() > 0 for scale in (module.log_q, module.log_k, module.log_v)), name
    for parameter in fake_net.parameters():
        parameter.grad = None


def test_noise_level_scales_codes_and_output():
    conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3) - 4)
    layer = QuantLayer(conv, NARROW)
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
    scalars, name = Scalars(arrays), "dec.8x8_up.conv1"
    top = int(arrays[f"{name}/level_scale"].argmax())
    assert scalars.requant(name, top)[0].max() > 32767
    whole = scalars.requant(name, top)[0] / arrays[f"{name}/level_scale"][top]
    for level, scale in enumerate(arrays[f"{name}/level_scale"]):
        assert np.allclose(scalars.requant(name, level)[0], whole * scale, atol=1.1)


def test_constants_of_a_4bit_skip_follow_the_noise_level(arrays):
    scalars, name = Scalars(arrays), "dec.4x4_block0.skip"
    table, unit = arrays[f"{name}/level_scale"].astype(float), arrays[f"{name}/unit"].astype(float)
    shift = scalars.act_shift(name)
    for level in range(18):
        a, b = scalars.static_constants(name, level)
        assert a.shape == b.shape == (1, 128) and not b.any() and np.abs(a).max() <= 32767
        assert np.abs(a[0] - unit / table[level] * 2.0**shift).max() <= 0.5
    assert scalars.static_constants(name, int(table.argmin()))[0].max() > 16383


def test_8bit_layers_have_one_constant_for_all_channels_and_levels(arrays):
    scalars = Scalars(arrays)
    for name in ("dec.8x8_block2.skip", "dec.4x4_in0.attention.q", "dec.4x4_in0.attention.k"):
        a = [scalars.static_constants(name, level)[0] for level in (0, 17)]
        assert len(np.unique(a)) == 1 and 16383 < a[0].max() <= 32767


def test_signed_4bit_layer_uses_all_of_its_codes():
    conv = torch.nn.Conv2d(2, 3, 1)
    layer = QuantLayer(conv, precision(True, 4, 4))
    x = torch.arange(-8.0, 8.0).reshape(1, 1, 4, 4).repeat(1, 2, 1, 1) * 0.5
    layer.initialise(x)
    codes = layer.act_codes(x)
    assert layer.precision.act == INT4 and codes.min() == -8 and codes.max() == 7
    assert torch.allclose(codes * 0.5, x) and layer.log_level.shape == (18,)


def test_formats_reach_their_bounds():
    assert [(f.low, f.high, f.bits, f.signed) for f in (UINT4, INT4, UINT8, INT8)] == [
        (0, 15, 4, False),
        (-8, 7, 4, True),
        (0, 255, 8, False),
        (-119, 119, 8, True),
    ]
    for bits, limit in ((4, 7), (8, 119)):
        assert precision(True, 8, bits).weight_limit == limit and precision(True, 8, bits).weight_bits == bits
    assert not precision(True, 8, 4).is_4x4 and not precision(True, 4, 8).is_4x4 and precision(False, 4, 4).is_4x4


def test_fake_attention_follows_the_float_one():
    """At 8 bits throughout: within a few percent of what the attention adds to its input."""
    torch.manual_seed(5)
    exact = Attention(64)
    torch.nn.init.normal_(exact.proj.weight, std=0.1)
    x = torch.randn(4, 64, 4, 4)
    fake = FakeAttention(copy.deepcopy(exact), *[precision(True, 8, 8)] * 3)
    with torch.no_grad():
        mixed = fake.mix(x)  # any sample of the right shape does for a first projection scale
        fake.initialise(exact, exact.norm(x), mixed)
        fake.initialise(exact, exact.norm(x), fake.mix(x))
        y, target = fake(x), exact(x)
    assert (y - target).abs().max() < 0.05 * (target - x * 0.5**0.5).abs().max()


def test_channel_scale_folds_into_the_weights_exactly():
    conv = torch.nn.Conv2d(3, 2, 1)
    layer = QuantLayer(conv, NARROW)
    with torch.no_grad():
        layer.log_act.copy_(torch.tensor([0.1, 1.0, 3.0]).log())
        layer.log_weight.fill_(-12.0)  # weights finer than float32 shows are clamped, so widen the range instead
        layer.precision = Precision(UINT4, 1 << 22)
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
