"""Random layers of the output path and the memory that they must leave, from golden/conv.py and the memory layout."""

from dataclasses import dataclass

import numpy as np

from sqdm.golden.conv import add_residual, requantise, split_signed
from sqdm.rtl.descriptor import Output


@dataclass
class Case:
    """One layer: `channels` outputs, `images` of `pixels`, and what is asked of the output path."""

    channels: int
    images: int
    pixels: int
    output: int = Output.INT16
    wide: bool = False
    residual: bool = False
    statistics: bool = False
    map: bool = False


def ceil_div(a, b):
    return -(-a // b)


class Layer:
    """Random stimulus of a case and the memory that it must leave, from the formulas of golden/conv.py."""

    def __init__(self, config, case, seed, half=0, base=1 << 16):
        self.config, self.case, self.half = config, case, half
        rng = np.random.default_rng(seed)
        n, k, pixels = case.images, case.channels, case.pixels
        raw = case.output == Output.RAW
        tile = config.lanes // 2 if case.wide else config.lanes
        tiles = ceil_div(k, tile)
        shift, residual_shift = int(rng.integers(8, 16)), int(rng.integers(0, 18))
        residual_multiplier = int(rng.integers(0, 1 << 16)) if residual_shift > 12 else int(rng.integers(0, 4))
        corners = [0, 1, -1, 32767, -32768]

        # Partial sums of every lane, and the channels that they make; lanes past K of planes hold anything
        lanes = rng.integers(-(1 << 14), 1 << 14, (tiles, n, pixels, config.lanes))
        digits = lanes.reshape(tiles, n, pixels, -1, 2, 16)  # the same numbers as low and high digits of 16 channels
        if case.output == Output.WEIGHTS:  # weights past K are 0
            exists = np.arange(tiles * tile).reshape(tiles, 1, 1, tile) < k
            if case.wide:
                digits *= exists.reshape(tiles, 1, 1, -1, 1, 16)
            else:
                lanes *= exists
        values = digits[..., 0, :] + 16 * digits[..., 1, :] if case.wide else lanes
        values = values.reshape(tiles, n, pixels, tile)
        self.psums = [row.tolist() for row in lanes.reshape(-1, config.lanes)]
        every = values.transpose(1, 0, 3, 2).reshape(n, tiles * tile, pixels)
        psum = every[:, :k]

        # Parameters, zero up to a whole tile
        limit = 1 << 10 if case.output == Output.WEIGHTS else 1 << 16
        multiplier = rng.integers(0, limit, k)
        bias = rng.integers(-100, 100, k) if case.output == Output.WEIGHTS else rng.integers(-(1 << 15), 1 << 15, k)
        params = [int(a) | (int(b) & 0xFFFF) << 16 for a, b in zip(multiplier, bias, strict=True)]
        params += [0] * (tiles * tile - k)
        step = config.post_lanes
        self.param_writes = []
        for row in range(len(params) // step):
            word = sum(value << 32 * i for i, value in enumerate(params[row * step : (row + 1) * step]))
            self.param_writes.append({"row": half * config.param_rows + row, "word": word})

        y = requantise(psum[..., None], multiplier, shift, bias)[..., 0]
        if case.map:
            y = rng.choice([*corners, *rng.integers(-(1 << 15), 1 << 15, 20)], (n, k, pixels)).astype(np.int16)
        residual = rng.choice([*corners, *rng.integers(-(1 << 15), 1 << 15, 20)], (n, k, pixels)).astype(np.int16)
        result = add_residual(y, residual, residual_multiplier, residual_shift) if case.residual else y
        result = psum if raw else result

        # Memory
        bits = 32 if raw else 16
        words = ceil_div(pixels * bits, config.bus_bits)
        stride = words + int(rng.integers(0, 3))
        image_stride = stride * k + int(rng.integers(0, 3))
        if rng.integers(0, 2) and case.output != Output.WEIGHTS:  # images of a channel next to each other
            image_stride, stride = stride, stride * n + int(rng.integers(0, 3))
        residual_base, statistics_base = base + (1 << 18), base + (1 << 17)
        self.memory = {}
        self.residual_memory = {}
        self.writes = {}
        for image in range(n):
            for channel in range(k):
                place = channel * stride + image * image_stride
                for word, value in enumerate(self._pack(result[image, channel], bits)):
                    self.writes[base + place + word] = value
                garbage = rng.integers(-(1 << 15), 1 << 15, words * config.bus_bits // 16)
                garbage[:pixels] = residual[image, channel]
                for word, value in enumerate(self._pack(garbage, 16)):
                    self.residual_memory[residual_base + place + word] = value
                if case.statistics:
                    exact = [int(value) for value in result[image, channel]]
                    entry = sum(exact) & (1 << 64) - 1 | sum(value**2 for value in exact) << 64
                    parts = max(1, 128 // config.bus_bits)
                    for part in range(parts):
                        value = entry if parts == 1 else entry >> 64 * part & (1 << 64) - 1
                        self.writes[statistics_base + (channel * n + image) * parts + part] = value
        if case.output == Output.WEIGHTS:
            stride, image_stride = self._place_codes(base, every, multiplier, bias, shift)
        self.map_words = []
        if case.map:
            self._order_map_words(y, words, rng)
        self.settings = {
            "mode": {"shift": shift, "raw": raw, "wide": case.wide},
            "output": case.output.value,
            "param_half": half,
            "pixels": pixels,
            "all_pixels": pixels * n,
            "planes": {"base": base, "stride": stride, "image_stride": image_stride, "words": words, "channels": k,
                       "images": n, "wide": case.wide},
            "residual": {"enable": case.residual, "multiplier": residual_multiplier, "shift": residual_shift},
            "residual_base": residual_base,
            "residual_stride": stride,
            "residual_image_stride": image_stride,
            "statistics": case.statistics,
            "statistics_base": statistics_base,
            "map": case.map,
        }  # fmt: skip

    def _pack(self, values, bits):
        """Memory words of a plane, zero behind its end."""
        step = self.config.bus_bits // bits
        values = [int(value) & (1 << bits) - 1 for value in values]
        return [
            sum(value << bits * i for i, value in enumerate(values[first : first + step]))
            for first in range(0, len(values), step)
        ]

    def _place_codes(self, base, psum, multiplier, bias, shift):
        """Codes of Output.WEIGHTS in memory, 16 channels in 16 bytes; returns the strides of a pixel and an image."""
        n, _, pixels = psum.shape
        k = self.case.channels
        block = max(16, self.config.bus_bits // 8)
        padded = ceil_div(k, block) * block
        codes = np.zeros((n, padded, pixels), int)
        y = requantise(psum[:, :k, :, None], multiplier, shift, bias)[..., 0]
        codes[:, :k] = np.clip(y, -119, 119)
        high, low = split_signed(codes)
        stride = padded * 8 // self.config.bus_bits + 1
        image_stride = stride * pixels + 3
        self.writes = {}
        for image in range(n):
            for pixel in range(pixels):
                nibbles = []
                for first in range(0, padded, 16):
                    nibbles += [*low[image, first : first + 16, pixel], *high[image, first : first + 16, pixel]]
                step = self.config.bus_bits // 4
                for word in range(len(nibbles) // step):
                    value = sum((int(d) & 15) << 4 * i for i, d in enumerate(nibbles[word * step : (word + 1) * step]))
                    self.writes[base + image * image_stride + pixel * stride + word] = value
        return stride, image_stride

    def _order_map_words(self, y, words, rng):
        """Words of a MAP as they arrive; what is behind the end of a plane may be anything if statistics cut it."""
        padded = rng.integers(-(1 << 15), 1 << 15, (*y.shape[:2], words * self.config.bus_bits // 16))
        if not self.case.statistics:
            padded[:] = 0
        padded[..., : self.case.pixels] = y
        planes = [[self._pack(plane, 16) for plane in image] for image in padded]
        for tile in range(0, self.case.channels, self.config.lanes):
            for image in range(self.case.images):
                for word in range(words):
                    for channel in range(tile, tile + self.config.lanes):
                        exists = channel < self.case.channels
                        self.map_words.append(planes[image][channel][word] if exists else 0xDEAD)
