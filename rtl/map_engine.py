"""The MAP: walks over INT16 planes in the output's order and has them resampled or turned into codes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .descriptor import Resample
from .map_walk import MapWalk, note
from .payloads import LoadKind
from .resampler import Resampler, pixels_per_word
from .stream_register import StreamRegister


def legal(resample: Value, height: Value, width: Value, config: Config) -> Value:
    """Whether the engine can resample planes of that input size, at least 1 x 1 pixels; a hardware expression.

    With L pixels per memory word: NONE any size; DOWN even height, width L or a multiple of 2L; UP width L/2 or a
    multiple of L, and an output of at most `max_size` x `max_size` pixels.
    """
    count = pixels_per_word(config)
    bits = count.bit_length() - 1
    words = width[:bits] == 0
    down = ~height[0] & words & ((width == count) | (width[: bits + 1] == 0))
    up = (words | (width == count // 2)) & (height <= config.max_size // 2) & (width <= config.max_size // 2)
    resample = Value.cast(resample)
    return (
        (resample == Resample.NONE.value)
        | ((resample == Resample.DOWN.value) & down)
        | ((resample == Resample.UP.value) & up)
    )


class MapEngine(wiring.Component):
    """Reads INT16 planes and gives the words of the output planes.

    Words come tile by tile, image by image, word by word, lane by lane. A tile has `lanes` channels whatever
    `two_planes` says. Channels past the last one are not read and give words of zeros. Codes go through the normaliser,
    which is not part of the engine; they are made of planes as they are (`resample` NONE). Pixels and codes past the
    end of a plane are 0. For the supported sizes see `legal`.

    Parameters
    ----------
    config : Config

    Members
    -------
    settings : In(payloads.map_settings)
        Constant from `start` until `running` is 0. `words` of one output plane.
    start : In(1)
        Strobe, while `running` is 0.
    running : Out(1)
        From the cycle after `start` until the last output word was taken.
    reads : Out(stream(ADDRESS_BITS))
        Memory word addresses.
    answers : In(stream(bus_bits))
        In the order of the reads. Always taken at once: `DEPTH` steps at most are on their way or stored.
    pixels, codes : Out(stream(payloads.pixels_in)), In(stream(payloads.codes_out))
        To and from the normaliser, whose mode is set by others (`tail_pixels`: those in the last 16 of a plane).
    words : Out(stream(bus_bits))

    Timing: `latency` cycles from `start` to the first read; then 1 step per cycle while the answers come within `DEPTH`
    cycles. Steps of an output word: 1 (copy, UP), 4 (DOWN), or as many as its codes have words of pixels (with 512-bit
    words: groups of 16 pixels); 1 for channels past the last one. Reset: idle; answers to older reads must not come.
    """

    DEPTH = 64  #: steps between their read and their use

    def __init__(self, config: Config):
        self._config = config
        self.latency = MapWalk.latency(config) + StreamRegister.LATENCY  #: cycles from `start` to the first read
        super().__init__(
            {
                "settings": In(payloads.map_settings(config)),
                "start": In(1),
                "running": Out(1),
                "reads": Out(stream.Signature(payloads.ADDRESS_BITS)),
                "answers": In(stream.Signature(config.bus_bits)),
                "pixels": Out(stream.Signature(payloads.pixels_in(config))),
                "codes": In(stream.Signature(payloads.codes_out(config))),
                "words": Out(stream.Signature(config.bus_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        settings = self.settings

        m.submodules.walk = walk = MapWalk(config)
        m.submodules.notes = notes = fifo.SyncFIFOBuffered(width=note(config).size, depth=self.DEPTH)
        m.submodules.store = store = fifo.SyncFIFOBuffered(width=config.bus_bits, depth=self.DEPTH)
        m.submodules.resampler = resampler = Resampler(config)
        m.submodules.sent = sent = StreamRegister(payloads.ADDRESS_BITS)
        wiring.connect(m, walk.reads, sent.source)
        wiring.connect(m, sent.sink, wiring.flipped(self.reads))
        wiring.connect(m, wiring.flipped(self.words), resampler.words)
        m.d.comb += [
            walk.settings.eq(settings),
            walk.start.eq(self.start),
            notes.w_data.eq(walk.notes.payload),
            notes.w_en.eq(walk.notes.valid),
            walk.notes.ready.eq(notes.w_rdy),
        ]

        pending = Signal(range(4 * self.DEPTH))  # output words begun: notes, those in the normaliser, one assembled
        begun = walk.notes.valid & walk.notes.ready & walk.notes.payload.last
        next_pending = Signal.like(pending)
        m.d.comb += next_pending.eq(pending + begun - (self.words.valid & self.words.ready))
        m.d.sync += pending.eq(next_pending)
        with m.If(self.start):
            m.d.sync += self.running.eq(1)
        with m.Elif(~walk.walking & (next_pending == 0)):
            m.d.sync += self.running.eq(0)

        # What was read meets its note: on to the normaliser, or to the resampler at once
        kept = note(config)(notes.r_data)
        present = Signal()
        tag = self.pixels.payload.tag
        codes = self.codes.payload
        made = resampler.steps.payload
        m.d.comb += [
            store.w_data.eq(self.answers.payload),
            store.w_en.eq(self.answers.valid),
            self.answers.ready.eq(store.w_rdy),
            present.eq(notes.r_rdy & (kept.zero | store.r_rdy)),
            notes.r_en.eq(present & Mux(settings.codes, self.pixels.ready, resampler.steps.ready)),
            store.r_en.eq(notes.r_en & ~kept.zero),
            self.pixels.valid.eq(present & settings.codes),
            self.pixels.payload.word.eq(store.r_data),
            tag.kind.eq(LoadKind.ACTS),
            tag.plane.eq(kept.high),
            *(
                tag[name].eq(kept[name])
                for name in ("zero", "first", "last", "begin", "end", "tail", "part", "channel")
            ),
            resampler.work.eq(walk.work),
            resampler.two_planes.eq(settings.two_planes),
        ]
        with m.If(settings.codes):
            digits = Mux(codes.tag.plane, codes.high.as_value(), codes.low.as_value())
            m.d.comb += [
                self.codes.ready.eq(self.running & resampler.steps.ready),
                resampler.steps.valid.eq(self.running & self.codes.valid),
                made.word.eq(digits if config.word_parts == 1 else Cat(codes.low, codes.high)),
                made.first.eq(codes.tag.first),
                made.last.eq(codes.tag.last),
            ]
        with m.Else():
            count = pixels_per_word(config)
            rest = walk.plane_pixels[: count.bit_length() - 1]
            m.d.comb += [
                resampler.steps.valid.eq(present),
                made.word.eq(store.r_data),
                *(made[name].eq(kept[name]) for name in ("zero", "first", "last", "half")),
                made.pixels.eq(Mux(kept.tail & (rest != 0), rest, count)),
            ]
        return m
