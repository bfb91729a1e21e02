"""The integer network: agreement with the fake-quantised one, its tensors by name, determinism."""

import numpy as np
import pytest
import torch

from sqdm.golden import distill, edm, evaluate, formats, layers, sampler
from sqdm.golden.conv import INT16_MAX, add_residual, conv_psum, requantise
from sqdm.golden.formats import UINT8
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.scalars import Scalars
from sqdm.golden.unet import BLOCKS


def batch(count, seed=2):
    return distill.noisy_batch(count, torch.Generator().manual_seed(seed))


def as_numpy(x, sigma, labels):
    return x.double().numpy(), sigma.double().numpy(), labels.numpy()


def test_first_layers_repeat_the_fake_quantised_codes(fake_net, arrays):
    """Before differences can multiply: the codes of the first 4-bit layer agree but for ties."""
    seen, codes = [], []
    hook = fake_net.get_submodule("blocks.enc_8x8_block0.conv0").register_forward_pre_hook(
        lambda layer, args: seen.append(layer.act_codes(args[0]).detach().numpy())
    )
    x, sigma, labels = batch(32)
    with torch.no_grad():
        edm.denoise(fake_net, x, sigma, labels)
    hook.remove()
    name = "enc.8x8_block0.conv0/codes"
    IntegerUNet(arrays, lambda n, tensor: codes.append(tensor) if n == name else None).denoise(
        *as_numpy(x, sigma, labels)
    )
    levels = sampler.nearest_level(np.log(sigma.double().numpy()))
    order = np.argsort(levels, kind="stable")  # the integer model runs level by level
    acts = np.concatenate(codes).astype(int)
    assert np.abs(acts - seen[0][order]).max() <= 1
    assert (acts != seen[0][order]).mean() < 0.005


def test_integer_network_is_as_close_to_float_as_the_fake_quantised(float_net, fake_net, arrays):
    """Single codes differ and spread, so the two are compared by their distance to the float network."""
    args = as_numpy(*batch(64))
    exact, fake = (evaluate.float_denoiser(net)(*args) for net in (float_net, fake_net))
    integer = IntegerUNet(arrays).denoise(*args)
    error_fake, error_integer = ((fake - exact) ** 2).mean(), ((integer - exact) ** 2).mean()
    assert error_integer == pytest.approx(error_fake, rel=0.1)
    assert ((integer - fake) ** 2).mean() < error_fake


def tensors(arrays, *args):
    """Every tensor of an evaluation, a list of (name, array)."""
    found = []
    IntegerUNet(arrays, lambda name, tensor: found.append((name, tensor))).denoise(*args)
    return found


def test_integer_tensors_do_not_saturate(arrays):
    """But for v, whose clamp is part of its format."""
    found = tensors(arrays, *as_numpy(*batch(32)))
    outputs = [tensor for name, tensor in found if tensor.dtype == np.int16 and not name.endswith(".v")]
    assert len(outputs) >= 45 and all((abs(y.astype(int)) < INT16_MAX).all() for y in outputs)


def test_a_batch_of_two_noise_levels_runs_level_by_level(arrays):
    x, _, labels = as_numpy(*batch(3))
    found = tensors(arrays, x, sampler.LEVELS[[4, 9, 4]], labels)
    assert [len(tensor) for name, tensor in found if name == "enc.4x4_down.conv0"] == [2, 1]


def test_every_layer_tells_its_codes_and_output(arrays):
    x, _, labels = as_numpy(*batch(3))
    found = tensors(arrays, x, 0.7, labels)
    listed = layers.layers()
    assert len({name for name, _ in found}) == len(found)
    names = [layer.name for layer in listed]
    assert [name for name, _ in found if name in names] == names
    found = dict(found)
    for layer in listed:
        codes, out = found[f"{layer.name}/codes"], found[layer.name]
        scores = layer.name.endswith("scores")
        if not layer.name.endswith("mix"):
            assert codes.shape == (3, layer.C, layer.H, layer.W), layer.name
        assert codes.dtype == (np.uint8 if layer.act == UINT8 else np.int8), layer.name
        assert layer.act.low <= codes.min() and codes.max() <= layer.act.high, layer.name
        assert out.shape == ((3, 16, 16) if scores else (3, layer.K, layer.H, layer.W)), layer.name
        assert out.dtype == (np.int32 if scores else np.int16), layer.name
        if f"{layer.name}/weights" in arrays:
            weights = arrays[f"{layer.name}/weights"]
            assert weights.shape == (layer.K, layer.C, layer.kernel, layer.kernel) and weights.dtype == np.int8
            assert np.abs(weights.astype(int)).max() <= formats.WEIGHT_LIMIT[layer.weight_bits], layer.name
    others = set(found) - {name + end for name in names for end in ("", "/codes")}
    blocks = {spec.name for spec in BLOCKS}
    attention = {f"{spec.name}.attention" for spec in BLOCKS if spec.attention}
    assert others == blocks | {f"{b}/input" for b in blocks} | attention | {f"{a}.scores/weights" for a in attention}


def test_layer_outputs_follow_from_the_codes(arrays):
    """What hardware repeats: psums of the codes, requantised; the attention's products by their definition."""
    x, _, labels = as_numpy(*batch(2))
    found, scalars = dict(tensors(arrays, x, sampler.LEVELS[6], labels)), Scalars(arrays)
    for layer in layers.layers():
        if f"{layer.name}/weights" in arrays:
            psum = conv_psum(found[f"{layer.name}/codes"], arrays[f"{layer.name}/weights"])
            y = requantise(psum, *scalars.requant(layer.name, 6))
            y = np.clip(y, -119, 119) if layer.name.endswith(".v") else y
            assert np.array_equal(y, found[layer.name]), layer.name
    name = "dec.4x4_block2.attention"
    q, k, v = (
        found[f"{name}.{part}"].reshape(2, 64, 16).astype(np.int64) for part in ("scores/codes", "scores/weights", "v")
    )
    score, p8 = found[f"{name}.scores"], found[f"{name}.mix/codes"]
    assert np.array_equal(score, np.einsum("ncp,ncq->npq", q, k))
    assert np.array_equal(p8, scalars.softmax_codes("dec.4x4_block2", score))
    assert np.abs(p8.sum(2, dtype=int) - 255).max() <= 8  # 16 roundings of at most a half
    mixed = np.einsum("ncq,npq->ncp", v, p8.astype(np.int64)).reshape(2, 64, 4, 4)
    assert np.array_equal(requantise(mixed, *scalars.requant(f"{name}.mix", 6)), found[f"{name}.mix"])


def test_block_is_conv1_plus_skip(arrays):
    x, _, labels = as_numpy(*batch(2))
    found = dict(tensors(arrays, x, 0.7, labels))
    name = "dec.8x8_block1"
    assert np.array_equal(found[name], add_residual(found[f"{name}.conv1"], found[f"{name}.skip"], 1, 0))
    name = "enc.8x8_block0"
    assert np.array_equal(found[name], add_residual(found[f"{name}.conv1"], found[f"{name}/input"], 23170, 15))


def test_integer_network_is_deterministic_and_batch_independent(arrays):
    x, sigma, labels = as_numpy(*batch(6))
    net = IntegerUNet(arrays)
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


def test_a_wrong_weight_changes_the_image(arrays):
    wrong = {name: array.copy() for name, array in arrays.items()}
    wrong["dec.4x4_in0.attention.proj/weights"][3] *= -1
    args = as_numpy(*batch(2))
    right, broken = (IntegerUNet(given).denoise(*args) for given in (arrays, wrong))
    assert not np.array_equal(right, broken)
