"""The Frechet distance between two sets of feature vectors (Heusel et al. 2017), in float64."""

import numpy as np


def root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semi-definite matrix; tiny negative eigenvalues count as 0."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def gaussian_distance(mean0: np.ndarray, cov0: np.ndarray, mean1: np.ndarray, cov1: np.ndarray) -> float:
    """|mean0 - mean1|^2 + tr(cov0 + cov1 - 2 (cov0^1/2 cov1 cov0^1/2)^1/2), never below 0.

    In one dimension this is (mean0 - mean1)^2 + (deviation0 - deviation1)^2.
    """
    half = root(cov0)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(half @ cov1 @ half), 0)).sum()
    distance = ((mean0 - mean1) ** 2).sum() + np.trace(cov0) + np.trace(cov1) - 2 * cross
    return float(max(distance, 0.0))


def frechet(features0: np.ndarray, features1: np.ndarray) -> float:
    """Distance between the Gaussians fitted to two sets of features (N0, D) and (N1, D), N0 and N1 at least 2.

    Raises ValueError when the sets do not have the same D or hold fewer than two vectors.
    """
    if features0.ndim != 2 or features1.ndim != 2 or features0.shape[1] != features1.shape[1]:
        raise ValueError(f"features must be (N, D) with one D, not {features0.shape} and {features1.shape}")
    if min(len(features0), len(features1)) < 2:
        raise ValueError(f"features must have at least 2 rows, not {len(features0)} and {len(features1)}")
    stats = [(f.mean(0), np.atleast_2d(np.cov(f, rowvar=False))) for f in (features0, features1)]
    return gaussian_distance(*stats[0], *stats[1])
