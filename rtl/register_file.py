"""The host's view of the accelerator: the registers of registers.py as ports."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .registers import ID_VALUE, REGISTER_BITS, REGISTERS, encode

ADDRESS_BITS = 12  #: of a byte offset: a 4 KiB page
BYTES = REGISTER_BITS // 8
ALL_ONES = (1 << REGISTER_BITS) - 1


class RegisterFile(wiring.Component):
    """Stores what the host writes and shows what the core reports, generated from `registers.REGISTERS`.

    Registers are whole words: the two low address bits are ignored. Offsets without a register read 0 and ignore
    writes. A register with fields stores only those; the other bits read 0.

    Parameters
    ----------
    config : Config
        The accelerator; gives the value of ARRAYS.

    Members
    -------
    address : In(ADDRESS_BITS)
        Byte offset.
    write : In(1)
        Strobe: write `write_data` to `address`.
    write_data : In(32)
    read_data : Out(32)
        Register at the `address` of two cycles before; a write in that cycle is seen.
    busy : In(1)
        A program runs: writes to rw registers are ignored, those to CONTROL are not.
    start, resume, stop : Out(1)
        Strobe in the cycle in which the host writes 1 to that field of CONTROL; combinational, whatever `busy` is.
    program_base, window_first, ..., detect : Out(32)
        Every rw register by its lower-case name, from the cycle after the write.
    status, tag, fault, cycles, ..., nonzeros : In(32)
        Every ro register by its lower-case name, except the constants ID and ARRAYS.

    Timing: read latency `LATENCY`. Reset state: the reset values of `REGISTERS`.
    """

    LATENCY = 2  #: cycles from an address to its data

    def __init__(self, config: Config):
        self._constants = {
            "ID": ID_VALUE,
            "ARRAYS": encode(
                REGISTERS["ARRAYS"],
                dense=config.dense_arrays,
                sparse=config.sparse_arrays,
                slots=config.slots,
                lanes=config.lanes - 1,
            ),
        }
        members = {
            "address": In(ADDRESS_BITS),
            "write": In(1),
            "write_data": In(REGISTER_BITS),
            "read_data": Out(REGISTER_BITS),
            "busy": In(1),
        }
        for command in REGISTERS["CONTROL"].fields:
            members[command.name] = Out(1)
        for name, register in REGISTERS.items():
            if register.access == "rw":
                members[name.lower()] = Out(REGISTER_BITS, init=register.reset)
            elif register.access == "ro" and name not in self._constants:
                members[name.lower()] = In(REGISTER_BITS)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        number = self.address[BYTES.bit_length() - 1 :]

        # Writes
        for name, register in REGISTERS.items():
            if register.access == "rw":
                mask = ALL_ONES
                if register.fields:
                    mask = encode(register, **{part.name: (1 << part.width) - 1 for part in register.fields})
                with m.If(self.write & ~self.busy & (number == register.offset // BYTES)):
                    m.d.sync += getattr(self, name.lower()).eq(self.write_data & mask)
        control = Signal()
        m.d.comb += control.eq(self.write & (number == REGISTERS["CONTROL"].offset // BYTES))
        for command in REGISTERS["CONTROL"].fields:
            m.d.comb += getattr(self, command.name).eq(control & self.write_data[command.lsb])

        # Reads
        value = Signal(REGISTER_BITS)
        read_number = Signal.like(number)
        m.d.sync += read_number.eq(number)
        with m.Switch(read_number):
            for name, register in REGISTERS.items():
                if register.access != "wo":
                    with m.Case(register.offset // BYTES):
                        constant = self._constants.get(name)
                        m.d.comb += value.eq(getattr(self, name.lower()) if constant is None else constant)
        m.d.sync += self.read_data.eq(value)

        return m
