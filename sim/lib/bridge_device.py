"""Bridge, memory and registers of a board without the accelerator, as a device for a bench."""

from enum import IntEnum

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqdm.rtl import axi
from sqdm.rtl.axi_lite import AxiLite
from sqdm.rtl.board.host_bridge import HostBridge
from sqdm.rtl.board.lite_manager import LiteManager
from sqdm.rtl.board.onchip_memory import OnchipMemory
from sqdm.rtl.board.settings import BoardSettings
from sqdm.rtl.config import Config
from sqdm.rtl.register_file import ADDRESS_BITS, RegisterFile


class BridgeFault(IntEnum):
    """How the device is broken."""

    NONE = 0
    MUTE = 1  #: tx stays 1
    FLIP = 2  #: one bit of what the bridge writes to memory is wrong
    SWALLOW = 3  #: the bridge's writes do not reach the memory, but are answered
    DEAF_BUS = 4  #: the memory's bus takes no address
    WRONG_BEAT = 5  #: one bit of what the bus reads is wrong


class BridgeDevice(wiring.Component):
    """`HostBridge` with `OnchipMemory`, whose bus is called ``s_axi_...``, and a `RegisterFile`.

    TAG counts the commands start; ``fault`` is a `BridgeFault`, constant after reset.
    """

    def __init__(self, config: Config, settings: BoardSettings):
        self._config = config
        self._settings = settings
        bus = wiring.Signature(axi.read_channels(config) | axi.write_channels(config)).flip().members
        self._bus = dict(bus.items())
        members = {f"s_axi_{name}": member for name, member in self._bus.items()}
        super().__init__(members | {"rx": In(1, init=1), "tx": Out(1, init=1), "failed": Out(1), "fault": In(3)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bridge = bridge = HostBridge(self._config, self._settings)
        m.submodules.memory = memory = OnchipMemory(self._config, self._settings.memory_bytes)
        m.submodules.manager = manager = LiteManager(ADDRESS_BITS)
        m.submodules.lite = lite = AxiLite()
        m.submodules.registers = registers = RegisterFile(self._config)
        for name, member in self._bus.items():
            inner, outer = getattr(memory, name), getattr(self, f"s_axi_{name}")
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        for name, member in axi.lite_channels(ADDRESS_BITS).items():
            inner, outer = getattr(lite, name), getattr(manager, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        wiring.connect(m, bridge.registers, manager.host)
        wiring.connect(m, bridge.memory, memory.host)
        m.d.comb += [
            bridge.rx.eq(self.rx),
            self.tx.eq(bridge.tx),
            self.failed.eq(bridge.failed),
            registers.address.eq(lite.address),
            registers.write.eq(lite.write),
            registers.write_data.eq(lite.write_data),
            lite.read_data.eq(registers.read_data),
        ]
        starts = Signal(32)
        m.d.sync += starts.eq(starts + registers.start)
        m.d.comb += registers.tag.eq(starts)

        wrong = Cat(memory.host.requests.payload.data[0], memory.host.requests.payload.write)
        with m.Switch(self.fault):
            with m.Case(BridgeFault.MUTE):
                m.d.comb += self.tx.eq(1)
            with m.Case(BridgeFault.FLIP):
                m.d.comb += wrong[0].eq(~bridge.memory.requests.payload.data[0])
            with m.Case(BridgeFault.SWALLOW):
                m.d.comb += wrong[1].eq(0)
            with m.Case(BridgeFault.DEAF_BUS):
                m.d.comb += [self.s_axi_arready.eq(0), self.s_axi_awready.eq(0)]
                m.d.comb += [memory.arvalid.eq(0), memory.awvalid.eq(0)]
            with m.Case(BridgeFault.WRONG_BEAT):
                m.d.comb += self.s_axi_rdata[0].eq(~memory.rdata[0])
        return m
