"""The read half of the memory port: AXI4 AR and R."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import axi, payloads
from .axi_answers import AnswerTracker
from .axi_burst import BurstFormer, word_request
from .config import Config
from .stream_register import StreamRegister


class AxiReader(wiring.Component):
    """Reads memory words for several clients; answers come in the order of all clients' requests.

    Parameters
    ----------
    config : Config
        The accelerator.
    readers : int
        Number of clients.

    Members
    -------
    reads : In(stream of 32 bit) x readers
        Memory word addresses. The lowest-numbered client with a request goes first.
    answers : Out(stream of bus_bits) x readers
        One word per read. Valid does not wait for ready; a client that does not take its answer blocks the others'.
    window_first, window_last : In(32)
        Byte addresses that may be read.
    enable : In(1)
        0: takes no request and starts no burst; 1 again after a flush.
    flush : In(1)
        Drops all requests and answers of before; see `AnswerTracker`. An answer may vanish while it is valid.
    outside, failed : Out(1)
        A request for a word outside the window waits; the memory answered a read with an error. Both stay until
        `enable` is 0: only then, a cycle later, a failed word is handed to its client.
    outside_address, failed_address : Out(32)
        Byte address (its low 32 bits) of that word.
    requested : Out(1)
        Strobe: one memory word will be read.
    empty : Out(1)
        Every accepted read has been answered and its answer taken.
    araddr, ... rready
        `axi.read_channels`. `rready` depends on the client's `answers` ready and no input of the bus; rlast is ignored.

    Timing: a lone read is on AR 1 + `BurstFormer.LATENCY` cycles after its request; an answer is valid in the cycle
    after its R beat. One AR and one R beat per cycle. Reset state: empty.
    """

    LATENCY = 1  #: cycles from an R beat to the answer

    def __init__(self, config: Config, readers: int):
        self.config = config
        self._readers = readers
        super().__init__(
            {
                "reads": In(stream.Signature(payloads.ADDRESS_BITS)).array(readers),
                "answers": Out(stream.Signature(config.bus_bits)).array(readers),
                "window_first": In(axi.ADDRESS_BITS),
                "window_last": In(axi.ADDRESS_BITS),
                "enable": In(1),
                "flush": In(1),
                "outside": Out(1),
                "outside_address": Out(axi.ADDRESS_BITS),
                "failed": Out(1),
                "failed_address": Out(axi.ADDRESS_BITS),
                "requested": Out(1),
                "empty": Out(1),
            }
            | axi.read_channels(config)
        )

    def elaborate(self, platform):
        offset = axi.word_offset(self.config)
        word_bits = axi.word_bits(self.config)
        m = Module()
        m.submodules.former = former = BurstFormer(self.config, self._readers)
        note = data.StructLayout({"word": word_bits, "client": word_request(self._readers)["client"].shape})
        m.submodules.tracker = tracker = AnswerTracker(note)

        # The lowest-numbered client first; a register keeps the checks of a request away from the clients
        m.submodules.taken = requests = ResetInserter(self.flush)(StreamRegister(word_request(self._readers)))
        wiring.connect(m, requests.sink, former.requests)
        takes = Signal(init=1)
        m.d.sync += takes.eq(self.enable & ~self.flush)  # what comes in between is dropped by the flush
        for number, read in enumerate(self.reads):
            with m.Elif(read.valid) if number else m.If(read.valid):
                m.d.comb += [
                    requests.source.valid.eq(takes),
                    requests.source.payload.address.eq(read.payload),
                    requests.source.payload.client.eq(number),
                    read.ready.eq(requests.source.ready & takes),
                ]

        # Bursts
        m.d.comb += [
            *axi.drive_address(self, "ar", former.bursts),
            former.window_first.eq(self.window_first),
            former.window_last.eq(self.window_last),
            former.identifier.eq(tracker.identifier),
            former.enable.eq(self.enable),
            former.flush.eq(self.flush),
            former.space.eq(tracker.expect.ready),
            former.may_send.eq(tracker.may_send),
            tracker.flush.eq(self.flush),
            tracker.expect.valid.eq(former.accepted),
            tracker.expect.payload.word.eq(former.request.address),
            tracker.expect.payload.client.eq(former.request.client),
            tracker.sent.eq(former.sent),
            self.requested.eq(former.accepted),
            self.outside.eq(former.outside),
            self.outside_address.eq(former.request.address << offset),
        ]

        # Answers: those that are wanted wait in a register, the others are dropped on arrival
        full = Signal()
        failed = Signal()  # the answer is an error that the port does not know of yet
        word = Signal(self.config.bus_bits)
        taken = Signal()
        m.d.comb += [
            self.rready.eq(~full | taken),
            tracker.answered.eq(self.rvalid & self.rready),
            tracker.answer_id.eq(self.rid),
            tracker.remove.eq(taken),
            self.failed.eq(full & failed),
            self.failed_address.eq(tracker.note.word << offset),
            self.empty.eq(~requests.sink.valid & former.empty & tracker.empty),
        ]
        with m.If(self.rready):
            m.d.sync += [
                full.eq(self.rvalid & tracker.wanted),
                failed.eq(self.rresp != axi.OKAY),
                word.eq(self.rdata),
            ]
        with m.If(~self.enable):
            m.d.sync += failed.eq(0)
        with m.If(self.flush):
            m.d.sync += full.eq(0)
        for number, answer in enumerate(self.answers):
            m.d.comb += answer.payload.eq(word)
            with m.If(tracker.note.client == number):
                m.d.comb += [
                    answer.valid.eq(full & ~failed),
                    taken.eq(answer.valid & answer.ready),
                ]

        return m
