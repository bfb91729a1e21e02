"""What a program must do: the golden machine's memory, and the work that the counters must show."""

from collections import Counter
from dataclasses import replace

import numpy as np

from sqdm.compiler import access
from sqdm.compiler.machine import Machine
from sqdm.compiler.program import Descriptor
from sqdm.golden import planes
from sqdm.golden.dealing import clamp_dense, deal
from sqdm.rtl.descriptor import Kind


class Expectation:
    """Does descriptors on ``memory``, which it owns; ``counters``: those that follow from them so far."""

    def __init__(self, machine: Machine, memory: np.ndarray):
        self.machine = machine
        self.memory = memory
        self.counters: Counter[str] = Counter(OPS_DENSE=0, OPS_SPARSE=0, DENSE_CHANNELS=0, NONZEROS=0)
        self.values = 0  #: results, to see that there were some

    def execute(self, d: Descriptor):
        """One descriptor."""
        if d.kind == Kind.CONV:
            self._count(d)
        self.machine.execute(d, self.memory)
        self.values += sum(output.values for output in access.written(d, self.machine.config))

    def written(self, d: Descriptor) -> np.ndarray:
        """Which bytes of the memory a descriptor may write."""
        mask = np.zeros(self.memory.size, np.uint8)
        for output in access.written(d, self.machine.config):
            planes.place(mask, output.base, output.strides, np.ones(output.shape, np.uint8))
        return mask.astype(bool)

    def _count(self, d: Descriptor):
        config, shape = self.machine.config, access.conv_shape(d, self.machine.config)
        codes = access.read_codes(d, self.memory, config, shape.in_pixels)[..., : shape.in_pixels]
        digits = planes.digits(codes, bool(d["MODE.signed_acts"]))[::-1] if shape.two_planes else (codes,)
        uses = pixel_uses(d, shape.taps)
        for plane, (order, dense) in zip(digits, self._tables(d, shape), strict=True):
            slots = deal(order, dense, config)
            first = config.dense_slots
            depth = len(slots[0]) if first else 0
            sparse = [channel for slot in slots[first:] for channel in slot if channel is not None]
            taken = (np.count_nonzero(plane[:, sparse], axis=(0, 1)) * uses).sum()
            self.counters["OPS_DENSE"] += shape.tiles * first * depth * int(uses.sum()) * shape.images
            self.counters["OPS_SPARSE"] += shape.tiles * int(taken)
            self.counters["DENSE_CHANNELS"] += shape.channels - len(sparse)
            if d["MODE.update"] and self.machine.updating:
                self.counters["NONZEROS"] += int(np.count_nonzero(plane))

    def _tables(self, d: Descriptor, shape) -> list[tuple[np.ndarray, int]]:
        """(order, dense_channels) that the layer uses, plane LOW first."""
        memory = self.memory
        if d["MODE.scan"]:  # the tables that it would store
            memory = memory.copy()
            sorter = Machine(self.machine.config, self.machine.policy)
            sorter.start()
            sorter.execute(replace(d, values=d.values | {"MODE.update": 1}), memory)
        depth, config = d["BUFFERS.slot_channels"], self.machine.config
        return [
            (order, clamp_dense(dense, shape.channels, depth, config.dense_slots, config.sparse_slots))
            for order, dense, _ in access.read_tables(d, memory, shape)
        ]


def pixel_uses(d: Descriptor, taps: int) -> np.ndarray:
    """How many pixels of the output strip read each input pixel, halo rows included, in raster order."""
    top = d["MODE.halo_top"]
    rows, columns = d["HEIGHT"] + top + d["MODE.halo_bottom"], d["WIDTH"]
    reach = int(taps == 9)

    def readers(inputs: int, first: int, outputs: int) -> np.ndarray:
        """Of outputs 0 .. outputs - 1 those whose kernel covers input first + i."""
        return np.array([
            sum(abs(first + i - o) <= reach for o in range(outputs)) for i in range(inputs)
        ])  # fmt: skip

    return (readers(rows, -top, d["HEIGHT"])[:, None] * readers(columns, 0, columns)).reshape(-1)
