"""An FP16 array in the style of `sqdm.rtl.mac_array.MacArray`."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from sqdm.errors import UserError

from .floating_point import FP16, FP32, NEGATIVE_ZERO
from .fp16_multiplier import Fp16Multiplier
from .fp32_adder import Fp32Adder


class Fp16MacArray(wiring.Component):
    """Output-stationary array of ``slots x lanes`` FP16 multipliers: ``acc[l] += sum_s act[s] * weight[s][l]`` in FP32.

    Products are exact; every addition is FP32, rounded to nearest, ties to even: first the slots' products by a tree
    (neighbours first), then the tree's sum to the accumulator, which starts at -0. Subnormal operands count as zeros.

    An addition takes `TURNS` cycles, so as many output pixels take turns: cycle t belongs to pixel t % TURNS, whose
    accumulators are then at the end of the adders' pipelines. So the array multiplies in every cycle, and needs no
    other accumulators.

    Parameters
    ----------
    slots, lanes : int
        ``slots`` a power of two; numbers of activations and of output channels per cycle.

    Members
    -------
    step : In(1)
        The slots carry operands of this cycle's pixel; without it nothing is added.
    last : In(1)
        This cycle ends its pixel, with or without ``step``; the next one of this turn starts at -0.
    acts : In(slots x FP16)
    weights : In(slots x lanes x FP16)
    psums : Out(lanes x FP32)
        Sums of the closed pixel, registers; valid while ``psums_valid`` is 1, no back-pressure.
    psums_valid : Out(1)

    Latency: ``latency`` cycles from ``last`` to ``psums_valid``; initiation interval 1. Reset: all accumulators -0.
    """

    TURNS = Fp32Adder.LATENCY

    def __init__(self, slots: int, lanes: int):
        if slots < 1 or slots & (slots - 1):
            raise UserError(f"slots must be a power of two, not {slots}")
        if lanes < 1:
            raise UserError(f"lanes must be >= 1, not {lanes}")
        self._slots = slots
        self._lanes = lanes
        super().__init__(
            {
                "step": In(1),
                "last": In(1),
                "acts": In(data.ArrayLayout(FP16, slots)),
                "weights": In(data.ArrayLayout(data.ArrayLayout(FP16, lanes), slots)),
                "psums": Out(data.ArrayLayout(FP32, lanes)),
                "psums_valid": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``last`` to ``psums_valid``: multiplier, adder tree, accumulator."""
        additions = (self._slots - 1).bit_length() + 1
        return Fp16Multiplier.LATENCY + additions * Fp32Adder.LATENCY

    def elaborate(self, platform):
        m = Module()
        closing = Signal(self.latency)  # bit i: the pixel was closed i + 1 cycles ago
        m.d.sync += closing.eq((closing << 1) | self.last)
        m.d.comb += self.psums_valid.eq(closing[-1])

        for lane in range(self._lanes):
            terms = []
            for slot in range(self._slots):
                m.submodules[f"multiplier_{slot}_{lane}"] = multiplier = Fp16Multiplier()
                m.d.comb += [
                    multiplier.step.eq(self.step),
                    multiplier.act.eq(self.acts[slot]),
                    multiplier.weight.eq(self.weights[slot][lane]),
                ]
                terms.append(multiplier.product)
            while len(terms) > 1:
                pairs = zip(terms[::2], terms[1::2], strict=True)
                terms = [self._sum(m, f"adder_{len(terms)}_{i}_{lane}", *pair) for i, pair in enumerate(pairs)]
            m.submodules[f"accumulator_{lane}"] = adder = Fp32Adder()
            m.d.comb += [
                adder.a.eq(terms[0]),
                adder.b.eq(Mux(closing[-1], NEGATIVE_ZERO, adder.total.as_value())),
                self.psums[lane].eq(adder.total),
            ]
        return m

    @staticmethod
    def _sum(m, name, a, b):
        m.submodules[name] = adder = Fp32Adder()
        m.d.comb += [adder.a.eq(a), adder.b.eq(b)]
        return adder.total
