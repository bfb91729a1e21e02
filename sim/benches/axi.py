"""Memory port, AXI4-Lite and registers against cocotbext-axi."""

import cocotb
from cocotbext.axi import AxiResp

from sqdm.rtl.registers import ID_VALUE, REGISTERS, Status
from sqdm.sim.lib.axi_bench import LIMIT, AxiBench
from sqdm.sim.lib.axi_device import READERS, WRITERS
from sqdm.sim.lib.bench import RUN_BROKEN
from sqdm.sim.lib.faults import FAULTS

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}
COUNT = 40  #: words of each client in a round of traffic
CHANNELS = ("ar", "r", "aw", "w", "b")


def traffic(tb: AxiBench, count: int):
    """Random reads and writes of all clients, in regions of their own."""
    for number in range(READERS):
        tb.send_reads(number, tb.addresses(count, 0))
    for number in range(WRITERS):
        tb.send_writes(number, tb.addresses(count, 16 * (number + 1)))


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=["steady", "even"], back_pressure=["steady", "rare"], bus=["steady", "even", "bursts"])
async def words_of_all_clients(dut, idle, back_pressure, bus):
    tb = AxiBench(dut, idle, back_pressure, bus)
    await tb.start()
    for _ in range(2):
        traffic(tb, COUNT)
        await tb.settle()
    assert tb.rules.beats == WRITERS * 2 * COUNT
    assert await tb.load("READS") == READERS * 2 * COUNT
    assert await tb.load("WRITES") == WRITERS * 2 * COUNT


@cocotb.test(**TIMEOUT)
async def consecutive_words_become_few_bursts(dut):
    tb = AxiBench(dut)
    await tb.start()
    words = 4096 // tb.word
    tb.send_reads(0, list(range(8 * words, 8 * words + 64)))
    tb.send_writes(0, list(range(16 * words, 16 * words + 64)))
    await tb.settle()
    assert tb.rules.bursts == {"ar": 4, "aw": 4}


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(bus=["steady", "even", "bursts"])
async def registers_while_the_port_works(dut, bus):
    tb = AxiBench(dut, bus=bus)
    await tb.start()
    traffic(tb, 100)
    assert await tb.load("ID") == ID_VALUE
    for name, register in REGISTERS.items():
        if register.access == "rw":
            assert await tb.load(name) == register.reset
    stored = {}
    for _ in range(40):
        name = tb.rng.choice(["PROGRAM_BASE", "DETECT"])
        stored[name] = tb.rng.getrandbits(32) & (0x80FFFF03 if name == "DETECT" else 0xFFFFFFFF)
        await tb.store(name, stored[name])
        name = tb.rng.choice(list(stored))
        assert await tb.load(name) == stored[name]
    await tb.settle()


@cocotb.test(**TIMEOUT)
async def every_offset_and_strobe_is_answered(dut):
    tb = AxiBench(dut, bus="even")
    await tb.start()
    for offset in (0x200, 0xFFC, REGISTERS["ID"].offset):
        assert (await tb.background(tb.host.write(offset, b"abcd"))).resp == AxiResp.OKAY
    assert (await tb.background(tb.host.read(0xFFC, 4))).data == bytes(4)
    await tb.store("PROGRAM_BASE", 0x11223344)
    for first, size in ((0, 1), (1, 1), (2, 2), (0, 3)):
        answer = await tb.background(tb.host.write(REGISTERS["PROGRAM_BASE"].offset + first, b"wxyz"[:size]))
        assert answer.resp == AxiResp.SLVERR
    assert await tb.load("PROGRAM_BASE") == 0x11223344
    await tb.background(tb.host.write(REGISTERS["CONTROL"].offset, b"\1"))
    assert await tb.load("TAG") == 0
    await tb.store("CONTROL", 1)
    assert await tb.load("TAG") == 1


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(write=[False, True])
async def nothing_outside_the_window_is_touched(dut, write):
    tb = AxiBench(dut, bus="even")
    await tb.start()
    first, last = 0x4000, 0x7FFF
    await tb.store("WINDOW_FIRST", first)
    await tb.store("WINDOW_LAST", last)
    inside = [first // tb.word, last // tb.word]
    for word in (first // tb.word - 1, last // tb.word + 1, (1 << 32) // tb.word + first // tb.word):
        for number in range(READERS):
            tb.send_reads(number, inside)
        await tb.settle()
        tb.send_writes(0, inside)
        await tb.settle()
        bursts = dict(tb.rules.bursts)
        if write:
            tb.writes[1].send([{"address": word, "data": 1}])
        else:
            tb.reads[1].send([word])
        await tb.expect_error(Status.BAD_ADDRESS, word * tb.word % (1 << 32))
        assert tb.rules.bursts == bursts
        await tb.flush()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(write=[False, True])
async def errors_of_the_memory_are_reported(dut, write):
    tb = AxiBench(dut, bus="even")
    await tb.start()
    words = list(range(96, 104))
    for bad in (words[0], words[5]):
        tb.target.bad = {bad * tb.word}
        if write:
            tb.send_writes(1, words)
        else:
            tb.expected[2].extend(
                0 if word == bad else int.from_bytes(tb.target.content(word * tb.word), "little") for word in words
            )
            tb.reads[2].send(words)
        await tb.expect_error(Status.BUS_ERROR, (words[0] if write else bad) * tb.word)  # of a write: its burst
        await tb.flush()
        await tb.cycles(300)
    tb.target.bad = set()
    tb.target.words.clear()
    tb.written.clear()
    traffic(tb, 30)
    await tb.settle()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(dead=[*CHANNELS, "all"])
async def a_dead_memory_ends_in_a_timeout(dut, dead):
    tb = AxiBench(dut)
    await tb.start()
    await tb.store("WATCHDOG", 100)
    names = list(CHANNELS) if dead == "all" else [dead]
    for _ in range(3):
        tb.kill(names)
        traffic(tb, 100)
        await tb.expect_error(Status.TIMEOUT, 0)
        await tb.flush()
        await tb.cycles(150)
        assert not int(dut.error.value)  # nothing is wanted: a dead memory does not matter
    tb.revive()
    await tb.cycles(2000)
    tb.target.words.clear()
    tb.written.clear()
    traffic(tb, 60)
    await tb.settle()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(bus=["steady", "even", "bursts"])
async def flushes_in_mid_burst(dut, bus):
    tb = AxiBench(dut, "even", "even", bus)
    await tb.start()
    next_word = 16 * 4096 // tb.word
    for _ in range(20):
        for number in range(READERS):
            tb.send_reads(number, tb.addresses(100, 0))
        for number in range(WRITERS):
            length = tb.rng.choice([1, 3, 16, 40])
            tb.send_writes(number, list(range(next_word, next_word + length)))
            next_word += length + tb.rng.choice([0, 1])
        await tb.cycles(tb.rng.choice([1, 2, 5, 10, 30, 100]))
        await tb.flush()
    tb.revive()
    traffic_words = tb.addresses(50, 0)
    tb.send_reads(1, traffic_words)
    await tb.until(lambda: tb.quiet and bool(int(dut.idle.value)), LIMIT, "the last answers")
    await tb.until(lambda: not tb.rules.owing, LIMIT, "the bursts on the bus are complete")
    await tb.drain()
    assert tb.target.words
    assert all(tb.written[address] == data for address, data in tb.target.words.items())


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=list(FAULTS))
async def broken_device(dut, fault):
    tb = AxiBench(dut, back_pressure="rare")
    tb.fault = fault
    await tb.start()
    traffic(tb, 30)
    await tb.settle()
