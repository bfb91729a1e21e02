"""Serves a host on a serial line: memory and registers, read and written in checked frames."""

import functools
import operator

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sqdm.rtl import axi
from sqdm.rtl.config import Config
from sqdm.rtl.register_file import ADDRESS_BITS

from . import host_port, lite_manager, protocol
from .frame_receiver import FrameReceiver
from .frame_sender import FrameSender
from .protocol import MAX_PAYLOAD, REGISTER_BYTES, Operation, ReplyStatus
from .settings import BoardSettings, configuration_number
from .uart_receiver import DATA_BITS, UartReceiver
from .uart_transmitter import UartTransmitter

MEMORY = (Operation.READ_MEMORY, Operation.WRITE_MEMORY)
REGISTERS = (Operation.READ_REGISTERS, Operation.WRITE_REGISTERS)


class HostBridge(wiring.Component):
    """Does what the frames of `protocol` ask for, one at a time, and replies to each.

    A payload is written after its frame has been checked, and what is read is collected before the reply begins, so
    that every reply tells the outcome. Nothing that comes in can stop the bridge: see `FrameReceiver`.

    Parameters
    ----------
    config : Config
        The accelerator.
    settings : BoardSettings

    Members
    -------
    rx, tx : In(1), Out(1)
        Serial lines.
    memory : Out(host_port.signature(32, bus_bits)), registers : Out(host_port.signature(ADDRESS_BITS, 32))
        What the host reaches. Every access must be answered.
    active : Out(1)
        A request is being served.
    failed : Out(1)
        Strobe: a reply with another status than OK ends.

    Timing: a byte of payload takes two cycles on its way into the memory, one on its way back, a word or register in
    addition what the port takes. Reset state: waits for a frame.
    """

    def __init__(self, config: Config, settings: BoardSettings):
        self._config = config
        self._settings = settings
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "memory": Out(host_port.signature(axi.ADDRESS_BITS, config.bus_bits)),
                "registers": Out(host_port.signature(ADDRESS_BITS, lite_manager.DATA_BITS)),
                "active": Out(1),
                "failed": Out(1),
            }
        )

    @property
    def identity(self) -> bytes:
        """The payload that answers IDENTIFY."""
        values = {
            "magic": protocol.MAGIC,
            "version": protocol.VERSION,
            "max_payload": MAX_PAYLOAD,
            "memory_bytes": self._settings.memory_bytes,
            "clock_hz": self._settings.clock_hz,
            "configuration": configuration_number(self._config),
        }
        return b"".join(values[name].to_bytes(size, "little") for name, size in protocol.IDENTITY.items())

    def elaborate(self, platform):
        m = Module()
        m.submodules.uart_receiver = serial_in = UartReceiver(self._settings.clocks_per_bit)
        m.submodules.uart_transmitter = serial_out = UartTransmitter(self._settings.clocks_per_bit)
        m.submodules.receiver = receiver = FrameReceiver(self._settings.idle_cycles)
        m.submodules.sender = sender = FrameSender()
        m.submodules.buffer = buffer = Memory(shape=DATA_BITS, depth=MAX_PAYLOAD, init=[])
        store = buffer.write_port()
        load = buffer.read_port()
        wiring.connect(m, serial_in.received, receiver.received)
        wiring.connect(m, sender.bytes, serial_out.bytes)
        m.d.comb += [
            serial_in.rx.eq(self.rx),
            self.tx.eq(serial_out.tx),
            receiver.broken.eq(serial_in.broken),
            receiver.quiet.eq(serial_in.quiet),
        ]

        request = receiver.requests.payload
        is_memory = is_one_of(request.operation, MEMORY)
        is_registers = is_one_of(request.operation, REGISTERS)
        is_write = (request.operation & protocol.WRITE) != 0

        # What the request deserves
        status = Signal(ReplyStatus)
        earlier = Signal(DATA_BITS)  # sequence number of the request before
        follows = Signal()  # there was one
        repeated = Signal()

        # The payload and its words
        index = Signal(range(MAX_PAYLOAD + 1))
        word = Signal(self._config.bus_bits)
        address = Signal(axi.ADDRESS_BITS)
        last_of_word = Signal()  # the byte at `index` is the last one of its word or register
        complete = Signal()
        identity = Const(int.from_bytes(self.identity, "little"), DATA_BITS * protocol.IDENTITY_BYTES)
        unit = Mux(is_memory, self._config.bus_bytes, REGISTER_BYTES)
        m.d.comb += [
            last_of_word.eq((index & (unit - 1)) == unit - 1),
            complete.eq(index == request.length),
            store.en.eq(receiver.store),
            store.addr.eq(receiver.store_index),
            store.data.eq(receiver.store_data),
            load.addr.eq(index),
            self.active.eq(receiver.requests.valid),
        ]
        for port in (self.memory, self.registers):
            bits = len(port.requests.payload.data)
            m.d.comb += [
                port.requests.payload.address.eq(address),
                port.requests.payload.write.eq(is_write),
                port.requests.payload.data.eq(word[-bits:]),
            ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [index.eq(0), address.eq(request.address)]
                with m.If(receiver.requests.valid):
                    m.next = "JUDGE"
            with m.State("JUDGE"):
                again = follows & (earlier == request.sequence) & (request.operation == Operation.WRITE_REGISTERS)
                m.d.sync += [status.eq(self._judge(request, is_memory, is_registers)), repeated.eq(again)]
                m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += [earlier.eq(request.sequence), follows.eq(1)]
                with m.If((status != ReplyStatus.OK) | repeated):
                    m.d.sync += [earlier.eq(earlier), follows.eq(follows)]
                    m.next = "REPLY"
                with m.Elif(is_write):
                    m.next = "FETCH"
                with m.Else():
                    m.next = "ACCESS"

            with m.State("FETCH"):
                m.next = "GATHER"
            with m.State("GATHER"):
                m.d.sync += [word.eq(Cat(word[DATA_BITS:], load.data)), index.eq(index + 1)]
                m.next = "FETCH"
                with m.If(last_of_word):
                    m.next = "ACCESS"

            with m.State("ACCESS"):
                for chosen, port in ((is_memory, self.memory), (is_registers, self.registers)):
                    with m.If(chosen):
                        m.d.comb += port.requests.valid.eq(1)
                        with m.If(port.requests.ready):
                            m.next = "ANSWER"
                with m.If(request.operation == Operation.IDENTIFY):
                    m.d.sync += word.eq(identity.word_select(index // REGISTER_BYTES, DATA_BITS * REGISTER_BYTES))
                    m.next = "SPREAD"
            with m.State("ANSWER"):
                for chosen, port in ((is_memory, self.memory), (is_registers, self.registers)):
                    with m.If(chosen & port.answers.valid):
                        m.d.sync += [word.eq(port.answers.payload.data), address.eq(address + unit)]
                        m.next = "SPREAD"
                        with m.If(is_write):
                            m.next = "FETCH"
                            with m.If(complete):
                                m.next = "REPLY"
                        with m.If(port.answers.payload.failed):
                            m.d.sync += status.eq(ReplyStatus.REFUSED)
                            m.next = "REPLY"

            with m.State("SPREAD"):
                m.d.comb += [store.en.eq(1), store.addr.eq(index), store.data.eq(word)]
                m.d.sync += [word.eq(word >> DATA_BITS), index.eq(index + 1)]
                with m.If(last_of_word):
                    m.next = "ACCESS"
                    with m.If(index + 1 == request.length):
                        m.next = "REPLY"

            with m.State("REPLY"):
                m.d.comb += [
                    load.addr.eq(sender.load_index),
                    sender.replies.valid.eq(1),
                    receiver.requests.ready.eq(sender.replies.ready),
                ]
                with m.If(sender.replies.ready):
                    m.d.comb += self.failed.eq(status != ReplyStatus.OK)
                    m.next = "IDLE"
        m.d.comb += [
            sender.load_data.eq(load.data),
            sender.replies.payload.status.eq(status),
            sender.replies.payload.sequence.eq(request.sequence),
            sender.replies.payload.length.eq(Mux((status == ReplyStatus.OK) & ~is_write, request.length, 0)),
        ]
        return m

    def _judge(self, request, is_memory, is_registers):
        """The status of a request before anything is done."""
        size = self._settings.memory_bytes
        words, registers = self._config.bus_bytes, REGISTER_BYTES
        end = request.address + request.length
        is_identify = request.operation == Operation.IDENTIFY
        bad_length = (
            (request.length == 0)
            | (request.length > MAX_PAYLOAD)
            | (is_memory & (request.length % words != 0))
            | (is_registers & (request.length % registers != 0))
            | (is_identify & (request.length != protocol.IDENTITY_BYTES))
        )
        bad_address = (
            (is_memory & ((request.address % words != 0) | (end > size)))
            | (is_registers & ((request.address % registers != 0) | (end > protocol.REGISTER_SPACE)))
            | (is_identify & (request.address != 0))
        )
        verdict = ReplyStatus.OK
        for wrong, status in (
            (bad_address, ReplyStatus.BAD_ADDRESS),
            (bad_length, ReplyStatus.BAD_LENGTH),
            (~(is_memory | is_registers | is_identify), ReplyStatus.BAD_OPERATION),
            (request.fault != ReplyStatus.OK, request.fault),
        ):
            verdict = Mux(wrong, status, verdict)
        return verdict


def is_one_of(operation, kinds: tuple[Operation, ...]):
    """Whether an operation is of these kinds."""
    return functools.reduce(operator.or_, (operation == kind for kind in kinds))
