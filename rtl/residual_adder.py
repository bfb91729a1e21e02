"""Adds the residual to output words and clears the pixels behind the end of a plane."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import MULTIPLIER_BITS, OUT_BITS, SHIFT_BITS, Config
from .plane_walker import placed_word
from .post_processor import OUT_MAX, OUT_MIN


class ResidualAdder(wiring.Component):
    """``sat16(y + ((r * multiplier + round) >> shift))`` for every pixel of a word, ``round = (1 << shift) >> 1``.

    With a residual a word passes in two halves, so that ``bus_bits / 32`` multipliers (16 x 17 bit) suffice.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    words : In(stream of placed_word)
        Words of INT16 pixels, or of anything when there is no residual.
    residuals : In(stream of bus_bits)
        With a residual: one word for every word that exists. Others have the residual of nothing.
    mode : In(payloads.residual_mode)
        The residual's weight; constant while words are in flight.
    tail : In(0 .. bus_bits / 16)
        Pixels in the last word of a plane; those behind it become 0. Constant likewise.
    start : In(1)
        Strobe: drops what is in flight.
    sums : Out(stream of placed_word)
        The words with the residual added; a register.

    Timing: with a residual latency `LATENCY` and initiation interval 2, without `BYPASS_LATENCY` and 1. After reset as
    after `start`.
    """

    LATENCY = 4  #: cycles: first half, multiply, shift, add
    BYPASS_LATENCY = 1  #: cycles without a residual

    def __init__(self, config: Config):
        self._config = config
        self._pixels = config.bus_bits // OUT_BITS
        super().__init__(
            {
                "words": In(stream.Signature(placed_word(config))),
                "residuals": In(stream.Signature(config.bus_bits)),
                "mode": In(payloads.residual_mode()),
                "tail": In(range(self._pixels + 1)),
                "start": In(1),
                "sums": Out(stream.Signature(placed_word(config))),
            }
        )

    def elaborate(self, platform):
        pixels = self._pixels
        lanes = pixels // 2  # pixels of a half
        word = self.words.payload
        m = Module()

        room = Signal()  # in the output register
        advance = Signal()  # stages 1 and 2 move
        present = Signal()  # a word and, if it has one, its residual
        half = Signal()
        m.d.comb += [
            room.eq(~self.sums.valid | self.sums.ready),
            present.eq(self.words.valid & (~word.exists | self.residuals.valid)),
            self.words.ready.eq(Mux(self.mode.enable, advance & half & present, room)),
            self.residuals.ready.eq(advance & self.mode.enable & half & self.words.valid & word.exists),
        ]
        with m.If(advance & self.mode.enable & present):
            m.d.sync += half.eq(~half)

        # Stages 1 and 2 carry a half and the place of its word
        place = data.StructLayout(
            {name: field.shape for name, field in placed_word(self._config) if name != "word"} | {"half": 1}
        )
        valid = [Signal(name=f"valid_{stage}") for stage in (1, 2)]
        places = [Signal(place, name=f"place_{stage}") for stage in (1, 2)]
        m.d.comb += advance.eq(room | ~(valid[1] & places[1].half))
        with m.If(advance):
            m.d.sync += [
                valid[0].eq(present & self.mode.enable),
                valid[1].eq(valid[0]),
                places[0].half.eq(half),
                places[1].eq(places[0]),
            ]
            for name, _ in place:
                if name != "half":
                    m.d.sync += places[0][name].eq(word[name])

        rounding = Signal(1 << SHIFT_BITS)
        m.d.comb += rounding.eq((1 << self.mode.shift) >> 1)

        # Stage 3: the first half is kept, so that the output register is needed for the second one only
        halves = [[], []]
        for lane in range(lanes):
            product = Signal(signed(OUT_BITS + MULTIPLIER_BITS), name=f"product_{lane}")
            shifted = Signal(signed(OUT_BITS + MULTIPLIER_BITS + 1), name=f"shifted_{lane}")
            values = [Signal(signed(OUT_BITS), name=f"value_{stage}_{lane}") for stage in (1, 2)]
            residual = Signal(signed(OUT_BITS), name=f"residual_{lane}")
            total = Signal(signed(OUT_BITS + MULTIPLIER_BITS + 2), name=f"total_{lane}")
            result = Signal(OUT_BITS, name=f"result_{lane}")
            index = lane + Mux(half, lanes, 0)
            m.d.comb += residual.eq(self.residuals.payload.word_select(index, OUT_BITS))
            with m.If(advance):
                m.d.sync += [
                    product.eq(residual * self.mode.multiplier),
                    values[0].eq(word.word.word_select(index, OUT_BITS)),
                    shifted.eq((product + rounding) >> self.mode.shift),
                    values[1].eq(values[0]),
                ]
            m.d.comb += [
                total.eq(values[1] + shifted),
                result.eq(Mux(total > OUT_MAX, OUT_MAX, Mux(total < OUT_MIN, OUT_MIN, total))),
            ]
            kept = Signal(OUT_BITS, name=f"kept_{lane}")
            with m.If(advance):  # the halves of a word follow each other
                m.d.sync += kept.eq(result)
            halves[0].append(kept)
            halves[1].append(result)

        # The output register
        last = Signal()
        m.d.comb += last.eq(Mux(self.mode.enable, places[1].last, word.last))
        with m.If(room):
            m.d.sync += self.sums.valid.eq(Mux(self.mode.enable, valid[1] & places[1].half, self.words.valid))
            for name, _ in place:
                if name != "half":
                    m.d.sync += self.sums.payload[name].eq(Mux(self.mode.enable, places[1][name], word[name]))
        for pixel, sum_pixel in enumerate(halves[0] + halves[1]):
            taken = Signal(OUT_BITS, name=f"taken_{pixel}")
            m.d.comb += taken.eq(Mux(self.mode.enable, sum_pixel, word.word.word_select(pixel, OUT_BITS)))
            with m.If(room):
                m.d.sync += self.sums.payload.word.word_select(pixel, OUT_BITS).eq(
                    Mux(last & (self.tail <= pixel), 0, taken)
                )

        with m.If(self.start):
            m.d.sync += [half.eq(0), valid[0].eq(0), valid[1].eq(0), self.sums.valid.eq(0)]

        return m
