"""The cycle model against the RTL, and its interface."""

from dataclasses import replace

import numpy as np
import pytest

from sqdm.compiler.network import compile_network
from sqdm.golden import sampler
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import load_model
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles import Labels, layer_cycles, parameters, program_cycles, total
from sqdm.sim.cycles.labels import labels_in_memory, nonzeros_in_memory
from sqdm.sim.cycles.network_run import ModelRun
from sqdm.sim.cycles.nonzero_record import NonzeroRecorder, load, save
from sqdm.sim.cycles.random_layers import random_layers
from sqdm.sim.cycles.validate import compare_layers, compare_network, summary
from sqdm.sim.device import LATENCY

TINY = PRESETS["tiny"]
LAYERS = 40
#: Configurations of the complete validation: every kind of array, 1, 2 and 4 slots, buses of 64, 128 and 256 bit.
MIXED = Config(
    name="mixed", dense_arrays=1, sparse_arrays=2, max_channels=128, max_out_channels=128, max_size=16, max_images=8,
    act_rows=1024, psum_depth=16,
)  # fmt: skip
WIDE = Config(
    name="wide", dense_arrays=1, sparse_arrays=1, slots=4, lanes=64, bus_bits=256, max_channels=128,
    max_out_channels=128, max_size=16, max_images=8, slot_channels=32, act_rows=512, psum_depth=4,
)  # fmt: skip


def silent(done: int, remark: str) -> None:
    """No progress bar."""


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def small():
    """A 3x3 layer of codes: config, descriptor, non-zeros, labels."""
    for program, _ in random_layers(TINY, 3):
        d = program.descriptors[0]
        if d["MODE.kernel3"] and not d["MODE.two_planes"] and not d["MODE.scan"] and d["IMAGES"] > 1:
            memory = program.new_memory()
            return TINY, d, nonzeros_in_memory(d, TINY, memory), labels_in_memory(d, TINY, memory)
    return None


def test_random_layers_within_one_percent():
    points = compare_layers(TINY, LAYERS, 1, LATENCY, silent)
    found = summary(points)
    assert found["layers"] >= LAYERS
    assert found["median"] < 0.002
    assert found["within_1_percent"] >= 0.95
    assert found["largest"] < 0.05
    assert abs(found["sum"]) < 0.002
    off = np.abs([point.predicted - point.measured for point in points if not point.residual])
    assert len(off) >= LAYERS // 2
    # Cycles. A latency that is off by two shows in every layer that has it, a queue's depth in few but by a hundred.
    assert np.mean(off <= 2) >= 0.65
    assert off.max() <= 60


def test_counters_add_up(small):
    counters = layer_cycles(*small).counters
    assert counters["CYCLES"] == counters["ACTIVE"] + sum(layer_cycles(*small).stalls.values())
    assert 0 < counters["ACTIVE"] <= counters["BUSY_DENSE"] + counters["BUSY_SPARSE"]


def test_zeros_save_cycles(small):
    config, d, nonzeros, labels = small
    sparse = Labels(labels.order, np.zeros_like(labels.dense))
    ones, zeros = np.ones_like(nonzeros), np.zeros_like(nonzeros)
    assert layer_cycles(config, d, zeros, sparse).cycles < layer_cycles(config, d, ones, sparse).cycles
    dense = Labels(labels.order, np.full_like(labels.dense, d["CHANNELS"]))
    assert layer_cycles(config, d, zeros, dense).cycles == layer_cycles(config, d, ones, dense).cycles


def test_latency_of_memory_counts(small):
    assert layer_cycles(*small, latency=40).cycles > layer_cycles(*small, latency=20).cycles


def test_map_of_the_wrong_shape(small):
    config, d, nonzeros, labels = small
    with pytest.raises(ValueError, match="must be of shape"):
        layer_cycles(config, d, nonzeros[..., :-1], labels)


def test_labels_of_the_wrong_shape(small):
    config, d, nonzeros, labels = small
    with pytest.raises(ValueError, match="labels of"):
        layer_cycles(config, d, nonzeros, Labels(labels.order[:, :-1], labels.dense))


def test_descriptor_of_the_wrong_kind(small):
    config, d, nonzeros, labels = small
    other = replace(d, values=d.values | {"CONTROL.kind": int(Kind.MAP)})
    with pytest.raises(ValueError, match="descriptor must be a CONV, not MAP"):
        layer_cycles(config, other, nonzeros, labels)


def test_latencies_are_those_of_the_hardware(small, monkeypatch):
    """A longer pipeline is longer in the model too."""
    before = layer_cycles(*small).cycles
    parameters.machine.cache_clear()
    monkeypatch.setattr(parameters.PostProcessor, "LATENCY", parameters.PostProcessor.LATENCY + 100)
    try:
        assert layer_cycles(*small).cycles >= before + 100
    finally:
        parameters.machine.cache_clear()


def test_layers_overlap(model):
    """A program takes fewer cycles than its layers with a pause after each."""
    program = compile_network(model.arrays, 2, PRESETS["default"])
    nonzeros, labels = {}, {}
    rng = np.random.default_rng(0)
    for number, d in enumerate(program.descriptors):
        if d.kind == Kind.CONV:
            found = nonzeros_in_memory(d, program.config, program.memory)
            nonzeros[number] = rng.random(found.shape) < 0.3
            labels[number] = labels_in_memory(d, program.config, program.memory)
    predictions = program_cycles(program, nonzeros, labels)
    paused = program_cycles(program, nonzeros, labels, pause=True)
    assert len(predictions) == len(program.descriptors)
    assert 0 < total(predictions)["CYCLES"] < total(paused)["CYCLES"]


def record(model, images, steps):
    """Non-zero maps of a sampling run, bool (evaluations, planes, N, C, H, W) by layer."""
    recorder = NonzeroRecorder()
    net = IntegerUNet(model.arrays, recorder)
    sampler.heun(net.denoise, sampler.latents(images, 0), np.arange(images), steps)
    return {name: np.stack(maps) for name, maps in recorder.maps.items()}


def test_run_follows_policy_and_period(model):
    maps = record(model, 2, 2)
    cycles = {}
    for key, options in {
        "balanced": {},
        "dense": {"policy": Policy.DENSE},
        "never": {"period": 99},
    }.items():
        run = ModelRun(compile_network(model.arrays, 2, PRESETS["paper"]), LATENCY, **options)
        for evaluation in range(3):
            run.evaluate(run.operands({name: found[evaluation] for name, found in maps.items()}))
        cycles[key] = run.total()["CYCLES"]
        assert len(run.counters) == 3
    assert cycles["balanced"] < cycles["dense"]
    assert cycles["never"] != cycles["balanced"]


def test_record_survives_its_file(model, tmp_path):
    maps = record(model, 1, 1)
    save(tmp_path / "maps.npz", maps)
    found = load(tmp_path / "maps.npz")
    assert maps.keys() == found.keys()
    assert all(np.array_equal(maps[name], found[name]) for name in maps)


@pytest.mark.slow
@pytest.mark.parametrize("config", [*(PRESETS[n] for n in ("default", "paper", "fpga", "tiny")), MIXED, WIDE],
                         ids=lambda config: config.name)  # fmt: skip
def test_many_random_layers(config):
    found = summary(compare_layers(config, 60, 1, LATENCY, silent))
    assert found["median"] < 0.002
    assert found["within_1_percent"] >= 0.85
    assert found["largest"] < 0.12


@pytest.mark.slow
def test_whole_sampling_run():
    found = compare_network(PRESETS["default"], 10, 18, 0, Policy.BALANCED, silent)
    layers, runs = summary(found.points), summary(found.runs)
    assert layers["within_1_percent"] >= 0.99
    assert layers["largest"] < 0.02
    assert runs["within_1_percent"] == 1
