"""Test vectors as files: npz, hex text for $readmemh, and a README of their format."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from sqdm.errors import UserError
from sqdm.golden.vectors import Vectors

README = """# Test vectors of one convolution

Layer `{name}`: activations (N, C, H, W) = {acts}, {act_bits} bit, {low}..{high}; weights {weight_axes} = {weights},
{weight_bits} bit; stride 1, zero padding {padding}.

`vectors.npz` (numpy): `acts` {acts_type} (N, C, H, W), `weights` int8 {weight_axes},
`psum` int32 (N, K, H, W){npz_requant}.

The same tensors as text for $readmemh, one number a line, two's complement, most significant digit first:

| file | numbers | digits | order, slowest index first |
|---|---|---|---|
| `acts.hex` | {n_acts} | {act_digits} | input channel, image, row, column |
| `weights.hex` | {n_weights} | {weight_digits} | {weight_order} |
| `psum.hex` | {n_psum} | 8 | output channel, image, row, column |
{hex_requant}
Channel-last: everything that belongs to one channel is one contiguous run.

psum[n,k,y,x] = sum over c, r, s of acts[n,c,y+r-{padding},x+s-{padding}] * weights[{n}k,c,r,s], zero outside the image.
{formula}"""

README_REQUANT = """| `multiplier.hex` | {k} | 4 | output channel |
| `bias.hex` | {k} | 4 | output channel |
| `expected.hex` | {n_psum} | 4 | output channel, image, row, column |
"""
FORMULA = """
expected = {clamp}sat16(((psum * multiplier[k] + {rounding}) >> {shift}) + bias[k]){clamp_end}: arithmetic shift,
saturated to -32768..32767 once at the end{then}.
"""


def channel_slowest(tensor: np.ndarray) -> np.ndarray:
    """(N, C, H, W) to (C, N, H, W), (K, C, R, S) to (C, K, R, S), (N, K, C, 1, 1) to (N, C, K, 1, 1)."""
    return tensor.swapaxes(-4, -3)


def hex_text(values: np.ndarray, digits: int) -> str:
    """One number a line, two's complement in ``digits`` hexadecimal digits, in the array's C order."""
    mask = (1 << 4 * digits) - 1
    return "".join(f"{int(v) & mask:0{digits}x}\n" for v in values.reshape(-1))


def write_vectors(vectors: Vectors, out_dir: str | Path) -> list[Path]:
    """Write operands, sums and results to ``out_dir``: npz, hex and a README of the format.

    The folder appears complete or not at all. Returns the files. Raises UserError when ``out_dir`` holds something
    already or cannot be written.
    """
    psum, expected, stage = vectors.psum(), vectors.expected(), vectors.requant
    arrays = {"acts": vectors.acts, "weights": vectors.weights, "psum": psum}
    text = {
        "acts.hex": hex_text(channel_slowest(vectors.acts), vectors.act.bits // 4),
        "weights.hex": hex_text(channel_slowest(vectors.weights), vectors.weight_bits // 4),
        "psum.hex": hex_text(channel_slowest(psum), 8),
    }
    if stage is not None:
        arrays |= {"multiplier": stage.multiplier, "shift": stage.shift, "bias": stage.bias, "expected": expected}
        text["multiplier.hex"] = hex_text(stage.multiplier, 4)
        text["bias.hex"] = hex_text(stage.bias, 4)
        text["expected.hex"] = hex_text(channel_slowest(expected), 4)
    text["README.md"] = describe(vectors)
    return write_folder(Path(out_dir), arrays, text)


def describe(vectors: Vectors) -> str:
    """The README of the files."""
    images, _, height, width = vectors.acts.shape
    sizes = {"n_acts": vectors.acts.size, "n_weights": vectors.weights.size, "k": vectors.out_channels}
    sizes["n_psum"] = images * vectors.out_channels * height * width
    stage = vectors.requant
    own = vectors.image_weights
    return README.format(
        name=vectors.name,
        acts=vectors.acts.shape,
        act_bits=vectors.act.bits,
        low=vectors.act.low,
        high=vectors.act.high,
        acts_type=vectors.acts.dtype,
        act_digits=vectors.act.bits // 4,
        weights=vectors.weights.shape,
        weight_axes="(N, K, C, R, R)" if own else "(K, C, R, R)",
        weight_bits=vectors.weight_bits,
        weight_digits=vectors.weight_bits // 4,
        weight_order=("image, " if own else "") + "input channel, output channel, kernel row, kernel column",
        n="n," if own else "",
        padding=vectors.weights.shape[-1] // 2,
        npz_requant="" if stage is None else ", `multiplier` uint16 (K,), `shift`, `bias` int16 (K,), `expected` int16",
        hex_requant="" if stage is None else README_REQUANT.format(**sizes),
        formula=_formula(vectors),
        **sizes,
    )


def _formula(vectors: Vectors) -> str:
    """What `expected` is."""
    if vectors.requant is None:
        return ""
    clamp = ("clamp(", ", -119, 119)", ", then clamped to 8-bit codes") if vectors.clamp else ("", "", "")
    shift = vectors.requant.shift
    rounding = 0 if shift == 0 else 1 << (shift - 1)
    return FORMULA.format(rounding=rounding, shift=shift, clamp=clamp[0], clamp_end=clamp[1], then=clamp[2])


def write_folder(out: Path, arrays: dict[str, np.ndarray], text: dict[str, str]) -> list[Path]:
    """Write ``vectors.npz`` and text files to a temporary folder beside ``out`` and rename it into place."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"output folder must be new or empty, not {str(out)!r}")
    temporary = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        np.savez_compressed(temporary / "vectors.npz", **arrays)
        for name, content in text.items():
            (temporary / name).write_text(content)
        temporary.chmod(0o777 & ~_umask())
        os.replace(temporary, out)
    except OSError as error:
        raise UserError(f"output folder {str(out)!r} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return [out / name for name in ("vectors.npz", *text)]


def _umask() -> int:
    """The process's umask, which mkdtemp's private mode ignores."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
