"""Strict reading of the .npy files that users bring."""

from pathlib import Path

import numpy as np

from sqdm.errors import UserError


def load_npy(path: Path, label: str) -> np.ndarray:
    """The array of a .npy file. Pickles, archives and anything unreadable raise `UserError`."""
    try:
        with open(path, "rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise UserError(f"{label} must be a .npy file, and {str(path)!r} is not")
            file.seek(0)
            return np.load(file, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{label} {str(path)!r} cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"{label} {str(path)!r} cannot be read: {error}") from None


def require(
    array: np.ndarray, label: str, dtype: type, dimensions: tuple[str, ...], low: int, high: int
) -> dict[str, int]:
    """Check type, rank and range; returns the sizes by dimension name. Raises `UserError` naming the broken rule."""
    wanted = f"{np.dtype(dtype).name} ({', '.join(dimensions)}) in {low}..{high}"
    if array.dtype != np.dtype(dtype):
        nan = " with NaN" if array.dtype.kind == "f" and np.isnan(array).any() else ""
        raise UserError(f"{label} must be {wanted}, not {array.dtype}{nan}")
    if array.ndim != len(dimensions):
        raise UserError(f"{label} must be {wanted}, not of shape {array.shape}")
    if 0 in array.shape:
        raise UserError(f"{label} must not be empty, not of shape {array.shape}")
    if array.min() < low or array.max() > high:
        value = int(array.min()) if array.min() < low else int(array.max())
        raise UserError(f"{label} must be {wanted}, but one value is {value}")
    return dict(zip(dimensions, array.shape, strict=True))
