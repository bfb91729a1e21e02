"""The tables of docs/area-timing-energy.md, each between ``<!-- NAME -->`` and ``<!-- end -->``."""

import re
from collections.abc import Callable, Sequence

from sqdm.errors import UserError
from sqdm.synth.document.collect import COMMANDS

Results = dict[str, dict]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def replace_tables(page: str, tables: dict[str, str]) -> str:
    """``page`` with every table in its place; raises `UserError` when a place is missing."""
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        if not pattern.search(page):
            raise UserError(f"the page must have a place <!-- {name} --> ... <!-- end -->, but it has none")
        page = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", page)
    return page


def by_name(result: dict) -> dict[str, dict]:
    """The parts of a result of `sqdm synth`."""
    return {part["name"]: part for part in result["parts"]}


def gates_table(found: Results) -> str:
    """Gates of every part."""
    rows = []
    for name, part in by_name(found["gates"]).items():
        share = f"{part['share_of_core']:.1%}" if part["share_of_core"] else ""
        rows.append((f"`{name}`", f"{part['cells']:,}", f"{part['area']:,.0f}", share, f"{part['flipflops']:,}",
                     f"{part['memory_bits']:,}"))  # fmt: skip
    return markdown(("part", "cells", "gate equivalents", "of the core", "flip-flops", "memory bits"), rows)


def ratios_table(found: Results) -> str:
    """What is compared, in gates."""
    rows = [(name.replace("_", " "), f"{value:.3f}") for name, value in found["gates"]["ratios"].items()]
    return markdown(("ratio", "gates"), rows)


def liberty_table(found: Results) -> str:
    """Standard cells of every part, and their clock."""
    result = found["liberty"]
    rows = [
        (
            f"`{name}`",
            f"{part['area']:,.0f}",
            f"{part['cells']:,}",
            f"{part['fmax_mhz']:.0f}" if part["fmax_mhz"] else "",
        )
        for name, part in by_name(result).items()
    ]
    return markdown(("part", f"{result['liberty']}, {result['parts'][0]['unit']}", "cells", "MHz"), rows)


def fpga_table(found: Results) -> str:
    """The whole `default` accelerator on the FPGA families, before placing."""
    rows = []
    for target in (name for name in ("ecp5", "xilinx", "ice40") if name in found):
        part = by_name(found[target])["all"]
        counts = [f"{part[key]:,}" if key in part else "" for key in ("luts", "flipflops", "dsps", "brams", "lutrams")]
        rows.append((target, *counts, f"{part['memory_bits']:,}"))
    heads = ("target", "LUTs", "flip-flops", "DSPs", "block RAMs", "LUT RAMs", "memory bits")
    return markdown(heads, rows)


def hierarchy_table(found: Results) -> str:
    """Cells of the modules of `default`, two levels below the top."""
    whole = by_name(found["gates"])["all"]
    rows = [
        (f"`{row['path'] or 'all'}`", f"{row['cells']:,}", f"{row['area'] / whole['area']:.1%}",
         f"{row['flipflops']:,}", f"{row['memory_bits']:,}")
        for row in whole["hierarchy"]
        if row["path"].count(".") <= 2
    ]  # fmt: skip
    return markdown(("module", "cells", "of all", "flip-flops", "memory bits"), rows)


def place_table(found: Results) -> str:
    """Clock of the `fpga` configuration on an ECP5-85, by seed."""
    rows = []
    for part in found["place"]["parts"]:
        seeds = sorted(part["fmax_by_seed"].values())
        rows.append((f"`{part['name']}`", f"{part['fmax_mhz']:.1f}", ", ".join(f"{value:.1f}" for value in seeds),
                     part["slowest"]))  # fmt: skip
    return markdown(("part", "median MHz", "all seeds", "slowest path of the median seed"), rows)


def energy_table(found: Results) -> str:
    """Microjoules per image by part and design."""
    result = found["energy"]
    designs = {"fp16_dense": "FP16, dense", "dense_4bit": "4 bit, dense", "sqdm": "sqdm"}
    breakdown = result["breakdown"]
    rows = [(part, *(f"{1e6 * breakdown[name][part]:,.1f}" for name in designs)) for part in breakdown["sqdm"]]
    for label, key in (("**on chip**", "energy_per_image"), ("**with DRAM**", "energy_per_image_with_dram")):
        rows.append((label, *(f"**{1e6 * result[key][name]:,.1f}**" for name in designs)))
    return markdown(("microjoules per image", *designs.values()), rows)


def reductions_table(found: Results) -> str:
    """Energy saved."""
    result = found["energy"]

    def span(key: str) -> str:
        low, high = result[key]
        return f"{low:.1%} to {high:.1%}"

    rows = [
        ("the same arrays dense, on chip", f"{result['reduction_vs_dense']:.1%}", span("reduction_vs_dense_range")),
        ("the same, with DRAM", f"{result['reduction_vs_dense_with_dram']:.1%}",
         span("reduction_vs_dense_with_dram_range")),
        ("the same, logic only", f"{result['reduction_vs_dense_logic']:.1%}", ""),
        ("FP16 dense, on chip", f"{result['reduction_vs_fp16']:.1%}", ""),
        ("FP16 dense, with DRAM", f"{result['reduction_vs_fp16_with_dram']:.1%}", ""),
    ]  # fmt: skip
    return markdown(("less energy than", "typical", "over the range of the memory figures"), rows)


#: Table -> what makes it from the results of `collect.COMMANDS`.
TABLES: dict[str, Callable[[Results], str]] = {
    "gates": gates_table,
    "ratios": ratios_table,
    "hierarchy": hierarchy_table,
    "liberty": liberty_table,
    "fpga": fpga_table,
    "place": place_table,
    "energy": energy_table,
    "reductions": reductions_table,
}

GAP = "*Not measured with this state of the design; `make figures` fills this table.*"


def table_or_gap(name: str, found: Results) -> str:
    """The table of that name, or the sentence that says that its result is missing."""
    try:
        return TABLES[name](found)
    except KeyError as error:
        if error.args[0] not in COMMANDS:
            raise
        return GAP
