"""The whole accelerator never hangs: whatever goes wrong, a program ends with its status, and the next one is right."""

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from sqdm.rtl import axi
from sqdm.rtl.descriptor import FIELDS, Kind, Output, Resample
from sqdm.rtl.registers import ID_VALUE, REGISTERS, Status, decode
from sqdm.sim.lib.accelerator_bench import CONTROL, WATCHDOG, AcceleratorBench
from sqdm.sim.lib.random_programs import chain, changed, compiled, convolution, mapping

TIMEOUT = {"timeout_time": 10, "timeout_unit": "ms"}


def layer(tb, shape=(1, 4, 5, 2, 3), taps=9, **options):
    """The program of a small CONV."""
    return compiled(tb.data_rng, convolution(tb.data_rng, shape, taps, **options), tb.config)


def two_layers(tb, **options):
    """A CONV, then another one with ``options``, prefetched."""
    return chain(tb.data_rng, [layer(tb), layer(tb, scan=False, **options)])


async def next_program_is_right(tb):
    """CONVs and a MAP, after whatever happened."""
    last = mapping(tb.data_rng, (1, 2, 2, 3), tb.config, statistics=1)
    await tb.run(chain(tb.data_rng, [layer(tb, update=True), layer(tb, scan=False), last]))
    tb.close()


#: changes of a CONV, and what they end with
REFUSED = [
    ({"CONTROL__kind": 4}, Status.BAD_DESCRIPTOR),
    ({"CONTROL__kind": 255}, Status.BAD_DESCRIPTOR),
    ({"MODE__output": Output.RAW, "MODE__residual": 1}, Status.BAD_DESCRIPTOR),
    ({"MODE__kernel3": 0, "MODE__halo_bottom": 1}, Status.BAD_DESCRIPTOR),
    ({"MODE__output": 3}, Status.BAD_DESCRIPTOR),
    ({"MODE__codes": 1}, Status.BAD_DESCRIPTOR),
    ({"CONTROL__kind": Kind.MAP, "MODE__codes": 1, "MODE__resample": Resample.UP}, Status.BAD_DESCRIPTOR),
    ({"RESIDUAL_MULTIPLIER": 1 << 16}, Status.BAD_DESCRIPTOR),
    ({"WEIGHT_BASE": 0x104}, Status.BAD_DESCRIPTOR),
    ({"ACT_STRIDE": 12}, Status.BAD_DESCRIPTOR),
    ({"OUT_STRIDE": 0x80000000}, Status.BAD_DESCRIPTOR),
    ({"CHANNELS": 0}, Status.BAD_SHAPE),
    ({"CHANNELS": "max_channels"}, Status.BAD_SHAPE),
    ({"OUT_CHANNELS": "max_out_channels"}, Status.BAD_SHAPE),
    ({"HEIGHT": "max_size"}, Status.BAD_SHAPE),
    ({"WIDTH": 0x10003}, Status.BAD_SHAPE),
    ({"IMAGES": "max_images"}, Status.BAD_SHAPE),
    ({"BUFFERS__images": 0}, Status.BAD_SHAPE),
    ({"BUFFERS__slot_channels": 0}, Status.BAD_SHAPE),
    ({"CONTROL__kind": Kind.MAP, "MODE__resample": Resample.DOWN, "HEIGHT": 3}, Status.BAD_SHAPE),
    ({"BUFFERS__images": 200}, Status.TOO_LARGE),
    ({"BUFFERS__slot_channels": 64}, Status.TOO_LARGE),
]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(number=range(len(REFUSED)))
async def bad_descriptor(dut, number):
    changes, status = REFUSED[number]
    tb = AcceleratorBench(dut)
    await tb.start()
    values = {k: getattr(tb.config, v) + 1 if isinstance(v, str) else int(v) for k, v in changes.items()}
    if "MODE__codes" in values or "MODE__resample" in values:
        values["CONTROL__prefetch"] = 0
    await tb.refused(changed(two_layers(tb), 1, **values), status, tag=1)
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(
    (("word", "bit"), [("CONTROL", 9), ("MODE", 14), ("MODE", 31), ("SHIFTS", 5), ("BUFFERS", 24), (31, 0)])
)
async def reserved_bit(dut, word, bit):
    tb = AcceleratorBench(dut)
    await tb.start()
    program = two_layers(tb)
    number = word if isinstance(word, int) else FIELDS[word].offset // 4
    program.memory[program.address(1) :][:128].view("<u4")[number] |= np.uint32(1 << bit)
    await tb.refused(program, Status.BAD_DESCRIPTOR, tag=1)
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(table=[[0, 1, 4, 3], [3, 0, 1, 1], [0, 1, 2, 65535], None], scan=[False, True])
async def bad_table(dut, table, scan):
    tb = AcceleratorBench(dut)
    await tb.start()
    program = changed(two_layers(tb), 1, MODE__scan=int(scan))
    first = program.descriptors[1]["TABLE_BASE"]
    if table is None:
        program.memory[first : first + 2].view("<u2")[0] = 5  # dense channels of 4
    else:
        entries = program.memory[first + tb.config.bus_bytes :][:16].view("<u2")
        entries[::2] = table
    await tb.refused(program, Status.BAD_TABLE, tag=1)
    await next_program_is_right(tb)


#: operand, beyond the window by
OUTSIDE = [(name, far) for name in ("ACT", "WEIGHT", "TABLE", "PARAM", "OUT") for far in (False, True)]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(number=range(len(OUTSIDE)))
async def address_outside_the_window(dut, number):
    name, far = OUTSIDE[number]
    tb = AcceleratorBench(dut)
    await tb.start()
    program = two_layers(tb)
    base = 0xFFFFF000 if far else program.memory.size // 4096 * 4096 + 4096
    program = changed(program, 1, **{f"{name}_BASE": base})
    await tb.refused(program, Status.BAD_ADDRESS, tag=1)
    fault = await tb.load("FAULT")
    assert base <= fault < base + 4096, f"FAULT is {fault:#x}"
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(end=["first", "last", "program"])
async def window_is_exact(dut, end):
    tb = AcceleratorBench(dut)
    await tb.start()
    program = layer(tb)
    word = tb.config.bus_bytes
    if end == "first":
        window = {"WINDOW_FIRST": word}
        program = changed(program, 0, ACT_BASE=0, CONTROL__prefetch=0)
    elif end == "last":
        window = {"WINDOW_LAST": program.address(1) - 1}  # END lies behind it
    else:
        window = {"PROGRAM_BASE": program.memory.size}
    await tb.begin(program, **window)
    await tb.ended(Status.BAD_ADDRESS, done=1)
    expected = {"first": 0, "last": program.address(1), "program": program.memory.size}[end]
    assert await tb.load("FAULT") == expected
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(write=[False, True], word=[0, 3, 12])
async def error_response(dut, write, word):
    tb = AcceleratorBench(dut, 2)
    await tb.start()
    await tb.begin(two_layers(tb))
    if write:
        tb.memory.fail_write = word
    else:
        tb.memory.fail_read = tb.memory.reads + word
    await tb.ended(Status.BUS_ERROR)
    fault, burst = await tb.load("FAULT"), axi.MAX_BEATS * tb.config.bus_bytes
    assert fault == tb.memory.failed or (write and tb.memory.failed - burst < fault <= tb.memory.failed)
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(channel=["ar", "r", "aw", "w", "b"], after=[0, 150, 400])
async def dead_memory(dut, channel, after):
    tb = AcceleratorBench(dut)
    await tb.start()
    await tb.begin(two_layers(tb, residual=True))
    await ClockCycles(dut.clk, after)
    assert not tb.interrupt
    tb.kill(channel)
    await tb.ended(Status.TIMEOUT)
    again = layer(tb)
    if after:  # still dead
        await tb.begin(again)
        await tb.ended(Status.TIMEOUT)
    tb.revive()  # late answers come while the next program starts
    if channel in ("ar", "aw", "w"):
        await ClockCycles(dut.clk, 100)  # what is owed to the bus: it would count as the next program's
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
async def slow_memory_is_not_dead(dut):
    tb = AcceleratorBench(dut, latency=WATCHDOG // 2)
    await tb.start()
    await tb.run(layer(tb, scan=False), WATCHDOG=WATCHDOG)
    tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(after=[0, 20, 60, 130, 250, 420, 600])
async def stop_in_mid_run(dut, after):
    tb = AcceleratorBench(dut, 3, {"r": "even", "w": "even"})
    await tb.start()
    await tb.begin(chain(tb.data_rng, [layer(tb, (2, 6, 20, 3, 4)), layer(tb, int16=True)]))
    await ClockCycles(dut.clk, after)
    assert not tb.interrupt
    await tb.store("CONTROL", CONTROL["stop"])
    await tb.interrupted(200)
    await ClockCycles(dut.clk, 100)  # bursts that were begun
    await tb.ended(Status.STOPPED)
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
async def stop_while_waiting_for_the_host(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    await tb.begin(chain(tb.data_rng, [layer(tb), layer(tb)], {1: lambda memory: None}))
    await tb.interrupted()
    assert (await tb.status())["waiting"]
    await tb.store("CONTROL", CONTROL["stop"])
    await ClockCycles(dut.clk, 100)
    await tb.ended(Status.STOPPED, done=1)
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(after=[1, 40, 150, 300, 500])
async def reset_in_mid_run(dut, after):
    tb = AcceleratorBench(dut, 5, {"r": "even", "w": "even"})
    await tb.start()
    await tb.begin(two_layers(tb, residual=True))
    await ClockCycles(dut.clk, after)
    await tb.reset()
    assert not tb.interrupt
    assert await tb.load("STATUS") == 0
    assert await tb.load("PROGRAM_BASE") == 0
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
async def writes_while_busy_are_ignored(dut):
    tb = AcceleratorBench(dut, 4)
    await tb.start()
    await tb.begin(chain(tb.data_rng, [layer(tb, (2, 6, 20, 3, 4)), layer(tb, scan=False)]))
    assert (await tb.status())["busy"]
    before = {name: await tb.load(name) for name, register in REGISTERS.items() if register.access == "rw"}
    for name in before:
        await tb.store(name, 0)
    await tb.store("CONTROL", CONTROL["start"])
    await tb.store("CONTROL", CONTROL["resume"])
    assert not tb.interrupt
    await tb.finish()
    assert {name: await tb.load(name) for name in before} == before
    await next_program_is_right(tb)


@cocotb.test(**TIMEOUT)
async def commands_while_idle_are_ignored(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    assert await tb.load("ID") == ID_VALUE
    sizes = {"dense": tb.config.dense_arrays, "sparse": tb.config.sparse_arrays, "slots": tb.config.slots}
    assert decode(REGISTERS["ARRAYS"], await tb.load("ARRAYS")) == sizes | {"lanes": tb.config.lanes - 1}
    for command in ("stop", "resume"):
        await tb.store("CONTROL", CONTROL[command])
        await ClockCycles(dut.clk, 20)
        assert await tb.load("STATUS") == 0
        assert not tb.interrupt
    await next_program_is_right(tb)
