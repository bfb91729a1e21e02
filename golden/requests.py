"""Reference model of the address generator: the read requests of every load (docs/architecture.md).

A request is a dict of exactly the fields that the specification defines for it; fields that are left out may have any
value. Keys are those of `payloads.load_request` and its tag, flattened.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqdm.golden.dealing import deal
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import WORD_NIBBLES, ceil_div

#: `payloads.LoadKind`, which only hardware may import.
PARAMS, WEIGHTS, ACTS, SCAN, TABLE = KINDS = range(5)


@dataclass(frozen=True)
class Bases:
    """Memory word addresses of the regions that loads read."""

    act: int
    weight: int
    param: int
    table: int = 0


class RequestModel:
    """What the address generator asks for, given a layer and its channel table.

    Parameters: ``shape`` of the layer; ``bases`` of its regions; ``order`` the channel table, all C channels;
    ``dense_channels`` how many of them are dense.
    """

    def __init__(self, shape: LayerShape, bases: Bases, order: Sequence[int], dense_channels: int):
        self.shape = shape
        self.bases = bases
        self.config = shape.config
        self.slots = deal(order, dense_channels, shape.config)

    def params(self) -> list[dict]:
        """One request for each memory word of parameters."""
        words = self.shape.param_words
        return closed({"kind": PARAMS, "zero": 0, "address": self.bases.param + i, "row": i} for i in range(words))

    def table(self) -> list[dict]:
        """One request for each memory word of the channel table."""
        words = self.shape.table_words
        return closed({"kind": TABLE, "zero": 0, "address": self.bases.table + i, "row": i} for i in range(words))

    def weights(self, tile: int, half: int) -> list[dict]:
        """The weight rows of one output tile, slot by slot; a missing channel gives one zero request."""
        return closed(self._weights(tile, half))

    def _weights(self, tile: int, half: int) -> Iterator[dict]:
        shape = self.shape
        first_row = half * self.config.weight_rows
        for slot, channels in enumerate(self.slots):
            for index, channel in enumerate(channels):
                if channel is None:
                    yield {"kind": WEIGHTS, "zero": 1, "slot": slot, "row": first_row + index * shape.taps}
                    continue
                run = self.bases.weight + channel * shape.weight_words + tile * shape.tile_words
                for tap in range(shape.taps):
                    for word in range(self.config.row_words):
                        yield {
                            "kind": WEIGHTS,
                            "zero": 0,
                            "address": run + tap * self.config.row_words + word,
                            "slot": slot,
                            "row": first_row + index * shape.taps + tap,
                        }

    def acts(self, image: int, half: int, count: int) -> list[dict]:
        """The activations of one image as 16 x 16 blocks; missing channels give zero requests."""
        return closed(self._acts(image, half, count))

    def _acts(self, image: int, half: int, count: int) -> Iterator[dict]:
        shape = self.shape
        for slot, channels in enumerate(self.slots):
            for group in range(ceil_div(len(channels), WORD_NIBBLES)):
                for chunk in range(shape.plane_words):
                    row = half * self.config.act_rows + group * shape.plane_rows + chunk * WORD_NIBBLES
                    for index in range(group * WORD_NIBBLES, (group + 1) * WORD_NIBBLES):
                        channel = channels[index] if index < len(channels) else None
                        if channel is None:
                            yield {"kind": ACTS, "zero": 1, "count": 0, "slot": slot, "row": row}
                            continue
                        word = channel * shape.act_words + image * shape.plane_words + chunk
                        yield {
                            "kind": ACTS,
                            "zero": 0,
                            "count": count,
                            "first": int(image == 0 and chunk == 0),
                            "channel": channel,
                            "slot": slot,
                            "row": row,
                            **self._activation_word(word),
                        }

    def scan(self) -> list[dict]:
        """Every activation word of every image once, in memory order, for the detector's counters."""
        act_words = self.shape.act_words
        return closed(
            {
                "kind": SCAN,
                "zero": 0,
                "count": 1,
                "first": int(word % act_words == 0),
                "channel": word // act_words,
                **self._activation_word(word),
            }
            for word in range(self.shape.channels * act_words)
        )

    def _activation_word(self, word: int) -> dict:
        parts = self.config.word_parts
        return {"address": self.bases.act + word // parts, "part": word % parts}


def closed(requests: Iterator[dict]) -> list[dict]:
    """The requests of one load with `last` on the last one."""
    listed = list(requests)
    return [{**request, "last": int(i == len(listed) - 1)} for i, request in enumerate(listed)]
