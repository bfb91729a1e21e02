"""Fetches what the address generator asks for and puts it where it belongs."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import TURNS, WORD_BITS, Config
from .corner_turns import CornerTurns
from .payloads import ADDRESS_BITS, LoadKind
from .post_processor import param_write
from .stream_register import StreamRegister


class Loader(wiring.Component):
    """Reads memory in order and routes each answer by the tag of its request.

    Activation words go through the corner turns into the activation buffers and, where the tag says so, to the sparsity
    detector; INT16 activations take the way through the normaliser first. Weight rows go to the weight buffers,
    parameters to the post-processor, constants to the normaliser, the channel tables to their reader.

    Parameters
    ----------
    config : Config

    Members
    -------
    int16_acts : In(1)
        Activations are INT16 pixels; constant from the first read of activations to `acts_loaded`.
    requests : In(stream(payloads.load_request))
    reads : Out(stream(ADDRESS_BITS))
        Memory word addresses.
    answers : In(stream(bus_bits))
        One word per read, in order.
    pixels : Out(stream(payloads.pixels_in))
        With `int16_acts`: every answer of an ACTS load, and a word of no meaning for every zero request.
    codes : In(stream(payloads.codes_out))
        With `int16_acts`: what becomes of 16 pixels or of a zero request, in the order of `pixels`.
    activation_writes : Array of Out(stream(payloads.activation_write), always ready), `TURNS` of them
        To the slots with even numbers, to those with odd ones.
    weight_writes, param_writes, counted_words : Out(stream, always ready)
        The row of `param_writes` is half * param_rows + the word's number.
    constant_writes : Out(stream(payloads.constant_write), always ready)
        After all `pixels` of earlier requests were taken, before those of later ones are offered.
    table_words : Out(stream(bus_bits))
    acts_loaded, weights_loaded : Out(1)
        A load of the plane LOW, the last one of an image or tile, has ended: all it brought is in the buffers after
        this cycle.

    Latency: 1 cycle for weights; activations wait for the next block in a corner turn. Initiation interval: 1
    word per cycle with up to `OUTSTANDING` words on their way. Reset: nothing on its way.
    """

    OUTSTANDING = 64

    def __init__(self, config: Config):
        self._config = config
        activation_writes = stream.Signature(payloads.activation_write(config), always_ready=True)
        super().__init__(
            {
                "int16_acts": In(1),
                "requests": In(stream.Signature(payloads.load_request(config))),
                "reads": Out(stream.Signature(ADDRESS_BITS)),
                "answers": In(stream.Signature(config.bus_bits)),
                "pixels": Out(stream.Signature(payloads.pixels_in(config))),
                "codes": In(stream.Signature(payloads.codes_out(config))),
                "activation_writes": Out(activation_writes).array(TURNS),
                "weight_writes": Out(stream.Signature(payloads.weight_write(config), always_ready=True)),
                "param_writes": Out(stream.Signature(param_write(config), always_ready=True)),
                "constant_writes": Out(stream.Signature(payloads.constant_write(config), always_ready=True)),
                "counted_words": Out(stream.Signature(payloads.counted_word(config), always_ready=True)),
                "table_words": Out(stream.Signature(config.bus_bits)),
                "acts_loaded": Out(1),
                "weights_loaded": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        tag_layout = payloads.load_tag(config)
        m.submodules.tags = tags = fifo.SyncFIFOBuffered(width=tag_layout.size, depth=self.OUTSTANDING)
        m.submodules.turns = turns = CornerTurns(config)

        # Requests: remember the tag, send the read unless the word is known to be zero. The register keeps the tags'
        # level from the address generator.
        m.submodules.asked = asked = StreamRegister(self.requests.payload.shape())
        wiring.connect(m, wiring.flipped(self.requests), asked.source)
        m.submodules.reads = reads = StreamRegister(ADDRESS_BITS)
        wiring.connect(m, reads.sink, wiring.flipped(self.reads))
        request = asked.sink.payload
        m.d.comb += [
            reads.source.payload.eq(request.address),
            reads.source.valid.eq(asked.sink.valid & ~request.tag.zero & tags.w_rdy),
            asked.sink.ready.eq(tags.w_rdy & (request.tag.zero | reads.source.ready)),
            tags.w_data.eq(request.tag.as_value()),
            tags.w_en.eq(asked.sink.valid & asked.sink.ready),
        ]

        # Answers, in order. Registers keep what takes them away from the memory port and the tags' memory.
        m.submodules.answers = answers = StreamRegister(config.bus_bits)
        m.submodules.next_tag = next_tag = StreamRegister(tag_layout)
        wiring.connect(m, wiring.flipped(self.answers), answers.source)
        answer = answers.sink
        tag = next_tag.sink.payload
        there = Signal()
        taken = Signal()
        plain_row = Signal()  # a granule of codes
        m.d.comb += [
            next_tag.source.payload.eq(tags.r_data),
            next_tag.source.valid.eq(tags.r_rdy),
            tags.r_en.eq(next_tag.source.ready),
            there.eq(next_tag.sink.valid & (tag.zero | answer.valid)),
            next_tag.sink.ready.eq(taken),
            answer.ready.eq(taken & ~tag.zero),
            self.pixels.payload.word.eq(answer.payload),
            self.pixels.payload.tag.eq(tag),
            self.table_words.payload.eq(answer.payload),
            self.param_writes.payload.row.eq(tag.row),
            self.param_writes.payload.word.eq(answer.payload),
            self.constant_writes.payload.row.eq(tag.row),
            self.constant_writes.payload.word.eq(answer.payload),
            self.weight_writes.payload.slot.eq(tag.slot),
            self.weight_writes.payload.row.eq(tag.row),
        ]

        # Rows of the corner turns are granules of memory words, or codes that the normaliser has made.
        m.submodules.rows = rows_register = StreamRegister(turns.rows.payload.shape())
        wiring.connect(m, rows_register.sink, turns.rows)
        rows = rows_register.source
        row_tag = Signal(tag_layout)
        word = Signal(payloads.activation_word())
        granules = data.ArrayLayout(WORD_BITS, config.word_parts)(answer.payload)
        with m.If(self.int16_acts):
            codes = self.codes.payload
            m.d.comb += [
                row_tag.eq(codes.tag),
                word.eq(Mux(codes.tag.plane, codes.high.as_value(), codes.low.as_value())),
                rows.valid.eq(self.codes.valid),
                self.codes.ready.eq(rows.ready),
            ]
        with m.Else():
            m.d.comb += [
                row_tag.eq(tag),
                word.eq(Mux(tag.zero, 0, granules[tag.part])),
                rows.valid.eq(plain_row),
            ]
        m.d.comb += [
            rows.payload.slot.eq(row_tag.slot),
            rows.payload.row.eq(row_tag.row),
            rows.payload.end.eq(row_tag.block_end),
            rows.payload.last.eq(row_tag.last & (row_tag.plane == payloads.LOW)),
            rows.payload.word.eq(word),
            self.acts_loaded.eq(turns.finished),
        ]
        m.d.sync += [
            self.counted_words.valid.eq(rows.valid & rows.ready & row_tag.count),
            self.counted_words.payload.plane.eq(row_tag.plane),
            self.counted_words.payload.channel.eq(row_tag.channel),
            self.counted_words.payload.first.eq(row_tag.first),
            self.counted_words.payload.word.eq(word),
        ]
        for writes, own in zip(turns.writes, self.activation_writes, strict=True):
            wiring.connect(m, writes, wiring.flipped(own))

        # A weight row of several memory words is collected; the last one completes it.
        beat = Signal(range(config.row_words))
        beats = [Signal(config.bus_bits, name=f"beat_{i}") for i in range(config.row_words - 1)]
        m.d.comb += self.weight_writes.payload.weights.eq(Cat(*beats, answer.payload))

        with m.If(there):
            with m.Switch(tag.kind):
                with m.Case(LoadKind.ACTS):
                    m.d.comb += [
                        plain_row.eq(~self.int16_acts),
                        self.pixels.valid.eq(self.int16_acts),
                        taken.eq(Mux(self.int16_acts, self.pixels.ready, rows.ready)),
                    ]
                with m.Case(LoadKind.CONSTANTS):
                    m.d.comb += [self.constant_writes.valid.eq(1), taken.eq(1)]
                with m.Case(LoadKind.TABLE):
                    m.d.comb += [self.table_words.valid.eq(1), taken.eq(self.table_words.ready)]
                with m.Case(LoadKind.PARAMS):
                    m.d.comb += [self.param_writes.valid.eq(1), taken.eq(1)]
                with m.Case(LoadKind.WEIGHTS):
                    m.d.comb += [taken.eq(1), self.weights_loaded.eq(tag.last & (tag.plane == payloads.LOW))]
                    with m.If(~tag.zero):
                        for i, stored in enumerate(beats):
                            with m.If(beat == i):
                                m.d.sync += stored.eq(answer.payload)
                        with m.If(beat == config.row_words - 1):
                            m.d.comb += self.weight_writes.valid.eq(1)
                            m.d.sync += beat.eq(0)
                        with m.Else():
                            m.d.sync += beat.eq(beat + 1)
        return m
