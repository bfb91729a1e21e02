"""The accelerator's way to memory: an AXI4 manager that several readers and writers share."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import axi, payloads
from .axi_reader import AxiReader
from .axi_writer import AxiWriter
from .config import Config
from .registers import Status


class MemoryPort(wiring.Component):
    """Turns reads and writes of memory words into AXI4 bursts, and checks them: window, answers, watchdog.

    Requests for consecutive words of one client are merged into INCR bursts of up to 16 beats that stay in their 4 KiB
    page; a burst leaves as soon as it does not grow. Reads are not ordered with writes: a client that reads what
    another one wrote waits for `idle` in between.

    Nothing that the memory does or does not do can block the port for ever: after the watchdog's error a `flush` leaves
    it idle and ready for new requests, also with a memory that will never answer the old ones. What AXI demands goes
    on: an address or a beat that is valid on the bus stays so, the beats of a burst on the bus are all sent, and late
    answers are taken and dropped. Writes on the bus before a flush may still reach the memory.

    Parameters
    ----------
    config : Config
        The accelerator.
    readers, writers : int
        Number of clients, each at least 1.

    Members
    -------
    reads : In(stream of 32 bit) x readers
        Memory word addresses. The lowest-numbered client with a request goes first. At most 64 words are under way.
    answers : Out(stream of bus_bits) x readers
        Words in the order of the client's reads. A client must take its answers without waiting for those of other
        clients; its ready may not depend combinationally on a ready of `reads`, which depends on arready.
    writes : In(stream of payloads.memory_write) x writers
        Likewise.
    window_first, window_last : In(32)
        First and last byte that may be accessed; constant unless `idle`. A word that is not wholly inside is not
        accessed.
    watchdog : In(32)
        Cycles; 0: never. See TIMEOUT.
    flush : In(1)
        Drops all requests and answers and clears the error; nothing is taken while it is 1.
    idle : Out(1)
        Every read that was accepted since the last flush has been answered and the answer taken, every write answered.
        From the cycle after a flush began. After an error it stays 0 if requests are left that were not sent.
    writes_idle : Out(1)
        Every write has been answered by the memory, and none waits.
    error : Out(1)
        Something has failed since the last flush. No request is taken and no burst started while it is 1; answers to
        bursts on the bus are still delivered.
    error_code : Out(8)
        `Status` of the first error. BAD_ADDRESS: a word outside the window. BUS_ERROR: rresp or bresp was not OKAY; an
        answer with such an rresp is not delivered before `error` is 1. TIMEOUT: a client waited, or `idle` was 0, and
        no channel had a handshake for `watchdog` cycles, whoever was to blame.
    error_address : Out(32)
        Byte address of its memory word, low 32 bits; of a failed write: of the first word of its burst; TIMEOUT: 0.
    read, write : Out(1)
        Strobe: a memory word is accepted for reading, for writing, and will be sent if no error comes in between.
    araddr, ... rready, awaddr, ... bready
        `axi.read_channels` and `axi.write_channels`. One ID at a time, changed by every flush. No output depends
        combinationally on an input of the bus.

    Timing: a lone request is on its address channel 1 + `BurstFormer.LATENCY` cycles later; an answer follows its R
    beat by `AxiReader.LATENCY` cycles. One request, burst and beat per cycle and direction. Reset state: idle, no
    error.
    """

    def __init__(self, config: Config, readers: int, writers: int):
        self._config = config
        self._readers = readers
        self._writers = writers
        super().__init__(
            {
                "reads": In(stream.Signature(payloads.ADDRESS_BITS)).array(readers),
                "answers": Out(stream.Signature(config.bus_bits)).array(readers),
                "writes": In(stream.Signature(payloads.memory_write(config))).array(writers),
                "window_first": In(axi.ADDRESS_BITS),
                "window_last": In(axi.ADDRESS_BITS),
                "watchdog": In(32),
                "flush": In(1),
                "idle": Out(1),
                "writes_idle": Out(1),
                "error": Out(1),
                "error_code": Out(8),
                "error_address": Out(axi.ADDRESS_BITS),
                "read": Out(1),
                "write": Out(1),
            }
            | axi.read_channels(config)
            | axi.write_channels(config)
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = AxiReader(self._config, self._readers)
        m.submodules.writer = writer = AxiWriter(self._config, self._writers)
        for part, channels in ((reader, axi.read_channels), (writer, axi.write_channels)):
            for name, member in channels(self._config).items():
                inner, outer = getattr(part, name), getattr(self, name)
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
            m.d.comb += [
                part.window_first.eq(self.window_first),
                part.window_last.eq(self.window_last),
                part.enable.eq(~self.error),
                part.flush.eq(self.flush),
            ]
        for outer, inner in (
            *zip(self.reads, reader.reads, strict=True),
            *zip(reader.answers, self.answers, strict=True),
            *zip(self.writes, writer.writes, strict=True),
        ):
            m.d.comb += [inner.valid.eq(outer.valid), inner.payload.eq(outer.payload), outer.ready.eq(inner.ready)]
        m.d.comb += [
            self.idle.eq(reader.empty & writer.empty),
            self.writes_idle.eq(writer.empty & ~Cat(client.valid for client in self.writes).any()),
            self.read.eq(reader.requested),
            self.write.eq(writer.accepted),
        ]

        # Watchdog
        waits = Signal()
        moves = Signal()
        timer = Signal(32)
        late = Signal()
        m.d.comb += [
            waits.eq(~self.idle | Cat(client.valid for client in (*self.reads, *self.writes)).any()),
            moves.eq(
                (self.arvalid & self.arready)
                | (self.rvalid & self.rready)
                | (self.awvalid & self.awready)
                | (self.wvalid & self.wready)
                | (self.bvalid & self.bready)
            ),
            late.eq((self.watchdog != 0) & (timer >= self.watchdog)),
        ]
        with m.If(self.flush | ~waits | moves):
            m.d.sync += timer.eq(0)
        with m.Else():
            m.d.sync += timer.eq(timer + 1)

        # The first error
        with m.If(self.flush):
            m.d.sync += self.error.eq(0)
        with m.Elif(~self.error):
            for failed, code, address in (
                (late, Status.TIMEOUT, 0),
                (writer.outside, Status.BAD_ADDRESS, writer.outside_address),
                (reader.outside, Status.BAD_ADDRESS, reader.outside_address),
                (writer.failed, Status.BUS_ERROR, writer.failed_address),
                (reader.failed, Status.BUS_ERROR, reader.failed_address),
            ):
                with m.If(failed):
                    m.d.sync += [self.error.eq(1), self.error_code.eq(code), self.error_address.eq(address)]

        return m
