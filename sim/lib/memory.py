"""Memory behind the accelerator's AXI port: a target of cocotbext-axi's AxiSlave that is slow or wrong on demand."""

import random

import numpy as np
from cocotb.triggers import ClockCycles


class Memory:
    """Bytes from address 0 on.

    Parameters: ``clk``; ``latency``: the most cycles that the first word of a run of consecutive words takes. A write
    changes the content only after its latency. ``image``: the content, uint8. ``reads`` and ``writes`` count words.
    ``stray``: byte addresses outside of the image that were accessed. The word number ``fail_read`` or ``fail_write``
    (from 0 on, since `attach`) is answered with an error; ``failed`` is its address.
    """

    def __init__(self, clk, word_bytes: int, latency: int, rng: random.Random):
        self._clk = clk
        self._word_bytes = word_bytes
        self._latency = latency
        self._rng = random.Random(rng.getrandbits(32))
        self.attach(np.zeros(0, np.uint8))

    def attach(self, image: np.ndarray):
        """Use another content from now on, without faults."""
        self.image = image
        self.reads = self.writes = 0
        self.stray: list[int] = []
        self.fail_read = self.fail_write = self.failed = None
        self._next = {"read": -1, "write": -1}

    async def _access(self, kind: str, address: int, length: int) -> slice:
        """Wait; then the bytes in question."""
        first = address != self._next[kind]
        self._next[kind] = address + length
        cycles = self._rng.randint(0, self._latency) if first else 0
        if cycles:
            await ClockCycles(self._clk, cycles)
        if length != self._word_bytes or address + length > self.image.size:
            self.stray.append(address)
            raise ValueError(f"{kind} of {length} bytes at {address:#x}")
        return slice(address, address + length)

    async def read(self, address: int, length: int) -> bytes:
        place = await self._access("read", address, length)
        self.reads += 1
        if self.fail_read == self.reads - 1:
            self.failed = address
            raise ValueError("read fails on demand")
        return self.image[place].tobytes()

    async def write(self, address: int, data: bytes):
        place = await self._access("write", address, len(data))
        self.writes += 1
        if self.fail_write == self.writes - 1:
            self.failed = address
            raise ValueError("write fails on demand")
        self.image[place] = np.frombuffer(data, np.uint8)
