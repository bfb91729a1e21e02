"""The picture of ``sqdm energy``: one stacked bar a design."""

from pathlib import Path

import numpy as np


def stacked_bars(bars: dict[str, dict[str, float]], unit: str, caption: str, path: Path) -> None:
    """Write horizontal bars: for each design the values of its parts, the total behind them."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.0 * len(bars) + 2.2), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = list(next(iter(bars.values())))
    left = np.zeros(len(bars))
    for number, name in enumerate(names):
        widths = np.array([bar[name] for bar in bars.values()])
        axes.barh(list(bars), widths, left=left, label=name, color=colormaps["tab20"](number % 20), height=0.6)
        left += widths
    for row, total in enumerate(left):
        axes.text(total, row, f" {total:,.0f}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1 * left.max())
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(caption, fontsize=9, color="0.35")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, format="png")
