"""The delivered Verilog behind its AXI wrapper, from an unknown state: registers, then programs, bit for bit."""

from random import Random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from sqdm.compiler.machine import Machine
from sqdm.package.wrapper import MASTER, UNUSED
from sqdm.rtl.config import Config
from sqdm.rtl.registers import ID_VALUE, REGISTERS, Policy, Status, decode, encode
from sqdm.sim.lib.bench import PERIOD_NS, parameters
from sqdm.sim.lib.expectation import Expectation
from sqdm.sim.lib.memory import Memory
from sqdm.sim.lib.random_programs import compiled, convolution

LIMIT = 3_000  #: cycles until an interrupt
RESET_CYCLES = 2  #: what the README of the package asks for


class WrapperBench:
    """Host and memory of cocotbext-axi at the ports of ``sqdm_axi``."""

    def __init__(self, dut):
        self.dut = dut
        self.config = Config(**parameters()["config"])
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.memory = Memory(dut.aclk, self.config.bus_bytes, 5, Random(cocotb.RANDOM_SEED))
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.port = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.aclk, target=self.memory, **reset)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, **reset)
        for part in (self.port.write_if, self.port.read_if, self.host.write_if, self.host.read_if):
            part.log.setLevel("CRITICAL")

    async def start(self):
        """Clock, then the shortest reset that is allowed."""
        self.dut.aresetn.value = 0
        Clock(self.dut.aclk, PERIOD_NS, unit="ns").start()
        await ClockCycles(self.dut.aclk, RESET_CYCLES)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 1)
        self.machine = Machine(self.config, Policy.BALANCED, 1)

    async def store(self, name: str, value: int):
        """Write a register."""
        answer = await self.host.write(REGISTERS[name].offset, value.to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY

    async def load(self, name: str) -> int:
        """Read a register."""
        answer = await self.host.read(REGISTERS[name].offset, 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def run(self, shape, taps: int, **options):
        """One random CONV; the whole memory must be the golden machine's."""
        program = compiled(self.rng, convolution(self.rng, shape, taps, **options), self.config)
        self.memory.attach(program.new_memory())
        expected = Expectation(self.machine, program.new_memory())
        self.machine.start()
        await self.store("PROGRAM_BASE", program.base)
        await self.store("WINDOW_LAST", program.memory.size - 1)
        await self.store("CONTROL", encode(REGISTERS["CONTROL"], start=1))
        await ClockCycles(self.dut.aclk, 1)
        await with_timeout(RisingEdge(self.dut.irq), LIMIT * PERIOD_NS, "ns")
        status = decode(REGISTERS["STATUS"], await self.load("STATUS"))
        assert status == {"busy": 0, "done": 1, "waiting": 0, "code": Status.OK}
        for descriptor in program.descriptors:
            expected.execute(descriptor)
        assert expected.values > 0
        assert not self.memory.stray
        np.testing.assert_array_equal(self.memory.image, expected.memory)
        assert (await self.load("READS"), await self.load("WRITES")) == (self.memory.reads, self.memory.writes)


@cocotb.test(timeout_time=50, timeout_unit="us")
async def registers_after_reset(dut):
    tb = WrapperBench(dut)
    await tb.start()
    assert await tb.load("ID") == ID_VALUE
    for name, register in REGISTERS.items():
        if register.access == "rw":
            assert await tb.load(name) == register.reset, name
        elif name not in ("ID", "ARRAYS"):
            assert await tb.load(name) == 0, name
    assert dut.irq.value == 0
    for channel in ("aw", "ar"):
        for name in UNUSED:
            assert getattr(dut, f"{MASTER}{channel}{name}").value == 0


@cocotb.test(timeout_time=200, timeout_unit="us")
async def programs_right_after_reset(dut):
    tb = WrapperBench(dut)
    await tb.start()
    await tb.run((2, 5, 6, 3, 5), 9, int16=True, update=True)
    await tb.run((1, 5, 34, 4, 4), 1, residual=True, statistics=True, update=True)
    await tb.run((1, 6, 18, 3, 4), 9, weight_bits=8, act_bits=8, update=True)
