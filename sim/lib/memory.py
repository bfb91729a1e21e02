"""Memory behind the accelerator: random latency, idle cycles, back-pressure, and a record of what was touched."""

from collections import deque

import numpy as np

from sqdm.rtl import payloads
from sqdm.rtl.config import Config
from sqdm.sim.lib.pace import Pace
from sqdm.sim.lib.streams import Sink, Source


class Memory:
    """Answers reads in order and carries out writes; fails when either leaves the regions that it may touch.

    Parameters: ``image`` the content, uint8, whole memory words; ``latency`` the most cycles that an answer
    takes; ``paces`` of reads accepted, answers given and writes accepted. An agent of a `Bench`.
    """

    def __init__(self, bench, config: Config, latency: int, paces: tuple[Pace, Pace, Pace]):
        self._bench = bench
        self._latency = latency
        self._bus_bytes = config.bus_bytes
        self.image = np.zeros(0, np.uint8)
        self.readable: list[range] = []
        self.writable: list[range] = []
        self.reads = self.writes = 0
        self._due: deque[tuple[int, int]] = deque()
        accept, answer, write = paces
        self._read_sink = bench.add(Sink(bench, "reads", 32, accept, self._read))
        bench.add(self)
        self._answers = bench.add(Source(bench, "answers", config.bus_bits, answer))
        self._write_sink = bench.add(Sink(bench, "writes", payloads.memory_write(config), write, self._write))

    def attach(self, image: np.ndarray, readable: list[range], writable: list[range]):
        """Use another content and other regions, word addresses, from now on; counts start at 0."""
        self.image, self.readable, self.writable = image, readable, writable
        self.reads = self.writes = 0

    def clear(self):
        """Forget reads that have not been answered, when the accelerator is reset."""
        self._due.clear()
        self._answers.clear()

    @property
    def answering(self) -> bool:
        """Reads were accepted that have not been answered."""
        return bool(self._due or self._answers.pending)

    def _slice(self, address: int) -> slice:
        return slice(address * self._bus_bytes, (address + 1) * self._bus_bytes)

    def _read(self, address: int):
        assert any(address in region for region in self.readable), f"word {address:#x} was read: in no region"
        self.reads += 1
        word = int.from_bytes(self.image[self._slice(address)].tobytes(), "little")
        self._due.append((self._bench.cycle + self._bench.rng.randint(0, self._latency), word))

    def _write(self, write: dict):
        address = write["address"]
        assert any(address in region for region in self.writable), f"word {address:#x} was written: in no region"
        self.writes += 1
        data = write["data"].to_bytes(self._bus_bytes, "little")
        self.image[self._slice(address)] = np.frombuffer(data, np.uint8)

    def drive(self, in_reset: bool):
        while self._due and self._due[0][0] <= self._bench.cycle:
            self._answers.send([self._due.popleft()[1]])

    def sample(self, in_reset: bool):
        pass
