"""Programs on the simulated board through a pseudo-terminal, with the code that drives a real one."""

from dataclasses import replace

import numpy as np
import pytest
from small_board import TIMEOUT

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.network import compile_network
from sqdm.compiler.operands import Convolution
from sqdm.compiler.program import Builder
from sqdm.errors import DeviceError, UserError
from sqdm.golden.conv import conv_psum
from sqdm.golden.model_file import load_model
from sqdm.golden.requant import Requant
from sqdm.golden.sampler import noise_levels
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import Kind, Resample
from sqdm.rtl.registers import COUNTERS, ID_VALUE, STALLS
from sqdm.sim.lock_step import LockStep
from sqdm.sim.uart.device import Board, UartDevice
from sqdm.sim.uart.engine import UartNetworkDevice
from sqdm.sim.uart.link import Link
from sqdm.sim.uart.port import SerialPort

LAYERS = 5  #: descriptors of the network: three convolutions with the host's steps between them


def convolution(seed=1, shape=(12, 20, 5, 5), images=2, raw=True, **options):
    """A random layer of (C, K, H, W)."""
    draw = np.random.default_rng(seed)
    channels, out_channels, height, width = shape
    acts = draw.integers(0, 16, (images, channels, height, width)).astype(np.int8)
    weights = draw.integers(-7, 8, (out_channels, channels, 3, 3)).astype(np.int8)
    requant = Requant(np.full(out_channels, 900, np.uint16), 10, np.full(out_channels, -3, np.int16))
    return Convolution(acts, weights, None if raw else requant, **options)


def network(serial, period=1):
    """The first layers of the digits network on the board, for one image, and the inputs of an evaluation."""
    program = compile_network(load_model(None).arrays, 1, serial.config)
    end = program.descriptors[-1]
    device = UartNetworkDevice(
        replace(program, descriptors=[*program.descriptors[:LAYERS], end]), serial.board, period=period
    )
    draw = np.random.default_rng(7)
    c_noise = np.log(np.full(1, noise_levels(18)[4])) / 4
    return device, [(draw.normal(size=(1, 1, 8, 8)), c_noise, np.array([3])) for _ in range(3)]


@pytest.mark.slow
def test_layers_of_the_network_equal_the_golden_machine(serial):
    device, inputs = network(serial, period=2)
    for number, values in enumerate(inputs):
        before = device.memory.copy()
        device.evaluate(*values)
        tables = [region.slice for region in device.program.regions.values() if region.kind == "tables"]
        changed = any((device.memory[place] != before[place]).any() for place in tables)
        assert changed == (number % 2 == 0)
        run = device.runs[-1]
        assert run.counters["CYCLES"] == run.counters["ACTIVE"] + sum(run.counters[name] for name in STALLS) > 0
    assert device.lock_step.first_mismatch is None
    assert sum(device.lock_step.compared.values()) > 3 * 3 * 32 * 64
    assert set(run.steps) == set(range(LAYERS))


def test_a_wrong_weight_on_the_board_is_noticed(serial):
    device, inputs = network(serial)
    device.evaluate(*inputs[0])
    layer = device.program.descriptors[2]
    places = device.device._places.place(2)
    home = device.device._uses[2]["WEIGHT"]
    address = places[home.name] + layer["WEIGHT_BASE"] - home.address
    first = serial.link.read_memory(address, 64)
    serial.link.write_memory(address, bytes(byte ^ 0x11 for byte in first))
    device.evaluate(*inputs[1])
    assert device.lock_step.mismatches[layer.name] > 0
    serial.link.write_memory(address, first)


def test_convolution_and_what_is_sent_again(serial):
    conv = convolution(3, (24, 40, 4, 5), images=2)
    program = compile_convolution(conv, serial.config)
    device = UartDevice(serial.board)
    traffic = []
    for _ in range(2):
        sent = serial.port.sent
        run = device.run_program(program)
        np.testing.assert_array_equal(program.outputs(device.memory), conv_psum(conv.acts, conv.weights))
        traffic.append(serial.port.sent - sent)
    assert set(run.counters) == set(COUNTERS)
    weights = sum(region.bytes for region in program.regions.values() if region.kind == "weights")
    assert weights < traffic[0]
    assert traffic[1] < weights / 4


def test_maps_waits_and_gaps_between_planes(serial):
    """Two MAPs with a WAIT in between; the planes of the results lie apart, what is in between stays."""
    config, notes = serial.config, []
    builder = Builder(config)
    source = builder.store("source", np.arange(64, dtype=np.uint8), "int16")
    copies = [builder.store(f"copy{i}", np.full(160, 9, np.uint8), "int16") for i in range(2)]
    for target in copies:
        builder.add(
            "copy",
            Kind.MAP,
            {"MODE.resample": int(Resample.NONE), "CHANNELS": 2, "HEIGHT": 4, "WIDTH": 4, "IMAGES": 1,
             "ACT_BASE": source.address, "ACT_STRIDE": 32, "ACT_IMAGE_STRIDE": 64,
             "OUT_BASE": target.address, "OUT_STRIDE": 96, "OUT_IMAGE_STRIDE": 192},
        )  # fmt: skip
        builder.wait(f"host {target.name}", lambda memory: notes.append(memory[source.slice].copy()))
    program = builder.finish()
    device = UartDevice(serial.board)
    device.run_program(program)
    step = LockStep(program)
    step.start(program.memory)
    step.compare(len(program.descriptors) - 1, device.memory)
    assert step.first_mismatch is None
    assert len(notes) == 2
    assert (device.memory[copies[0].slice][32:96] == 9).all()


def test_a_bad_descriptor_is_an_error_and_the_next_program_works(serial):
    program = compile_convolution(convolution(9, scan=False), serial.config)
    good = program.memory.copy()
    program.memory[program.regions["tables.0"].address + serial.config.bus_bytes] = 99
    device = UartDevice(serial.board)
    with pytest.raises(DeviceError, match=r"not BAD_TABLE \(layer\.0"):
        device.run_program(program)
    program.memory[:] = good
    device.run_program(program)
    conv = convolution(9, scan=False)
    np.testing.assert_array_equal(program.outputs(device.memory), conv_psum(conv.acts, conv.weights))


def test_another_configuration_is_refused(serial):
    with pytest.raises(UserError, match="config must be the one that the board was built with, not tiny"):
        Board(serial.link, PRESETS["tiny"])


class Noisy:
    """A port that damages or shortens every seventh request, and damages every seventh answer behind its header.

    The board then says that a request came in damaged, so that no time-out of the host plays a part.
    """

    def __init__(self, port):
        self.port, self.requests, self.answers = port, 0, 0

    def write(self, frame):
        self.requests += 1
        if self.requests % 7 == 0:
            place = 1 + self.requests % (len(frame) - 1)
            flipped = frame[:place] + bytes([frame[place] ^ 4]) + frame[place + 1 :]
            frame = frame[:-1] if self.requests % 2 else flipped
        self.port.write(frame)

    def read(self, size, timeout):
        content = self.port.read(size, timeout)
        if size < 500:
            return content
        self.answers += 1
        return content if self.answers % 7 else bytes([content[0] ^ 1]) + content[1:]

    def drop_input(self):
        self.port.drop_input()


def test_damaged_frames_are_sent_again(serial):
    link = Link(Noisy(serial.port), TIMEOUT)
    draw = np.random.default_rng(5)
    for _ in range(8):
        content = draw.integers(0, 256, 512, dtype=np.uint8).tobytes()
        link.write_memory(4096, content)
        assert link.read_memory(4096, 512) == content
    assert link.retries == 3
    assert serial.board.read("ID") == ID_VALUE


def test_port_that_does_not_exist_or_answer(serial):
    with pytest.raises(UserError, match=r"the serial port '/dev/sqdm-none' must be open for use"):
        SerialPort("/dev/sqdm-none", 115_200)
    with pytest.raises(UserError, match="must be open for use"):  # it belongs to this process already
        SerialPort(serial.name, 115_200)


class Silent:
    """A port at which nobody answers."""

    def write(self, frame):
        self.frames = getattr(self, "frames", 0) + 1

    def read(self, size, timeout):
        return b""

    def drop_input(self):
        pass


def test_silent_board_is_an_error():
    port = Silent()
    with pytest.raises(DeviceError, match=r"must answer IDENTIFY, but did not in 4 attempts \(last: no answer\)"):
        Link(port, 0.01).identify()
    assert port.frames == 4
