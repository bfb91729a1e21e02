"""Merges requests for consecutive memory words into AXI bursts."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import axi, payloads
from .config import Config


def word_request(clients: int) -> data.Layout:
    """A memory word address and the client that it is for."""
    return data.StructLayout({"address": payloads.ADDRESS_BITS, "client": payloads.bits_for(clients - 1)})


class BurstFormer(wiring.Component):
    """One address channel of the memory port.

    A request is checked, held for a cycle, and then opens a burst or lengthens the open one: same
    client, next memory word, at most 16 beats, same 4 KiB page. The open burst goes to the address channel in the first
    cycle in which that is free and the burst does not grow.

    Parameters
    ----------
    config : Config
        The accelerator.
    clients : int
        Number of clients.

    Members
    -------
    requests : In(stream of word_request)
    bursts : Out(stream of axi.burst)
        The address channel: a register, valid and payload held until ready, also through a flush.
    window_first, window_last : In(32)
        Byte addresses. A request for a word that is not wholly inside is never sent.
    identifier : In(1)
        ID of new bursts.
    enable : In(1)
        0: takes and starts nothing.
    space : In(1)
        A request may join a burst.
    may_send : In(1)
        A burst may be started.
    flush : In(1)
        Drops everything but the burst on the address channel; takes and starts nothing.
    accepted : Out(1)
        Strobe: the request whose `request` this is joins a burst and will be sent.
    request : Out(word_request)
        Address and client of the held request.
    outside : Out(1)
        The held request is for a word outside the window, and `enable` is 1; it stays until a flush.
    sent : Out(0..16)
        Beats of the burst that goes to the address channel in this cycle; 0: none does.
    sent_word : Out(axi.word_bits)
        Its first memory word.
    empty : Out(1)
        Neither a request nor an open burst is held; the address channel does not matter.

    Timing: latency `LATENCY` for a lone request, initiation interval 1 for any sequence of requests while the address
    channel is ready. Reset state: empty, address channel not valid.
    """

    LATENCY = 3  #: cycles from a lone request to its burst on the address channel

    def __init__(self, config: Config, clients: int):
        self._config = config
        super().__init__(
            {
                "requests": In(stream.Signature(word_request(clients))),
                "bursts": Out(stream.Signature(axi.burst())),
                "window_first": In(axi.ADDRESS_BITS),
                "window_last": In(axi.ADDRESS_BITS),
                "identifier": In(1),
                "enable": In(1),
                "space": In(1),
                "may_send": In(1),
                "flush": In(1),
                "accepted": Out(1),
                "request": Out(word_request(clients)),
                "outside": Out(1),
                "sent": Out(range(axi.MAX_BEATS + 1)),
                "sent_word": Out(axi.word_bits(config)),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        offset = axi.word_offset(self._config)
        word_bits = axi.word_bits(self._config)
        m = Module()

        held = Signal()
        word = Signal(word_bits)  # of the held request
        beats = Signal(range(axi.MAX_BEATS + 1))  # of the open burst; 0: none
        first = Signal(word_bits)
        follows = Signal()  # the held request is for the word behind the request before, on its page and of its client

        # The held request
        run = Signal()
        inside = Signal()
        takes = Signal()
        grows = Signal()
        m.d.comb += [
            run.eq(self.enable & ~self.flush),
            word.eq(self.request.address[:word_bits]),
            self.outside.eq(held & run & ~inside),
            takes.eq(held & run & inside & self.space),
            grows.eq(takes & (beats != 0) & (beats != axi.MAX_BEATS) & follows),
        ]

        # Either it lengthens the open burst or that one leaves
        sends = Signal()
        free = ~self.bursts.valid | self.bursts.ready
        m.d.comb += [
            sends.eq(run & self.may_send & (beats != 0) & free & ~grows),
            self.accepted.eq(takes & (grows | (beats == 0) | sends)),
            self.requests.ready.eq(run & (~held | self.accepted)),
            self.sent_word.eq(first),
            self.empty.eq(~held & (beats == 0)),
        ]
        with m.If(sends):
            m.d.comb += self.sent.eq(beats)
            m.d.sync += [
                self.bursts.valid.eq(1),
                self.bursts.payload.address.eq(Cat(Const(0, offset), first)),
                self.bursts.payload.length.eq(beats - 1),
                self.bursts.payload.id.eq(self.identifier),
            ]
        with m.Elif(self.bursts.ready):
            m.d.sync += self.bursts.valid.eq(0)

        with m.If(self.accepted):
            with m.If(grows):
                m.d.sync += beats.eq(beats + 1)
            with m.Else():
                m.d.sync += [beats.eq(1), first.eq(word)]
        with m.Elif(sends):
            m.d.sync += beats.eq(0)
        with m.If(self.requests.ready):
            m.d.sync += held.eq(self.requests.valid)
        with m.If(self.requests.ready & self.requests.valid):
            asked = self.requests.payload.address
            m.d.sync += [
                follows.eq(
                    (asked[:word_bits] == (word + 1)[:word_bits])
                    & (asked[: axi.PAGE_BITS - offset] != 0)
                    & (self.requests.payload.client == self.request.client)
                ),
                self.request.eq(self.requests.payload),
                inside.eq(
                    (asked[word_bits:] == 0)
                    & (Cat(Const(0, offset), asked[:word_bits]) >= self.window_first)
                    & (Cat(Const((1 << offset) - 1, offset), asked[:word_bits]) <= self.window_last)
                ),
            ]
        with m.If(self.flush):
            m.d.sync += [held.eq(0), beats.eq(0)]

        return m
