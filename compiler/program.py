"""A program: descriptors, the memory image that they work on, and what the host does while the program waits."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import BYTES, FIELDS, WORDS, Kind, Output, Resample
from sqdm.rtl.registers import field as word_field

ENUMS = {"CONTROL.kind": Kind, "MODE.output": Output, "MODE.resample": Resample}
KEYS = frozenset(
    f"{name}.{part.name}" if part else name for name, word in FIELDS.items() for part in word.fields or (None,)
)

#: A host step: reads and writes the memory, a flat uint8 array, while the program waits.
HostStep = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class Descriptor:
    """One descriptor: ``name`` of what it computes and its ``values``.

    Keys of ``values`` are "WORD" or, for words with fields, "WORD.field" (see `rtl/descriptor.py`); what is not given
    is 0. Raises ValueError for an unknown key or a value that its field cannot hold.
    """

    name: str
    values: dict[str, int]

    def __post_init__(self):
        for key, value in self.values.items():
            if key not in KEYS:
                raise ValueError(f"{key!r} must be a field of a descriptor")
            word, _, part = key.partition(".")
            bits = word_field(FIELDS[word], part).width if part else 32
            if not 0 <= value < 1 << bits:
                raise ValueError(f"{self.name}: {key} must be 0..{(1 << bits) - 1}, not {value}")

    def __getitem__(self, key: str) -> int:
        """The value of "WORD" or "WORD.field"."""
        if key not in KEYS:
            raise KeyError(key)
        return int(self.values.get(key, 0))

    @property
    def kind(self) -> Kind:
        return Kind(self["CONTROL.kind"])

    def words(self) -> np.ndarray:
        """The `WORDS` words as they lie in memory, uint32."""
        words = np.zeros(WORDS, "<u4")
        for key, value in self.values.items():
            name, _, part = key.partition(".")
            words[FIELDS[name].offset // 4] |= int(value) << (word_field(FIELDS[name], part).lsb if part else 0)
        return words

    @classmethod
    def of_words(cls, words: np.ndarray, name: str = "") -> "Descriptor":
        """The descriptor with these words; all values are spelled out."""
        values = {}
        for key in sorted(KEYS):
            word, _, part = key.partition(".")
            value = int(words[FIELDS[word].offset // 4])
            if part:
                found = word_field(FIELDS[word], part)
                value = value >> found.lsb & (1 << found.width) - 1
            values[key] = value
        return cls(name, values)

    def described(self) -> dict:
        """The values by word and field for JSON; kinds by name, zeros left out."""
        result: dict = {"name": self.name}
        for name, word in FIELDS.items():
            if word.fields:
                parts = {part.name: self[f"{name}.{part.name}"] for part in word.fields}
                named = {
                    label: ENUMS[f"{name}.{label}"](value).name if f"{name}.{label}" in ENUMS else value
                    for label, value in parts.items()
                    if value or f"{name}.{label}" == "CONTROL.kind"
                }
                if named:
                    result[name] = named
            elif self[name]:
                result[name] = self[name]
        return result


@dataclass(frozen=True)
class Region:
    """A piece of memory: ``kind`` of its contents (docs/program.md) and their ``shape``, sizes and strides by name."""

    name: str
    address: int
    bytes: int
    kind: str
    shape: dict[str, int] = field(default_factory=dict)

    @property
    def slice(self) -> slice:
        """Its bytes in a memory image."""
        return slice(self.address, self.address + self.bytes)


@dataclass
class Program:
    """Everything that a host needs to run something on an accelerator with ``config``.

    ``descriptors`` in running order, the last one END; they lie from ``base`` on in ``memory``, the initial image,
    which is as large as all the memory that the program uses and starts at address 0. ``regions`` by name.
    ``host_steps`` by tag of the WAIT at which they run.
    """

    config: Config
    descriptors: list[Descriptor]
    base: int
    memory: np.ndarray
    regions: dict[str, Region]
    host_steps: dict[int, HostStep] = field(default_factory=dict)

    def new_memory(self) -> np.ndarray:
        """A copy of the initial image to run on."""
        return self.memory.copy()

    def address(self, index: int) -> int:
        """Where a descriptor lies."""
        return self.base + index * BYTES

    def to_json(self) -> str:
        """Symbol map and descriptors."""
        described = {
            "config": self.config.to_dict(),
            "program_base": self.base,
            "bytes": int(self.memory.size),
            "regions": [
                {"name": r.name, "address": r.address, "bytes": r.bytes, "kind": r.kind, "shape": r.shape}
                for r in self.regions.values()
            ],
            "descriptors": [
                {"address": self.address(i)} | descriptor.described() for i, descriptor in enumerate(self.descriptors)
            ],
        }
        return json.dumps(described, indent=1) + "\n"


class Builder:
    """Allocates memory and collects descriptors.

    Regions start at multiples of the larger of a memory word and 32 bytes (16 INT16 pixels), one behind the other.
    """

    def __init__(self, config: Config):
        self.config = config
        self.align = config.plane_bytes
        self.descriptors: list[Descriptor] = []
        self.regions: dict[str, Region] = {}
        self.host_steps: dict[int, HostStep] = {}
        self._contents: list[tuple[int, np.ndarray]] = []
        self._end = 0

    def allocate(self, name: str, size: int, kind: str, **shape: int) -> Region:
        """A new region of ``size`` zero bytes."""
        if name in self.regions:
            raise ValueError(f"region {name!r} exists already")
        size = -(-size // self.align) * self.align
        region = Region(name, self._end, size, kind, shape)
        self.regions[name] = region
        self._end += size
        return region

    def store(self, name: str, content: np.ndarray, kind: str, **shape: int) -> Region:
        """A new region that holds ``content``, uint8 of any shape, at the start."""
        region = self.allocate(name, content.size, kind, **shape)
        self.fill(region, content)
        return region

    def fill(self, region: Region, content: np.ndarray, offset: int = 0) -> None:
        """Put ``content`` into the initial image of ``region``."""
        if offset + content.size > region.bytes:
            raise ValueError(f"region {region.name!r} must hold {offset + content.size} bytes, not {region.bytes}")
        self._contents.append((region.address + offset, content.reshape(-1)))

    def add(self, name: str, kind: Kind, values: dict[str, int]) -> int:
        """Append a descriptor; its tag, which is its number in the program, is returned."""
        tag = len(self.descriptors)
        self.descriptors.append(Descriptor(name, {"CONTROL.kind": int(kind), "CONTROL.tag": tag} | values))
        return tag

    def wait(self, name: str, step: HostStep) -> None:
        """Append a WAIT at which the host does ``step``."""
        self.host_steps[self.add(name, Kind.WAIT, {})] = step

    def finish(self) -> Program:
        """Append END and make the memory image."""
        self.add("end", Kind.END, {})
        region = self.allocate("program", len(self.descriptors) * BYTES, "program", descriptors=len(self.descriptors))
        self.fill(region, np.concatenate([descriptor.words() for descriptor in self.descriptors]).view(np.uint8))
        memory = np.zeros(self._end, np.uint8)
        for address, content in self._contents:
            memory[address : address + content.size] = content
        return Program(self.config, self.descriptors, region.address, memory, self.regions, self.host_steps)
