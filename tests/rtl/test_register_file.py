import random

import pytest
from streams import emits_verilog, simulate

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.register_file import ADDRESS_BITS, RegisterFile
from sqdm.rtl.registers import ID_VALUE, REGISTERS, Policy, decode

CONFIGS = [*PRESETS.values(), Config(name="wide", lanes=256, dense_arrays=4, sparse_arrays=4)]
RW = [name for name in REGISTERS if REGISTERS[name].access == "rw"]
RO = [name for name in REGISTERS if REGISTERS[name].access == "ro" and name not in ("ID", "ARRAYS")]
COMMANDS = ("start", "resume", "stop")
DETECT_BITS = 0x80FFFF03  # pause, period, policy
RESET = {"PROGRAM_BASE": 0, "WINDOW_FIRST": 0, "WINDOW_LAST": 0xFFFFFFFF, "WATCHDOG": 0x100000,
         "DETECT": Policy.BALANCED.value}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")  # only asked for its ports


async def write(ctx, device, offset, value):
    ctx.set(device.address, offset)
    ctx.set(device.write_data, value)
    ctx.set(device.write, 1)
    await ctx.tick()
    ctx.set(device.write, 0)


async def read(ctx, device, offset):
    ctx.set(device.address, offset)
    await ctx.tick().repeat(RegisterFile.LATENCY)
    return ctx.get(device.read_data)


def test_has_a_port_per_register_and_command():
    ports = set(RegisterFile(PRESETS["tiny"]).signature.members)
    expected = {name.lower() for name in (*RW, *RO)} | {
        "address",
        "write",
        "write_data",
        "read_data",
        "busy",
        *COMMANDS,
    }
    assert ports == expected
    assert len(RW) + len(RO) + 3 == len(REGISTERS)  # and ID, ARRAYS, CONTROL


def test_reset_values():
    device = RegisterFile(PRESETS["tiny"])

    async def bench(ctx):
        assert set(RESET) == set(RW)
        for name, value in RESET.items():
            assert ctx.get(getattr(device, name.lower())) == value
            assert await read(ctx, device, REGISTERS[name].offset) == value, name

    simulate(device, bench)


def test_written_registers_read_back_and_reach_their_port():
    device = RegisterFile(PRESETS["tiny"])
    rng = random.Random(1)

    async def bench(ctx):
        for _ in range(3):
            values = {name: rng.getrandbits(32) for name in RW}
            for name in rng.sample(RW, len(RW)):
                await write(ctx, device, REGISTERS[name].offset, values[name])
            values["DETECT"] &= DETECT_BITS
            for name in RW:
                assert await read(ctx, device, REGISTERS[name].offset) == values[name], name
                assert ctx.get(getattr(device, name.lower())) == values[name], name

    simulate(device, bench)


def test_busy_protects_registers_but_not_control():
    device = RegisterFile(PRESETS["tiny"])

    async def bench(ctx):
        ctx.set(device.busy, 1)
        for name in RW:
            await write(ctx, device, REGISTERS[name].offset, 0x12345678)
            assert await read(ctx, device, REGISTERS[name].offset) == RESET[name]
        ctx.set(device.address, REGISTERS["CONTROL"].offset)
        ctx.set(device.write_data, 4)
        ctx.set(device.write, 1)
        assert ctx.get(device.stop)

    simulate(device, bench)


def test_reports_read_only_registers():
    device = RegisterFile(PRESETS["tiny"])
    rng = random.Random(2)

    async def bench(ctx):
        values = {name: rng.getrandbits(32) for name in RO}
        for name in RO:
            ctx.set(getattr(device, name.lower()), values[name])
        for name in RO:
            await write(ctx, device, REGISTERS[name].offset, 0)
            assert await read(ctx, device, REGISTERS[name].offset) == values[name], name

    simulate(device, bench)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_constants(config):
    device = RegisterFile(config)

    async def bench(ctx):
        for name in ("ID", "ARRAYS"):
            await write(ctx, device, REGISTERS[name].offset, 0)
        assert await read(ctx, device, REGISTERS["ID"].offset) == ID_VALUE
        arrays = decode(REGISTERS["ARRAYS"], await read(ctx, device, REGISTERS["ARRAYS"].offset))
        assert arrays == {"dense": config.dense_arrays, "sparse": config.sparse_arrays,
                          "slots": config.slots, "lanes": config.lanes - 1}  # fmt: skip

    simulate(device, bench)


def test_commands_are_strobes_of_the_control_bits():
    device = RegisterFile(PRESETS["tiny"])
    control = REGISTERS["CONTROL"].offset

    async def bench(ctx):
        for offset, data, strobe, expected in (
            (control, 1, 1, (1, 0, 0)),
            (control, 2, 1, (0, 1, 0)),
            (control, 4, 1, (0, 0, 1)),
            (control, 7, 1, (1, 1, 1)),
            (control, 7, 0, (0, 0, 0)),
            (control, 0xFFFFFFF8, 1, (0, 0, 0)),
            (REGISTERS["STATUS"].offset, 7, 1, (0, 0, 0)),
            (control + 0x400, 7, 1, (0, 0, 0)),
        ):
            ctx.set(device.address, offset)
            ctx.set(device.write_data, data)
            ctx.set(device.write, strobe)
            _, _, *commands = await ctx.tick().sample(*(getattr(device, name) for name in COMMANDS))
            assert tuple(commands) == expected
        ctx.set(device.write, 0)
        assert await read(ctx, device, control) == 0

    simulate(device, bench)


def test_unknown_offsets_read_0_and_ignore_writes():
    device = RegisterFile(PRESETS["tiny"])
    known = {register.offset for register in REGISTERS.values()}
    unknown = [offset for offset in range(0, 1 << ADDRESS_BITS, 4) if offset not in known]
    assert unknown

    async def bench(ctx):
        for offset in unknown:
            await write(ctx, device, offset, 0xFFFFFFFF)
            assert not any(ctx.get(getattr(device, name)) for name in COMMANDS)
        for offset in unknown:
            assert await read(ctx, device, offset) == 0
        for name in RW:
            assert ctx.get(getattr(device, name.lower())) == RESET[name]

    simulate(device, bench)


def test_read_data_follows_the_address_every_cycle():
    device = RegisterFile(PRESETS["tiny"])

    async def bench(ctx):
        await write(ctx, device, REGISTERS["WATCHDOG"].offset, 5)
        await write(ctx, device, REGISTERS["PROGRAM_BASE"].offset, 9)
        seen = []
        for name in ("WATCHDOG", "PROGRAM_BASE", "ID", "WATCHDOG", *["ID"] * (RegisterFile.LATENCY - 1)):
            ctx.set(device.address, REGISTERS[name].offset)
            await ctx.tick()
            seen.append(ctx.get(device.read_data))
        assert seen[RegisterFile.LATENCY - 1 :] == [5, 9, ID_VALUE, 5]

    simulate(device, bench)


def test_emits_verilog():
    assert emits_verilog(RegisterFile(PRESETS["default"]), "register_file")
