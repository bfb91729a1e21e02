"""The picture of ``sqdm bench``: one bar a row, cycles with work and stalls by cause."""

from pathlib import Path

import numpy as np

COLORS = {"active": "#4c72b0", "weights": "#dd8452", "acts": "#55a868", "output": "#c44e52", "map": "#8172b3",
          "detect": "#937860", "other": "#b0b0b0"}  # fmt: skip


def stacked_bars(rows: list[dict], caption: str, path: Path) -> None:
    """Write a bar for every row that ran; its speed-ups over FP16 and over 4 bit stand behind it.

    Rows with every layer in 8 bit are left out: they take so long that all other bars would be short.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.get("stalls") and row["bits"] != 8]
    figure = Figure(figsize=(10, 0.28 * len(shown) + 1.6), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = [row["name"] for row in shown]
    left = np.zeros(len(shown))
    for part, color in COLORS.items():
        cycles = [row["active"] if part == "active" else row["stalls"][part] for row in shown]
        widths = np.array(cycles) / 1e6
        axes.barh(names, widths, left=left, label=part if part == "active" else f"stall: {part}", color=color)
        left += widths
    for place, row in enumerate(shown):
        text = f" {row['speedup_fp16']:.2f}x, {row['speedup_4bit']:.2f}x" if row["speedup_4bit"] else ""
        axes.text(left[place], place, text, va="center", fontsize=7)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * left.max())
    axes.set_xlabel("million cycles; behind the bars: over FP16 dense, over 4-bit dense")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(caption, fontsize=9, color="0.35")
    figure.legend(loc="outside lower center", ncols=len(COLORS), fontsize=8, frameon=False)
    figure.savefig(path, format="png")
