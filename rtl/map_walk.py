"""The walk of a MAP: which memory words to read, in the order of the output words, and what to do with each."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import WORD_NIBBLES, Config
from .resampler import Work, pixels_per_word


def note(config: Config) -> data.Layout:
    """What is to be done with a word that was read; kept in the order of the reads, `zero`: nothing was read.

    `first`, `last`, `half`: as in resampler.step; `first` holds for all words of the 16 codes. `begin`, `end`, `tail`,
    `part`, `channel`: as in payloads.load_tag. `high`: the digit of 8-bit codes that a 64-bit memory word takes.
    """
    names = ("zero", "first", "last", "half", "begin", "end", "tail", "high")
    tag = payloads.load_tag(config)
    return data.StructLayout({name: 1 for name in names} | {"part": tag["part"].shape, "channel": tag["channel"].shape})


class MapWalk(wiring.Component):
    """Counts through the steps of all output words: tile by tile, image by image, word by word, lane by lane.

    Addresses are running sums. The sizes must be legal (map_engine.legal).

    Parameters
    ----------
    config : Config

    Members
    -------
    settings : In(payloads.map_settings)
        Constant from `start` until the last step was used.
    start : In(1)
        Strobe, while `walking` is 0.
    walking : Out(1)
        From the cycle after `start` to the last note.
    work : Out(Work)
    plane_pixels : Out(range(max_size**2 + 1))
        Pixels of an input plane; valid with the notes.
    reads : Out(stream(ADDRESS_BITS))
        Memory word addresses; none for a note with `zero`.
    notes : Out(stream(note))
        One for each step; that of a read leaves one cycle before it.

    Timing: `latency(config)` cycles from `start` to the first read, initiation interval 1 step. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "settings": In(payloads.map_settings(config)),
                "start": In(1),
                "walking": Out(1),
                "work": Out(Work),
                "plane_pixels": Out(range(config.max_size**2 + 1)),
                "reads": Out(stream.Signature(payloads.ADDRESS_BITS)),
                "notes": Out(stream.Signature(note(config))),
            }
        )

    @staticmethod
    def latency(config: Config) -> int:
        """Cycles from `start` to the first read: plane_pixels bit by bit, what follows from them, note, read."""
        return payloads.bits_for(config.max_size) + 4

    def elaborate(self, platform):
        m = Module()
        config = self._config
        settings = self.settings
        count = pixels_per_word(config)
        chunk_bits = (config.chunk_words - 1).bit_length()
        split = max(1, count // WORD_NIBBLES).bit_length() - 1  # a memory word holds 2**split groups of 16 pixels

        # What the layer asks for
        work = self.work
        line_words = Signal(range(config.max_size // count + 2))  # 0 when a word holds two lines (UP)
        final_beat = Signal(range(8))  # last step of an output word
        code_beats = [config.word_parts * config.chunk_words, max(1, config.word_parts // 2) * config.chunk_words]
        last_word = Signal.like(settings.words)
        last_image = Signal.like(settings.images)
        m.d.sync += [  # constant in a layer, but too deep to be seen in every step
            line_words.eq(settings.width // count),
            last_word.eq(settings.words - 1),
            last_image.eq(settings.images - 1),
            final_beat.eq(0),
        ]
        with m.If(settings.codes):
            m.d.sync += [work.eq(Work.CODES), final_beat.eq(Mux(settings.two_planes, code_beats[1], code_beats[0]) - 1)]
        with m.Elif(settings.resample == payloads.ResampleShape.DOWN):
            m.d.sync += [work.eq(Work.MEAN), final_beat.eq(3)]
        with m.Elif(settings.resample == payloads.ResampleShape.UP):
            m.d.sync += work.eq(Work.DOUBLE)
        with m.Else():
            m.d.sync += work.eq(Work.COPY)

        # Where the next step is: lanes of a tile, words of a plane, images, tiles
        beat = Signal(range(8))  # step of the output word
        lane = Signal(range(config.lanes))
        word = Signal.like(settings.words)
        image = Signal.like(settings.images)
        tile = Signal(range(config.max_tiles + 1))
        channel_base = Signal(payloads.ADDRESS_BITS)
        image_base = Signal.like(channel_base)  # the tile's first channel in this image
        tile_base = Signal.like(channel_base)  # the next tile's first channel in image 0
        position = Signal(range(config.max_size**2 // count + 32))  # word of the plane; runs past the end for a moment
        column = Signal(range(config.max_size // count + 2))  # words of the input line before it
        half = Signal()  # UP: of the input word
        again = Signal()  # UP: line below that is the same; codes: digit of the same pixels for the next word
        pixels = self.plane_pixels
        bit = Signal(range(len(settings.height)))

        channel = Cat(lane, tile)
        offset = Signal.like(position)
        # Codes: number of the 16 pixels in the plane, and its low bits by step of the output word
        place_chunk = Cat(Const(0, split), position[chunk_bits:])
        beat_chunk = Cat(beat[:split], (beat >> split)[chunk_bits:])
        chunks = Signal(range(config.max_size**2 // WORD_NIBBLES + 2))
        last_chunk = Signal.like(chunks)
        chunks_left = Signal.like(chunks)  # seen a step late, but a word's first step is never missing
        m.d.sync += [
            chunks.eq((pixels + WORD_NIBBLES - 1) >> 4),
            last_chunk.eq(chunks - 1),
            chunks_left.eq(last_chunk - place_chunk),
        ]
        dummy = Signal()  # there is no such channel
        missing = Signal()  # the plane ends before this part of the word
        zero = Signal()
        end_beat = Signal.like(beat)  # a missing part is one step instead of several
        word_end = Signal()
        m.d.comb += [
            dummy.eq(channel >= settings.channels),
            zero.eq(dummy | missing),
            end_beat.eq(beat | Mux(missing, Mux(settings.codes, config.chunk_words - 1, 1), 0)),
            word_end.eq(dummy | (end_beat == final_beat)),
        ]
        single = Signal()
        bottom = Signal()  # MEAN: of the last lines; seen a step late, but not used before the third one of a word
        m.d.sync += [single.eq(line_words == 1), bottom.eq(position + 2 == settings.height)]
        with m.Switch(work):
            with m.Case(Work.CODES):
                m.d.comb += [offset.eq(position | beat >> split), missing.eq(beat_chunk > chunks_left)]
            with m.Case(Work.MEAN):  # two words of a line and those below them; if a line is one word, four lines
                m.d.comb += [
                    offset.eq((position | Mux(single, beat & 2, beat[1])) + Mux(beat[0], line_words, 0)),
                    missing.eq(single & beat[1] & bottom),
                ]
            with m.Default():
                m.d.comb += offset.eq(position)

        issue = Signal()
        counting = Signal()
        plane_end = word == last_word
        place = beat & config.chunk_words - 1  # among the words of 16 pixels
        given = self.notes.payload
        m.d.comb += [
            self.notes.valid.eq(counting & (~self.reads.valid | self.reads.ready)),
            issue.eq(self.notes.valid & self.notes.ready),
            given.zero.eq(zero),
            given.first.eq(Mux(settings.codes, beat >> chunk_bits, beat) == 0),
            given.last.eq(word_end),
            given.half.eq(Mux(work == Work.MEAN, beat[0], half)),
            given.begin.eq(zero | (place == 0)),
            given.end.eq(zero | (place == config.chunk_words - 1)),
            given.tail.eq(Mux(settings.codes, (place_chunk | beat_chunk) == last_chunk, plane_end)),
            given.high.eq(again),
            given.part.eq((beat & (1 << split) - 1) << 2),
            given.channel.eq(channel),
        ]
        with m.If(~self.reads.valid | self.reads.ready):
            m.d.sync += [self.reads.valid.eq(issue & ~zero), self.reads.payload.eq(channel_base + offset)]

        # To the next step, from the innermost loop to the outermost
        next_channel = (channel_base + settings.stride)[: payloads.ADDRESS_BITS]
        next_tile = Mux(image == 0, next_channel, tile_base)
        next_image = image_base + settings.image_stride
        lanes_end = Signal()
        walk_end = Signal()
        # Of the outer loops; seen a step late, but they move on at the last lane only
        last_of_plane = Signal()
        last_of_tile = Signal()
        last_tile = Signal()
        m.d.sync += [
            last_of_plane.eq(plane_end),
            last_of_tile.eq(image == last_image),
            last_tile.eq(Cat(Const(config.lanes - 1, lane.shape()), tile) + 1 >= settings.channels),
        ]
        m.d.comb += lanes_end.eq(issue & word_end & (lane == config.lanes - 1))
        with m.If(issue):
            m.d.sync += beat.eq(end_beat + 1)
        with m.If(issue & word_end):
            m.d.sync += [beat.eq(0), lane.eq(lane + 1), channel_base.eq(next_channel)]  # lanes is a power of two: wraps
        with m.If(lanes_end):
            m.d.sync += [word.eq(word + 1), channel_base.eq(image_base), tile_base.eq(next_tile)]
            with m.Switch(work):
                with m.Case(Work.COPY):
                    m.d.sync += position.eq(position + 1)
                with m.Case(Work.DOUBLE):
                    with m.If(line_words == 0):
                        m.d.sync += [again.eq(~again), half.eq(half ^ again), position.eq(position + (half & again))]
                    with m.Else():
                        m.d.sync += [half.eq(~half), column.eq(column + half), position.eq(position + half)]
                        with m.If(half & (column == line_words - 1)):
                            m.d.sync += [column.eq(0), again.eq(~again)]
                            m.d.sync += position.eq(position + 1 - Mux(again, 0, line_words))
                with m.Case(Work.MEAN):
                    m.d.sync += [column.eq(column + 2), position.eq(position + 2)]
                    with m.If(single | (column + 2 == line_words)):
                        m.d.sync += [column.eq(0), position.eq(position + 2 + Mux(single, 2, line_words))]
                with m.Case(Work.CODES):
                    both = settings.two_planes & (config.word_parts == 1)  # two output words from the same pixels
                    m.d.sync += again.eq(both & ~again)
                    with m.If(~both | again):
                        m.d.sync += position.eq(position + ((final_beat + 1) >> split))
        with m.If(lanes_end & last_of_plane):
            m.d.sync += [word.eq(0), position.eq(0), column.eq(0), half.eq(0), again.eq(0)]
            m.d.sync += [image.eq(image + 1), image_base.eq(next_image), channel_base.eq(next_image)]
            with m.If(last_of_tile):
                m.d.sync += [image.eq(0), image_base.eq(next_tile), channel_base.eq(next_tile), tile.eq(tile + 1)]
                m.d.comb += walk_end.eq(last_tile)

        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [pixels.eq(0), bit.eq(len(settings.height) - 1), tile.eq(0)]
                    m.d.sync += [image_base.eq(settings.base), channel_base.eq(settings.base)]
                    m.next = "SIZE"
            with m.State("SIZE"):  # height * width, from the top bit of the height on
                m.d.sync += pixels.eq((pixels << 1) + Mux(settings.height.bit_select(bit, 1), settings.width, 0))
                m.d.sync += bit.eq(bit - 1)
                with m.If(bit == 0):
                    m.d.sync += bit.eq(0)
                    m.next = "SIZES"
            with m.State("SIZES"):  # two steps from the pixels to the chunks
                m.d.sync += bit.eq(1)
                with m.If(bit == 1):
                    m.next = "WALK"
            with m.State("WALK"):
                m.d.comb += counting.eq(1)
                with m.If(walk_end):
                    m.next = "IDLE"

        m.d.comb += self.walking.eq(~fsm.ongoing("IDLE"))
        return m
