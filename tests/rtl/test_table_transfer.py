"""TableWriter and TableReader: inverse of each other, and what memory should never hold."""

import random

import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.rtl.config import PRESETS, Config, ceil_div
from sqdm.rtl.table_reader import TableReader
from sqdm.rtl.table_writer import TableWriter

TINY = PRESETS["tiny"]
WIDE = Config(name="bus512", dense_arrays=3, sparse_arrays=2, lanes=128, bus_bits=512, max_channels=200)
CONFIGS = [TINY, PRESETS["paper"], WIDE]


def memory_words(config, dense_channels, order, counts):
    """A plane's table in memory, from docs/architecture.md: 16-bit pieces one by one."""
    pieces = config.bus_bits // 16
    halves = [half for channel, count in zip(order, counts, strict=True) for half in (channel, count)]
    halves += [0] * (-len(halves) % pieces)
    words = [dense_channels]
    for start in range(0, len(halves), pieces):
        words.append(sum(half << 16 * place for place, half in enumerate(halves[start : start + pieces])))
    return words


def read(config, channels, words, idle=0.0, slot_channels=None, two_planes=False):
    """Reads tables; returns the tables by plane and what the outputs say at the end."""
    device = TableReader(config)
    rng = random.Random(5)
    tables, outcome = ({}, {}), {}

    async def drive(ctx):
        ctx.set(device.channels, channels)
        ctx.set(device.slot_channels, slot_channels or config.max_depth)
        ctx.set(device.two_planes, two_planes)
        await strobe(ctx, device.start)
        await send(ctx, device.words, words, rng, idle)

    async def monitor(ctx):
        finished = 0
        while not finished:
            _, _, valid, write, finished = await ctx.tick().sample(
                device.table_writes.valid, device.table_writes.payload, device.finished
            )
            if valid:
                assert write.position not in tables[write.plane]
                tables[write.plane][write.position] = write.channel
        assert sum(map(len, tables)) == (1 + two_planes) * channels
        outcome.update(low=ctx.get(device.dense_low), high=ctx.get(device.dense_high), bad=ctx.get(device.bad))

    simulate(device, drive, monitor)
    return [[table[i] for i in range(len(table))] for table in tables], outcome


def random_table(rng, channels):
    return rng.sample(range(channels), channels), [rng.getrandbits(16) for _ in range(channels)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("channels", [1, 3, 8, 9, 64])
def test_reader_unpacks_every_entry_of_both_planes(config, channels):
    rng = random.Random(channels)
    low, high = random_table(rng, channels), random_table(rng, channels)
    first = memory_words(config, channels // 2, *high)
    second = memory_words(config, channels // 3, *low)
    for idle, _ in IDLES[:2]:
        tables, outcome = read(config, channels, first + second, idle, two_planes=True)
        assert tables == [low[0], high[0]]
        assert outcome == {"low": channels // 3, "high": channels // 2, "bad": 0}
        tables, outcome = read(config, channels, second, idle)
        assert tables == [low[0], []]
        assert (outcome["low"], outcome["bad"]) == (channels // 3, 0)


@pytest.mark.parametrize(
    ("dense", "order"), [(4, [0, 1, 2]), (1, [0, 3, 1]), (1, [0, 1, 65535]), (0, [0, 0, 0]), (1, [2, 1, 2])]
)
@pytest.mark.parametrize("plane", [0, 1])
def test_reader_reports_what_is_no_order(dense, order, plane):
    """Whichever of the two tables it is in."""
    good = memory_words(TINY, 2, [1, 0, 2], [0, 0, 0])
    bad = memory_words(TINY, dense, order, [7, 8, 9])
    tables, outcome = read(TINY, 3, bad + good if plane else good + bad, two_planes=True)
    assert outcome["bad"] == 1
    assert all(channel < 3 for table in tables for channel in table)
    assert tables[1 - plane] == [1, 0, 2]


@pytest.mark.parametrize(
    ("channels", "slot_channels", "dense", "expected"),
    # 2 + 2 slots: 10 channels, 3 a slot: 4 .. 6; 10 channels, 5 a slot: 0 .. 10; 12 channels, 3 a slot: 6
    [(10, 3, 0, 4), (10, 3, 5, 5), (10, 3, 9, 6), (10, 5, 0, 0), (10, 5, 10, 10), (12, 3, 0, 6), (12, 3, 12, 6)],
)
def test_reader_limits_the_dense_channels(channels, slot_channels, dense, expected):
    words = memory_words(TINY, dense, range(channels), [0] * channels)
    assert read(TINY, channels, words, slot_channels=slot_channels)[1]["low"] == expected


@pytest.mark.parametrize(("name", "expected"), [("dense", 9), ("sparse", 0)])
def test_reader_gives_all_channels_to_the_only_kind_of_array(name, expected):
    config = PRESETS[name]
    words = memory_words(config, 4, range(9), [0] * 9)
    assert read(config, 9, words, slot_channels=2)[1] == {"low": expected, "high": 0, "bad": 0}


def store(config, tables, stall=0.0):
    """Fills and stores one (dense_channels, order, counts) after the other; checks the words. Returns the cycles."""
    device = TableWriter(config)
    rng = random.Random(len(tables))
    cycles = []

    async def drive(ctx):
        for dense_channels, order, counts in tables:
            entries = [
                {"plane": rng.getrandbits(1), "position": position, "channel": channel, "count": count}
                for position, (channel, count) in enumerate(zip(order, counts, strict=True))
            ]
            rng.shuffle(entries)
            await send(ctx, device.table_writes, entries, rng, always_ready=True)
            ctx.set(device.channels, len(order))
            ctx.set(device.dense_channels, dense_channels)
            base = rng.getrandbits(30)
            ctx.set(device.base, base)
            await strobe(ctx, device.start)
            expected = memory_words(config, dense_channels, order, counts)
            assert len(expected) == 1 + ceil_div(len(order) * 32, config.bus_bits)
            taken, cycle, held = [], 0, None
            while len(taken) < len(expected):
                ready = rng.random() >= stall
                ctx.set(device.writes.ready, ready)
                _, _, valid, write, finished = await ctx.tick().sample(
                    device.writes.valid, device.writes.payload, device.finished
                )
                cycle += 1
                assert held is None or (valid and write == held)
                held = write if valid and not ready else None
                if valid and ready:
                    taken.append((write.address, write.data))
                assert finished == (valid and ready and len(taken) == len(expected))
            cycles.append(cycle)
            assert taken == [(base + i, word) for i, word in enumerate(expected)]
            assert not await collect(ctx, device.writes, 0, rng)

    simulate(device, drive)
    return cycles


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("stall", [0.0, 0.5, 0.9])
def test_writer_packs_every_entry(config, stall):
    rng = random.Random(9)
    store(config, [(channels // 3, *random_table(rng, channels)) for channels in (40, 1, 7, 8, 9, 64)], stall)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_writer_takes_one_cycle_per_entry(config):
    rng = random.Random(2)
    for channels in (1, 16, 61):
        assert store(config, [(0, *random_table(rng, channels))])[0] <= channels + 3


@pytest.mark.parametrize("config", [TINY, PRESETS["dense"], PRESETS["sparse"]], ids=lambda config: config.name)
def test_emits_verilog(config):
    assert emits_verilog(TableReader(config), "table_reader")
    assert emits_verilog(TableWriter(config), "table_writer")
