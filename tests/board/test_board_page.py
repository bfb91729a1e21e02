"""docs/board.md tells what rtl/board/protocol.py says."""

import re
from pathlib import Path

import pytest

from sqdm.rtl.board import protocol
from sqdm.rtl.board.protocol import Operation, ReplyStatus
from sqdm.rtl.board.settings import BoardSettings

PAGE = Path(__file__).parents[2] / "docs" / "board.md"


def rows(head):
    """The first two columns of the table whose head begins with ``head``."""
    text = PAGE.read_text()
    found = re.search(rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in found.group(1).splitlines()]


@pytest.mark.parametrize(("head", "parts"), [("request", protocol.REQUEST), ("reply", protocol.REPLY)])
def test_frames(head, parts):
    expected = [(name, str(size)) for name, size in parts.items()]
    assert rows(head) == [*expected, ("payload", "length"), ("CRC", str(protocol.CRC_BYTES))]


def test_identity():
    assert rows("identity") == [(name, str(size)) for name, size in protocol.IDENTITY.items()]


def test_codes():
    assert rows("operation") == [(operation.name, f"0x{operation.value:02x}") for operation in Operation]
    assert rows("status") == [(status.name, str(status.value)) for status in ReplyStatus]


def test_numbers_in_the_text():
    text = PAGE.read_text()
    for number in (
        f"| sync | 1 | 0x{protocol.REQUEST_SYNC:02X} |",
        f"| sync | 1 | 0x{protocol.REPLY_SYNC:02X} |",
        f"length {protocol.IDENTITY_BYTES}, address 0",
        f"at most {protocol.MAX_PAYLOAD} bytes",
        f"the time of {BoardSettings().idle_bytes} bytes",
        f"({BoardSettings().memory_bytes // 1024} KiB)",
        f"{BoardSettings().baud:,} at {BoardSettings().clock_hz // 1_000_000} MHz",
    ):
        assert number in text
    assert protocol.WRITE == 1 << 7
