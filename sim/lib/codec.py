"""Payload values to integers and back, by the offsets of an Amaranth layout."""

from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data


class Codec:
    """Packs dicts (structs), sequences (arrays) and integers into the bits of a layout, and unpacks them.

    Built once per stream, because a `data.Const` per transfer would dominate the run time of a bench. Every field must
    be given and must fit: a ValueError names the field otherwise.

    >>> codec = Codec(data.StructLayout({"a": 4, "b": data.ArrayLayout(2, 2)}))
    >>> hex(codec.pack({"a": 5, "b": [1, 2]}))
    '0x95'
    >>> codec.unpack(0x95)
    {'a': 5, 'b': [1, 2]}
    """

    def __init__(self, shape: Any, path: str = "payload"):
        self._path = path
        self._fields = None
        self._is_array = isinstance(shape, data.ArrayLayout)
        if isinstance(shape, data.Layout):
            self._fields = [(key, part.offset, Codec(part.shape, f"{path}.{key}")) for key, part in shape]
            self.width = shape.size
        else:
            cast = Shape.cast(shape)
            self.width = cast.width
            self._signed = cast.signed

    def pack(self, value: Any) -> int:
        """The bits of a value."""
        if self._fields is None:
            number = int(value)
            low, high = (-1 << self.width - 1, 1 << self.width - 1) if self._signed else (0, 1 << self.width)
            if not low <= number < high:
                raise ValueError(f"{self._path} must be {low}..{high - 1}, not {number}")
            return number & (1 << self.width) - 1
        keys = range(len(value)) if self._is_array else value.keys()
        if len(keys) != len(self._fields) or any(key not in keys for key, _, _ in self._fields):
            raise ValueError(f"{self._path} must have {[key for key, _, _ in self._fields]}, not {list(keys)}")
        bits = 0
        for key, offset, part in self._fields:
            bits |= part.pack(value[key]) << offset
        return bits

    def unpack(self, bits: int) -> Any:
        """The value of some bits: an int, a list or a dict."""
        if self._fields is None:
            number = bits & (1 << self.width) - 1
            return number - (1 << self.width) if self._signed and number >> self.width - 1 else number
        values = {key: part.unpack(bits >> offset) for key, offset, part in self._fields}
        return list(values.values()) if self._is_array else values
