import pytest
from port_bench import ALL, flush, run, setup, until
from streams import send

from sqdm.rtl.registers import Status


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
