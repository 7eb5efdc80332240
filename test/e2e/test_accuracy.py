"""How exact results are, element by element, against the same operator in float64.

The other tests measure an error against the largest element of its tensor; here each element counts for itself: functions of
one element in units of the last place (ulp) over all magnitudes, sums against the sum of their terms' magnitudes."""

from __future__ import annotations

import math
import os

import harness
import numpy as np
import onnx
import pytest

from dsutil import runtime, tools
from dsutil.compare import ulps

EPSILON = float(np.finfo(np.float32).eps)


def program(folder: str, signature: str, body: str, opset: int = 20) -> str:
    path = os.path.join(folder, "model.onnx")
    onnx.save(harness.text_model(signature, body, opset), path)
    library = os.path.join(folder, "model.so")
    compiled = tools.compile_model(path, library, "--emit=library", timeout=300)
    assert compiled.code == 0, compiled.stderr
    return library


def run(library: str, *arrays: np.ndarray) -> np.ndarray:
    with runtime.Model(library) as model:
        return model.run(list(arrays))[0]


def magnitudes(low: float, high: float) -> np.ndarray:
    """Both signs, logarithmically from 2^low to 2^high, and the special numbers."""
    rng = np.random.default_rng(3)
    x = np.exp2(rng.uniform(low, high, 20011)).astype(np.float32)
    special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e-45, -1e-38], np.float32)
    return np.concatenate([x, -x, special])


erf = np.vectorize(math.erf, otypes=[np.float64])

# Operator, the function in float64, powers of two of the magnitudes, and the most ulp; what comes out of two roundings in
# its definition (1/(1+exp(-x)), x*tanh(...)) has a few more.
FUNCTIONS = [
    ("Exp", np.exp, (-30, 7), 2),
    ("Log", np.log, (-100, 100), 2),
    ("Sqrt", np.sqrt, (-100, 100), 0.5),
    ("Reciprocal", lambda x: 1 / x, (-100, 100), 0.5),
    ("Tanh", np.tanh, (-20, 5), 4),
    ("Sigmoid", lambda x: 1 / (1 + np.exp(-x)), (-20, 6), 4),
    ("Sin", np.sin, (-20, 10), 4),
    ("Cos", np.cos, (-20, 10), 4),
    ("Atan", np.arctan, (-20, 20), 4),
    ("Erf", erf, (-20, 4), 4),
    ("Softplus", lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0), (-20, 6), 4),
    ("Neg", lambda x: -x, (-100, 100), 0),
    ("Abs", np.abs, (-100, 100), 0),
]


@pytest.mark.parametrize("op, function, powers, limit", FUNCTIONS, ids=[row[0] for row in FUNCTIONS])
def test_functions_in_units_of_the_last_place(op, function, powers, limit, tmp_path):
    library = program(str(tmp_path), "float[N] x => float[N] y", f"y = {op}(x)")
    x = magnitudes(*powers)
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
        # What is below the normal numbers may be rounded there, or flushed by no one: absolute error of the last place.
        assert ulps(run(library, x), exact) <= limit


@pytest.mark.parametrize("k", [1, 7, 64, 1000])
def test_products_against_the_magnitudes_of_their_terms(k, tmp_path):
    library = program(str(tmp_path), "float[M,K] a, float[K,N] b => float[M,N] y", "y = MatMul(a, b)")
    rng = np.random.default_rng(k)
    # Rows and columns of very different magnitudes: the small elements of the result count as much as the large.
    a = (rng.standard_normal((13, k)) * np.exp2(rng.integers(-20, 20, (13, 1)))).astype(np.float32)
    b = (rng.standard_normal((k, 19)) * np.exp2(rng.integers(-20, 20, (1, 19)))).astype(np.float32)
    y = run(library, a, b)
    wide = [v.astype(np.float64) for v in (a, b)]
    bound = (k + 1) * EPSILON * (np.abs(wide[0]) @ np.abs(wide[1]))
    assert (np.abs(y - wide[0] @ wide[1]) <= bound).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_against_the_magnitudes_of_their_terms(axis, tmp_path):
    library = program(
        str(tmp_path),
        "float[M,N] x => float[K] y",
        f"a = Constant<value_ints = [{axis}]>() y = ReduceSum<keepdims = 0>(x, a)",
    )
    rng = np.random.default_rng(axis)
    x = (
        rng.standard_normal((301, 257))
        * np.exp2(rng.integers(-20, 20, (301, 257)[1 - axis]).reshape([[1, -1], [-1, 1]][axis]))
    ).astype(np.float32)
    wide = x.astype(np.float64)
    bound = x.shape[axis] * EPSILON * np.abs(wide).sum(axis)
    assert (np.abs(run(library, x) - wide.sum(axis)) <= bound).all()


def test_softmax_of_each_row_relative_to_each_element(tmp_path):
    library = program(str(tmp_path), "float[M,N] x => float[M,N] y", "y = Softmax<axis = -1>(x)")
    x = (np.random.default_rng(1).standard_normal((33, 97)) * 8).astype(np.float32)
    wide = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    exact = wide / wide.sum(-1, keepdims=True)
    # exp of a difference: its rounding counts as often as the difference is large.
    bound = exact * EPSILON * (8 + np.abs(x - x.max(-1, keepdims=True)))
    assert (np.abs(run(library, x) - exact) <= bound).all()


def test_layer_norm_of_rows_that_differ_in_magnitude(tmp_path):
    signature = "float[M,64] x, float[64] s, float[64] b => float[M,64] y"
    library = program(str(tmp_path), signature, "y = LayerNormalization<axis = -1, epsilon = 1e-30>(x, s, b)")
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((32, 64)) * np.exp2(rng.integers(-16, 16, (32, 1)))).astype(np.float32)
    s, b = rng.standard_normal(64).astype(np.float32), rng.standard_normal(64).astype(np.float32)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    exact = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-30) * s + b
    scale = np.abs(wide).max(-1, keepdims=True) / np.sqrt((centred**2).mean(-1, keepdims=True))
    assert (np.abs(run(library, x, s, b) - exact) <= 16 * EPSILON * (scale * np.abs(s) + np.abs(b))).all()


# Normalizations of what varies by 1 around a large mean: an error is the input's own rounding over its deviation.
NORMALIZATIONS = {
    "MeanVarianceNormalization": ("y = MeanVarianceNormalization<axes = [0, 2]>(x)", (0, 2), 0.0),
    "InstanceNormalization": ("y = InstanceNormalization<epsilon = 1e-5>(x, one, zero)", (2,), 1e-5),
    "LayerNormalization": ("y = LayerNormalization<axis = 2, epsilon = 1e-5>(x, ones)", (2,), 1e-5),
}


@pytest.mark.parametrize("op", NORMALIZATIONS)
@pytest.mark.parametrize("mean", [0, 100, 10000])
def test_normalizations_around_a_large_mean(op, mean, tmp_path):
    body, axes, epsilon = NORMALIZATIONS[op]
    constants = """one = Constant<value = float[3] {1, 1, 1}>() zero = Constant<value = float[3] {0, 0, 0}>()
      shape = Constant<value = int64[1] {70}>() ones = ConstantOfShape<value = float[1] {1}>(shape) """
    library = program(tmp_path, "float[N, 3, 70] x => float[N, 3, 70] y", constants + body, opset=17)
    x = (np.random.default_rng(4).standard_normal((4, 3, 70)) + mean).astype(np.float32)
    wide = x.astype(np.float64)
    centered = wide - wide.mean(axes, keepdims=True)
    expected = centered / np.sqrt((centered**2).mean(axes, keepdims=True) + epsilon)
    assert np.abs(run(library, x) - expected).max() <= 8 * EPSILON * max(mean, 1)
    flat = run(library, np.full((2, 3, 70), 113.3, np.float32))
    assert np.all(np.isfinite(flat)), "a deviation of 0"
