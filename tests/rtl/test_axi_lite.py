import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from streams import IDLES, emits_verilog, simulate

from sqdm.rtl import axi
from sqdm.rtl.axi_lite import AxiLite
from sqdm.rtl.config import PRESETS
from sqdm.rtl.register_file import ADDRESS_BITS, RegisterFile
from sqdm.rtl.registers import ID_VALUE, REGISTERS

OKAY, SLVERR = 0, 2
STORES = {name: REGISTERS[name].offset for name in ("PROGRAM_BASE", "WINDOW_FIRST", "WINDOW_LAST", "WATCHDOG")}


class Registers(wiring.Component):
    """A register file behind AXI4-Lite."""

    def __init__(self):
        super().__init__(axi.lite_channels(ADDRESS_BITS) | {"start": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.lite = lite = AxiLite()
        m.submodules.file = file = RegisterFile(PRESETS["tiny"])
        for name, member in axi.lite_channels(ADDRESS_BITS).items():
            inner, outer = getattr(lite, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        m.d.comb += [
            file.address.eq(lite.address),
            file.write.eq(lite.write),
            file.write_data.eq(lite.write_data),
            lite.read_data.eq(file.read_data),
            self.start.eq(file.start),
        ]
        return m


async def put(ctx, device, rng, idle, channel, **payload):
    """One transfer on AW, W or AR."""
    while rng.random() < idle:
        await ctx.tick()
    for name, value in payload.items():
        ctx.set(getattr(device, channel + name), value)
    ctx.set(getattr(device, f"{channel}valid"), 1)
    ready = 0
    while not ready:
        _, _, ready = await ctx.tick().sample(getattr(device, f"{channel}ready"))
    ctx.set(getattr(device, f"{channel}valid"), 0)
    for name, value in payload.items():
        ctx.set(getattr(device, channel + name), ~value)  # what is not valid is noise


async def get(ctx, device, rng, stall, channel, names):
    """One answer on B or R, held while it waits."""
    held = None
    while True:
        ready = rng.random() >= stall
        ctx.set(getattr(device, f"{channel}ready"), ready)
        signals = [getattr(device, channel + name) for name in ("valid", *names)]
        _, _, valid, *payload = await ctx.tick().sample(*signals)
        if held is not None:
            assert valid
            assert payload == held
        held = payload if valid else None
        if valid and ready:
            ctx.set(getattr(device, f"{channel}ready"), 0)
            return payload


@pytest.mark.parametrize("idle, stall", IDLES)
def test_random_writes_and_reads(idle, stall):
    device = Registers()
    rng = random.Random(f"{idle} {stall}")
    count = 150
    writes = [(rng.choice([*STORES.values(), 0x800, 0xFFC, 0]) | rng.randrange(4), rng.getrandbits(32),
               rng.choice([15, 15, 15, *range(16)])) for _ in range(count)]  # fmt: skip
    done = [0]
    history = []  # registers after each write

    async def address(ctx):
        for offset, _, _ in writes:
            await put(ctx, device, rng, idle, "aw", addr=offset)

    async def data(ctx):
        for _, value, strobes in writes:
            await put(ctx, device, rng, idle, "w", data=value, strb=strobes)

    async def answers(ctx):
        state = {offset: REGISTERS[name].reset for name, offset in STORES.items()}
        history.append(dict(state))
        for offset, value, strobes in writes:
            if strobes == 15 and offset & ~3 in state:
                state[offset & ~3] = value
            history.append(dict(state))
        for _, _, strobes in writes:
            assert await get(ctx, device, rng, stall, "b", ["resp"]) == [OKAY if strobes == 15 else SLVERR]
            done[0] += 1
        await ctx.tick().repeat(5)
        assert not ctx.get(device.bvalid)

    async def reads(ctx):
        while done[0] < count:
            before = done[0]
            offset = rng.choice([*STORES.values(), 0x900, REGISTERS["ID"].offset]) | rng.randrange(4)
            await put(ctx, device, rng, idle, "ar", addr=offset)
            data, response = await get(ctx, device, rng, stall, "r", ["data", "resp"])
            assert response == OKAY
            possible = {ID_VALUE} if offset & ~3 == 0 else {0}
            if offset & ~3 in history[0]:  # up to two writes are done or on their way
                possible = {state[offset & ~3] for state in history[before : done[0] + 3]}
            assert data in possible
        for offset, value in history[-1].items():
            await put(ctx, device, rng, idle, "ar", addr=offset)
            assert (await get(ctx, device, rng, stall, "r", ["data", "resp"]))[0] == value

    simulate(device, address, data, answers, reads)


@pytest.mark.parametrize("first", ["aw", "w"])
def test_address_and_data_in_any_order(first):
    device = Registers()
    rng = random.Random(1)

    async def bench(ctx):
        parts = {"aw": {"addr": STORES["WATCHDOG"]}, "w": {"data": 77, "strb": 15}}
        for channel in (first, "aw" if first == "w" else "w"):
            assert not ctx.get(device.bvalid)
            await put(ctx, device, rng, 0, channel, **parts[channel])
            await ctx.tick().repeat(5)
        assert await get(ctx, device, rng, 0, "b", ["resp"]) == [OKAY]
        await put(ctx, device, rng, 0, "ar", addr=STORES["WATCHDOG"])
        assert await get(ctx, device, rng, 0, "r", ["data", "resp"]) == [77, OKAY]

    simulate(device, bench)


def test_a_waiting_answer_does_not_block_the_other_direction():
    device = Registers()
    rng = random.Random(2)

    async def bench(ctx):
        await put(ctx, device, rng, 0, "aw", addr=STORES["WATCHDOG"])
        await put(ctx, device, rng, 0, "w", data=78, strb=15)
        await ctx.tick().repeat(5)  # B waits
        for _ in range(3):
            await put(ctx, device, rng, 0, "ar", addr=STORES["WATCHDOG"])
            assert await get(ctx, device, rng, 0, "r", ["data", "resp"]) == [78, OKAY]
        assert await get(ctx, device, rng, 0, "b", ["resp"]) == [OKAY]
        await put(ctx, device, rng, 0, "ar", addr=STORES["WATCHDOG"])
        await ctx.tick().repeat(5)  # R waits
        for value in (1, 2):
            await put(ctx, device, rng, 0, "aw", addr=STORES["WATCHDOG"])
            await put(ctx, device, rng, 0, "w", data=value, strb=15)
            assert await get(ctx, device, rng, 0, "b", ["resp"]) == [OKAY]
        assert await get(ctx, device, rng, 0, "r", ["data", "resp"]) == [78, OKAY]

    simulate(device, bench)


@pytest.mark.parametrize("strobes, starts", [(15, 1), (1, 0), (0, 0)])
def test_a_command_comes_once(strobes, starts):
    device = Registers()
    rng = random.Random(3)
    seen = []

    async def bench(ctx):
        await put(ctx, device, rng, 0, "aw", addr=REGISTERS["CONTROL"].offset)
        await put(ctx, device, rng, 0, "w", data=1, strb=strobes)
        await ctx.tick().repeat(10)
        await get(ctx, device, rng, 0, "b", ["resp"])

    async def watch(ctx):
        for _ in range(20):
            _, _, start = await ctx.tick().sample(device.start)
            seen.append(start)

    simulate(device, bench, watch)
    assert sum(seen) == starts


def test_emits_verilog():
    assert emits_verilog(AxiLite(), "axi_lite")
