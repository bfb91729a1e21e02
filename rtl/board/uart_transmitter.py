"""Bytes to a serial line."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .settings import MIN_CLOCKS
from .uart_receiver import DATA_BITS

FRAME_BITS = DATA_BITS + 2  #: with start and stop bit


class UartTransmitter(wiring.Component):
    """Sends 8N1: a start bit (0), 8 data bits, the lowest one first, a stop bit (1).

    Parameters
    ----------
    clocks_per_bit : int
        Clock cycles of a bit, >= 4.

    Members
    -------
    bytes : In(stream of 8 bit)
        Ready when no byte is being sent.
    tx : Out(1)
        The line, from a flip-flop; 1 when idle.

    Timing: the start bit begins in the cycle after a byte was taken; a byte takes 10 bits and one cycle. Reset state:
    idle.
    """

    def __init__(self, clocks_per_bit: int):
        if not isinstance(clocks_per_bit, int):
            raise TypeError(f"clocks_per_bit must be an integer, not {clocks_per_bit!r}")
        if clocks_per_bit < MIN_CLOCKS:
            raise ValueError(f"clocks_per_bit must be >= {MIN_CLOCKS}, not {clocks_per_bit!r}")
        self._clocks = clocks_per_bit
        super().__init__({"bytes": In(stream.Signature(DATA_BITS)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        timer = Signal(range(self._clocks))  # cycles until the next bit
        left = Signal(range(FRAME_BITS + 1))  # bits that are not over yet
        bits = Signal(FRAME_BITS, init=(1 << FRAME_BITS) - 1)
        m.d.comb += [self.bytes.ready.eq(left == 0), self.tx.eq(bits[0])]
        with m.If(self.bytes.ready):
            with m.If(self.bytes.valid):
                m.d.sync += [
                    bits.eq(Cat(Const(0, 1), self.bytes.payload, Const(1, 1))),
                    left.eq(FRAME_BITS),
                    timer.eq(self._clocks - 1),
                ]
        with m.Elif(timer == 0):
            m.d.sync += [bits.eq(Cat(bits[1:], Const(1, 1))), left.eq(left - 1), timer.eq(self._clocks - 1)]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m
