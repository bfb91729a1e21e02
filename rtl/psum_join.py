"""Adds the partial sums of all PE arrays."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config


class PsumJoin(wiring.Component):
    """Waits for one psum of every PE array and adds them, lane by lane.

    ``psums[l] = array_psums[0][l] + ... + array_psums[n-1][l]``

    The sums wrap at ``acc_bits``, so they are exact whenever the whole dot product fits: see `MacArray`.

    Parameters
    ----------
    config : Config
        The accelerator.
    inputs : int
        Number of streams to join, at least 1.

    Members
    -------
    array_psums : Array of In(stream of payloads.psums), `inputs` of them
        One output pixel of every array. A stream is taken only together with all others.
    psums : Out(stream of payloads.psums)
        The sums, registered.

    Timing: latency `LATENCY`, initiation interval 1. After reset `psums` is not valid.
    """

    LATENCY = 1  #: cycles from the last psum of a pixel to the sum

    def __init__(self, config: Config, inputs: int):
        if type(inputs) is not int:
            raise TypeError(f"inputs must be an integer, not {inputs!r}")
        if inputs < 1:
            raise ValueError(f"inputs must be >= 1, not {inputs!r}")
        self._config = config
        psums = stream.Signature(payloads.psums(config))
        super().__init__({"array_psums": In(psums).array(inputs), "psums": Out(psums)})

    def elaborate(self, platform):
        m = Module()

        # Join: all inputs valid, output register free or being emptied
        all_valid = 1
        for psums in self.array_psums:
            all_valid &= psums.valid
        free = ~self.psums.valid | self.psums.ready
        for psums in self.array_psums:
            m.d.comb += psums.ready.eq(all_valid & free)

        # Output register; what it takes while not all are valid means nothing, but needs no second wide enable
        with m.If(free):
            m.d.sync += self.psums.valid.eq(all_valid)
            for lane in range(self._config.lanes):
                m.d.sync += self.psums.payload[lane].eq(sum(psums.payload[lane] for psums in self.array_psums))

        return m
