"""Packs output pixels into codes of 8-bit weights."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import CODE_MAX, WEIGHT_BITS, WORD_NIBBLES, Config, ceil_div


class WeightPacker(wiring.Component):
    """Clamps outputs to -119..119 and collects the digits of one pixel's neighbouring channels.

    Sixteen channels make 128 bit: the low digits of all, then the high ones, 4-bit two's complement. Digits are
    balanced, -8..7: the low one has the low bits of the value, the high one is ``(value + 8) >> 4``. A narrower memory
    word holds the low or the high digits, a wider one several times 16 channels.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    groups : In(stream of payloads.output_group)
        Requantised outputs, pixel by pixel, channels ascending, a multiple of ``max(16, bus_bits / 8)`` channels each.
    start : In(1)
        Strobe: the next group is the first of a pixel; drops what is buffered.
    words : Out(stream of bus_bits)
        Memory words, channels ascending; a register.

    Timing: `LATENCY` from the last group of a word to the word; initiation interval 1 group, which `words.ready` = 1
    sustains. After reset as after `start`.
    """

    LATENCY = 1  #: cycles

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "groups": In(stream.Signature(payloads.output_group(config))),
                "start": In(1),
                "words": Out(stream.Signature(config.bus_bits)),
            }
        )

    def elaborate(self, platform):
        config = self._config
        lanes = config.post_lanes
        digits = WORD_NIBBLES * WEIGHT_BITS  # bits of one kind of digit of 16 channels
        blocks = ceil_div(config.bus_bits, 2 * digits)  # of 16 channels
        groups = blocks * WORD_NIBBLES // lanes
        words = ceil_div(2 * digits, config.bus_bits)
        m = Module()

        lows = []
        highs = []
        for lane in range(lanes):
            code = Signal(2 * WEIGHT_BITS, name=f"code_{lane}")
            value = self.groups.payload[lane]
            m.d.comb += code.eq(Mux(value > CODE_MAX, CODE_MAX, Mux(value < -CODE_MAX, -CODE_MAX, value)))
            lows.append(code[:WEIGHT_BITS])
            highs.append((code + (1 << WEIGHT_BITS - 1))[WEIGHT_BITS : 2 * WEIGHT_BITS])

        # Digits are shifted in from above; the last group completes the pixel's channels
        collected = [
            Signal(digits * blocks - lanes * WEIGHT_BITS, name=f"collected_{kind}") for kind in ("low", "high")
        ]
        complete = [Cat(old, *new) for old, new in zip(collected, (lows, highs), strict=True)]
        ordered = Cat(digit.word_select(block, digits) for block in range(blocks) for digit in complete)

        group = Signal(range(groups))
        part = Signal(range(max(2, words)))  # memory words of `buffer` that were taken
        buffer = Signal(2 * digits * blocks)
        room = Signal()
        m.d.comb += [
            self.words.payload.eq(buffer[: config.bus_bits]),
            room.eq(~self.words.valid | (self.words.ready & (part == words - 1))),
            self.groups.ready.eq((group != groups - 1) | room),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [
                part.eq(Mux(part == words - 1, 0, part + 1)),
                self.words.valid.eq(part != words - 1),
                buffer.eq(buffer >> config.bus_bits),
            ]
        with m.If(self.groups.valid & self.groups.ready):
            m.d.sync += group.eq(group + 1)  # groups is a power of two: wraps
            m.d.sync += [old.eq(new[lanes * WEIGHT_BITS :]) for old, new in zip(collected, complete, strict=True)]
            with m.If(group == groups - 1):
                m.d.sync += [buffer.eq(ordered), self.words.valid.eq(1)]
        with m.If(self.start):
            m.d.sync += [group.eq(0), part.eq(0), self.words.valid.eq(0)]

        return m
