"""Requests of the host from the bytes of the serial line."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from . import protocol
from .protocol import MAX_PAYLOAD, ReplyStatus
from .uart_receiver import DATA_BITS

HEADER = {name: DATA_BITS * size for name, size in protocol.REQUEST.items() if name != "sync"}
HEADER_BYTES = sum(HEADER.values()) // DATA_BITS
MAX_LENGTH = (1 << HEADER["length"]) - 1


def request() -> data.StructLayout:
    """The header of a request; ``fault`` is one of `protocol.DAMAGED`, then nothing else counts, or OK."""
    return data.StructLayout(HEADER | {"fault": DATA_BITS})


class FrameReceiver(wiring.Component):
    """Collects a frame and checks its CRC; whatever comes in, a request follows or the next frame is looked for.

    Bytes outside of a frame are dropped until one is `protocol.REQUEST_SYNC`. A frame that is damaged, or stops for
    ``idle_cycles``, is reported when the line has been quiet for so long: what follows is the start of a frame.

    Parameters
    ----------
    idle_cycles : int
        Clock cycles, >= 1.

    Members
    -------
    received, broken, quiet : In
        `UartReceiver`.
    requests : Out(stream of `request`)
        Held until it is taken, with the payload; bytes that come in the meantime are dropped.
    store, store_index, store_data : Out(1), Out, Out(8)
        Strobe: a byte of the payload and its number; no more than `MAX_PAYLOAD` are stored. The request may still turn
        out to be damaged.

    Latency: 2 cycles from the last byte to its request. Reset state: looks for a frame.
    """

    def __init__(self, idle_cycles: int):
        if not isinstance(idle_cycles, int):
            raise TypeError(f"idle_cycles must be an integer, not {idle_cycles!r}")
        if idle_cycles < 1:
            raise ValueError(f"idle_cycles must be >= 1, not {idle_cycles!r}")
        self._idle_cycles = idle_cycles
        super().__init__(
            {
                "received": In(stream.Signature(DATA_BITS, always_ready=True)),
                "broken": In(1),
                "quiet": In(1),
                "requests": Out(stream.Signature(request())),
                "store": Out(1),
                "store_index": Out(range(MAX_PAYLOAD)),
                "store_data": Out(DATA_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(DATA_BITS).create()
        byte = self.received
        header = Signal(data.StructLayout(HEADER))
        fault = Signal(ReplyStatus)
        left = Signal(range(MAX_LENGTH + 1))  # bytes of this part behind the next one
        index = Signal(range(MAX_LENGTH + 1))
        in_frame = Signal()

        # Silence
        timer = Signal(range(self._idle_cycles + 1))
        silent = Signal()
        m.d.comb += silent.eq(timer == self._idle_cycles)
        with m.If(~self.quiet | byte.valid | self.broken):
            m.d.sync += timer.eq(0)
        with m.Elif(~silent):
            m.d.sync += timer.eq(timer + 1)

        # Contents
        m.d.comb += [
            crc.data.eq(byte.payload),
            crc.valid.eq(byte.valid & in_frame),
            self.store_index.eq(index),
            self.store_data.eq(byte.payload),
        ]
        for name in HEADER:
            m.d.comb += self.requests.payload[name].eq(header[name])
        m.d.comb += self.requests.payload.fault.eq(fault)

        def give_up(status):
            """Report a damaged frame when the line has become silent."""
            m.d.sync += fault.eq(status)
            m.next = "DISCARD"

        def part(then, *statements):
            """A part of the frame: ``left`` + 1 bytes, each with ``statements``; ``then`` is called at the last one."""
            m.d.comb += in_frame.eq(1)
            with m.If(self.broken):
                give_up(ReplyStatus.BROKEN_BYTE)
            with m.Elif(silent):
                give_up(ReplyStatus.TRUNCATED)
            with m.Elif(byte.valid):
                m.d.sync += [left.eq(left - 1), *statements]
                with m.If(left == 0):
                    then()

        with m.FSM():
            with m.State("HUNT"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [fault.eq(ReplyStatus.OK), left.eq(HEADER_BYTES - 1), index.eq(0)]
                with m.If(byte.valid & (byte.payload == protocol.REQUEST_SYNC)):
                    m.next = "HEADER"

            with m.State("HEADER"):
                whole = Signal.like(header.as_value())
                m.d.comb += whole.eq((header.as_value() >> DATA_BITS) | (byte.payload << len(whole) - DATA_BITS))
                found = data.View(header.shape(), whole)
                carries = Signal()
                m.d.comb += carries.eq((found.operation & protocol.WRITE) != 0)

                def after_header():
                    m.d.sync += left.eq(protocol.CRC_BYTES - 1)
                    m.next = "CRC"
                    with m.If(carries & (found.length != 0)):
                        m.d.sync += left.eq(found.length - 1)
                        m.next = "PAYLOAD"

                part(after_header, header.as_value().eq(whole))

            with m.State("PAYLOAD"):
                m.d.comb += self.store.eq(byte.valid & (index < MAX_PAYLOAD))

                def after_payload():
                    m.d.sync += left.eq(protocol.CRC_BYTES - 1)
                    m.next = "CRC"

                part(after_payload, index.eq(index + 1))

            with m.State("CRC"):

                def after_crc():
                    m.next = "CHECK"

                part(after_crc)

            with m.State("CHECK"):
                m.d.sync += fault.eq(Mux(crc.match_detected, ReplyStatus.OK, ReplyStatus.BAD_CRC))
                m.next = "HELD"
                with m.If(~crc.match_detected):
                    m.next = "DISCARD"
            with m.State("DISCARD"):
                with m.If(silent):
                    m.next = "HELD"
            with m.State("HELD"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.next = "HUNT"
        return m
