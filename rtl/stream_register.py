"""A register in a stream, in both directions."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamRegister(wiring.Component):
    """Two places, so that neither ``valid`` nor ``ready`` passes combinationally from one side to the other.

    Parameters
    ----------
    shape : ShapeLike
        Of the payload.

    Members
    -------
    source : In(stream of shape)
    sink : Out(stream of shape)

    Latency: `LATENCY`; initiation interval 1. Reset: empty.
    """

    LATENCY = 1  #: cycles

    def __init__(self, shape):
        self._shape = shape
        super().__init__({"source": In(stream.Signature(shape)), "sink": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        behind = Signal(self._shape)  # came while the sink was not ready
        full = Signal()
        m.d.comb += self.source.ready.eq(~full)
        with m.If(~self.sink.valid | self.sink.ready):
            m.d.sync += [self.sink.valid.eq(self.source.valid | full), full.eq(0)]
            m.d.sync += self.sink.payload.eq(self.source.payload)
            with m.If(full):
                m.d.sync += self.sink.payload.eq(behind)
        with m.Elif(self.source.valid & ~full):
            m.d.sync += full.eq(1)
        with m.If(~full):
            m.d.sync += behind.eq(self.source.payload)
        return m
