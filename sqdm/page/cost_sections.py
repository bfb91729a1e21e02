"""The sections that show results of `sqdm bench`, `sqdm synth` and `sqdm energy`."""

import shlex

from sqdm.commands.synth import PARTS
from sqdm.page import pictures
from sqdm.page.blocks import Figure, Section, Table, config_option, number, percent

BENCH = "sqdm bench --json > bench.json; sqdm report --bench bench.json --out DIR"
SYNTH = "sqdm synth --json > synth.json; sqdm report --synth synth.json --out DIR"
ENERGY = "sqdm energy --json > energy.json; sqdm report --energy energy.json --out DIR"


def headline(bench: dict | None) -> Section:
    """Speed, stalls, sparsity, area and energy of the baselines and of every configuration that ran."""
    title = "Headline"
    if bench is None:
        missing = "The comparison with dense FP16, 8-bit and 4-bit arrays was not given."
        return Section("headline", title, missing=missing, command=BENCH)
    from sqdm.sim.bench.picture import stacked_bars
    from sqdm.sim.bench.text import TITLES, by_group

    command = f"sqdm bench --engine {bench['engine']} --images {bench['images']} --steps {bench['steps']} --json"
    source = {"rtl": "counted by the RTL", "model": "predicted by the cycle model"}.get(bench["engine"], "")
    published = bench["published"]
    text = [
        f"Every row draws {bench['images']} digits in {bench['evaluations']} evaluations of the network; cycles are "
        f"{source}. Over FP16: the dense arrays with every layer in 4 bit, times four, which is the paper's convention "
        "for FP16. Over 4 bit: the same program, mixed precision included, with all arrays dense.",
        f"The paper reports {number(published['speedup_fp16'], 2, 'x')} and "
        f"{number(published['speedup_4bit'], 2, 'x')}, of other models ({published['source']}).",
        "Of the products of all convolutions, zeros is the share with an activation of zero, exploitable those of "
        "them in channels that went to sparse arrays, skipped what was not multiplied. Of the bound: the speed-up "
        "over 4 bit as a share of what skipping every zero would give. Dense slots "
        "without a channel count as multiplying, so a dense row can skip less than nothing.",
        "Area is in gate equivalents, memories apart; per area is the speed-up over 4 bit, over the area relative to "
        "the dense arrays. Energy is on chip, per image. What is missing was not measured for that row.",
        *(f"{row['name']}: {row['problem']}." for row in bench["rows"] if row["problem"]),
    ]
    groups = by_group(bench["rows"])
    blocks: list[Figure | Table] = []
    fast = [row for row in groups.get("headline", bench["rows"]) if row["speedup_fp16"] and row["speedup_4bit"]]
    if fast:
        best = max(fast, key=lambda row: row["speedup_fp16"])
        alt = f"Bars of speed-ups; the longest is {best['name']} with {best['speedup_fp16']:.2f} over FP16."
        caption = "Speed-ups of the headline rows. They say nothing about area: the column per area does."
        blocks.append(Figure(pictures.speed_bars(fast), alt, caption, command))
    blocks += [_rows_table(members, TITLES[group], command) for group, members in groups.items()]
    if stalled := [row for row in bench["rows"] if row.get("stalls") and row["cycles"] and row["bits"] != 8]:
        uri = pictures.drawn(lambda path: stacked_bars(stalled, "cycles with work, and stalls by cause", path))
        alt = f"Stacked bars of the cycles of {len(stalled)} rows; the tables above have cycles and stalls."
        caption = "Cycles in which any array multiplies (active), cycles in which none does, by cause; no 8-bit rows."
        blocks.append(Figure(uri, alt, caption, command))
    return Section("headline", title, text, blocks)


def _rows_table(rows: list[dict], title: str, command: str) -> Table:
    """The rows of one group, as `sqdm bench` prints them; columns without a figure are left out."""
    from sqdm.sim.bench.text import HEADS, cells, used_columns

    columns = used_columns(rows)
    lines = [(row["name"], *(cells(row)[column] for column in columns)) for row in rows]
    return Table(("", *(HEADS[column] for column in columns)), lines, f"{title}.", command)


def area(found: list[dict]) -> Section:
    """One table a result of `sqdm synth`; a picture where it has the whole accelerator."""
    title = "Area"
    if not found:
        return Section("area", title, missing="Areas of the parts were not given.", command=SYNTH)
    blocks: list[Figure | Table] = []
    for result in found:
        blocks += _parts(result)
    text = [
        "Cells of logic after synthesis, memories apart, as bits. Generic gates compare parts with one another, they "
        "are no area of a process; FPGA figures are before placing unless a clock stands beside them. "
        "Wires are in none."
    ]
    return Section("area", title, text, blocks)


def _parts(result: dict) -> list[Figure | Table]:
    from sqdm.synth.document.pictures import area_picture

    config, target, parts = result["config"], result["target"], result["parts"]
    words = ["sqdm", "synth", "--config", config, "--target", target]
    if [part["name"] for part in parts] != list(PARTS):
        for part in parts:
            words += ["--part", part["name"]]
    if any("fmax_by_seed" in part for part in parts):
        words.append("--place")
    command = shlex.join([*words, "--json"])
    unit = parts[0]["unit"] if parts else ""
    rows = [
        (p["name"], number(p["area"]), percent(p["share_of_core"]), number(p["cells"]), number(p["flipflops"]),
         number(p["memory_bits"]), number(p["fmax_mhz"], 1))
        for p in parts
    ]  # fmt: skip
    heads = ("part", unit, "of the core", "cells", "flip-flops", "memory bits", "MHz")
    caption = f"Configuration {config}, target {target}. Share: all arrays of that kind together."
    blocks: list[Figure | Table] = [Table(heads, rows, caption, command)]
    if result["ratios"]:
        ratios = [(name.replace("_", " "), number(value, 3)) for name, value in result["ratios"].items()]
        blocks.append(
            Table(("ratio", "value"), ratios, f"Areas compared, in {unit} unless the name says cells.", command)
        )
    for part in parts:
        if part["name"] == "all" and part["hierarchy"]:
            uri = pictures.drawn(lambda path: area_picture(result, path))
            alt = f"Bars of the logic and of the memory bits of the modules; all of them together: {part['area']:,.0f} "
            caption = f"Where logic and memory of configuration {config} are, target {target}; equal modules together."
            blocks.append(Figure(uri, f"{alt}{unit} and {part['memory_bits']:,} bits.", caption, command))
    return blocks


def energy(result: dict | None) -> Section:
    """Energy per image of the three designs."""
    title = "Energy"
    if result is None:
        return Section("energy", title, missing="The energy per image was not given.", command=ENERGY)
    from sqdm.synth.energy import report
    from sqdm.synth.energy.picture import stacked_bars

    words = ["sqdm", "energy", "--config", config_option(result["config"])]
    if result.get("own_run", True):
        words += ["--images", str(result["images"]), "--steps", str(result["steps"])]
        words += ["--latency", str(result["latency"])]
    else:
        words += ["--run", "DIR/report.json"]
    command = shlex.join([*words, "--json"])
    totals = result["energy_per_image_with_dram"]
    alt = "Stacked bars of the microjoules per image: " + ", ".join(
        f"{label} {1e6 * totals[name]:,.0f}" for name, label in report.DESIGNS.items()
    )
    text = [
        "Energy per image of this accelerator, of the same arrays run dense, and of FP16 arrays with a quarter of the "
        "multipliers, which take four times the cycles. Logic is measured at gate level, on the switching of a real "
        "evaluation, with the cells of a standard library; memories and DRAM are published figures.",
        "Not in it: wires, clock tree and clock gating. It compares designs; it is not the energy of a chip.",
        *(line[0].upper() + line[1:] + "." for line in report.summary(result).splitlines()),
    ]
    rows = report.rows(result)
    caption = report.caption(result)
    return Section(
        "energy",
        title,
        text,
        [
            Figure(
                pictures.drawn(lambda path: stacked_bars(report.bars(result), report.HEADS[0], caption, path)),
                f"{alt}. The table below has the parts.",
                "Microjoules per image by part, DRAM included.",
                command,
            ),
            Table(report.HEADS, rows, f"Microjoules per image by part: {caption}.", command),
        ],
    )
