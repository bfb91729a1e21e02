"""Convolutions of every kind and size: the program on the golden machine against `golden.conv` on the whole layer."""

from dataclasses import replace

import numpy as np
import pytest
from layers_at_random import codes_of, expected_outputs, random_convolution

from sqdm.compiler import access, rules
from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.machine import Machine
from sqdm.errors import UserError
from sqdm.golden import layout
from sqdm.golden.detector import assign_channels
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import Kind, Output
from sqdm.rtl.registers import Policy

TINY, DEFAULT = PRESETS["tiny"], PRESETS["default"]
SMALL = replace(TINY, name="small", act_rows=128, max_out_channels=32, max_images=3)  # strips and blocks of everything
BROAD = Config(name="broad", lanes=64, bus_bits=256)


def run(conv, config, **options):
    """The program and the memory after a run; every descriptor keeps the rules."""
    program = compile_convolution(conv, config)
    for descriptor in program.descriptors:
        rules.check(descriptor, config)
    memory = program.new_memory()
    Machine(config, **options).run(program, memory)
    return program, memory


CASES = {
    "plain": ((2, 5, 7, 6, 5), 9, {}),
    "1x1": ((2, 5, 7, 6, 5), 1, {}),
    "signed": ((2, 5, 33, 4, 4), 9, {"signed": True}),
    "acts8": ((2, 5, 7, 4, 4), 9, {"act_bits": 8}),
    "weights8": ((2, 5, 33, 4, 4), 9, {"weight_bits": 8}),
    "both8": ((1, 9, 17, 4, 6), 9, {"act_bits": 8, "weight_bits": 8, "signed": True}),
    "int16": ((2, 6, 7, 4, 4), 9, {"int16": True, "statistics": True}),
    "int16_signed8": ((2, 6, 7, 4, 4), 1, {"int16": True, "signed": True, "act_bits": 8, "weight_bits": 8}),
    "residual": ((2, 6, 7, 5, 5), 9, {"residual": True, "statistics": True}),
    "raw": ((2, 6, 40, 4, 4), 1, {"output": Output.RAW}),
    "weights": ((2, 6, 40, 4, 4), 1, {"output": Output.WEIGHTS, "int16": True}),
    "image_weights": ((3, 16, 20, 4, 4), 1, {"image_weights": True, "act_bits": 8, "weight_bits": 8}),
}


@pytest.mark.parametrize("config", [TINY, DEFAULT, BROAD, SMALL], ids=lambda config: config.name)
@pytest.mark.parametrize("case", CASES)
def test_layer(case, config):
    shape, taps, options = CASES[case]
    conv = random_convolution(np.random.default_rng(1), shape, taps, **options)
    program, memory = run(conv, config)
    expected = expected_outputs(conv)
    assert np.count_nonzero(expected) > expected.size // 2
    np.testing.assert_array_equal(program.outputs(memory), expected)
    if conv.statistics:
        flat = expected.astype(object).reshape(*expected.shape[:2], -1)
        total, squares = program.statistics(memory)
        np.testing.assert_array_equal(total, flat.sum(2).astype(np.int64))
        np.testing.assert_array_equal(squares, (flat * flat).sum(2).astype(np.int64))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 40, 8, 16, 16), {}),
        ((2, 24, 70, 9, 7), {"act_bits": 8, "weight_bits": 8, "residual": True, "statistics": True}),
        ((7, 3, 8, 16, 3), {"int16": True, "signed": True}),
        ((2, 24, 40, 9, 8), {"output": Output.WEIGHTS}),
    ],
)
def test_strips_and_blocks_give_the_whole_layer(shape, options):
    conv = random_convolution(np.random.default_rng(2), shape, 9, **options)
    program, memory = run(conv, SMALL)
    assert len(program.descriptors) > 2
    np.testing.assert_array_equal(program.outputs(memory), expected_outputs(conv))


def test_blocks_of_images_take_their_own_weights():
    conv = random_convolution(np.random.default_rng(9), (7, 5, 6, 4, 4), 1, image_weights=True)
    program, memory = run(conv, SMALL)
    assert [descriptor["IMAGES"] for descriptor in program.descriptors[:-1]] == [3, 3, 1]
    np.testing.assert_array_equal(program.outputs(memory), expected_outputs(conv))


def test_a_large_layer_of_a_diffusion_model_is_cut():
    conv = random_convolution(np.random.default_rng(3), (2, 512, 256, 32, 32), 9)
    program = compile_convolution(conv, DEFAULT)
    heights = [descriptor["HEIGHT"] for descriptor in program.descriptors if descriptor.kind == Kind.CONV]
    assert sum(heights) == 32 and max(heights) - min(heights) <= 1
    for descriptor in program.descriptors:
        rules.check(descriptor, DEFAULT)
        assert descriptor.kind == Kind.END or descriptor["BUFFERS.images"] == 2


@pytest.mark.parametrize("options", [{}, {"act_bits": 8}, {"act_bits": 8, "signed": True, "int16": True}])
def test_tables_hold_the_sorted_counts(options):
    conv = random_convolution(np.random.default_rng(4), (2, 13, 4, 5, 4), 9, update=True, **options)
    program, memory = run(conv, TINY)
    codes = codes_of(conv).astype(int)
    if conv.act_bits == 4:
        digits = [codes]
    else:
        low = (codes + 8) % 16 - 8 if conv.signed else codes % 16
        digits = [(codes - low) // 16, low]
    low_first = access.read_tables(program.descriptors[0], memory, program.parts[0].shape)
    assert low_first[0][2].tolist() == [int(np.count_nonzero(digits[-1][:, c])) for c in range(13)]
    tables = program.tables(memory)[0].reshape(len(digits), -1)
    for plane, table in zip(digits, tables, strict=True):
        counts = [int(np.count_nonzero(plane[:, c])) for c in range(13)]
        expected = assign_channels(counts, Policy.BALANCED, int(0.7 * 40), 1, 40, 2, 2, slot_channels=7)
        order, dense, stored = layout.unpack_table(table, 13, TINY)
        assert (order.tolist(), dense) == (expected[0].tolist(), expected[1])
        assert stored.tolist() == counts


def test_period_counts_programs():
    conv = random_convolution(np.random.default_rng(5), (1, 8, 4, 4, 4), 9, update=True)
    program = compile_convolution(conv, TINY)
    machine = Machine(TINY, period=2)
    changed = []
    for _ in range(4):
        memory = program.new_memory()
        machine.run(program, memory)
        changed.append(bool((program.tables(memory)[0] != program.tables(program.memory)[0]).any()))
    assert changed == [True, False, True, False]


def test_stored_tables_are_used_again():
    conv = random_convolution(np.random.default_rng(6), (1, 8, 4, 4, 4), 9, update=True)
    program, memory = run(conv, TINY)
    again = compile_convolution(replace(conv, scan=False, tables=program.tables(memory)), TINY)
    np.testing.assert_array_equal(again.tables(again.memory)[0], program.tables(memory)[0])
    assert not again.descriptors[0]["MODE.scan"]


def test_broken_tables_are_refused():
    conv = random_convolution(np.random.default_rng(7), (1, 3, 4, 4, 4), 9, scan=False)
    table = layout.pack_table(np.array([0, 1, 1]), 1, TINY)
    program = compile_convolution(replace(conv, tables=[table]), TINY)
    with pytest.raises(rules.BadDescriptorError, match="an order of 3 channels"):
        Machine(TINY).run(program, program.new_memory())


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 65, 4, 4, 4), {}, "channels must be 1..64 on tiny, not 65"),
        ((1, 4, 4, 4, 17), {}, "width must be 1..16 on tiny, not 17"),
        ((1, 51, 4, 4, 4), {"act_bits": 8}, "at most 64"),
    ],
)
def test_what_cannot_fit_is_refused(shape, options, message):
    conv = random_convolution(np.random.default_rng(8), shape, 9, **options)
    config = TINY if not options else replace(TINY, slot_channels=16, max_channels=64)
    if options:
        message = "weight buffers"
    with pytest.raises(UserError, match=message):
        compile_convolution(conv, config)
