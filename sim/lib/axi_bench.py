"""Test bench of the bus interfaces: clients on one side, cocotbext-axi's memory and host on the other."""

import random
from collections import deque
from itertools import repeat

import cocotb
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from sqdm.rtl import axi, payloads
from sqdm.rtl.config import Config
from sqdm.rtl.registers import REGISTERS, Status
from sqdm.sim.lib.axi_device import READERS, WRITERS
from sqdm.sim.lib.bench import Bench
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.streams import Sink, Source

LIMIT = 20_000
PAGE = 1 << axi.PAGE_BITS


class Target:
    """Content of the memory behind the AXI subordinate; accesses to `bad` byte addresses fail."""

    def __init__(self, word_bytes: int):
        self._word_bytes = word_bytes
        self.words: dict[int, bytes] = {}
        self.bad: set[int] = set()

    def content(self, address: int) -> bytes:
        """A word: what was written, else some function of the address."""
        return self.words.get(address) or random.Random(address).randbytes(self._word_bytes)

    async def read(self, address: int, length: int) -> bytes:
        assert length == self._word_bytes
        if address in self.bad:
            raise ValueError
        return self.content(address)

    async def write(self, address: int, data: bytes):
        if address in self.bad:
            raise ValueError
        assert len(data) == self._word_bytes
        self.words[address] = bytes(data)


ADDRESS = ("addr", "len", "size", "burst", "id", "prot", "cache")
PAYLOADS = {"ar": ADDRESS, "aw": ADDRESS, "w": ("data", "strb", "last")}  #: signals that hold while valid waits


class Rules:
    """Fails when the manager breaks a rule of AXI: held valid and payload, burst shape, order of address and data."""

    def __init__(self, bench, word_bytes: int):
        self._dut = bench.dut
        self._word_bytes = word_bytes
        self._held: dict[str, tuple | None] = dict.fromkeys(PAYLOADS)
        self._lengths: deque[int] = deque()  # of bursts whose address was valid and whose data is not complete
        self._beats = 0
        self.bursts = {"ar": 0, "aw": 0}
        self.beats = 0

    def _value(self, name: str) -> int:
        return int(getattr(self._dut, f"m_axi_{name}").value)

    def drive(self, in_reset: bool):
        pass

    def sample(self, in_reset: bool):
        if int(self._dut.rst.value):
            self._held = dict.fromkeys(PAYLOADS)
            return
        for channel, names in PAYLOADS.items():
            held = self._held[channel]
            payload = None
            if self._value(f"{channel}valid"):
                payload = tuple(self._value(channel + name) for name in names)
                if held is None and channel != "w":
                    self._address(channel, *payload)
            assert held is None or payload == held, f"{channel} changed before ready: {held} to {payload}"
            ready = self._value(f"{channel}ready")
            self._held[channel] = None if ready else payload
            if channel == "w" and payload is not None:
                assert self._lengths, "data before its address"
                if ready:
                    self._data(payload[2])
        assert self._value("bready")

    def _address(self, channel: str, address: int, length: int, size: int, burst: int, *rest: int):
        self.bursts[channel] += 1
        assert (1 << size, burst, rest[1:]) == (self._word_bytes, axi.INCR, (0, axi.CACHE))
        assert length < axi.MAX_BEATS
        assert address % self._word_bytes == 0
        assert address // PAGE == (address + (length + 1) * self._word_bytes - 1) // PAGE, "4 KiB boundary crossed"
        if channel == "aw":
            self._lengths.append(length + 1)

    def _data(self, last: int):
        self.beats += 1
        self._beats += 1
        assert last == (self._beats == self._lengths[0]), f"wlast {last} at beat {self._beats} of {self._lengths[0]}"
        if last:
            self._lengths.popleft()
            self._beats = 0

    @property
    def owing(self) -> bool:
        """An address was sent whose data is not complete."""
        return bool(self._lengths)


class AxiBench(Bench):
    """Clients, memory, host and rules. `idle`, `back_pressure` of the clients and `bus` of all AXI channels: paces."""

    def __init__(self, dut, idle: str = "steady", back_pressure: str = "steady", bus: str = "steady"):
        super().__init__(dut)
        self.config = Config(**self.parameters["config"])
        self.word = self.config.bus_bytes
        self.target = Target(self.word)
        self.memory = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=self.target)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        write, read = self.memory.write_if, self.memory.read_if
        self.channels = {"ar": read.ar_channel, "r": read.r_channel, "aw": write.aw_channel, "w": write.w_channel,
                         "b": write.b_channel}  # fmt: skip
        for part in (self.memory.write_if, self.memory.read_if, self.host.write_if, self.host.read_if):
            part.log.setLevel("ERROR")
        if bus != "steady":
            for channel in self.channels.values():
                channel.set_pause_generator(self.pauses(bus))
            for part, names in ((self.host.write_if, ("aw", "w", "b")), (self.host.read_if, ("ar", "r"))):
                for name in names:
                    getattr(part, f"{name}_channel").set_pause_generator(self.pauses(bus))
        self.rules = self.add(Rules(self, self.word))
        self.reads = [
            self.add(Source(self, f"reads_{number}", payloads.ADDRESS_BITS, PACES[idle](self.rng)))
            for number in range(READERS)
        ]
        self.writes = [
            self.add(Source(self, f"writes_{number}", payloads.memory_write(self.config), PACES[idle](self.rng)))
            for number in range(WRITERS)
        ]
        self.expected: list[deque[int]] = [deque() for _ in range(READERS)]
        self.answers = [
            self.add(Sink(self, f"answers_{number}", self.config.bus_bits, PACES[back_pressure](self.rng),
                          self._receiver(number)))
            for number in range(READERS)
        ]  # fmt: skip
        self.written: dict[int, bytes] = {}
        self.pins.set(flush=0)

    def pauses(self, bus: str):
        """A pause generator of cocotbext-axi with the rhythm of a pace."""
        pace = PACES[bus](random.Random(self.rng.getrandbits(32)))
        return (not pace() for _ in repeat(None))

    def _receiver(self, number: int):
        def receive(word: int):
            assert self.expected[number], f"client {number} got an answer that it did not ask for"
            wanted = self.expected[number].popleft()
            assert word == wanted, f"client {number} got {word:#x} instead of {wanted:#x}"

        return receive

    def addresses(self, count: int, first_page: int) -> list[int]:
        """Word addresses in runs of any length, around page boundaries too."""
        words = PAGE // self.word
        found: list[int] = []
        while len(found) < count:
            page = self.rng.randrange(first_page, first_page + 4) * words
            start = page + self.rng.choice([self.rng.randrange(words), words - self.rng.randint(1, min(20, words))])
            found += range(start, start + self.rng.choice([1, 1, 2, 5, 16, 17, 40]))
        return found[:count]

    def send_reads(self, number: int, words: list[int]):
        """Let a client read words and expect what the memory holds now."""
        self.reads[number].send(words)
        self.expected[number].extend(int.from_bytes(self.target.content(word * self.word), "little") for word in words)

    def send_writes(self, number: int, words: list[int]):
        """Let a client write random words; `written` is what the memory will hold."""
        for word in words:
            data = self.rng.randbytes(self.word)
            self.writes[number].send([{"address": word, "data": int.from_bytes(data, "little")}])
            self.written[word * self.word] = data

    @property
    def quiet(self) -> bool:
        """Everything sent has been taken and answered."""
        return not any(source.pending for source in (*self.reads, *self.writes)) and not any(self.expected)

    async def settle(self):
        """Wait for all answers; the memory must hold what was written."""
        await self.until(lambda: self.quiet and bool(int(self.dut.idle.value)), LIMIT, "everything is answered")
        await self.drain()
        assert not int(self.dut.error.value)
        assert not self.rules.owing
        assert self.target.words == self.written

    async def flush(self):
        """One cycle of flush; clients forget what they wanted."""
        self.pins.set(flush=1)
        await self.step(in_reset=True)
        for source in (*self.reads, *self.writes):
            source.clear()
        for expected in self.expected:
            expected.clear()
        self.pins.set(flush=0)
        await self.step()
        assert int(self.dut.idle.value)
        assert not int(self.dut.error.value)

    def kill(self, names: list[str]):
        """Let channels of the memory do nothing."""
        for name in names:
            self.channels[name].set_pause_generator(repeat(True))

    def revive(self):
        """Let all channels work at full speed."""
        for channel in self.channels.values():
            channel.clear_pause_generator()
            channel.pause = False

    async def background(self, operation):
        """Step until a coroutine of the host has ended; returns its result."""
        task = cocotb.start_soon(operation)
        await self.until(task.done, LIMIT, "the host's access is answered")
        return task.result()

    async def store(self, name: str, value: int):
        """Write a register."""
        answer = await self.background(self.host.write(REGISTERS[name].offset, value.to_bytes(4, "little")))
        assert answer.resp == AxiResp.OKAY

    async def load(self, name: str) -> int:
        """Read a register."""
        answer = await self.background(self.host.read(REGISTERS[name].offset, 4))
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def expect_error(self, status: Status, fault: int):
        """An error comes; the registers name it."""
        await self.until(lambda: bool(int(self.dut.error.value)), LIMIT, status.name)
        assert await self.load("STATUS") >> 8 == status
        address = await self.load("FAULT")
        assert address == fault, f"FAULT is {address:#x} instead of {fault:#x}"
