"""The pictures of docs/area-timing-energy.md."""

from collections import defaultdict
from pathlib import Path

from sqdm.synth.document.tables import by_name

LARGEST = 12  #: groups that the picture of areas names; the rest is one


def groups(whole: dict) -> dict[str, tuple[float, int]]:
    """Area and memory bits of modules by name; ``sparse_array_0`` .. together; of a parent what is its own."""
    rows = {row["path"]: row for row in whole["hierarchy"]}
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for path, row in rows.items():
        children = [other for other in rows if other and other != path and other.rpartition(".")[0] == path]
        area = row["area"] - sum(rows[child]["area"] for child in children)
        bits = row["memory_bits"] - sum(rows[child]["memory_bits"] for child in children)
        name = path.rpartition(".")[2].rstrip("0123456789_") or "top"
        found[name][0] += area
        found[name][1] += bits
    whole_area, whole_bits = (sum(values[i] for values in found.values()) or 1 for i in (0, 1))
    ordered = sorted(found.items(), key=lambda item: -max(item[1][0] / whole_area, item[1][1] / whole_bits))
    kept = {name: (area, int(bits)) for name, (area, bits) in ordered[:LARGEST]}
    rest = ordered[LARGEST:]
    if rest:
        kept["others"] = (sum(area for _, (area, _) in rest), int(sum(bits for _, (_, bits) in rest)))
    return kept


def area_picture(gates: dict, path: Path) -> None:
    """Where the gates and the memory bits of the whole accelerator are."""
    found = groups(by_name(gates)["all"])
    figure, (left, right) = _figure(10, 4.5, 2)
    names = list(found)
    left.barh(names, [area / 1000 for area, _ in found.values()], color="tab:blue")
    left.set_xlabel(f"thousand {by_name(gates)['all']['unit']}")
    right.barh(names, [bits / 1024 for _, bits in found.values()], color="tab:orange")
    right.set_xlabel("Kibit of memory")
    right.set_yticklabels([])
    for axes in (left, right):
        axes.invert_yaxis()
    figure.suptitle(f"configuration {gates['config']}: logic and memories, equal modules together", fontsize=10)
    figure.savefig(path, format="png")


def fmax_picture(place: dict, path: Path) -> None:
    """Clock by part and seed, with the bars that were set."""
    figure, (axes,) = _figure(7, 2.6, 1)
    parts = place["parts"]
    for row, part in enumerate(parts):
        axes.plot(list(part["fmax_by_seed"].values()), [row] * len(part["fmax_by_seed"]), "o", color="tab:blue")
        axes.plot([part["fmax_mhz"]], [row], "|", color="black", markersize=24)
    axes.set_yticks(range(len(parts)), [part["name"] for part in parts])
    axes.set_ylim(-0.6, len(parts) - 0.4)
    axes.set_xlim(0)
    axes.set_xlabel("MHz on an ECP5-85, a point a seed, the line their median")
    figure.savefig(path, format="png")


def _figure(width: float, height: float, columns: int):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes
