"""The register map: the one description that the hardware, the C header, the driver and the documentation use.

Registers are 32 bit wide; offsets are in bytes. Access is `rw` (read and write), `ro` (read only) or `wo` (a write
triggers, reads give 0). Plain Python: importable without Amaranth.
"""

from dataclasses import dataclass
from enum import IntEnum

REGISTER_BITS = 32


class Policy(IntEnum):
    """How the sparsity detector labels channels."""

    THRESHOLD = 0  #: at most SPARSE_COUNT non-zeros is sparse (paper: sparsity above 30%)
    BALANCED = 1  #: the split that levels the work of the dense and the sparse arrays
    DENSE = 2  #: every channel is dense
    SPARSE = 3  #: every channel is sparse


class Status(IntEnum):
    """Outcome of the last program."""

    OK = 0
    BAD_SHAPE = 1  #: a size is zero or above the configured maximum
    TOO_LARGE = 2  #: the layer does not fit the buffers, the counters or the accumulators
    BAD_TABLE = 3  #: a channel table in memory is not an order of the layer's channels
    BAD_DESCRIPTOR = 4  #: an unknown kind, fields that exclude each other, or an address that is not aligned
    BAD_ADDRESS = 5  #: an access outside WINDOW_FIRST .. WINDOW_LAST; it was not made
    BUS_ERROR = 6  #: the memory answered with an error
    TIMEOUT = 7  #: the memory did not answer within WATCHDOG cycles
    STOPPED = 8  #: the host wrote CONTROL.stop


@dataclass(frozen=True)
class Field:
    """Bits `lsb` .. `lsb + width - 1` of a register."""

    name: str
    lsb: int
    width: int
    doc: str


@dataclass(frozen=True)
class Register:
    """One 32-bit register at byte offset `offset`."""

    name: str
    offset: int
    access: str
    doc: str
    fields: tuple[Field, ...] = ()
    reset: int = 0


ID_VALUE = 0x5351444D  # "SQDM"

_LAYOUT = [
    ("ID", "ro", "0x5351444D, \"SQDM\"."),
    ("ARRAYS", "ro", "The configuration.", ("dense", 0, 8, "Dense arrays."), ("sparse", 8, 8, "Sparse arrays."),
     ("slots", 16, 8, "Slots of an array."), ("lanes", 24, 8, "Lanes of an array, minus one.")),
    ("CONTROL", "wo", "Commands.", ("start", 0, 1, "Run the program at PROGRAM_BASE; ignored while busy."),
     ("resume", 1, 1, "Go on after a WAIT; ignored otherwise."),
     ("stop", 2, 1, "End the program with status STOPPED; ignored unless busy.")),
    ("STATUS", "ro", "State of the accelerator.", ("busy", 0, 1, "A program is running."),
     ("done", 1, 1, "A program has ended since reset or the last start."),
     ("waiting", 2, 1, "The program waits for CONTROL.resume."), ("code", 8, 8, "How the last program ended.")),
    ("TAG", "ro", "Tag of the descriptor that ran last or, after an error, of the one that failed"
     " (or of the next, if already fetched)."),
    ("FAULT", "ro", "Byte address of the access that ended the program with BAD_ADDRESS or BUS_ERROR."),
    ("PROGRAM_BASE", "rw", "Address of the first descriptor, bytes, aligned to a memory word."),
    ("WINDOW_FIRST", "rw", "First byte that the accelerator may access, aligned to a memory word."),
    ("WINDOW_LAST", "rw", "Last byte that it may access.", 0xFFFFFFFF),
    ("WATCHDOG", "rw", "Cycles without any answer after which the memory counts as dead; 0: never.", 1 << 20),
    ("DETECT", "rw", "Use of the sparsity detector.", ("policy", 0, 2, "`Policy`, used whenever channels are sorted."),
     ("period", 8, 16, "Labels are renewed in every period-th program since reset; 0 and 1: in every one."),
     ("pause", 31, 1, "Wait for CONTROL.resume after every descriptor, as after a WAIT."), Policy.BALANCED),
    ("CYCLES", "ro", "Cycles from start to end of the last program, but those in which it only waits for the host."),
    ("BUSY_DENSE", "ro", "Cycles in which a dense array multiplied."),
    ("BUSY_SPARSE", "ro", "Cycles in which a sparse array multiplied."),
    ("ACTIVE", "ro", "Cycles in which any array multiplied. CYCLES = ACTIVE + the six STALL registers."),
    ("STALL_DETECT", "ro", "Cycles without work: channels are counted or sorted before a layer."),
    ("STALL_WEIGHTS", "ro", "Cycles without work: weights not loaded yet."),
    ("STALL_ACTS", "ro", "Cycles without work: activations not loaded yet."),
    ("STALL_OUTPUT", "ro", "Cycles without work: partial sums wait for the post-processor, last outputs drain."),
    ("STALL_MAP", "ro", "Cycles without work: a MAP runs."),
    ("STALL_OTHER", "ro", "Cycles without work: descriptors, set-up, pipeline fill, pixels without a non-zero."),
    ("OPS_DENSE", "ro", "Activations taken by dense slots, each for `lanes` weights; a slot without a channel counts."),
    ("OPS_SPARSE", "ro", "Non-zero activations taken by sparse slots, each for `lanes` weights."),
    ("READS", "ro", "Memory words read."),
    ("WRITES", "ro", "Memory words written."),
    ("DENSE_CHANNELS", "ro", "Sum over the CONV descriptors: dense channels of their tables, all planes."),
    ("NONZEROS", "ro", "Sum over the CONV descriptors that updated: non-zero activations, all planes."),
]  # fmt: skip


def _build() -> dict[str, Register]:
    registers = {}
    for index, (name, access, doc, *parts) in enumerate(_LAYOUT):
        reset = parts.pop() if parts and isinstance(parts[-1], int) else 0
        registers[name] = Register(name, 4 * index, access, doc, tuple(Field(*part) for part in parts), int(reset))
    return registers


#: All registers by name, in address order.
REGISTERS = _build()

#: Names of the counters of a run.
COUNTERS = tuple(name for name in REGISTERS if REGISTERS[name].offset >= REGISTERS["CYCLES"].offset)

#: Names of the stall counters; each cycle without work is counted in exactly one.
STALLS = tuple(name for name in REGISTERS if name.startswith("STALL_"))


def field(register: Register, name: str) -> Field:
    """The named field of a register or descriptor word."""
    return next(f for f in register.fields if f.name == name)


def encode(register: Register, **values: int) -> int:
    """A register's value from field values, e.g. ``encode(REGISTERS["DETECT"], policy=Policy.BALANCED, period=4)``."""
    word = 0
    for name, value in values.items():
        part = field(register, name)
        if not 0 <= value < 1 << part.width:
            raise ValueError(f"{register.name}.{name} must be 0..{(1 << part.width) - 1}, not {value!r}")
        word |= int(value) << part.lsb
    return word


def decode(register: Register, word: int) -> dict[str, int]:
    """Field values of a register's value."""
    return {part.name: word >> part.lsb & (1 << part.width) - 1 for part in register.fields}
