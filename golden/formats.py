"""Number formats: the integer ranges that a layer's activations and weights can have, and which layer has which.

Every layer that runs on the accelerator has 4 or 8 bits for its activations and, independently, for its weights.
"""

from dataclasses import dataclass

from sqdm.golden.unet import BLOCKS


@dataclass(frozen=True)
class Format:
    """Activation codes ``low``..``high``: the accelerator's four below, or one of the host's."""

    low: int
    high: int

    @property
    def bits(self) -> int:
        """4 or 8."""
        return 4 if self.high - self.low < 16 else 8

    @property
    def signed(self) -> bool:
        """Whether there are codes below zero."""
        return self.low < 0


#: The paper's convention: an FP16 multiplication takes as long as so many 4-bit ones, and its operands as many bits.
FP16_OVER_4BIT = 4

UINT4 = Format(0, 15)
INT4 = Format(-8, 7)
UINT8 = Format(0, 255)
INT8 = Format(-119, 119)  # two balanced digits of -8..7 reach 119
WEIGHT_LIMIT = {4: 7, 8: 119}  # largest magnitude of a weight code
PROBABILITY_MAX = 255  # attention probabilities are UINT8 codes of 1/255


@dataclass(frozen=True)
class Precision:
    """Formats of one layer: ``act`` of its input codes, weight codes -``weight_limit``..``weight_limit``."""

    act: Format
    weight_limit: int

    @property
    def weight_bits(self) -> int:
        """4 or 8."""
        return 4 if self.weight_limit <= WEIGHT_LIMIT[4] else 8

    @property
    def is_4x4(self) -> bool:
        """Whether both operands have 4 bits."""
        return self.act.bits == 4 and self.weight_bits == 4


def precision(signed: bool, act_bits: int, weight_bits: int) -> Precision:
    """The accelerator's formats for the given widths (4 or 8 each)."""
    act = {(False, 4): UINT4, (True, 4): INT4, (False, 8): UINT8, (True, 8): INT8}[signed, act_bits]
    return Precision(act, WEIGHT_LIMIT[weight_bits])


# The embeddings stay on the host, whose 8 bits are not two balanced digits.
HOST = {
    "map0": Precision(Format(-127, 127), 127),
    "map1": Precision(Format(0, 255), 127),  # after a ReLU
    "affine": Precision(Format(0, 255), 127),  # after a ReLU
    "map_label": Precision(Format(0, 1), 127),  # one-hot
}


def candidates() -> dict[str, bool]:
    """The accelerator's layers with weights, by name in running order; True where the codes of the input are signed.

    Inputs after a ReLU are unsigned.
    """
    found = {"conv_in": True}
    for spec in BLOCKS:
        found[f"{spec.name}.conv0"] = found[f"{spec.name}.conv1"] = False
        if spec.c_in != spec.c_out:
            found[f"{spec.name}.skip"] = True
        if spec.attention:
            found |= {f"{spec.name}.attention.{part}": True for part in ("qk", "v", "proj")}
    return found | {"conv_out": False}


# The layers that cost most at 4 bits (docs/numerics.md, sensitivity): the network's input and output, and the last two
# skips, which carry the full-resolution picture past their block. Those need 8-bit activations alone: a MAC is then two
# products of the hardware, with 8-bit weights as well it is four. The rest, at 4 bits, is 97.7% of the network's MACs.
EIGHT_BIT = frozenset({"conv_in", "conv_out"})
EIGHT_BIT_ACTS = frozenset({"dec.8x8_block1.skip", "dec.8x8_block2.skip"})


def chosen() -> dict[str, Precision]:
    """The shipped choice: 4-bit activations and weights everywhere but in ``EIGHT_BIT`` and ``EIGHT_BIT_ACTS``."""
    bits = dict.fromkeys(EIGHT_BIT, (8, 8)) | dict.fromkeys(EIGHT_BIT_ACTS, (8, 4))
    return {name: precision(signed, *bits.get(name, (4, 4))) for name, signed in candidates().items()}


def uniform(bits: int) -> dict[str, Precision]:
    """Every layer of the accelerator at ``bits``."""
    return {name: precision(signed, bits, bits) for name, signed in candidates().items()}
