"""Payloads of the streams between the components, derived from the configuration."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from .config import (
    ACT_BITS,
    CONSTANT_BITS,
    COUNT_BITS,
    RAW_BITS,
    SHIFT_BITS,
    STATISTICS_BITS,
    STRIDE_BITS,
    WEIGHT_BITS,
    WORD_NIBBLES,
    Config,
    ceil_div,
)
from .descriptor import Output, Resample
from .registers import Policy


class PolicyShape(enum.Enum, shape=2):
    """Hardware shape of `registers.Policy`."""

    THRESHOLD = Policy.THRESHOLD.value
    BALANCED = Policy.BALANCED.value
    DENSE = Policy.DENSE.value
    SPARSE = Policy.SPARSE.value


class OutputShape(enum.Enum, shape=2):
    """Hardware shape of `descriptor.Output`."""

    INT16 = Output.INT16.value
    RAW = Output.RAW.value
    WEIGHTS = Output.WEIGHTS.value


class ResampleShape(enum.Enum, shape=2):
    """Hardware shape of `descriptor.Resample`."""

    NONE = Resample.NONE.value
    DOWN = Resample.DOWN.value
    UP = Resample.UP.value


class LoadKind(enum.Enum, shape=3):
    """What a load brings in."""

    PARAMS = 0  #: requantisation parameters of all output channels
    WEIGHTS = 1  #: weight rows of one output tile, all input channels of one plane
    ACTS = 2  #: activations of one image, all input channels of one plane
    CONSTANTS = 3  #: normalisation constants of all input channels
    TABLE = 4  #: the channel tables of all planes


ADDRESS_BITS = 32  #: of a memory word address
LOW, HIGH = 0, 1  #: planes of an 8-bit activation; a 4-bit one has the plane LOW only


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


def plane_words(config: Config) -> int:
    """Bits of a number of activation words of one plane: input pixels of a strip / 16."""
    return bits_for(config.act_rows // WORD_NIBBLES)


def slot_number(config: Config) -> int:
    """Bits of a slot's number among all slots."""
    return bits_for(config.arrays * config.slots - 1)


def weight_row_bits(config: Config) -> int:
    """Address bits of a slot's weight buffer, both halves."""
    return bits_for(2 * config.weight_rows - 1)


def activation_write(config: Config) -> data.Layout:
    """One word into the activation buffer of a slot."""
    return data.StructLayout(
        {"slot": slot_number(config), "row": bits_for(config.act_rows - 1), "word": activation_word()}
    )


def weight_write(config: Config) -> data.Layout:
    """One row into the weight buffer of a slot; `row` spans both halves."""
    return data.StructLayout(
        {"slot": slot_number(config), "row": weight_row_bits(config), "weights": weight_row(config)}
    )


def job(config: Config) -> data.Layout:
    """One image through one output tile, for one PE array.

    `height`, `width` of the output strip; `halo_top`: the buffer holds one more line of input above the strip (what
    lies below needs no mark but `halo_bottom`: the last line's taps 2 exist). `channels_low`, `channels_high`: channels
    of each plane that each slot holds (0 gives all-zero partial sums); `two_planes`: the plane HIGH is processed before
    the plane LOW and weighs 16 times more; without it `channels_high` means nothing. `act_base`: first row of the image
    in the activation buffer; `plane_rows`: rows from one group of 16 channels to the next (input pixels rounded up to a
    multiple of 16); `groups`: groups from the plane LOW to the plane HIGH, in the activation and the weight buffer;
    `high_rows` = groups * plane_rows.
    """
    depth = bits_for(config.max_depth)
    return data.StructLayout(
        {
            "height": bits_for(config.max_size),
            "width": bits_for(config.max_size),
            "kernel3": 1,
            "halo_top": 1,
            "halo_bottom": 1,
            "signed_acts": 1,
            "two_planes": 1,
            "channels_low": depth,
            "channels_high": depth,
            "plane_rows": bits_for(config.act_rows),
            "groups": bits_for(config.max_groups),
            "high_rows": bits_for(config.act_rows),
            "act_base": bits_for(config.act_rows - 1),
            "weight_half": 1,
        }
    )


def layer(config: Config) -> data.Layout:
    """What the address generator knows about the layer; constant while it loads.

    `dense_low`, `dense_high`: entries of each plane's channel table that are dense. `groups`: groups of 16 channels
    from the plane LOW to the plane HIGH in a slot's buffers. `plane_words`: activation words of one channel and image.
    Activation base and stride in granules (64 bit), all others in memory words; `tile_words`: weights of one input
    channel for one output tile; `param_words`, `table_words` (all planes), `constant_words`: sizes of these loads.
    """
    channels = bits_for(config.max_channels)
    return data.StructLayout(
        {
            "channels": channels,
            "dense_low": channels,
            "dense_high": channels,
            "kernel3": 1,
            "int16_acts": 1,
            "two_planes": 1,
            "plane_words": plane_words(config),
            "groups": bits_for(config.max_groups),
            "act_base": ADDRESS_BITS,
            "act_stride": STRIDE_BITS,
            "weight_base": ADDRESS_BITS,
            "weight_stride": STRIDE_BITS,
            "tile_words": 8 + bits_for(config.row_words),
            "param_base": ADDRESS_BITS,
            "param_words": 16,
            "table_base": ADDRESS_BITS,
            "table_words": 16,
            "constant_base": ADDRESS_BITS,
            "constant_words": 16,
        }
    )


def load_command(config: Config) -> data.Layout:
    """One load, see `LoadKind`.

    `plane` (WEIGHTS, ACTS); `offset` is added to every address: of the output tile and image (WEIGHTS, memory words),
    of the image (ACTS, granules; CONSTANTS, memory words). `half`: half of the weight buffer (WEIGHTS) or of the
    parameter memory (PARAMS). `row`: first row of the image in the activation buffers (ACTS). `count`: the sparsity
    detector counts these activations, `first`: they are the first ones of the layer (ACTS).
    """
    return data.StructLayout(
        {
            "kind": LoadKind,
            "plane": 1,
            "offset": ADDRESS_BITS,
            "half": 1,
            "row": bits_for(config.act_rows - 1),
            "count": 1,
            "first": 1,
        }
    )


def load_tag(config: Config) -> data.Layout:
    """Where the answer of a read goes.

    `row` is the first row of the 16 x 16 block (ACTS), the weight row (WEIGHTS), the word's number (PARAMS with the
    half on top, CONSTANTS, TABLE). ACTS of codes: `part` picks the granule of the memory word. ACTS of INT16: `part`
    likewise when a memory word holds more than 16 pixels; `begin` and `end` mark the first and the last memory word of
    16 pixels; `tail` marks the last 16 pixels of a plane, `block_end` the last channel of a 16 x 16 block: what is
    missing of the block is zero. `first` marks a channel's first counted word; `last` the last request of a load (for
    ACTS and WEIGHTS: of one plane).
    """
    row = max(
        bits_for(config.act_rows - 1), weight_row_bits(config), 1 + bits_for(config.param_rows - 1),
        bits_for(ceil_log_words(config)),
    )  # fmt: skip
    return data.StructLayout(
        {
            "kind": LoadKind,
            "plane": 1,
            "zero": 1,
            "count": 1,
            "first": 1,
            "last": 1,
            "begin": 1,
            "end": 1,
            "tail": 1,
            "block_end": 1,
            "part": bits_for(config.word_parts - 1),
            "channel": bits_for(config.max_channels - 1),
            "slot": slot_number(config),
            "row": row,
        }
    )


def ceil_log_words(config: Config) -> int:
    """Largest word number of the loads of constants and tables."""
    return 2 * config.max_channels * CONSTANT_BITS // config.bus_bits + 2


def load_request(config: Config) -> data.Layout:
    """A memory word to read and where it goes. A `tag.zero` request reads nothing: its activation word is all zeros."""
    return data.StructLayout({"address": ADDRESS_BITS, "tag": load_tag(config)})


def normalise_mode() -> data.Layout:
    """Codes of a layer: `shift`; signed or not; 4 or 8 bit (`two_planes`); pixels 1..16 in the last word of a plane."""
    return data.StructLayout({"shift": SHIFT_BITS, "signed_codes": 1, "two_planes": 1, "tail_pixels": 5})


def constant_write(config: Config) -> data.Layout:
    """One memory word of normalisation constants: channels row * n .. row * n + n-1, n = bus_bits / 64."""
    return data.StructLayout(
        {"row": bits_for(ceil_div(config.max_channels * CONSTANT_BITS, config.bus_bits) - 1), "word": config.bus_bits}
    )


def pixels_in(config: Config) -> data.Layout:
    """INT16 pixels on their way into the normaliser: a memory word and its tag."""
    return data.StructLayout({"word": config.bus_bits, "tag": load_tag(config)})


def codes_out(config: Config) -> data.Layout:
    """16 pixels of one channel as codes: 4-bit codes or low digits, high digits (0 for 4 bit), and the last tag."""
    return data.StructLayout({"low": activation_word(), "high": activation_word(), "tag": load_tag(config)})


def counted_word(config: Config) -> data.Layout:
    """16 activations of one channel and plane for the sparsity detector; `first` restarts the channel's count."""
    return data.StructLayout(
        {"plane": 1, "channel": bits_for(config.max_channels - 1), "first": 1, "word": activation_word()}
    )


def sort_command(config: Config) -> data.Layout:
    """Sort the `channels` channels of a plane by their counts; `pixels` = images x height x width of the input.

    `slot_channels`: no slot may get more channels of the plane.
    """
    return data.StructLayout(
        {
            "plane": 1,
            "channels": bits_for(config.max_channels),
            "slot_channels": bits_for(config.max_depth),
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
    """One entry of a plane's channel table, with the channel's count of non-zeros."""
    return data.StructLayout(
        {
            "plane": 1,
            "position": bits_for(config.max_channels - 1),
            "channel": bits_for(config.max_channels - 1),
            "count": COUNT_BITS,
        }
    )


def post_params() -> data.Layout:
    """Requantisation parameters of one output channel: 32 bit."""
    return data.StructLayout({"multiplier": unsigned(16), "bias": signed(16)})


def output_group(config: Config) -> data.Layout:
    """`post_lanes` neighbouring output channels of one pixel, each INT16 (sign-extended) or a raw INT32 partial sum."""
    return data.ArrayLayout(signed(RAW_BITS), config.post_lanes)


def requantise_mode() -> data.Layout:
    """`shift`; `raw` bypasses requantisation; `wide`: 8-bit weights, two lanes make an output channel."""
    return data.StructLayout({"shift": SHIFT_BITS, "raw": 1, "wide": 1})


def planes(config: Config) -> data.Layout:
    """Channel planes in memory, in the order in which outputs arrive: tile by tile, image by image, word by word, lane
    by lane. Base and strides in memory words; `words` of one plane, `channels` in all, `images`; `wide`: 8-bit weights,
    so tiles have half the channels.
    """
    return data.StructLayout(
        {
            "base": ADDRESS_BITS,
            "stride": STRIDE_BITS,
            "image_stride": STRIDE_BITS,
            "words": 16,
            "channels": bits_for(config.max_out_channels),
            "images": bits_for(config.max_images),
            "wide": 1,
        }
    )


def residual_mode() -> data.Layout:
    """y + ((r * multiplier + round) >> shift); `enable`: there is a residual."""
    return data.StructLayout({"enable": 1, "multiplier": unsigned(16), "shift": SHIFT_BITS})


def statistics(config: Config) -> data.Layout:
    """Sum and sum of squares of one INT16 plane."""
    return data.StructLayout({"sum": signed(STATISTICS_BITS // 2), "squares": unsigned(STATISTICS_BITS // 2)})


def memory_write(config: Config) -> data.Layout:
    """One memory word to write."""
    return data.StructLayout({"address": ADDRESS_BITS, "data": config.bus_bits})


def output_settings(config: Config) -> data.Layout:
    """What the output path knows about a layer; constant from its start until all outputs are in memory.

    `pixels` of one output plane, `all_pixels` of all images; `param_half`: half of the parameter memory; `planes` of
    the output (Output.WEIGHTS: `stride` is the distance of two pixels); `map`: words come from a MAP, not from partial
    sums.
    """
    return data.StructLayout(
        {
            "mode": requantise_mode(),
            "output": OutputShape,
            "param_half": 1,
            "pixels": bits_for(config.max_size**2),
            "all_pixels": COUNT_BITS,
            "planes": planes(config),
            "residual": residual_mode(),
            "residual_base": ADDRESS_BITS,
            "residual_stride": STRIDE_BITS,
            "residual_image_stride": STRIDE_BITS,
            "statistics": 1,
            "statistics_base": ADDRESS_BITS,
            "map": 1,
        }
    )


def map_settings(config: Config) -> data.Layout:
    """What a MAP does: input planes (memory words), their size in pixels, and what comes out."""
    return data.StructLayout(
        {
            "resample": ResampleShape,
            "codes": 1,
            "two_planes": 1,
            "channels": bits_for(config.max_out_channels),
            "images": bits_for(config.max_images),
            "height": bits_for(config.max_size),
            "width": bits_for(config.max_size),
            "base": ADDRESS_BITS,
            "stride": STRIDE_BITS,
            "image_stride": STRIDE_BITS,
            "words": 16,
        }
    )
