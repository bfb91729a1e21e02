"""The driver: puts a program into memory, starts the compiled accelerator and does the host's steps at each WAIT."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sqdm.compiler.program import Descriptor, Program
from sqdm.errors import DeviceError, UserError
from sqdm.rtl.config import Config, ceil_div
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import COUNTERS, ID_VALUE, REGISTERS, Policy, Status, decode, encode
from sqdm.sim import library
from sqdm.sim.simulation import Simulation

LATENCY = 20  #: cycles from a read request to its answer, unless asked otherwise
START, RESUME = (encode(REGISTERS["CONTROL"], **{name: 1}) for name in ("start", "resume"))

#: What the host does at a WAIT: its tag and the memory.
HostCall = Callable[[int, np.ndarray], None]


@dataclass(frozen=True)
class ProgramRun:
    """What a run cost: ``counters`` by register name, and with pauses ``steps``: those of each descriptor by tag."""

    counters: dict[str, int]
    steps: dict[int, dict[str, int]]


class Device:
    """One simulated accelerator with its memory.

    Parameters: ``config``; ``latency`` of the memory in cycles, >= 1; ``on_build(message)`` is called when the Verilog
    has to be compiled first.
    """

    def __init__(self, config: Config, latency: int = LATENCY, on_build: Callable[[str], None] | None = None):
        if not 1 <= latency <= 10_000:
            raise UserError(f"latency must be 1..10000, not {latency!r}")
        self.config = config
        self.latency = latency
        self.simulation = Simulation(library.build(config, on_build), latency)
        if self.read("ID") != ID_VALUE:
            raise DeviceError(f"ID must read {ID_VALUE:#x}, not {self.read('ID'):#x}")

    @property
    def memory(self) -> np.ndarray:
        """The memory, uint8 from address 0."""
        return self.simulation.memory

    @property
    def cycles_per_second(self) -> float | None:
        """Speed of the simulation so far."""
        return self.simulation.cycles / self.simulation.seconds if self.simulation.seconds else None

    def read(self, register: str) -> int:
        """Value of a register by name."""
        return self.simulation.read(REGISTERS[register].offset)

    def write(self, register: str, value: int) -> None:
        """Write a register by name; ``value`` is taken modulo 2**32."""
        self.simulation.write(REGISTERS[register].offset, value)

    def status(self) -> dict[str, int]:
        """The fields of STATUS."""
        return decode(REGISTERS["STATUS"], self.read("STATUS"))

    def counters(self) -> dict[str, int]:
        """The counters of the last program so far."""
        return {name: self.read(name) for name in COUNTERS}

    def load(self, program: Program) -> None:
        """Put the initial image of ``program`` into the memory."""
        self.simulation.reserve(program.memory.size)
        self.memory[: program.memory.size] = program.memory

    def run_program(
        self,
        program: Program,
        host: HostCall | None = None,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
        pause: bool = False,
        load: bool = True,
    ) -> ProgramRun:
        """Run a program to its end; at each WAIT ``host`` is called, by default the program's own step of that tag.

        ``policy`` and ``period`` of the detector; with ``pause`` the accelerator stops after every descriptor, so that
        nothing overlaps, and its counters are read. Without ``load`` the memory stays as it is: channel tables live on
        from run to run. Raises `DeviceError` when the program does not end with status OK.
        """
        if load:
            self.load(program)
        settings = {
            "PROGRAM_BASE": program.base,
            "WINDOW_FIRST": 0,
            "WINDOW_LAST": program.memory.size - 1,
            "DETECT": encode(REGISTERS["DETECT"], policy=policy, period=period, pause=int(pause)),
        }
        for name, value in settings.items():
            self.write(name, value)
        steps: dict[int, dict[str, int]] = {}
        before = dict.fromkeys(COUNTERS, 0)
        tag = -1
        self.write("CONTROL", START)
        while True:
            self._wait(program, tag + 1)
            status = self.status()
            if not status["waiting"]:
                break
            tag = self.read("TAG")
            if pause:
                now = self.counters()
                steps[tag] = {name: now[name] - before[name] for name in COUNTERS}
                before = now
            self._serve(program, host, tag, pause)
            self.write("CONTROL", RESUME)
        self._check_end(program, status)
        return ProgramRun(self.counters(), steps)

    def _wait(self, program: Program, first: int) -> None:
        """Wait for the interrupt of the program, which runs from descriptor ``first`` on."""
        limit = cycle_limit(program, first, self.latency)
        try:
            self.simulation.run(limit)
        except DeviceError as error:
            place = self._place(program)
            self.simulation.reset()
            raise DeviceError(f"{error} {place}") from None

    def _place(self, program: Program) -> str:
        """The descriptor that the accelerator works on."""
        tag = self.read("TAG")
        return f"at descriptor {tag} ({program.descriptors[tag].name if tag < len(program.descriptors) else 'unknown'})"

    def _serve(self, program: Program, host: HostCall | None, tag: int, pause: bool) -> None:
        """The host's part at a stop."""
        if tag < len(program.descriptors) and program.descriptors[tag].kind is Kind.WAIT:
            if host is not None:
                host(tag, self.memory)
            elif tag in program.host_steps:
                program.host_steps[tag](self.memory)
        elif not pause:
            raise DeviceError(f"the accelerator must wait at a WAIT, not at descriptor {tag}")

    def _check_end(self, program: Program, status: dict[str, int]) -> None:
        """Raise `DeviceError` unless the program has ended well."""
        if not status["done"] or status["busy"]:
            raise DeviceError("the interrupt must mean that the program has ended or waits, but it runs")
        if status["code"] == Status.OK:
            return
        names = {code.value: code.name for code in Status}
        raise DeviceError(
            f"a program must end with status OK, not {names.get(status['code'], status['code'])} "
            f"{self._place(program)}, address {self.read('FAULT'):#x}"
        )


def cycle_limit(program: Program, first: int, latency: int) -> int:
    """Cycles after which a program that runs from descriptor ``first`` on counts as hung, if it has not come to a WAIT.

    Eight times what one slot-serial array and the memory could need.
    """
    limit = 20_000
    for descriptor in program.descriptors[first:]:
        if descriptor.kind is Kind.WAIT:
            break
        limit += descriptor_limit(descriptor, program.config, latency)
    return limit


def descriptor_limit(descriptor: Descriptor, config: Config, latency: int) -> int:
    """The part of `cycle_limit` of one descriptor."""
    channels, out_channels, images = (descriptor[name] for name in ("CHANNELS", "OUT_CHANNELS", "IMAGES"))
    pixels = descriptor["HEIGHT"] * descriptor["WIDTH"]
    taps = 9 if descriptor["MODE.kernel3"] else 1
    planes = 1 + descriptor["MODE.two_planes"]
    tiles = ceil_div(out_channels * (1 + descriptor["MODE.wide_weights"]), config.lanes)
    compute = tiles * images * pixels * (taps * planes * ceil_div(channels, config.slots) + 16)
    words = channels * (images if descriptor["MODE.image_weights"] else 1) * tiles * taps * config.row_words
    words += (1 + tiles) * (channels + out_channels) * images * (pixels + 16)
    return 8 * (compute + words) + words * latency + 1000 * latency + 10_000
