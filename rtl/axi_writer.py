"""The write half of the memory port: AXI4 AW, W and B."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import axi, payloads
from .axi_answers import AnswerTracker
from .axi_burst import BurstFormer, word_request
from .config import Config
from .stream_register import StreamRegister

PLACES = 2 * axi.MAX_BEATS  #: words in the data buffer: one burst is sent while the next one grows


class AxiWriter(wiring.Component):
    """Writes memory words of several clients.

    A burst is sent when all of its data is in the buffer, so that its beats wait for nothing but wready.

    Parameters
    ----------
    config : Config
        The accelerator.
    writers : int
        Number of clients.

    Members
    -------
    writes : In(stream of payloads.memory_write) x writers
        The lowest-numbered client with a write goes first.
    window_first, window_last : In(32)
        Byte addresses that may be written.
    enable : In(1)
        0: takes no write and starts no burst; 1 again after a flush.
    flush : In(1)
        Drops all writes whose burst is not on the bus; bursts on the bus are completed, their answers ignored.
    outside, failed : Out(1)
        A write of a word outside the window waits; strobe: the memory answered a burst with an error.
    outside_address, failed_address : Out(32)
        Byte address (its low 32 bits) of that word; that of the first word of the failed burst.
    accepted : Out(1)
        Strobe: one memory word will be written.
    empty : Out(1)
        Every accepted write has been answered by the memory.
    awaddr, ... bready
        `axi.write_channels`. A burst's first beat is valid in the cycle after its address or later; bready is always 1.

    Timing: a lone write is on AW 1 + `BurstFormer.LATENCY` cycles after its request. One AW and one W beat per cycle.
    Reset state: empty.
    """

    def __init__(self, config: Config, writers: int):
        self.config = config
        self._writers = writers
        super().__init__(
            {
                "writes": In(stream.Signature(payloads.memory_write(config))).array(writers),
                "window_first": In(axi.ADDRESS_BITS),
                "window_last": In(axi.ADDRESS_BITS),
                "enable": In(1),
                "flush": In(1),
                "outside": Out(1),
                "outside_address": Out(axi.ADDRESS_BITS),
                "failed": Out(1),
                "failed_address": Out(axi.ADDRESS_BITS),
                "accepted": Out(1),
                "empty": Out(1),
            }
            | axi.write_channels(config)
        )

    def elaborate(self, platform):
        offset = axi.word_offset(self.config)
        m = Module()
        m.submodules.former = former = BurstFormer(self.config, self._writers)
        m.submodules.tracker = tracker = AnswerTracker(axi.word_bits(self.config))
        m.submodules.buffer = buffer = Memory(shape=self.config.bus_bits, depth=PLACES, init=[])
        store = buffer.write_port()
        fetch = buffer.read_port()

        # Positions in the buffer, with one more bit to tell full from empty
        stored = Signal(range(2 * PLACES))  # behind the last word
        committed = Signal(range(2 * PLACES))  # behind the last word of the last burst on the bus
        fetched = Signal(range(2 * PLACES))  # the next word for W
        last = Signal(PLACES)  # the word is the last one of its burst; valid once that is committed
        full = Signal()
        m.d.comb += full.eq((stored ^ fetched) == PLACES)

        # The lowest-numbered client first; a register keeps the checks of a request away from the clients
        request = data.StructLayout({"place": word_request(self._writers), "data": self.config.bus_bits})
        m.submodules.taken = requests = ResetInserter(self.flush)(StreamRegister(request))
        takes = Signal(init=1)
        m.d.sync += takes.eq(self.enable & ~self.flush)  # what comes in between is dropped by the flush
        for number, write in enumerate(self.writes):
            with m.Elif(write.valid) if number else m.If(write.valid):
                m.d.comb += [
                    requests.source.valid.eq(takes),
                    requests.source.payload.place.address.eq(write.payload.address),
                    requests.source.payload.place.client.eq(number),
                    requests.source.payload.data.eq(write.payload.data),
                    write.ready.eq(requests.source.ready & takes),
                ]
        m.d.comb += [
            former.requests.valid.eq(requests.sink.valid & ~full),
            former.requests.payload.eq(requests.sink.payload.place),
            requests.sink.ready.eq(former.requests.ready & ~full),
            store.data.eq(requests.sink.payload.data),
            store.addr.eq(stored[:-1]),
            store.en.eq(former.requests.valid & former.requests.ready),
        ]

        # Bursts
        m.d.comb += [
            *axi.drive_address(self, "aw", former.bursts),
            former.window_first.eq(self.window_first),
            former.window_last.eq(self.window_last),
            former.identifier.eq(tracker.identifier),
            former.enable.eq(self.enable),
            former.flush.eq(self.flush),
            former.space.eq(1),
            former.may_send.eq(tracker.may_send & tracker.expect.ready),
            self.accepted.eq(former.accepted),
            self.outside.eq(former.outside),
            self.outside_address.eq(former.request.address << offset),
        ]

        # Data
        end = Signal.like(committed)
        free = Signal()
        there = Signal()
        m.d.comb += end.eq(committed + former.sent)
        with m.If(store.en):
            m.d.sync += [stored.eq(stored + 1), last.bit_select(stored[:-1], 1).eq(0)]
        with m.If(self.flush):
            m.d.sync += stored.eq(committed)
        with m.If(former.sent != 0):
            m.d.sync += [committed.eq(end), last.bit_select((end - 1)[: len(end) - 1], 1).eq(1)]
        m.d.comb += [
            fetch.addr.eq(fetched[:-1]),
            free.eq(~self.wvalid | self.wready),
            there.eq(fetched != committed),
            fetch.en.eq(free & there),
            self.wdata.eq(fetch.data),
            self.wstrb.eq((1 << self.config.bus_bytes) - 1),
        ]
        with m.If(free):
            m.d.sync += [
                self.wvalid.eq(there),
                self.wlast.eq(last.bit_select(fetched[:-1], 1)),
            ]
            with m.If(there):
                m.d.sync += fetched.eq(fetched + 1)

        # Answers
        m.d.comb += [
            tracker.flush.eq(self.flush),
            tracker.expect.valid.eq(former.sent != 0),
            tracker.expect.payload.eq(former.sent_word),
            tracker.sent.eq(former.sent != 0),
            tracker.answered.eq(self.bvalid),
            tracker.answer_id.eq(self.bid),
            tracker.remove.eq(self.bvalid & tracker.wanted),
            self.bready.eq(1),
            self.failed.eq(tracker.remove & (self.bresp != axi.OKAY)),
            self.failed_address.eq(tracker.note << offset),
            self.empty.eq(~requests.sink.valid & former.empty & tracker.empty),
        ]

        return m
