"""EDM's CIFAR-10 layer shapes (up to 512 input and 256 output channels, 32x32) on the `default` RTL, bit for bit."""

import numpy as np
import pytest

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.operands import Convolution
from sqdm.compiler.program import Builder
from sqdm.golden.requant import Requant
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import Kind, Output, Resample
from sqdm.sim.device import Device
from sqdm.sim.lock_step import LockStep

pytestmark = pytest.mark.slow  # minutes: millions of cycles

CONFIG = PRESETS["default"]


@pytest.fixture(scope="module")
def device():
    return Device(CONFIG)


def check(device, program):
    """The device leaves exactly the golden machine's memory."""
    lock_step = LockStep(program)
    lock_step.start(program.new_memory())
    device.load(program)
    device.run_program(program)
    lock_step.compare(len(program.descriptors) - 1, device.memory[: program.memory.size])
    assert sum(lock_step.compared.values()) > 0
    assert not any(lock_step.mismatches.values()), lock_step.first_mismatch


def layer(rng, channels, out_channels, size, kernel, act_bits=4, weight_bits=4, **kwargs):
    """A layer on INT16 planes; about 60% of its codes are zero."""
    acts = rng.integers(-3000, 3000, (1, channels, size, size)).astype(np.int16)
    top = 7 if weight_bits == 4 else 119
    weights = rng.integers(-top, top + 1, (out_channels, channels, kernel, kernel)).astype(np.int8)
    a = rng.integers(50, 100, (1, channels))
    requant = Requant(
        rng.integers(1, 2000, out_channels).astype(np.uint16),
        14,
        rng.integers(-3000, 3000, out_channels).astype(np.int16),
    )
    shift = 14 if act_bits == 4 else 10
    bits = {"act_bits": act_bits, "weight_bits": weight_bits, "constants": (a, -600 * a), "normalise_shift": shift}
    return Convolution(acts, weights, **({"requant": requant} | bits | kwargs))


def residual(rng, out_channels, size):
    values = rng.integers(-9000, 9000, (1, out_channels, size, size)).astype(np.int16)
    return {"residual": values, "residual_multiplier": 23170, "residual_shift": 15, "statistics": True}


LAYERS = {
    "3x3, 512 to 256 channels": lambda rng: layer(rng, 512, 256, 32, 3, scan=False, statistics=True),
    "3x3, 256 to 256 channels, residual": lambda rng: layer(rng, 256, 256, 32, 3, **residual(rng, 256, 32)),
    "1x1, 512 to 256 channels, 8 bit": lambda rng: layer(rng, 512, 256, 32, 1, 8, 8, scan=False),
    "first layer, 8 bit": lambda rng: layer(rng, 3, 128, 32, 3, 8, 8, signed=True),
    "last layer, 8 bit": lambda rng: layer(rng, 256, 3, 32, 3, 8, 8),
    "attention projection to weights": lambda rng: layer(rng, 256, 256, 16, 1, 4, 8, output=Output.WEIGHTS),
    "attention scores": lambda rng: layer(rng, 256, 256, 16, 1, 8, 8, signed=True, requant=None),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(device, name):
    check(device, compile_convolution(LAYERS[name](np.random.default_rng(1)), CONFIG))


@pytest.mark.parametrize(("resample", "size"), [(Resample.DOWN, 32), (Resample.UP, 16)])
def test_resampling(device, resample, size):
    rng = np.random.default_rng(2)
    builder = Builder(CONFIG)
    channels, out = 256, size // 2 if resample == Resample.DOWN else 2 * size
    planes = rng.integers(-32768, 32768, channels * size * size).astype("<i2").view(np.uint8)
    source = builder.store("x", planes, "int16")
    target = builder.allocate("y", channels * out * out * 2, "int16")
    statistics = builder.allocate("statistics", channels * 16, "statistics")
    values = {
        "MODE.resample": int(resample), "MODE.statistics": 1, "CHANNELS": channels, "HEIGHT": size, "WIDTH": size,
        "IMAGES": 1, "ACT_BASE": source.address, "ACT_STRIDE": 2 * size * size, "OUT_BASE": target.address,
        "OUT_STRIDE": 2 * out * out, "STATISTICS_BASE": statistics.address,
    }  # fmt: skip
    builder.add("resample", Kind.MAP, values)
    check(device, builder.finish())
