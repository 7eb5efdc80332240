"""Kernels of several results against NumPy in float64: elements and sums that read the same, over rows, columns and both, of
sizes that fill no vector, in both precisions; the same bits on every number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from harness import compile_text, run_program

TYPES = {"float": (np.float32, 2e-6), "double": (np.float64, 1e-14)}
SIZES = [(1, 1), (5, 7), (64, 32), (33, 130), (700, 67), (3, 1000), (0, 8)]

# body, and each result
ELEMENTS = (
    "n = Mul(m, g); w = Add(n, x); r = Abs(w); s = Sqrt(r); q = Sub(x, s); b = Greater(g, x); z = Exp(q); y = Mul(z, g)",
    {
        "w": lambda x, g, m: m * g + x,
        "q": lambda x, g, m: x - np.sqrt(abs(m * g + x)),
        "b": lambda x, g, m: g > x,
        "y": lambda x, g, m: np.exp(x - np.sqrt(abs(m * g + x))) * g,
    },
)
# One operation on one tensor: repeated at each use, in reductions, transposed, and beside other elements.
REPEATED = (
    "c = Mul(x, m); u = Transpose(c); a = Constant<value = int64[1] {1}>(); s = ReduceSum<keepdims = 0>(c, a); e = Exp(c);"
    "y = Add(e, g); d = Mul(c, g)",
    {
        "u": lambda x, g, m: (x * m).T,
        "s": lambda x, g, m: (x * m).sum(1),
        "y": lambda x, g, m: np.exp(x * m) + g,
        "d": lambda x, g, m: x * m * g,
    },
)


def sums(axes: str):
    """Of three things over the same axes, one of them a mean with something behind it, and the largest."""
    along = tuple(map(int, axes.split(",")))
    size = len(along)
    return (
        f"a = Constant<value = int64[{size}] {{{axes}}}>(); u = ReduceSum<keepdims = 0>(g, a); p = Mul(g, x);"
        "k = ReduceMean<keepdims = 0>(p, a); v = Abs(k); w = ReduceSum<keepdims = 0>(x, a); t = ReduceMax<keepdims = 0>(g, a)",
        {
            "u": lambda x, g, m: g.sum(along),
            "v": lambda x, g, m: abs((g * x).mean(along)),
            "w": lambda x, g, m: x.sum(along),
            "t": lambda x, g, m: g.max(along),
        },
    )


BODIES = {"elements": ELEMENTS, "repeated": REPEATED, "rows": sums("1"), "columns": sums("0"), "all": sums("0,1")}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", BODIES)
def test_joined_kernels(tmp_path, name, kind):
    body, results = BODIES[name]
    dtype, limit = TYPES[kind]
    ranks = {"s": 1} if name == "repeated" else {result: 0 if name == "all" else 1 for result in "uvwt"}
    ranks = {} if name == "elements" else ranks
    letters = iter("ABCDEFGHIJ")
    shape = {0: "", 1: "[P]", 2: "[N,K]"}
    outputs = ", ".join(
        f"{'bool' if result == 'b' else kind}{shape[ranks.get(result, 2)].replace('P', next(letters))} {result}"
        for result in results
    ).replace(f"{kind}[N,K] u", f"{kind}[K,N] u")
    program = compile_text(str(tmp_path), f"{kind}[N,K] x, {kind}[N,K] g, {kind}[K] m => {outputs}", body, opset=18)
    rng = np.random.default_rng(5)
    for n, k in SIZES:
        if n == 0 and name in ("columns", "all"):
            continue  # the largest of nothing
        arrays = {
            key: rng.standard_normal(dims).astype(dtype) for key, dims in {"x": (n, k), "g": (n, k), "m": (k,)}.items()
        }
        found = []
        for threads in ("1", "3"):
            run = run_program(program, arrays, str(tmp_path / f"out{threads}"), "--threads", threads)
            assert run.code == 0, run.stderr
            found.append({result: np.load(tmp_path / f"out{threads}" / f"{result}.npy") for result in results})
        exact = [arrays[key].astype(np.float64) for key in ("x", "g", "m")]
        # Sums of numbers of both signs are exact to a part of what is summed.
        scale = n * k if name == "all" else max(n, k)
        with np.errstate(invalid="ignore", divide="ignore"):
            for result, value in results.items():
                assert found[0][result].tobytes() == found[1][result].tobytes(), (n, k, result)
                expected = value(*exact)
                bound = limit * (np.sqrt(scale) if result in ranks or name == "all" else 1)
                np.testing.assert_allclose(
                    found[0][result], expected, rtol=limit * 8, atol=bound * 8, err_msg=f"{n} {k} {result}"
                )
