import pytest
from port_bench import CONFIGS, READERS, WRITERS, run, setup, until, words_of
from streams import IDLES, collect, send

from sqdm.rtl.axi_burst import BurstFormer
from sqdm.rtl.axi_reader import AxiReader
from sqdm.rtl.memory_port import MemoryPort
from sqdm.rtl.stream_register import StreamRegister
from sqdm.sim.emit import to_verilog


@pytest.mark.parametrize("bus_bits", CONFIGS)
@pytest.mark.parametrize("idle, stall, latency", [(*IDLES[0], 0), (*IDLES[1], 5), (*IDLES[2], 60), (*IDLES[3], 20)])
def test_random_reads_and_writes_of_all_clients(bus_bits, idle, stall, latency):
    device, memory, rng, constants = setup(f"{bus_bits} {idle} {stall} {latency}", bus_bits, stall, latency)
    page_words = 4096 // (bus_bits // 8)
    count = 60
    reads = [words_of(rng, count, page_words, 0) for _ in range(READERS)]
    writes = [
        [{"address": word, "data": rng.getrandbits(bus_bits)} for word in words_of(rng, count, page_words, base)]
        for base in (10 * page_words, 20 * page_words)
    ]
    taken = {}
    pulses = {"read": 0, "write": 0}

    def reader(number):
        async def bench(ctx):
            constants(ctx)
            await send(ctx, device.reads[number], reads[number], rng, idle)

        return bench

    def sink(number):
        async def bench(ctx):
            taken[number] = await collect(ctx, device.answers[number], count, rng, stall)

        return bench

    def writer(number):
        async def bench(ctx):
            await send(ctx, device.writes[number], writes[number], rng, idle)
            await ctx.tick()
            await until(ctx, device.idle, 10_000)
            assert not ctx.get(device.error)

        return bench

    async def counters(ctx):
        async for _, _, read, write in ctx.tick().sample(device.read, device.write):
            pulses["read"] += read
            pulses["write"] += write
            if pulses["read"] == READERS * count and pulses["write"] == WRITERS * count:
                break

    benches = [make(number) for make in (reader, sink) for number in range(READERS)]
    run(device, memory, *benches, *(writer(number) for number in range(WRITERS)), counters)
    for number in range(READERS):
        assert taken[number] == [memory.content(word) for word in reads[number]]
    expected = {write["address"]: write["data"] for stream in writes for write in stream}
    assert memory.words == expected
    assert memory.owed == 0


@pytest.mark.parametrize("channel", ["ar", "aw"])
def test_bursts_are_as_long_as_rules_allow(channel):
    device, memory, rng, constants = setup(1, 128)
    page = 256  # words of 16 bytes
    cases = [
        (range(page, page + 40), [(page, 16), (page + 16, 16), (page + 32, 8)]),
        (range(2 * page - 5, 2 * page + 5), [(2 * page - 5, 5), (2 * page, 5)]),
        ([7, 8, 10, 11, 12, 11, 10], [(7, 2), (10, 3), (11, 1), (10, 1)]),
        ([9, 9, 9], [(9, 1)] * 3),
    ]

    async def bench(ctx):
        constants(ctx)
        for words, expected in cases:
            memory.bursts.clear()
            if channel == "ar":
                cycles = await send(ctx, device.reads[1], words, rng)
            else:
                cycles = await send(ctx, device.writes[1], [{"address": word, "data": word} for word in words], rng)
            assert cycles == len(words)
            await ctx.tick().repeat(60)
            assert [burst[:3] for burst in memory.bursts] == [(channel, *burst) for burst in expected]
            assert ctx.get(device.idle)

    async def sink(ctx):
        await collect(ctx, device.answers[1], sum(len(words) for words, _ in cases) if channel == "ar" else 0, rng)

    run(device, memory, bench, sink)


def test_other_clients_are_not_merged():
    device, memory, rng, constants = setup(2)

    async def bench(ctx):
        constants(ctx)
        for client, word in ((0, 20), (1, 21), (1, 22), (2, 23)):
            await send(ctx, device.reads[client], [word], rng)
        for number in range(READERS):
            ctx.set(device.answers[number].ready, 1)
        await ctx.tick().repeat(20)
        assert [burst[1:3] for burst in memory.bursts] == [(20, 1), (21, 2), (23, 1)]

    run(device, memory, bench)


def test_the_lowest_numbered_client_goes_first():
    device, memory, _, constants = setup(3)

    async def bench(ctx):
        constants(ctx)
        for number in range(READERS):
            ctx.set(device.reads[number].payload, 100 * (number + 1))
            ctx.set(device.reads[number].valid, 1)
            ctx.set(device.answers[number].ready, 1)
        order = []
        for _ in range(READERS):
            readies = [ctx.get(read.ready) for read in device.reads]
            assert sum(readies) == 1
            order.append(readies.index(1))
            await ctx.tick()
            ctx.set(device.reads[order[-1]].valid, 0)
        assert order == [0, 1, 2]
        await ctx.tick().repeat(20)
        assert [burst[1] for burst in memory.bursts] == [100, 200, 300]

    run(device, memory, bench)


def test_published_latency_of_a_lone_read():
    device, memory, rng, constants = setup(4)

    async def bench(ctx):
        constants(ctx)
        await send(ctx, device.reads[0], [5], rng)
        request = memory.cycle - 1
        while not ctx.get(device.arvalid):
            await ctx.tick()
        assert memory.cycle - request == StreamRegister.LATENCY + BurstFormer.LATENCY
        while not ctx.get(device.rvalid):
            await ctx.tick()
        beat = memory.cycle
        while not ctx.get(device.answers[0].valid):
            await ctx.tick()
        assert memory.cycle - beat == AxiReader.LATENCY

    run(device, memory, bench)


@pytest.mark.parametrize("step", [1, 3])
def test_one_word_per_cycle_whether_merged_or_not(step):
    count = 400
    device, memory, rng, constants = setup(5, latency=8)
    words = [3 * count + step * number for number in range(count)]
    took = {}

    async def reads(ctx):
        constants(ctx)
        assert await send(ctx, device.reads[0], words, rng) == count

    async def writes(ctx):
        assert await send(ctx, device.writes[0], [{"address": word, "data": word} for word in words], rng) == count

    async def sink(ctx):
        cycles = []
        await collect(ctx, device.answers[0], count, rng, cycles=cycles)
        took["answers"] = cycles[-1]

    run(device, memory, reads, writes, sink)
    assert took["answers"] <= count + 16 + 20
    assert all(memory.content(word) == word for word in words)


def test_idle_and_writes_idle_wait_for_the_memory():
    device, memory, rng, constants = setup(15)
    memory.dead = {"r", "b"}

    async def bench(ctx):
        constants(ctx)
        assert ctx.get(device.idle)
        assert ctx.get(device.writes_idle)
        ctx.set(device.answers[0].ready, 1)
        await send(ctx, device.reads[0], [4], rng)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(device.idle)
            assert ctx.get(device.writes_idle)
        ctx.set(device.writes[1].valid, 1)
        assert not ctx.get(device.writes_idle)  # in the very cycle: a barrier must not slip through
        await send(ctx, device.writes[1], [{"address": 5, "data": 6}], rng)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(device.writes_idle)
        memory.dead = {"b"}
        await ctx.tick().repeat(10)
        assert not ctx.get(device.idle)
        memory.dead = set()
        await ctx.tick().repeat(10)
        assert ctx.get(device.idle)
        assert ctx.get(device.writes_idle)

    run(device, memory, bench)


@pytest.mark.parametrize("bus_bits", CONFIGS)
def test_emits_verilog(bus_bits):
    text = to_verilog(MemoryPort(CONFIGS[bus_bits], 4, 2), "memory_port")
    assert "module memory_port(" in text
    assert "arvalid" in text
