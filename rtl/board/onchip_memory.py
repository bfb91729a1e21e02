"""Block RAM as the accelerator's memory, with a port for the host bridge."""

from itertools import pairwise

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from sqdm.rtl import axi
from sqdm.rtl.config import Config, is_power_of_two

from . import host_port

QUEUE = 8  #: read beats that may be on their way
PIPELINE = 3  #: of them, those that are not in the queue yet
DECERR = 0b11


class OnchipMemory(wiring.Component):
    """An AXI4 subordinate for the bursts of a `MemoryPort`: INCR, whole memory words, aligned.

    A beat outside of the memory is answered with DECERR; a burst of another kind, a write beat without all of its
    strobes and a misplaced wlast with SLVERR. Such a beat reads as anything and writes nothing. Every burst is
    answered; a write burst ends with its wlast.

    Parameters
    ----------
    config : Config
        The accelerator: width of a memory word.
    size : int
        Bytes, a power of two, at least one memory word.

    Members
    -------
    araddr, ... rready, awaddr, ... bready
        The subordinate's side of `axi.read_channels` and `axi.write_channels`; bursts are answered in order.
    host : In(host_port.signature(32, bus_bits))
        Goes before the bus. ``failed``: outside of the memory; nothing was written.

    Timing: one beat a cycle and direction; the first beat of a read is valid `READ_LATENCY` cycles after its address.
    One cycle between two read bursts, two between two write bursts. A word that is written is seen by reads whose
    address comes after its response. Reset state: nothing under way; the memory keeps its content.
    """

    READ_LATENCY = 5

    def __init__(self, config: Config, size: int):
        if not isinstance(size, int):
            raise TypeError(f"size must be an integer, not {size!r}")
        if not is_power_of_two(size) or size < config.bus_bytes:
            raise ValueError(f"size must be a power of two >= {config.bus_bytes}, not {size!r}")
        self._config = config
        self._words = size // config.bus_bytes
        bus = wiring.Signature(axi.read_channels(config) | axi.write_channels(config)).flip().members
        super().__init__({"host": In(host_port.signature(axi.ADDRESS_BITS, config.bus_bits)), **dict(bus.items())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._config.bus_bits, depth=self._words, init=[])
        self._reads(m, memory.read_port())
        self._writes(m, memory.write_port())
        return m

    def _outside(self, word):
        """Whether the number of a memory word lies behind the memory."""
        return word[(self._words - 1).bit_length() :].any()

    def _legal(self, prefix: str):
        """Whether an address channel asks for an aligned INCR burst of whole words."""
        offset = axi.word_offset(self._config)
        address, size, burst = (getattr(self, f"{prefix}{name}") for name in ("addr", "size", "burst"))
        return (address[:offset] == 0) & (size == offset) & (burst == axi.INCR)

    def _reads(self, m: Module, port) -> None:
        """AR and R; what the host reads, and all answers to it."""
        config, requests, answers = self._config, self.host.requests, self.host.answers
        beat = data.StructLayout({"data": config.bus_bits, "response": 2, "id": 1, "last": 1})
        m.submodules.queue = queue = SyncFIFOBuffered(width=beat.size, depth=QUEUE)

        # The burst
        active = Signal()
        word = Signal(axi.word_bits(config))
        left = Signal(8)  # beats behind this one
        identity = Signal(1)
        legal = Signal()
        issue = Signal()
        m.d.comb += [
            requests.ready.eq(1),
            issue.eq(active & (queue.w_level <= QUEUE - PIPELINE - 1) & ~requests.valid),
            self.arready.eq(~active),
        ]
        with m.If(self.arready):
            m.d.sync += [
                active.eq(self.arvalid),
                word.eq(self.araddr >> axi.word_offset(config)),
                left.eq(self.arlen),
                identity.eq(self.arid),
                legal.eq(self._legal("ar")),
            ]
        with m.Elif(issue):
            m.d.sync += [word.eq(word + 1), left.eq(left - 1), active.eq(left != 0)]

        # Address, memory, data
        stages = [
            {"bus": Signal(name=f"bus{i}"), "host": Signal(name=f"host{i}"), "note": Signal(beat, name=f"note{i}")}
            for i in range(PIPELINE)
        ]
        address = Signal(range(self._words))
        chosen = Signal(axi.word_bits(config))
        m.d.comb += chosen.eq(word)
        with m.If(requests.valid):
            m.d.comb += chosen.eq(requests.payload.address >> axi.word_offset(config))
        first, last = stages[0], stages[-1]
        m.d.sync += [
            address.eq(chosen),
            first["bus"].eq(issue),
            first["host"].eq(requests.valid),
            first["note"].id.eq(identity),
            first["note"].last.eq(left == 0),
            first["note"].response.eq(axi.OKAY),
        ]
        with m.If(self._outside(chosen)):
            m.d.sync += first["note"].response.eq(DECERR)
        with m.Elif(~requests.valid & ~legal):
            m.d.sync += first["note"].response.eq(axi.SLVERR)
        m.d.comb += [port.addr.eq(address), port.en.eq(1)]
        for before, after in pairwise(stages):
            m.d.sync += [after[name].eq(before[name]) for name in after]
        m.d.sync += last["note"].data.eq(port.data)
        m.d.comb += [queue.w_en.eq(last["bus"]), queue.w_data.eq(last["note"])]

        # Answers
        head = data.View(beat, queue.r_data)
        m.d.comb += [
            self.rvalid.eq(queue.r_rdy),
            queue.r_en.eq(self.rready),
            self.rdata.eq(head.data),
            self.rresp.eq(head.response),
            self.rid.eq(head.id),
            self.rlast.eq(head.last),
            answers.payload.data.eq(last["note"].data),
        ]
        with m.If(last["host"]):
            m.d.comb += [answers.valid.eq(1), answers.payload.failed.eq(last["note"].response != axi.OKAY)]

    def _writes(self, m: Module, port) -> None:
        """AW, W and B, and what the host writes."""
        config, requests = self._config, self.host.requests
        active = Signal()
        word = Signal(axi.word_bits(config))
        left = Signal(8)
        response = Signal(2)
        host_writes = Signal()
        m.d.comb += [
            host_writes.eq(requests.valid & requests.payload.write),
            self.awready.eq(~active & ~self.bvalid),
            self.wready.eq(active & ~host_writes),
        ]
        with m.If(self.awready):
            m.d.sync += [
                active.eq(self.awvalid),
                word.eq(self.awaddr >> axi.word_offset(config)),
                left.eq(self.awlen),
                self.bid.eq(self.awid),
                response.eq(axi.OKAY),
            ]
            with m.If(~self._legal("aw")):
                m.d.sync += response.eq(axi.SLVERR)

        # A beat that cannot be written spoils the answer, those before it stay.
        beat = Signal()
        found = Signal(2)
        m.d.comb += [beat.eq(self.wvalid & self.wready), found.eq(response)]
        with m.If(response == axi.OKAY):
            with m.If(self._outside(word)):
                m.d.comb += found.eq(DECERR)
            with m.Elif(~self.wstrb.all() | (self.wlast != (left == 0))):
                m.d.comb += found.eq(axi.SLVERR)
        with m.If(beat):
            m.d.sync += [word.eq(word + 1), left.eq(left - 1), response.eq(found)]
            with m.If(self.wlast):
                m.d.sync += [active.eq(0), self.bvalid.eq(1), self.bresp.eq(found)]
        with m.If(self.bvalid & self.bready):
            m.d.sync += self.bvalid.eq(0)

        # Into the memory
        chosen = Signal(axi.word_bits(config))
        m.d.comb += chosen.eq(word)
        with m.If(host_writes):
            m.d.comb += chosen.eq(requests.payload.address >> axi.word_offset(config))
        m.d.sync += [
            port.en.eq((beat & (found == axi.OKAY)) | (host_writes & ~self._outside(chosen))),
            port.addr.eq(chosen),
            port.data.eq(self.wdata),
        ]
        with m.If(host_writes):
            m.d.sync += port.data.eq(requests.payload.data)
