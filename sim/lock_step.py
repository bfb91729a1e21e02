"""The golden machine beside a device: runs the same descriptors and compares what each of them wrote."""

from collections import Counter

import numpy as np

from sqdm.compiler import access
from sqdm.compiler.machine import Machine
from sqdm.compiler.program import Descriptor, Program
from sqdm.golden import planes
from sqdm.rtl.registers import Policy

STRAY = "outside of the outputs"


class LockStep:
    """Compares a device that runs ``program`` again and again, with the detector's ``policy`` and ``period``.

    ``compared`` and ``mismatches`` count values and differing memory elements by descriptor name; a difference that no
    descriptor may have made counts as `STRAY`, in bytes. ``first_mismatch`` says where the first one was. A comparison
    takes the device's memory over, so that each descriptor is judged on what it was given.
    """

    def __init__(self, program: Program, policy: Policy = Policy.BALANCED, period: int = 1):
        self.program = program
        self.machine = Machine(program.config, policy, period)
        self.memory = program.new_memory()
        self.compared: Counter[str] = Counter()
        self.mismatches: Counter[str] = Counter()
        self.first_mismatch: str | None = None
        self.runs = -1
        self.next = 0

    def start(self, memory: np.ndarray) -> None:
        """The device starts the program on ``memory``."""
        self.machine.start()
        self.runs += 1
        self.next = 0
        self.resume(memory)

    def resume(self, memory: np.ndarray) -> None:
        """The device goes on with ``memory``, after a host step."""
        self.memory[:] = memory[: self.memory.size]

    def compare(self, tag: int, memory: np.ndarray) -> None:
        """The device has done all descriptors before ``tag``: do them too and compare with its ``memory``."""
        done = self.program.descriptors[self.next : tag]
        self.next = tag
        for descriptor in done:
            self.machine.execute(descriptor, self.memory)
        found = memory[: self.memory.size]
        if not np.array_equal(found, self.memory):
            self._locate(done, found)
        for descriptor in done:
            written = access.written(descriptor, self.program.config)
            self.compared[descriptor.name] += sum(output.values for output in written)

    def _locate(self, done: list[Descriptor], found: np.ndarray) -> None:
        """Count the differences by descriptor and remember the first one."""
        differs = (found != self.memory).astype(np.uint8)
        for descriptor in done:
            for output in access.written(descriptor, self.program.config):
                mine, theirs = output.read(self.memory), output.read(found)
                wrong = mine != theirs
                if wrong.any():
                    at = tuple(int(i) for i in np.argwhere(wrong)[0])
                    place = f"{output.kind} of {descriptor.name}, run {self.runs}, at {at}"
                    self._count(descriptor.name, int(wrong.sum()), f"{place}: {theirs[at]} instead of {mine[at]}")
                planes.place(differs, output.base, output.strides, np.zeros(output.shape, np.uint8))
        if differs.any():
            address = int(np.flatnonzero(differs)[0])
            self._count(STRAY, int(differs.sum()), f"{STRAY}, run {self.runs}, at address {address:#x}")

    def _count(self, name: str, wrong: int, place: str) -> None:
        self.mismatches[name] += wrong
        if self.first_mismatch is None:
            self.first_mismatch = place
