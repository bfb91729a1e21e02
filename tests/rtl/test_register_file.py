import random

import pytest
from streams import emits_verilog, simulate

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.register_file import ADDRESS_BITS, RegisterFile
from sqdm.rtl.registers import ID_VALUE, REGISTERS, decode, encode

CONFIGS = [*PRESETS.values(), Config(name="wide", lanes=256, dense_arrays=4, sparse_arrays=4)]
RW = [name for name in REGISTERS if REGISTERS[name].access == "rw"]
RO = [name for name in REGISTERS if REGISTERS[name].access == "ro" and name not in ("ID", "ARRAYS")]
MODE_BITS = 0x31F

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


def test_has_a_port_per_register():
    ports = set(RegisterFile(PRESETS["tiny"]).signature.members)
    expected = {name.lower() for name in (*RW, *RO)} | {"address", "write", "write_data", "read_data", "start"}
    assert ports == expected
    assert len(RW) + len(RO) + 3 == len(REGISTERS)  # and ID, ARRAYS, CONTROL


def test_written_registers_read_back_and_reach_their_port():
    device = RegisterFile(PRESETS["tiny"])
    rng = random.Random(1)

    async def bench(ctx):
        for name in RW:
            assert await read(ctx, device, REGISTERS[name].offset) == 0
        for _ in range(2):
            values = {name: rng.getrandbits(32) for name in RW}
            for name in rng.sample(RW, len(RW)):
                await write(ctx, device, REGISTERS[name].offset, values[name])
            values["MODE"] &= MODE_BITS
            for name in RW:
                assert await read(ctx, device, REGISTERS[name].offset) == values[name], name
                assert ctx.get(getattr(device, name.lower())) == values[name], name

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
        arrays = decode("ARRAYS", await read(ctx, device, REGISTERS["ARRAYS"].offset))
        assert arrays == {"dense": config.dense_arrays, "sparse": config.sparse_arrays,
                          "slots": config.slots, "lanes": config.lanes - 1}  # fmt: skip

    simulate(device, bench)


def test_start_is_one_cycle_of_control_bit_0():
    device = RegisterFile(PRESETS["tiny"])

    async def bench(ctx):
        starts = []
        for offset, data, strobe in ((REGISTERS["CONTROL"].offset, 1, 1), (REGISTERS["CONTROL"].offset, 1, 0),
                                     (REGISTERS["CONTROL"].offset, 0xFFFFFFFE, 1),
                                     (REGISTERS["STATUS"].offset, 1, 1)):  # fmt: skip
            ctx.set(device.address, offset)
            ctx.set(device.write_data, data)
            ctx.set(device.write, strobe)
            _, _, start = await ctx.tick().sample(device.start)
            starts.append(start)
        ctx.set(device.write, 0)
        assert starts == [1, 0, 0, 0]
        assert await read(ctx, device, REGISTERS["CONTROL"].offset) == 0

    simulate(device, bench)


def test_unknown_offsets_read_0_and_ignore_writes():
    device = RegisterFile(PRESETS["tiny"])
    known = {register.offset for register in REGISTERS.values()}
    unknown = [offset for offset in range(0, 1 << ADDRESS_BITS, 4) if offset not in known]
    assert unknown

    async def bench(ctx):
        for offset in unknown:
            await write(ctx, device, offset, 0xFFFFFFFF)
            assert not ctx.get(device.start)
        for offset in unknown:
            assert await read(ctx, device, offset) == 0
        for name in RW:
            assert ctx.get(getattr(device, name.lower())) == 0

    simulate(device, bench)


def test_read_data_follows_the_address_every_cycle():
    device = RegisterFile(PRESETS["tiny"])

    async def bench(ctx):
        await write(ctx, device, REGISTERS["SHIFT"].offset, 5)
        await write(ctx, device, REGISTERS["HEIGHT"].offset, 9)
        seen = []
        for name in ("SHIFT", "HEIGHT", "ID", "SHIFT"):
            ctx.set(device.address, REGISTERS[name].offset)
            await ctx.tick()
            seen.append(ctx.get(device.read_data))
        assert seen == [5, 9, ID_VALUE, 5]

    simulate(device, bench)


def test_mode_bits_are_those_of_the_map():
    fields = {part.name: (1 << part.width) - 1 for part in REGISTERS["MODE"].fields}
    assert encode("MODE", **fields) == MODE_BITS


def test_emits_verilog():
    assert emits_verilog(RegisterFile(PRESETS["default"]), "register_file")
