"""CornerTurns: every slot's blocks in order, images that end, and how far apart the two turns may be."""

import random

import pytest
from streams import emits_verilog, send, simulate

from sqdm.rtl.config import PRESETS, TURNS
from sqdm.rtl.corner_turns import CornerTurns

DEFAULT = PRESETS["default"]
SIZE = 16


class Images:
    """Random rows and what is to be written: per turn, in order, as (slot, row of the block, its 16 rows)."""

    def __init__(self, rng):
        self.rng = rng
        self.rows = []
        self.blocks = [[] for _ in range(TURNS)]
        self.ends = []  # blocks of each turn that are complete at each pulse of `finished`

    def image(self, slots, blocks, length):
        """Slot by slot some blocks of `length` rows."""
        for slot in slots:
            for _ in range(blocks):
                place = {"slot": slot, "row": SIZE * self.rng.randrange(DEFAULT.act_rows // SIZE)}
                matrix = [[self.rng.randrange(16) for _ in range(SIZE)] for _ in range(length)]
                self.rows += [place | {"end": i == length - 1, "word": line} for i, line in enumerate(matrix)]
                matrix += [[0] * SIZE] * (SIZE - length)
                self.blocks[slot % TURNS].append((slot, place["row"], matrix))
        self.rows[-1]["last"] = 1
        self.ends.append([len(blocks) for blocks in self.blocks])


def check(images, idle=0.0):
    """Runs the images and compares everything; returns the cycles until the last row is taken and the last pulse."""
    device = CornerTurns(DEFAULT)
    seen = [[] for _ in range(TURNS)]
    ends = []
    took = []

    async def drive(ctx):
        took.append(await send(ctx, device.rows, images.rows, images.rng, idle))

    async def observe(ctx):
        cycle, left = 0, 60  # nothing more may come in these cycles
        while left:
            streams = [signal for writes in device.writes for signal in (writes.valid, writes.payload)]
            _, _, finished, *sampled = await ctx.tick().sample(device.finished, *streams)
            cycle += 1
            for turn in range(TURNS):
                if sampled[2 * turn]:
                    write = sampled[2 * turn + 1]
                    seen[turn].append((write.slot, write.row, [write.word[i] for i in range(SIZE)]))
            if finished:
                ends.append([len(words) for words in seen])
                if len(ends) == len(images.ends):
                    took.append(cycle)
            left -= len(ends) >= len(images.ends)

    simulate(device, drive, observe)
    for words, blocks in zip(seen, images.blocks, strict=True):
        assert len(words) == SIZE * len(blocks)
        for number, (slot, row, matrix) in enumerate(blocks):
            columns = [list(column) for column in zip(*matrix, strict=True)]
            written = sorted(words[SIZE * number : SIZE * (number + 1)], key=lambda word: word[1])
            assert written == [(slot, row + pixel, word) for pixel, word in enumerate(columns)]
    # A turn may be ahead with blocks of the next image, but none of the image itself may be missing.
    for has, needs in zip(ends, images.ends, strict=True):
        assert all(words >= SIZE * blocks for words, blocks in zip(has, needs, strict=True))
    return took


@pytest.mark.parametrize("idle", [0.0, 0.5, 0.9])
def test_images_of_all_sizes(idle):
    images = Images(random.Random(f"turns {idle}"))
    for _ in range(12):
        slots = sorted(images.rng.sample(range(8), images.rng.randint(1, 8)))
        images.image(slots, images.rng.randint(1, 2), images.rng.choice([1, 3, 8, 15, 16]))
    check(images, idle)


@pytest.mark.parametrize("busy", range(TURNS))
def test_images_that_need_one_turn_wait_for_the_other(busy):
    """A turn with much to do, then many images for the other one, which it may overtake, but not without limit."""
    images = Images(random.Random(busy))
    images.image([busy], 12, 1)
    for _ in range(40):
        images.image([1 - busy], 1, 1)
    images.image([busy], 1, 1)
    check(images)


def test_two_turns_take_half_the_time():
    """8 slots of 4 channels, 64 pixels: 32 blocks of 16 words; every image 16 cycles more for the end of it."""
    images = Images(random.Random(1))
    for _ in range(4):
        images.image(range(8), 4, 4)
    _, finished = check(images)
    assert finished <= 4 * (SIZE * 32 // TURNS + SIZE) + 25


def test_rows_of_memory_do_not_wait():
    """8 slots of 8 channels, 64 pixels: as many rows as two turns take; the last ones wait in their queue."""
    images = Images(random.Random(1))
    images.image(range(8), 4, 8)
    taken, finished = check(images)
    assert taken == 256
    assert finished <= 256 + 2 * CornerTurns.DEPTH + SIZE + 4


def test_emits_verilog():
    assert emits_verilog(CornerTurns(DEFAULT), "corner_turns")
