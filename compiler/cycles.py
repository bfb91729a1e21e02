"""Predicted cycles of a descriptor, from shapes and, where they are known, counts of non-zeros.

An estimate: the arrays, the loads and the output path are taken as three stages that overlap perfectly once the first
weights and activations are there; stalls of one on another, memory latency and the detector are left out.
"""

from dataclasses import dataclass

import numpy as np

from sqdm.compiler.access import conv_shape, map_size, read_tables
from sqdm.compiler.buffers import first_split
from sqdm.compiler.program import Descriptor
from sqdm.golden.dealing import clamp_dense, deal_pool
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import BALANCE_SHIFT, TURNS, WORD_NIBBLES, Config, ceil_div
from sqdm.rtl.descriptor import Kind, Output, Resample

SETUP = 64  #: fetching and checking a descriptor, filling and draining the pipelines

Table = tuple[np.ndarray, int, np.ndarray]  #: order, dense channels, non-zeros by channel


@dataclass(frozen=True)
class Estimate:
    """Cycles by cause. ``dense`` and ``sparse``: the arrays of each kind multiply; ``loads``: memory words, or blocks
    in the corner turns, on their way to the buffers; ``output``: requantising and writing; ``fill``: before the first
    multiplication. All loads belong to the first of ``passes``, one an output tile whose activations stay.
    """

    dense: int = 0
    sparse: int = 0
    loads: int = 0
    output: int = 0
    fill: int = 0
    passes: int = 1

    @property
    def total(self) -> int:
        busy = max(self.dense, self.sparse, self.output) // self.passes
        return self.fill + max(busy, self.loads) + (self.passes - 1) * busy


def estimate(d: Descriptor, config: Config, memory: np.ndarray | None = None) -> Estimate:
    """The prediction for a descriptor.

    ``memory``: an image of the program; its channel tables tell split and non-zeros, those of calibration or of the
    last run. Without it, or for tables without counts, every activation counts as non-zero.
    """
    if d.kind == Kind.MAP:
        return _map(d, config)
    if d.kind != Kind.CONV:
        return Estimate()
    shape = conv_shape(d, config)
    tables = _tables(d, shape, memory)
    jobs = shape.tiles * shape.images
    dense, sparse = _arrays(d, shape, tables)
    words = 2 if d["MODE.residual"] or d["MODE.statistics"] else 1
    groups = ceil_div(shape.tile_channels, config.post_lanes)
    written = shape.tile_channels * shape.out_words(d["MODE.output"] == Output.RAW) * words
    weights = shape.planes * shape.channels * shape.tile_words
    acts = _image_loads(d, shape, tables)
    resident = shape.images <= d["BUFFERS.images"]
    sets = shape.images if d["MODE.image_weights"] else 1
    loads = shape.param_words + sets * shape.tiles * weights + (1 if resident else shape.tiles) * shape.images * acts
    early = 0 if d["CONTROL.prefetch"] else shape.table_words + shape.param_words + weights
    scan = shape.images * acts if d["MODE.scan"] else 0
    output = jobs * max(shape.pixels * groups, written)
    fill = SETUP + early + acts + scan
    return Estimate(jobs * dense, jobs * sparse, loads, output, fill, shape.tiles if resident else 1)


def _tables(d: Descriptor, shape: LayerShape, memory: np.ndarray | None) -> list[Table]:
    """Split and non-zeros of each plane, as far as they are known."""
    config, full = shape.config, np.full(shape.channels, shape.images * shape.in_pixels)
    if memory is None:
        dense = first_split(shape, d["BUFFERS.slot_channels"])
        return [(np.arange(shape.channels), dense, full)] * shape.planes
    found = []
    for order, dense, counts in read_tables(d, memory, shape):
        slots = (d["BUFFERS.slot_channels"], config.dense_slots, config.sparse_slots)
        found.append((order, clamp_dense(dense, shape.channels, *slots), counts if counts.any() else full))
    return found


def _arrays(d: Descriptor, shape: LayerShape, tables: list[Table]) -> tuple[int, int]:
    """Cycles of the dense and of the sparse arrays for one image and output tile.

    Taps on the zero padding cost nothing. A sparse array's slots wait for the slowest one; as in the detector's policy,
    an eighth more than the fullest slot's mean stands for that.
    """
    config = shape.config
    rows, columns = shape.height, shape.width
    if shape.taps == 9:
        rows = 3 * rows - (not d["MODE.halo_top"]) - (not d["MODE.halo_bottom"])
        columns = 3 * columns - 2
    pairs = rows * columns
    dense = sparse = 0.0
    for order, split, counts in tables:
        if config.dense_slots:
            dense += pairs * ceil_div(split, config.dense_slots)
        if config.sparse_slots and split < shape.channels:
            slots = deal_pool(order[split:], config.sparse_slots)
            fullest = max(sum(int(counts[c]) for c in slot if c is not None) for slot in slots)
            share = fullest / (shape.images * shape.in_pixels)
            deepest = len(slots[0])
            sparse += pairs * min(share * (1 + 2**-BALANCE_SHIFT), deepest)
    return round(dense), round(sparse)


def _image_loads(d: Descriptor, shape: LayerShape, tables: list[Table]) -> int:
    """Cycles to load one image: its memory words, or the blocks of 16 pixels and 16 channels of either corner turn."""
    config = shape.config
    words = shape.planes * shape.channels * shape.plane_words * (config.chunk_words if d["MODE.int16_acts"] else 1)
    if d["MODE.int16_acts"] and d["CONSTANT_STRIDE"]:
        words += shape.constant_words
    groups = [0] * (config.dense_slots + config.sparse_slots)
    for _, split, _ in tables:
        pools = (split, config.dense_slots, 0), (shape.channels - split, config.sparse_slots, config.dense_slots)
        for channels, slots, first in pools:
            for slot in range(min(slots, channels)):
                groups[first + slot] += ceil_div(ceil_div(channels, slots), WORD_NIBBLES)
    turn = max(sum(groups[number::TURNS]) for number in range(TURNS))
    return max(words, (turn * shape.plane_words + 1) * WORD_NIBBLES)


def _map(d: Descriptor, config: Config) -> Estimate:
    """A word is read in every cycle; an enlarged plane is read once for every two of its rows."""
    height, width = map_size(d)
    planes = d["CHANNELS"] * d["IMAGES"]
    read = ceil_div(d["HEIGHT"] * d["WIDTH"] * 16, config.bus_bits)
    if Resample(d["MODE.resample"]) == Resample.UP:
        read *= 2
    out = ceil_div(height * width * 16, config.bus_bits) * (2 if d["MODE.statistics"] else 1)
    return Estimate(loads=planes * read, output=planes * out, fill=SETUP)
