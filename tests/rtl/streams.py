"""Drivers and monitors of streams for the component tests, in Amaranth's simulator.

Random choices come from a `random.Random` that the test seeds. A cycle is one period of the 1 MHz test clock.
"""

import os

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")

from amaranth.back import verilog
from amaranth.hdl import Signal, Value
from amaranth.sim import Simulator

IDLES = [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6), (0.4, 0.4)]  #: (idle of the source, stall of the sink)


def simulate(component, *benches, limit=20_000):
    """Runs the test benches (``async def bench(ctx)``) together until all have ended, `limit` cycles at most."""

    async def watchdog(ctx):
        await ctx.delay(limit * 1e-6)
        raise AssertionError(f"test benches have not ended after {limit} cycles")

    sim = Simulator(component)
    sim.add_clock(1e-6)
    for bench in benches:
        sim.add_testbench(bench)
    sim.add_testbench(watchdog, background=True)
    sim.run()


async def strobe(ctx, signal):
    """One cycle of `signal` = 1."""
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def send(ctx, stream, payloads, rng, idle=0.0, always_ready=False):
    """Sends the payloads in order, idle before each with probability `idle` per cycle; returns the cycles it took."""
    cycles = 0
    for payload in payloads:
        while rng.random() < idle:
            await ctx.tick()
            cycles += 1
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        ready = False
        while not ready:
            if always_ready:
                ready = True
                await ctx.tick()
            else:
                _, _, ready = await ctx.tick().sample(stream.ready)
            cycles += 1
        ctx.set(stream.valid, 0)
    return cycles


async def collect(ctx, stream, count, rng, stall=0.0, after=20, cycles=None):
    """Takes `count` payloads and checks that a stalled one is held and that none follows for `after` cycles.

    The sink is not ready with probability `stall` per cycle. `cycles` receives the cycle of each payload, counted from
    the call.
    """
    taken = []
    held = None
    cycle = 0
    left = after
    while len(taken) < count or left:
        ready = rng.random() >= stall
        ctx.set(stream.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if held is not None:
            assert valid, f"cycle {cycle}: valid fell without ready"
            assert payload == held, f"cycle {cycle}: payload changed without ready"
        held = payload if valid and not ready else None
        if len(taken) == count:
            assert not valid, f"cycle {cycle}: payload number {count} was not expected"
            left -= 1
        elif valid and ready:
            taken.append(payload)
            if cycles is not None:
                cycles.append(cycle)
        cycle += 1
    ctx.set(stream.ready, 0)
    return taken


async def watch(ctx, stream, cycles):
    """Takes every payload of an always-ready stream for `cycles` cycles, without touching its ready."""
    taken = []
    for _ in range(cycles):
        _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if valid:
            taken.append(payload)
    return taken


def emits_verilog(component, name):
    """True when the component converts to a Verilog module called `name`; always-ready streams have no ready port."""
    members = (Value.cast(value) for _, _, value in component.signature.flatten(component))
    ports = [member for member in members if isinstance(member, Signal)]
    return f"module {name}(" in verilog.convert(component, name=name, ports=ports)
