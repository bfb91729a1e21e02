"""The picture of a sampling run."""

from pathlib import Path

import numpy as np

COLUMNS = 10
MAP_COLUMNS = 7


def draw(images: np.ndarray, labels: list[int], caption: str, path: Path) -> None:
    """Write images (N, H, W) in [-1, 1] as a grid with their labels above and `caption` below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.15 * max(columns, 5), 1.35 * rows + 0.4), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if index < len(images):
            axes.imshow(images[index], cmap="gray_r", vmin=-1, vmax=1, interpolation="nearest")
            axes.set_title(str(labels[index]), fontsize=11)
    figure.subplots_adjust(left=0.02, right=0.98, top=1 - 0.3 / (1.35 * rows + 0.4), bottom=0.35 / (1.35 * rows + 0.4))
    figure.text(0.5, 0.1 / (1.35 * rows + 0.4), caption, ha="center", va="bottom", fontsize=9, color="0.35")
    figure.savefig(path, format="png")


def heat_maps(shares: dict[str, np.ndarray], title: str, path: Path) -> None:
    """Write one panel per layer: ``shares`` (channels, evaluations) in 0..1, evaluations from left to right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(MAP_COLUMNS, len(shares))
    rows = -(-len(shares) // columns)
    figure = Figure(figsize=(1.9 * columns + 0.9, 1.7 * rows + 0.5), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(shares) :]:
        axes.set_axis_off()
    for axes, (name, share) in zip(panels.flat, shares.items(), strict=False):
        picture = axes.imshow(share, cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axes.set_title(name, fontsize=7)
        axes.tick_params(labelsize=6, length=2)
    figure.colorbar(picture, ax=panels, shrink=0.6, pad=0.01).ax.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=9)
    figure.supxlabel("evaluation", fontsize=8)
    figure.supylabel("input channel", fontsize=8)
    figure.savefig(path, format="png")
