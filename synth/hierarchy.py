"""Cuts a design into units that are synthesised by themselves, equal ones once.

A module is flattened with everything below it, unless that holds something big which the design has more often than
the module (MAC arrays and feeders, corner turns): then it is opened: its own logic is a unit, and each of its children
is cut in the same way. Nothing is optimised across the borders of units, so their sum is as a rule more than the design
flattened as a whole.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from sqdm.sim.library import digest

#: RTLIL cells from which on a module is worth being synthesised only once.
BIG = 200

MODULE = re.compile(r"^module (\S+)\n(.*?)^end\n", re.M | re.S)
INSTANCE = re.compile(r"^  cell (\S+) (\S+)$", re.M)
WIRE = re.compile(r"^  wire [^\n]*\b(?:input|output|inout) \d+[^\n]*\n", re.M)


@dataclass(frozen=True)
class Place:
    """A unit's place in the design: ``path`` (names of instances, "" for the design itself) and the ``unit``'s name."""

    path: str
    unit: str
    opened: bool


class Design:
    """The modules of an RTLIL text, whose top is module ``part``.

    Modules are renamed after their content (with that of what they instantiate), so equal ones become one.
    """

    def __init__(self, text: str):
        self._bodies = {name: body for name, body in MODULE.findall(text)}
        self._children = {
            name: [(kind, instance) for kind, instance in INSTANCE.findall(body) if kind in self._bodies]
            for name, body in self._bodies.items()
        }
        self._names: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    @cached_property
    def whole(self) -> str:
        """The unit that is the whole design, flattened."""
        return self._name("\\part")

    @cached_property
    def places(self) -> list[Place]:
        """Units and where they are, parents before their children."""
        found: list[Place] = []
        counts = Counter(self._name(module) for module in ("\\part", *self._below("\\part")))

        def visit(module: str, path: str) -> None:
            own = counts[self._name(module)]
            big = (self._name(kind) for kind in self._below(module) if self._size(kind) >= BIG)
            opened = any(counts[name] > own for name in big)
            found.append(Place(path, self._name(module), opened))
            for kind, instance in self._children[module] if opened else ():
                visit(kind, f"{path}.{instance[1:]}".lstrip("."))

        visit("\\part", "")
        return found

    def text(self, unit: str, opened: bool) -> str:
        """RTLIL of a unit and of all that it instantiates; of an ``opened`` one the children are black boxes."""
        by_name = {self._name(module): module for module in self._bodies}
        module = by_name[unit]
        below = {self._name(kind): kind for kind in (self._below(module) if not opened else self._kinds(module))}
        parts = [self._module(module)]
        for name, kind in below.items():
            ports = "".join(WIRE.findall(self._bodies[kind]))
            parts.append(f"attribute \\blackbox 1\nmodule \\{name}\n{ports}end\n" if opened else self._module(kind))
        return "".join(parts)

    def _kinds(self, module: str) -> list[str]:
        return list(dict.fromkeys(kind for kind, _ in self._children[module]))

    def _below(self, module: str) -> list[str]:
        """Modules of all instances below a module, with repetitions."""
        return [below for kind, _ in self._children[module] for below in (kind, *self._below(kind))]

    def _size(self, module: str) -> int:
        """Cells and processes of a module and of what is below it."""
        if module not in self._sizes:
            own = len(re.findall(r"^  (?:cell|process) ", self._bodies[module], re.M))
            self._sizes[module] = own + sum(self._size(kind) for kind, _ in self._children[module])
        return self._sizes[module]

    def _name(self, module: str) -> str:
        if module not in self._names:
            self._names[module] = f"unit_{digest(self._renamed(module))}"
        return self._names[module]

    def _renamed(self, module: str) -> str:
        """A module's body, its children by their new names."""

        def rename(match: re.Match) -> str:
            kind, instance = match.groups()
            return f"  cell \\{self._name(kind)} {instance}" if kind in self._bodies else match[0]

        return INSTANCE.sub(rename, self._bodies[module])

    def _module(self, module: str) -> str:
        return f"module \\{self._name(module)}\n{self._renamed(module)}end\n"
