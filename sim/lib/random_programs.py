"""Random programs for the bench of the whole accelerator: noise wherever nothing is defined."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.operands import Convolution
from sqdm.compiler.prefetch import allow_prefetch
from sqdm.compiler.program import Builder, Descriptor, HostStep, Program
from sqdm.golden import layout, planes
from sqdm.golden.requant import Requant
from sqdm.rtl.config import CODE_MAX, Config
from sqdm.rtl.descriptor import BASES, BYTES, Kind, Output, Resample
from sqdm.sim.lib.workload import activations


def noise(rng: np.random.Generator, size) -> np.ndarray:
    """Random bytes."""
    return rng.integers(0, 256, size).astype(np.uint8)


def convolution(rng: np.random.Generator, shape: tuple[int, ...], taps: int, **options) -> Convolution:
    """A layer of ``shape`` (N, C, K, H, W).

    ``options``: fields of `Convolution`; ``int16``, ``residual``, ``image_weights``: whether it has those operands;
    ``fill`` of the activations.
    """
    images, channels, out_channels, height, width = shape
    side = 3 if taps == 9 else 1
    signed, wide = options.get("signed", False), options.get("act_bits", 4) == 8
    fill = options.pop("fill", "mixed")
    operands = {}
    if options.pop("int16", False):
        acts = rng.integers(-32768, 32768, (images, channels, height, width)).astype(np.int16)
        scale = rng.choice([3, 40, 500], (images, channels))
        operands["constants"] = (rng.integers(-scale, scale + 1), rng.integers(-(1 << 20), 1 << 20, (images, channels)))
        operands["normalise_shift"] = int(rng.integers(10, 17) if wide else rng.integers(16, 22))
    else:
        acts = activations(rng, (images, channels, height, width), fill, signed, wide)
    if options.get("output") != Output.RAW:
        shift = int(rng.integers(0, 20))
        top = min(65535, (4 if wide else 40) << shift)
        multiplier = rng.integers(0, top + 1, out_channels).astype(np.uint16)
        bias = rng.integers(-32768, 32768, out_channels) >> rng.integers(0, 12, out_channels)
        operands["requant"] = Requant(multiplier, shift, bias.astype(np.int16))
    if options.pop("residual", False):
        operands["residual"] = rng.integers(-32768, 32768, (images, out_channels, height, width)).astype(np.int16)
        shift = int(rng.integers(0, 18))
        operands |= {"residual_multiplier": int(rng.integers(0, min(65535, 2 << shift))), "residual_shift": shift}
    sets = (images,) if options.pop("image_weights", False) else ()
    low, high = (-CODE_MAX, CODE_MAX) if options.get("weight_bits", 4) == 8 else (-8, 7)
    weights = rng.integers(low, high + 1, (*sets, out_channels, channels, side, side)).astype(np.int16)
    return replace(Convolution(acts, weights, **operands), **options)


def compiled(rng: np.random.Generator, conv: Convolution, config: Config) -> Program:
    """Its program; noise in results and behind the last pixels of INT16 planes."""
    program = compile_convolution(conv, config)
    for part in program.parts:
        for role, region in part.regions.items():
            memory = program.memory[region.slice]
            if role in ("out", "statistics"):
                memory[:] = noise(rng, memory.size)
            elif region.kind == "int16":
                pixels = part.shape.in_pixels if role == "acts" else part.shape.pixels
                tails(rng, memory, pixels, config)
    return program


def tails(rng: np.random.Generator, memory: np.ndarray, pixels: int, config: Config):
    """Noise behind the last pixel of INT16 planes."""
    stacked = memory.reshape(-1, planes.int16_bytes(pixels, config))[:, 2 * pixels :]
    stacked[:] = noise(rng, stacked.shape)


def mapping(
    rng: np.random.Generator, shape: tuple[int, ...], config: Config, resample: Resample = Resample.NONE, **modes: int
) -> Program:
    """A MAP of random INT16 planes of ``shape`` (N, C, H, W), channel by channel; ``modes``: fields of MODE."""
    images, channels, height, width = shape
    pixels = height * width
    plane = planes.int16_bytes(pixels, config)
    builder = Builder(config)
    values = rng.integers(-32768, 32768, (channels, images, pixels)).astype(np.int16)
    acts = builder.store("acts", planes.pack_int16(values, config), "int16")
    a, b = rng.integers(-300, 301, channels), rng.integers(-(1 << 20), 1 << 20, channels)
    constants = builder.store("constants", layout.pack_constants(a, b, config), "constants")
    out_plane = planes.int16_bytes(4 * pixels, config) + config.plane_bytes
    results = {"OUT": channels * images * out_plane, "STATISTICS": channels * images * layout.statistics_bytes(config)}
    regions = {name: builder.allocate(name, size, "results") for name, size in results.items()}
    fields = {
        "CHANNELS": channels, "HEIGHT": height, "WIDTH": width, "IMAGES": images, "MODE.resample": int(resample),
        "SHIFTS.normalise": int(rng.integers(10, 20)), "CONSTANT_BASE": constants.address,
        "ACT_BASE": acts.address, "ACT_STRIDE": images * plane, "ACT_IMAGE_STRIDE": plane,
        "OUT_STRIDE": images * out_plane, "OUT_IMAGE_STRIDE": out_plane,
    }  # fmt: skip
    bases = {f"{name}_BASE": region.address for name, region in regions.items()}
    builder.add("map", Kind.MAP, fields | bases | {f"MODE.{name}": value for name, value in modes.items()})
    program = builder.finish()
    tails(rng, program.memory[acts.slice], pixels, config)
    for region in regions.values():
        program.memory[region.slice] = noise(rng, region.bytes)
    return program


def chain(
    rng: np.random.Generator,
    programs: Sequence[Program],
    waits: dict[int, HostStep] | None = None,
    links: Sequence[tuple[int, str, int]] = (),
    prefetch: bool = True,
) -> Program:
    """All programs one behind the other as one, at other addresses, with noise between them.

    ``waits``: host steps of WAITs before the program with that number (of all, if there are as many). ``links``:
    (descriptor, operand ACT, WEIGHT or RESIDUAL, descriptor whose outputs that is). ``prefetch``: wherever allowed.
    """
    config = programs[0].config
    descriptors: list[Descriptor] = []
    contents: list[tuple[int, np.ndarray]] = []
    host_steps: dict[int, HostStep] = {}
    end = 0
    for number, program in enumerate(programs):
        if number in (waits or {}):
            host_steps[len(descriptors)] = waits[number]
            descriptors.append(Descriptor("wait", {"CONTROL.kind": int(Kind.WAIT)}))
        end += config.plane_bytes * int(rng.integers(1, 4))
        for d in program.descriptors[:-1]:
            moved = {key: value + end if key in BASES else value for key, value in d.values.items()}
            descriptors.append(replace(d, values=moved))
        contents.append((end, program.memory))
        end += program.memory.size
    descriptors.append(Descriptor("end", {"CONTROL.kind": int(Kind.END)}))
    for reader, operand, writer in links:
        values = {
            f"{operand}_{part}": descriptors[writer][f"OUT_{part}"] for part in ("BASE", "STRIDE", "IMAGE_STRIDE")
        }
        descriptors[reader] = replace(descriptors[reader], values=descriptors[reader].values | values)
    if prefetch:
        descriptors = allow_prefetch(descriptors, config)
    else:
        descriptors = [replace(d, values=d.values | {"CONTROL.prefetch": 0}) for d in descriptors]
    tags = [replace(d, values=d.values | {"CONTROL.tag": tag}) for tag, d in enumerate(descriptors)]
    memory = noise(rng, end + BYTES * len(tags))
    for address, content in contents:
        memory[address : address + content.size] = content
    return rewritten(Program(config, tags, end, memory, {}, host_steps))


def rewritten(program: Program) -> Program:
    """The program with its descriptors as they are now in its memory image."""
    words = np.concatenate([d.words() for d in program.descriptors]).view(np.uint8)
    program.memory[program.base : program.base + words.size] = words
    return program


def changed(program: Program, index: int, **values: int) -> Program:
    """A copy with other values of a descriptor; the name of a field is written WORD__field."""
    given = {key.replace("__", "."): value for key, value in values.items()}
    descriptors = list(program.descriptors)
    descriptors[index] = replace(descriptors[index], values=descriptors[index].values | given)
    return rewritten(replace(program, descriptors=descriptors, memory=program.memory.copy()))
