"""The host's access to the registers: an AXI4-Lite subordinate."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import axi
from .register_file import ADDRESS_BITS, BYTES, REGISTER_BITS


class AxiLite(wiring.Component):
    """Turns AXI4-Lite accesses into those of a `RegisterFile`; every access is answered.

    Address and data of a write may come in any order. A write whose strobes are not all 1 writes nothing and is
    answered with SLVERR; every other access with OKAY.

    Members
    -------
    awaddr, ... rready
        `axi.lite_channels`. No output depends combinationally on an input.
    address, write, write_data : Out(ADDRESS_BITS), Out(1), Out(32)
        To the register file: byte offset; strobe; data.
    read_data : In(32)
        Register at the `address` of two cycles before.

    Timing: awready, wready, arready are 1 until an address or data is held. A write is done in the cycle after its
    address and data have been taken and answered one cycle later; a read is answered four cycles after its address.
    At most one access per two cycles; a write goes first. Reset state: nothing held.
    """

    def __init__(self):
        super().__init__(
            axi.lite_channels(ADDRESS_BITS)
            | {
                "address": Out(ADDRESS_BITS),
                "write": Out(1),
                "write_data": Out(REGISTER_BITS),
                "read_data": In(REGISTER_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # What has been taken and waits to be done
        write_address = Signal(ADDRESS_BITS)
        read_address = Signal(ADDRESS_BITS)
        whole = Signal()
        done = {}
        for ready, valid in (("awready", "awvalid"), ("wready", "wvalid"), ("arready", "arvalid")):
            done[ready] = Signal(name=f"{ready}_done")
            held = Signal(name=f"{ready}_held")
            m.d.comb += getattr(self, ready).eq(~held)
            with m.If(getattr(self, ready)):
                m.d.sync += held.eq(getattr(self, valid))
            with m.Elif(done[ready]):
                m.d.sync += held.eq(0)
        with m.If(self.awready):
            m.d.sync += write_address.eq(self.awaddr)
        with m.If(self.wready):
            m.d.sync += [self.write_data.eq(self.wdata), whole.eq(self.wstrb == (1 << BYTES) - 1)]
        with m.If(self.arready):
            m.d.sync += read_address.eq(self.araddr)

        # One access at a time
        writes = Signal()
        reads = Signal()
        reading = Signal()
        looked_up = Signal()
        m.d.comb += [
            writes.eq(~self.awready & ~self.wready & ~self.bvalid),
            reads.eq(~self.arready & ~self.rvalid & ~reading & ~looked_up & ~writes),
            done["awready"].eq(writes),
            done["wready"].eq(writes),
            done["arready"].eq(reads),
            self.address.eq(read_address),
            self.write.eq(writes & whole),
        ]
        with m.If(writes):
            m.d.comb += self.address.eq(write_address)

        # Answers
        with m.If(writes):
            m.d.sync += [self.bvalid.eq(1), self.bresp.eq(axi.SLVERR)]
            with m.If(whole):
                m.d.sync += self.bresp.eq(axi.OKAY)
        with m.Elif(self.bready):
            m.d.sync += self.bvalid.eq(0)
        m.d.sync += [reading.eq(reads), looked_up.eq(reading)]
        with m.If(looked_up):
            m.d.sync += [self.rvalid.eq(1), self.rdata.eq(self.read_data)]
        with m.Elif(self.rready):
            m.d.sync += self.rvalid.eq(0)
        m.d.comb += self.rresp.eq(axi.OKAY)

        return m
