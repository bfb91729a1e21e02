"""Payloads of the streams between the components, derived from the configuration."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from .config import (
    ACT_BITS,
    COUNT_BITS,
    RAW_BITS,
    SHIFT_BITS,
    WEIGHT_BITS,
    WORD_NIBBLES,
    Config,
)
from .registers import Policy


class PolicyShape(enum.Enum, shape=2):
    """Hardware shape of `registers.Policy`."""

    THRESHOLD = Policy.THRESHOLD.value
    BALANCED = Policy.BALANCED.value
    DENSE = Policy.DENSE.value
    SPARSE = Policy.SPARSE.value


class LoadKind(enum.Enum, shape=3):
    """What a load brings in."""

    PARAMS = 0  #: requantisation parameters of all output channels
    WEIGHTS = 1  #: weight rows of one output tile, all input channels
    ACTS = 2  #: activations of one image, all input channels
    SCAN = 3  #: activations of all images, for the sparsity detector only
    TABLE = 4  #: the channel table


def bits_for(maximum: int) -> int:
    """Bits of an unsigned number that holds 0..maximum."""
    return max(1, maximum.bit_length())


def activation_word() -> data.Layout:
    """16 activation nibbles."""
    return data.ArrayLayout(unsigned(ACT_BITS), WORD_NIBBLES)


def weight_row(config: Config) -> data.Layout:
    """The weights of one (input channel, tap) for all lanes."""
    return data.ArrayLayout(signed(WEIGHT_BITS), config.lanes)


def psums(config: Config) -> data.Layout:
    """The partial sums of one output pixel for all lanes."""
    return data.ArrayLayout(signed(config.acc_bits), config.lanes)


def row_bits(rows: int) -> int:
    """Address bits of a double-buffered memory with `rows` rows per half."""
    return bits_for(2 * rows - 1)


def activation_write(config: Config) -> data.Layout:
    """One word into the activation buffer of a slot; `row` spans both halves."""
    return data.StructLayout(
        {
            "slot": bits_for(config.arrays * config.slots - 1),
            "row": row_bits(config.act_rows),
            "word": activation_word(),
        }
    )


def weight_write(config: Config) -> data.Layout:
    """One row into the weight buffer of a slot; `row` spans both halves."""
    return data.StructLayout(
        {
            "slot": bits_for(config.arrays * config.slots - 1),
            "row": row_bits(config.weight_rows),
            "weights": weight_row(config),
        }
    )


def job(config: Config) -> data.Layout:
    """One image through one output tile, for one PE array.

    `channels` is the number of channels that each slot holds (0 gives all-zero partial sums); `plane_rows` the
    distance in rows between two groups of 16 channels: pixels rounded up to a multiple of 16.
    """
    return data.StructLayout(
        {
            "height": bits_for(config.max_size),
            "width": bits_for(config.max_size),
            "kernel3": 1,
            "signed_acts": 1,
            "channels": bits_for(config.slot_channels),
            "plane_rows": bits_for(config.act_rows),
            "act_half": 1,
            "weight_half": 1,
        }
    )


def layer(config: Config) -> data.Layout:
    """What the address generator knows about the layer; constant while it runs.

    `*_base` are memory word addresses; `act_words` activation words of one channel (all images), `plane_words` of
    one image; `weight_words` memory words of one channel's weights (all output tiles), `tile_words` of one output
    tile, `param_words` of the requantisation parameters, `table_words` of the channel table; `dense_channels` the
    entries of the channel table that are dense.
    """
    return data.StructLayout(
        {
            "channels": bits_for(config.max_channels),
            "dense_channels": bits_for(config.max_channels),
            "kernel3": 1,
            "plane_words": bits_for(config.act_rows // WORD_NIBBLES),
            "act_words": COUNT_BITS,
            "tile_words": 8 + bits_for(config.row_words),
            "weight_words": 16,
            "param_words": 16,
            "table_words": 16,
            "act_base": 32,
            "weight_base": 32,
            "param_base": 32,
            "table_base": 32,
        }
    )


def load_command(config: Config) -> data.Layout:
    """One load, see `LoadKind`. `tile` is the output tile (WEIGHTS), `image` the image (ACTS), `half` the buffer half.

    `count` marks activations that the sparsity detector counts (ACTS).
    """
    return data.StructLayout(
        {
            "kind": LoadKind,
            "tile": bits_for(config.max_tiles - 1),
            "image": bits_for(config.max_images),
            "half": 1,
            "count": 1,
        }
    )


def load_tag(config: Config) -> data.Layout:
    """Where the answer of a read goes.

    `part` picks the activation word of the memory word; `row` is the first row of the 16 x 16 block (ACTS), the
    weight row (WEIGHTS) or the parameter word (PARAMS); `first` marks a channel's first counted word; `last` the last
    request of a load.
    """
    return data.StructLayout(
        {
            "kind": LoadKind,
            "zero": 1,
            "count": 1,
            "first": 1,
            "last": 1,
            "part": bits_for(config.word_parts - 1),
            "channel": bits_for(config.max_channels - 1),
            "slot": bits_for(config.arrays * config.slots - 1),
            "row": max(row_bits(config.act_rows), row_bits(config.weight_rows), bits_for(config.param_rows - 1)),
        }
    )


def load_request(config: Config) -> data.Layout:
    """A memory word to read and where it goes. A `tag.zero` request reads nothing: its word is all zeros."""
    return data.StructLayout({"address": 32, "tag": load_tag(config)})


def counted_word(config: Config) -> data.Layout:
    """16 activations of one channel for the sparsity detector; `first` restarts the channel's count."""
    return data.StructLayout({"channel": bits_for(config.max_channels - 1), "first": 1, "word": activation_word()})


def sort_command(config: Config) -> data.Layout:
    """Sort `channels` channels by their counts; `pixels` = images x height x width."""
    return data.StructLayout(
        {
            "channels": bits_for(config.max_channels),
            "policy": PolicyShape,
            "sparse_count": COUNT_BITS,
            "count_shift": 4,
            "pixels": COUNT_BITS,
        }
    )


def labels(config: Config) -> data.Layout:
    """Outcome of a sort: the first `dense_channels` entries of the channel table are dense."""
    return data.StructLayout({"dense_channels": bits_for(config.max_channels), "nonzeros": 32})


def table_write(config: Config) -> data.Layout:
    """One entry of the channel table."""
    return data.StructLayout(
        {"position": bits_for(config.max_channels - 1), "channel": bits_for(config.max_channels - 1)}
    )


def post_params() -> data.Layout:
    """Requantisation parameters of one output channel: 32 bit."""
    return data.StructLayout({"multiplier": unsigned(16), "bias": signed(16)})


def output_group(config: Config) -> data.Layout:
    """`post_lanes` neighbouring lanes of one output pixel, each INT16 (sign-extended) or a raw INT32 partial sum."""
    return data.ArrayLayout(signed(RAW_BITS), config.post_lanes)


def requantise_mode() -> data.Layout:
    """`shift` and the output format; `raw` bypasses requantisation."""
    return data.StructLayout({"shift": SHIFT_BITS, "raw": 1})


def memory_write(config: Config) -> data.Layout:
    """One memory word to write."""
    return data.StructLayout({"address": 32, "data": config.bus_bits})
