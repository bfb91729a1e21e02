"""TableWriter and TableReader: inverse of each other, and what memory should never hold."""

import random

import pytest
from streams import IDLES, collect, send, simulate, strobe

from sqdm.rtl.config import PRESETS, ceil_div
from sqdm.rtl.table_reader import TableReader
from sqdm.rtl.table_writer import TableWriter


def memory_words(config, dense_channels, order):
    """The table's layout in memory, from docs/architecture.md."""
    per_word = config.bus_bits // 16
    entries = list(order) + [0] * (-len(order) % per_word)
    words = [dense_channels]
    for start in range(0, len(entries), per_word):
        words.append(sum(entry << 16 * lane for lane, entry in enumerate(entries[start : start + per_word])))
    return words


def read(config, channels, words, idle=0.0):
    device = TableReader(config)
    rng = random.Random(5)
    table, outcome = {}, {}

    async def drive(ctx):
        ctx.set(device.channels, channels)
        await strobe(ctx, device.start)
        await send(ctx, device.words, words, rng, idle)

    async def monitor(ctx):
        finished = 0
        while not finished:
            _, _, valid, write, finished = await ctx.tick().sample(
                device.table_writes.valid, device.table_writes.payload, device.finished
            )
            if valid:
                assert write.position not in table
                table[write.position] = write.channel
        outcome.update(dense=ctx.get(device.dense_channels), bad=ctx.get(device.bad))

    simulate(device, drive, monitor)
    return [table[i] for i in range(len(table))], outcome


@pytest.mark.parametrize("name", ["tiny", "default"])
@pytest.mark.parametrize("channels", [1, 3, 8, 9, 64])
def test_reader_unpacks_every_entry(name, channels):
    config = PRESETS[name]
    order = random.Random(channels).sample(range(channels), channels)
    for idle, _ in IDLES[:2]:
        table, outcome = read(config, channels, memory_words(config, channels // 2, order), idle)
        assert table == order
        assert outcome == {"dense": channels // 2, "bad": 0}


@pytest.mark.parametrize(
    ("dense", "order"), [(4, [0, 1, 2]), (1, [0, 3, 1]), (1, [0, 1, 65535]), (0, [0, 0, 0]), (1, [2, 1, 2])]
)
def test_reader_reports_what_is_no_order(dense, order):
    table, outcome = read(PRESETS["tiny"], 3, memory_words(PRESETS["tiny"], dense, order))
    assert outcome["bad"] == 1
    assert all(channel < 3 for channel in table)


@pytest.mark.parametrize("name", ["tiny", "default"])
@pytest.mark.parametrize(("idle", "stall"), IDLES[::2])
def test_writer_packs_every_entry(name, idle, stall):
    config = PRESETS[name]
    for channels in (1, 7, 8, 9, 40):
        device = TableWriter(config)
        rng = random.Random(channels)
        order = rng.sample(range(channels), channels)
        words = memory_words(config, channels // 3, order)
        assert len(words) == 1 + ceil_div(channels, config.bus_bits // 16)

        async def table(ctx, device=device, order=order):
            ctx.set(device.channels, len(order))
            ctx.set(device.dense_channels, len(order) // 3)
            ctx.set(device.base, 100)
            ctx.set(device.start, 1)
            for _ in range(300):
                _, _, position = await ctx.tick().sample(device.position)
                ctx.set(device.start, 0)
                ctx.set(device.channel, order[position] if position < len(order) else 0)

        async def monitor(ctx, device=device, rng=rng, words=words):
            writes = await collect(ctx, device.writes, len(words), rng, stall)
            assert [(write.address, write.data) for write in writes] == [(100 + i, w) for i, w in enumerate(words)]

        simulate(device, table, monitor)
