import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator
from axi_memory import AxiMemory
from streams import IDLES, collect, send

from sqdm.rtl.axi_burst import BurstFormer
from sqdm.rtl.axi_reader import AxiReader
from sqdm.rtl.config import PRESETS
from sqdm.rtl.memory_port import MemoryPort
from sqdm.rtl.registers import Status
from sqdm.sim.emit import to_verilog

CONFIGS = {64: PRESETS["tiny"], 128: PRESETS["default"], 512: replace(PRESETS["default"], bus_bits=512, lanes=128)}
READERS, WRITERS = 3, 2
ALL = (0, 0xFFFFFFFF)


def setup(seed, bus_bits=64, stall=0.0, latency=0, window=ALL, watchdog=0):
    """The port, its memory and a process that sets its constant inputs."""
    device = MemoryPort(CONFIGS[bus_bits], READERS, WRITERS)
    rng = random.Random(seed)
    memory = AxiMemory(device, bus_bits // 8, rng, stall, latency)

    def constants(ctx):
        ctx.set(device.window_first, window[0])
        ctx.set(device.window_last, window[1])
        ctx.set(device.watchdog, watchdog)

    return device, memory, rng, constants


def run(device, memory, *benches, limit=20_000):
    """Benches next to the memory, which goes on for ever."""

    async def watchdog(ctx):
        await ctx.delay(limit * 1e-6)
        raise AssertionError(f"test benches have not ended after {limit} cycles")

    sim = Simulator(device)
    sim.add_clock(1e-6)
    sim.add_testbench(memory.run, background=True)
    for bench in benches:
        sim.add_testbench(bench)
    sim.add_testbench(watchdog, background=True)
    sim.run()


def words_of(rng, count, page_words, base):
    """Word addresses: runs of consecutive ones of any length, around page boundaries too."""
    words = []
    while len(words) < count:
        start = base + rng.choice([rng.randrange(4 * page_words), page_words * rng.randint(1, 3) - rng.randint(1, 20)])
        words += range(start, start + rng.choice([1, 1, 2, 5, 16, 17, 40]))
    return words[:count]


async def until(ctx, signal, limit=1000):
    """Cycles until a signal is 1."""
    for cycle in range(limit):
        if ctx.get(signal):
            return cycle
        await ctx.tick()
    raise AssertionError(f"{signal.name} is still 0 after {limit} cycles")


async def flush(ctx, device, cycles=1):
    ctx.set(device.flush, 1)
    await ctx.tick().repeat(cycles)
    assert ctx.get(device.idle)
    assert not ctx.get(device.error)
    ctx.set(device.flush, 0)


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
        assert memory.cycle - request == BurstFormer.LATENCY
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


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize("word, inside", [(0x1FF, False), (0x200, True), (0x2FF, True), (0x300, False),
                                          (0x200 | 1 << 29, False), (0x200 | 1 << 31, False)])  # fmt: skip
def test_words_outside_the_window_are_not_touched(kind, word, inside):
    device, memory, rng, constants = setup(6, window=(0x1000, 0x17FF))

    async def bench(ctx):
        constants(ctx)
        stream, payload = (
            (device.reads[1], word) if kind == "read" else (device.writes[1], {"address": word, "data": 3})
        )
        ctx.set(device.answers[1].ready, 1)
        await send(ctx, stream, [payload], rng)
        await ctx.tick().repeat(20)
        assert ctx.get(device.error) == (not inside)
        assert [burst[1:3] for burst in memory.bursts] == ([(word, 1)] if inside else [])
        assert ctx.get(device.idle) == inside
        if not inside:
            assert ctx.get(device.error_code) == Status.BAD_ADDRESS
            assert ctx.get(device.error_address) == word * 8 % (1 << 32)
            await flush(ctx, device)
        await send(ctx, device.reads[1], [0x234], rng)
        await ctx.tick().repeat(20)
        assert memory.bursts[-1][1:3] == (0x234, 1)
        assert ctx.get(device.idle)

    run(device, memory, bench)


@pytest.mark.parametrize("window, inside", [((0x1004, 0x17FF), False), ((0x1000, 0x1006), False),
                                            ((0x1000, 0x1007), True), ((0x1001, 0x1007), False)])  # fmt: skip
def test_a_word_must_be_wholly_inside(window, inside):
    device, memory, rng, constants = setup(7, window=window)

    async def bench(ctx):
        constants(ctx)
        await send(ctx, device.reads[0], [0x200], rng)
        await ctx.tick().repeat(10)
        assert ctx.get(device.error) == (not inside)

    run(device, memory, bench)


def test_error_of_a_read_names_the_word_and_precedes_its_answer():
    device, memory, rng, constants = setup(8)
    memory.bad = {45, 47}

    async def bench(ctx):
        constants(ctx)
        await send(ctx, device.reads[2], range(40, 50), rng)
        ctx.set(device.answers[2].ready, 1)
        taken = 0
        while taken < 10:
            valid, error = ctx.get(device.answers[2].valid), ctx.get(device.error)
            assert error == (taken >= 5) or not valid
            taken += valid
            await ctx.tick()
        assert ctx.get(device.error_code) == Status.BUS_ERROR
        assert ctx.get(device.error_address) == 45 * 8
        assert not ctx.get(device.reads[2].ready)
        await flush(ctx, device)

    run(device, memory, bench)


def test_error_of_a_write_names_its_burst():
    device, memory, rng, constants = setup(9)
    memory.bad = {45}

    async def bench(ctx):
        constants(ctx)
        await send(
            ctx, device.writes[1], [{"address": word, "data": 1} for word in (*range(30, 38), *range(40, 48))], rng
        )
        await until(ctx, device.error)
        assert ctx.get(device.error_code) == Status.BUS_ERROR
        assert ctx.get(device.error_address) == 40 * 8
        await ctx.tick().repeat(10)
        assert ctx.get(device.idle)
        await flush(ctx, device)

    run(device, memory, bench)


def test_nothing_starts_after_an_error():
    device, memory, rng, constants = setup(10)
    memory.bad = {1}

    async def bench(ctx):
        constants(ctx)
        ctx.set(device.answers[0].ready, 1)
        await send(ctx, device.reads[0], [1], rng)
        await until(ctx, device.error)
        bursts = len(memory.bursts)
        ctx.set(device.reads[0].valid, 1)
        ctx.set(device.writes[0].valid, 1)
        await ctx.tick().repeat(50)
        assert len(memory.bursts) == bursts

    run(device, memory, bench)


@pytest.mark.parametrize("dead", ["ar", "r", "aw", "w", "b"])
@pytest.mark.parametrize("watchdog", [0, 1, 30])
def test_watchdog_notices_each_dead_channel(dead, watchdog):
    device, memory, rng, constants = setup(11, watchdog=watchdog)
    memory.dead = {dead}

    async def bench(ctx):
        ctx.set(device.window_last, ALL[1])
        await ctx.tick().repeat(40)  # idle: not counted
        assert not ctx.get(device.error)
        ctx.set(device.answers[0].ready, 1)
        await send(ctx, device.reads[0], [1, 2], rng)
        await send(ctx, device.writes[0], [{"address": 3, "data": 4}], rng)
        constants(ctx)
        if watchdog == 0:
            await ctx.tick().repeat(200)
            assert not ctx.get(device.error)
        else:
            await until(ctx, device.error)
            assert ctx.get(device.error_code) == Status.TIMEOUT
            assert ctx.get(device.error_address) == 0
            if watchdog == 30:
                assert memory.cycle - memory.last_move == watchdog + 2  # the register of the counter, that of the error
            assert not ctx.get(device.idle)
        await flush(ctx, device)
        await ctx.tick().repeat(100)
        assert not ctx.get(device.error)
        assert ctx.get(device.idle)

    run(device, memory, bench)


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_memory_that_died_before_the_flush_is_noticed_again(kind):
    """Also when clients cannot get rid of their first request, because the old ones fill all queues."""
    device, memory, rng, constants = setup(12, watchdog=25)
    memory.dead = {"ar", "r", "aw", "w", "b"}

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


@pytest.mark.parametrize("bus_bits", CONFIGS)
def test_emits_verilog(bus_bits):
    text = to_verilog(MemoryPort(CONFIGS[bus_bits], 4, 2), "memory_port")
    assert "module memory_port(" in text
    assert "arvalid" in text
