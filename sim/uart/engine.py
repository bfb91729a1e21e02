"""The network on a board: every evaluation compared with the golden machine, and measured."""

from functools import cached_property

import numpy as np

from sqdm.compiler.buffers import images_at_once
from sqdm.compiler.network import compile_network
from sqdm.errors import UserError
from sqdm.rtl.registers import COUNTERS, Policy
from sqdm.sim.engine import SIDE, RtlEngine, ZeroRecord
from sqdm.sim.network_device import NetworkDevice
from sqdm.sim.uart.device import PROGRAM_BYTES, Board, UartDevice
from sqdm.sim.uart.port import SerialPort
from sqdm.sim.uart.residency import Residency, region_uses

LINE_BITS = 10  #: of a byte, with start and stop bit
FASTEST = 3_000_000  #: baud that `serial` refers to


class UartNetworkDevice(NetworkDevice):
    """A `NetworkDevice` on ``board``."""

    def __init__(self, program, board: Board, **options):
        super().__init__(program, 1, **options)
        self._board = board

    @cached_property
    def device(self) -> UartDevice:
        """The accelerator on the board, the host's memory filled with the program's initial image."""
        device = UartDevice(self._board)
        device.load(self.program)
        return device


class UartBatch:
    """``main`` runs the ``images`` of the job that the board takes together."""

    def __init__(self, main: UartNetworkDevice, images: slice):
        self.main = main
        self.images = images
        self.count = images.stop - images.start

    def devices(self) -> list[NetworkDevice]:
        """All of them: a board has no dense reference."""
        return [self.main]


class UartEngine(RtlEngine):
    """The network on a board at the serial port ``port``, which must hold an accelerator with ``config``.

    ``baud`` of the port; ``policy``, ``period`` and ``check`` as of `RtlEngine`, ``images`` of the whole job. Each
    evaluation is profiled, since the board runs one descriptor at a time; dense references are not run.
    """

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        board: Board,
        port: SerialPort,
        images: int,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        check: bool = True,
        profile: int = 0,
    ):
        super(RtlEngine, self).__init__(arrays)
        self.board = board
        self.port = port
        self.profile = profile
        self.zeros = ZeroRecord()
        self.evaluations = 0
        self.dense_shares: dict[str, list[float]] = {}
        step = images_that_fit(arrays, board, images)
        self.batches = []
        for first in range(0, images, step):
            part = slice(first, min(first + step, images))
            program = compile_network(arrays, part.stop - part.start, board.config)
            device = UartNetworkDevice(program, board, policy=policy, period=period, check=check)
            self.batches.append(UartBatch(device, part))

    def _evaluate(self, batch: UartBatch, *inputs: np.ndarray) -> np.ndarray:
        return batch.main.evaluate(*inputs)

    def cycles_dense(self, all_4bit: bool = False) -> None:
        """There is no dense reference."""

    def dense_runs_equal(self) -> None:
        """There is no dense reference."""

    def cycles_per_second(self) -> None:
        """Nothing is simulated by this process."""

    def profiles(self) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
        """Counters by descriptor name of the profiled evaluation, and nothing for the dense reference."""
        found: dict[str, dict[str, int]] = {}
        for batch in self.batches:
            steps = batch.main.runs[min(self.profile, len(batch.main.runs) - 1)].steps
            for tag, counters in steps.items():
                total = found.setdefault(batch.main.program.descriptors[tag].name, dict.fromkeys(COUNTERS, 0))
                for name, value in counters.items():
                    total[name] += value
        return found, {}

    def serial(self) -> dict[str, int | float | str]:
        """What went over the line, and how long that takes at the fastest rate, without waiting for anything."""
        total = self.port.sent + self.port.received
        return {
            "port": self.port.name,
            "baud": self.port.baud,
            "bytes_sent": self.port.sent,
            "bytes_received": self.port.received,
            "frames": self.board.link.frames,
            "retries": self.board.link.retries,
            "seconds_at_3_mbaud": total * LINE_BITS / FASTEST,
        }


def images_that_fit(arrays: dict[str, np.ndarray], board: Board, images: int) -> int:
    """The largest number of images, at most ``images``, that the board's memory takes together.

    `UserError` when it does not take a single one.
    """
    for count in range(min(images, images_at_once(SIDE, SIDE, board.config)), 0, -1):
        try:
            program = compile_network(arrays, count, board.config)
            Residency(program, region_uses(program), PROGRAM_BYTES, board.identity.memory_bytes)
        except UserError:
            if count == 1:
                raise
        else:
            return count
    raise UserError(f"images must be >= 1, not {images}")
