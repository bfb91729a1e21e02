"""Reference model of the address generator: the read requests of every load (docs/architecture.md).

A request is a dict of exactly the fields that the specification defines for it; fields that are left out may have any
value. Keys are those of `payloads.load_request` and its tag, flattened.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqdm.golden.dealing import deal
from sqdm.rtl.config import MAX_TAPS, WORD_NIBBLES, Config, ceil_div

#: `payloads.LoadKind`, which only hardware may import.
PARAMS, WEIGHTS, ACTS, CONSTANTS, TABLE = KINDS = range(5)
CHUNK_GRANULES = 4  #: 16 INT16 pixels


@dataclass(frozen=True)
class LoadLayer:
    """The fields of `payloads.layer` (same units) except for the dense channels, which belong to the tables."""

    channels: int
    kernel3: int
    int16_acts: int
    two_planes: int
    plane_words: int
    groups: int
    act_base: int
    act_stride: int
    weight_base: int
    weight_stride: int
    tile_words: int
    param_base: int
    param_words: int
    table_base: int
    table_words: int
    constant_base: int
    constant_words: int


class RequestModel:
    """What the address generator asks for, given a layer and its channel tables.

    Parameters: ``config``; ``layer``; ``tables`` one ``(order, dense_channels)`` for each plane, LOW first, order with
    all C channels.
    """

    def __init__(self, config: Config, layer: LoadLayer, tables: Sequence[tuple[Sequence[int], int]]):
        self.config = config
        self.layer = layer
        self.slots = [deal(order, dense_channels, config) for order, dense_channels in tables]

    def params(self, half: int) -> list[dict]:
        """One request for each memory word of parameters."""
        return self._region(PARAMS, self.layer.param_base, self.layer.param_words, half * self.config.param_rows)

    def table(self) -> list[dict]:
        """One request for each memory word of the channel tables."""
        return self._region(TABLE, self.layer.table_base, self.layer.table_words)

    def constants(self, offset: int) -> list[dict]:
        """One request for each memory word of an image's normalisation constants."""
        return self._region(CONSTANTS, self.layer.constant_base + offset, self.layer.constant_words)

    def _region(self, kind: int, base: int, words: int, row: int = 0) -> list[dict]:
        return closed({"kind": kind, "zero": 0, "address": base + i, "row": row + i} for i in range(words))

    def weights(self, plane: int, offset: int, half: int) -> list[dict]:
        """The weight rows of one output tile, slot by slot; a missing channel gives one zero request."""
        return closed(self._weights(plane, offset, half))

    def _weights(self, plane: int, offset: int, half: int) -> Iterator[dict]:
        layer, config = self.layer, self.config
        taps = MAX_TAPS if layer.kernel3 else 1
        for slot, channels in enumerate(self.slots[plane]):
            for index, channel in enumerate(channels):
                row = half * config.weight_rows + (plane * layer.groups * WORD_NIBBLES + index) * taps
                common = {"kind": WEIGHTS, "plane": plane, "slot": slot}
                if channel is None:
                    yield {**common, "zero": 1, "row": row}
                    continue
                run = layer.weight_base + channel * layer.weight_stride + offset
                for tap in range(taps):
                    for word in range(config.row_words):
                        address = run + tap * config.row_words + word
                        yield {**common, "zero": 0, "address": address, "row": row + tap}

    def acts(self, plane: int, offset: int, row: int, count: int, first: int) -> list[dict]:
        """The activations of one image as 16 x 16 blocks; a missing channel gives a zero request.

        Rows of a block behind the last index of the pool are not requested; ``block_end`` marks the row before them.
        """
        return closed(self._acts(plane, offset, row, count, first))

    def _acts(self, plane: int, offset: int, first_row: int, count: int, first: int) -> Iterator[dict]:
        layer = self.layer
        for slot, channels in enumerate(self.slots[plane]):
            for group in range(ceil_div(len(channels), WORD_NIBBLES)):
                for chunk in range(layer.plane_words):
                    place_of_block = (plane * layer.groups + group) * layer.plane_words + chunk
                    common = {
                        "kind": ACTS,
                        "plane": plane,
                        "slot": slot,
                        "row": first_row + place_of_block * WORD_NIBBLES,
                        "tail": int(chunk == layer.plane_words - 1),
                    }
                    block = channels[group * WORD_NIBBLES : (group + 1) * WORD_NIBBLES]
                    for index, channel in enumerate(block):
                        common["block_end"] = int(index == len(block) - 1)
                        if channel is None:
                            yield {**common, "zero": 1, "count": 0, "begin": 1, "end": 1}
                            continue
                        start = layer.act_base + channel * layer.act_stride + offset
                        real = {"zero": 0, "channel": channel, "count": count, "first": int(first and chunk == 0)}
                        for place in self._words(plane, start, chunk):
                            yield {**common, **real, **place}

    def _words(self, plane: int, start: int, chunk: int) -> Iterator[dict]:
        """Where the memory words of 16 pixels lie."""
        layer, parts = self.layer, self.config.word_parts
        if not layer.int16_acts:
            granule = start + (2 * chunk + plane if layer.two_planes else chunk)
            yield {"address": granule // parts, "part": granule % parts}
            return
        granule = start + CHUNK_GRANULES * chunk
        words = self.config.chunk_words
        for beat in range(words):
            place = {"address": granule // parts + beat, "begin": int(beat == 0), "end": int(beat == words - 1)}
            if parts > CHUNK_GRANULES:
                place["part"] = granule % parts
            yield place


def closed(requests: Iterable[dict]) -> list[dict]:
    """The requests of one load with `last` on the last one."""
    listed = list(requests)
    return [{**request, "last": int(i == len(listed) - 1)} for i, request in enumerate(listed)]
