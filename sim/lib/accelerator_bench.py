"""Test bench of the whole accelerator: host and memory of cocotbext-axi, the golden machine beside it."""

from itertools import repeat
from random import Random
from types import SimpleNamespace

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from sqdm.compiler.machine import Machine
from sqdm.compiler.program import Program
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import COUNTERS, REGISTERS, STALLS, Policy, Status, decode, encode
from sqdm.sim.lib.accelerator_device import Ports
from sqdm.sim.lib.axi_bench import Rules
from sqdm.sim.lib.bench import BROKEN_LIMIT, DRAIN_CYCLES, PERIOD_NS, Bench
from sqdm.sim.lib.expectation import Expectation
from sqdm.sim.lib.memory import Memory
from sqdm.sim.lib.pace import PACES

LIMIT = 30_000  #: cycles until an interrupt
WATCHDOG = 400
SLACK = 24  #: cycles between the host's write and the start, and between the end and the interrupt
CONTROL = {name: encode(REGISTERS["CONTROL"], **{name: 1}) for name in ("start", "resume", "stop")}


class AcceleratorBench(Bench):
    """Runs programs start to end and checks memory, registers and counters.

    Parameters: ``latency`` of the memory; ``bus``, the pace of all channels of the memory port, or of some by name;
    ``host``, that of the register port; ``rules``: whether every cycle is checked for AXI's rules; ``policy`` and
    ``period`` of the detector.
    """

    def __init__(
        self,
        dut,
        latency: int = 0,
        bus: str | dict[str, str] = "steady",
        host: str = "steady",
        rules: bool = False,
        policy: Policy = Policy.BALANCED,
        period: int = 1,
    ):
        super().__init__(dut)
        self.config = Config(**self.parameters["config"])
        self.ports = Ports(dut)
        self.memory = Memory(dut.clk, self.config.bus_bytes, latency, self.rng)
        self.port = AxiSlave(AxiBus.from_prefix(self.ports, "m_axi"), dut.clk, dut.rst, target=self.memory)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        write, read = self.port.write_if, self.port.read_if
        self.channels = {"ar": read.ar_channel, "r": read.r_channel, "aw": write.aw_channel, "w": write.w_channel,
                         "b": write.b_channel}  # fmt: skip
        for channel in self.channels.values():
            channel.queue_occupancy_limit = -1  # any number of transactions on their way
        self.paces = bus if isinstance(bus, dict) else dict.fromkeys(self.channels, bus)
        for part in (write, read, self.host.write_if, self.host.read_if):
            part.log.setLevel("CRITICAL")
        self.revive()
        if host != "steady":
            for part, names in ((self.host.write_if, ("aw", "w", "b")), (self.host.read_if, ("ar", "r"))):
                for name in names:
                    getattr(part, f"{name}_channel").set_pause_generator(self._pauses(host))
        self.policy, self.period = policy, period
        self.machine = Machine(self.config, policy, period)
        self.rules = Rules(SimpleNamespace(dut=self.ports), self.config.bus_bytes) if rules else None
        self.compared = 0

    def _pauses(self, pace: str):
        allowed = PACES[pace](Random(self.rng.getrandbits(32)))
        return (not allowed() for _ in repeat(None))

    async def start(self):
        await super().start()
        if self.rules is not None:
            cocotb.start_soon(self._watch())

    async def _watch(self):
        while True:
            await FallingEdge(self.dut.clk)
            await ReadOnly()
            self.rules.sample(False)

    async def reset(self, cycles: int = 3):
        """Reset accelerator, memory port and host together."""
        await super().reset(cycles)
        await self.step()
        self.machine = Machine(self.config, self.policy, self.period)

    # Registers.

    async def store(self, name: str, value: int):
        """Write a register."""
        answer = await self.host.write(REGISTERS[name].offset, int(value).to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY

    async def load(self, name: str) -> int:
        """Read a register."""
        answer = await self.host.read(REGISTERS[name].offset, 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def status(self) -> dict[str, int]:
        """The fields of STATUS."""
        return decode(REGISTERS["STATUS"], await self.load("STATUS"))

    @property
    def interrupt(self) -> int:
        return int(self.dut.interrupt.value)

    # Faults of the memory.

    def kill(self, *names: str):
        """Let channels of the memory do nothing."""
        for name in names:
            self.channels[name].set_pause_generator(repeat(True))

    def revive(self):
        """Let all channels work at their pace again."""
        for name, channel in self.channels.items():
            channel.clear_pause_generator()
            channel.pause = False
            if self.paces.get(name, "steady") != "steady":
                channel.set_pause_generator(self._pauses(self.paces[name]))

    # Programs.

    async def begin(self, program: Program, pause: bool = False, **registers: int):
        """Put a program into memory and start it; ``registers``: other values than usual."""
        self.program = program
        self.memory.attach(program.new_memory())
        self.expected = Expectation(self.machine, program.new_memory())
        self.machine.start()
        values = {
            "PROGRAM_BASE": program.base,
            "WINDOW_FIRST": 0,
            "WINDOW_LAST": program.memory.size - 1,
            "WATCHDOG": WATCHDOG,
            "DETECT": encode(REGISTERS["DETECT"], policy=self.policy, period=self.period, pause=int(pause)),
        }
        values |= registers
        names = list(values)
        self.rng.shuffle(names)
        for name in names:
            await self.store(name, values[name])
            assert await self.load(name) == values[name], f"{name} does not read back"
        self.begun = get_sim_time("ns")
        await self.store("CONTROL", CONTROL["start"])
        await FallingEdge(self.dut.clk)
        assert not self.interrupt, "the interrupt did not fall at the start"

    async def interrupted(self, limit: int = LIMIT):
        """Wait for the interrupt."""
        limit = min(limit, BROKEN_LIMIT) if self.fault else limit
        if self.interrupt:
            return
        try:
            await with_timeout(RisingEdge(self.dut.interrupt), limit * PERIOD_NS, "ns")
        except SimTimeoutError:
            stuck = f"TAG {await self.load('TAG')}, STATUS {await self.status()}"
            raise AssertionError(f"no interrupt within {limit} cycles: {stuck}") from None

    async def quiet(self, cycles: int = DRAIN_CYCLES):
        """Nothing happens any more, and the interrupt stays."""
        before = (self.memory.reads, self.memory.writes)
        await ClockCycles(self.dut.clk, cycles)
        assert self.interrupt, "the interrupt fell by itself"
        assert (self.memory.reads, self.memory.writes) == before, "the memory was accessed after the end"

    async def run(self, program: Program, pause: bool = False, **registers: int) -> dict[str, int]:
        """Run a program with its host steps; check everything; returns the counters."""
        await self.begin(program, pause, **registers)
        return await self.finish(pause)

    async def finish(self, pause: bool = False) -> dict[str, int]:
        """The rest of a program that runs."""
        stops = 0
        for tag, d in enumerate(self.program.descriptors):
            self.expected.execute(d)
            if d.kind == Kind.WAIT or (pause and d.kind != Kind.END):
                await self._stopped(tag)
                stops += 1
                if d.kind == Kind.WAIT:
                    for memory in (self.memory.image, self.expected.memory):
                        self.program.host_steps[tag](memory)
                await self.store("CONTROL", CONTROL["resume"])
                await FallingEdge(self.dut.clk)
        await self.interrupted()
        spent = int(get_sim_time("ns") - self.begun) // PERIOD_NS
        await self.quiet()
        assert await self.status() == {"busy": 0, "done": 1, "waiting": 0, "code": Status.OK}, await self.status()
        end = self.program.descriptors[-1]["CONTROL.tag"]
        assert await self.load("TAG") == end, f"TAG must be {end}, not {await self.load('TAG')}"
        self.compare()
        return await self._counters(spent, stops)

    async def _stopped(self, tag: int):
        """The program waits at a descriptor, and everything before it is complete."""
        await self.interrupted()
        assert await self.status() == {"busy": 1, "done": 0, "waiting": 1, "code": Status.OK}, await self.status()
        assert await self.load("TAG") == tag
        self.compare()
        await ClockCycles(self.dut.clk, self.rng.randint(1, 100))
        assert self.interrupt, "the interrupt fell without CONTROL.resume"

    def compare(self):
        """The complete memory bit for bit."""
        assert not self.memory.stray, f"the memory has no bytes {self.memory.stray[0]:#x}"
        wrong = np.flatnonzero(self.memory.image != self.expected.memory)
        self.compared += self.expected.values
        if wrong.size:
            places = [d.name for d in self.program.descriptors if self.expected.written(d)[wrong[0]]]
            assert not wrong.size, (
                f"{wrong.size} bytes differ, the first at {wrong[0]:#x}, written by {places or 'none'}"
            )

    async def _counters(self, spent: int, stops: int) -> dict[str, int]:
        """Counters against each other, the bus and the work."""
        found = {name: await self.load(name) for name in COUNTERS}
        expected = dict(self.expected.counters)
        expected |= {"READS": self.memory.reads, "WRITES": self.memory.writes}
        expected["CYCLES"] = found["ACTIVE"] + sum(found[name] for name in STALLS)
        for name, value in expected.items():
            assert found[name] == value, f"{name} must be {value}, not {found[name]}"
        assert found["CYCLES"] <= spent, f"CYCLES is {found['CYCLES']}, the bench saw {spent}"
        assert stops or found["CYCLES"] >= spent - SLACK, f"CYCLES is {found['CYCLES']}, the bench saw {spent}"
        busy = (found["BUSY_DENSE"], found["BUSY_SPARSE"])
        assert max(busy) <= found["ACTIVE"] <= sum(busy), f"ACTIVE {found['ACTIVE']} against busy cycles {busy}"
        return found

    async def refused(self, program: Program, status: Status, tag: int | None = 0, **registers: int):
        """A program ends with an error at the descriptor with that tag; what it may not write is as it was."""
        await self.begin(program, **registers)
        await self.ended(status, tag)

    async def ended(self, status: Status, tag: int | None = None, done: int | None = None):
        """The program that runs ends early. All descriptors before ``done``, or ``tag``, may have written."""
        await self.interrupted()
        state = await self.status()
        assert state == {"busy": 0, "done": 1, "waiting": 0, "code": status}, f"{status!r}, not {state}"
        found = await self.load("TAG")
        assert tag is None or found == tag, f"TAG must be {tag}, not {found}"
        last = done if done is not None else len(self.program.descriptors) if tag is None else tag
        await self.quiet()
        allowed = np.zeros(self.memory.image.size, bool)
        for d in self.program.descriptors[:last]:
            allowed |= self.expected.written(d)
        touched = (self.memory.image != self.program.memory) & ~allowed
        assert not touched.any(), f"the memory was written at {np.flatnonzero(touched)[0]:#x}"
        assert not self.memory.stray

    def close(self):
        """Something was compared."""
        assert self.compared > 0, "no result was compared"
