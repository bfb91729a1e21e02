"""A pipelined FP32 adder."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .floating_point import FP32, Unpacked, pack

GUARD_BITS = 3  #: guard, round and sticky bit
WIDTH = 24 + GUARD_BITS  #: of an aligned significand


class Fp32Adder(wiring.Component):
    """``total = a + b``, rounded to nearest, ties to even.

    Subnormal operands count as zeros of their sign, and a result below 2^-126 becomes a zero of its sign; sums of FP16
    products are multiples of 2^-48, so they never get there. Otherwise IEEE 754; every NaN is `QUIET_NAN`.

    Members
    -------
    a, b : In(32)
    total : Out(32), a register

    Latency: `LATENCY` cycles; initiation interval 1. Reset: -0 leaves, until the first operands are through.
    """

    LATENCY = 5

    def __init__(self):
        super().__init__({"a": In(FP32), "b": In(FP32), "total": Out(FP32, init={"sign": 1})})

    def elaborate(self, platform):
        m = Module()

        def registers(stage, **values):
            delayed = [
                Signal(len(value), name=f"{name}_{stage}", init=name == "sign") for name, value in values.items()
            ]
            m.d.sync += [register.eq(value) for register, value in zip(delayed, values.values(), strict=True)]
            return delayed

        def wire(name, value):
            signal = Signal(len(value), name=name)
            m.d.comb += signal.eq(value)
            return signal

        # Stage 1: the operand of the larger magnitude comes first; by how far the other one's exponent is smaller.
        a, b = Unpacked(self.a), Unpacked(self.b)
        swap = wire("swap", self.a.as_value()[:31] < self.b.as_value()[:31])
        opposite = a.sign ^ b.sign
        large, small, exponent, distance, sign, subtract, infinite, nan = registers(
            1,
            large=Mux(swap, b.significand, a.significand),
            small=Mux(swap, a.significand, b.significand),
            exponent=Mux(swap, b.exponent, a.exponent),
            distance=Mux(swap, (b.exponent - a.exponent)[:8], (a.exponent - b.exponent)[:8]),
            sign=Mux(swap, b.sign, a.sign),
            subtract=opposite,
            infinite=a.is_infinite | b.is_infinite,
            nan=a.is_nan | b.is_nan | (a.is_infinite & b.is_infinite & opposite),
        )

        # Stage 2: align; the sticky bit remembers ones that fell out at the low end.
        aligned = wire("aligned_0", small << GUARD_BITS)
        for level in range(5):
            step = 1 << level
            moved = Cat(aligned[: step + 1].any(), aligned[step + 1 :], *[0] * step)[:WIDTH]
            aligned = wire(f"aligned_{step}", Mux(distance[level], moved, aligned))
        aligned = Mux(distance[5:].any(), 0, aligned)  # less than a quarter of the last place rounds away
        large, aligned, exponent, sign, subtract, infinite, nan = registers(
            2, large=large, aligned=aligned, exponent=exponent, sign=sign, subtract=subtract, infinite=infinite, nan=nan
        )

        # Stage 3: add or subtract; the carry in is a bit below both operands.
        operand = Cat(subtract, aligned ^ subtract.replicate(WIDTH))
        carry_sum = wire("carry_sum", Cat(subtract, large << GUARD_BITS) + operand)
        raw = Cat(carry_sum[1 : WIDTH + 1], carry_sum[WIDTH + 1] & ~subtract)
        raw, exponent, sign, subtract, infinite, nan = registers(
            3, raw=raw, exponent=exponent, sign=sign, subtract=subtract, infinite=infinite, nan=nan
        )

        # Stage 4: shift the leading one to the top. Equal numbers of opposite signs give +0.
        zeros = []
        for level in reversed(range(5)):
            step = 1 << level
            none = wire(f"none_{step}", ~raw[len(raw) - step :].any())
            raw = wire(f"raw_{step}", Mux(none, Cat(*[0] * step, raw)[: WIDTH + 1], raw))
            zeros.insert(0, none)
        empty = ~raw[-1]
        normal, exponent, sign, empty, infinite, nan = registers(
            4,
            normal=raw[:-1],
            exponent=(exponent + 1 - Cat(*zeros))[:10],
            sign=sign & ~(empty & subtract),
            empty=empty,
            infinite=infinite,
            nan=nan,
        )

        # Stage 5: round. A carry out of the fraction leaves fraction 0 and moves the exponent.
        fraction = normal[GUARD_BITS + 1 :]
        up = normal[GUARD_BITS] & (normal[:GUARD_BITS].any() | fraction[0])
        rounded = wire("rounded", (fraction + up)[:24])
        carry = rounded[23]
        below = exponent[9] | (exponent == 0)
        above = ~exponent[9] & exponent[:8].all()  # a carry to exponent 255 leaves fraction 0, which is infinity
        final = Mux(carry, exponent[:8] + 1, exponent[:8])[:8]
        m.d.sync += self.total.eq(pack(sign, final, rounded[:23], empty | below, infinite | above, nan))
        return m
