"""A device that runs a network's program evaluation by evaluation, next to the golden machine."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from sqdm.compiler import access
from sqdm.compiler.network import NetworkProgram
from sqdm.compiler.program import Descriptor
from sqdm.rtl.registers import Policy
from sqdm.sim.device import Device, ProgramRun
from sqdm.sim.lock_step import LockStep


class NetworkDevice:
    """One simulated accelerator with the memory of a network ``program``, built when it is first used.

    ``latency`` and ``on_build`` as of `Device`; ``policy`` and ``period`` of the detector; with ``check`` every result
    is compared with the golden machine's (``lock_step``). ``runs`` are those so far.
    """

    def __init__(
        self,
        program: NetworkProgram,
        latency: int,
        on_build: Callable[[str], None] | None = None,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        check: bool = True,
    ):
        self.program = program
        self.latency = latency
        self.on_build = on_build
        self.policy = policy
        self.period = period
        self.lock_step = LockStep(program, policy, period) if check else None
        self.runs: list[ProgramRun] = []

    @cached_property
    def device(self) -> Device:
        """The accelerator, its memory filled with the program's initial image."""
        device = Device(self.program.config, self.latency, self.on_build)
        device.load(self.program)
        return device

    @property
    def memory(self) -> np.ndarray:
        """The memory that the program uses."""
        return self.device.memory[: self.program.memory.size]

    def evaluate(self, x: np.ndarray, c_noise: np.ndarray, labels: np.ndarray, pause: bool = False) -> np.ndarray:
        """F(x, c_noise, labels) of the network: float64 (N, 1, 8, 8); see `IntegerUNet.network`."""
        self.program.begin(self.memory, x, c_noise, labels)
        return self.run(pause)

    def run(self, pause: bool = False) -> np.ndarray:
        """Run the program on the memory as it is; ``pause`` after every descriptor to read the counters."""
        if self.lock_step:
            self.lock_step.start(self.memory)
        self.runs.append(
            self.device.run_program(self.program, self._host, self.policy, self.period, pause=pause, load=False)
        )
        if self.lock_step:
            self.lock_step.compare(len(self.program.descriptors) - 1, self.memory)
        return self.program.result(self.memory)

    def _host(self, tag: int, memory: np.ndarray) -> None:
        """The host's part at a WAIT."""
        if self.lock_step:
            self.lock_step.compare(tag, memory)
        self.program.host_steps[tag](memory)
        if self.lock_step:
            self.lock_step.resume(memory)

    def tables(self) -> dict[str, tuple[float, np.ndarray]]:
        """Of each layer with a changing table: its dense channels, and the share of zeros of each when last counted.

        An 8-bit layer has twice its channels: the high digits, then the low ones. The parts of a channel that a layer
        over rows takes apart are put together, so that it may have a fraction of a dense channel.
        """
        found = {}
        for descriptor in self.sorting():
            shape = access.conv_shape(descriptor, self.program.config)
            planes = access.read_tables(descriptor, self.memory, shape)[::-1]
            parts = shape.channels // self.program.layers[descriptor.name].C
            counts = np.concatenate([counts for _, _, counts in planes]).reshape(-1, parts).sum(axis=1)
            found[descriptor.name] = (
                sum(dense for _, dense, _ in planes) / parts,
                1 - counts / (shape.images * shape.in_pixels * parts),
            )
        return found

    def sorting(self) -> list[Descriptor]:
        """The descriptors that sort their channels."""
        return [descriptor for descriptor in self.program.descriptors if descriptor["MODE.update"]]
