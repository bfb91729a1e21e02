"""The accelerator's bus interfaces alone: memory port, AXI4-Lite and registers, as a device for a bench."""

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sqdm.rtl import axi, payloads
from sqdm.rtl.axi_lite import AxiLite
from sqdm.rtl.config import Config
from sqdm.rtl.memory_port import MemoryPort
from sqdm.rtl.register_file import ADDRESS_BITS, RegisterFile

READERS, WRITERS = 3, 2
CLIENTS = {"reads": READERS, "answers": READERS, "writes": WRITERS}


class AxiDevice(wiring.Component):
    """Clients' streams as members of their own: `reads_0`, `answers_0`, `writes_0`, ...

    Window and watchdog come from the registers; STATUS shows {error code, error, idle}, FAULT the error's address, TAG
    counts the commands start, READS and WRITES count memory words. Bus members are called `m_axi_...` and `s_axi_...`.
    """

    def __init__(self, config: Config):
        self._config = config
        shapes = {
            "reads": In(stream.Signature(payloads.ADDRESS_BITS)),
            "answers": Out(stream.Signature(config.bus_bits)),
            "writes": In(stream.Signature(payloads.memory_write(config))),
        }
        members = {f"{name}_{number}": shapes[name] for name, count in CLIENTS.items() for number in range(count)}
        self._buses = {
            "m_axi_": axi.read_channels(config) | axi.write_channels(config),
            "s_axi_": axi.lite_channels(ADDRESS_BITS),
        }
        for prefix, channels in self._buses.items():
            members |= {prefix + name: member for name, member in channels.items()}
        super().__init__(members | {"flush": In(1), "idle": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.port = port = MemoryPort(self._config, READERS, WRITERS)
        m.submodules.lite = lite = AxiLite()
        m.submodules.registers = registers = RegisterFile(self._config)
        for name, count in CLIENTS.items():
            for number in range(count):
                outer, inner = getattr(self, f"{name}_{number}"), getattr(port, name)[number]
                source, sink = (inner, outer) if name == "answers" else (outer, inner)
                m.d.comb += [
                    sink.valid.eq(source.valid),
                    sink.payload.eq(source.payload),
                    source.ready.eq(sink.ready),
                ]
        for part, (prefix, channels) in zip((port, lite), self._buses.items(), strict=True):
            for name, member in channels.items():
                inner, outer = getattr(part, name), getattr(self, prefix + name)
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        m.d.comb += [
            port.flush.eq(self.flush),
            port.window_first.eq(registers.window_first),
            port.window_last.eq(registers.window_last),
            port.watchdog.eq(registers.watchdog),
            self.idle.eq(port.idle),
            self.error.eq(port.error),
            registers.address.eq(lite.address),
            registers.write.eq(lite.write),
            registers.write_data.eq(lite.write_data),
            lite.read_data.eq(registers.read_data),
            registers.status.eq(Cat(port.idle, port.error, Const(0, 6), port.error_code)),
            registers.fault.eq(port.error_address),
        ]
        for event, counter in ((registers.start, "tag"), (port.read, "reads"), (port.write, "writes")):
            with m.If(event):
                m.d.sync += getattr(registers, counter).eq(getattr(registers, counter) + 1)
        return m
