"""The multiply-accumulate array that both feeders share."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import ACT_BITS, MAX_PRODUCT, Config

PRODUCT_BITS = Config.signed_bits(MAX_PRODUCT)  #: 5 x 4 bit products lie in -120..120, so 8 bits hold them


class MacArray(wiring.Component):
    """Output-stationary array of ``slots x lanes`` multipliers: ``acc[l] += sum_s act[s] * weight[s][l]``.

    A lane's accumulator collects all products of one output pixel; ``last`` closes the pixel and hands the sums over.
    ``shift`` multiplies what was collected so far by 16: between the plane HIGH and the plane LOW of 8-bit activations.
    Source: the PE of SQ-DM (arXiv 2501.15448), arranged so that a slot and not a lane carries the activation.

    Parameters
    ----------
    config : Config
        ``slots``, ``lanes``, ``acc_bits``.

    Members
    -------
    step : In(1)
        The slots carry operands in this cycle; a slot without one presents activation 0.
    last : In(1)
        This cycle ends the pixel, with or without ``step``.
    shift : In(1)
        The sum is multiplied by 16 once this cycle's products, if any, are in it. Not together with ``last``.
    acts : In(slots x signed(5))
        Activations 0..15 or -8..7.
    weights : In(slots x lanes x signed(4))
        Weights -8..7; must be defined wherever ``acts`` is not 0.
    psums : Out(lanes x signed(acc_bits))
        Exact sums of the closed pixel; valid in the cycle in which ``psums_valid`` is 1, no back-pressure.
    psums_valid : Out(1)

    The operands are registered first: a block RAM gives the weights late in the cycle. Products of either sign make an
    accumulator's high bits change back and forth within a cycle, so only the low bits are added at once; whether the
    high ones go up or down by one is registered and done a cycle later. That halves the glitches of the array.

    Latency: `LATENCY` cycles from ``last`` to ``psums_valid``; initiation interval 1. Reset: accumulators 0. The
    accumulator wraps, so a psum is exact if it fits ``acc_bits``, whatever the sums on the way. `Config` checks 9 taps
    x ``max_channels`` x 15 x 8; `Config.wide_channels` is the limit of 8-bit activations.
    """

    LATENCY = 3  #: cycles: operands, products, low bits; the high bits leave combinationally

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "step": In(1),
                "last": In(1),
                "shift": In(1),
                "acts": In(data.ArrayLayout(signed(ACT_BITS + 1), config.slots)),
                "weights": In(data.ArrayLayout(payloads.weight_row(config), config.slots)),
                "psums": Out(payloads.psums(config)),
                "psums_valid": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        slots = self._config.slots
        acts = Signal.like(self.acts)
        weights = Signal.like(self.weights)
        last = Signal()
        shift_next = Signal()
        with_operands = Signal()
        work = Signal()
        accumulate = Signal()
        close = Signal()
        closed = Signal()
        shifted = Signal()
        shift = Signal()
        m.d.sync += [
            with_operands.eq(self.step), last.eq(self.last), shift_next.eq(self.shift), acts.eq(self.acts)
        ]  # fmt: skip
        with m.If(self.step):
            m.d.sync += weights.eq(self.weights)
        m.d.comb += work.eq(with_operands | last | shift_next)
        m.d.sync += [accumulate.eq(work), close.eq(last), shift.eq(shift_next), closed.eq(close), shifted.eq(shift)]

        sum_shape = signed(PRODUCT_BITS + (slots - 1).bit_length())
        for lane in range(self._config.lanes):
            # Stage 1: products of all slots, summed by an adder tree. The register only moves when there is work.
            terms = []
            for slot in range(slots):
                product = Signal(signed(PRODUCT_BITS), name=f"product_{slot}_{lane}")
                m.d.comb += product.eq(acts[slot] * weights[slot][lane])
                terms.append(product)
            while len(terms) > 1:
                terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=True)]
            step_sum = Signal(sum_shape, name=f"step_sum_{lane}")
            with m.If(work):
                m.d.sync += step_sum.eq(terms[0])

            # Stage 2: the low bits; stage 3: the high ones. A pixel that was closed in the cycle before, and the plane
            # HIGH that was, leave stage 2 while the next product comes.
            low_bits = len(step_sum) - 1
            low = Signal(low_bits, name=f"low_{lane}")
            high = Signal(self._config.acc_bits - low_bits, name=f"high_{lane}")
            up = Signal(name=f"up_{lane}")
            down = Signal(name=f"down_{lane}")
            before = Signal(low_bits, name=f"before_{lane}")
            low_sum = Signal(low_bits + 1, name=f"low_sum_{lane}")
            high_sum = Signal.like(high, name=f"high_sum_{lane}")
            shifted_sum = Signal(self._config.acc_bits, name=f"shifted_sum_{lane}")
            m.d.comb += [
                before.eq(Mux(closed, 0, Mux(shifted, low << ACT_BITS, low))),
                low_sum.eq(before + step_sum[:low_bits]),
                high_sum.eq(high + Cat(up | down, down.replicate(len(high) - 1))),
                shifted_sum.eq(Cat(low, high_sum) << ACT_BITS),
                self.psums[lane].eq(Cat(low, high_sum)),
            ]
            m.d.sync += [
                low.eq(Mux(accumulate, low_sum, before)),
                up.eq(accumulate & low_sum[-1] & ~step_sum[-1]),
                down.eq(accumulate & ~low_sum[-1] & step_sum[-1]),
                high.eq(Mux(closed, 0, Mux(shifted, shifted_sum[low_bits:], high_sum))),
            ]
        m.d.comb += self.psums_valid.eq(closed)
        return m
