"""The generator's configuration: one frozen dataclass, checked once, with every derived width.

Plain Python: importable without Amaranth, so that the golden model and the simulator share it.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sqdm.errors import UserError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ACT_BITS = 4  #: an activation code (UINT4, or a balanced digit -8..7 when a layer is signed)
WEIGHT_BITS = 4  #: a weight code, -8..7
WORD_NIBBLES = 16  #: activations in one activation word
WORD_BITS = WORD_NIBBLES * ACT_BITS  #: 64: 16 pixels of a channel in memory, 16 channels of a pixel in a PE array
TURNS = 2  #: corner turns; slot n is served by turn n % TURNS
MAX_TAPS = 9  #: taps of the largest kernel, 3x3
MAX_ACT = 255  #: largest magnitude of an 8-bit activation: two unsigned nibbles (two balanced digits reach 136)
CODE_MAX = 119  #: signed 8-bit codes are -119..119, so that both balanced digits are -8..7
MULTIPLIER_BITS = 16  #: requantisation multiplier, unsigned
OUT_BITS = 16  #: requantised output, signed
RAW_BITS = 32  #: partial sum written without requantisation, signed
SHIFT_BITS = 5  #: requantisation shift, 0..31
COUNT_BITS = 16  #: non-zeros counted in one channel over all images
BUCKETS = 32  #: resolution of the sparsity detector's sort: a channel's bucket is min(count >> count_shift, 31)
BALANCE_SHIFT = 3  #: policy balanced expects a sparse array to need 1 + 2**-3 cycles per non-zero and slot
STRIDE_BITS = 20  #: distance of two channels or images in memory, in granules
GRANULE_BITS = 64  #: unit of activation addresses: an activation word
TABLE_ENTRY_BITS = 32  #: one entry of a channel table in memory: channel and its count of non-zeros, 16 bit each
CONSTANT_BITS = 64  #: one channel's normalisation constants in memory: a (32 bit, 16 used) and b (32 bit)
STATISTICS_BITS = 128  #: one channel's sum and sum of squares in memory, 64 bit each
MAX_PRODUCT = 15 * 8  #: |activation| <= 15, |weight| <= 8


def ceil_div(a: int, b: int) -> int:
    """Smallest integer >= a / b."""
    return -(-a // b)


def is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True)
class Config:
    """Parameters of one accelerator. Every rule is checked at construction; a broken one raises `UserError`.

    Defaults are the `default` preset: eight sparse arrays of one slot, 32 multipliers each.
    """

    name: str = "default"
    dense_arrays: int = 0  #: PE arrays that process every channel of their slots
    sparse_arrays: int = 8  #: PE arrays that skip zeros
    slots: int = 1  #: activations that one array takes per cycle
    lanes: int = 32  #: output channels that one array computes at a time
    acc_bits: int = 24  #: width of a partial sum, signed
    bus_bits: int = 128  #: width of a memory word
    max_channels: int = 512  #: input channels of the largest layer
    max_out_channels: int = 512  #: output channels of the largest layer
    max_size: int = 32  #: height and width of the largest layer or strip of a layer, pixels
    max_images: int = 32  #: images that share one weight load
    slot_channels: int = 64  #: channels of a 3x3 layer that one slot can hold (per half of its weight buffer)
    act_rows: int = 2048  #: activation words per slot
    psum_depth: int = 64  #: output pixels that one array may run ahead of the others

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "name":
                self._require(isinstance(value, str) and value, "name", "a non-empty string")
            else:
                self._require(type(value) is int, field.name, "an integer")
        at_least = {
            "dense_arrays": 0, "sparse_arrays": 0, "slots": 1, "lanes": 1, "acc_bits": 1, "bus_bits": 64,
            "max_channels": 1, "max_out_channels": 1, "max_size": 1, "max_images": 1, "slot_channels": 1,
            "act_rows": 32, "psum_depth": 4,
        }  # fmt: skip
        for key, low in at_least.items():
            self._require(getattr(self, key) >= low, key, f">= {low}")
        at_most = {
            "slots": 16, "lanes": 256, "max_channels": 1024, "max_out_channels": 1024, "max_size": 64,
            "max_images": 255, "slot_channels": 1024, "act_rows": 8192, "psum_depth": 1024,
        }  # fmt: skip
        for key, high in at_most.items():
            self._require(getattr(self, key) <= high, key, f"<= {high}")
        if not 1 <= self.arrays <= 8:
            raise UserError(f"dense_arrays + sparse_arrays must be 1..8, not {self.arrays}")
        self._require(is_power_of_two(self.slots), "slots", "a power of two")
        digits = 2 * WORD_NIBBLES
        self._require(is_power_of_two(self.lanes) and self.lanes >= digits, "lanes",
                      f"a power of two >= {digits} (both digits of {WORD_NIBBLES} 8-bit weights)")  # fmt: skip
        self._require(self.bus_bits in (64, 128, 256, 512), "bus_bits", "64, 128, 256 or 512")
        word = self.bus_bits // WEIGHT_BITS
        self._require(self.lanes % word == 0, "lanes",
                      f"a multiple of {word} (one {self.bus_bits}-bit memory word of 4-bit weights)")  # fmt: skip
        self._require(is_power_of_two(self.act_rows), "act_rows", "a power of two")
        need = self.signed_bits(MAX_TAPS * self.max_channels * MAX_PRODUCT)
        self._require(self.acc_bits >= need, "acc_bits",
                      f">= {need} (longest dot product: 9 x {self.max_channels} channels x 15 x 8)")  # fmt: skip
        self._require(self.acc_bits <= RAW_BITS, "acc_bits", f"<= {RAW_BITS}")
        self._require(self.slot_channels * self.arrays * self.slots >= min(self.max_channels, WORD_NIBBLES),
                      "slot_channels", "enough for 16 channels over all slots")  # fmt: skip

    def _require(self, holds: bool, key: str, rule: str):
        if not holds:
            raise UserError(f"{key} must be {rule}, not {getattr(self, key)!r}")

    @staticmethod
    def signed_bits(magnitude: int) -> int:
        """Bits of a two's complement number that holds -magnitude..magnitude."""
        return magnitude.bit_length() + 1

    # Derived sizes

    @property
    def arrays(self) -> int:
        """PE arrays of both kinds."""
        return self.dense_arrays + self.sparse_arrays

    @property
    def dense_slots(self) -> int:
        """Slots of all dense arrays together: the channels of one dense step."""
        return self.dense_arrays * self.slots

    @property
    def sparse_slots(self) -> int:
        """Slots of all sparse arrays together."""
        return self.sparse_arrays * self.slots

    @property
    def multipliers(self) -> int:
        """4-bit multipliers of all arrays."""
        return self.arrays * self.slots * self.lanes

    @property
    def row_words(self) -> int:
        """Memory words of one weight row (`lanes` 4-bit weights)."""
        return self.lanes * WEIGHT_BITS // self.bus_bits

    @property
    def word_parts(self) -> int:
        """Activation words in a memory word."""
        return self.bus_bits // WORD_BITS

    @property
    def bus_bytes(self) -> int:
        return self.bus_bits // 8

    @property
    def post_lanes(self) -> int:
        """Output channels that the post-processor requantises per cycle: a memory word of parameters."""
        return self.bus_bits // RAW_BITS

    @property
    def max_tiles(self) -> int:
        """Output tiles of the largest layer."""
        return ceil_div(self.max_out_channels, self.lanes)

    @property
    def param_rows(self) -> int:
        """Memory words of requantisation parameters for `max_tiles` output tiles, `post_lanes` channels each."""
        return self.max_tiles * (self.lanes // self.post_lanes)

    @property
    def weight_rows(self) -> int:
        """Weight rows per slot and buffer half."""
        return self.slot_channels * MAX_TAPS

    @property
    def max_depth(self) -> int:
        """Channels of one plane that a slot can hold at most: those of a 1x1 layer."""
        return min(self.max_channels, self.weight_rows)

    @property
    def max_groups(self) -> int:
        """Groups of 16 channels in a slot, both planes together."""
        return 2 * ceil_div(self.max_depth, WORD_NIBBLES)

    @property
    def pixel_lanes(self) -> int:
        """INT16 pixels that the normaliser takes per cycle: a memory word, at most one activation word's 16."""
        return min(WORD_NIBBLES, self.bus_bits // OUT_BITS)

    @property
    def chunk_words(self) -> int:
        """Memory words of 16 INT16 pixels, at least 1."""
        return max(1, WORD_NIBBLES * OUT_BITS // self.bus_bits)

    @property
    def plane_bytes(self) -> int:
        """INT16 planes are padded to a multiple of this: whole memory words and whole groups of 16 pixels."""
        return max(WORD_NIBBLES * OUT_BITS // 8, self.bus_bytes)

    def wide_channels(self, taps: int) -> int:
        """Input channels of an 8-bit layer whose partial sums surely fit `acc_bits`."""
        return ((1 << self.acc_bits - 1) - 1) // (taps * MAX_ACT * 8)

    def to_dict(self) -> dict:
        """The parameters by name, as written to `manifest.json`."""
        return asdict(self)


#: The named configurations, all but `fpga` and `tiny` with 256 multipliers. `default`: every slot is an array of its
#: own, which need not wait for another; `dense`, `paper`, `sparse`: two arrays of four slots, none, one or both sparse;
#: `fpga`: two sparse arrays of one slot with a narrow bus, for one ECP5-85 with room for memory and a bridge.
PRESETS = {
    preset.name: preset
    for preset in (
        Config(),
        Config(name="dense", dense_arrays=2, sparse_arrays=0, slots=4, psum_depth=16),
        Config(name="paper", dense_arrays=1, sparse_arrays=1, slots=4, psum_depth=16),
        Config(name="sparse", dense_arrays=0, sparse_arrays=2, slots=4, psum_depth=16),
        Config(name="fpga", sparse_arrays=2, bus_bits=64, max_channels=256, max_out_channels=256, max_images=8,
               slot_channels=128, act_rows=2048, psum_depth=16),
        Config(name="tiny", dense_arrays=1, sparse_arrays=1, slots=2, bus_bits=64, max_channels=64,
               max_out_channels=128, max_size=16, max_images=16, slot_channels=32, act_rows=512, psum_depth=8),
    )
}  # fmt: skip


def load_config(name_or_path: str) -> Config:
    """The preset of that name, or the configuration in a TOML file (keys as in `Config`).

    Raises `UserError` for an unknown name, an unreadable file, an unknown key or a broken rule.
    """
    if name_or_path in PRESETS:
        return PRESETS[name_or_path]
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise UserError(f"config must be one of {', '.join(PRESETS)} or a .toml file, not {name_or_path!r}")
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"config {name_or_path!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"config {name_or_path!r} is not TOML: {error}") from None
    known = {field.name for field in fields(Config)}
    for key in values:
        if key not in known:
            raise UserError(f"config key {key!r} must be one of {', '.join(sorted(known))}")
    return Config(**{"name": path.stem} | values)
