"""Single accesses on an AXI4-Lite bus."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from sqdm.rtl import axi

from . import host_port

DATA_BITS = 32


class LiteManager(wiring.Component):
    """An AXI4-Lite manager that makes one access at a time.

    Parameters
    ----------
    address_bits : int

    Members
    -------
    host : In(host_port.signature(address_bits, 32))
        An answer has ``failed`` when the bus answered with another response than OKAY.
    awaddr, ... rready
        The manager's side of `axi.lite_channels`; a valid stays until its ready.

    Latency: an address is valid in the cycle after its request; an answer follows the bus's in the same cycle. Reset
    state: idle.
    """

    def __init__(self, address_bits: int):
        channels = wiring.Signature(axi.lite_channels(address_bits)).flip().members
        super().__init__({"host": In(host_port.signature(address_bits, DATA_BITS)), **dict(channels.items())})

    def elaborate(self, platform):
        m = Module()
        requests, answers = self.host.requests, self.host.answers
        m.d.comb += [
            self.awprot.eq(0),
            self.arprot.eq(0),
            self.wstrb.eq(~0),
            answers.payload.data.eq(self.rdata),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += requests.ready.eq(1)
                with m.If(requests.valid):
                    m.d.sync += [
                        self.awaddr.eq(requests.payload.address),
                        self.araddr.eq(requests.payload.address),
                        self.wdata.eq(requests.payload.data),
                        self.awvalid.eq(requests.payload.write),
                        self.wvalid.eq(requests.payload.write),
                        self.arvalid.eq(~requests.payload.write),
                    ]
                    m.next = "READ"
                    with m.If(requests.payload.write):
                        m.next = "WRITE"
            with m.State("WRITE"):
                for valid, ready in ((self.awvalid, self.awready), (self.wvalid, self.wready)):
                    with m.If(ready):
                        m.d.sync += valid.eq(0)
                m.d.comb += [
                    self.bready.eq(1),
                    answers.valid.eq(self.bvalid),
                    answers.payload.failed.eq(self.bresp != axi.OKAY),
                ]
                with m.If(self.bvalid):
                    m.next = "IDLE"
            with m.State("READ"):
                with m.If(self.arready):
                    m.d.sync += self.arvalid.eq(0)
                m.d.comb += [
                    self.rready.eq(1),
                    answers.valid.eq(self.rvalid),
                    answers.payload.failed.eq(self.rresp != axi.OKAY),
                ]
                with m.If(self.rvalid):
                    m.next = "IDLE"
        return m
