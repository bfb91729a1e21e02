"""A frame of registers around a part, so that its ports need no pins and its paths begin and end in flip-flops."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from sqdm.sim.emit import ports

PART = "part"  #: the part's name inside the frame


class Harness(wiring.Component):
    """Every input bit of a part is a link of a shift register, every output bit is registered and folded into one bit.

    A part has more port bits than a package has pins. From the flip-flops of the shift register to the part, and from
    the part to the flip-flops that take its outputs, there is no logic but the part's own. The part's reset is a
    flip-flop, as in `Accelerator`.

    Parameters
    ----------
    part : wiring.Component

    Members
    -------
    serial_out : Out(1)
        The exclusive or of all output bits, one link a cycle: nothing of the part can be left out by synthesis.

    The shift register feeds itself, so that no input pin is needed either.
    """

    def __init__(self, part: wiring.Component):
        self._part = part
        super().__init__({"serial_out": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        found = ports(self._part).values()
        inputs = Cat(signal for signal, direction in found if direction.value == "input")
        outputs = Cat(signal for signal, direction in found if direction.value == "output")
        reset = Signal(init=1)
        m.domains.part = domain = ClockDomain(local=True)
        m.submodules.part = DomainRenamer(PART)(self._part)
        shifted = Signal(len(inputs))
        taken = Signal(len(outputs))
        folded = Signal(len(outputs))
        m.d.comb += [
            domain.clk.eq(ClockSignal()),
            domain.rst.eq(reset),
            inputs.eq(shifted),
            self.serial_out.eq(folded[-1]),
        ]
        m.d.sync += [
            reset.eq(0),
            shifted.eq(Cat(~shifted[-1], shifted)),
            taken.eq(outputs),
            folded.eq(Cat(folded[-1], folded) ^ taken),
        ]
        return m
