"""Drivers and monitors of Amaranth streams flattened to `<name>__payload`, `<name>__valid` and `<name>__ready`."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from sqdm.sim.lib.codec import Codec
from sqdm.sim.lib.pace import Pace


class Source:
    """Drives an input stream from a queue; a payload stays valid until it is taken.

    `pace` says in which cycles a new payload may be offered. While nothing is offered, the payload is noise.
    """

    def __init__(self, bench, name: str, shape: Any, pace: Pace):
        self.codec = Codec(shape)
        self.pace = pace
        self.sent = 0
        self._rng = bench.rng
        self._payload = getattr(bench.dut, f"{name}__payload")
        self._valid = getattr(bench.dut, f"{name}__valid")
        self._ready = getattr(bench.dut, f"{name}__ready", None)
        self._queue: deque = deque()
        self._offering = False

    def send(self, items: Iterable[Any]):
        """Append payloads."""
        self._queue.extend(self.codec.pack(item) for item in items)

    def clear(self):
        """Forget what has not been sent."""
        self._queue.clear()
        self._offering = False

    @property
    def pending(self) -> int:
        """Payloads that have not been taken."""
        return len(self._queue)

    def drive(self, in_reset: bool):
        if not self._offering:
            self._offering = not in_reset and bool(self._queue) and self.pace()
            self._valid.value = int(self._offering)
            self._payload.value = self._queue[0] if self._offering else self._rng.getrandbits(self.codec.width)

    def sample(self, in_reset: bool):
        if in_reset:
            self._offering = False
        elif self._offering and (self._ready is None or int(self._ready.value)):
            self._queue.popleft()
            self.sent += 1
            self._offering = False


class Sink:
    """Receives an output stream, hands each payload on, and checks that a payload is held while it is valid.

    `pace` says in which cycles the stream is ready; with `after_valid` it is ready only in the cycle after a valid one,
    so that a device whose valid waits for ready never gets on.
    """

    def __init__(self, bench, name: str, shape: Any, pace: Pace, receive: Callable[[Any], None]):
        self.name = name
        self.codec = Codec(shape)
        self.pace = pace
        self.after_valid = False
        self.received = 0
        self.waits = 0
        self._receive = receive
        self._payload = getattr(bench.dut, f"{name}__payload")
        self._valid = getattr(bench.dut, f"{name}__valid")
        self._ready = getattr(bench.dut, f"{name}__ready", None)
        self._is_ready = self._ready is None
        self._held: int | None = None

    def drive(self, in_reset: bool):
        if self._ready is not None:
            self._is_ready = not in_reset and self.pace() and (self._held is not None or not self.after_valid)
            self._ready.value = int(self._is_ready)

    def sample(self, in_reset: bool):
        if in_reset:
            self._held = None
            return
        valid = int(self._valid.value)
        bits = int(self._payload.value) if valid else None
        if self._held is not None:
            assert valid, f"{self.name}: valid fell before the transfer"
            assert bits == self._held, f"{self.name}: payload changed while valid, {self._held:#x} to {bits:#x}"
        self._held = bits if valid and not self._is_ready else None
        if valid and self._is_ready:
            self.received += 1
            self._receive(self.codec.unpack(bits))
        elif valid:
            self.waits += 1
