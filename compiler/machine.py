"""The golden machine: executes descriptors on a memory image, bit for bit as the accelerator does.

It computes with the functions of `sqdm.golden.conv` on whole values: planes of nibbles, dealing, buffers and images at
a time do not exist here, because results do not depend on them.
"""

from collections.abc import Callable

import numpy as np

from sqdm.compiler import access, rules
from sqdm.compiler.program import Descriptor, Program
from sqdm.golden import layout, planes
from sqdm.golden.conv import add_residual, conv_psum, requantise
from sqdm.golden.detector import assign_channels
from sqdm.golden.host import channel_sums, downsample, upsample
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import CODE_MAX, Config
from sqdm.rtl.descriptor import Kind, Output, Resample
from sqdm.rtl.registers import Policy


class Machine:
    """An accelerator with ``config``, the detector's ``policy`` and ``period`` as in register DETECT.

    ``programs``: programs that were started since reset; tables are stored in those whose number, from 0 on, is a
    multiple of ``period``.
    """

    def __init__(self, config: Config, policy: Policy = Policy.BALANCED, period: int = 1):
        self.config = config
        self.policy = policy
        self.period = max(1, period)
        self.programs = 0

    def run(
        self,
        program: Program,
        memory: np.ndarray,
        after: Callable[[Descriptor, np.ndarray], None] | None = None,
    ) -> None:
        """Run a program from its start to its END on ``memory``, with its host steps.

        ``after``, when given, is called with each descriptor and the memory once it is done.
        """
        self.start()
        for descriptor in program.descriptors:
            if descriptor.kind == Kind.WAIT:
                program.host_steps[descriptor["CONTROL.tag"]](memory)
            else:
                self.execute(descriptor, memory)
            if after is not None:
                after(descriptor, memory)

    def start(self) -> None:
        """A program starts: counts for the period."""
        self.updating = self.programs % self.period == 0
        self.programs += 1

    def execute(self, d: Descriptor, memory: np.ndarray) -> None:
        """Do what a CONV or MAP asks for; END and WAIT do nothing. `BadDescriptorError` when it breaks a rule."""
        rules.check(d, self.config)
        if d.kind == Kind.CONV:
            self._conv(d, memory)
        elif d.kind == Kind.MAP:
            self._map(d, memory)

    def _conv(self, d: Descriptor, memory: np.ndarray) -> None:
        shape = access.conv_shape(d, self.config)
        check_tables(d, memory, shape)
        counted = access.read_codes(d, memory, self.config, shape.in_pixels)
        codes = counted[..., : shape.in_pixels].reshape(shape.images, shape.channels, -1, shape.width)
        psums = convolve(codes, access.read_weights(d, memory, shape))
        psums = psums[:, :, d["MODE.halo_top"] :][:, :, : shape.height]
        kind = Output(d["MODE.output"])
        outputs = psums if kind == Output.RAW else self._finish(d, memory, shape, psums)
        self._store(d, memory, outputs.reshape(*outputs.shape[:2], -1))
        if d["MODE.update"] and self.updating:
            self._update(d, memory, shape, counted)

    def _finish(self, d: Descriptor, memory: np.ndarray, shape: LayerShape, psums: np.ndarray) -> np.ndarray:
        """Requantise, and add the residual: int16 (N, K, H, W)."""
        size = shape.tiles * shape.tile_channels * layout.PARAM_BYTES
        params = planes.gather(memory, d["PARAM_BASE"], (), (size,))
        multiplier, bias = layout.unpack_params(params, shape.out_channels)
        outputs = requantise(psums, multiplier, d["SHIFTS.requantise"], bias)
        if not d["MODE.residual"]:
            return outputs
        residual = access.read_int16(d, memory, "RESIDUAL", shape.out_channels, shape.pixels)
        return add_residual(outputs, residual.reshape(outputs.shape), d["RESIDUAL_MULTIPLIER"], d["SHIFTS.residual"])

    def _map(self, d: Descriptor, memory: np.ndarray) -> None:
        height, width = d["HEIGHT"], d["WIDTH"]
        if d["MODE.codes"]:
            self._store(d, memory, access.read_codes(d, memory, self.config, height * width)[..., : height * width])
            return
        values = access.read_int16(d, memory, "ACT", d["CHANNELS"], height * width)
        values = values.reshape(d["IMAGES"], d["CHANNELS"], height, width)
        resampled = {Resample.NONE: lambda same: same, Resample.DOWN: downsample, Resample.UP: upsample}
        result = resampled[Resample(d["MODE.resample"])](values)
        self._store(d, memory, result.reshape(*result.shape[:2], -1))

    def _store(self, d: Descriptor, memory: np.ndarray, values: np.ndarray) -> None:
        """Write the outputs (N, K, pixels) and their statistics."""
        output, *others = access.written(d, self.config)
        if output.kind == "weights":
            packed = layout.pack_weight_rows(np.clip(values, -CODE_MAX, CODE_MAX).swapaxes(1, 2), self.config)
        elif output.kind == "codes":
            packed = planes.pack_codes(values, bool(d["MODE.signed_acts"]), bool(d["MODE.two_planes"]))
        elif output.kind == "raw":
            packed = planes.pack_raw(values, self.config)
        else:
            packed = planes.pack_int16(values, self.config)
        output.write(memory, planes.padded(packed, max(packed.shape[-1], output.shape[-1])))
        for other in others:
            if other.kind == "statistics":
                other.write(memory, layout.pack_statistics(*channel_sums(values), self.config))

    def _update(self, d: Descriptor, memory: np.ndarray, shape: LayerShape, codes: np.ndarray) -> None:
        """Sort each plane's channels by their non-zeros and store the tables, that of the plane HIGH first."""
        counted = planes.digits(codes, bool(d["MODE.signed_acts"])) if shape.two_planes else (codes,)
        tables = []
        for digits in counted:
            counts = np.count_nonzero(digits, axis=(0, 2))
            order, dense = assign_channels(
                counts,
                self.policy,
                d["SPARSE_COUNT"],
                d["SHIFTS.count"],
                shape.images * shape.in_pixels,
                self.config.dense_slots,
                self.config.sparse_slots,
                slot_channels=d["BUFFERS.slot_channels"],
            )
            tables.append(layout.pack_table(order, dense, self.config, counts))
        access.written(d, self.config)[-1].write(memory, np.concatenate(tables))


def convolve(codes: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Sums of (N, C, H, W) with one set of weights for all images or one for each."""
    if len(weights) == 1:
        return conv_psum(codes, weights[0])
    pairs = zip(codes, weights, strict=True)
    return np.concatenate([conv_psum(image[None], own) for image, own in pairs])


def check_tables(d: Descriptor, memory: np.ndarray, shape: LayerShape) -> None:
    """Raise `BadDescriptorError` unless every channel table is an order of the channels with a legal split."""
    for order, dense, _ in access.read_tables(d, memory, shape):
        if not np.array_equal(np.sort(order), np.arange(shape.channels)) or dense > shape.channels:
            raise rules.BadDescriptorError(f"{d.name}: a channel table must be an order of {shape.channels} channels")
