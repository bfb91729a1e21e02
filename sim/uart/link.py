"""Requests to a board in checked frames; what gets lost or damaged on the way is sent again."""

import struct
import time
import zlib
from typing import NamedTuple, Protocol

from sqdm.errors import DeviceError
from sqdm.rtl.board import protocol
from sqdm.rtl.board.protocol import DAMAGED, MAX_PAYLOAD, SEQUENCES, WRITE, Operation, ReplyStatus

TIMEOUT = 10.0  #: seconds until a reply counts as lost
ATTEMPTS = 4  #: of every request
FORMATS = {1: "B", 2: "H", 4: "I"}


def layout(parts: dict[str, int]) -> str:
    """The `struct` format of parts with these sizes."""
    return "<" + "".join(FORMATS[size] for size in parts.values())


REQUEST, REPLY, IDENTITY = layout(protocol.REQUEST), layout(protocol.REPLY), layout(protocol.IDENTITY)
Identity = NamedTuple("Identity", [(name, int) for name in protocol.IDENTITY])


class Port(Protocol):
    """What a `Link` needs of a serial port; see `SerialPort`."""

    def write(self, frame: bytes) -> None: ...
    def read(self, size: int, timeout: float) -> bytes: ...
    def drop_input(self) -> None: ...


class Reply(NamedTuple):
    """A reply whose CRC is right."""

    status: int
    sequence: int
    payload: bytes


def request_frame(operation: int, sequence: int, length: int, address: int, payload: bytes = b"") -> bytes:
    """The bytes of a request."""
    body = struct.pack(REQUEST, protocol.REQUEST_SYNC, operation, sequence, length, address) + payload
    return body + struct.pack("<I", zlib.crc32(body[1:]))


class Link:
    """A board at the other end of ``port``.

    ``timeout`` in seconds for each of ``attempts``. ``frames`` and ``retries`` count requests and those of them that
    were sent again. Methods raise `DeviceError` when the board does not answer or refuses a request.
    """

    def __init__(self, port: Port, timeout: float = TIMEOUT, attempts: int = ATTEMPTS):
        self.frames = 0
        self.retries = 0
        self._port = port
        self._timeout = timeout
        self._attempts = attempts
        self._sequence = 0

    def identify(self) -> Identity:
        """What the board says about itself; `DeviceError` unless it speaks this protocol."""
        identity = Identity(*struct.unpack(IDENTITY, self._request(Operation.IDENTIFY, 0, protocol.IDENTITY_BYTES)))
        if (identity.magic, identity.version) != (protocol.MAGIC, protocol.VERSION):
            raise DeviceError(
                f"the board must speak version {protocol.VERSION} of the protocol, not {identity.version} "
                f"(magic {identity.magic:#x})"
            )
        return identity

    def read_memory(self, address: int, size: int) -> bytes:
        """Whole memory words."""
        return self._read(Operation.READ_MEMORY, address, size)

    def write_memory(self, address: int, content: bytes) -> None:
        """Whole memory words."""
        for first in range(0, len(content), MAX_PAYLOAD):
            part = content[first : first + MAX_PAYLOAD]
            self._request(Operation.WRITE_MEMORY, address + first, len(part), part)

    def read_registers(self, offset: int, count: int) -> tuple[int, ...]:
        """``count`` registers from byte ``offset`` on."""
        return struct.unpack(f"<{count}I", self._read(Operation.READ_REGISTERS, offset, 4 * count))

    def write_registers(self, offset: int, *values: int) -> None:
        """Registers from byte ``offset`` on; values are taken modulo 2**32."""
        content = struct.pack(f"<{len(values)}I", *(value & 0xFFFFFFFF for value in values))
        self._request(Operation.WRITE_REGISTERS, offset, len(content), content)

    def _read(self, operation: Operation, address: int, size: int) -> bytes:
        sizes = [min(MAX_PAYLOAD, size - first) for first in range(0, size, MAX_PAYLOAD)]
        parts = [self._request(operation, address + i * MAX_PAYLOAD, part) for i, part in enumerate(sizes)]
        return b"".join(parts)

    def _request(self, operation: Operation, address: int, length: int, payload: bytes = b"") -> bytes:
        """The payload of the reply."""
        self._sequence = (self._sequence + 1) % SEQUENCES
        self.frames += 1
        frame = request_frame(operation, self._sequence, length, address, payload)
        expected = 0 if operation & WRITE else length
        trouble = "no answer"
        for attempt in range(self._attempts):
            self.retries += attempt > 0
            self._port.drop_input()
            self._port.write(frame)
            reply = self._reply()
            if reply is None:
                trouble = "no answer"
            elif reply.status in DAMAGED:
                trouble = ReplyStatus(reply.status).name
            elif reply.status != ReplyStatus.OK:
                names = {status.value: status.name for status in ReplyStatus}
                raise DeviceError(
                    f"the board must accept {operation.name} of {length} bytes at {address:#x}, "
                    f"not answer {names.get(reply.status, reply.status)}"
                )
            elif len(reply.payload) != expected:
                trouble = f"{len(reply.payload)} bytes instead of {expected}"
            else:
                return reply.payload
        raise DeviceError(
            f"the board must answer {operation.name}, but did not in {self._attempts} attempts (last: {trouble})"
        )

    def _reply(self) -> Reply | None:
        """The next reply to this request, or to a damaged one; None when none comes in time."""
        end = time.monotonic() + self._timeout
        while True:
            while (first := self._take(1, end)) != bytes([protocol.REPLY_SYNC]):
                if not first:
                    return None
            size = struct.calcsize(REPLY) - 1
            header = self._take(size, end)
            if len(header) < size:
                return None
            _, status, sequence, length = struct.unpack(REPLY, first + header)
            rest = self._take(length + protocol.CRC_BYTES, end) if length <= MAX_PAYLOAD else b""
            payload, crc = rest[:length], rest[length:]
            if crc != struct.pack("<I", zlib.crc32(header + payload)):
                return None
            if sequence == self._sequence or status in DAMAGED:
                return Reply(status, sequence, payload)

    def _take(self, size: int, end: float) -> bytes:
        return self._port.read(size, max(0.0, end - time.monotonic()))
