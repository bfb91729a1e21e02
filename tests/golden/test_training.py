"""Training, distillation and the metric's classifier, a few steps each."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from sqdm.errors import UserError
from sqdm.golden import classifier, data, distill, evaluate, lower, quantize, train
from sqdm.golden.fake_quant import inputs_of, quant_layers
from sqdm.golden.formats import UINT4
from sqdm.golden.model_file import load_model


def test_split_is_stratified_and_disjoint():
    train_x, train_y, test_x, test_y = data.load_split()
    assert train_x.shape == (1437, 1, 8, 8) and test_x.shape == (360, 1, 8, 8)
    assert train_x.min() == -1 and train_x.max() == 1
    assert torch.bincount(test_y).min() >= 34 and torch.bincount(train_y).min() >= 138


def test_training_lowers_the_loss_and_repeats(monkeypatch):
    monkeypatch.setattr(train, "BATCH", 32)
    losses = []
    first = train.fit(3, 10, lambda done, loss: losses.append(loss))
    assert len(losses) == 10 and np.mean(losses[-3:]) < np.mean(losses[:3])
    again = train.fit(3, 2)
    assert all(torch.equal(a, b) for a, b in zip(train.fit(3, 2).parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.map0.weight, again.map0.weight)


def test_float_checkpoint_survives_the_file(float_net, tmp_path):
    train.save_float(float_net, tmp_path / "float.npz")
    loaded = train.load_float(tmp_path / "float.npz")
    for name, value in float_net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float()), name


def test_distillation_lowers_the_loss(float_net, monkeypatch):
    monkeypatch.setattr(distill, "FIT_IMAGES", 64)
    monkeypatch.setattr(distill, "LEVEL_IMAGES", 36)
    monkeypatch.setattr(distill, "SPARSE_IMAGES", 18)
    losses = []
    distill.distill(float_net, 0, 12, lambda done, loss: losses.append(loss))
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:2])


def test_penalty_acts_only_on_activations_that_round_to_0_or_1():
    steps = torch.tensor([-3.0, 0.0, 0.01, 0.7, 1.49, 1.51, 8.0, 20.0], requires_grad=True)
    count = distill.soft_nonzeros(steps)
    count.sum().backward()
    assert count.tolist() == pytest.approx([0, 0, 0.01 / 1.5, 0.7 / 1.5, 1.49 / 1.5, 1, 1, 1])
    assert steps.grad.tolist() == pytest.approx([0, 0] + [1 / 1.5] * 3 + [0] * 3)


def zero_share(net, inputs, labels):
    """Share of zero codes in the 4-bit layers behind a ReLU, each layer alike."""
    watched = {name: m for name, m in quant_layers(net).items() if m.precision.act == UINT4}
    seen = inputs_of(net, watched, *inputs, labels)
    assert len(watched) == 28
    return np.mean([float((watched[name].act_codes(x) == 0).float().mean()) for name, x in seen.items()])


def test_penalty_raises_the_zeros_and_leaves_no_hook(fake_net, float_net, monkeypatch):
    monkeypatch.setattr(distill, "BATCH", 8)
    monkeypatch.setattr(distill, "SPARSE_IMAGES", 18)
    x, sigma, labels = distill.noisy_batch(36, torch.Generator().manual_seed(5), distill.sampler_sigma(36))
    inputs = distill.network_input(x, sigma)
    shares = {}
    for weight in (0.0, 100.0):
        student = copy.deepcopy(fake_net)
        phase = distill.Phase(3, 3e-3, 1e-2, 2, True, 0, weight)
        distill.improve(student, float_net, phase, torch.Generator().manual_seed(4), lambda loss: None)
        shares[weight] = zero_share(student.eval(), inputs, labels)
        assert all(not layer._forward_pre_hooks for layer in quant_layers(student).values())
    assert shares[100.0] > shares[0.0] + 0.01


def test_penalty_counts_the_added_images_alone(fake_net):
    """Weighted by MAC: as the share over a batch of these images, whatever comes before them."""
    penalty = distill.NonzeroPenalty(fake_net)
    x, sigma, labels = distill.noisy_batch(8, torch.Generator().manual_seed(6), distill.sampler_sigma(8))
    inputs = distill.network_input(x, sigma)
    with torch.no_grad():
        fake_net(*inputs, labels)
        last = float(penalty.share(5))
        fake_net(*(part[5:] for part in inputs), labels[5:])
        assert float(penalty.share(0)) == pytest.approx(last, rel=1e-4)
    penalty.remove()
    assert 0.2 < last < 0.9


def test_classifier_reads_the_test_set(model):
    _, _, test_x, test_y = data.load_split()
    assert classifier.accuracy(model.classifier, test_x.numpy(), test_y.numpy()) > 0.95
    made = classifier.features(model.classifier, data.load_split()[0].numpy())
    assert made.var(0).sum() == pytest.approx(1, rel=0.01)


def test_train_and_quantize_write_a_model_that_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "fit", partial(classifier.fit, epochs=1))
    monkeypatch.setattr(evaluate, "denoiser_mse", partial(evaluate.denoiser_mse, count=32))
    monkeypatch.setattr(evaluate, "generate", partial(evaluate.generate, steps=2))
    monkeypatch.setattr(distill, "BATCH", 16)
    monkeypatch.setattr(distill, "LEVEL_IMAGES", 36)
    monkeypatch.setattr(distill, "SPARSE_IMAGES", 18)
    monkeypatch.setattr(train, "BATCH", 16)
    monkeypatch.setattr(lower, "CALIBRATION_IMAGES", 64)
    stages = []
    trained = quantize.train_float(tmp_path / "f", 0, 2, 10, progress=lambda *a: stages.append(a))
    assert trained["checkpoint"] == str(tmp_path / "f" / "float.npz") and trained["fd"] > 0
    result = quantize.quantize(
        trained["checkpoint"], tmp_path / "q", 0, 2, 10, (1, 2), lambda *a: stages.append(a), command="test"
    )
    assert {stage for stage, _, _ in stages} == {"train", "measure", "distil"}
    assert stages[-1] == ("measure", 40, 40)
    loaded = load_model(tmp_path / "q")
    assert loaded.manifest["quality"]["fd"] == result["fd"] and len(result["fd_per_seed"]) == 2
    assert loaded.manifest["command"] == "test"


def test_quantize_refuses(tmp_path):
    (tmp_path / "junk.npz").write_text("junk")
    with pytest.raises(UserError, match=r"checkpoint must be .*junk.npz"):
        quantize.quantize(tmp_path / "junk.npz", tmp_path / "q")
    assert not (tmp_path / "q").exists()
    with pytest.raises(UserError, match="steps must be at least 1"):
        quantize.quantize(tmp_path / "junk.npz", tmp_path / "q", steps=0)
    with pytest.raises(UserError, match="images must be at least 2"):
        quantize.train_float(tmp_path / "q", images=1)


def test_train_refuses_a_taken_output(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="output folder must be new or empty"):
        quantize.train_float(tmp_path, 0, 1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
