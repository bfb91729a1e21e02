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
    """Outcome of the last layer."""

    OK = 0
    BAD_SHAPE = 1  #: a size is zero or above the configured maximum
    TOO_LARGE = 2  #: height x width does not fit the activation buffer for this many channels
    BAD_TABLE = 3  #: the channel table in memory is not an order of the layer's channels
    BAD_REGISTER = 4  #: SHIFT or COUNT_SHIFT above its maximum, or a base that is not aligned to a memory word


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


ID_VALUE = 0x5351444D  # "SQDM"

_LAYOUT = [
    ("ID", "ro", "0x5351444D, \"SQDM\"."),
    ("ARRAYS", "ro", "The configuration.", ("dense", 0, 8, "Dense arrays."), ("sparse", 8, 8, "Sparse arrays."),
     ("slots", 16, 8, "Slots of an array."), ("lanes", 24, 8, "Lanes of an array, minus one.")),
    ("CONTROL", "wo", "Commands.", ("start", 0, 1, "Run one layer; ignored while busy.")),
    ("STATUS", "ro", "State of the accelerator.", ("busy", 0, 1, "A layer is running."),
     ("done", 1, 1, "A layer has ended since reset or the last start."), ("code", 8, 8, "How it ended.")),
    ("CHANNELS", "rw", "Input channels C."),
    ("OUT_CHANNELS", "rw", "Output channels K."),
    ("HEIGHT", "rw", "Height H, pixels."),
    ("WIDTH", "rw", "Width W, pixels."),
    ("IMAGES", "rw", "Images N that share one weight load."),
    ("MODE", "rw", "How the layer is computed.",
     ("kernel3", 0, 1, "1: 3x3 with zero padding 1; 0: 1x1."),
     ("signed_acts", 1, 1, "Activations are signed nibbles, -8..7, instead of 0..15."),
     ("raw", 2, 1, "Write INT32 partial sums instead of requantised INT16."),
     ("scan", 3, 1, "Count and sort the channels before the layer runs; 0: read the channel table from memory."),
     ("update", 4, 1, "Sort the channels by the counts of this run and store the channel table to memory."),
     ("policy", 8, 2, "Labelling policy, used whenever channels are sorted.")),
    ("SHIFT", "rw", "Requantisation shift s, 0..31."),
    ("SPARSE_COUNT", "rw", "Policy threshold: a channel with at most this many non-zeros is sparse."),
    ("COUNT_SHIFT", "rw", "A channel's bucket is min(non-zeros >> COUNT_SHIFT, 31); 0..15."),
    ("ACT_BASE", "rw", "Address of the activations, bytes, aligned to a memory word."),
    ("WEIGHT_BASE", "rw", "Address of the weights, likewise."),
    ("PARAM_BASE", "rw", "Address of the requantisation parameters, likewise."),
    ("OUT_BASE", "rw", "Address of the output, likewise."),
    ("TABLE_BASE", "rw", "Address of the channel table, likewise."),
    ("CYCLES", "ro", "Cycles from start to end of the last layer."),
    ("BUSY_DENSE", "ro", "Cycles in which a dense array multiplied."),
    ("BUSY_SPARSE", "ro", "Cycles in which a sparse array multiplied."),
    ("ACTIVE", "ro", "Cycles in which any array multiplied. CYCLES = ACTIVE + the five STALL registers."),
    ("STALL_DETECT", "ro", "Cycles without work: channels scanned or sorted, channel table read or stored."),
    ("STALL_WEIGHTS", "ro", "Cycles without work: weights not loaded yet."),
    ("STALL_ACTS", "ro", "Cycles without work: activations not loaded yet."),
    ("STALL_OUTPUT", "ro", "Cycles without work: partial sums wait for the post-processor, last outputs drain."),
    ("STALL_OTHER", "ro", "Cycles without work: set-up, pipeline fill, pixels or words without a non-zero."),
    ("OPS_DENSE", "ro", "Activations taken by dense slots, each for `lanes` weights; a slot without a channel counts."),
    ("OPS_SPARSE", "ro", "Non-zero activations taken by sparse slots, each for `lanes` weights."),
    ("READS", "ro", "Memory words read."),
    ("WRITES", "ro", "Memory words written."),
    ("DENSE_CHANNELS", "ro", "Dense channels of the table that the last layer ran with."),
    ("NONZEROS", "ro", "Non-zero activations of the layer; 0 when it neither scanned nor updated."),
]  # fmt: skip


def _build() -> dict[str, Register]:
    registers = {}
    for index, (name, access, doc, *parts) in enumerate(_LAYOUT):
        registers[name] = Register(name, 4 * index, access, doc, tuple(Field(*part) for part in parts))
    return registers


#: All registers by name, in address order.
REGISTERS = _build()

#: Names of the counters of a run.
COUNTERS = tuple(name for name in REGISTERS if REGISTERS[name].offset >= REGISTERS["CYCLES"].offset)

#: Names of the stall counters; each cycle without work is counted in exactly one.
STALLS = tuple(name for name in REGISTERS if name.startswith("STALL_"))


def field(register: str, name: str) -> Field:
    """The named field of a register."""
    return next(f for f in REGISTERS[register].fields if f.name == name)


def encode(register: str, **values: int) -> int:
    """Register value from field values, e.g. ``encode("MODE", kernel3=1, policy=Policy.BALANCED)``."""
    word = 0
    for name, value in values.items():
        part = field(register, name)
        if not 0 <= value < 1 << part.width:
            raise ValueError(f"{register}.{name} must be 0..{(1 << part.width) - 1}, not {value!r}")
        word |= int(value) << part.lsb
    return word


def decode(register: str, word: int) -> dict[str, int]:
    """Field values of a register value."""
    return {part.name: word >> part.lsb & (1 << part.width) - 1 for part in REGISTERS[register].fields}
