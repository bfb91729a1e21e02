"""An INT8 array in the style of `sqdm.rtl.mac_array.MacArray`."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from sqdm.errors import UserError

BITS = 8
PRODUCT_BITS = 2 * BITS  #: -128 x -128 = 2^14 fits, and so do sums of two's complement numbers on the way


class Int8MacArray(wiring.Component):
    """Output-stationary array of ``slots x lanes`` multipliers: ``acc[l] += sum_s act[s] * weight[s][l]``, INT8 x INT8.

    Parameters
    ----------
    slots, lanes : int
        ``slots`` a power of two; numbers of activations and of output channels per cycle.
    acc_bits : int
        Width of the sums, at least that of a product.

    Members
    -------
    step : In(1)
        The slots carry operands in this cycle.
    last : In(1)
        This cycle ends the pixel, with or without ``step``.
    acts : In(slots x signed(8))
    weights : In(slots x lanes x signed(8))
    psums : Out(lanes x signed(acc_bits))
        Exact sums, modulo 2^acc_bits, of the closed pixel; valid while ``psums_valid`` is 1, no back-pressure.
    psums_valid : Out(1)

    Latency: `LATENCY` cycles from ``last`` to ``psums_valid``; initiation interval 1. Reset: accumulators 0.
    """

    LATENCY = 1

    def __init__(self, slots: int, lanes: int, acc_bits: int = 32):
        if slots < 1 or slots & (slots - 1):
            raise UserError(f"slots must be a power of two, not {slots}")
        if lanes < 1:
            raise UserError(f"lanes must be >= 1, not {lanes}")
        if acc_bits < PRODUCT_BITS:
            raise UserError(f"acc_bits must be >= {PRODUCT_BITS}, not {acc_bits}")
        self._slots = slots
        self._lanes = lanes
        self._acc_bits = acc_bits
        weight_row = data.ArrayLayout(signed(BITS), lanes)
        super().__init__(
            {
                "step": In(1),
                "last": In(1),
                "acts": In(data.ArrayLayout(signed(BITS), slots)),
                "weights": In(data.ArrayLayout(weight_row, slots)),
                "psums": Out(data.ArrayLayout(signed(acc_bits), lanes)),
                "psums_valid": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        accumulate = Signal()
        close = Signal()
        m.d.sync += [accumulate.eq(self.step), close.eq(self.last)]
        m.d.comb += self.psums_valid.eq(close)
        sum_shape = signed(PRODUCT_BITS + (self._slots - 1).bit_length())
        for lane in range(self._lanes):
            # Stage 1: products of all slots, summed by an adder tree. The register only moves when there is work.
            terms = []
            for slot in range(self._slots):
                product = Signal(signed(PRODUCT_BITS), name=f"product_{slot}_{lane}")
                m.d.comb += product.eq(self.acts[slot] * self.weights[slot][lane])
                terms.append(product)
            while len(terms) > 1:
                terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=True)]
            step_sum = Signal(sum_shape, name=f"step_sum_{lane}")
            with m.If(self.step):
                m.d.sync += step_sum.eq(terms[0])

            # Stage 2: accumulate; the closing sum leaves combinationally and the accumulator restarts.
            acc = Signal(signed(self._acc_bits), name=f"acc_{lane}")
            total = Signal(signed(self._acc_bits), name=f"total_{lane}")
            m.d.comb += [total.eq(acc), self.psums[lane].eq(total)]
            with m.If(accumulate):
                m.d.comb += total.eq(acc + step_sum)
            with m.If(close):
                m.d.sync += acc.eq(0)
            with m.Elif(accumulate):
                m.d.sync += acc.eq(total)
        return m
