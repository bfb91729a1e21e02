"""A device that can be broken on purpose: proves that a bench notices."""

from enum import IntEnum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

FAULT_BITS = 3
TARGET = 2  #: the transfer that FLIP, SWALLOW and REPEAT hit: the third since reset


class Fault(IntEnum):
    """What goes wrong on the output stream."""

    NONE = 0
    FLIP = 1  #: bit 0 of the third payload is wrong
    SWALLOW = 2  #: the third transfer is missing
    REPEAT = 3  #: the third transfer comes twice
    MUTE = 4  #: valid is stuck low
    UNSTEADY = 5  #: a payload changes when it is taken late, but is right in the end


FAULTS = tuple(fault for fault in Fault if fault != Fault.NONE)


class Breakable(wiring.Component):
    """`component` with one of its output streams passed through a saboteur; transparent while `fault` is 0.

    Parameters
    ----------
    component : wiring.Component
    stream : str
        Name of the output stream that can be broken.

    Members
    -------
    Those of `component`, and
    fault : In(FAULT_BITS)
        A `Fault`, constant after reset.
    """

    def __init__(self, component: wiring.Component, stream: str):
        self._component = component
        self._stream = stream
        members = dict(component.signature.members)
        if stream not in members or members[stream].flow != Out:
            raise ValueError(f"stream must be an output stream of the component, not {stream!r}")
        super().__init__(members | {"fault": In(FAULT_BITS)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.device = inner = self._component
        for name, member in inner.signature.members.items():
            if name == self._stream:
                continue
            if member.is_signature:
                outside, inside = getattr(self, name), getattr(inner, name)
                pairs = zip(outside, inside, strict=True) if member.dimensions else [(outside, inside)]
                for outer, own in pairs:
                    wiring.connect(m, wiring.flipped(outer), own)
            elif member.flow == In:
                m.d.comb += getattr(inner, name).eq(getattr(self, name))
            else:
                m.d.comb += getattr(self, name).eq(getattr(inner, name))
        self._sabotage(m, getattr(inner, self._stream), getattr(self, self._stream))
        return m

    def _sabotage(self, m: Module, i, o):
        always_ready = self.signature.members[self._stream].signature.always_ready
        ready = 1 if always_ready else o.ready
        count = Signal(range(TARGET + 2))
        repeated = Signal()
        hit = count == TARGET
        flip = Signal()
        bits = i.payload.as_value() if hasattr(i.payload, "as_value") else i.payload
        out = o.payload.as_value() if hasattr(o.payload, "as_value") else o.payload
        m.d.comb += [o.valid.eq(i.valid), out.eq(bits ^ flip)]
        if not always_ready:
            m.d.comb += i.ready.eq(o.ready)
        with m.Switch(self.fault):
            with m.Case(Fault.FLIP):
                m.d.comb += flip.eq(hit)
            with m.Case(Fault.SWALLOW):
                with m.If(hit):
                    m.d.comb += o.valid.eq(0)
                    if not always_ready:
                        m.d.comb += i.ready.eq(1)
            with m.Case(Fault.REPEAT):
                if always_ready:  # its payload once more in the next cycle that has no transfer of its own
                    last = Signal.like(bits)
                    with m.If(i.valid & hit):
                        m.d.sync += [last.eq(bits), repeated.eq(1)]
                    with m.If(repeated & ~i.valid):
                        m.d.comb += [o.valid.eq(1), out.eq(last)]
                        m.d.sync += repeated.eq(0)
                else:
                    with m.If(hit & ~repeated):
                        m.d.comb += i.ready.eq(0)
                        with m.If(o.valid & o.ready):
                            m.d.sync += repeated.eq(1)
            with m.Case(Fault.MUTE):
                m.d.comb += o.valid.eq(0)
                if not always_ready:
                    m.d.comb += i.ready.eq(0)
            with m.Case(Fault.UNSTEADY):
                m.d.comb += flip.eq(Mux(i.valid, ~ready, 0) if not always_ready else 0)
        taken = i.valid if always_ready else i.valid & i.ready
        with m.If(taken & (count <= TARGET)):
            m.d.sync += count.eq(count + 1)
