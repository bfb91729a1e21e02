"""The compiled network on the golden machine against the integer model, tensor by tensor."""

import numpy as np
import pytest

from sqdm.compiler.access import Written
from sqdm.compiler.machine import Machine
from sqdm.compiler.network import compile_network
from sqdm.compiler.rules import check
from sqdm.compiler.tensors import concatenations
from sqdm.errors import UserError
from sqdm.golden import layout, planes
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.layers import layers
from sqdm.golden.model_file import load_model
from sqdm.golden.sampler import LEVELS
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import Kind, Resample

DEFAULT = PRESETS["default"]
#: Few slots, many lanes and a narrow bus: two groups of 16 channels in every key row, other strides everywhere.
OTHER = Config(name="other", slots=2, lanes=64, bus_bits=64, max_channels=128, max_out_channels=128, slot_channels=96)
#: Accumulators too narrow for 128 channels of 8 bits: the last layer is a plain convolution.
PLAIN = Config(name="plain", acc_bits=22, max_channels=128)
N = 2


@pytest.fixture(scope="module")
def arrays():
    return load_model().arrays


@pytest.fixture(scope="module")
def program(arrays):
    return compile_network(arrays, N, DEFAULT)


def inputs(seed, level, images=N):
    """(x, c_noise, labels) of an evaluation at a noise level of the sampler."""
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((images, 1, 8, 8)),
        np.full(images, np.log(LEVELS[level]) / 4),
        rng.integers(0, 10, images),
    )


def reference(arrays, x, c_noise, labels):
    """The output of the integer model and its tensors by name."""
    tensors = {}
    net = IntegerUNet(arrays, on_tensor=lambda name, array: tensors.update({name: array.copy()}))
    return net.network(x, c_noise, labels), tensors


def codes_in(program, memory, name, channels, pixels, signed):
    """Codes (N, C, pixels) of a region of activations."""
    region = program.regions[name]
    plane = region.shape["image_stride"]
    packed = planes.gather(memory, region.address, (plane, plane * N), (N, channels, plane))
    return planes.unpack_codes(packed, pixels, signed, two_planes=True)


@pytest.mark.parametrize("config", [DEFAULT, OTHER, PLAIN], ids=lambda config: config.name)
def test_every_tensor_is_that_of_the_integer_model(arrays, config):
    program = compile_network(arrays, N, config)
    memory, machine = program.new_memory(), Machine(config)
    for seed, level in ((1, 3), (2, 12)):  # the second evaluation uses what the first one left behind
        program.begin(memory, *inputs(seed, level))
        machine.run(program, memory)
        output, tensors = reference(arrays, *inputs(seed, level))
        np.testing.assert_array_equal(program.result(memory), output)
        compared = 0
        for name in set(program.tensors) & set(tensors):
            found = program.tensors[name].read(memory, N)
            if name.endswith(".scores"):
                found = found.reshape(N, 16, 16).swapaxes(1, 2)
            np.testing.assert_array_equal(found, tensors[name], err_msg=name)
            compared += 1
        assert compared == len(program.tensors)
        for block in ("dec.4x4_in0", "dec.4x4_block2"):
            name = f"{block}.attention"
            mix = codes_in(program, memory, f"{name}.mix.codes", 16, 16, False)
            np.testing.assert_array_equal(mix.swapaxes(1, 2), tensors[f"{name}.mix/codes"])
            for role, wanted in (("k", tensors[f"{name}.scores/weights"]), ("v", tensors[f"{name}.v"])):
                found = weight_codes(program, memory, f"{name}.{role}.codes", config)
                wanted = wanted.reshape(N, 64, 16)
                np.testing.assert_array_equal(found, wanted if role == "k" else wanted.swapaxes(1, 2))


def weight_codes(program, memory, name, config):
    """8-bit weights (N, input channels, output channels) of a region that the program wrote."""
    region = program.regions[name]
    run, channels, outputs = region.shape["run"], region.shape["pixels"], region.shape["channels"]
    if name.endswith("k.codes"):
        channels, outputs = outputs, channels
    packed = Written("", region.address, (run * channels, run), (N, channels, run), "u1", 0).read(memory)
    shape = layout.LayerShape(config, channels, outputs, 4, 4, N, 1, wide=True)
    return np.stack([layout.unpack_weights(image, shape)[:, :, 0, 0].T for image in packed])


def test_images_do_not_depend_on_each_other(arrays, program):
    x, c_noise, labels = inputs(3, 7)
    memory = program.new_memory()
    program.begin(memory, x, c_noise, labels)
    Machine(DEFAULT).run(program, memory)
    alone = compile_network(arrays, 1, DEFAULT)
    single = alone.new_memory()
    alone.begin(single, x[1:], c_noise[1:], labels[1:])
    Machine(DEFAULT).run(alone, single)
    np.testing.assert_array_equal(alone.result(single)[0], program.result(memory)[1])


def test_one_descriptor_for_each_layer_and_one_wait_for_each_normalisation(program):
    convs = [d.name for d in program.descriptors if d.kind == Kind.CONV]
    assert sorted(convs) == sorted(layer.name for layer in layers())
    waits = [d["CONTROL.tag"] for d in program.descriptors if d.kind == Kind.WAIT]
    assert len(waits) == 14 * 2 + 2 * 2 + 1  # two in each block, one and the softmax in each attention, the last layer
    assert waits == list(program.host_steps)
    maps = [(d.name, d["MODE.resample"]) for d in program.descriptors if d.kind == Kind.MAP and not d["MODE.codes"]]
    assert maps == [("enc.4x4_down/input", Resample.DOWN), ("dec.8x8_up/input", Resample.UP)]
    assert program.descriptors[-1].kind == Kind.END


def test_every_layer_is_prepared_while_the_one_before_runs(program):
    assert all(d["CONTROL.prefetch"] for d in program.descriptors if d.kind == Kind.CONV)


@pytest.mark.parametrize(
    ("config", "sizes", "strides"),
    [(DEFAULT, (128, 8, 1, 8), (32, 32 * 128, 16, 128)), (PLAIN, (32, 1, 8, 8), (N * 128, 128, N * 128, 128))],
    ids=lambda value: value.name if isinstance(value, Config) else "",
)
def test_last_layer_runs_over_rows_where_that_fits(arrays, config, sizes, strides):
    program = compile_network(arrays, N, config)
    (last,) = (d for d in program.descriptors if d.name == "conv_out")
    assert tuple(last[key] for key in ("CHANNELS", "OUT_CHANNELS", "HEIGHT", "WIDTH")) == sizes
    assert last["MODE.halo_top"] == (sizes[2] == 1) and not last["MODE.halo_bottom"]
    assert tuple(last[f"{of}_{name}"] for of in ("ACT", "OUT") for name in ("STRIDE", "IMAGE_STRIDE")) == strides
    assert program.layers["conv_out"].macs == layers()[-1].macs


def test_concatenated_tensors_are_neighbours(program):
    assert len(concatenations()) == 12
    for name, (whole, first, _) in concatenations().items():
        part, group = program.tensors[name], program.tensors[whole]
        assert part.place == group.place.offset(first)
        assert part.statistics == group.statistics + 16 * N * first


@pytest.mark.parametrize("name", ["default", "dense", "sparse"])
def test_every_descriptor_keeps_the_rules_of_its_configuration(arrays, name):
    config = PRESETS[name]
    for images in (1, config.max_images):
        for descriptor in compile_network(arrays, images, config).descriptors:
            check(descriptor, config)
            assert descriptor.kind != Kind.CONV or descriptor["BUFFERS.images"] >= min(2, images)


def test_the_network_at_4_bits_has_the_same_shapes(arrays, program):
    narrow = compile_network(arrays, N, DEFAULT, bits=4)
    for one, other in zip(program.descriptors, narrow.descriptors, strict=True):
        for key in (
            "CONTROL.kind",
            "CHANNELS",
            "OUT_CHANNELS",
            "HEIGHT",
            "WIDTH",
            "IMAGES",
            "MODE.kernel3",
            "MODE.output",
        ):
            assert one[key] == other[key]
        assert not other["MODE.two_planes"] and not other["MODE.wide_weights"]
    assert any(d["MODE.two_planes"] for d in program.descriptors)
    memory = narrow.new_memory()
    narrow.begin(memory, *inputs(4, 0))
    Machine(DEFAULT).run(narrow, memory)


def test_configurations_that_are_too_small_are_refused(arrays):
    with pytest.raises(UserError, match="tiny"):
        compile_network(arrays, 1, PRESETS["tiny"])
    with pytest.raises(UserError, match="DOWN cannot"):
        compile_network(arrays, 1, Config(name="broad", lanes=64, bus_bits=256))
    with pytest.raises(UserError, match=r"images must be 1\.\.32"):
        compile_network(arrays, 33, DEFAULT)


def test_evaluations_have_one_noise_level(program):
    x, c_noise, labels = inputs(5, 2)
    with pytest.raises(ValueError, match="2 images of one noise level"):
        program.begin(program.new_memory(), x[:1], c_noise[:1], labels[:1])
    with pytest.raises(ValueError, match="2 images of one noise level"):
        program.begin(program.new_memory(), x, np.array([c_noise[0], 0.5]), labels)
