"""Test bench of the board's bridge and memory: cocotbext-uart on the serial lines, cocotbext-axi on the bus."""

import random
import struct
import zlib
from itertools import repeat

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, SimTimeoutError, with_timeout
from cocotbext.axi import AxiBus, AxiMaster, AxiResp
from cocotbext.uart import UartSink, UartSource

from sqdm.rtl.board import protocol
from sqdm.rtl.board.protocol import Operation, ReplyStatus
from sqdm.rtl.board.settings import BoardSettings
from sqdm.rtl.config import Config
from sqdm.sim.lib.bench import PERIOD_NS, Bench
from sqdm.sim.lib.pace import PACES

BITS = 10  #: of a byte on the line
SERVICE = 10_000  #: cycles in which a bridge has moved the longest payload, and more
REPLY_BYTES = sum(protocol.REPLY.values()) + protocol.CRC_BYTES


class BridgeBench(Bench):
    """A host with frames of its own making, and a manager on the bus. ``bus``: pace of the bus's channels."""

    def __init__(self, dut, bus: str = "steady"):
        super().__init__(dut)
        self.config = Config(**self.parameters["config"])
        self.settings = BoardSettings(**self.parameters["settings"])
        self.clocks = self.settings.clocks_per_bit
        baud = int(1e9 / (PERIOD_NS * self.clocks))
        self.line = UartSource(dut.rx, baud=baud)
        self.replies = UartSink(dut.tx, baud=baud)
        self.bus = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        for part in (self.bus.write_if, self.bus.read_if, self.line, self.replies):
            part.log.setLevel("ERROR")
        if bus != "steady":
            channels = [(self.bus.write_if, name) for name in ("aw", "w", "b")]
            channels += [(self.bus.read_if, name) for name in ("ar", "r")]
            for part, name in channels:
                getattr(part, f"{name}_channel").set_pause_generator(self.pauses(bus))
        self.sequence = 0

    async def reset(self, cycles: int = 3):
        """Reset the device; this bench goes on by triggers of its own, not by `step`."""
        await super().reset(cycles)
        await self.step()
        await FallingEdge(self.dut.clk)

    def pauses(self, bus: str):
        """A pause generator of cocotbext-axi with the rhythm of a pace."""
        pace = PACES[bus](random.Random(self.rng.getrandbits(32)))
        return (not pace() for _ in repeat(None))

    def frame(self, operation: int, address: int = 0, length: int = 0, payload: bytes = b"", sequence=None) -> bytes:
        """A whole frame; by default with a new sequence number."""
        if sequence is None:
            self.sequence = (self.sequence + 1) % 256
            sequence = self.sequence
        body = struct.pack("<BBHI", operation, sequence, length, address) + payload
        return bytes([protocol.REQUEST_SYNC]) + body + struct.pack("<I", zlib.crc32(body))

    async def send(self, content: bytes):
        """Put bytes on the line and wait until they have left."""
        await self.line.write(content)
        await self.line.wait()

    async def wait(self, count: int):
        """Clock cycles without Python in between."""
        await ClockCycles(self.dut.clk, count)

    async def take(self, count: int, cycles: int) -> bytes:
        """Bytes from the board; fails when they do not come within ``cycles``."""
        found = b""
        while len(found) < count:
            try:
                found += bytes(await with_timeout(self.replies.read(1), cycles * PERIOD_NS, "ns"))
            except SimTimeoutError:
                raise AssertionError(f"{count} bytes must come within {cycles} cycles, not {len(found)}") from None
        return found

    async def reply(self, size: int = 0, idle: bool = False) -> tuple[int, int, bytes]:
        """Status, sequence number and payload of the next reply, whose payload has up to ``size`` bytes.

        ``idle``: it may come after the time-out of the line.
        """
        limit = SERVICE + 40 * (size + 8) + (2 * self.settings.idle_cycles if idle else 0)
        head = await self.take(sum(protocol.REPLY.values()), limit)
        sync, status, sequence, length = struct.unpack("<BBBH", head)
        assert sync == protocol.REPLY_SYNC
        assert length <= size, f"a payload of {length} bytes where {size} were asked for"
        rest = await self.take(length + protocol.CRC_BYTES, 1000 + (length + 8) * BITS * (self.clocks + 1))
        assert struct.unpack("<I", rest[length:])[0] == zlib.crc32(head[1:] + rest[:length])
        return status, sequence, rest[:length]

    async def ask(self, operation: int, address: int, length: int, payload: bytes = b"") -> bytes:
        """A request that must be answered with OK."""
        await self.send(self.frame(operation, address, length, payload))
        size = 0 if operation & protocol.WRITE else length
        status, sequence, found = await self.reply(size)
        assert (ReplyStatus(status), sequence, len(found)) == (ReplyStatus.OK, self.sequence, size)
        return found

    async def expect(self, frame: bytes, status: ReplyStatus, idle: bool = False):
        """The answer to a frame is ``status`` and nothing else."""
        await self.send(frame)
        found, _, payload = await self.reply(0, idle)
        assert (ReplyStatus(found), payload) == (status, b"")

    async def write(self, address: int, content: bytes):
        """Memory, through the bridge."""
        await self.ask(Operation.WRITE_MEMORY, address, len(content), content)

    async def read(self, address: int, size: int) -> bytes:
        """Memory, through the bridge."""
        return await self.ask(Operation.READ_MEMORY, address, size)

    async def bus_write(self, address: int, content: bytes) -> AxiResp:
        """Memory, through the bus."""
        task = cocotb.start_soon(self.bus.write(address, content))
        return (await with_timeout(task, 100_000, "ns")).resp

    async def bus_read(self, address: int, size: int) -> tuple[AxiResp, bytes]:
        """Memory, through the bus."""
        task = cocotb.start_soon(self.bus.read(address, size))
        answer = await with_timeout(task, 100_000, "ns")
        return answer.resp, bytes(answer.data)

    async def break_byte(self, value: int):
        """A byte whose stop bit is 0."""
        for level in (0, *(value >> bit & 1 for bit in range(8)), 0):
            self.dut.rx.value = level
            await ClockCycles(self.dut.clk, self.clocks)
        self.dut.rx.value = 1
        await ClockCycles(self.dut.clk, self.clocks)

    async def close(self):
        """Nothing more comes, and an ordinary request still works."""
        await self.wait(self.settings.idle_cycles + 500)
        assert self.replies.empty(), "a reply that was not expected"
        address = self.rng.randrange(0, self.settings.memory_bytes, self.config.bus_bytes)
        content = self.rng.randbytes(self.config.bus_bytes)
        await self.write(address, content)
        assert await self.read(address, len(content)) == content
