"""The accelerator: AXI4-Lite registers, the core, an AXI4 memory master."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Const, DomainRenamer, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import axi
from .axi_lite import AxiLite
from .config import Config
from .core import Core, Reader, Writer
from .memory_port import MemoryPort
from .program_control import ProgramControl
from .register_file import ADDRESS_BITS, RegisterFile
from .registers import REGISTERS
from .run_counters import CAUSES, COUNTED, RunCounters

SLAVE, MASTER = "s_axi_", "m_axi_"
HANDSHAKES = ("awvalid", "awready", "wvalid", "wready", "arvalid", "arready")


class Accelerator(wiring.Component):
    """A generated accelerator; docs/architecture.md is the specification.

    Parameters
    ----------
    config : Config

    Members
    -------
    s_axi_* : AXI4-Lite subordinate, 32 bit
        Registers, map in registers.py.
    m_axi_* : AXI4 manager, bus_bits wide
        Memory: programs, operands, results.
    interrupt : Out(1)
        A program has ended, or waits for the host.

    Reset: idle; registers at their reset values; buffers keep their content.
    """

    def __init__(self, config: Config):
        self._config = config
        slave, master = axi.lite_channels(ADDRESS_BITS), axi.read_channels(config) | axi.write_channels(config)
        super().__init__(
            {SLAVE + name: member for name, member in slave.items()}
            | {MASTER + name: member for name, member in master.items()}
            | {"interrupt": Out(1)}
        )
        self._pins = {SLAVE: slave, MASTER: master}

    def elaborate(self, platform):
        m = Module()
        config = self._config
        parts = {
            "registers": (registers := RegisterFile(config), "always"),
            "slave": (slave := AxiLite(), "always"),
            "port": (port := MemoryPort(config, len(Reader), len(Writer)), "always"),
            "control": (control := ProgramControl(), "always"),
            "counters": (counters := RunCounters(config), "always"),
            "core": (core := Core(config), "program"),
        }
        for name, (part, domain) in parts.items():
            m.submodules[name] = DomainRenamer(domain)(part)

        # Resets are registers: they reach thousands of flip-flops. The core is reset after every program too.
        reset = Signal(init=1)
        program_reset = Signal(init=1)
        m.domains.always = always = ClockDomain(local=True)
        m.domains.program = program = ClockDomain(local=True)
        m.d.sync += reset.eq(0)
        m.d.always += program_reset.eq(control.core_reset)
        m.d.comb += [
            always.clk.eq(ClockSignal()),
            always.rst.eq(reset),
            program.clk.eq(ClockSignal()),
            program.rst.eq(program_reset),
        ]

        for prefix, part in ((SLAVE, slave), (MASTER, port)):
            for name, member in self._pins[prefix].items():
                inner, outer = getattr(part, name), getattr(self, prefix + name)
                # The register port opens a cycle after the outside's reset has ended: no handshake is lost in between.
                gate = ~reset if prefix == SLAVE and name in HANDSHAKES else None
                source, sink = (outer, inner) if member.flow == In else (inner, outer)
                m.d.comb += sink.eq(source if gate is None else source & gate)

        # Host.
        m.d.comb += [
            registers.address.eq(slave.address),
            registers.write.eq(slave.write),
            registers.write_data.eq(slave.write_data),
            slave.read_data.eq(registers.read_data),
            registers.busy.eq(control.busy),
            registers.status.eq(Cat(control.busy, control.done, control.waiting, Const(0, 5), control.status)),
            control.start.eq(registers.start),
            control.resume.eq(registers.resume),
            control.stop.eq(registers.stop),
            self.interrupt.eq(control.interrupt),
        ]
        m.d.comb += [getattr(registers, name).eq(getattr(counters, name)) for name in COUNTED]

        # Where a program was when it ended: the core forgets it, the host may want to know.
        with m.If(control.running):
            m.d.always += registers.tag.eq(core.tag)
        with m.If(port.error & control.running):
            m.d.always += registers.fault.eq(port.error_address)

        # Core.
        detect = {part.name: registers.detect[part.lsb :][: part.width] for part in REGISTERS["DETECT"].fields}
        m.d.comb += [
            core.start.eq(control.core_start),
            core.base.eq(registers.program_base >> axi.word_offset(config)),
            core.resume.eq(control.core_resume),
            core.pause.eq(detect["pause"]),
            core.policy.as_value().eq(detect["policy"]),
            core.renew.eq(self._renew(m, control.core_start, detect["period"])),
            control.core_finished.eq(core.finished),
            control.core_status.eq(core.status),
            control.core_waiting.eq(core.waiting),
            control.core_resting.eq(core.resting),
        ]

        # Memory.
        for number in Reader:
            wiring.connect(m, core.reads[number], port.reads[number])
            wiring.connect(m, port.answers[number], core.answers[number])
        for number in Writer:
            wiring.connect(m, core.writes[number], port.writes[number])
        m.d.comb += [
            core.writes_idle.eq(port.writes_idle),
            port.window_first.eq(registers.window_first),
            port.window_last.eq(registers.window_last),
            port.watchdog.eq(registers.watchdog),
            port.flush.eq(control.flush),
            control.port_idle.eq(port.idle),
            control.port_error.eq(port.error),
            control.port_status.eq(port.error_code),
        ]

        m.d.comb += [getattr(counters, name).eq(getattr(core, name)) for name in CAUSES]
        m.d.comb += [
            counters.clear.eq(control.core_start),
            counters.busy.eq(control.busy),
            counters.counting.eq(control.counting),
            counters.ops.eq(core.ops),
            counters.read.eq(port.read),
            counters.write.eq(port.write),
            counters.added_dense_channels.eq(core.added_dense_channels),
            counters.added_nonzeros.eq(core.added_nonzeros),
        ]
        return m

    def _renew(self, m: Module, start, period):
        """1 during every period-th program since reset, the first one included."""
        programs = Signal.like(period)  # since the labels were renewed
        renew = Signal()
        with m.If(start):
            m.d.always += [renew.eq(programs == 0), programs.eq(Mux(programs + 1 >= period, 0, programs + 1))]
        return renew
