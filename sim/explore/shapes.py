"""Layers of networks that no compiled program exists for: an EDM UNet for CIFAR-10, or those of a TOML file."""

from dataclasses import dataclass, fields
from pathlib import Path

from sqdm.errors import UserError
from sqdm.sim.explore.space import read_toml

ROLES = ("conv_in", "conv0", "skip", "conv1", "qk", "v", "scores", "mix", "proj", "conv_out")
SIGNED = ("conv_in", "skip", "qk", "v", "scores", "proj")  #: roles whose codes have a sign: no ReLU before them
WIDE = ("conv_in", "conv_out", "scores", "mix")  #: roles with 8-bit activations and weights

CHANNELS = 256  #: of all blocks; the first convolution makes half as many
SIDES = (32, 16, 8)
BLOCKS = 4  #: of each size in the encoder; the decoder has one more
ATTENTION = 16  #: the size that has attention


@dataclass(frozen=True)
class Shape:
    """A convolution of ``channels`` to ``out_channels`` of ``height`` x ``width`` pixels; ``kernel`` 1 or 3.

    ``role``: the kind of layer of the digits network that it resembles: operands, sign, and where its zeros come from.
    ``zeros``: share of zeros of its activations; None: as many as that kind of layer has.
    """

    name: str
    channels: int
    out_channels: int
    height: int
    width: int
    kernel: int = 3
    act_bits: int = 4
    weight_bits: int = 4
    role: str = "conv1"
    zeros: float | None = None

    def __post_init__(self):
        for key in ("channels", "out_channels", "height", "width"):
            self._require(type(getattr(self, key)) is int and getattr(self, key) >= 1, key, "a whole number >= 1")
        self._require(self.kernel in (1, 3), "kernel", "1 or 3")
        self._require(self.act_bits in (4, 8), "act_bits", "4 or 8")
        self._require(self.weight_bits in (4, 8), "weight_bits", "4 or 8")
        self._require(self.role in ROLES, "role", f"one of {', '.join(ROLES)}")
        known = self.zeros is None or (type(self.zeros) in (int, float) and 0 <= self.zeros < 1)
        self._require(known, "zeros", "0 <= zeros < 1")

    def _require(self, holds: bool, key: str, rule: str) -> None:
        if not holds:
            raise UserError(f"{key} of layer {self.name} must be {rule}, not {getattr(self, key)!r}")

    @property
    def macs(self) -> int:
        return self.channels * self.out_channels * self.kernel**2 * self.height * self.width

    @property
    def planes(self) -> int:
        """4-bit planes of the activations."""
        return self.act_bits // 4


def layer(name: str, channels: int, out_channels: int, side: int, kernel: int = 3) -> Shape:
    """A layer whose role is the last part of its name."""
    role = name.rpartition(".")[2]
    bits = 8 if role in WIDE else 4
    return Shape(name, channels, out_channels, side, side, kernel, bits, bits, role)


def cifar10() -> tuple[Shape, ...]:
    """DDPM++ of EDM (Karras et al. 2022) for CIFAR-10: 32x32, 128 channels times 2, 2, 2, attention at 16x16.

    Formats as in the shipped model: 8 bit at both ends and in attention's products. Embeddings are the host's.
    """
    found = [layer("conv_in", 3, CHANNELS // 2, SIDES[0])]
    skips, c_in = [CHANNELS // 2], CHANNELS // 2
    for side in SIDES:
        names = [f"block{n}" for n in range(BLOCKS)]
        for name in names if side == SIDES[0] else ["down", *names]:
            attention = side == ATTENTION and name != "down"
            found += block(f"enc.{side}x{side}_{name}", c_in, side, attention)
            skips.append(CHANNELS)
            c_in = CHANNELS
    for side in reversed(SIDES):
        for name in ("in0", "in1") if side == SIDES[-1] else ("up",):
            found += block(f"dec.{side}x{side}_{name}", CHANNELS, side, name == "in0")
        for n in range(BLOCKS + 1):
            attention = side == ATTENTION and n == BLOCKS
            found += block(f"dec.{side}x{side}_block{n}", CHANNELS + skips.pop(), side, attention)
    return (*found, layer("conv_out", CHANNELS, 3, SIDES[0]))


def block(name: str, c_in: int, side: int, attention: bool) -> list[Shape]:
    """One block of the UNet."""
    found = [layer(f"{name}.conv0", c_in, CHANNELS, side)]
    if c_in != CHANNELS:
        found.append(layer(f"{name}.skip", c_in, CHANNELS, side, 1))
    found.append(layer(f"{name}.conv1", CHANNELS, CHANNELS, side))
    if attention:
        pixels = side * side
        for part, c, k in (("qk", CHANNELS, 2 * CHANNELS), ("v", CHANNELS, CHANNELS), ("scores", CHANNELS, pixels),
                           ("mix", pixels, CHANNELS), ("proj", CHANNELS, CHANNELS)):  # fmt: skip
            found.append(layer(f"{name}.attention.{part}", c, k, side, 1))
    return found


def read_shapes(path: Path) -> tuple[Shape, ...]:
    """The layers ``[[layer]]`` of a TOML file, with the fields of `Shape`."""
    content = read_toml(path, "workload")
    tables = content.get("layer")
    if set(content) != {"layer"} or not isinstance(tables, list) or not tables:
        raise UserError(f"workload {str(path)!r} must have [[layer]] tables and nothing else")
    known = [field.name for field in fields(Shape)]
    found = []
    for number, table in enumerate(tables):
        table = {"name": f"layer{number}", **table}
        for key in table:
            if key not in known:
                raise UserError(f"workload key {key!r} must be one of {', '.join(known)}")
        missing = [key for key in ("channels", "out_channels", "height", "width") if key not in table]
        if missing:
            raise UserError(f"layer {table['name']} of workload {str(path)!r} must have {', '.join(missing)}")
        found.append(Shape(**table))
    return tuple(found)
