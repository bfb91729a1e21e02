"""Programs through the compiled `tiny` accelerator: results, counters, WAITs, errors, and what follows after them."""

import numpy as np
import pytest

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.operands import Convolution
from sqdm.compiler.program import Builder
from sqdm.errors import DeviceError
from sqdm.golden.conv import conv_psum
from sqdm.golden.requant import Requant
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import FIELDS, Kind
from sqdm.rtl.registers import COUNTERS, STALLS, Policy
from sqdm.sim.device import Device
from sqdm.sim.engine import dense_equivalent
from sqdm.sim.lock_step import LockStep
from sqdm.sim.simulation import Fault

TINY = PRESETS["tiny"]


def convolution(seed=1, shape=(12, 20, 5, 5), kernel=3, images=2, zeros=0.5, raw=True, **options):
    """A random layer of (C, K, H, W); activations 1..15 but for a share of ``zeros``."""
    draw = np.random.default_rng(seed)
    channels, out_channels, height, width = shape
    size = (images, channels, height, width)
    acts = (draw.integers(1, 16, size) * (draw.random(size) >= zeros)).astype(np.int8)
    weights = draw.integers(-7, 8, (out_channels, channels, kernel, kernel)).astype(np.int8)
    requant = Requant(np.full(out_channels, 900, np.uint16), 10, np.full(out_channels, -3, np.int16))
    return Convolution(acts, weights, None if raw else requant, **options)


def assert_golden(device, conv, **options):
    """Run, compare all memory with the golden machine's, return the counters."""
    program = compile_convolution(conv, device.config)
    step = LockStep(program, options.get("policy", Policy.BALANCED))
    step.start(program.memory)
    counters = device.run_program(program, **options).counters
    step.compare(len(program.descriptors) - 1, device.memory)
    assert step.first_mismatch is None
    return counters


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(
    ("seed", "shape", "kernel", "images", "zeros", "raw"),
    [
        (1, (1, 1, 1, 1), 1, 1, 0.0, True),
        (2, (7, 40, 3, 4), 3, 3, 0.7, False),
        (3, (33, 20, 4, 4), 1, 2, 0.3, True),
        (4, (20, 16, 8, 2), 3, 1, 1.0, False),
    ],
)
def test_memory_equals_golden(device, seed, shape, kernel, images, zeros, raw, policy):
    conv = convolution(seed, shape, kernel, images, zeros, raw, update=True)
    counters = assert_golden(device, conv, policy=policy)
    assert set(counters) == set(COUNTERS)
    assert counters["CYCLES"] == counters["ACTIVE"] + sum(counters[name] for name in STALLS)
    assert counters["NONZEROS"] == np.count_nonzero(conv.acts)


def test_sums_are_read_back(device):
    conv = convolution(5)
    program = compile_convolution(conv, TINY)
    device.run_program(program)
    np.testing.assert_array_equal(program.outputs(device.memory), conv_psum(conv.acts, conv.weights))


def test_strips_and_pause_count_each_descriptor(device):
    conv = convolution(6, (20, 16, 40, 6), images=1, zeros=0.8)  # higher than max_size
    program = compile_convolution(conv, TINY)
    assert len(program.descriptors) > 2
    whole = device.run_program(program)
    assert not whole.steps
    run = device.run_program(program, pause=True)
    np.testing.assert_array_equal(program.outputs(device.memory), conv_psum(conv.acts, conv.weights))
    assert list(run.steps) == list(range(len(program.descriptors) - 1))
    for name in ("OPS_SPARSE", "OPS_DENSE", "DENSE_CHANNELS", "WRITES"):
        assert sum(step[name] for step in run.steps.values()) == run.counters[name] == whole.counters[name]
    assert whole.counters["CYCLES"] <= run.counters["CYCLES"]


def waiting_program(notes):
    """Copies a plane, waits, copies another one; the host step at the WAIT notes and changes the second source."""
    builder = Builder(TINY)
    first = builder.store("first", np.arange(32, dtype=np.uint8), "int16")
    second = builder.allocate("second", 32, "int16")
    copies = [builder.allocate(f"copy{i}", 32, "int16") for i in range(2)]

    def copy(source, target):
        values = {"CHANNELS": 1, "HEIGHT": 4, "WIDTH": 4, "IMAGES": 1}
        places = {"ACT": source, "OUT": target}
        bases = {f"{name}_BASE": region.address for name, region in places.items()}
        strides = {f"{name}_{kind}": 32 for name in places for kind in ("STRIDE", "IMAGE_STRIDE")}
        builder.add("copy", Kind.MAP, values | bases | strides)

    def step(memory):
        notes.append(memory[copies[0].slice].copy())
        memory[second.slice] = 7

    copy(first, copies[0])
    builder.wait("host", step)
    copy(second, copies[1])
    return builder.finish(), copies


@pytest.mark.parametrize("pause", [False, True])
def test_host_steps_run_at_waits(device, pause):
    notes = []
    program, copies = waiting_program(notes)
    run = device.run_program(program, pause=pause)
    assert [note.tolist() for note in notes] == [list(range(32))]
    assert device.memory[copies[1].slice].tolist() == [7] * 32
    assert run.counters["STALL_MAP"] > 0
    tags = []
    device.run_program(program, host=lambda tag, memory: tags.append(tag))
    assert tags == [1]
    assert not device.memory[copies[1].slice].any()


def test_tables_live_on_without_load(device):
    conv = convolution(8, (40, 16, 6, 6), scan=False, update=True)
    program = compile_convolution(conv, TINY)
    first = device.run_program(program).counters["DENSE_CHANNELS"]
    again = device.run_program(program, load=False).counters["DENSE_CHANNELS"]
    fresh = device.run_program(program).counters["DENSE_CHANNELS"]
    assert first == fresh
    assert again != first


def test_error_names_the_descriptor_and_device_recovers(device):
    program = compile_convolution(convolution(9, scan=False), TINY)
    good = program.memory.copy()
    program.memory[program.regions["tables.0"].address + TINY.bus_bytes] = 99
    with pytest.raises(DeviceError, match=r"not BAD_TABLE at descriptor 0 \(layer\.0\)"):
        device.run_program(program)
    program.memory[:] = good
    assert_golden(device, convolution(9))


def test_address_outside_the_window_is_an_error(device):
    program = compile_convolution(convolution(9), TINY)
    program.memory[program.base :].view("<u4")[FIELDS["WEIGHT_BASE"].offset // 4] = 0x7FFFFF00
    with pytest.raises(DeviceError, match=r"BAD_ADDRESS at descriptor 0 .* address 0x(7fffff|80000)"):
        device.run_program(program)
    assert_golden(device, convolution(9))


@pytest.mark.parametrize(
    ("fault", "skipped", "status"),
    [
        (Fault.FAIL_READ, 20, "BUS_ERROR"),
        (Fault.FAIL_WRITE, 3, "BUS_ERROR"),
        (Fault.DROP_READ, 20, "TIMEOUT"),
        (Fault.STOP_READS, 20, "TIMEOUT"),
        (Fault.STOP_WRITES, 3, "TIMEOUT"),
    ],
)
def test_faults_of_the_memory_end_the_program(device, fault, skipped, status):
    device.write("WATCHDOG", 2000)
    device.simulation.break_memory(fault, skipped)
    with pytest.raises(DeviceError, match=status):
        device.run_program(compile_convolution(convolution(9), TINY))
    device.simulation.break_memory(Fault.NONE)
    assert_golden(device, convolution(9))


def test_cycle_limit_raises_and_device_recovers(device, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sqdm.sim.device.cycle_limit", lambda *_: 50)
        with pytest.raises(DeviceError, match=r"cycle limit \(50\)"):
            assert_golden(device, convolution(9))
    assert_golden(device, convolution(9))


def test_latency_costs_cycles_not_results(device):
    conv = convolution(10, (16, 16, 4, 4))
    near, far = assert_golden(device, conv), assert_golden(Device(TINY, latency=300), conv)
    assert far["CYCLES"] >= near["CYCLES"] + 280


def test_memory_traffic_is_counted(device):
    before = device.simulation.traffic
    counters = assert_golden(device, convolution(11, (16, 16, 4, 4), scan=False))
    words = [now - then for now, then in zip(device.simulation.traffic, before, strict=True)]
    assert [counters["READS"], counters["WRITES"]] == words


def test_without_zeros_no_more_than_a_percent_slower_than_dense(device):
    conv = convolution(9, (64, 64, 8, 8), images=3, zeros=0.0, raw=False)
    cycles, split = (assert_golden(device, conv)[name] for name in ("CYCLES", "DENSE_CHANNELS"))
    dense = assert_golden(Device(dense_equivalent(TINY)), conv)["CYCLES"]
    assert 0 < split < 64
    assert cycles <= 1.01 * dense
