import random

import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.output_writer import OutputWriter

TINY = PRESETS["tiny"]


def random_words(rng, count, existing):
    """Words of a layer, `existing` of them on average; the last one is marked."""
    words = [
        {"word": rng.getrandbits(64), "address": rng.getrandbits(32), "exists": rng.random() < existing, "first": 0,
         "last": 0, "end": 0}
        for _ in range(count)
    ]  # fmt: skip
    words[-1]["end"] = 1
    return words


def run(layers, entries, idle=0.0, stall=0.0):
    """Sends layers of words, and beside them `entries`; returns what was written in each layer."""
    device = OutputWriter(TINY)
    state = {"layer": 0, "started": 0, "open": False}
    written = []

    async def words(ctx):
        rng = random.Random(1)
        for layer in layers:
            assert ctx.get(device.finished)
            ctx.set(device.pending, 1)
            await strobe(ctx, device.start)
            state["started"] += 1
            await send(ctx, device.words, layer, rng, idle)
            while len(written) < state["started"]:
                await ctx.tick()

    async def statistics(ctx):
        rng = random.Random(2)
        for number in range(len(layers)):
            while state["started"] <= number:
                await ctx.tick()
            await send(ctx, device.entries, entries, rng, 0.5)
            assert not ctx.get(device.finished)
            ctx.set(device.pending, 0)

    async def memory(ctx):
        rng = random.Random(3)
        for number, layer in enumerate(layers):
            while state["started"] <= number:
                await ctx.tick()
            count = sum(word["exists"] for word in layer) + len(entries)
            taken = await collect(ctx, device.writes, count, rng, stall)
            while not ctx.get(device.finished):
                await ctx.tick()
            written.append([(write.address, write.data) for write in taken])

    simulate(device, words, statistics, memory)
    return written


@pytest.mark.parametrize(("idle", "stall"), IDLES)
@pytest.mark.parametrize("existing", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("count", [5, 30])
def test_writes_words_that_exist_and_entries(count, existing, idle, stall):
    rng = random.Random(4)
    layers = [random_words(rng, count, existing) for _ in range(2)]
    entries = [{"address": rng.getrandbits(32), "data": rng.getrandbits(64)} for _ in range(9)]
    expected_entries = [(entry["address"], entry["data"]) for entry in entries]
    for layer, writes in zip(layers, run(layers, entries, idle, stall), strict=True):
        assert [write for write in writes if write not in expected_entries] == [
            (word["address"], word["word"]) for word in layer if word["exists"]
        ]
        assert [write for write in writes if write in expected_entries] == expected_entries


def test_not_finished_while_memory_stalls():
    device = OutputWriter(TINY)
    words = random_words(random.Random(5), 3, 1.0)

    async def bench(ctx):
        assert ctx.get(device.finished)
        assert not ctx.get(device.words.ready)
        await strobe(ctx, device.start)
        assert not ctx.get(device.finished)
        ctx.set(device.writes.ready, 1)
        await send(ctx, device.words, words, random.Random(0))
        ctx.set(device.writes.ready, 0)
        for _ in range(5):
            await ctx.tick()
            assert ctx.get(device.writes.valid)
            assert not ctx.get(device.finished)
        ctx.set(device.writes.ready, 1)
        await ctx.tick()
        assert ctx.get(device.finished)
        assert not ctx.get(device.words.ready)

    simulate(device, bench)


def test_a_word_per_cycle_and_entries_first():
    device = OutputWriter(TINY)
    words = random_words(random.Random(6), 20, 1.0)

    async def bench(ctx):
        await strobe(ctx, device.start)
        ctx.set(device.writes.ready, 1)
        assert await send(ctx, device.words, words[:10], random.Random(0)) == 10
        ctx.set(device.entries.valid, 1)
        ctx.set(device.words.valid, 1)
        assert ctx.get(device.entries.ready)
        assert not ctx.get(device.words.ready)
        ctx.set(device.entries.valid, 0)
        assert ctx.get(device.words.ready)

    simulate(device, bench)


def test_start_drops_a_waiting_write():
    device = OutputWriter(TINY)
    words = random_words(random.Random(7), 4, 1.0)

    async def bench(ctx):
        await strobe(ctx, device.start)
        await send(ctx, device.words, words[:1], random.Random(0))
        assert ctx.get(device.writes.valid)
        await strobe(ctx, device.start)
        assert not ctx.get(device.writes.valid)
        assert not ctx.get(device.finished)

    simulate(device, bench)


def test_emits_verilog():
    assert emits_verilog(OutputWriter(PRESETS["default"]), "output_writer")
