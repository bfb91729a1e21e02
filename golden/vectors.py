"""Test vectors: a convolution of the shipped model or a random one, with the golden result, as npz and hex files."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sqdm.errors import UserError
from sqdm.golden import layers, sampler
from sqdm.golden.engine import ConvJob, GoldenEngine, Requant
from sqdm.golden.integer import IntegerUNet
from sqdm.golden.model_file import Model
from sqdm.golden.sample import check_labels, check_seed, check_steps

README = """# Test vectors of one convolution

Layer `{name}`, {bits} bit: activations (N, C, H, W) = {acts}, weights (K, C, R, R) = {weights}, stride 1, zero padding
{padding}, activations {signed}.

`vectors.npz` (numpy): `acts` int8 (N, C, H, W), `weights` int8 (K, C, R, R), `psum` int32 (N, K, H, W){npz_requant}.

The same tensors as text for $readmemh, one two's-complement number a line, most significant digit first:

| file | numbers | digits | order, slowest index first |
|---|---|---|---|
| `acts.hex` | {n_acts} | 1 | input channel, image, row, column |
| `weights.hex` | {n_weights} | 1 | input channel, output channel, kernel row, kernel column |
| `psum.hex` | {n_psum} | 8 | output channel, image, row, column |
{hex_requant}
Channel-last: everything that belongs to one channel is one contiguous run.

psum[n,k,y,x] = sum over c, r, s of acts[n,c,y+r-{padding},x+s-{padding}] * weights[k,c,r,s], zero outside the image.
{formula}"""

README_REQUANT = """| `multiplier.hex` | {k} | 4 | output channel |
| `bias.hex` | {k} | 4 | output channel |
| `expected.hex` | {n_psum} | 4 | output channel, image, row, column |
"""
FORMULA = """
expected = sat16(((psum * multiplier[k] + {rounding}) >> {shift}) + bias[k]): arithmetic shift, saturated to
-32768..32767 once at the end.
"""


class _CapturedError(Exception):
    """Ends a sampling run at the job that was wanted."""

    def __init__(self, job: ConvJob):
        super().__init__(job.name)
        self.job = job


def check_layer(name: str) -> str:
    """``name``; UserError with the valid names unless it is a layer of the accelerator."""
    names = [layer.name for layer in layers.layers()]
    if name not in names:
        blocks = ", ".join(sorted({n.rpartition(".")[0] for n in names if "." in n}))
        raise UserError(f"layer must be conv_in, conv_out or one of {{{blocks}}}.conv0 or .conv1, not {name!r}")
    return name


def capture(
    model: Model, layer_name: str, step: int = 0, labels: Sequence[int] = (0,), seed: int = 0, steps: int = 18
) -> ConvJob:
    """The job of ``layer_name`` in the first network evaluation of sampling step ``step`` (from 0).

    The run is that of ``sample`` with the same ``labels``, ``steps`` and ``seed`` on the golden engine. Raises
    UserError for an unknown layer or label and for a step outside 0..steps-1.
    """
    check_layer(layer_name)
    digits, steps, seed = check_labels(labels), check_steps(steps), check_seed(seed)
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step < steps:
        raise UserError(f"step must be an integer in 0..{steps - 1}, not {step!r}")
    reached = 0

    def on_job(job: ConvJob) -> None:
        if job.name == layer_name and reached == 2 * step:
            raise _CapturedError(job)

    def on_evaluation(evaluation: int, _: int) -> None:
        nonlocal reached
        reached = evaluation + 1

    net = IntegerUNet(model.arrays, GoldenEngine(), on_job)
    try:
        sampler.heun(net.denoise, sampler.latents(len(digits), seed), digits, steps, on_evaluation)
    except _CapturedError as found:
        return found.job
    raise AssertionError(f"layer {layer_name} never ran")


def random_job(
    seed: int,
    C: int,
    K: int,
    H: int,
    W: int,
    kernel: int = 3,
    zero_fraction: float = 0.6,
    batch: int = 1,
    signed: bool = False,
    requant: bool = True,
) -> ConvJob:
    """A random 4-bit convolution; about ``zero_fraction`` of its activations are 0, none when that is 0.

    The same arguments give the same job. Multipliers, shift and biases are drawn so that a few outputs saturate.
    Raises UserError for a size below 1, a kernel other than 1 or 3, or a fraction outside 0..1.
    """
    for label, value in (("C", C), ("K", K), ("H", H), ("W", W), ("batch", batch)):
        if value < 1:
            raise UserError(f"{label} must be at least 1, not {value!r}")
    if kernel not in (1, 3):
        raise UserError(f"kernel must be 1 or 3, not {kernel!r}")
    if not 0 <= zero_fraction <= 1:
        raise UserError(f"zero_fraction must be in 0..1, not {zero_fraction!r}")
    draw = np.random.default_rng(check_seed(seed))
    values = np.array([v for v in range(-8, 8) if v] if signed else range(1, 16), dtype=np.int8)
    acts = np.where(draw.random((batch, C, H, W)) < zero_fraction, np.int8(0), draw.choice(values, (batch, C, H, W)))
    weights = draw.integers(-7, 8, (K, C, kernel, kernel)).astype(np.int8)
    stage = None
    if requant:
        spread = 20.0 * np.sqrt(C * kernel * kernel)  # about the deviation of a psum
        shift = int(draw.integers(8, 16))
        multiplier = np.clip(draw.uniform(0.2, 1.5, K) * 12000 * 2.0**shift / spread, 1, 65535).astype(np.uint16)
        stage = Requant(multiplier, shift, draw.integers(-4000, 4001, K).astype(np.int16))
    macs = batch * C * K * kernel * kernel * H * W
    return ConvJob(f"random_{seed}", acts, signed, weights, stage, macs, 4)


def channel_slowest(tensor: np.ndarray) -> np.ndarray:
    """(N, C, H, W) to (C, N, H, W), or (K, C, R, S) to (C, K, R, S): the accelerator's channel-last order."""
    return tensor.transpose(1, 0, 2, 3)


def hex_text(values: np.ndarray, digits: int) -> str:
    """One number a line, two's complement in ``digits`` hexadecimal digits, in the array's C order."""
    mask = (1 << 4 * digits) - 1
    return "".join(f"{int(v) & mask:0{digits}x}\n" for v in values.reshape(-1))


def write_vectors(job: ConvJob, out_dir: str | Path, expected: np.ndarray | None = None) -> list[Path]:
    """Write a job, its psums and its result to ``out_dir``: npz, hex and a README of the format.

    ``expected`` is the int16 result; the golden engine's when None, and ignored for a job without output stage. The
    folder appears complete or not at all. Returns the files. Raises UserError when ``out_dir`` holds something
    already or cannot be written.
    """
    psum = GoldenEngine().conv(ConvJob(job.name, job.acts, job.signed, job.weights, None, job.macs, job.bits))
    arrays = {"acts": job.acts, "weights": job.weights, "psum": psum}
    text = {
        "acts.hex": hex_text(channel_slowest(job.acts), 1),
        "weights.hex": hex_text(channel_slowest(job.weights), 1),
        "psum.hex": hex_text(channel_slowest(psum), 8),
    }
    if job.requant is not None:
        expected = GoldenEngine().conv(job) if expected is None else expected
        stage = job.requant
        arrays |= {"multiplier": stage.multiplier, "shift": stage.shift, "bias": stage.bias, "expected": expected}
        text["multiplier.hex"] = hex_text(stage.multiplier, 4)
        text["bias.hex"] = hex_text(stage.bias, 4)
        text["expected.hex"] = hex_text(channel_slowest(expected), 4)
    text["README.md"] = describe(job)
    return write_folder(Path(out_dir), arrays, text)


def describe(job: ConvJob) -> str:
    """The README of a job's files."""
    sizes = {"n_acts": job.acts.size, "n_weights": job.weights.size, "k": len(job.weights)}
    sizes["n_psum"] = job.acts.shape[0] * len(job.weights) * job.acts.shape[2] * job.acts.shape[3]
    stage = job.requant
    rounding = 0 if stage is None or stage.shift == 0 else 1 << (stage.shift - 1)
    return README.format(
        name=job.name,
        bits=job.bits,
        acts=job.acts.shape,
        weights=job.weights.shape,
        padding=job.weights.shape[2] // 2,
        signed="signed, -8..7" if job.signed else "unsigned, 0..15",
        npz_requant="" if stage is None else ", `multiplier` uint16 (K,), `shift`, `bias` int16 (K,), `expected` int16",
        hex_requant="" if stage is None else README_REQUANT.format(**sizes),
        formula="" if stage is None else FORMULA.format(rounding=rounding, shift=stage.shift),
        **sizes,
    )


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
