"""Starts programs, and ends them whatever happens."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import Status

RESET_CYCLES = 4


class ProgramControl(wiring.Component):
    """From the host's start to the interrupt.

    However a program ends, the core is reset afterwards and the memory port forgets what it still owes, so that nothing
    of a program is left for the next one.

    Members
    -------
    start, resume, stop : In(1)
        Strobes of the CONTROL register.
    core_start, core_resume, core_reset : Out(1)
    core_finished, core_status, core_waiting, core_resting : In
        `Core`.
    port_idle, port_error, port_status : In
        `MemoryPort`.
    flush : Out(1)
        To the memory port.
    busy, done, waiting : Out(1), status : Out(8)
        STATUS register.
    running : Out(1)
        The core works on a program.
    counting : Out(1)
        A program runs and does not rest until the host has done its part.
    interrupt : Out(1)
        ``done`` or ``waiting``.

    Latency: the core starts 1 cycle after the host's write. Reset: not busy, not done.
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "resume": In(1),
                "stop": In(1),
                "core_start": Out(1),
                "core_resume": Out(1),
                "core_reset": Out(1),
                "core_finished": In(1),
                "core_status": In(8),
                "core_waiting": In(1),
                "core_resting": In(1),
                "port_idle": In(1),
                "port_error": In(1),
                "port_status": In(8),
                "flush": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "waiting": Out(1),
                "status": Out(8),
                "running": Out(1),
                "counting": Out(1),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cycles = Signal(range(RESET_CYCLES))
        m.d.comb += [
            self.interrupt.eq(self.done | self.waiting),
            self.counting.eq(self.busy & ~self.core_resting),
            self.busy.eq(1),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.sync += [self.done.eq(0), self.status.eq(Status.OK)]
                    m.next = "START"
            with m.State("START"):
                m.d.comb += self.core_start.eq(1)
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [
                    self.running.eq(1),
                    self.waiting.eq(self.core_waiting & ~self.port_error),
                    self.core_resume.eq(self.resume),
                ]
                with m.If(self.port_error | self.stop | self.core_finished):
                    ended = Mux(self.stop, Status.STOPPED, self.core_status)
                    m.d.sync += [self.status.eq(Mux(self.port_error, self.port_status, ended)), cycles.eq(0)]
                    m.next = "RESET"
            with m.State("RESET"):
                m.d.comb += [self.core_reset.eq(1), self.flush.eq(1)]
                m.d.sync += cycles.eq(cycles + 1)
                with m.If(cycles == RESET_CYCLES - 1):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                with m.If(self.port_idle):
                    m.d.sync += self.done.eq(1)
                    m.next = "IDLE"
        return m
