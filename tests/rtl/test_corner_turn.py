"""CornerTurn against a transpose."""

import random

import pytest
from streams import emits_verilog, send, simulate, watch

from sqdm.rtl.config import PRESETS
from sqdm.rtl.corner_turn import CornerTurn

TINY = PRESETS["tiny"]
SIZE = 16


@pytest.mark.parametrize("idle", [0.0, 0.3, 0.95])
def test_transposes_blocks_with_gaps_anywhere(idle):
    rng = random.Random(f"corner {idle}")
    device = CornerTurn(TINY)
    rows, expected = [], []
    for block in range(6):
        matrix = [[rng.randrange(16) for _ in range(SIZE)] for _ in range(SIZE)]
        slot, first_row = rng.randrange(4), rng.randrange(256)
        for i, line in enumerate(matrix):
            last = i == SIZE - 1 and block % 2 == 1
            rows.append({"slot": slot, "row": first_row, "last": last, "word": line})
        for pixel in range(SIZE):
            word = [matrix[channel][pixel] for channel in range(SIZE)]
            expected.append((slot, first_row + pixel, word))
    seen = []
    ends = []

    async def drive(ctx):
        cycles = await send(ctx, device.rows, rows, rng, idle)
        if idle == 0.0:
            assert cycles == len(rows)
        await ctx.tick().repeat(40)

    async def monitor(ctx):
        while len(seen) < len(expected):
            _, _, valid, write, finished = await ctx.tick().sample(
                device.words.valid, device.words.payload, device.finished
            )
            if valid:
                seen.append((write.slot, write.row, [write.word[i] for i in range(SIZE)]))
            if finished:
                ends.append(len(seen))
        assert not await watch(ctx, device.words, 30)

    simulate(device, drive, monitor)
    # The words of a block come in any order; each goes to its own row.
    assert sorted(seen) == sorted(expected)
    assert [entry[:1] for entry in seen] == [entry[:1] for entry in expected]
    assert ends == [2 * SIZE, 4 * SIZE, 6 * SIZE]


@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_short_blocks_are_filled_with_zeros(idle):
    rng = random.Random(f"short {idle}")
    device = CornerTurn(TINY)
    rows, expected = [], []
    for block in range(8):
        length = rng.choice([1, 4, 15, 16])
        matrix = [[rng.randrange(1, 16) for _ in range(SIZE)] for _ in range(length)]
        for i, line in enumerate(matrix):
            end = i == length - 1
            rows.append({"row": 16 * block, "end": end, "last": end and block == 7, "word": line})
        matrix += [[0] * SIZE] * (SIZE - length)
        expected += [(16 * block + pixel, [line[pixel] for line in matrix]) for pixel in range(SIZE)]
    seen = []

    async def drive(ctx):
        cycles = await send(ctx, device.rows, rows, rng, idle)
        if idle == 0.0:
            assert cycles <= 8 * SIZE
        await ctx.tick().repeat(60)

    async def monitor(ctx):
        for word in await watch(ctx, device.words, 600):
            seen.append((word.row, [word.word[i] for i in range(SIZE)]))

    simulate(device, drive, monitor)
    assert sorted(seen) == sorted(expected)


def test_only_a_last_block_is_pushed_out_by_zeros():
    """So a slow source loses no cycles to zeros between the blocks of a load."""
    rng = random.Random(1)
    device = CornerTurn(TINY)

    async def bench(ctx):
        for last in (0, 1):
            rows = [{"row": 16 * last, "last": last, "word": [1 + last] * SIZE} for _ in range(SIZE)]
            assert await send(ctx, device.rows, rows[:1], rng) == 1
            assert await send(ctx, device.rows, rows[1:], rng) == SIZE - 1
            words = await watch(ctx, device.words, 40)
            assert [(word.row, word.word[0]) for word in words] == last * [(31 - i, 2) for i in range(SIZE)]

    simulate(device, bench)


def test_emits_verilog():
    assert emits_verilog(CornerTurn(TINY), "corner_turn")
