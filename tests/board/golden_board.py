"""A board made of the golden machine: answers frames in Python, so that the host's part can be tested quickly."""

import struct
import zlib

import numpy as np

from sqdm.compiler.machine import Machine
from sqdm.compiler.program import Descriptor
from sqdm.rtl.board import protocol
from sqdm.rtl.board.protocol import Operation, ReplyStatus
from sqdm.rtl.board.settings import configuration_number
from sqdm.rtl.descriptor import BYTES, Kind
from sqdm.rtl.registers import COUNTERS, ID_VALUE, REGISTERS, Policy, decode
from sqdm.sim.uart.link import IDENTITY, REPLY, REQUEST

CYCLES = 100  #: of every descriptor


class GoldenBoard:
    """A `SerialPort` with a board behind it. ``spoil(descriptor, memory)`` may do harm after every
    descriptor."""

    name, baud = "golden", 3_000_000

    def __init__(self, config, memory_bytes=128 * 1024, spoil=None):
        self.sent = self.received = self.programs = 0
        self._config = config
        self._spoil = spoil
        self._memory = np.zeros(memory_bytes, np.uint8)
        self._registers = np.zeros(protocol.REGISTER_SPACE // 4, "<u4")
        self._set("ID", ID_VALUE)
        self._replies = b""

    def _set(self, name, value):
        self._registers[REGISTERS[name].offset // 4] = value

    def _get(self, name):
        return int(self._registers[REGISTERS[name].offset // 4])

    def drop_input(self):
        self._replies = b""

    def read(self, size, timeout):
        found, self._replies = self._replies[:size], self._replies[size:]
        self.received += len(found)
        return found

    def write(self, frame):
        self.sent += len(frame)
        head = struct.calcsize(REQUEST)
        _, operation, sequence, length, address = struct.unpack(REQUEST, frame[:head])
        payload, crc = frame[head:-4], frame[-4:]
        assert crc == struct.pack("<I", zlib.crc32(frame[1:-4]))
        assert len(payload) == (length if operation & protocol.WRITE else 0)
        answer = self._serve(Operation(operation), address, length, payload)
        body = struct.pack(REPLY, protocol.REPLY_SYNC, ReplyStatus.OK, sequence, len(answer)) + answer
        self._replies += body + struct.pack("<I", zlib.crc32(body[1:]))

    def _serve(self, operation, address, length, payload):
        if operation is Operation.IDENTIFY:
            values = (protocol.MAGIC, protocol.VERSION, protocol.MAX_PAYLOAD, self._memory.size, 60_000_000)
            return struct.pack(IDENTITY, *values, configuration_number(self._config))
        registers = operation in (Operation.READ_REGISTERS, Operation.WRITE_REGISTERS)
        space = self._registers.view(np.uint8) if registers else self._memory
        assert address + length <= space.size and length % (4 if registers else self._config.bus_bytes) == 0
        if not operation & protocol.WRITE:
            return space[address : address + length].tobytes()
        space[address : address + length] = np.frombuffer(payload, np.uint8)
        if registers and address == REGISTERS["CONTROL"].offset and self._get("CONTROL") & 1:
            self._run()
        return b""

    def _run(self):
        detect = decode(REGISTERS["DETECT"], self._get("DETECT"))
        machine = Machine(self._config, Policy(detect["policy"]), detect["period"])
        machine.start()
        address, cycles = self._get("PROGRAM_BASE"), 0
        while True:
            words = self._memory[address : address + BYTES].view("<u4")
            descriptor = Descriptor.of_words(words)
            if descriptor.kind is Kind.END:
                break
            machine.execute(descriptor, self._memory)
            if self._spoil is not None:
                self._spoil(descriptor, self._memory)
            address, cycles = address + BYTES, cycles + CYCLES
        self.programs += 1
        for name in COUNTERS:
            self._set(name, cycles if name in ("CYCLES", "ACTIVE") else 0)
        self._set("STATUS", 0b10)
