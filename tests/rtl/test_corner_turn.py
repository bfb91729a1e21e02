"""CornerTurn against a transpose."""

import random

import pytest
from streams import emits_verilog, send, simulate, watch

from sqdm.rtl.config import PRESETS
from sqdm.rtl.corner_turn import CornerTurn

TINY = PRESETS["tiny"]
SIZE = 16
MARKER = {"marker": 1, "end": 1, "word": [15] * SIZE, "row": 255}  # what a marker brings besides means nothing


async def monitor(ctx, device, done, after=40):
    """Everything that is written, and how much of it at each pulse of `finished`, until `after` cycles after `done`."""
    seen, ends = [], []
    while after:
        _, _, valid, write, finished = await ctx.tick().sample(
            device.words.valid, device.words.payload, device.finished
        )
        if valid:
            seen.append((write.slot, write.row, [write.word[i] for i in range(SIZE)]))
        if finished:
            ends.append(len(seen))
        after -= bool(done)
    return seen, ends


def run(rows, rng, idle=0.0):
    """Writes, `finished` and the cycles until the last row is taken."""
    device = CornerTurn(TINY)
    took = []
    result = []

    async def drive(ctx):
        took.append(await send(ctx, device.rows, rows, rng, idle))

    async def observe(ctx):
        result.extend(await monitor(ctx, device, took))

    simulate(device, drive, observe)
    return *result, took[0]


@pytest.mark.parametrize("idle", [0.0, 0.3, 0.95])
def test_transposes_blocks_with_gaps_anywhere(idle):
    rng = random.Random(f"corner {idle}")
    rows, expected = [], []
    for block in range(6):
        matrix = [[rng.randrange(16) for _ in range(SIZE)] for _ in range(SIZE)]
        slot, first_row = rng.randrange(4), rng.randrange(256)
        rows += [{"slot": slot, "row": first_row, "word": line} for line in matrix]
        for pixel in range(SIZE):
            word = [matrix[channel][pixel] for channel in range(SIZE)]
            expected.append((slot, first_row + pixel, word))
        if block % 2 == 1:
            rows.append(MARKER)
    seen, ends, cycles = run(rows, rng, idle)
    # The words of a block come in any order; each goes to its own row.
    assert sorted(seen) == sorted(expected)
    assert [entry[:1] for entry in seen] == [entry[:1] for entry in expected]
    assert ends == [2 * SIZE, 4 * SIZE, 6 * SIZE]
    if idle == 0.0:
        assert cycles == (6 + 3) * SIZE


@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_short_blocks_are_filled_with_zeros(idle):
    rng = random.Random(f"short {idle}")
    rows, expected = [], []
    marked = [0]  # blocks before a marker
    for block in range(12):
        length = rng.choice([1, 4, 15, 16])
        matrix = [[rng.randrange(1, 16) for _ in range(SIZE)] for _ in range(length)]
        rows += [{"row": 16 * block, "end": i == length - 1, "word": line} for i, line in enumerate(matrix)]
        matrix += [[0] * SIZE] * (SIZE - length)
        expected += [(0, 16 * block + pixel, [line[pixel] for line in matrix]) for pixel in range(SIZE)]
        if block % 3 == 2:
            rows.append(MARKER)
            marked.append(block + 1)
    seen, ends, cycles = run(rows, rng, idle)
    assert sorted(seen) == sorted(expected)
    assert ends == [SIZE * blocks for blocks in marked[1:]]
    if idle == 0.0:
        assert cycles <= (12 + 4) * SIZE


def test_a_block_leaves_for_a_row_or_a_marker_and_for_nothing_else():
    """So a slow source loses no cycles to zeros between the blocks of an image."""
    rng = random.Random(1)
    device = CornerTurn(TINY)
    done = []

    async def bench(ctx):
        for block in range(2):
            rows = [{"row": 16 * block, "word": [1 + block] * SIZE} for _ in range(SIZE)]
            assert await send(ctx, device.rows, rows, rng) == SIZE
            assert not await watch(ctx, device.words, 40)
            assert await send(ctx, device.rows, [MARKER], rng) == SIZE
            assert not await watch(ctx, device.words, 40)
        done.append(True)

    async def observe(ctx):
        seen, ends = await monitor(ctx, device, done)
        assert [(row, word[0]) for _, row, word in seen] == [(15 - i, 1) for i in range(SIZE)] + [
            (31 - i, 2) for i in range(SIZE)
        ]
        assert ends == [SIZE, 2 * SIZE]

    simulate(device, bench, observe)


def test_markers_of_an_empty_turn_take_a_cycle_each():
    block = [{"word": [1] * SIZE} for _ in range(SIZE)]
    seen, ends, cycles = run([MARKER, MARKER, *block, MARKER, MARKER, MARKER, *block], random.Random(1))
    assert len(seen) == SIZE
    assert ends == [0, 0] + 3 * [SIZE]
    assert cycles == 2 + SIZE + SIZE + 2 + SIZE


def test_emits_verilog():
    assert emits_verilog(CornerTurn(TINY), "corner_turn")
