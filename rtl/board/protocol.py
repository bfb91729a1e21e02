"""The frames between host and board: the one description that the bridge, the host and docs/board.md use.

Numbers are little endian. Plain Python: importable without Amaranth.
"""

from enum import IntEnum

MAGIC = 0x42445153  #: "SQDB"
VERSION = 1
REQUEST_SYNC = 0xA5  #: first byte of a request
REPLY_SYNC = 0x5A  #: first byte of a reply
MAX_PAYLOAD = 2048  #: bytes; a power of two
CRC_BYTES = 4
SEQUENCES = 256
REGISTER_BYTES = 4
REGISTER_SPACE = 4096  #: bytes of register addresses

#: Bytes of the parts of a frame in order. The CRC covers everything behind the first byte.
REQUEST = {"sync": 1, "operation": 1, "sequence": 1, "length": 2, "address": 4}
REPLY = {"sync": 1, "status": 1, "sequence": 1, "length": 2}

#: Bytes of the parts of the identity, the payload that answers IDENTIFY.
IDENTITY = {"magic": 4, "version": 2, "max_payload": 2, "memory_bytes": 4, "clock_hz": 4, "configuration": 4}
IDENTITY_BYTES = sum(IDENTITY.values())

WRITE = 0x80  #: bit of an operation: its request carries `length` bytes of payload; otherwise its reply does


class Operation(IntEnum):
    """What a request asks for."""

    IDENTIFY = 0x00  #: the identity; address 0
    READ_MEMORY = 0x01  #: whole memory words
    READ_REGISTERS = 0x02  #: whole registers
    WRITE_MEMORY = 0x81
    WRITE_REGISTERS = 0x82  #: not done again when the request before had the same sequence number


class ReplyStatus(IntEnum):
    """Outcome of a request. Nothing has been written unless it is OK or REFUSED."""

    OK = 0
    BAD_OPERATION = 1  #: no `Operation`
    BAD_LENGTH = 2  #: not whole words or registers, none, or more than MAX_PAYLOAD bytes
    BAD_ADDRESS = 3  #: not aligned, or outside of the memory or the registers
    REFUSED = 4  #: the register port answered with an error
    BAD_CRC = 5  #: the frame is damaged
    BROKEN_BYTE = 6  #: a byte without a stop bit inside a frame
    TRUNCATED = 7  #: the line was idle inside a frame


#: Statuses after which the request may be sent again as it is; its sequence number in the reply means nothing.
DAMAGED = (ReplyStatus.BAD_CRC, ReplyStatus.BROKEN_BYTE, ReplyStatus.TRUNCATED)
