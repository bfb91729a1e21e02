import pytest
from port_bench import READERS, flush, run, setup, until, words_of
from streams import collect, send

from sqdm.rtl.registers import Status


@pytest.mark.parametrize("kind, dead", [("read", "ar r aw w b"), ("write", "ar r aw w b"), ("write", "w")])
def test_a_memory_that_died_before_the_flush_is_noticed_again(kind, dead):
    """Also when a client cannot get rid of its first write, because data of bursts on the bus fills the buffer."""
    device, memory, rng, constants = setup(12, watchdog=25)
    memory.dead = set(dead.split())

    async def bench(ctx):
        constants(ctx)
        for _ in range(6):
            stream = device.reads[0] if kind == "read" else device.writes[0]
            ctx.set(stream.valid, 1)
            await until(ctx, device.error)
            assert ctx.get(device.error_code) == Status.TIMEOUT
            await flush(ctx, device)
        ctx.set(stream.valid, 0)
        memory.dead = set()
        await flush(ctx, device)
        await ctx.tick().repeat(100)
        ctx.set(device.answers[1].ready, 1)
        await send(ctx, device.reads[1], [77], rng)
        await until(ctx, device.answers[1].valid)
        assert ctx.get(device.answers[1].payload) == memory.content(77)

    run(device, memory, bench)


@pytest.mark.parametrize("kind", ["read", "write"])
def test_no_more_answers_are_owed_than_can_be_counted(kind):
    """A memory that takes everything and answers nothing, through many flushes, and then answers it all."""
    device, memory, rng, constants = setup(14, watchdog=90)
    memory.dead = {"r", "b"}
    words = [3 * number for number in range(2000)]  # bursts of one word

    async def bench(ctx):
        constants(ctx)
        for _ in range(10):
            while not ctx.get(device.error):
                ctx.set(device.reads[0].payload, words[0])
                ctx.set(device.reads[0].valid, kind == "read")
                ctx.set(device.writes[0].payload, {"address": words[0], "data": words[0]})
                ctx.set(device.writes[0].valid, kind == "write")
                if ctx.get(device.reads[0].ready) or ctx.get(device.writes[0].ready):
                    words.pop(0)
                await ctx.tick()
            assert ctx.get(device.error_code) == Status.TIMEOUT
            await flush(ctx, device)
        assert 128 <= memory.owed <= 2 * 127
        ctx.set(device.reads[0].valid, 0)
        ctx.set(device.writes[0].valid, 0)
        memory.dead = set()
        await flush(ctx, device)
        if kind == "write":
            await send(
                ctx, device.writes[1], [{"address": 10_000 + number, "data": number} for number in range(9)], rng
            )
            await ctx.tick()
            await until(ctx, device.idle)
            assert memory.words[10_008] == 8
        await send(ctx, device.reads[1], words[:20], rng)

    async def sink(ctx):
        assert await collect(ctx, device.answers[1], 20, rng) == [memory.content(word) for word in words[:20]]

    run(device, memory, bench, sink)


@pytest.mark.parametrize("seed", range(4))
def test_flushes_at_any_time(seed):
    """New answers are right however late the old ones come; bursts on the bus are completed, others leave no trace."""
    device, memory, rng, constants = setup(
        f"flush {seed}", stall=(seed % 4) * 0.25, latency=[0, 5, 150, 400][seed // 2]
    )
    epochs = 25
    allowed = {}

    async def bench(ctx):
        constants(ctx)
        for epoch in range(epochs):
            memory.dead = rng.choice([set(), set(), {"r"}, {"ar", "aw"}, {"w"}, {"b", "r"}])
            reads = {number: words_of(rng, 200, 512, 0) for number in range(READERS)}
            asked = {number: [] for number in range(READERS)}
            write = None
            for _ in range(rng.choice([1, 3, 20, 60, 90])):
                for number in range(READERS):
                    ctx.set(device.reads[number].valid, rng.random() < 0.7)
                    ctx.set(device.reads[number].payload, reads[number][0])
                    ctx.set(device.answers[number].ready, rng.random() < 0.7)
                if write is None:
                    last = max(allowed, default=4000)
                    write = {"address": last + rng.choice([1, 1, 1, 2]), "data": rng.getrandbits(64)}
                ctx.set(device.writes[0].valid, 1)
                ctx.set(device.writes[0].payload, write)
                for number in range(READERS):
                    if ctx.get(device.reads[number].valid) and ctx.get(device.reads[number].ready):
                        asked[number].append(reads[number].pop(0))
                    if ctx.get(device.answers[number].valid) and ctx.get(device.answers[number].ready):
                        expected = memory.content(asked[number].pop(0))
                        assert ctx.get(device.answers[number].payload) == expected, f"epoch {epoch}"
                if ctx.get(device.writes[0].ready):
                    allowed[write["address"]] = write["data"]
                    write = None
                await ctx.tick()
            await flush(ctx, device, rng.choice([1, 1, 2, 7]))
        for stream in (*device.reads, *device.writes):
            ctx.set(stream.valid, 0)
        memory.dead = set()
        await flush(ctx, device)
        await ctx.tick().repeat(1500)
        assert memory.owed == 0

    run(device, memory, bench, limit=60_000)
    assert not memory.writing
    assert all(allowed[word] == data for word, data in memory.words.items())
    assert memory.words
    assert {burst[3] for burst in memory.bursts} == {0, 1}


def test_a_flush_completes_the_burst_on_the_bus():
    device, memory, rng, constants = setup(13)

    async def bench(ctx):
        constants(ctx)
        memory.dead = {"w"}
        first = [{"address": 100 + number, "data": number} for number in range(16)]
        await send(ctx, device.writes[0], first, rng)
        await ctx.tick().repeat(10)
        await send(ctx, device.writes[1], [{"address": 200 + number, "data": 7} for number in range(5)], rng)
        await flush(ctx, device)
        memory.dead = set()
        await send(ctx, device.writes[1], [{"address": 300, "data": 9}], rng)
        await ctx.tick()
        await until(ctx, device.idle)
        assert [burst[1:4] for burst in memory.bursts] == [(100, 16, 0), (300, 1, 1)]
        assert memory.words == {100 + number: number for number in range(16)} | {300: 9}

    run(device, memory, bench)
