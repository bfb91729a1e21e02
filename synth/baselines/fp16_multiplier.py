"""A pipelined FP16 multiplier."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .floating_point import FP16, FP32, NEGATIVE_ZERO, Unpacked, pack

BIASES = 127 - 2 * 15  #: the exponent's bias in FP32, less those of both operands
SPLIT = 6  #: bits of the weight's significand in the first partial product


class Fp16Multiplier(wiring.Component):
    """``product = act * weight``, exact: 22 bits of significand fit FP32's 24, and the exponents fit too.

    Subnormal operands count as zeros of their sign. Otherwise IEEE 754; every NaN is `QUIET_NAN`.

    Members
    -------
    step : In(1)
        There are operands in this cycle; without them the product is -0, which adds nothing.
    act, weight : In(16)
    product : Out(32), a register

    Latency: `LATENCY` cycles; initiation interval 1. The first stage only moves with ``step``. Reset: -0.
    """

    LATENCY = 2

    def __init__(self):
        super().__init__({"step": In(1), "act": In(FP16), "weight": In(FP16), "product": Out(FP32, init={"sign": 1})})

    def elaborate(self, platform):
        m = Module()
        act, weight = Unpacked(self.act), Unpacked(self.weight)

        # Stage 1: two partial products.
        low = Signal(11 + SPLIT)
        high = Signal(22 - SPLIT)
        exponent = Signal(8)
        sign = Signal()
        zero = Signal()
        infinite = Signal()
        nan = Signal()
        valid = Signal()
        any_zero = act.is_zero | weight.is_zero
        any_infinite = act.is_infinite | weight.is_infinite
        m.d.sync += valid.eq(self.step)
        with m.If(self.step):
            m.d.sync += [
                low.eq(act.significand * weight.significand[:SPLIT]),
                high.eq(act.significand * weight.significand[SPLIT:]),
                exponent.eq(act.exponent + weight.exponent + BIASES),
                sign.eq(act.sign ^ weight.sign),
                zero.eq(any_zero),
                infinite.eq(any_infinite),
                nan.eq(act.is_nan | weight.is_nan | (any_zero & any_infinite)),
            ]

        # Stage 2: their sum lies in 1..4 (20 bits of fraction), so it moves by one bit at most.
        significand = Signal(22)
        m.d.comb += significand.eq(low + (high << SPLIT))
        carry = significand[21]
        fraction = Mux(carry, Cat(0, 0, significand[:21]), Cat(0, 0, 0, significand[:20]))
        product = pack(sign, (exponent + carry)[:8], fraction, zero, infinite, nan)
        m.d.sync += self.product.eq(Mux(valid, product, NEGATIVE_ZERO))
        return m
