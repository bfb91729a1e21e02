"""Replies to the host as bytes for the serial line."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from . import protocol
from .protocol import MAX_PAYLOAD
from .uart_receiver import DATA_BITS

HEADER = {name: DATA_BITS * size for name, size in protocol.REPLY.items() if name != "sync"}


def reply() -> data.StructLayout:
    """The header of a reply; ``length`` <= `MAX_PAYLOAD`."""
    return data.StructLayout(HEADER)


class FrameSender(wiring.Component):
    """Sends a header, the payload from a buffer, and the CRC.

    Members
    -------
    replies : In(stream of `reply`)
        Taken when the last byte of the frame has been taken from ``bytes``.
    load_index : Out, load_data : In(8)
        A byte of the payload by its number, one cycle later; constant while a reply is valid.
    bytes : Out(stream of 8 bit)

    Reset state: idle.
    """

    def __init__(self):
        super().__init__(
            {
                "replies": In(stream.Signature(reply())),
                "load_index": Out(range(MAX_PAYLOAD)),
                "load_data": In(DATA_BITS),
                "bytes": Out(stream.Signature(DATA_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(DATA_BITS).create()
        header = Cat(Const(protocol.REPLY_SYNC, DATA_BITS), self.replies.payload.as_value())
        header_bytes = len(header) // DATA_BITS
        index = Signal(range(MAX_PAYLOAD + 1))
        sent = Signal()
        m.d.comb += [
            sent.eq(self.bytes.valid & self.bytes.ready),
            crc.data.eq(self.bytes.payload),
            self.load_index.eq(index),
        ]
        with m.If(sent):
            m.d.sync += index.eq(index + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += index.eq(0)
                with m.If(self.replies.valid):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    self.bytes.valid.eq(1),
                    self.bytes.payload.eq(header.word_select(index[: header_bytes.bit_length()], DATA_BITS)),
                    crc.valid.eq(sent & (index != 0)),
                ]
                with m.If(sent & (index == header_bytes - 1)):
                    m.d.sync += index.eq(0)
                    m.next = "CRC"
                    with m.If(self.replies.payload.length != 0):
                        m.next = "LOAD"
            with m.State("LOAD"):
                m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    self.bytes.valid.eq(1),
                    self.bytes.payload.eq(self.load_data),
                    crc.valid.eq(sent),
                ]
                with m.If(sent):
                    m.next = "LOAD"
                    with m.If(index == self.replies.payload.length - 1):
                        m.d.sync += index.eq(0)
                        m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    self.bytes.valid.eq(1),
                    self.bytes.payload.eq(crc.crc.word_select(index[: protocol.CRC_BYTES.bit_length() - 1], DATA_BITS)),
                ]
                with m.If(sent & (index == protocol.CRC_BYTES - 1)):
                    m.d.comb += self.replies.ready.eq(1)
                    m.next = "IDLE"
        return m
