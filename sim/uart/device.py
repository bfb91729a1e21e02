"""An accelerator on a board, driven over a serial port: the interface of `sim.device.Device`."""

from dataclasses import replace

import numpy as np

from sqdm.compiler.extents import bytes_written, spans_read, spans_written
from sqdm.compiler.program import Descriptor, Program
from sqdm.errors import DeviceError, UserError
from sqdm.rtl.board.settings import configuration_number
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import BYTES, Kind
from sqdm.rtl.registers import COUNTERS, ID_VALUE, REGISTERS, Policy, Status, decode, encode
from sqdm.sim.device import START, HostCall, ProgramRun, descriptor_limit
from sqdm.sim.uart.link import Identity, Link
from sqdm.sim.uart.mirror import Mirror
from sqdm.sim.uart.residency import Residency, Use, region_uses

PROGRAM_BYTES = 2 * BYTES  #: a descriptor and END, at address 0 of the board's memory
POLL_CYCLES = 1000  #: the fewest cycles that a poll of STATUS takes, at 4 clocks a bit
FIRST, LAST = (REGISTERS[name].offset for name in ("STATUS", COUNTERS[-1]))
POLLED = [name for name, register in REGISTERS.items() if FIRST <= register.offset <= LAST]


class Board:
    """A board behind ``link``, which must hold an accelerator with ``config``; `UserError` for another one."""

    def __init__(self, link: Link, config: Config):
        self.link = link
        self.config = config
        self.identity: Identity = link.identify()
        if self.identity.configuration != configuration_number(config):
            raise UserError(f"config must be the one that the board was built with, not {config.name}")
        if self.read("ID") != ID_VALUE:
            raise DeviceError(f"ID must read {ID_VALUE:#x}, not {self.read('ID'):#x}")
        self.mirror = Mirror(link, self.identity.memory_bytes, config.bus_bytes)
        self.write("CONTROL", encode(REGISTERS["CONTROL"], stop=1))  # what a host that went away may have left

    def read(self, register: str) -> int:
        """Value of a register by name."""
        return self.link.read_registers(REGISTERS[register].offset, 1)[0]

    def write(self, register: str, value: int) -> None:
        """Write a register by name."""
        self.link.write_registers(REGISTERS[register].offset, value)

    def poll(self) -> dict[str, int]:
        """STATUS, all counters and the registers in between, by name."""
        return dict(zip(POLLED, self.link.read_registers(FIRST, len(POLLED)), strict=True))


class UartDevice:
    """Runs programs whose memory is on the host, descriptor by descriptor, on ``board``, which needs to hold only one.

    Each descriptor runs as a program of its own: what it reads is sent, unless it is there already, and everything that
    it may write is fetched. WAITs are done by the host alone. ``memory`` is the host's; ``bytes`` are not counted here
    but by the port. Nothing overlaps, so cycles are those of a `Device` with pauses.
    """

    cycles_per_second = None  #: of a simulation: this is none

    def __init__(self, board: Board):
        self.board = board
        self.config = board.config
        self.memory = np.zeros(0, np.uint8)
        self._program: Program | None = None
        self._uses: list[Use] = []
        self._runs = 0

    def read(self, register: str) -> int:
        """Value of a register by name."""
        return self.board.read(register)

    def write(self, register: str, value: int) -> None:
        """Write a register by name; ``value`` is taken modulo 2**32."""
        self.board.write(register, value)

    def status(self) -> dict[str, int]:
        """The fields of STATUS."""
        return decode(REGISTERS["STATUS"], self.read("STATUS"))

    def counters(self) -> dict[str, int]:
        """The counters of the last descriptor."""
        return {name: self.read(name) for name in COUNTERS}

    def load(self, program: Program) -> None:
        """Put the initial image of ``program`` into the host's memory; `UserError` when the board cannot hold it."""
        self._plan(program)
        if self.memory.size < program.memory.size:
            self.memory = np.zeros(program.memory.size, np.uint8)
        self.memory[: program.memory.size] = program.memory

    def _plan(self, program: Program) -> None:
        """Prepare for a program, unless it is the one that ran last."""
        if self._program is not program:
            self._uses = region_uses(program)
            self._places = Residency(program, self._uses, PROGRAM_BYTES, self.board.identity.memory_bytes)
            self._program = program

    def run_program(
        self,
        program: Program,
        host: HostCall | None = None,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        pause: bool = False,
        load: bool = True,
    ) -> ProgramRun:
        """As `Device.run_program`; there is always a pause behind a descriptor, whatever ``pause`` is."""
        if load:
            self.load(program)
        self._plan(program)
        renews = self._runs % max(1, period) == 0
        self._runs += 1
        settings = {
            "PROGRAM_BASE": 0,
            "WINDOW_FIRST": 0,
            "WINDOW_LAST": self.board.identity.memory_bytes - 1,
            "DETECT": encode(REGISTERS["DETECT"], policy=policy, period=1),
        }
        for name, value in settings.items():
            self.write(name, value)
        steps = {}
        for tag, descriptor in enumerate(program.descriptors):
            if descriptor.kind is Kind.WAIT:
                if host is not None:
                    host(tag, self.memory)
                elif tag in program.host_steps:
                    program.host_steps[tag](self.memory)
                steps[tag] = dict.fromkeys(COUNTERS, 0)
            elif descriptor.kind is not Kind.END:
                steps[tag] = self._run(descriptor if renews else without_update(descriptor), tag)
        return ProgramRun({name: sum(step[name] for step in steps.values()) for name in COUNTERS}, steps)

    def _run(self, descriptor: Descriptor, tag: int) -> dict[str, int]:
        """Run one descriptor and return its counters."""
        places = self._places.place(tag)
        moves = {operand: places[home.name] - home.address for operand, home in self._uses[tag].items()}
        for operand, (first, end) in spans_read(descriptor, self.config).items():
            self.board.mirror.send(first + moves[operand], self.memory[first:end])
        bases = {f"{operand}_BASE": descriptor[f"{operand}_BASE"] + move for operand, move in moves.items()}
        moved = replace(descriptor, values=descriptor.values | bases)
        end_of_program = Descriptor("end", {"CONTROL.kind": int(Kind.END), "CONTROL.tag": tag})
        words = np.concatenate([moved.words(), end_of_program.words()]).view(np.uint8)
        self.board.mirror.send(0, words)
        self.write("CONTROL", START)
        counters = self._wait(descriptor)
        self._collect(descriptor, moves)
        return counters

    def _wait(self, descriptor: Descriptor) -> dict[str, int]:
        """Wait for the end of the descriptor; `DeviceError` when it does not come or is not OK."""
        for _ in range(10 + descriptor_limit(descriptor, self.config, 1) // POLL_CYCLES):
            polled = self.board.poll()
            status = decode(REGISTERS["STATUS"], polled["STATUS"])
            if status["done"] and not status["busy"]:
                break
        else:
            self.write("CONTROL", encode(REGISTERS["CONTROL"], stop=1))
            raise DeviceError(f"the accelerator must finish {descriptor.name}, but it still runs")
        if status["code"] != Status.OK:
            names = {code.value: code.name for code in Status}
            raise DeviceError(
                f"a descriptor must end with status OK, not {names.get(status['code'], status['code'])} "
                f"({descriptor.name}, address {polled['FAULT']:#x} of the board's memory)"
            )
        return {name: polled[name] for name in COUNTERS}

    def _collect(self, descriptor: Descriptor, moves: dict[str, int]) -> None:
        """Fetch what the descriptor wrote into the host's memory; gaps between planes stay as they are."""
        wrote = bytes_written(descriptor, self.config, self.memory.size)
        for operand, (first, end) in spans_written(descriptor, self.config).items():
            fetched = self.board.mirror.fetch(first + moves[operand], end - first)
            part = wrote[first:end]
            self.memory[first:end][part] = fetched[part]


def without_update(descriptor: Descriptor) -> Descriptor:
    """The descriptor in an evaluation that does not renew the channel tables: PERIOD counts whole programs."""
    return replace(descriptor, values=descriptor.values | {"MODE.update": 0})
