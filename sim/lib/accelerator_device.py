"""The whole accelerator as a device for a bench: its write data is a stream, so that faults can hit it."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sqdm.rtl.accelerator import MASTER, Accelerator
from sqdm.rtl.config import Config

STREAM = "m_axi_w"
#: Ports of the device that have another name than in the standard, because `STREAM` is a stream.
RENAMED = {f"{STREAM}{end}": f"{STREAM}__{part}" for end, part in
           (("data", "payload"), ("valid", "valid"), ("ready", "ready"))}  # fmt: skip


class AcceleratorDevice(wiring.Component):
    """`Accelerator` with wdata, wvalid and wready of its memory port as the output stream `m_axi_w`."""

    def __init__(self, config: Config):
        self._inner = Accelerator(config)
        self._same = {name: member for name, member in self._inner.signature.members.items() if name not in RENAMED}
        super().__init__(self._same | {STREAM: Out(stream.Signature(config.bus_bits))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = inner = self._inner
        for name, member in self._same.items():
            mine, theirs = getattr(self, name), getattr(inner, name)
            m.d.comb += theirs.eq(mine) if member.flow == In else mine.eq(theirs)
        beats = getattr(self, STREAM)
        m.d.comb += [
            beats.payload.eq(getattr(inner, f"{MASTER}wdata")),
            beats.valid.eq(getattr(inner, f"{MASTER}wvalid")),
            getattr(inner, f"{MASTER}wready").eq(beats.ready),
        ]
        return m


class Ports:
    """The ports of the simulated device under the names of the standard, as handles."""

    def __init__(self, dut):
        self._dut = dut

    def __getattr__(self, name: str):
        return getattr(self._dut, RENAMED.get(name, name))

    def __dir__(self):
        return [*RENAMED, *dir(self._dut)]
