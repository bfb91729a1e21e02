"""``sqdm synth``: what the parts cost."""

from collections import Counter
from pathlib import Path

import click

from sqdm.output import json_option, message, progress, show, table

PARTS = ("dense", "sparse", "address", "detector", "post", "normaliser", "map", "port", "mac", "mac_int8", "mac_fp16",
         "all")  # fmt: skip
TARGETS = ("gates", "ecp5", "ice40", "xilinx", "liberty")
COUNTS = {"luts": "LUTs", "dsps": "DSPs", "brams": "block RAMs", "lutrams": "LUT RAMs"}


@click.command(epilog="Example: sqdm synth --target gates --part sparse", short_help="Area and speed of the parts.")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--part", type=click.Choice(PARTS), multiple=True, help="Again for several.  [default: every part]")
@click.option("--target", type=click.Choice(TARGETS), default="gates", show_default=True, help="Technology.")
@click.option("--liberty", type=click.Path(path_type=Path), multiple=True,
              help="Standard cells, .lib or .lib.gz; again for libraries in several files.  [default: OSU 0.18 um, if "
              "installed]")  # fmt: skip
@click.option("--memory-access", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Target liberty: ns from the clock to a memory's data.")  # fmt: skip
@click.option("--place", is_flag=True, help="Target ecp5: place and route on an LFE5U-85F-6; the median clock.")
@click.option("--seeds", type=click.IntRange(1, 100), default=5, show_default=True, help="Placements of each part.")
@json_option
def synth(config: str, part: tuple[str, ...], target: str, liberty: tuple[Path, ...], memory_access: float,
          place: bool, seeds: int, as_json: bool):  # fmt: skip
    """Cells, flip-flops, memories and speed of the parts of the accelerator.

    Memories are counted apart from the cells: as bits, and on FPGAs as block RAMs; one that would become flip-flops is
    named, and the command exits with 1. Target gates: two-input gates, multiplexers and flip-flops, area in gate
    equivalents (NAND gates). Target liberty: the standard cells of --liberty, with the clock that OpenSTA allows.
    FPGA targets: LUTs, before placing; --place adds the clock on an ECP5.

    Parts dense and sparse are one PE array each; mac is the multipliers and accumulators of one, mac_int8 and mac_fp16
    as many of other operands; post is the whole output path, normaliser and map make codes and resample, port is the
    AXI4 memory port. Part all is mapped unit by unit and has a table of its hierarchy.
    """
    from sqdm.errors import UserError
    from sqdm.rtl.config import load_config
    from sqdm.synth.area import cut, ratios, synthesize, with_shares
    from sqdm.synth.liberty import load
    from sqdm.synth.targets import TARGETS as KNOWN

    if liberty and target != "liberty":
        raise UserError(f"liberty must be left out, or go with target liberty, not {target}")
    if place and target != "ecp5":
        raise UserError(f"place must be left out, or go with target ecp5, not {target}")
    chosen = load_config(config)
    cells = load(list(liberty)) if target == "liberty" else None
    names = [name for name in PARTS if name in part or not part]
    units = cut(chosen, names)
    with progress("synthesis", len(units.jobs)) as update:
        parts = synthesize(units, cells.target if cells else KNOWN[target], cells, memory_access * 1e-9, update)
    if place:
        _place(parts, chosen, seeds)
    with_shares(parts, chosen)
    problems = [problem for found in parts for problem in found.pop("problems")]
    result = {"config": chosen.name, "target": target, "parts": parts, "ratios": ratios(parts), "problems": problems}
    if cells:
        result["liberty"] = cells.name
    show(result, "\n\n".join(_tables(parts, result)), as_json)
    for problem in problems:
        message(f"error: {problem}")
    if problems:
        click.get_current_context().exit(1)


def _place(parts: list[dict], config, seeds: int) -> None:
    """Add the clock of every part, by seed, and its slowest path."""
    from sqdm.synth.place import place

    with progress("place and route", len(parts) * seeds) as update:
        done = 0

        def on_seed(seed: int, fmax: float) -> None:
            nonlocal done
            done += 1
            update(done, f"seed {seed}: {fmax:.1f} MHz")

        for part in parts:
            part |= place(config, part["name"], range(1, seeds + 1), on_seed)


def _tables(parts: list[dict], result: dict) -> list[str]:
    """For people: the parts, the hierarchy of the whole, the largest memories."""
    counts = [name for name in COUNTS if name in parts[0]]
    rows = []
    for p in parts:
        share = f"{p['share_of_core']:.1%}" if p["share_of_core"] else ""
        fmax = f"{p['fmax_mhz']:.0f}" if p["fmax_mhz"] else ""
        rows.append((p["name"], f"{p['area']:,.0f}", share, f"{p['cells']:,}", f"{p['flipflops']:,}",
                     f"{p['memory_bits']:,}", *(f"{p[name]:,}" for name in counts), fmax))  # fmt: skip
    heads = ("part", parts[0]["unit"], "of all", "cells", "flip-flops", "memory bits", *map(COUNTS.get, counts), "MHz")
    texts = [table(rows, heads)]
    placed = [(p["name"], f"{p['fmax_mhz']:.1f}", ", ".join(f"{fmax:.1f}" for fmax in p["fmax_by_seed"].values()),
               p["slowest"]) for p in parts if "fmax_by_seed" in p]  # fmt: skip
    if placed:
        texts.append(table(placed, ("part", "MHz", "by seed", "slowest path")))
    if result["ratios"]:
        texts.append(table([(name, value) for name, value in result["ratios"].items()], ("ratio", "")))
    for p in parts:
        if p["hierarchy"]:
            total = p["area"] or 1
            rows = [(row["path"] or "all", f"{row['area']:,.0f}", f"{row['area'] / total:.1%}", f"{row['cells']:,}",
                     f"{row['flipflops']:,}", f"{row['memory_bits']:,}")
                    for row in _merged(p["hierarchy"])]  # fmt: skip
            texts.append(table(rows, ("module", p["unit"], "of all", "cells", "flip-flops", "memory bits")))
            kinds = Counter((m["name"].rpartition(".")[2], m["rows"], m["width"]) for m in p["macros"])
            ordered = sorted(kinds.items(), key=lambda item: -item[0][1] * item[0][2])
            rows = [(name, f"{depth} x {width}", n, f"{depth * width * n:,}") for (name, depth, width), n in ordered]
            texts.append(table(rows, ("memory", "rows x bits", "number", "bits in all")))
    return texts


def _merged(rows: list[dict]) -> list[dict]:
    """Rows of the hierarchy; what is below the second of equal neighbours, and they themselves, are left out."""
    kept: list[dict] = []
    seen: set[tuple] = set()
    skipped: list[str] = []
    for row in rows:
        if any(row["path"].startswith(f"{path}.") for path in skipped):
            continue
        stem = row["path"].rstrip("0123456789")
        key = (stem, row["cells"], row["memory_bits"])
        if stem != row["path"] and key in seen:
            skipped.append(row["path"])
            continue
        seen.add(key)
        kept.append(row)
    return kept
