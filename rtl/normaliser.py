"""Turns INT16 pixels into activation codes: GroupNorm, adaptive scale, ReLU and quantiser in one multiplication."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import ACT_BITS, CODE_MAX, CONSTANT_BITS, OUT_BITS, SHIFT_BITS, WORD_NIBBLES, Config, ceil_div

CODE_BITS = 9  #: a code before the clamp, signed: holds 0..255 and -119..119
OFFSET_BITS = 32  #: the constant b


def constants() -> data.Layout:
    """The constants of one channel as they are kept: code = y * slope + offset, in units of 2**-shift."""
    return data.StructLayout({"slope": signed(OUT_BITS), "offset": signed(OFFSET_BITS)})


def shift_levels(value: Value, overflow: Value, shift: Value, levels) -> tuple[Value, Value]:
    """``value >> shift`` for the bits `levels` (descending) of `shift`, only as far as a `CODE_BITS` result needs it.

    Returns the low bits, sign on top, and whether the full result lies outside of `CODE_BITS` bits (or'ed to
    `overflow`). What is left to shift after a level says how many bits can still become part of the code: the bits
    above matter for the overflow alone, so that each level is narrower than the one before.
    """
    sign = value[-1]
    for level in levels:
        step = 1 << level
        moved = Mux(shift[level], Cat(value[step:], sign.replicate(step)), value.as_unsigned())
        kept = CODE_BITS - 1 + step  # this many bits and the sign: the levels below shift by less than `step`
        overflow = overflow | (moved[kept - 1 : -1] != sign.replicate(len(moved) - kept))
        value = Cat(moved[: kept - 1], sign)
    return value, overflow


class Normaliser(wiring.Component):
    """``code = clamp((y * a[c] + b[c] + round) >> shift, low, high)`` for `pixel_lanes` pixels per cycle.

    ``round = (1 << shift) >> 1`` and an arithmetic shift, so halves are rounded towards plus infinity. Limits:

    ========  ===========  =============
    codes     4 bit        `two_planes`
    ========  ===========  =============
    unsigned  0..15        0..255
    signed    -8..7        -119..119
    ========  ===========  =============

    An 8-bit code leaves as two nibbles with ``code = 16 * high + low``: of 0..15 when unsigned, balanced digits -8..7
    when signed. Source of the formula: docs/numerics.md.

    Parameters
    ----------
    config : Config
        The accelerator; `pixel_lanes` multipliers of 16 x 16 bit, `chunk_words` words of pixels make 16 codes.

    Members
    -------
    mode : In(payloads.normalise_mode)
        Constant while words are taken or codes on their way.
    constant_writes : In(stream(payloads.constant_write), always ready)
        Fills the memory of constants (64 bit per channel: a in bits 15..0, b in bits 63..32). A word of pixels uses
        what was written before the cycle in which it is taken.
    words : In(stream(payloads.pixels_in))
        INT16 pixels in raster order, all words of 16 pixels of channel ``tag.channel`` in a row; the last one is marked
        ``tag.end``. ``tag.part / 4`` picks 16 pixels out of a 512-bit word. ``tag.tail``: the codes of pixels
        `mode.tail_pixels`..15 are 0. ``tag.zero``: no pixels but 16 codes of 0, by itself.
    codes : Out(stream(payloads.codes_out))
        16 pixels, with the tag of their last word.

    Timing: latency `LATENCY` from the last word of 16 pixels to their codes, initiation interval 1 word. A stall of
    `codes` stops all stages. Reset: empty; the constants keep their content.
    """

    LATENCY = 4  #: cycles: constants read, multiply, add and shift, clamp

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "mode": In(payloads.normalise_mode()),
                "constant_writes": In(stream.Signature(payloads.constant_write(config), always_ready=True)),
                "words": In(stream.Signature(payloads.pixels_in(config))),
                "codes": Out(stream.Signature(payloads.codes_out(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        lanes = config.pixel_lanes
        tag_layout = payloads.load_tag(config)

        advance = Signal()  # all stages move
        take = Signal()  # the multipliers' operands stay where no word comes
        m.d.comb += [
            advance.eq(~self.codes.valid | self.codes.ready),
            self.words.ready.eq(advance),
            take.eq(advance & self.words.valid),
        ]

        # Valid and tag beside the stages
        stages = len(("pixels", "product", "shifted"))
        valids = [Signal(name=f"valid_{stage}") for stage in range(stages)]
        tags = [Signal(tag_layout, name=f"tag_{stage}") for stage in range(stages)]
        with m.If(advance):
            m.d.sync += valids[0].eq(self.words.valid)
            for stage in range(1, stages):
                m.d.sync += [valids[stage].eq(valids[stage - 1]), tags[stage].eq(tags[stage - 1])]

        with m.If(take):
            m.d.sync += tags[0].eq(self.words.payload.tag)

        # Constants: a row is a memory word without its unused bits
        per_row = config.bus_bits // CONSTANT_BITS
        part_bits = (per_row - 1).bit_length()
        m.submodules.constants = memory = Memory(
            shape=data.ArrayLayout(constants(), per_row), depth=ceil_div(config.max_channels, per_row), init=[]
        )
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(self.constant_writes.payload.row),
            write.en.eq(self.constant_writes.valid),
            read.addr.eq(self.words.payload.tag.channel >> part_bits),
            read.en.eq(take),
        ]
        for index in range(per_row):
            word = self.constant_writes.payload.word.word_select(index, CONSTANT_BITS)
            m.d.comb += [
                write.data[index].slope.eq(word[:OUT_BITS]),
                write.data[index].offset.eq(word[CONSTANT_BITS - OFFSET_BITS :]),
            ]
        slope = Signal(signed(OUT_BITS))
        offset = Signal(signed(OFFSET_BITS))
        chosen = constants()(read.data.as_value().word_select(tags[0].channel[:part_bits], constants().size))
        m.d.comb += [slope.eq(chosen.slope), offset.eq(chosen.offset)]

        # Rounding is the same for all pixels, so it is added to b beside the multipliers
        rounding = Signal(1 << SHIFT_BITS)
        rounded_offset = Signal(signed(OFFSET_BITS + 1))
        m.d.comb += rounding.eq((1 << self.mode.shift) >> 1)
        with m.If(advance):
            m.d.sync += rounded_offset.eq(offset + rounding)

        # Limits of the mode
        low = Signal(signed(CODE_BITS))
        high = Signal(signed(CODE_BITS))
        with m.If(self.mode.two_planes):
            m.d.comb += high.eq(Mux(self.mode.signed_codes, CODE_MAX, (1 << 2 * ACT_BITS) - 1))
            m.d.comb += low.eq(Mux(self.mode.signed_codes, -CODE_MAX, 0))
        with m.Else():
            m.d.comb += high.eq(Mux(self.mode.signed_codes, (1 << ACT_BITS - 1) - 1, (1 << ACT_BITS) - 1))
            m.d.comb += low.eq(Mux(self.mode.signed_codes, -(1 << ACT_BITS - 1), 0))

        early, late = (4, 3), (2, 1, 0)  # levels of the shifter before and after the register
        pixels = self.words.payload.word.word_select(self.words.payload.tag.part[2:], lanes * OUT_BITS)
        lows, highs = [], []
        for lane in range(lanes):
            pixel = Signal(signed(OUT_BITS), name=f"pixel_{lane}")
            product = Signal(signed(2 * OUT_BITS), name=f"product_{lane}")
            total = Signal(signed(2 * OUT_BITS + 2), name=f"total_{lane}")
            started, started_overflow = shift_levels(total, 0, self.mode.shift, early)
            shifted = Signal(signed(len(started)), name=f"shifted_{lane}")
            overflow = Signal(name=f"overflow_{lane}")
            m.d.comb += total.eq(product + rounded_offset)
            with m.If(take):
                m.d.sync += pixel.eq(pixels.word_select(lane, OUT_BITS))
            with m.If(advance):
                m.d.sync += [
                    product.eq(pixel * slope),
                    shifted.eq(started),
                    overflow.eq(started_overflow),
                ]
            value = Signal(signed(CODE_BITS), name=f"value_{lane}")
            outside = Signal(name=f"outside_{lane}")
            code = Signal(signed(CODE_BITS), name=f"code_{lane}")
            finished, finished_overflow = shift_levels(shifted, overflow, self.mode.shift, late)
            m.d.comb += [value.eq(finished), outside.eq(finished_overflow), code.eq(value)]
            with m.If(Mux(outside, ~shifted[-1], value > high)):
                m.d.comb += code.eq(high)
            with m.Elif(outside | (value < low)):
                m.d.comb += code.eq(low)
            # 16 * high + low with a negative low: the high digit is one more
            carry = self.mode.signed_codes & code[ACT_BITS - 1]
            lows.append(code[:ACT_BITS])
            highs.append(Mux(self.mode.two_planes, (code[ACT_BITS : 2 * ACT_BITS] + carry)[:ACT_BITS], 0))

        # 16 pixels: each word's codes are shifted in from above, a row of zeros comes at once
        low_row = Signal(WORD_NIBBLES * ACT_BITS)
        high_row = Signal(WORD_NIBBLES * ACT_BITS)
        with m.If(advance):
            m.d.sync += [
                self.codes.valid.eq(valids[-1] & (tags[-1].zero | tags[-1].end)),
                self.codes.payload.tag.eq(tags[-1]),
            ]
            with m.If(valids[-1]):
                for row, codes in ((low_row, lows), (high_row, highs)):
                    m.d.sync += row.eq(Mux(tags[-1].zero, 0, Cat(row[lanes * ACT_BITS :], *codes)))

        for index in range(WORD_NIBBLES):
            present = Signal(name=f"present_{index}")
            m.d.comb += present.eq(~self.codes.payload.tag.tail | (self.mode.tail_pixels > index))
            for nibbles, row in ((self.codes.payload.low, low_row), (self.codes.payload.high, high_row)):
                m.d.comb += nibbles[index].eq(Mux(present, row.word_select(index, ACT_BITS), 0))
        return m
