"""A 3x3 convolution to few output channels as one of single rows, which fills the lanes.

Output channel (k, y) is row y of channel k. Input channel (c, p) is a pair of rows of channel c, 2p and 2p + 1, as they
lie in its plane. The strip is one row high and row 2p the halo above it: kernel row 0 meets row 2p, kernel row 1 row
2p + 1, and the third one falls on the padding, which the hardware skips. Each row's weights are those of its distance
from row y, mostly 0.
"""

from dataclasses import replace

import numpy as np

from sqdm.compiler.buffers import choose
from sqdm.errors import UserError
from sqdm.golden.layout import LayerShape

PAIR = 2  #: rows of an input channel


def over_rows(shape: LayerShape) -> LayerShape:
    """The sizes over rows, with a halo row, of a whole 3x3 layer with an even height; ``shape`` when they do not fit.

    More input channels need a wider accumulator and more weight rows. What else they need of a configuration, the
    network's other layers need too: as many channels, and memory words no longer than a row.
    """
    channels, rows = shape.channels * shape.height // PAIR, shape.out_channels * shape.height
    found = replace(shape, channels=channels, out_channels=rows, height=1, halo=1)
    if found.two_planes and channels > shape.config.wide_channels(shape.taps):
        return shape
    try:
        return shape if choose(found) is None else found
    except UserError:
        return shape


def row_weights(weights: np.ndarray, height: int) -> np.ndarray:
    """The weights (K * height, C * height / 2, 3, 3) over rows of a layer with weights (K, C, 3, 3)."""
    out_channels, channels, *kernel = weights.shape
    found = np.zeros((out_channels, height, channels, height // PAIR, *kernel), weights.dtype)
    for y in range(height):
        for row in range(max(y - 1, 0), min(y + 2, height)):
            found[:, y, :, row // PAIR, row % PAIR] = weights[:, :, row - y + 1]
    return found.reshape(out_channels * height, channels * height // PAIR, *kernel)
