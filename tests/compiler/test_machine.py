"""The golden machine's MAP, its WAITs and what it leaves alone."""

import numpy as np
import pytest

from sqdm.compiler.machine import Machine
from sqdm.compiler.program import Builder
from sqdm.golden import layout, planes
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import Kind, Resample

TINY = PRESETS["tiny"]
N, C, H, W = 2, 3, 4, 8


def run_map(values, extra, out_bytes, constants=None):
    """Memory after a MAP of int16 ``values`` (N, C, H, W) with other fields ``extra``, and its output region."""
    builder = Builder(TINY)
    plane = planes.int16_bytes(H * W, TINY)
    acts = builder.store("acts", planes.pack_int16(values.reshape(N, C, -1), TINY), "int16")  # image by image
    out = builder.allocate("out", C * N * out_bytes, "out")
    builder.fill(out, np.full(out.bytes, 0xEE, np.uint8))
    statistics = builder.allocate("statistics", 16 * C * N, "statistics")
    fields = {
        "CHANNELS": C,
        "HEIGHT": H,
        "WIDTH": W,
        "IMAGES": N,
        "ACT_BASE": acts.address,
        "ACT_STRIDE": plane,
        "ACT_IMAGE_STRIDE": C * plane,
        "OUT_BASE": out.address,
        "OUT_STRIDE": N * out_bytes,
        "OUT_IMAGE_STRIDE": out_bytes,
        "STATISTICS_BASE": statistics.address,
    }
    if constants is not None:
        fields["CONSTANT_BASE"] = builder.store(
            "constants", layout.pack_constants(*constants, TINY), "constants"
        ).address
    builder.add("map", Kind.MAP, fields | extra)
    program = builder.finish()
    memory = program.new_memory()
    Machine(TINY).run(program, memory)
    return memory, memory[out.slice].reshape(C, N, out_bytes).swapaxes(0, 1), memory[statistics.slice]


def values_at_random():
    return np.random.default_rng(1).integers(-32768, 32768, (N, C, H, W)).astype(np.int16)


def test_means_of_two_by_two():
    values = values_at_random()
    _, out, statistics = run_map(values, {"MODE.resample": int(Resample.DOWN), "MODE.statistics": 1}, 32)
    wide = values.astype(int)
    sums = sum(wide[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1))
    expected = ((sums + 2) // 4).reshape(N, C, -1)
    np.testing.assert_array_equal(planes.unpack_int16(out, 8), expected)
    assert (out[..., 16:] == 0xEE).all()  # padding is not written
    total, squares = layout.unpack_statistics(statistics, C, N, TINY)
    np.testing.assert_array_equal(total, expected.sum(2))
    np.testing.assert_array_equal(squares, (expected**2).sum(2))


def test_nearest_neighbours():
    values = values_at_random()
    _, out, _ = run_map(values, {"MODE.resample": int(Resample.UP)}, 256)
    expected = np.kron(values, np.ones((2, 2), np.int16)).reshape(N, C, -1)
    np.testing.assert_array_equal(planes.unpack_int16(out, 128), expected)


@pytest.mark.parametrize(
    ("signed", "two_planes", "low", "high"), [(0, 0, 0, 15), (1, 0, -8, 7), (0, 1, 0, 255), (1, 1, -119, 119)]
)
def test_codes_with_the_constants_of_the_first_image(signed, two_planes, low, high):
    values = values_at_random()
    a, b = np.array([3, -2, 1]), np.array([100, -70000, 5])
    mode = {"MODE.codes": 1, "MODE.signed_acts": signed, "MODE.two_planes": two_planes, "SHIFTS.normalise": 9}
    _, out, _ = run_map(values, mode, 32, (a, b))
    scaled = (values.astype(int) * a[:, None, None] + b[:, None, None] + 256) // 512
    expected = np.clip(scaled, low, high).reshape(N, C, -1)
    used = planes.code_bytes(H * W, bool(two_planes))
    np.testing.assert_array_equal(planes.unpack_codes(out[..., :used], H * W, bool(signed), bool(two_planes)), expected)
    assert (out[..., used:] == 0xEE).all()


def test_copies():
    values = values_at_random()
    _, out, _ = run_map(values, {}, 64)
    np.testing.assert_array_equal(planes.unpack_int16(out, H * W), values.reshape(N, C, -1))


def test_host_steps_run_at_their_wait():
    builder = Builder(TINY)
    region = builder.allocate("a", 32, "codes")
    seen = []

    def step(memory):
        memory[region.address] += 1
        seen.append(int(memory[region.address]))

    builder.wait("one", step)
    builder.wait("two", step)
    program = builder.finish()
    Machine(TINY).run(program, program.new_memory())
    assert seen == [1, 2]
