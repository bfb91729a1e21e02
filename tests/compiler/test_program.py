"""Descriptors, memory images and the rules: words worked by hand, and requests that must be refused."""

import json

import numpy as np
import pytest

from sqdm.compiler.program import Builder, Descriptor
from sqdm.compiler.rules import BadDescriptorError, check
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import BYTES, FIELDS, WORDS, Kind, Output, Resample

TINY, DEFAULT = PRESETS["tiny"], PRESETS["default"]
CONV = {
    "CONTROL.kind": int(Kind.CONV),
    "MODE.kernel3": 1,
    "CHANNELS": 8,
    "OUT_CHANNELS": 8,
    "HEIGHT": 4,
    "WIDTH": 4,
    "IMAGES": 2,
    "BUFFERS.slot_channels": 4,
    "BUFFERS.images": 2,
}
MAP = {"CONTROL.kind": int(Kind.MAP), "CHANNELS": 8, "HEIGHT": 8, "WIDTH": 8, "IMAGES": 2}


def test_words_by_hand():
    descriptor = Descriptor("x", {"CONTROL.kind": 1, "CONTROL.tag": 0xABC, "MODE.output": 2, "ACT_BASE": 0xFFFFFFF8})
    words = descriptor.words()
    assert words.dtype == np.uint32 and words.shape == (WORDS,)
    found = {name: int(words[word.offset // 4]) for name, word in FIELDS.items() if words[word.offset // 4]}
    assert found == {"CONTROL": 0x0ABC0001, "MODE": 2 << 8, "ACT_BASE": 0xFFFFFFF8}


def test_words_return():
    rng = np.random.default_rng(1)
    words = rng.integers(0, 1 << 32, WORDS, dtype=np.uint32)
    again = Descriptor.of_words(Descriptor.of_words(words).words())
    assert again.values == Descriptor.of_words(words).values
    assert again["ACT_BASE"] == words[FIELDS["ACT_BASE"].offset // 4]


@pytest.mark.parametrize("values", [{"MODE": 1}, {"MODE.speed": 1}, {"SHIFTS.requantise": 32}, {"CHANNELS": -1}])
def test_values_that_no_field_holds_are_refused(values):
    with pytest.raises(ValueError, match="must be"):
        Descriptor("x", values)


def test_builder_places_everything_in_memory():
    builder = Builder(DEFAULT)
    first = builder.store("first", np.arange(5, dtype=np.uint8), "codes")
    second = builder.allocate("second", 33, "int16", channels=1)
    builder.fill(second, np.array([7], np.uint8), offset=32)
    builder.wait("host", lambda memory: None)
    program = builder.finish()
    assert [(r.address, r.bytes) for r in (first, second)] == [(0, 32), (32, 64)]
    assert program.memory[:64].tolist() == [0, 1, 2, 3, 4, *[0] * 59] and program.memory[64] == 7
    assert (program.base, program.memory.size) == (96, 96 + 2 * BYTES)
    stored = program.memory[program.regions["program"].slice].view("<u4").reshape(-1, WORDS)
    assert stored[:, 0].tolist() == [Kind.WAIT, 1 << 16 | Kind.END]
    assert list(program.host_steps) == [0]
    described = json.loads(program.to_json())
    assert described["descriptors"][0] == {"address": 96, "name": "host", "CONTROL": {"kind": "WAIT"}}
    assert described["regions"][1]["shape"] == {"channels": 1}


def test_regions_start_where_every_format_may():
    builder = Builder(Config(name="broad", lanes=128, bus_bits=512))
    builder.allocate("a", 1, "codes")
    assert builder.allocate("b", 1, "codes").address == 64


def test_regions_have_one_name_and_enough_room():
    builder = Builder(TINY)
    region = builder.allocate("a", 32, "codes")
    with pytest.raises(ValueError, match="exists already"):
        builder.allocate("a", 1, "codes")
    with pytest.raises(ValueError, match="must hold 33 bytes"):
        builder.fill(region, np.zeros(32, np.uint8), offset=1)


def test_legal_descriptors_pass():
    check(Descriptor("c", CONV), TINY)
    check(Descriptor("m", MAP), TINY)


@pytest.mark.parametrize(
    ("base", "values", "rule"),
    [
        (CONV, {"CHANNELS": 0}, "CHANNELS"),
        (CONV, {"IMAGES": 17}, "IMAGES"),
        (CONV, {"WIDTH": 17}, "WIDTH"),
        (CONV, {"OUT_CHANNELS": 129}, "OUT_CHANNELS"),
        (CONV, {"BUFFERS.slot_channels": 1}, "slot_channels"),
        (CONV, {"BUFFERS.slot_channels": 33}, "weights need"),
        (CONV, {"BUFFERS.images": 0}, "activation buffers"),
        (CONV, {"BUFFERS.images": 33}, "activation buffers"),
        (CONV, {"WEIGHT_BASE": 4}, "WEIGHT_BASE"),
        (CONV, {"ACT_BASE": 4}, "ACT_BASE"),
        (CONV, {"ACT_BASE": 8, "MODE.int16_acts": 1}, "ACT_BASE"),
        (CONV, {"OUT_STRIDE": 1 << 23}, "OUT_STRIDE"),
        (CONV, {"RESIDUAL_MULTIPLIER": 1 << 16}, "RESIDUAL_MULTIPLIER"),
        (CONV, {"MODE.output": int(Output.RAW), "MODE.statistics": 1}, "INT16 outputs"),
        (CONV, {"MODE.codes": 1}, "belong to a MAP"),
        (CONV, {"MODE.kernel3": 0, "MODE.halo_top": 1}, "3x3"),
        (MAP, {"MODE.codes": 1, "MODE.statistics": 1}, "exclude"),
        (MAP, {"MODE.two_planes": 1}, "needs codes"),
        (MAP, {"MODE.residual": 1}, "neither residual"),
        (MAP, {"MODE.resample": int(Resample.DOWN), "HEIGHT": 7}, "DOWN cannot"),
        (MAP, {"MODE.resample": int(Resample.DOWN), "WIDTH": 12}, "DOWN cannot"),
        (MAP, {"MODE.resample": int(Resample.DOWN), "WIDTH": 6}, "DOWN cannot"),
        (MAP, {"MODE.resample": int(Resample.UP), "WIDTH": 1}, "UP cannot"),
        (MAP, {"MODE.resample": int(Resample.UP), "WIDTH": 6}, "UP cannot"),
        (MAP, {"MODE.resample": int(Resample.UP), "HEIGHT": 9}, "UP cannot"),
    ],
)
def test_broken_rules_are_named(base, values, rule):
    with pytest.raises(BadDescriptorError, match=rule):
        check(Descriptor("c", base | values), TINY)


def test_accumulators_limit_8_bit_layers():
    values = CONV | {"MODE.two_planes": 1, "CHANNELS": 457, "BUFFERS.slot_channels": 32, "BUFFERS.images": 1}
    wide = Config(slot_channels=128, act_rows=4096)
    with pytest.raises(BadDescriptorError, match="456 for 8-bit"):
        check(Descriptor("c", values | {"BUFFERS.slot_channels": 64}), wide)
