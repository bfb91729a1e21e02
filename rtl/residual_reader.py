"""Reads the residual's memory words ahead of the output words that they belong to."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .plane_walker import PlaneWalker
from .stream_register import StreamRegister


class ResidualReader(wiring.Component):
    """Reads one memory word per output word that exists, in the order of the output words.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    planes : In(payloads.planes)
        The residual's planes, in the shape of the output's. Constant from `start` until the last residual.
    enable : In(1)
        There is a residual: without it nothing is read.
    start : In(1)
        Strobe: a layer begins; drops what is buffered. No read may be unanswered.
    reads : Out(stream of ADDRESS_BITS)
        Memory word addresses. As many reads are in flight as there are free places, `PLACES` at most.
    answers : In(stream of bus_bits)
        The words read, in order; always taken at once.
    residuals : Out(stream of bus_bits)
        The words read.

    Timing: a step per cycle, so 1 read per cycle unless words are skipped that belong to no channel; an answer comes
    out `LATENCY` cycles later. After reset as without a residual.
    """

    PLACES = 32  #: words buffered or in flight
    LATENCY = 2  #: cycles from an answer to its residual

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "planes": In(payloads.planes(config)),
                "enable": In(1),
                "start": In(1),
                "reads": Out(stream.Signature(payloads.ADDRESS_BITS)),
                "answers": In(stream.Signature(config.bus_bits)),
                "residuals": Out(stream.Signature(config.bus_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = PlaneWalker(self._config)
        buffer = fifo.SyncFIFOBuffered(width=self._config.bus_bits, depth=self.PLACES)
        m.submodules.buffer = ResetInserter(self.start)(buffer)
        reads = StreamRegister(payloads.ADDRESS_BITS)
        m.submodules.sent = ResetInserter(self.start)(reads)
        wiring.connect(m, reads.sink, wiring.flipped(self.reads))

        used = Signal(range(self.PLACES + 1))  # places taken or promised to a read
        sent = Signal()
        freed = Signal()
        m.d.comb += [
            walker.planes.eq(self.planes),
            walker.start.eq(self.start & self.enable),
            reads.source.payload.eq(walker.address),
            reads.source.valid.eq(self.enable & walker.active & walker.exists & (used != self.PLACES)),
            sent.eq(reads.source.valid & reads.source.ready),
            walker.step.eq(sent | (self.enable & walker.active & ~walker.exists)),
            buffer.w_data.eq(self.answers.payload),
            buffer.w_en.eq(self.answers.valid),
            self.answers.ready.eq(buffer.w_rdy),
            self.residuals.payload.eq(buffer.r_data),
            self.residuals.valid.eq(buffer.r_rdy),
            buffer.r_en.eq(self.residuals.ready),
            freed.eq(self.residuals.valid & self.residuals.ready),
        ]
        m.d.sync += used.eq(used + sent - freed)
        with m.If(self.start):
            m.d.sync += used.eq(0)

        return m
