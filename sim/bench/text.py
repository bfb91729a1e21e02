"""The rows for people."""

from sqdm.output import table

TITLES = {
    "headline": "Headline",
    "baselines": "Baselines",
    "threshold": "One dense and one sparse array: threshold of the detector, and balanced",
    "period": "One dense and one sparse array: how often tables are renewed",
    "mixes": "Mixes of dense and sparse arrays",
    "shapes": "Sparse arrays: number x slots x lanes, and how far one may run ahead",
}
HEADS = (
    "cycles", "over FP16", "over 4 bit", "zeros", "exploitable", "skipped", "of the bound", "stalls", "largest stall",
    "area", "per area", "energy",
)  # fmt: skip


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def cells(row: dict) -> tuple[str, ...]:
    """A row's figures in the order of `HEADS`; empty where there is none."""
    stalls = row.get("stalls") or {}
    largest = max(stalls, key=stalls.get) if any(stalls.values()) else None
    energy = row["energy"]
    return (
        number(row["cycles"]),
        times(row["speedup_fp16"]),
        times(row["speedup_4bit"]),
        *(percent(row.get(f"{name}_sparsity")) for name in ("element", "exploitable", "exploited")),
        percent(row.get("bound_reached")),
        percent(sum(stalls.values()) / row["cycles"]) if stalls else "",
        f"{largest} {stalls[largest] / row['cycles']:.1%}" if largest else "",
        number(row["area"]),
        times(row["speedup_per_area"]),
        f"{1e6 * energy:,.1f} uJ" if energy is not None else "",
    )


def by_group(rows: list[dict]) -> dict[str, list[dict]]:
    """The rows of every table that has any."""
    found = {group: [row for row in rows if group in row["groups"]] for group in TITLES}
    return {group: members for group, members in found.items() if members}


def used_columns(rows: list[dict]) -> list[int]:
    """Columns in which any row has a figure."""
    lines = [cells(row) for row in rows]
    return [column for column in range(len(HEADS)) if any(line[column] for line in lines)]


def text(result: dict) -> str:
    """All tables, what could not run, and the paper's own figures."""
    parts = []
    for group, members in by_group(result["rows"]).items():
        columns = used_columns(members)
        lines = [(row["name"], *(cells(row)[column] for column in columns)) for row in members]
        heads = (group, *(HEADS[column] for column in columns))
        parts.append(f"{TITLES[group]}\n{table(lines, heads)}")
    parts += [f"{row['name']}: {row['problem']}" for row in result["rows"] if row["problem"]]
    published = result["published"]
    parts.append(
        f"{published['name']} ({published['source']}): {times(published['speedup_fp16'])} over FP16, "
        f"{times(published['speedup_4bit'])} over 4 bit"
    )
    what = {"rtl": "counted by the RTL", "model": "predicted by the cycle model"}[result["engine"]]
    parts.append(
        f"{result['images']} images, {result['evaluations']} evaluations, {percent(result['zero_fraction'])} zeros at "
        f"the inputs of the 4-bit layers; cycles {what}"
    )
    return "\n\n".join(parts)
