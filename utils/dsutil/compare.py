"""Compares results with a reference."""

from __future__ import annotations

import numpy as np


def error_of_scale(result: np.ndarray, reference: np.ndarray) -> float:
    """The largest |result - reference| as a share of the largest |reference|. Integers and booleans are equal (0) or not
    (infinity); so are shapes, types and the places of NaN and of each infinity."""
    if result.shape != reference.shape or result.dtype != reference.dtype:
        return float("inf")
    if reference.size == 0:
        return 0.0
    if reference.dtype.kind not in "fV" or (reference.dtype.kind == "V" and reference.dtype.names):
        return 0.0 if np.array_equal(result, reference) else float("inf")
    a = result.astype(np.float64)
    b = reference.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(finite, np.isfinite(a)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    a, b = a[finite], b[finite]
    if a.size == 0:
        return 0.0
    difference = float(np.max(np.abs(a - b)))
    if difference == 0.0:
        return 0.0
    scale = float(np.max(np.abs(b)))
    return difference / scale if scale > 0 else float("inf")


def quanta(result: np.ndarray, reference: np.ndarray, tolerance: float) -> tuple[float, bool]:
    """Of an output of a quantized model: the share of elements that are off by a quantum, and whether all others agree. A
    quantum is one for integers; for floats, 1/127 of the largest |reference|, the step of an int8 of that range. Where a
    value lies half between two numbers, which of them it is quantized to is a matter of its last bit."""
    if result.shape != reference.shape or result.dtype != reference.dtype:
        return 1.0, False
    if reference.size == 0:
        return 0.0, True
    a, b = result.astype(np.float64), reference.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    if reference.dtype.kind in "iu":
        exact, quantum = 0.0, 1.0
    elif reference.dtype.kind in "fV":
        scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0))
        exact, quantum = tolerance * scale, scale / 127
    else:
        return float(np.mean(a != b)), bool(np.array_equal(a, b))
    return float(np.mean(difference > exact)), bool(np.all(difference <= max(exact, quantum)))


def error_of_elements(result: np.ndarray, reference: np.ndarray, floor: float = 1e-3) -> float:
    """The largest |result - reference| / |reference| of any element; elements below `floor` of the largest count as that
    large, as they may be what is left of a sum. Compared with `error_of_scale`, small elements cannot hide behind one large."""
    overall = error_of_scale(result, reference)
    if overall in (0.0, float("inf")) or result.dtype.kind not in "fV":
        return overall
    a, b = result.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(b)
    a, b = a[finite], b[finite]
    size = np.abs(b)
    return float(np.max(np.abs(a - b) / np.maximum(size, floor * size.max())))


def ulps(result: np.ndarray, exact: np.ndarray) -> float:
    """The largest distance from `exact` (float64), in units of the last place of the result's type at that value. Infinity
    where NaN, infinities or shapes differ; what is too large for the type must be infinite, or the largest number."""
    if result.shape != exact.shape:
        return float("inf")
    info = np.finfo(result.dtype)
    a = result.astype(np.float64)
    with np.errstate(over="ignore"):
        rounded = exact.astype(result.dtype).astype(np.float64)
    finite = np.isfinite(rounded)
    near = ~finite & np.isfinite(a) & (np.abs(a) >= float(info.max) * (1 - 1e-6)) & (np.sign(a) == np.sign(rounded))
    if not np.array_equal(a[~finite & ~near], rounded[~finite & ~near], equal_nan=True):
        return float("inf")
    if not np.isfinite(a[finite]).all() or not finite.any():
        return 0.0 if not finite.any() else float("inf")
    a, b = a[finite], exact[finite]
    exponent = np.floor(np.log2(np.maximum(np.abs(b), float(info.smallest_normal))))
    unit = 2.0 ** (exponent - info.nmant)
    return float(np.max(np.abs(a - b) / unit))
