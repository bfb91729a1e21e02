"""ProgramControl: from the host's start to the interrupt, whatever ends the program."""

import pytest
from streams import simulate, strobe

from sqdm.rtl.program_control import ProgramControl
from sqdm.rtl.registers import Status


def get(ctx, device, *names):
    return tuple(ctx.get(getattr(device, name)) for name in names)


async def start(ctx, device):
    """The host writes CONTROL.start; the core starts one cycle later, for one cycle."""
    await strobe(ctx, device.start)
    assert get(ctx, device, "core_start", "busy", "done", "interrupt", "core_reset", "flush") == (1, 1, 0, 0, 0, 0)
    await ctx.tick()
    assert get(ctx, device, "core_start", "busy") == (0, 1)


async def end(ctx, device, status, settle=5):
    """From the cycle after the end: reset and flush together, then the port settles, then the interrupt."""
    cycles = 0
    while ctx.get(device.core_reset):
        assert get(ctx, device, "flush", "busy", "done", "interrupt") == (1, 1, 0, 0)
        cycles += 1
        await ctx.tick()
    assert cycles >= 2
    for _ in range(settle):
        assert get(ctx, device, "flush", "busy", "done", "interrupt") == (0, 1, 0, 0)
        await ctx.tick()
    await strobe(ctx, device.port_idle)
    assert get(ctx, device, "busy", "done", "waiting", "interrupt", "counting") == (0, 1, 0, 1, 0)
    assert Status(ctx.get(device.status)) is status


@pytest.mark.parametrize(
    ("pins", "status"),
    [
        ({"core_finished": 1, "core_status": Status.OK}, Status.OK),
        ({"core_finished": 1, "core_status": Status.BAD_TABLE}, Status.BAD_TABLE),
        ({"stop": 1}, Status.STOPPED),
        ({"port_error": 1, "port_status": Status.TIMEOUT}, Status.TIMEOUT),
        ({"port_error": 1, "port_status": Status.BUS_ERROR, "core_finished": 1}, Status.BUS_ERROR),
        ({"port_error": 1, "port_status": Status.BAD_ADDRESS, "stop": 1}, Status.BAD_ADDRESS),
    ],
    ids=str,
)
def test_every_end(pins, status):
    device = ProgramControl()

    async def bench(ctx):
        assert get(ctx, device, "busy", "done", "interrupt", "core_start", "core_reset", "flush") == (0,) * 6
        for _ in range(2):  # the second program is like the first
            await start(ctx, device)
            for _ in range(7):
                assert get(ctx, device, "busy", "core_reset", "flush", "interrupt") == (1, 0, 0, 0)
                await ctx.tick()
            for name, value in pins.items():
                ctx.set(getattr(device, name), value)
            await ctx.tick()
            for name in pins:
                ctx.set(getattr(device, name), 0)
            await end(ctx, device, status)
            await ctx.tick()
            assert get(ctx, device, "done", "interrupt") == (1, 1), "done stays until the next start"

    simulate(device, bench)


def test_nothing_but_start_counts_while_idle():
    device = ProgramControl()

    async def bench(ctx):
        for name in ("stop", "resume", "core_finished", "port_error", "core_waiting", "port_idle"):
            await strobe(ctx, getattr(device, name))
            outputs = (
                "busy",
                "done",
                "waiting",
                "interrupt",
                "core_start",
                "core_resume",
                "core_reset",
                "flush",
                "counting",
            )
            assert get(ctx, device, *outputs) == (0,) * len(outputs)

    simulate(device, bench)


def test_start_is_ignored_while_busy():
    device = ProgramControl()

    async def bench(ctx):
        await start(ctx, device)
        ctx.set(device.start, 1)
        for _ in range(3):
            await ctx.tick()
            assert get(ctx, device, "core_start", "busy") == (0, 1)
        ctx.set(device.start, 0)
        await strobe(ctx, device.stop)
        ctx.set(device.start, 1)
        await ctx.tick()
        ctx.set(device.start, 0)
        await end(ctx, device, Status.STOPPED)

    simulate(device, bench)


def test_waiting_and_counting():
    device = ProgramControl()

    async def bench(ctx):
        await start(ctx, device)
        ctx.set(device.core_waiting, 1)
        assert get(ctx, device, "waiting", "interrupt", "done", "busy", "counting") == (1, 1, 0, 1, 1)
        ctx.set(device.core_resting, 1)
        assert get(ctx, device, "counting", "core_resume") == (0, 0)
        ctx.set(device.resume, 1)
        assert get(ctx, device, "core_resume") == (1,)
        await ctx.tick()
        for name in ("resume", "core_waiting", "core_resting"):
            ctx.set(getattr(device, name), 0)
        assert get(ctx, device, "waiting", "interrupt", "counting") == (0, 0, 1)
        ctx.set(device.core_waiting, 1)
        ctx.set(device.port_error, 1)  # the program is over: it does not wait for the host
        ctx.set(device.port_status, Status.BUS_ERROR)
        assert get(ctx, device, "waiting", "interrupt") == (0, 0)
        await ctx.tick()
        ctx.set(device.port_error, 0)
        assert get(ctx, device, "waiting", "core_reset") == (0, 1)
        await end(ctx, device, Status.BUS_ERROR)

    simulate(device, bench)
