"""The file that starts a four-state simulation: a content for whatever the reset leaves as it is."""

import re

MODULE = re.compile(r"^module (\w+)\b.*?^endmodule", re.M | re.S)
INSTANCE = re.compile(r"^  (\w+) (\w+) \($", re.M)
REGISTER = re.compile(r"^  (?:output )?reg (?:signed )?(?:\[(\d+):0\] )?(\w+);", re.M)
LOADED = re.compile(r"^    if \((\w+)\) (\w+) <= \d+'", re.M)  # a constant: by a reset, or by what includes it
ANY = re.compile(r"^  assign (\w+) = (?:(\w+) \| (\w+)|\| \{ ([\w, ]+) \});", re.M)

HEAD = """// For simulators with X only: a content for memories and for the registers that the reset leaves alone. The
// hardware multiplies by 0 what it reads before it was written, or ignores it: X * 0 is X, but any bits * 0 are 0.
// Compile it with the sources as a second top module. SQDM_TOP: path of the instance of {top}; SQDM_BIT: all bits.
`ifndef SQDM_TOP
`define SQDM_TOP {wrapper}.accelerator
`endif
`ifndef SQDM_BIT
`define SQDM_BIT 1'b0
`endif
module sqdm_fill;
  integer i;
  initial begin
"""


def _paths(modules: dict[str, str], top: str) -> dict[str, str]:
    """Instance path below ``top``, with a dot in front, of every module; each is instantiated once."""
    parents = {child: (module, name) for module, text in modules.items() for child, name in INSTANCE.findall(text)}

    def path(module: str) -> str:
        if module == top:
            return ""
        parent, name = parents[module]
        return f"{path(parent)}.{name}"

    return {module: path(module) for module in modules}


def registers_without_reset(text: str) -> list[tuple[str, int]]:
    """Name and width of the registers of a module's text that no reset sets."""
    sums = {match[0]: {*match[1:3], *match[3].split(", ")} for match in ANY.findall(text)}

    def resets(name: str) -> bool:
        return name.endswith("rst") or any(resets(part) for part in sums.get(name, ()))

    reset = {register for condition, register in LOADED.findall(text) if resets(condition)}
    return [(name, int(high or 0) + 1) for high, name in REGISTER.findall(text) if name not in reset]


def fill(verilog: str, top: str, wrapper: str, memories: list[dict]) -> str:
    """SystemVerilog that sets all ``memories`` of the manifest and all registers without a reset at time 0."""
    modules = {match[1]: match[0] for match in MODULE.finditer(verilog)}
    where = _paths(modules, top)
    lines = [
        f"    for (i = 0; i < {memory['depth']}; i = i + 1)\n"
        f"      `SQDM_TOP{where[memory['module']]}.{memory['name']}[i] = {{{memory['width']}{{`SQDM_BIT}}}};\n"
        for memory in memories
    ]
    for module, text in modules.items():
        for name, width in registers_without_reset(text):
            lines.append(f"    `SQDM_TOP{where[module]}.{name} = {{{width}{{`SQDM_BIT}}}};\n")
    return HEAD.format(top=top, wrapper=wrapper) + "".join(lines) + "  end\nendmodule\n"
