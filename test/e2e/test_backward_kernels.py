"""Kernels of backward passes against NumPy in float64, in both precisions: more channels than a tile has, groups, strides,
dilations, nothing at all; the same bits on every number of threads."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from dsutil import tools

LIMITS = {"f32": 1e-6, "f64": 1e-14}
TYPES = {"f32": np.float32, "f64": np.float64}


def compute(folder: Path, op: str, attributes: str, x: np.ndarray, g: np.ndarray, result: tuple[int, ...], kind: str):
    def tensor(shape):
        return "tensor<" + "".join(f"{size}x" for size in shape) + kind + ">"

    def argument(name, array):
        dims = ", ".join(f'"{size}"' for size in array.shape)
        return f'%{name}: {tensor(array.shape)} {{ds.name = "{name}", ds.shape = #ds.shape<[{dims}]>}}'

    text = f"""func.func @main({argument("x", x)}, {argument("g", g)}) -> ({tensor(result)} {{ds.name = "y"}}) {{
  %0 = ds.{op} %x, %g {{{attributes}}} : ({tensor(x.shape)}, {tensor(g.shape)}) -> {tensor(result)}
  return %0 : {tensor(result)}
}}
"""
    (folder / "kernel.mlir").write_text(text)
    program, inputs = str(folder / "kernel.so"), str(folder / "inputs.npz")
    compiled = tools.compile_model(str(folder / "kernel.mlir"), program, "--emit=library")
    assert compiled.code == 0, compiled.message()
    np.savez(inputs, x=x, g=g)
    outputs = []
    for threads in ("1", "3"):
        command = [tools.tool("ds-run"), program, "--inputs", inputs, "--output-dir", str(folder), "--threads", threads]
        run = tools.run(command, timeout=60)
        assert run.code == 0, run.message()
        outputs.append(np.load(folder / "y.npy"))
    assert np.array_equal(outputs[0], outputs[1], equal_nan=True)
    return outputs[0]


def windows(**values: tuple[int, ...]) -> str:
    return ", ".join(f"{name} = array<i64: {', '.join(map(str, entries))}>" for name, entries in values.items())


# x, output channels, kernel, strides, padding before, dilations, groups
FILTERS = [
    ((2, 3, 9, 8), 7, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 27, 7, 6), 35, (3, 2), (2, 1), (1, 1), (1, 1), 1),
    ((1, 64, 5, 5), 64, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((3, 37, 6, 5), 37, (2, 2), (1, 1), (0, 0), (1, 1), 37),
    ((2, 26, 4, 4), 42, (1, 1), (1, 1), (0, 0), (1, 1), 2),
    ((1, 4, 20, 20), 70, (7, 5), (3, 2), (2, 3), (2, 1), 1),
    ((9, 16, 3, 2), 16, (3, 3), (2, 2), (1, 1), (1, 1), 16),
    ((5, 12, 2, 2), 33, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 130, 3, 150), 3, (2, 3), (1, 1), (1, 2), (1, 2), 1),
    ((0, 5, 4, 4), 6, (2, 2), (1, 1), (0, 0), (1, 1), 1),
]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("case", FILTERS, ids=lambda case: "x".join(map(str, case[0])))
def test_conv_filter_vjp(tmp_path, case, kind):
    shape, outputs, kernel, strides, low, dilations, group = case
    places = [(shape[2 + d] + 2 * low[d] - dilations[d] * (kernel[d] - 1) - 1) // strides[d] + 1 for d in range(2)]
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(TYPES[kind])
    g = rng.standard_normal((shape[0], outputs, *places)).astype(TYPES[kind])
    own, into = outputs // group, shape[1] // group
    expected = np.zeros((outputs, into, *kernel))
    for a, b, p, q in itertools.product(*map(range, (*kernel, *places))):
        i, j = p * strides[0] - low[0] + a * dilations[0], q * strides[1] - low[1] + b * dilations[1]
        if 0 <= i < shape[2] and 0 <= j < shape[3]:
            for k in range(group):
                left = g[:, k * own : (k + 1) * own, p, q].astype(np.float64)
                right = x[:, k * into : (k + 1) * into, i, j].astype(np.float64)
                expected[k * own : (k + 1) * own, :, a, b] += left.T @ right
    attributes = windows(kernel=kernel, strides=strides, pads_low=low, dilations=dilations) + f", group = {group} : i64"
    found = compute(tmp_path, "conv_filter_vjp", attributes, x, g, expected.shape, kind)
    assert np.abs(found - expected).max() <= LIMITS[kind] * max(1.0, np.abs(expected).max())


# x, kernel, strides, padding before and after, dilations, ceil_mode, dims of the pooled
POOLS = [
    ((2, 3, 9, 8), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), False, (5, 4)),
    ((1, 35, 7, 6), (2, 2), (2, 2), (0, 0), (0, 0), (1, 1), True, (4, 3)),
    ((2, 16, 8, 5), (2, 3), (1, 2), (0, 1), (1, 0), (2, 1), False, (7, 2)),
    ((0, 4, 4, 4), (2, 2), (1, 1), (0, 0), (0, 0), (1, 1), False, (3, 3)),
]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("case", POOLS, ids=lambda case: "x".join(map(str, case[0])))
def test_max_pool_vjp(tmp_path, case, kind):
    shape, kernel, strides, low, high, dilations, ceil, pooled = case
    rng = np.random.default_rng(2)
    x = rng.integers(0, 9, shape).astype(TYPES[kind])  # equal ones, of which the first counts
    if x.size:
        x.flat[5] = np.nan
    g = rng.standard_normal((*shape[:2], *pooled)).astype(TYPES[kind])
    expected = np.zeros(shape)
    for n, c, p, q in np.ndindex(*g.shape):
        best = None
        for a, b in np.ndindex(*kernel):
            i, j = p * strides[0] - low[0] + a * dilations[0], q * strides[1] - low[1] + b * dilations[1]
            if 0 <= i < shape[2] and 0 <= j < shape[3]:
                value = x[n, c, i, j]
                if best is None or value > best[0] or (np.isnan(value) and not np.isnan(best[0])):
                    best = (value, i, j)
        if best:
            expected[n, c, best[1], best[2]] += g[n, c, p, q]
    attributes = windows(kernel=kernel, strides=strides, pads_low=low, pads_high=high, dilations=dilations)
    attributes += ", ceil_mode" if ceil else ""
    found = compute(tmp_path, "max_pool_vjp", attributes, x, g, shape, kind)
    assert found.shape == shape
    assert np.abs(found - expected).max(initial=0.0) <= LIMITS[kind] * 10
