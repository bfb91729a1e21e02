"""Synthetic workloads: the shapes of the UNet, densities from the digits run, layers that add up."""

from dataclasses import replace

import numpy as np
import pytest

from sqdm.errors import UserError
from sqdm.rtl.config import PRESETS
from sqdm.rtl.registers import Policy
from sqdm.sim.bench.trace import Sampling
from sqdm.sim.cycles import layer_cycles
from sqdm.sim.cycles.labels import nonzero_counts, sorted_labels
from sqdm.sim.engine import dense_equivalent
from sqdm.sim.explore import synthetic
from sqdm.sim.explore.shapes import Shape, cifar10, read_shapes
from sqdm.sim.explore.synthetic import Synthetic

TINY = PRESETS["tiny"]


@pytest.fixture(autouse=True)
def short_run(monkeypatch):
    """Densities of a short run instead of the whole one."""
    synthetic.measured_densities.cache_clear()
    monkeypatch.setattr(synthetic, "MEASURED", Sampling(2, 2, 0))
    yield
    synthetic.measured_densities.cache_clear()


def test_unet_has_the_shapes_of_edm():
    shapes = {shape.name: shape for shape in cifar10()}
    first = [name for name in shapes if name.endswith(".conv0")]
    assert len(first) == 4 + 5 + 5 + 2 + 5 + 1 + 5 + 1 + 5  # blocks of encoder and decoder
    assert (
        sum(name.endswith(".qk") for name in shapes) == 4 + 1 + 1
    )  # encoder at 16x16, the decoder's first at 8x8 and last at 16x16
    assert shapes["enc.32x32_block0.conv0"].channels == 128
    assert [shapes[f"dec.32x32_block{n}.conv0"].channels for n in range(5)] == [512, 512, 512, 512, 384]
    weights = sum(s.channels * s.out_channels * s.kernel**2 for s in shapes.values() if s.role not in ("scores", "mix"))
    assert 0.9 * 55.7e6 < weights < 55.7e6  # the paper's 55.7 M parameters include embeddings and their layers


def test_densities_are_those_of_the_digits_run():
    workload = Synthetic("x", (Shape("a", 64, 32, 8, 8),), steps=2)
    known = synthetic.measured_densities()["conv1", 1]
    found = np.stack([workload.densities(0, evaluation) for evaluation in range(3)])
    assert found.shape == (3, 1, 64) and known.shape[:2] == (3, 1)
    columns = {tuple(known[:, 0, n]) for n in range(known.shape[2])}
    assert {tuple(found[:, 0, n]) for n in range(64)} <= columns
    assert np.ptp(found, axis=0).max() > 0.05  # drift
    assert np.ptp(found[0]) > 0.3  # channels differ


def test_maps_have_their_densities():
    workload = Synthetic("x", (Shape("a", 16, 32, 32, 32),), images=2, steps=2)
    maps = workload.maps(0, 1)
    assert maps.shape == (1, 2, 16, 32, 32) and maps.dtype == bool
    np.testing.assert_allclose(maps.mean(axis=(1, 3, 4)), workload.densities(0, 1), atol=0.05)
    assert np.array_equal(maps, workload.maps(0, 1))
    assert not np.array_equal(maps, replace(workload, seed=1).maps(0, 1))


def test_share_of_zeros_that_is_asked_for():
    workload = Synthetic("x", (Shape("a", 256, 32, 8, 8, zeros=0.9),), steps=2)
    assert np.mean([workload.densities(0, e).mean() for e in range(3)]) == pytest.approx(0.1, abs=0.002)


def test_layers_add_up_and_strips_are_cut():
    shapes = (Shape("a", 64, 64, 32, 16), Shape("b", 32, 200, 8, 8, 1, role="skip"),
              Shape("c", 32, 16, 4, 4, 1, 8, 8, role="scores"), Shape("d", 16, 32, 4, 4, 1, 8, 8, role="mix"),
              Shape("e", 3, 32, 8, 8, 3, 8, 8, role="conv_in"))  # fmt: skip
    assert len(synthetic.compiled(replace(shapes[0], name="layer"), 2, TINY).convs) > 1  # rows
    assert len(synthetic.compiled(replace(shapes[1], name="layer"), 2, TINY).convs) == 2  # output channels
    whole = Synthetic("x", shapes, images=2, steps=2, sampled=2)
    parts = [replace(whole, shapes=shapes[:n]).predict(TINY, Policy.BALANCED, 20) for n in range(6)]
    cycles, products = [one.counters["CYCLES"] for one in parts], [one.products for one in parts]
    assert cycles[0] == products[0] == 0
    assert np.all(np.diff(cycles) > 0) and np.all(np.diff(products) > 0)


def test_a_layer_costs_what_layer_cycles_says():
    shape = Shape("layer", 64, 64, 8, 8)
    workload = Synthetic("x", (shape,), images=2, steps=1)  # one evaluation: tables come from its own maps
    layer, maps = synthetic.compiled(shape, 2, TINY), workload.maps(0, 0)
    (d,) = layer.convs.values()
    labels = sorted_labels(d, TINY, nonzero_counts(maps), Policy.BALANCED)
    found = workload.predict(TINY, Policy.BALANCED, 20).counters
    alone = layer_cycles(TINY, d, maps, labels)
    for name in ("ACTIVE", "BUSY_DENSE", "BUSY_SPARSE", "STALL_ACTS", "STALL_WEIGHTS"):
        assert found[name] == alone.counters[name] > 0
    assert 0 <= found["CYCLES"] - alone.cycles < 100  # the descriptor that ends the program


def test_more_zeros_take_fewer_cycles_and_none_in_dense_arrays():
    sparse = replace(TINY, dense_arrays=0, sparse_arrays=2)
    cycles = {}
    for zeros in (0.2, 0.8):
        workload = Synthetic("x", (Shape("a", 64, 64, 8, 8, zeros=zeros),), images=16, steps=2, sampled=1)
        configs = ((sparse, Policy.BALANCED), (dense_equivalent(TINY), Policy.DENSE))
        cycles[zeros] = [workload.predict(config, policy, 20).counters["CYCLES"] for config, policy in configs]
    assert cycles[0.8][0] < 0.6 * cycles[0.2][0]
    assert cycles[0.8][1] == cycles[0.2][1]


def test_layers_of_a_file(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text('[[layer]]\nname = "a"\nchannels = 8\nout_channels = 4\nheight = 6\nwidth = 5\nzeros = 0.5\n')
    assert read_shapes(path) == (Shape("a", 8, 4, 6, 5, zeros=0.5),)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", r"\[\[layer\]\]"),
        ("x = 1\n", r"\[\[layer\]\]"),
        ("[[layer]]\nchannels = 8\n", "out_channels, height, width"),
        ("[[layer]]\nchannels = 8\nout_channels = 4\nheight = 6\nwidth = 5\nkernel = 5\n", "kernel of layer layer0"),
        ("[[layer]]\nchannels = 0\nout_channels = 4\nheight = 6\nwidth = 5\n", "channels of layer layer0"),
        ("[[layer]]\nchannels = 8\nout_channels = 4\nheight = 6\nwidth = 5\nzeros = 1.0\n", "zeros of layer"),
        ("[[layer]]\nchannels = 8\nout_channels = 4\nheight = 6\nwidth = 5\nrole = 'x'\n", "role of layer"),
        ("[[layer]]\ncolour = 8\n", "'colour'"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, fragment):
    (tmp_path / "net.toml").write_text(text)
    with pytest.raises(UserError, match=fragment):
        read_shapes(tmp_path / "net.toml")
