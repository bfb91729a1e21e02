"""The memory port with a memory behind it, for its component tests."""

import random
from dataclasses import replace

from amaranth.sim import Simulator
from axi_memory import AxiMemory

from sqdm.rtl.config import PRESETS
from sqdm.rtl.memory_port import MemoryPort

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
    """Some cycles of flush, which leave the port idle and without error."""
    ctx.set(device.flush, 1)
    await ctx.tick().repeat(cycles)
    assert ctx.get(device.idle)
    assert not ctx.get(device.error)
    ctx.set(device.flush, 0)
