"""Makes the output words of a MAP: copies, halves or doubles planes of INT16 pixels, or packs codes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import OUT_BITS, WORD_BITS, Config
from .payloads import bits_for


class Work(enum.Enum, shape=2):
    """What happens to the steps of an output word."""

    COPY = 0  #: one step
    DOUBLE = 1  #: one step: half of its pixels, each twice
    MEAN = 2  #: four steps: a word of an even line, the word below it, and another such pair
    CODES = 3  #: one step for each 16 codes


def pixels_per_word(config: Config) -> int:
    """INT16 pixels in a memory word."""
    return config.bus_bits // OUT_BITS


def step(config: Config) -> data.Layout:
    """What one cycle brings.

    `word`: a memory word of INT16 pixels; for CODES 16 low nibbles in the low 64 bits, and with `two_planes` 16 high
    nibbles above them (a 64-bit memory word has room for one of the two only). `zero`: the word is not looked at, zeros
    stand for its outcome (MEAN: for that of a whole pair; with `first`: for the whole output word). `first`, `last` of
    an output word. `half`: DOUBLE: the upper half of the pixels; MEAN: the lower word of a pair. `pixels`: COPY: those
    that belong to the plane, the others become 0.
    """
    return data.StructLayout(
        {
            "word": config.bus_bits,
            "zero": 1,
            "first": 1,
            "last": 1,
            "half": 1,
            "pixels": bits_for(pixels_per_word(config)),
        }
    )


def doubled(pixels: list[Value]) -> Value:
    """Each pixel twice."""
    return Cat(pixel for pixel in pixels for _ in range(2))


class Resampler(wiring.Component):
    """Assembles memory words from steps.

    A mean is ``(a + b + c + d + 2) >> 2``, halves rounded towards plus infinity (docs/numerics.md). Parts of a word
    (half a word of means, 16 codes) are shifted in from above, so the first part ends up in the lowest bits.

    Parameters
    ----------
    config : Config
        The accelerator; ``bus_bits / 32`` adders for the sums of neighbours and as many for the means.

    Members
    -------
    work : In(Work)
        Constant while steps come.
    two_planes : In(1)
        Codes have 8 bit; constant likewise.
    steps : In(stream(step))
        The steps of a word in a row.
    words : Out(stream(bus_bits))

    Timing: latency `LATENCY` from the last step to the word, initiation interval 1 step. Reset: empty.
    """

    LATENCY = 1  #: cycles: assemble

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "work": In(Work),
                "two_planes": In(1),
                "steps": In(stream.Signature(step(config))),
                "words": Out(stream.Signature(config.bus_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self._config.bus_bits
        count = pixels_per_word(self._config)
        given = self.steps.payload
        pixels = [given.word.word_select(index, OUT_BITS) for index in range(count)]
        word = self.words.payload

        accept = Signal()
        m.d.comb += [
            self.steps.ready.eq(~self.words.valid | self.words.ready),
            accept.eq(self.steps.valid & self.steps.ready),
        ]
        with m.If(self.steps.ready):
            m.d.sync += self.words.valid.eq(self.steps.valid & given.last)

        means = []
        for index in range(count // 2):
            beside = Signal(signed(OUT_BITS + 1), name=f"beside_{index}")
            above = Signal(signed(OUT_BITS + 1), name=f"above_{index}")
            square = Signal(signed(OUT_BITS + 2), name=f"square_{index}")
            left, right = pixels[2 * index : 2 * index + 2]
            m.d.comb += [
                beside.eq(left.as_signed() + right.as_signed()),
                square.eq(above + beside + 2),
            ]
            with m.If(accept):
                m.d.sync += above.eq(beside)
            means.append(square[2:])

        def shifted(part: Value) -> Value:
            """The word after `part`; the first part of a word drops what was there."""
            part = Mux(given.zero, 0, part)
            rest = Mux(given.first, 0, word[len(part) :])
            return part if len(part) == bus else Cat(rest, part)

        with m.If(accept):
            with m.Switch(self.work):
                with m.Case(Work.COPY):
                    kept = Cat(Mux(~given.zero & (given.pixels > index), pixels[index], 0) for index in range(count))
                    m.d.sync += word.eq(kept)
                with m.Case(Work.DOUBLE):
                    lower, upper = (doubled(pixels[start : start + count // 2]) for start in (0, count // 2))
                    m.d.sync += word.eq(Mux(given.zero, 0, Mux(given.half, upper, lower)))
                with m.Case(Work.MEAN):
                    with m.If(given.half | given.zero):
                        m.d.sync += word.eq(shifted(Cat(means)))
                with m.Case(Work.CODES):
                    m.d.sync += word.eq(shifted(given.word[:WORD_BITS]))
                    if bus > WORD_BITS:
                        with m.If(self.two_planes):
                            m.d.sync += word.eq(shifted(given.word[: 2 * WORD_BITS]))
        return m
