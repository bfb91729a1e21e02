"""Floating-point formats of the baselines, and what their arithmetic has in common."""

from amaranth.hdl import Cat, Const, Mux, Value, unsigned
from amaranth.lib import data

FP16 = data.StructLayout({"fraction": 10, "exponent": 5, "sign": 1})  #: IEEE 754 binary16
FP32 = data.StructLayout({"fraction": 23, "exponent": 8, "sign": 1})  #: IEEE 754 binary32
INFINITY = 0x7F800000  #: of FP32
QUIET_NAN = 0x7FC00000  #: the only NaN that leaves an adder or a multiplier
NEGATIVE_ZERO = 0x80000000  #: adding it changes no number, not even another zero


class Unpacked:
    """Class of a number, and its significand with the hidden bit. Subnormal numbers count as zeros of their sign."""

    def __init__(self, number: data.View):
        special = number.exponent.all()
        self.sign = number.sign
        self.exponent = number.exponent
        self.is_zero = number.exponent == 0
        self.is_infinite = special & (number.fraction == 0)
        self.is_nan = special & (number.fraction != 0)
        hidden = ~self.is_zero
        self.significand = Cat(number.fraction & hidden.replicate(len(number.fraction)), hidden)


def pack(sign: Value, exponent: Value, fraction: Value, zero: Value, infinite: Value, nan: Value) -> Value:
    """The 32 bits of an FP32 number; ``nan`` wins over ``infinite``, which wins over ``zero``."""
    magnitude = Mux(zero, 0, Cat(fraction, exponent))
    signed_number = Cat(Mux(infinite, INFINITY, magnitude)[:31], sign)
    return Mux(nan, Const(QUIET_NAN, unsigned(32)), signed_number)
