"""Which regions of a program lie in the board's memory, and where."""

from sqdm.compiler.extents import spans_read, spans_written
from sqdm.compiler.program import Descriptor, Program, Region
from sqdm.errors import UserError
from sqdm.golden.planes import round_up

Use = dict[str, Region]  #: the region of each operand of a descriptor


def region_uses(program: Program) -> list[Use]:
    """The regions that each descriptor works on; UserError when an operand does not lie in one region."""
    return [_regions(program, descriptor) for descriptor in program.descriptors]


def _regions(program: Program, descriptor: Descriptor) -> Use:
    found: Use = {}
    for spans in (spans_read(descriptor, program.config), spans_written(descriptor, program.config)):
        for operand, (first, end) in spans.items():
            homes = (r for r in program.regions.values() if r.address <= first and end <= r.address + r.bytes)
            home = next(homes, None)
            if home is None:
                raise UserError(f"{operand} of {descriptor.name} must lie in one region of the program")
            found[operand] = home
    return found


class Residency:
    """Places the regions that a descriptor needs in a memory from ``first`` to ``end``, bytes.

    What is there stays as long as there is room. Room is made by giving up the region that the program, which runs
    again and again, needs last: that is the choice with the fewest transfers (Belady 1966).
    """

    def __init__(self, program: Program, uses: list[Use], first: int, end: int):
        self._align = program.config.plane_bytes
        self._uses = uses
        self._first = round_up(first, self._align)
        self._end = end
        self._places: dict[str, tuple[int, int]] = {}  # first byte and byte behind the last by name
        self._users: dict[str, list[int]] = {}  # numbers of the descriptors by name of the region
        for number, use in enumerate(uses):
            for region in use.values():
                self._users.setdefault(region.name, []).append(number)
        for descriptor, use in zip(program.descriptors, uses, strict=True):
            need = sum(region.bytes for region in {region.name: region for region in use.values()}.values())
            if need > self._end - self._first:
                raise UserError(
                    f"{descriptor.name} must fit the board's memory of {self._end - self._first} bytes, "
                    f"but works on {need}"
                )

    def place(self, number: int) -> dict[str, int]:
        """Addresses of the regions of descriptor ``number`` by name; they stay there until the next call."""
        needed = {region.name: region for region in self._uses[number].values()}
        for region in needed.values():
            if region.name in self._places:
                continue
            while (gap := self._gap(region.bytes)) is None:
                others = [name for name in self._places if name not in needed]
                if not others:
                    return self._compact(needed)
                del self._places[max(others, key=lambda name: self._next_use(name, number))]
            self._places[region.name] = (gap, gap + region.bytes)
        return {name: self._places[name][0] for name in needed}

    def _gap(self, size: int) -> int | None:
        """The first free place of ``size`` bytes."""
        start = self._first
        for first, end in sorted(self._places.values()):
            if start + size <= first:
                return start
            start = round_up(end, self._align)
        return start if start + size <= self._end else None

    def _compact(self, needed: dict[str, Region]) -> dict[str, int]:
        """Place the needed regions behind each other."""
        self._places.clear()
        start = self._first
        for region in needed.values():
            self._places[region.name] = (start, start + region.bytes)
            start = round_up(start + region.bytes, self._align)
        return {name: self._places[name][0] for name in needed}

    def _next_use(self, name: str, number: int) -> int:
        """How many descriptors later a region is needed again."""
        return min((user - number - 1) % len(self._uses) for user in self._users[name])
