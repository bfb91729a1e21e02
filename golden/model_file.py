"""The shipped model: three weight files and a manifest that vouches for them.

    <model>/manifest.json    how it was made, sha256 of each file, quality figures
    <model>/integer.npz      the integer model's arrays; weights of 4-bit layers packed two to a byte
    <model>/float.npz        the float network, float16
    <model>/classifier.npz   the classifier of the quality metric, float32

The files are plain numpy archives without pickled objects, and are read only after their hashes were compared.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from sqdm.errors import UserError
from sqdm.golden import classifier, layers, train
from sqdm.golden.unet import UNet

DEFAULT = Path(__file__).parent / "models" / "digits"
MANIFEST = "manifest.json"
INTEGER, FLOAT, CLASSIFIER = "integer.npz", train.CHECKPOINT, "classifier.npz"
FILES = (INTEGER, FLOAT, CLASSIFIER)
FORMAT = 4
PACKED = "/weights4"


def pack_nibbles(weights: np.ndarray) -> np.ndarray:
    """int8 codes in -8..7, any shape with an even count, to uint8: two to a byte, the first in the low nibble."""
    flat = (weights.reshape(-1).astype(np.int16) & 15).astype(np.uint8)
    return flat[0::2] | (flat[1::2] << 4)


def unpack_nibbles(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of ``pack_nibbles``: int8 of ``shape``."""
    flat = np.empty(2 * packed.size, dtype=np.int8)
    flat[0::2], flat[1::2] = packed & 15, packed >> 4
    return ((flat ^ 8) - 8).reshape(shape)


def save_integer(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write the integer model's arrays; 4-bit weights are packed, with their shape beside."""
    narrow = {f"{layer.name}/weights" for layer in layers.layers() if layer.weight_bits == 4}
    stored = {}
    for name, array in arrays.items():
        if name in narrow:
            layer = name.rpartition("/")[0]
            stored[layer + PACKED] = pack_nibbles(array)
            stored[layer + "/shape"] = np.array(array.shape, dtype=np.int32)
        else:
            stored[name] = array
    np.savez_compressed(path, **stored)


def read_integer(source) -> dict[str, np.ndarray]:
    """The arrays that ``save_integer`` wrote, from a path or an open file."""
    with np.load(source, allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    arrays = {name: a for name, a in stored.items() if not name.endswith((PACKED, "/shape"))}
    for name in stored:
        if name.endswith(PACKED):
            layer = name.removesuffix(PACKED)
            arrays[f"{layer}/weights"] = unpack_nibbles(stored[name], tuple(stored[f"{layer}/shape"]))
    return arrays


def sha256(content: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def write_manifest(directory: Path, record: dict) -> None:
    """Hash the files of ``directory`` and write its manifest with ``record`` (figures, seeds, versions) in it."""
    files = {name: {"sha256": sha256(content), "bytes": len(content)} for name, content in contents(directory)}
    manifest = {"format": FORMAT, "files": files, **record}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def contents(directory: Path):
    """(name, bytes) of each weight file."""
    return [(name, (directory / name).read_bytes()) for name in FILES]


@dataclass(frozen=True)
class Model:
    """A loaded model: ``path``, the parsed ``manifest`` and the verified ``files`` by name."""

    path: Path
    manifest: dict
    files: dict[str, bytes]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The integer model's arrays, for ``IntegerUNet``."""
        return read_integer(io.BytesIO(self.files[INTEGER]))

    @cached_property
    def float_net(self) -> UNet:
        """The float network."""
        return train.load_float(io.BytesIO(self.files[FLOAT]))

    @cached_property
    def classifier(self) -> classifier.Classifier:
        """The classifier of the quality metric."""
        return classifier.load(io.BytesIO(self.files[CLASSIFIER]))


def load_model(path: str | Path | None = None) -> Model:
    """Read and verify a model directory; the shipped one by default.

    Raises UserError when the directory or a file is missing, the manifest is not one, or a file's length or sha256 is
    not the manifest's.
    """
    directory = DEFAULT if path is None else Path(path)
    if not directory.is_dir():
        raise UserError(f"model must be a directory with a {MANIFEST}, not {str(directory)!r}")
    manifest = read_manifest(directory / MANIFEST)
    files = {}
    for name in FILES:
        try:
            files[name] = (directory / name).read_bytes()
        except OSError as error:
            raise UserError(f"model file {str(directory / name)!r} cannot be read: {error.strerror}") from None
        entry = manifest["files"][name]
        if len(files[name]) != entry["bytes"]:
            raise UserError(
                f"model file {str(directory / name)!r} must have {entry['bytes']} bytes, not {len(files[name])}"
            )
        digest = sha256(files[name])
        if digest != entry["sha256"]:
            raise UserError(
                f"model file {str(directory / name)!r} must have sha256 {entry['sha256'][:16]}..., not {digest[:16]}..."
            )
    model = Model(directory, manifest, files)
    try:
        check_complete(model)
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise UserError(f"model {str(directory)!r} must hold the weights of this network: {error}") from None
    return model


def check_complete(model: Model) -> None:
    """Raise KeyError or ValueError unless the archives open and the first and last layers are there."""
    for name in ("conv_in/weights", "conv_out/weights"):
        if model.arrays[name].ndim != 4:
            raise ValueError(f"{name} must have 4 dimensions, not {model.arrays[name].ndim}")
    for layer in layers.layers():
        if model.arrays[f"{layer.name}/nonzeros"].shape != (layer.act.bits // 4, layer.C):
            raise ValueError(f"{layer.name}/nonzeros must be one share per plane and channel")


def read_manifest(path: Path) -> dict:
    """The parsed manifest; UserError when it is missing, not JSON or lacks an entry."""
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"model manifest {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"model manifest {str(path)!r} must be JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"model manifest {str(path)!r} must be an object with format {FORMAT}")
    files = manifest.get("files")
    for name in FILES:
        entry = files.get(name) if isinstance(files, dict) else None
        entry = entry if isinstance(entry, dict) else {}
        if not isinstance(entry.get("sha256"), str) or not isinstance(entry.get("bytes"), int):
            raise UserError(f"model manifest {str(path)!r} must give sha256 and bytes of {name!r}")
    return manifest
