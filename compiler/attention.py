"""The network's self-attention as descriptors: its two products are convolutions whose weights are activations.

qk     1x1 convolution to INT16          k codes   MAP of k to 8-bit codes, which are weights of the scores
v      1x1 convolution to 8-bit weights  scores    q (channel c, pixel p) times k (channel c, output channel p')
WAIT   softmax on the host               mix       probabilities (channel p', pixel p) times v (output channel c)
proj   1x1 convolution and residual
"""

from sqdm.compiler.conv_descriptor import Place
from sqdm.compiler.layer_builder import LayerBuilder
from sqdm.compiler.tensors import Tensor, Tensors
from sqdm.golden import layout, planes
from sqdm.golden.scalars import SKIP_MULTIPLIER, SKIP_SHIFT
from sqdm.rtl.descriptor import Kind, Output


def add_attention(add: LayerBuilder, tensors: Tensors, block: str, x: Tensor) -> Tensor:
    """Append the attention of ``block``; INT16 stream in and out."""
    name, c, size = f"{block}.attention", x.channels, (x.height, x.width)
    normalised = add.wait_for_constants([f"{name}.qk", f"{name}.v"], x)
    qk = tensors.new(f"{name}.qk", 2 * c, *size, statistics=False)
    add.conv(f"{name}.qk", x.place, qk.place, normalised[0])
    keys = _key_codes(add, name, qk.part("k", c, c))
    values = _values(add, name, x, normalised[1])
    scores = tensors.new(f"{name}.scores", x.pixels, *size, statistics=False, raw=True)
    static = add.static_constants(f"{name}.q", c)
    add.conv(f"{name}.scores", qk.place, scores.place, static, f"{name}.q", weights=keys, output=Output.RAW)
    probabilities = _softmax(add, block, scores)
    mixed = tensors.new(f"{name}.mix", c, *size, statistics=False)
    add.conv(f"{name}.mix", probabilities, mixed.place, weights=values)
    y = tensors.new(name, c, *size, statistics=True)
    static = add.static_constants(f"{name}.proj", c)
    residual = (x.place, SKIP_MULTIPLIER, SKIP_SHIFT)
    add.conv(f"{name}.proj", mixed.place, y.place, static, residual=residual, statistics=y.statistics)
    return y


def _key_codes(add: LayerBuilder, name: str, k: Tensor) -> Place:
    """A MAP of the keys to codes, each channel's pixels where the scores expect its weights."""
    shape, config, images = add.shape(f"{name}.scores"), add.config, add.host.images
    codes = planes.round_up(planes.code_bytes(k.pixels, shape.two_planes), config.bus_bytes)
    run = max(shape.weight_words * config.bus_bytes, codes)
    sizes = {"channels": k.channels, "pixels": k.pixels, "run": run}
    region = add.builder.allocate(f"{name}.k.codes", run * k.channels * images, "weights", **sizes)
    place = Place(region.address, run, run * k.channels)
    constants, _ = add.static_constants(f"{name}.k", k.channels)
    values = {
        "MODE.codes": 1,
        "MODE.signed_acts": 1,
        "MODE.two_planes": int(shape.two_planes),
        "SHIFTS.normalise": add.host.scalars.act_shift(f"{name}.k"),
        "CHANNELS": k.channels,
        "HEIGHT": k.height,
        "WIDTH": k.width,
        "IMAGES": images,
        "CONSTANT_BASE": constants.address,
        **k.place.values("ACT"),
        **place.values("OUT"),
    }
    add.builder.add(f"{name}.k", Kind.MAP, values)
    return place


def _values(add: LayerBuilder, name: str, x: Tensor, constants: tuple) -> Place:
    """The convolution to v, whose pixels are the input channels of the mix; where its weights lie then."""
    shape, config = add.shape(f"{name}.mix"), add.config
    row = max(layout.weight_row_bytes(x.channels, config), shape.weight_words * config.bus_bytes)
    sizes = {"pixels": x.pixels, "channels": x.channels, "run": row}
    region = add.builder.allocate(f"{name}.v.codes", row * x.pixels * add.host.images, "weights", **sizes)
    place = Place(region.address, row, row * x.pixels)
    add.conv(f"{name}.v", x.place, place, constants, output=Output.WEIGHTS)
    return place


def _softmax(add: LayerBuilder, block: str, scores: Tensor) -> Place:
    """A WAIT at which the host turns scores into codes of the probabilities."""
    layer, images = add.layers[f"{block}.attention.mix"], add.host.images
    plane = planes.code_bytes(scores.pixels, layer.act.bits == 8)
    sizes = {"channels": scores.pixels, "pixels": scores.pixels, "image_stride": plane}
    region = add.builder.allocate(f"{block}.attention.mix.codes", plane * scores.pixels * images, "codes", **sizes)
    place = Place(region.address, plane * images, plane)
    step = add.host.softmax_step(block, scores.place, place, scores.pixels, layer.act.bits)
    add.builder.wait(f"softmax {block}", step)
    return place
