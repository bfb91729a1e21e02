"""A program as text: one line a descriptor."""

import numpy as np

from sqdm.compiler.cycles import estimate
from sqdm.compiler.program import Descriptor, Program
from sqdm.output import table
from sqdm.rtl.descriptor import Kind, Output, Resample

FLAGS = (
    "prefetch",
    "scan",
    "update",
    "int16_acts",
    "image_weights",
    "residual",
    "statistics",
    "halo_top",
    "halo_bottom",
)


def listing(program: Program, memory: np.ndarray | None = None) -> str:
    """Tag, kind, name, shape, formats, options and predicted cycles of each descriptor, and their sum.

    ``memory`` as for `cycles.estimate`; by default that of the program before its first run.
    """
    rows, total = [], 0
    for descriptor in program.descriptors:
        cycles = estimate(descriptor, program.config, program.memory if memory is None else memory).total
        total += cycles
        rows.append(
            (
                descriptor.name,
                descriptor["CONTROL.tag"],
                descriptor.kind.name,
                _shape(descriptor),
                _formats(descriptor),
                f"{cycles:,}" if cycles else "",
                _options(descriptor),
            )
        )
    rows.append(("total", "", "", "", "", f"{total:,}", ""))
    return table(rows, ("name", "tag", "kind", "shape", "bits", "cycles (estimate)", "options")) + "\n"


def _shape(d: Descriptor) -> str:
    """Channels in and out, pixels, images."""
    if d.kind not in (Kind.CONV, Kind.MAP):
        return ""
    size = f"{d['HEIGHT']}x{d['WIDTH']} x{d['IMAGES']}"
    if d.kind == Kind.MAP:
        return f"{d['CHANNELS']} @ {size}"
    kernel = "3x3" if d["MODE.kernel3"] else "1x1"
    return f"{d['CHANNELS']}>{d['OUT_CHANNELS']} {kernel} @ {size}"


def _formats(d: Descriptor) -> str:
    """Bits of activations and weights."""
    if d.kind == Kind.CONV:
        return f"a{8 if d['MODE.two_planes'] else 4}w{8 if d['MODE.wide_weights'] else 4}"
    return f"a{8 if d['MODE.two_planes'] else 4}" if d["MODE.codes"] else ""


def _options(d: Descriptor) -> str:
    """Everything else that is switched on."""
    if d.kind not in (Kind.CONV, Kind.MAP):
        return ""
    found = [flag for flag in FLAGS if d[f"{'CONTROL' if flag == 'prefetch' else 'MODE'}.{flag}"]]
    if d.kind == Kind.MAP:
        return " ".join(["codes" if d["MODE.codes"] else Resample(d["MODE.resample"]).name.lower(), *found])
    output = Output(d["MODE.output"])
    return " ".join([*found, *([] if output == Output.INT16 else [f"to {output.name}"])])
