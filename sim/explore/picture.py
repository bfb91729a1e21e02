"""The picture of ``sqdm explore``: speed-up against cost, one panel for each workload."""

from pathlib import Path

UNITS = {"area": "area, thousand gate equivalents (without memories)", "energy": "energy per image, mJ (estimate)",
         "multipliers": "multipliers"}  # fmt: skip
SCALES = {"area": 1e-3, "energy": 1e3, "multipliers": 1}
PLAIN, FRONT, PRESET = "#9aa5b1", "#c44e52", "#4c72b0"


def draw(points: list[dict], cost: str, path: Path) -> None:
    """Every point, the front as steps, names at the points of the front and at the presets, which are diamonds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    workloads = list(dict.fromkeys(one["workload"] for one in points)) or ["no point"]
    figure = Figure(figsize=(8, 5.2 * len(workloads)), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, workload in zip(figure.subplots(len(workloads), squeeze=False)[:, 0], workloads, strict=True):
        shown = [one for one in points if one["workload"] == workload and one[cost] is not None]
        panel(axes, shown, cost)
        axes.set_title(workload, fontsize=10)
        axes.set_xlabel(UNITS[cost], fontsize=9)
        axes.set_ylabel("speed-up over the dense arrays of the reference", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.savefig(path, format="png")


def panel(axes, points: list[dict], cost: str) -> None:
    """The points of one workload."""

    def place(one: dict) -> tuple[float, float]:
        return one[cost] * SCALES[cost], one["speedup_4bit"]

    best = sorted(place(one) for one in points if one[f"pareto_{cost}"])
    if best:
        axes.step(*zip(*best, strict=True), where="post", color=FRONT, lw=1, zorder=1, label="Pareto front")
    for preset, marker, size in ((False, "o", 18), (True, "D", 34)):
        kind = [one for one in points if bool(one["preset"]) == preset]
        if kind:
            colors = [FRONT if one[f"pareto_{cost}"] else PRESET if preset else PLAIN for one in kind]
            label = "preset" if preset else "configuration"
            axes.scatter(*zip(*map(place, kind), strict=True), c=colors, marker=marker, s=size, zorder=2, label=label)
    for number, one in enumerate(sorted(points, key=place)):
        if one[f"pareto_{cost}"] or one["preset"]:
            text = f"{one['name']} ({one['preset']})" if one["preset"] else one["name"]
            above = 6 if number % 2 else -11
            axes.annotate(text, place(one), (5, above), textcoords="offset points", fontsize=7)
    if points:
        axes.margins(x=0.15, y=0.12)
        axes.legend(fontsize=8, frameon=False, loc="center right")
