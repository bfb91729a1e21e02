import random

import pytest
from streams import IDLES, collect, emits_verilog, send, simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.output_writer import OutputWriter

TINY = PRESETS["tiny"]
LANES = TINY.lanes


def run(layers, idle=0.0, stall=0.0):
    """Runs (channels, images, image words) layers; returns the sent words and writes of each as dictionaries."""
    device = OutputWriter(TINY)
    rng = random.Random(1)
    results = []
    pending = []

    async def bench(ctx):
        assert ctx.get(device.finished)
        for channels, images, image_words in layers:
            base = rng.randrange(1 << 20)
            memory = {}
            words = []
            # The order of the stream, and the address of docs/architecture.md for each word
            for tile in range(-(-channels // LANES)):
                for image in range(images):
                    for block in range(image_words):
                        for lane in range(LANES):
                            k = tile * LANES + lane
                            words.append(rng.getrandbits(TINY.bus_bits))
                            if k < channels:
                                memory[base + (k * images + image) * image_words + block] = words[-1]
            pending.append(len(memory))
            ctx.set(device.base, base)
            ctx.set(device.channel_words, images * image_words)
            ctx.set(device.channels, channels)
            await strobe(ctx, device.start)
            assert not ctx.get(device.finished)
            await send(ctx, device.words, words[:-1], rng, idle)
            assert not ctx.get(device.finished)
            await send(ctx, device.words, words[-1:], rng, idle)
            assert ctx.get(device.finished)
            results.append((memory, len(words)))
            await ctx.tick().repeat(30)

    written = []

    async def sink(ctx):
        for _ in layers:
            while not pending:
                await ctx.tick()
            count = pending.pop()
            taken = await collect(ctx, device.writes, count, random.Random(2), stall)
            written.append({write.address: write.data for write in taken})
            assert len(written[-1]) == count

    simulate(device, bench, sink)
    return results, written


@pytest.mark.parametrize(("idle", "stall"), IDLES)
@pytest.mark.parametrize("layer", [(1, 1, 1), (16, 2, 3), (17, 3, 2), (31, 1, 4), (64, 1, 2)])
def test_addresses(layer, idle, stall):
    results, written = run([layer], idle, stall)
    assert [memory for memory, _ in results] == written


def test_layers_one_after_another():
    results, written = run([(20, 1, 2), (16, 2, 1), (33, 1, 1)], 0.2, 0.2)
    assert [memory for memory, _ in results] == written


def test_not_finished_while_memory_stalls():
    device = OutputWriter(TINY)

    async def bench(ctx):
        ctx.set(device.channel_words, 1)
        ctx.set(device.channels, LANES)
        await strobe(ctx, device.start)
        ctx.set(device.writes.ready, 1)
        await send(ctx, device.words, range(LANES - 1), random.Random(0))
        ctx.set(device.writes.ready, 0)
        ctx.set(device.words.payload, 5)
        ctx.set(device.words.valid, 1)
        for _ in range(5):
            await ctx.tick()
            assert ctx.get(device.writes.valid)
            assert not ctx.get(device.finished)
        ctx.set(device.writes.ready, 1)
        await ctx.tick()
        assert ctx.get(device.finished)
        assert not ctx.get(device.words.ready)

    simulate(device, bench)


def test_emits_verilog():
    assert emits_verilog(OutputWriter(PRESETS["default"]), "output_writer")
