"""The sections that show a sampling run: pictures, cycles of the layers, zeros of the channels."""

import shlex

import numpy as np

from sqdm.page import pictures
from sqdm.page.blocks import Figure, Section, Table, config_option, number, percent
from sqdm.page.inputs import Sample
from sqdm.page.layers import CAUSES, Bar, by_layer, skew, whole
from sqdm.picture import heat_maps
from sqdm.report import summary

SOURCES = {"rtl": "the RTL (compiled and simulated)", "uart": "the RTL on a board", "golden": "the integer model",
           "float": "the float network"}  # fmt: skip


def sample_command(report: dict, statistics: bool) -> str:
    """The command line of that run."""
    words = ["sqdm", "sample", "--engine", report["engine"] if report["engine"] != "uart" else "uart:PORT"]
    words += ["--config", config_option(report["config"]), "--labels", ",".join(map(str, report["labels"]))]
    words += ["--steps", str(report["steps"]), "--seed", str(report["seed"]), "--policy", report["policy"]]
    words += ["--period", str(report["period"])]
    if report["latency"] is not None:
        words += ["--latency", str(report["latency"])]
    return shlex.join([*words, *(["--stats"] if statistics else []), "--out", "DIR"])


def samples(sample: Sample) -> Section:
    """The picture, and the run in figures."""
    report = sample.report
    command = sample_command(report, bool(sample.zeros))
    digits = ", ".join(map(str, report["labels"]))
    source = SOURCES.get(report["engine"], report["engine"])
    text = [
        f"{report['images']} hand-written digits of 8x8 pixels, drawn by {source} in {report['steps']} Heun steps, "
        f"which are {report['evaluations']} evaluations of the network.",
        _checked(report),
    ]
    if report["cycles"] is not None:
        text.append(
            f"The accelerator computed {report['macs_on_accelerator']:.2%} of the multiply-accumulates, the host the "
            "rest. Cycles are counted by the accelerator, stalls included; the host's own time is not in them, and the "
            "memory answers after a fixed latency, unlike a DRAM."
        )
    text.append("The shipped model is small: the pictures show that the arithmetic is right, not what large models do.")
    return Section(
        "samples",
        "Samples",
        text,
        [
            Figure(pictures.png_uri(sample.picture), f"Drawn digits, in this order: {digits}.",
                   "The digits, with the labels that were asked for above them.", command),
            Table(("figure", "value"), summary(report), "The run in figures. Speed-ups compare with the same program "
                  "on dense arrays; FP16 by the paper's convention, a quarter of the 4-bit rate.", command),
        ],
    )  # fmt: skip


def _checked(report: dict) -> str:
    """Whether the outputs equal the golden model."""
    if not report["outputs_compared"]:
        return "No output of the accelerator was compared with the golden model in this run."
    if report["mismatches"]:
        return (
            f"{report['mismatches']:,} of {report['outputs_compared']:,} values differ from the golden model: "
            "this run is wrong."
        )
    return f"All {report['outputs_compared']:,} values that it wrote equal the golden model, bit for bit."


def layers(sample: Sample) -> Section:
    """Ideal, achieved and stalls, for every layer of the profiled evaluation and for the whole run."""
    title, report = "Cycles by layer", sample.report
    if not sample.profiled:
        return Section("layers", title, missing="Cycles by layer need a sampling run on the RTL; this one was not.",
                       command="sqdm sample --stats --out DIR")  # fmt: skip
    command, bars, total = sample_command(report, bool(sample.zeros)), by_layer(report), whole(report)
    text = [
        "Ideal is the number of activations that the arrays took, over the number of their slots: the cycles if every "
        "slot multiplied in every cycle. Sparse arrays take the activations that are not zero, dense arrays take all.",
        "Achieved is what the accelerator counted. Between them lie cycles in which some slots multiply and others "
        "have nothing left to do, and stalls, in which no slot does; each stalled cycle has one cause.",
    ]
    if report["counters"]["OPS_DENSE"]:
        text.append("This run has dense arrays: the zeros that they multiply are part of the ideal.")
    causes = ", ".join(f"{name.removeprefix('STALL_').lower()}: {cause}" for name, cause in CAUSES.items())
    text.append(f"Causes in the tables: {causes}.")
    text.append("Lanes without an output channel count as working, so a layer with few of them looks better here.")
    shown = (
        f"Evaluation {report['profiled_evaluation']} of {report['evaluations']}, run once more descriptor by "
        "descriptor to read the counters between them, so loads do not overlap with the layer before: "
        f"{sum(one.cycles for one in bars):,} cycles, where an evaluation of the whole run took "
        f"{report['cycles'] / report['evaluations']:,.0f} on average. Up to {skew(report)} cycles of a descriptor are "
        "counted beside its neighbour."
    )
    slowest = max(bars, key=lambda one: one.cycles)
    return Section(
        "layers",
        title,
        text,
        [
            Figure(
                pictures.layer_bars(bars),
                f"Stacked bars of the cycles of {len(bars)} layers and other descriptors; the longest is "
                f"{slowest.name} with {slowest.cycles:,} cycles. The table below has the numbers.",
                f"Each bar: ideal, uneven slots, stalls by cause. The tick: all arrays dense. {shown}",
                command,
            ),
            _layer_table(
                [total],
                "Where the cycles of the whole run went. Ideal, uneven and stalls add up to achieved; use: ideal over "
                "achieved.",
                command,
            ),
            _layer_table(bars, f"The bars in numbers; zeros are the mean over the whole run. {shown}", command),
        ],
    )


def _layer_table(bars: list[Bar], caption: str, command: str) -> Table:
    heads = ("", "zeros", "ideal", "uneven", *(name.removeprefix("STALL_").lower() for name in CAUSES), "achieved",
             "use", "all dense", "speed-up")  # fmt: skip
    rows = [
        (one.name, percent(one.zeros, 0), number(one.ideal), number(one.uneven), *map(number, one.stalls.values()),
         number(one.cycles), percent(one.ideal / one.cycles if one.cycles else None, 0), number(one.dense),
         number(one.speedup, 2, "x"))
        for one in bars
    ]  # fmt: skip
    return Table(heads, rows, caption, command)


def sparsity(sample: Sample) -> Section:
    """Zeros by channel and evaluation."""
    title, zeros = "Zeros by channel and step", sample.zeros
    if not zeros:
        return Section("sparsity", title, missing="This run was made without the statistics of its channels.",
                       command=sample_command(sample.report, True))  # fmt: skip
    command = sample_command(sample.report, True)
    rows = []
    for name, share in zeros.items():
        channels = share.mean(axis=1)
        drift = np.abs(np.diff(share, axis=1)).mean() if share.shape[1] > 1 else None
        rows.append((name, number(len(share)), percent(share.mean()), percent(channels.min()),
                     percent(channels.max()), percent(drift)))  # fmt: skip
    evaluations = next(iter(zeros.values())).shape[1]
    return Section(
        "sparsity",
        title,
        [
            "The share of zeros at the input of each layer, after ReLU and quantisation, in all images together. It "
            "differs from channel to channel, which lets a detector sort channels between dense and sparse arrays, and "
            "it drifts while an image is denoised, which is why the sorting is renewed.",
            "These are zeros of this model on these digits, counted before padding. They are not the cycles saved: an "
            "array waits for its slowest slot, and layers stall.",
        ],
        [
            Figure(
                pictures.drawn(lambda path: heat_maps(zeros, "share of zeros at the input of each layer", path)),
                f"{len(zeros)} heat maps of the share of zeros, input channels by {evaluations} evaluations; the table "
                "below has mean, extremes and drift of each.",
                "One map a layer: channels from top to bottom, evaluations from left to right, bright is many zeros. "
                "Channels of 8-bit layers appear once for each 4-bit half.",
                command,
            ),
            Table(
                ("layer", "channels", "mean", "least channel", "most channel", "drift"),
                rows,
                "Zeros of each layer. Least and most: the mean over the evaluations of one channel. Drift: the mean "
                "change of a channel from one evaluation to the next, in percentage points.",
                command,
            ),
        ],
    )
