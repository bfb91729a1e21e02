"""Where regions lie in a small memory, and what is sent to it."""

import zlib
from itertools import pairwise

import numpy as np
import pytest
from small_board import SMALL

from sqdm.compiler.network import compile_network
from sqdm.errors import UserError
from sqdm.golden.model_file import load_model
from sqdm.rtl.board import protocol
from sqdm.rtl.board.protocol import Operation
from sqdm.sim.uart.device import PROGRAM_BYTES
from sqdm.sim.uart.link import REQUEST, request_frame
from sqdm.sim.uart.mirror import Mirror, runs
from sqdm.sim.uart.residency import Residency, region_uses

SIZE = 64 * 1024


@pytest.fixture(scope="module")
def program():
    return compile_network(load_model(None).arrays, 1, SMALL)


def placed(program, size, rounds=2):
    """Yield the regions of each descriptor by name and where they are, evaluation after evaluation."""
    uses = region_uses(program)
    places = Residency(program, uses, PROGRAM_BYTES, size)
    for _ in range(rounds):
        for number, use in enumerate(uses):
            yield {region.name: region for region in use.values()}, places.place(number)


@pytest.mark.parametrize("size", [56 * 1024, SIZE, 2 * SIZE, 16 * SIZE])
def test_regions_of_a_descriptor_do_not_overlap(program, size):
    for regions, places in placed(program, size):
        assert places.keys() == regions.keys()
        spans = sorted((first, first + regions[name].bytes) for name, first in places.items())
        assert all(end <= first for (_, end), (first, _) in pairwise(spans))
        assert not spans or (spans[0][0] >= PROGRAM_BYTES and spans[-1][1] <= size)
        assert all(first % SMALL.plane_bytes == 0 for first, _ in spans)


def moved(program, size):
    """Bytes of regions that were not in their place, in the second of two evaluations."""
    owners = np.full(size, "", object)
    total = 0
    for number, (regions, places) in enumerate(placed(program, size)):
        for name, first in places.items():
            place = owners[first : first + regions[name].bytes]
            total += int((place != name).sum()) if number >= len(program.descriptors) else 0
            place[:] = name
    return total


def test_more_memory_needs_fewer_transfers(program):
    amounts = [moved(program, size) for size in (SIZE, 2 * SIZE, 16 * SIZE)]
    assert amounts[0] > amounts[1] > amounts[2] == 0


def test_a_descriptor_that_does_not_fit_is_refused(program):
    with pytest.raises(UserError, match=r"must fit the board's memory of \d+ bytes, but works on \d+"):
        Residency(program, region_uses(program), PROGRAM_BYTES, 16 * 1024)


class Memory:
    """A link that counts its writes."""

    def __init__(self, size):
        self.content = np.zeros(size, np.uint8)
        self.writes = []

    def write_memory(self, address, content):
        self.writes.append((address, len(content)))
        self.content[address : address + len(content)] = np.frombuffer(content, np.uint8)

    def read_memory(self, address, size):
        return self.content[address : address + size].tobytes()


def test_only_changes_are_sent():
    link = Memory(8192)
    mirror = Mirror(link, 8192, 8)
    content = np.random.default_rng(1).integers(1, 256, 4096, dtype=np.uint8)
    mirror.send(1024, content)
    assert link.writes == [(1024, 4096)]
    mirror.send(1024, content)
    content[[3, 9, 4000]] += 1
    mirror.send(1024, content)
    assert link.writes[1:] == [(1024, 16), (1024 + 4000, 8)]
    np.testing.assert_array_equal(link.content[1024:5120], content)
    link.content[1024:1032] = 0
    assert not mirror.fetch(1024, 8).any()
    mirror.send(1024, content)
    assert link.writes[3:] == [(1024, 8)]


def test_runs_join_over_small_gaps():
    assert runs(np.array([1, 0, 0, 1, 0, 0, 0, 1], bool), 2) == [(0, 4), (7, 8)]
    assert runs(np.zeros(3, bool), 2) == []


def test_frame_layout():
    frame = request_frame(Operation.WRITE_MEMORY, 7, 8, 0x11223344, bytes(range(8)))
    assert frame[:9] == bytes([protocol.REQUEST_SYNC, 0x81, 7, 8, 0, 0x44, 0x33, 0x22, 0x11])
    assert frame[-4:] == zlib.crc32(frame[1:-4]).to_bytes(4, "little")
    assert REQUEST == "<BBBHI"
