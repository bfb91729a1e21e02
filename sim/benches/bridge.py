"""The board's bridge and memory against cocotbext-uart and cocotbext-axi: frames, faults on the line, bursts."""

import cocotb
from cocotbext.axi import AxiResp

from sqdm.rtl.board import protocol
from sqdm.rtl.board.protocol import MAX_PAYLOAD, Operation, ReplyStatus
from sqdm.rtl.board.settings import configuration_number
from sqdm.rtl.registers import ID_VALUE, REGISTERS, encode
from sqdm.sim.lib.bench import RUN_BROKEN
from sqdm.sim.lib.bridge_bench import BridgeBench
from sqdm.sim.lib.bridge_device import BridgeFault

TIMEOUT = {"timeout_time": 100, "timeout_unit": "ms"}
START = encode(REGISTERS["CONTROL"], start=1).to_bytes(4, "little")
CONTROL, TAG = (REGISTERS[name].offset for name in ("CONTROL", "TAG"))


async def started(dut, **options) -> BridgeBench:
    tb = BridgeBench(dut, **options)
    await tb.start()
    return tb


@cocotb.test(**TIMEOUT)
async def identity(dut):
    tb = await started(dut)
    found = await tb.ask(Operation.IDENTIFY, 0, protocol.IDENTITY_BYTES)
    sizes, values = protocol.IDENTITY, {}
    for name, size in sizes.items():
        values[name], found = int.from_bytes(found[:size], "little"), found[size:]
    assert values == {
        "magic": protocol.MAGIC,
        "version": protocol.VERSION,
        "max_payload": MAX_PAYLOAD,
        "memory_bytes": tb.settings.memory_bytes,
        "clock_hz": tb.settings.clock_hz,
        "configuration": configuration_number(tb.config),
    }
    await tb.close()


@cocotb.test(**TIMEOUT)
async def memory_through_bridge_and_bus(dut):
    tb = await started(dut)
    word, size = tb.config.bus_bytes, tb.settings.memory_bytes
    lengths = [word, 2 * word, 9 * word, MAX_PAYLOAD]
    for length in lengths:
        first = tb.rng.choice([0, size - length, tb.rng.randrange(0, size - length, word)])
        content = tb.rng.randbytes(length)
        await tb.write(first, content)
        assert await tb.bus_read(first, length) == (AxiResp.OKAY, content)
        other = tb.rng.randbytes(length)
        assert await tb.bus_write(first, other) == AxiResp.OKAY
        assert await tb.read(first, length) == other
    await tb.close()


@cocotb.test(**TIMEOUT)
async def registers(dut):
    tb = await started(dut)
    assert await tb.ask(Operation.READ_REGISTERS, REGISTERS["ID"].offset, 4) == ID_VALUE.to_bytes(4, "little")
    first = REGISTERS["PROGRAM_BASE"].offset
    values = tb.rng.randbytes(12)
    await tb.ask(Operation.WRITE_REGISTERS, first, 12, values)
    assert await tb.ask(Operation.READ_REGISTERS, first, 12) == values
    assert await tb.ask(Operation.READ_REGISTERS, protocol.REGISTER_SPACE - 4, 4) == bytes(4)
    await tb.close()


@cocotb.test(**TIMEOUT)
async def repeated_register_write_is_done_once(dut):
    tb = await started(dut)
    for count in (1, 2):
        frame = tb.frame(Operation.WRITE_REGISTERS, CONTROL, 4, START)
        for _ in range(3):
            await tb.expect(frame, ReplyStatus.OK)
        assert await tb.ask(Operation.READ_REGISTERS, TAG, 4) == count.to_bytes(4, "little")
    await tb.close()


@cocotb.test(**TIMEOUT)
async def illegal_requests_write_nothing(dut):
    tb = await started(dut)
    word, size = tb.config.bus_bytes, tb.settings.memory_bytes
    kept = tb.rng.randbytes(4 * word)
    await tb.write(0, kept)
    await tb.write(size - 4 * word, kept)
    junk = bytes(MAX_PAYLOAD + word)
    wrong = [
        (0x03, 0, word, b"", ReplyStatus.BAD_OPERATION),
        (0x80, 0, word, junk[:word], ReplyStatus.BAD_OPERATION),
        (0xFF, 0, 0, b"", ReplyStatus.BAD_OPERATION),
        (Operation.READ_MEMORY, 0, 0, b"", ReplyStatus.BAD_LENGTH),
        (Operation.WRITE_MEMORY, 0, 0, b"", ReplyStatus.BAD_LENGTH),
        (Operation.WRITE_MEMORY, 0, word - 1, junk[: word - 1], ReplyStatus.BAD_LENGTH),
        (Operation.WRITE_MEMORY, 0, MAX_PAYLOAD + word, junk, ReplyStatus.BAD_LENGTH),
        (Operation.READ_MEMORY, 0, MAX_PAYLOAD + word, b"", ReplyStatus.BAD_LENGTH),
        (Operation.READ_MEMORY, 0, 0xFFFF, b"", ReplyStatus.BAD_LENGTH),
        (Operation.WRITE_MEMORY, 4, word, junk[:word], ReplyStatus.BAD_ADDRESS if word > 4 else ReplyStatus.OK),
        (Operation.WRITE_MEMORY, size - word, 2 * word, junk[: 2 * word], ReplyStatus.BAD_ADDRESS),
        (Operation.WRITE_MEMORY, size, word, junk[:word], ReplyStatus.BAD_ADDRESS),
        (Operation.WRITE_MEMORY, 0xFFFFFFFF - word + 1, 2 * word, junk[: 2 * word], ReplyStatus.BAD_ADDRESS),
        (Operation.READ_MEMORY, 0x80000000, word, b"", ReplyStatus.BAD_ADDRESS),
        (Operation.READ_REGISTERS, 2, 4, b"", ReplyStatus.BAD_ADDRESS),
        (Operation.READ_REGISTERS, 0, 6, b"", ReplyStatus.BAD_LENGTH),
        (Operation.WRITE_REGISTERS, protocol.REGISTER_SPACE - 4, 8, junk[:8], ReplyStatus.BAD_ADDRESS),
        (Operation.IDENTIFY, 0, 4, b"", ReplyStatus.BAD_LENGTH),
        (Operation.IDENTIFY, 4, protocol.IDENTITY_BYTES, b"", ReplyStatus.BAD_ADDRESS),
    ]
    for operation, address, length, payload, status in wrong:
        await tb.expect(tb.frame(operation, address, length, payload), status)
        assert await tb.read(0, len(kept)) == kept
    assert await tb.read(size - len(kept), len(kept)) == kept
    await tb.close()


@cocotb.test(**TIMEOUT)
async def damaged_frames_write_nothing(dut):
    tb = await started(dut)
    word = tb.config.bus_bytes
    kept = tb.rng.randbytes(4 * word)
    await tb.write(0, kept)
    for _ in range(12):
        frame = bytearray(tb.frame(Operation.WRITE_MEMORY, 0, 4 * word, tb.rng.randbytes(4 * word)))
        frame[tb.rng.randrange(1, len(frame))] ^= 1 << tb.rng.randrange(8)
        # A damaged length may make the frame longer (then it is truncated) or shorter.
        await tb.send(bytes(frame))
        status, _, payload = await tb.reply(0, idle=True)
        assert status in (ReplyStatus.BAD_CRC, ReplyStatus.TRUNCATED), ReplyStatus(status)
        assert payload == b""
        assert await tb.read(0, len(kept)) == kept
    await tb.close()


@cocotb.test(**TIMEOUT)
async def truncated_frames(dut):
    tb = await started(dut)
    word = tb.config.bus_bytes
    frame = tb.frame(Operation.WRITE_MEMORY, 0, word, tb.rng.randbytes(word))
    kept = tb.rng.randbytes(word)
    await tb.write(0, kept)
    for end in (1, 2, 8, 9, 10, len(frame) - 4, len(frame) - 1):
        await tb.expect(frame[:end], ReplyStatus.TRUNCATED, idle=True)
        assert await tb.read(0, word) == kept
    await tb.close()


@cocotb.test(**TIMEOUT)
async def bytes_without_stop_bit(dut):
    tb = await started(dut)
    word = tb.config.bus_bytes
    kept = tb.rng.randbytes(word)
    await tb.write(0, kept)
    for place in (1, 5, 12, -2):
        frame = tb.frame(Operation.WRITE_MEMORY, 0, word, tb.rng.randbytes(word))
        place %= len(frame)
        await tb.send(frame[:place])
        await tb.break_byte(frame[place])
        await tb.expect(frame[place + 1 :], ReplyStatus.BROKEN_BYTE, idle=True)
        assert await tb.read(0, word) == kept
    await tb.break_byte(protocol.REQUEST_SYNC)  # outside of a frame
    await tb.close()


@cocotb.test(**TIMEOUT)
async def noise_between_frames(dut):
    tb = await started(dut)
    for _ in range(4):
        noise = bytes(byte for byte in tb.rng.randbytes(30) if byte != protocol.REQUEST_SYNC)
        await tb.send(noise)
        content = tb.rng.randbytes(tb.config.bus_bytes)
        await tb.write(64, content)
        assert await tb.read(64, len(content)) == content
    # What looks like a frame takes the next one with it, but no more.
    false = bytes([protocol.REQUEST_SYNC, Operation.WRITE_MEMORY, 0, 200, 0, 0, 0, 0, 0])
    await tb.send(false)
    await tb.expect(tb.frame(Operation.IDENTIFY, 0, protocol.IDENTITY_BYTES), ReplyStatus.TRUNCATED, idle=True)
    glitch = tb.clocks // 4
    dut.rx.value = 0
    await tb.wait(max(1, glitch))
    dut.rx.value = 1
    await tb.wait(20 * tb.clocks)
    await tb.close()


@cocotb.test(**TIMEOUT)
async def line_held_low(dut):
    tb = await started(dut)
    frame = tb.frame(Operation.IDENTIFY, 0, protocol.IDENTITY_BYTES)
    await tb.send(frame[:5])
    dut.rx.value = 0
    await tb.wait(3 * tb.settings.idle_cycles)
    assert tb.replies.empty()
    dut.rx.value = 1
    status, *_ = await tb.reply(0, idle=True)
    assert status == ReplyStatus.BROKEN_BYTE
    await tb.close()


@cocotb.test(**TIMEOUT)
async def bytes_during_a_reply_are_dropped(dut):
    tb = await started(dut)
    await tb.write(0, bytes(range(256)))
    await tb.send(tb.frame(Operation.READ_MEMORY, 0, 256))
    await tb.send(tb.frame(Operation.WRITE_MEMORY, 0, 64, bytes(64)))
    status, _, payload = await tb.reply(256)
    assert (status, payload) == (ReplyStatus.OK, bytes(range(256)))
    assert await tb.read(0, 256) == bytes(range(256))
    await tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(end=[4, 14, 30])
async def reset_inside_a_frame(dut, end):
    tb = await started(dut)
    word = tb.config.bus_bytes
    content = tb.rng.randbytes(4 * word)
    await tb.write(0, content)
    await tb.send(tb.frame(Operation.WRITE_MEMORY, 0, 4 * word, bytes(4 * word))[:end])
    await tb.reset()
    assert await tb.read(0, len(content)) == content
    await tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(bus=["steady", "even", "bursts"])
async def bursts_on_the_bus(dut, bus):
    tb = await started(dut, bus=bus)
    word, size = tb.config.bus_bytes, 4096
    image = bytearray(tb.rng.randbytes(size))
    for first in range(0, size, 1024):
        assert await tb.bus_write(first, bytes(image[first : first + 1024])) == AxiResp.OKAY
    for _ in range(40):
        length = word * tb.rng.choice([1, 1, 2, 3, 16, 17, 40])
        first = tb.rng.randrange(0, size - length, word)
        if tb.rng.random() < 0.5:
            image[first : first + length] = content = tb.rng.randbytes(length)
            assert await tb.bus_write(first, content) == AxiResp.OKAY
        assert await tb.bus_read(first, length) == (AxiResp.OKAY, bytes(image[first : first + length]))
    await tb.close()


@cocotb.test(**TIMEOUT)
async def bridge_and_bus_at_once(dut):
    tb = await started(dut)
    far, mine, theirs = 8192, tb.rng.randbytes(1024), tb.rng.randbytes(1024)
    await tb.write(0, mine)

    async def traffic():
        for _ in range(60):
            assert await tb.bus_write(far, theirs) == AxiResp.OKAY
            assert await tb.bus_read(far, 1024) == (AxiResp.OKAY, theirs)

    task = cocotb.start_soon(traffic())
    for _ in range(2):
        assert await tb.read(0, 1024) == mine
        mine = tb.rng.randbytes(1024)
        await tb.write(0, mine)
    await task
    assert await tb.bus_read(0, 1024) == (AxiResp.OKAY, mine)
    await tb.close()


@cocotb.test(**TIMEOUT)
async def accesses_outside_of_the_memory_are_refused(dut):
    tb = await started(dut)
    word, size = tb.config.bus_bytes, tb.settings.memory_bytes
    kept = tb.rng.randbytes(size if size <= 4096 else 4096)
    await tb.bus_write(0, kept)
    for first in (size, 2 * size, 1 << 31, (1 << 32) - 256):
        assert (await tb.bus_read(first, 16 * word))[0] == AxiResp.DECERR
        assert await tb.bus_write(first, bytes(16 * word)) == AxiResp.DECERR
    assert await tb.bus_write(3, bytes(word)) == AxiResp.SLVERR  # some strobes are 0
    assert await tb.bus_read(0, len(kept)) == (AxiResp.OKAY, kept)
    await tb.close()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=[fault for fault in BridgeFault if fault != BridgeFault.NONE])
async def broken_device(dut, fault):
    tb = BridgeBench(dut)
    tb.fault = fault
    await tb.start()
    content = tb.rng.randbytes(4 * tb.config.bus_bytes)
    await tb.write(0, content)
    assert await tb.bus_read(0, len(content)) == (AxiResp.OKAY, content)
    await tb.close()
