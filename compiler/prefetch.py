"""Which descriptors may read their table, parameters and weights while the one before still runs."""

from dataclasses import replace

import numpy as np

from sqdm.compiler.access import conv_shape, written
from sqdm.compiler.program import Descriptor
from sqdm.golden.layout import PARAM_BYTES
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind

Span = tuple[int, int]  #: first byte and byte behind the last


def spans_read(d: Descriptor, config: Config) -> list[Span]:
    """What a CONV reads early: channel tables, parameters, weights."""
    shape = conv_shape(d, config)
    tables, params, weights = (d[name] for name in ("TABLE_BASE", "PARAM_BASE", "WEIGHT_BASE"))
    run = shape.weight_words * config.bus_bytes + (shape.channels - 1) * d["WEIGHT_STRIDE"]
    images = (shape.images - 1) * d["WEIGHT_IMAGE_STRIDE"] if d["MODE.image_weights"] else 0
    return [
        (tables, tables + shape.table_words * config.bus_bytes),
        (params, params + shape.tiles * shape.tile_channels * PARAM_BYTES),
        (weights, weights + run + images),
    ]


def spans_written(d: Descriptor, config: Config) -> list[Span]:
    """What a descriptor writes, padding between planes included."""
    found = []
    for part in written(d, config):
        steps = np.multiply(np.array(part.shape[:-1], int) - 1, np.array(part.strides, int))
        found.append((part.base, part.base + int(steps.sum()) + part.shape[-1]))
    return found


def allow_prefetch(descriptors: list[Descriptor], config: Config) -> list[Descriptor]:
    """The descriptors, CONTROL.prefetch set on each CONV that reads nothing early that the one before it writes.

    All others before are complete when that one starts. A WAIT between the two does not delay what is read early.
    """
    result: list[Descriptor] = []
    running: list[Span] = []
    for d in descriptors:
        if d.kind == Kind.CONV:
            early = spans_read(d, config)
            free = not any(first < end and start < last for first, last in early for start, end in running)
            d = replace(d, values=d.values | {"CONTROL.prefetch": int(free)})
        if d.kind in (Kind.CONV, Kind.MAP):
            running = spans_written(d, config)
        result.append(d)
    return result
