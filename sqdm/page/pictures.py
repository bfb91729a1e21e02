"""The pictures of the page, as data URIs that need no other file."""

import base64
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sqdm.page.layers import CAUSES, Bar

ROW = 0.2  #: height of a bar, inches
IDEAL, UNEVEN = "#0072b2", "#86c5ea"
STALL_COLORS = {
    "STALL_ACTS": "#e69f00", "STALL_WEIGHTS": "#d55e00", "STALL_OUTPUT": "#009e73", "STALL_MAP": "#cc79a7",
    "STALL_DETECT": "#56606b", "STALL_OTHER": "#b9b9b9",
}  # fmt: skip


def png_uri(content: bytes) -> str:
    """A PNG picture as data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def drawn(draw: Callable[[Path], None]) -> str:
    """What ``draw(path)`` writes as a PNG, as data URI. Names are shown as they are: `$` begins no formula."""
    from matplotlib import rc_context

    with tempfile.TemporaryDirectory() as folder, rc_context({"text.parse_math": False}):
        path = Path(folder) / "picture.png"
        draw(path)
        return png_uri(path.read_bytes())


def layer_bars(bars: Sequence[Bar]) -> str:
    """One stacked bar a layer: ideal, uneven, stalls by cause; a tick at the cycles of dense arrays."""

    def draw(axes) -> None:
        names = [one.name for one in bars]
        rows = np.arange(len(bars))
        parts = [("every slot multiplies", IDEAL, [one.ideal for one in bars]),
                 ("some slots multiply", UNEVEN, [one.uneven for one in bars])]  # fmt: skip
        parts += [(f"stall: {CAUSES[c]}", color, [one.stalls[c] for one in bars]) for c, color in STALL_COLORS.items()]
        _stack(axes, rows, parts)
        dense = [(row, one.dense) for row, one in zip(rows, bars, strict=True) if one.dense is not None]
        if dense:
            at, cycles = zip(*dense, strict=True)
            axes.plot(cycles, at, "|", color="black", markersize=9, markeredgewidth=1.6, label="all arrays dense")
        axes.set_yticks(rows, names, fontsize=7)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlabel("cycles")

    return _svg(10, ROW * len(bars) + 1.6, draw)


def speed_bars(rows: Sequence[dict]) -> str:
    """Speed-up over dense FP16 and over dense 4-bit arrays, a group of bars a row of `sqdm bench`."""

    def draw(axes) -> None:
        at = np.arange(len(rows))
        for offset, key, color, label in (
            (-0.2, "speedup_fp16", IDEAL, "over dense FP16 arrays"),
            (0.2, "speedup_4bit", "#e69f00", "over dense 4-bit arrays"),
        ):
            values = [row[key] or 0 for row in rows]
            axes.barh(at + offset, values, 0.38, color=color, label=label)
            for y, value in zip(at + offset, values, strict=True):
                if value:
                    axes.text(value, y, f" {value:.2f}", va="center", fontsize=7)
        axes.set_yticks(at, [row["name"] for row in rows], fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.08)
        axes.set_xlabel("times as fast")

    return _svg(9, 2 * ROW * len(rows) + 1.2, draw)


def _stack(axes, rows, parts: Sequence[tuple[str, str, Sequence[float]]]) -> None:
    """Horizontal bars of (label, color, values), one after the other."""
    left = np.zeros(len(rows))
    for label, color, values in parts:
        axes.barh(rows, values, left=left, height=0.72, color=color, label=label)
        left += np.asarray(values, float)


def _svg(width: float, height: float, draw: Callable) -> str:
    """A data URI of the SVG of one pair of axes, legend below; the same input gives the same text."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False, "svg.hashsalt": "sqdm"}):
        figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="x", labelsize=8)
        axes.xaxis.label.set_size(9)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
