"""Plain, stable names for the hardware: an RTLIL text with every public name an ordinary identifier.

Amaranth separates names by a number of the whole design (``running$180``, ``port$5825$0``), which any change elsewhere
moves. Here a name depends on its module alone. Modules are called by their place in the hierarchy.
"""

import re
from collections.abc import Iterable
from functools import cache

from pygments.lexers.hdl import SystemVerilogLexer
from pygments.token import Name

MODULE = re.compile(r"^module \\(\S+)$", re.M)
DECLARED = re.compile(r"^ *(?:wire|memory|cell \\\S+)\b(.*) \\(\S+)$", re.M)
INSTANCE = re.compile(r"^ *cell \\(\S+) \\(\S+)\n((?: +(?:parameter|connect) .*\n)*)", re.M)
PORT = re.compile(r"^( *connect )\\(\S+) (.*)$", re.M)
ANONYMOUS = re.compile(r"^port\$\d+\$\d+$")
NUMBER = re.compile(r"\$\d+")
PUBLIC = re.compile(r"\\([^\s\"]+)")


@cache
def _reserved(name: str) -> bool:
    """Whether SystemVerilog reserves the word."""
    (kind, _), *_ = SystemVerilogLexer().get_tokens(name)
    return kind not in Name


def plain(name: str) -> str:
    """`name` as an identifier of SystemVerilog: no number of Amaranth's, single underscores, no reserved word."""
    name = re.sub(r"[^A-Za-z0-9]+|_+", "_", NUMBER.sub("", name)).strip("_") or "n"
    name = name if name[0].isalpha() else f"n{name}"
    return f"{name}_" if _reserved(name) else name


def unique(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Identifiers for pairs of a name and what it should be called, numbered from 1 where two would be equal."""
    chosen: dict[str, str] = {}
    taken = set()
    for name, wanted in names:
        found = base = plain(wanted)
        number = 0
        while found in taken:
            number += 1
            found = f"{base}_{number}"
        taken.add(found)
        chosen[name] = found
    return chosen


def _bits(signal: str) -> int:
    """Width of one piece of a concatenation, as Amaranth writes it: a constant or a slice."""
    if match := re.search(r"\[(\d+)(?::(\d+))?\]$", signal):
        return int(match[1]) - int(match[2] or match[1]) + 1
    return int(signal.partition("'")[0])


def _own(name: str) -> str:
    """What a signal is called that nobody else names."""
    return "unnamed" if ANONYMOUS.match(name) else name


def _inside(body: str) -> dict[str, str]:
    """Names for anonymous ports by what the module itself calls these bits: all of a signal, or its place in one."""
    found: dict[str, str] = {}
    for name, value in re.findall(r"^connect \\(\S+) (.*\\port\$.*)$", body, re.M):
        pieces = re.findall(r"[^\s{}]+(?: \[[\d:]+\])?", value)
        low = 0
        for piece in reversed(pieces):
            high = low + _bits(piece) - 1
            port = piece.partition(" ")[0].lstrip("\\")
            if ANONYMOUS.match(port) and not ANONYMOUS.match(name):
                if len(pieces) == 1:
                    found[port] = name
                else:
                    found.setdefault(port, f"{name}_{high}_{low}")
            low = high + 1
    return found


def _outside(body: str) -> dict[tuple[str, str], str]:
    """Names for anonymous ports of a module's instances, by module and port: what is connected to them."""
    found = {}
    for module, _, connections in INSTANCE.findall(body):
        for _, port, value in PORT.findall(connections):
            match = re.match(r"^\\(\S+) ", value)
            if ANONYMOUS.match(port) and match and not ANONYMOUS.match(match[1]):
                found[module, port] = match[1]
    return found


def tidy(rtlil: str) -> str:
    """`rtlil`, as Amaranth writes it, with plain names of modules, ports, signals, memories and instances."""
    parts = re.split(r"(?=^module )", rtlil, flags=re.M)
    head, bodies = parts[0], {MODULE.match(part)[1]: part for part in parts[1:]}
    modules = unique((name, name) for name in bodies)
    outside: dict[tuple[str, str], str] = {}
    for body in bodies.values():
        outside |= _outside(body)
    local = {}
    for module, body in bodies.items():
        inside = _inside(body)
        declared = DECLARED.findall(body)
        declared.sort(key=lambda entry: " input " not in entry[0] and " output " not in entry[0])  # ports choose first
        wanted = [(name, inside.get(name) or outside.get((module, name)) or _own(name)) for _, name in declared]
        local[module] = unique(wanted)
    return head + "".join(_renamed(module, body, modules, local) for module, body in bodies.items())


def _renamed(module: str, body: str, modules: dict[str, str], local: dict[str, dict[str, str]]) -> str:
    """One module's text with its new names; names that are none of the design's (cell ports, parameters) stay."""
    own = local[module]

    def mine(match: re.Match) -> str:
        return "\\" + own.get(match[1], match[1])

    lines = []
    child = None  # of the cell around the line: names of its ports
    for line in body.split("\n"):
        words = line.split()
        kind = words[0] if words else ""
        if kind == "module":
            line = f"module \\{modules[module]}"
        elif kind == "cell":
            child = {}
            if words[1][0] == "\\":
                child = local[words[1][1:]]
                line = f"  cell \\{modules[words[1][1:]]} \\{own[words[2][1:]]}"
        elif kind == "connect" and child is not None:
            port, _, value = line.strip().removeprefix("connect \\").partition(" ")
            line = f"    connect \\{child.get(port, port)} {PUBLIC.sub(mine, value)}"
        elif kind == "parameter":
            line = re.sub(r'"\\\\(\S+)"', lambda match: f'"\\\\{own[match[1]]}"', line)
        elif kind == "end":
            child = None
        elif kind != "attribute":
            line = PUBLIC.sub(mine, line)
        lines.append(line)
    return "\n".join(lines)
