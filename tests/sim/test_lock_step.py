"""The comparison with the golden machine: counts what it compared and finds every wrong byte."""

import numpy as np
import pytest

from sqdm.compiler import access
from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.machine import Machine
from sqdm.compiler.operands import Convolution
from sqdm.golden.requant import Requant
from sqdm.rtl.config import PRESETS
from sqdm.rtl.registers import Policy
from sqdm.sim.lock_step import STRAY, LockStep

TINY = PRESETS["tiny"]
IMAGES, CHANNELS, OUT_CHANNELS, SIDE = 2, 12, 20, 5


@pytest.fixture
def program():
    draw = np.random.default_rng(4)
    requant = Requant(np.full(OUT_CHANNELS, 900, np.uint16), 9, np.arange(OUT_CHANNELS, dtype=np.int16))
    acts = draw.integers(0, 16, (IMAGES, CHANNELS, SIDE, SIDE)).astype(np.int8)
    weights = draw.integers(-7, 8, (OUT_CHANNELS, CHANNELS, 3, 3)).astype(np.int8)
    return compile_convolution(Convolution(acts, weights, requant, statistics=True, update=True), TINY)


def ran(program, **options):
    """A memory on which the golden machine ran the program, as a device would leave it."""
    memory = program.new_memory()
    Machine(TINY, **options).run(program, memory)
    return memory


def compared(program, memory, **options):
    step = LockStep(program, **options)
    step.start(program.memory)
    step.compare(len(program.descriptors) - 1, memory)
    return step


def test_equal_memories_have_no_mismatch(program):
    step = compared(program, ran(program))
    assert not step.mismatches
    assert step.first_mismatch is None
    outputs = IMAGES * OUT_CHANNELS * SIDE * SIDE
    assert dict(step.compared) == {"layer.0": outputs + 2 * IMAGES * OUT_CHANNELS + 2 * CHANNELS + 1}


@pytest.mark.parametrize(("number", "kind"), [(0, "int16"), (1, "statistics"), (2, "tables")])
def test_every_output_is_compared(program, number, kind):
    memory = ran(program)
    output = access.written(program.descriptors[0], TINY)[number]
    memory[output.base + 10] ^= 1
    step = compared(program, memory)
    assert dict(step.mismatches) == {"layer.0": 1}
    assert step.first_mismatch.startswith(f"{kind} of layer.0, run 0, at ")


def test_place_and_values_of_the_first_mismatch(program):
    memory = ran(program)
    output = access.written(program.descriptors[0], TINY)[0]
    image, channel, pixel = 1, 7, 13
    address = output.base + image * output.strides[0] + channel * output.strides[1] + 2 * pixel
    right = int(memory[address : address + 2].view("<i2")[0])
    memory[address : address + 2] = np.frombuffer(np.int16(right + 5).tobytes(), np.uint8)
    assert f"at (1, 7, 13): {right + 5} instead of {right}" in compared(program, memory).first_mismatch


def test_stray_writes_are_found(program):
    memory = ran(program)
    weights = program.regions["weights"].address
    memory[weights + 3 : weights + 5] ^= 0xFF
    step = compared(program, memory)
    assert dict(step.mismatches) == {STRAY: 2}
    assert f"{weights + 3:#x}" in step.first_mismatch


def test_a_mismatch_does_not_spread_to_the_next_run(program):
    step = LockStep(program)
    memory = ran(program)
    memory[program.regions["out.0"].address] ^= 1
    for expected in (1, 1):
        step.start(memory)
        step.compare(len(program.descriptors) - 1, memory := ran(program) if step.runs else memory)
        assert sum(step.mismatches.values()) == expected
    assert step.runs == 1


def test_period_and_policy_decide_on_the_tables(program):
    never = compared(program, ran(program, policy=Policy.DENSE), policy=Policy.DENSE)
    assert not never.mismatches
    other = compared(program, ran(program, policy=Policy.SPARSE), policy=Policy.DENSE)
    assert set(other.mismatches) == {"layer.0"}
    step = LockStep(program, period=2)
    memory = program.new_memory()
    for run in range(2):
        step.start(memory)
        written = ran(program)
        if run:
            tables = program.regions["tables.0"].slice
            written[tables] = memory[tables]
        step.compare(len(program.descriptors) - 1, written)
        memory = written
    assert not step.mismatches
