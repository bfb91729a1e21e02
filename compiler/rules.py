"""The rules that a descriptor must keep on a configuration, as the hardware checks them (docs/program.md)."""

from sqdm.compiler.access import conv_shape, map_size
from sqdm.compiler.buffers import images_that_fit, pools
from sqdm.compiler.program import Descriptor
from sqdm.golden.layout import LayerShape
from sqdm.golden.planes import GRANULE_BYTES
from sqdm.rtl.config import COUNT_BITS, STRIDE_BITS, WORD_NIBBLES, Config, ceil_div
from sqdm.rtl.descriptor import BASES, STRIDES, Kind, Output, Resample


class BadDescriptorError(ValueError):
    """A descriptor breaks a rule; the message names descriptor and rule."""


def check(d: Descriptor, config: Config) -> None:
    """Raise `BadDescriptorError` when the accelerator would refuse the descriptor."""
    if d.kind not in (Kind.CONV, Kind.MAP):
        return
    _check_fields(d)
    _check_addresses(d, config)
    for key, limit in (("CHANNELS", config.max_channels), ("HEIGHT", config.max_size), ("WIDTH", config.max_size),
                       ("IMAGES", config.max_images)):  # fmt: skip
        _require(d, 1 <= d[key] <= limit, f"{key} must be 1..{limit}, not {d[key]}")
    if d.kind == Kind.MAP:
        _check_map(d, config)
    else:
        _check_conv(d, conv_shape(d, config))


def _require(d: Descriptor, holds: bool, rule: str) -> None:
    if not holds:
        raise BadDescriptorError(f"{d.name}: {rule}")


def _check_fields(d: Descriptor) -> None:
    """No field contradicts another one."""
    output, resample, codes = Output(d["MODE.output"]), d["MODE.resample"], d["MODE.codes"]
    if d.kind == Kind.MAP:
        _require(d, not (codes and (resample or d["MODE.statistics"])), "codes exclude resampling and statistics")
        _require(d, codes or not d["MODE.two_planes"], "two_planes needs codes")
        _require(d, not d["MODE.residual"] and output == Output.INT16, "a MAP has neither residual nor Output")
    else:
        _require(d, not codes and not resample, "codes and resampling belong to a MAP")
        plain = output == Output.INT16 or not (d["MODE.residual"] or d["MODE.statistics"])
        _require(d, plain, "residual and statistics need INT16 outputs")
        halo = d["MODE.halo_top"] or d["MODE.halo_bottom"]
        _require(d, d["MODE.kernel3"] or not halo, "halo lines need a 3x3 kernel")
    _require(d, d["RESIDUAL_MULTIPLIER"] < 1 << 16, "RESIDUAL_MULTIPLIER has 16 bit")


def _check_addresses(d: Descriptor, config: Config) -> None:
    """Bases and strides are whole memory words; activations as their kind demands."""
    int16 = d.kind == Kind.MAP or d["MODE.int16_acts"]
    for name in BASES + STRIDES:
        unit = config.bus_bytes
        if name == "ACT_BASE":
            unit = config.plane_bytes if int16 else GRANULE_BYTES
        elif name.startswith("ACT_") and not int16:
            unit = GRANULE_BYTES
        _require(d, d[name] % unit == 0, f"{name} must be a multiple of {unit}, not {d[name]}")
        if name in STRIDES:
            step = GRANULE_BYTES if name.startswith("ACT_") else config.bus_bytes
            most = (1 << STRIDE_BITS) * step
            _require(d, d[name] < most, f"{name} must be below {most}, not {d[name]}")


def legal_map(resample: Resample, height: int, width: int, config: Config) -> bool:
    """Whether a MAP can resample planes of that size."""
    per_word = config.bus_bits // 16
    if resample == Resample.DOWN:
        return height % 2 == 0 and (width == per_word or width % (2 * per_word) == 0)
    if resample == Resample.UP:
        whole = width % per_word == 0 or 2 * width == per_word
        return whole and 2 * max(height, width) <= config.max_size
    return True


def _check_map(d: Descriptor, config: Config) -> None:
    most = config.max_out_channels
    _require(d, d["CHANNELS"] <= most, f"CHANNELS must be 1..{most}, not {d['CHANNELS']}")
    resample = Resample(d["MODE.resample"])
    _require(d, legal_map(resample, d["HEIGHT"], d["WIDTH"], config), f"{resample.name} cannot take these planes")
    height, width = map_size(d)
    _require(d, height * width * d["IMAGES"] < 1 << COUNT_BITS, "too many pixels in all images")


def _check_conv(d: Descriptor, shape: LayerShape) -> None:
    config = shape.config
    most = config.max_out_channels
    _require(d, 1 <= shape.out_channels <= most, f"OUT_CHANNELS must be 1..{most}, not {shape.out_channels}")
    depth, images = d["BUFFERS.slot_channels"], d["BUFFERS.images"]
    deep = 1 <= depth <= config.max_depth and depth * sum(pools(config)) >= shape.channels
    _require(d, deep, f"slot_channels {depth} must suit {shape.channels} channels")
    if shape.two_planes:
        most = config.wide_channels(shape.taps)
        _require(d, shape.channels <= most, f"CHANNELS must be 1..{most} for 8-bit activations (acc_bits)")
    rows = ceil_div(depth, WORD_NIBBLES) * WORD_NIBBLES * shape.taps * shape.planes
    _require(d, rows <= config.weight_rows, f"weights need {rows} rows of {config.weight_rows}")
    _require(d, 1 <= images <= images_that_fit(shape, depth), f"{images} images do not fit the activation buffers")
    counted = shape.images * max(shape.in_pixels, shape.pixels)
    _require(d, counted < 1 << COUNT_BITS, f"all images must have fewer than {1 << COUNT_BITS} pixels, not {counted}")
