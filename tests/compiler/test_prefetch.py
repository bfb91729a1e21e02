"""CONTROL.prefetch: what is read early must not be written by the descriptor before, which may still run."""

import numpy as np
from layers_at_random import random_convolution

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.prefetch import allow_prefetch
from sqdm.compiler.program import Builder, Descriptor
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import Kind

TINY = PRESETS["tiny"]
CONV = {
    "CONTROL.kind": int(Kind.CONV),
    "CHANNELS": 8,
    "OUT_CHANNELS": 8,
    "HEIGHT": 4,
    "WIDTH": 4,
    "IMAGES": 1,
    "BUFFERS.slot_channels": 4,
    "BUFFERS.images": 1,
    "WEIGHT_BASE": 0x1000,
    "WEIGHT_STRIDE": 16,  # 8 channels x 32 lanes x 4 bit: to 0x1080
    "PARAM_BASE": 0x2000,  # 32 channels x 4 bytes: to 0x2080
    "TABLE_BASE": 0x3000,  # 8 + 32 bytes: to 0x3028
    "OUT_STRIDE": 32,  # 8 planes of 32 bytes
}
WAIT = Descriptor("wait", {"CONTROL.kind": int(Kind.WAIT)})


def second_prefetches(out_base, *between, **values):
    """Whether a CONV behind one that writes 256 bytes from ``out_base`` on (and behind ``between``) may prefetch."""
    first = Descriptor("first", CONV | {"OUT_BASE": out_base, "TABLE_BASE": 0x4000} | values)
    second = Descriptor("second", CONV | {"OUT_BASE": 0x9000})
    return allow_prefetch([first, *between, second], TINY)[-1]["CONTROL.prefetch"]


def test_independent_layers_prefetch():
    assert second_prefetches(0x5000) == 1


def test_what_was_just_written_is_not_read_early():
    assert second_prefetches(0x1000 - 256) == 1
    assert second_prefetches(0x1000 - 256 + 8) == 0
    assert second_prefetches(0x1080 - 8) == 0
    assert second_prefetches(0x1080) == 1
    assert second_prefetches(0x2078) == 0
    assert second_prefetches(0x3020) == 0
    assert second_prefetches(0x3028) == 1


def test_tables_that_are_renewed_are_not_read_early():
    assert second_prefetches(0x5000, **{"TABLE_BASE": 0x3000, "MODE.update": 1}) == 0
    assert second_prefetches(0x5000, **{"TABLE_BASE": 0x3000}) == 1


def test_only_the_descriptor_before_may_still_run():
    assert second_prefetches(0x1000) == 0
    assert second_prefetches(0x1000, WAIT) == 0  # what is read early is read before the WAIT is over
    assert second_prefetches(0x1000, Descriptor("between", CONV | {"OUT_BASE": 0x6000})) == 1


def test_blocks_of_one_layer_wait_for_its_table():
    small = PRESETS["tiny"].__class__(**TINY.to_dict() | {"max_out_channels": 32})
    for update in (False, True):
        conv = random_convolution(np.random.default_rng(1), (1, 4, 70, 4, 4), 9, update=update)
        found = [d["CONTROL.prefetch"] for d in compile_convolution(conv, small).descriptors if d.kind == Kind.CONV]
        assert found == ([1, 0, 0] if update else [1, 1, 1])


def test_a_program_without_layers_stays_as_it_is():
    builder = Builder(TINY)
    builder.wait("host", lambda memory: None)
    assert allow_prefetch(builder.descriptors, TINY) == builder.descriptors
