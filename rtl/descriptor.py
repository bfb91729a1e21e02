"""The layout of a descriptor: the one description that the hardware, the compiler and the documentation use.

A descriptor is `WORDS` 32-bit words in memory, little endian. Bases and strides are in bytes. Plain Python: importable
without Amaranth.
"""

from enum import IntEnum

from .registers import Field, Register

WORDS = 32
BYTES = 4 * WORDS


class Kind(IntEnum):
    """What a descriptor asks for."""

    END = 0  #: the program is complete
    CONV = 1  #: one convolution of `IMAGES` images
    MAP = 2  #: resampling of INT16 planes, or codes from INT16 planes
    WAIT = 3  #: raise the interrupt and wait for the host to write CONTROL.resume


class Output(IntEnum):
    """What a CONV writes."""

    INT16 = 0  #: requantised channel planes
    RAW = 1  #: partial sums, INT32 channel planes
    WEIGHTS = 2  #: requantised and clamped to -119..119: 8-bit weights of a product whose channels are the pixels


class Resample(IntEnum):
    """What a MAP does to a plane."""

    NONE = 0
    DOWN = 1  #: 2x2 mean, (sum + 2) >> 2
    UP = 2  #: nearest neighbour, each pixel four times


_LAYOUT = [
    ("CONTROL", "What to do.", ("kind", 0, 8, "`Kind`."),
     ("prefetch", 8, 1, "Channel table, parameters and weights may be read while the descriptor before still runs."),
     ("tag", 16, 16, "Any number; the TAG register shows that of the descriptor that ran last.")),
    ("MODE", "How.", ("kernel3", 0, 1, "CONV: 1: 3x3 with zero padding 1; 0: 1x1."),
     ("int16_acts", 1, 1, "CONV: activations are INT16 planes, normalised while they are loaded; 0: codes."),
     ("signed_acts", 2, 1, "Codes are signed: -8..7, or -119..119 as two balanced digits; 0: 0..15 or 0..255."),
     ("two_planes", 3, 1, "Codes have 8 bit: two planes of nibbles; 0: 4 bit."),
     ("wide_weights", 4, 1, "CONV: weights have 8 bit: two lanes each; 0: 4 bit."),
     ("halo_top", 5, 1, "CONV 3x3: one more row of input lies above the strip; 0: zero padding."),
     ("halo_bottom", 6, 1, "CONV 3x3: one more row of input lies below the strip; 0: zero padding."),
     ("image_weights", 7, 1, "CONV: every image has its own weights."),
     ("output", 8, 2, "CONV: `Output`."),
     ("residual", 10, 1, "CONV to INT16: add the residual planes."),
     ("statistics", 11, 1, "INT16 output: write each channel's sum and sum of squares."),
     ("scan", 12, 1, "CONV: count and sort the channels before the layer runs."),
     ("update", 13, 1, "CONV: sort by the counts of this run and store the channel table, as PERIOD allows."),
     ("resample", 16, 2, "MAP: `Resample`."),
     ("codes", 18, 1, "MAP: write normalised codes instead of INT16.")),
    ("CHANNELS", "Input channels C."),
    ("OUT_CHANNELS", "CONV: output channels K."),
    ("HEIGHT", "CONV: rows of the output strip; MAP: rows of the input."),
    ("WIDTH", "Columns, likewise."),
    ("IMAGES", "Images N."),
    ("SHIFTS", "Shifts.", ("requantise", 0, 5, "CONV: of the requantisation."),
     ("residual", 8, 5, "Of the residual."), ("normalise", 16, 5, "Of the normalisation."),
     ("count", 24, 4, "A channel's bucket in the sort is min(non-zeros >> count, 31).")),
    ("BUFFERS", "CONV: use of the buffers.",
     ("slot_channels", 0, 16, "Channels of a plane that a slot may get: limits the split."),
     ("images", 16, 8, "Images in the activation buffers at a time.")),
    ("RESIDUAL_MULTIPLIER", "16 bit: y + ((r * multiplier + round) >> shift)."),
    ("SPARSE_COUNT", "Policy threshold: a channel with at most this many non-zeros is sparse."),
    ("ACT_BASE", "Activations; aligned to 8 bytes (codes) or to 16 pixels and a memory word (INT16)."),
    ("ACT_STRIDE", "From channel to channel."),
    ("ACT_IMAGE_STRIDE", "From image to image."),
    ("WEIGHT_BASE", "Weights."),
    ("WEIGHT_STRIDE", "From input channel to input channel."),
    ("WEIGHT_IMAGE_STRIDE", "With image_weights: from image to image."),
    ("PARAM_BASE", "Requantisation parameters."),
    ("CONSTANT_BASE", "Normalisation constants."),
    ("CONSTANT_STRIDE", "From image to image; MAP uses those of image 0 for all."),
    ("TABLE_BASE", "Channel tables: of the high plane first, if there are two."),
    ("OUT_BASE", "Output."),
    ("OUT_STRIDE", "From output channel to output channel; Output.WEIGHTS: from pixel to pixel."),
    ("OUT_IMAGE_STRIDE", "From image to image."),
    ("RESIDUAL_BASE", "Residual, INT16 planes of the output's shape."),
    ("RESIDUAL_STRIDE", "From channel to channel."),
    ("RESIDUAL_IMAGE_STRIDE", "From image to image."),
    ("STATISTICS_BASE", "Statistics: 16 bytes (sum, sum of squares, 64 bit each) for each channel and image."),
]  # fmt: skip


def _build() -> dict[str, Register]:
    words = {}
    for index, (name, doc, *parts) in enumerate(_LAYOUT):
        words[name] = Register(name, 4 * index, "rw", doc, tuple(Field(*part) for part in parts))
    return words


#: The words of a descriptor by name, in order; words behind the last one must be 0.
FIELDS = _build()

#: Names of the words that hold an address, and of those that hold a distance.
BASES = tuple(name for name in FIELDS if name.endswith("_BASE"))
STRIDES = tuple(name for name in FIELDS if name.endswith("_STRIDE"))
