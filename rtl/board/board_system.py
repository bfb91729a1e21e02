"""An accelerator with its memory and its host on a serial line: everything but the board's clock and pins."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqdm.rtl import axi
from sqdm.rtl.accelerator import MASTER, SLAVE, Accelerator
from sqdm.rtl.config import Config
from sqdm.rtl.register_file import ADDRESS_BITS

from .host_bridge import HostBridge
from .lite_manager import LiteManager
from .onchip_memory import OnchipMemory
from .settings import BoardSettings


class BoardSystem(wiring.Component):
    """The accelerator, its memory in block RAM, and a host bridge.

    Parameters
    ----------
    config : Config
        The accelerator.
    settings : BoardSettings

    Members
    -------
    rx, tx : In(1), Out(1)
        Serial lines, 8N1, `BoardSettings.baud`; 1 when idle.
    busy : Out(1)
        LED: a request is served or the accelerator uses its memory.
    error : Out(1)
        LED: a request was answered with another status than OK.

    Each LED is on for at least `BoardSettings.led_cycles`. Reset state: LEDs off, accelerator idle; the memory keeps
    its content.
    """

    def __init__(self, config: Config, settings: BoardSettings):
        self._config = config
        self._settings = settings
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = accelerator = Accelerator(self._config)
        m.submodules.memory = memory = OnchipMemory(self._config, self._settings.memory_bytes)
        m.submodules.bridge = bridge = HostBridge(self._config, self._settings)
        m.submodules.registers = registers = LiteManager(ADDRESS_BITS)

        # Managers drive what their channels call Out.
        bus = axi.read_channels(self._config) | axi.write_channels(self._config)
        pairs = [(accelerator, MASTER + name, memory, name, member.flow) for name, member in bus.items()]
        lite = axi.lite_channels(ADDRESS_BITS)
        pairs += [(accelerator, SLAVE + name, registers, name, member.flow) for name, member in lite.items()]
        for part, outer, other, inner, flow in pairs:
            mine, theirs = getattr(part, outer), getattr(other, inner)
            m.d.comb += theirs.eq(mine) if flow == Out else mine.eq(theirs)
        wiring.connect(m, bridge.memory, memory.host)
        wiring.connect(m, bridge.registers, registers.host)
        m.d.comb += [bridge.rx.eq(self.rx), self.tx.eq(bridge.tx)]

        moves = accelerator.m_axi_arvalid | accelerator.m_axi_awvalid
        self._stretch(m, self.busy, bridge.active | moves)
        self._stretch(m, self.error, bridge.failed)
        return m

    def _stretch(self, m: Module, led, event) -> None:
        """Keep an LED on for a while after an event."""
        left = Signal(range(self._settings.led_cycles + 1))
        m.d.sync += led.eq(left != 0)
        with m.If(event):
            m.d.sync += left.eq(self._settings.led_cycles)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
