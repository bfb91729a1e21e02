"""The picture of a sampling run."""

from pathlib import Path

import numpy as np

COLUMNS = 10


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
