"""What each part needs to know about a layer, from its descriptor and the derived sizes. Wiring only."""

from amaranth.hdl import Module, Mux

from .config import Config
from .descriptor import Kind, Output
from .layer_setup import GRANULE_SHIFT


def power_shift(config: Config) -> int:
    """log2 of the bytes of a memory word."""
    return (config.bus_bytes - 1).bit_length()


def pool_depth(channels, slots: int, maximum: int):
    """ceil(channels / slots) of a signal up to `maximum`, 0 for a pool without slots: a product with 1 / slots."""
    if slots == 0:
        return 0
    if slots & (slots - 1) == 0:
        return (channels + (slots - 1)) >> (slots - 1).bit_length()
    shift = 2 * maximum.bit_length()
    factor = -(-(1 << shift) // slots)
    if any((n + slots - 1) * factor >> shift != -(-n // slots) for n in range(maximum + 1)):
        raise ValueError(f"{shift} bits of 1/{slots} must divide 0..{maximum} exactly")
    return (channels + (slots - 1)) * factor >> shift


def connect_addresses(m: Module, config: Config, layer, descriptor, sizes) -> None:
    """`payloads.layer` of the address generator, without the labels."""
    word = power_shift(config)
    m.d.comb += [
        layer.channels.eq(descriptor.channels),
        layer.kernel3.eq(descriptor.mode.kernel3),
        layer.int16_acts.eq(descriptor.mode.int16_acts),
        layer.two_planes.eq(descriptor.mode.two_planes),
        layer.plane_words.eq(sizes.plane_words),
        layer.groups.eq(sizes.groups),
        layer.act_base.eq(descriptor.act_base >> GRANULE_SHIFT),
        layer.act_stride.eq(descriptor.act_stride >> GRANULE_SHIFT),
        layer.weight_base.eq(descriptor.weight_base >> word),
        layer.weight_stride.eq(descriptor.weight_stride >> word),
        layer.tile_words.eq(sizes.tile_words),
        layer.param_base.eq(descriptor.param_base >> word),
        layer.param_words.eq(sizes.param_words),
        layer.table_base.eq(descriptor.table_base >> word),
        layer.table_words.eq(sizes.table_words),
        layer.constant_base.eq(descriptor.constant_base >> word),
        layer.constant_words.eq(sizes.constant_words),
    ]


def connect_loads(m: Module, config: Config, settings, descriptor, sizes, renew) -> None:
    """`load_scheduler.load_settings`; with `renew` layers that ask for it count their activations."""
    word = power_shift(config)
    mode = descriptor.mode
    m.d.comb += [
        settings.tiles.eq(sizes.tiles),
        settings.images.eq(descriptor.images),
        settings.buffer_images.eq(descriptor.buffers.images),
        settings.item_rows.eq(sizes.item_rows),
        settings.raw.eq(mode.output == Output.RAW),
        settings.count.eq(mode.update & renew),
        settings.two_planes.eq(mode.two_planes),
        settings.int16_acts.eq(mode.int16_acts),
        settings.image_weights.eq(mode.image_weights),
        settings.tile_words.eq(sizes.tile_words),
        settings.weight_image_stride.eq(descriptor.weight_image_stride >> word),
        settings.act_image_stride.eq(descriptor.act_image_stride >> GRANULE_SHIFT),
        settings.constant_stride.eq(descriptor.constant_stride >> word),
    ]


def connect_job(m: Module, job, descriptor, sizes) -> None:
    """The fields of `payloads.job` that are the same for a whole layer."""
    mode = descriptor.mode
    m.d.comb += [getattr(job, name).eq(getattr(mode, name)) for name in ("kernel3", "halo_top", "halo_bottom")]
    m.d.comb += [
        job.height.eq(descriptor.height),
        job.width.eq(descriptor.width),
        job.signed_acts.eq(mode.signed_acts),
        job.two_planes.eq(mode.two_planes),
        job.plane_rows.eq(sizes.plane_words << 4),
        job.groups.eq(sizes.groups),
        job.high_rows.eq(sizes.high_rows),
    ]


def connect_normalise(m: Module, mode, descriptor, sizes) -> None:
    """`payloads.normalise_mode`."""
    m.d.comb += [
        mode.shift.eq(descriptor.shifts.normalise),
        mode.signed_codes.eq(descriptor.mode.signed_acts),
        mode.two_planes.eq(descriptor.mode.two_planes),
        mode.tail_pixels.eq(sizes.tail_pixels),
    ]


def connect_update(m: Module, config: Config, settings, descriptor, sizes) -> None:
    """`table_update.update_settings`."""
    m.d.comb += [
        settings.channels.eq(descriptor.channels),
        settings.slot_channels.eq(descriptor.buffers.slot_channels),
        settings.two_planes.eq(descriptor.mode.two_planes),
        settings.sparse_count.eq(Mux(descriptor.sparse_count[16:].any(), 0xFFFF, descriptor.sparse_count)),
        settings.count_shift.eq(descriptor.shifts.count),
        settings.counted_pixels.eq(sizes.counted_pixels),
        settings.table_base.eq(descriptor.table_base >> power_shift(config)),
        settings.plane_table_words.eq(sizes.table_words >> descriptor.mode.two_planes),
    ]


def connect_outputs(m: Module, config: Config, settings, descriptor, sizes, param_half) -> None:
    """`payloads.output_settings`."""
    word = power_shift(config)
    mode = descriptor.mode
    is_map = descriptor.control.kind == Kind.MAP
    planes = settings.planes
    m.d.comb += [
        settings.mode.shift.eq(descriptor.shifts.requantise),
        settings.mode.raw.eq(mode.output == Output.RAW),
        settings.mode.wide.eq(mode.wide_weights & ~is_map),
        settings.output.as_value().eq(mode.output),
        settings.param_half.eq(param_half),
        settings.pixels.eq(sizes.pixels),
        settings.all_pixels.eq(sizes.all_pixels),
        planes.base.eq(descriptor.out_base >> word),
        planes.stride.eq(descriptor.out_stride >> word),
        planes.image_stride.eq(descriptor.out_image_stride >> word),
        planes.words.eq(sizes.out_words),
        planes.channels.eq(Mux(is_map, descriptor.channels, descriptor.out_channels)),
        planes.images.eq(descriptor.images),
        planes.wide.eq(mode.wide_weights & ~is_map),
        settings.residual.enable.eq(mode.residual),
        settings.residual.multiplier.eq(descriptor.residual_multiplier),
        settings.residual.shift.eq(descriptor.shifts.residual),
        settings.residual_base.eq(descriptor.residual_base >> word),
        settings.residual_stride.eq(descriptor.residual_stride >> word),
        settings.residual_image_stride.eq(descriptor.residual_image_stride >> word),
        settings.statistics.eq(mode.statistics),
        settings.statistics_base.eq(descriptor.statistics_base >> word),
        settings.map.eq(is_map),
    ]


def connect_map(m: Module, config: Config, settings, descriptor, sizes) -> None:
    """`payloads.map_settings`."""
    word = power_shift(config)
    m.d.comb += [
        settings.resample.as_value().eq(descriptor.mode.resample),
        settings.codes.eq(descriptor.mode.codes),
        settings.two_planes.eq(descriptor.mode.two_planes),
        settings.channels.eq(descriptor.channels),
        settings.images.eq(descriptor.images),
        settings.height.eq(descriptor.height),
        settings.width.eq(descriptor.width),
        settings.base.eq(descriptor.act_base >> word),
        settings.stride.eq(descriptor.act_stride >> word),
        settings.image_stride.eq(descriptor.act_image_stride >> word),
        settings.words.eq(sizes.out_words),
    ]
