"""Fetches what the address generator asks for and puts it where it belongs."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import WORD_BITS, Config
from .corner_turn import CornerTurn
from .payloads import LoadKind
from .post_processor import param_write


class Loader(wiring.Component):
    """Reads memory in order and routes each answer by the tag of its request.

    Activation words go through the corner turn into the activation buffers and, where the tag says so, to the sparsity
    detector; weight rows go to the weight buffers, parameters to the post-processor, the channel table to its reader.

    Parameters
    ----------
    config : Config

    Members
    -------
    requests : In(stream(payloads.load_request))
    reads : Out(stream(address: unsigned(32)))
        Memory word addresses.
    answers : In(stream(bus_bits))
        One word per read, in order.
    activation_writes, weight_writes, param_writes, counted_words : Out(stream, always ready)
    table_words : Out(stream(bus_bits))
    acts_loaded, weights_loaded, scan_loaded : Out(1)
        A load of that kind has ended: all it brought is in the buffers, or counted, after this cycle.

    Latency: none of its own for weights; activations wait for the next block in the corner turn. Initiation interval: 1
    word per cycle with up to `OUTSTANDING` words on their way. Reset: nothing on its way; answers to reads from before
    the reset are dropped as long as no new read was sent.
    """

    OUTSTANDING = 64

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "requests": In(stream.Signature(payloads.load_request(config))),
                "reads": Out(stream.Signature(unsigned(32))),
                "answers": In(stream.Signature(config.bus_bits)),
                "activation_writes": Out(stream.Signature(payloads.activation_write(config), always_ready=True)),
                "weight_writes": Out(stream.Signature(payloads.weight_write(config), always_ready=True)),
                "param_writes": Out(stream.Signature(param_write(config), always_ready=True)),
                "counted_words": Out(stream.Signature(payloads.counted_word(config), always_ready=True)),
                "table_words": Out(stream.Signature(config.bus_bits)),
                "acts_loaded": Out(1),
                "weights_loaded": Out(1),
                "scan_loaded": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        tag_layout = payloads.load_tag(config)
        m.submodules.tags = tags = fifo.SyncFIFOBuffered(width=tag_layout.size, depth=self.OUTSTANDING)
        m.submodules.corner_turn = corner_turn = CornerTurn(config)

        # Requests: remember the tag, send the read unless the word is known to be zero.
        request = self.requests.payload
        m.d.comb += [
            self.reads.payload.eq(request.address),
            self.reads.valid.eq(self.requests.valid & ~request.tag.zero & tags.w_rdy),
            self.requests.ready.eq(tags.w_rdy & (request.tag.zero | self.reads.ready)),
            tags.w_data.eq(request.tag.as_value()),
            tags.w_en.eq(self.requests.valid & self.requests.ready),
        ]

        # An answer that nothing was asked for belongs to a read from before a reset: it is dropped.
        outstanding = Signal(range(self.OUTSTANDING + 2))
        read = self.reads.valid & self.reads.ready
        answered = self.answers.valid & self.answers.ready & (outstanding != 0)
        m.d.sync += outstanding.eq(outstanding + read - answered)

        # Answers, in order.
        tag = Signal(tag_layout)
        there = Signal()
        taken = Signal()
        m.d.comb += [
            tag.eq(tags.r_data),
            there.eq(tags.r_rdy & (tag.zero | self.answers.valid)),
            tags.r_en.eq(taken),
            self.answers.ready.eq((taken & ~tag.zero) | (outstanding == 0)),
        ]
        parts = data.ArrayLayout(WORD_BITS, config.word_parts)(self.answers.payload)
        word = Signal(payloads.activation_word())
        m.d.comb += word.eq(Mux(tag.zero, 0, parts[tag.part]))

        rows = corner_turn.rows
        m.d.comb += [
            rows.payload.slot.eq(tag.slot),
            rows.payload.row.eq(tag.row),
            rows.payload.last.eq(tag.last),
            rows.payload.word.eq(word),
            self.acts_loaded.eq(corner_turn.finished),
            self.counted_words.payload.channel.eq(tag.channel),
            self.counted_words.payload.first.eq(tag.first),
            self.counted_words.payload.word.eq(word),
            self.table_words.payload.eq(self.answers.payload),
            self.param_writes.payload.row.eq(tag.row),
            self.param_writes.payload.word.eq(self.answers.payload),
            self.weight_writes.payload.slot.eq(tag.slot),
            self.weight_writes.payload.row.eq(tag.row),
        ]
        wiring.connect(m, corner_turn.words, wiring.flipped(self.activation_writes))

        # A weight row of several memory words is collected; the last one completes it.
        beat = Signal(range(config.row_words))
        beats = [Signal(config.bus_bits, name=f"beat_{i}") for i in range(config.row_words - 1)]
        m.d.comb += self.weight_writes.payload.weights.eq(Cat(*beats, self.answers.payload))

        with m.If(there):
            with m.Switch(tag.kind):
                with m.Case(LoadKind.ACTS):
                    m.d.comb += [
                        rows.valid.eq(1),
                        taken.eq(rows.ready),
                        self.counted_words.valid.eq(tag.count & rows.ready),
                    ]
                with m.Case(LoadKind.SCAN):
                    m.d.comb += [taken.eq(1), self.counted_words.valid.eq(1), self.scan_loaded.eq(tag.last)]
                with m.Case(LoadKind.TABLE):
                    m.d.comb += [self.table_words.valid.eq(1), taken.eq(self.table_words.ready)]
                with m.Case(LoadKind.PARAMS):
                    m.d.comb += [self.param_writes.valid.eq(1), taken.eq(1)]
                with m.Case(LoadKind.WEIGHTS):
                    m.d.comb += [taken.eq(1), self.weights_loaded.eq(tag.last)]
                    with m.If(~tag.zero):
                        for i, stored in enumerate(beats):
                            with m.If(beat == i):
                                m.d.sync += stored.eq(self.answers.payload)
                        with m.If(beat == config.row_words - 1):
                            m.d.comb += self.weight_writes.valid.eq(1)
                            m.d.sync += beat.eq(0)
                        with m.Else():
                            m.d.sync += beat.eq(beat + 1)
        return m
