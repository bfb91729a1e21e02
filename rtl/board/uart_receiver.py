"""Bytes from a serial line."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from .settings import MIN_CLOCKS

DATA_BITS = 8


class UartReceiver(wiring.Component):
    """Receives 8N1: a start bit (0), 8 data bits, the lowest one first, a stop bit (1).

    Every bit is sampled once, in its middle; a start bit that is 1 there was noise. After a stop bit that is 0 the line
    must be 1 before the next start bit.

    Parameters
    ----------
    clocks_per_bit : int
        Clock cycles of a bit, >= 4.

    Members
    -------
    rx : In(1)
        The line, asynchronous; 1 when idle.
    received : Out(stream of 8 bit), always ready
        A byte with a good stop bit; valid for one cycle.
    broken : Out(1)
        Strobe: the stop bit was 0; the byte is dropped.
    quiet : Out(1)
        No bit is being received and the line is 1.

    Timing: a byte comes in the middle of its stop bit, `SYNCHRONIZER` + 1 cycles later, so that the next start bit may
    follow at once. Reset state: waits for a start bit.
    """

    SYNCHRONIZER = 2  #: cycles from the line to the first register that may look at it

    def __init__(self, clocks_per_bit: int):
        if not isinstance(clocks_per_bit, int):
            raise TypeError(f"clocks_per_bit must be an integer, not {clocks_per_bit!r}")
        if clocks_per_bit < MIN_CLOCKS:
            raise ValueError(f"clocks_per_bit must be >= {MIN_CLOCKS}, not {clocks_per_bit!r}")
        self._clocks = clocks_per_bit
        super().__init__(
            {
                "rx": In(1, init=1),
                "received": Out(stream.Signature(DATA_BITS, always_ready=True)),
                "broken": Out(1),
                "quiet": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1, stages=self.SYNCHRONIZER)

        timer = Signal(range(self._clocks))  # cycles until the next sample
        bits = Signal(range(DATA_BITS))
        byte = Signal(DATA_BITS)
        sample = Signal()
        m.d.comb += [sample.eq(timer == 0), self.received.payload.eq(byte)]
        m.d.sync += [
            timer.eq(timer - 1),
            self.received.valid.eq(0),
            self.broken.eq(0),
        ]
        with m.If(sample):
            m.d.sync += timer.eq(self._clocks - 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.quiet.eq(line)
                m.d.sync += timer.eq(self._clocks // 2 - 1)
                with m.If(~line):
                    m.next = "START"
            with m.State("START"):
                with m.If(sample):
                    m.d.sync += bits.eq(DATA_BITS - 1)
                    m.next = "DATA"
                    with m.If(line):
                        m.next = "IDLE"
            with m.State("DATA"):
                with m.If(sample):
                    m.d.sync += [byte.eq(byte >> 1), byte[-1].eq(line), bits.eq(bits - 1)]
                    with m.If(bits == 0):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(sample):
                    m.d.sync += [self.received.valid.eq(line), self.broken.eq(~line)]
                    m.next = "IDLE"
                    with m.If(~line):
                        m.next = "BREAK"
            with m.State("BREAK"):
                with m.If(line):
                    m.next = "IDLE"
        return m
