"""Graphs of thousands of nodes, and such as lead to a value on many paths: work must grow with nodes, not with paths."""

import os

import numpy as np
import onnx
from harness import run_program
from onnx import helper, numpy_helper

from dsutil import tools
from dsutil.compare import error_of_scale

# No limit on speed: what goes through every path would not end within years, and what is quadratic not within hours.
COMPILE_SECONDS = 120


def check(folder, nodes, expected, weights=(), shape=("N",), x=None):
    """Compiles nodes that compute `y` from `x`, and compares with what NumPy computed in float64."""
    folder = str(folder)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op, inputs, outputs, **attributes) for op, inputs, outputs, attributes in nodes],
        "deep",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights],
    )
    path = os.path.join(folder, "model.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    program = os.path.join(folder, "model")
    result = tools.compile_model(path, program, timeout=COMPILE_SECONDS)
    assert result.code == 0, result.stderr
    run = run_program(program, {"x": x}, os.path.join(folder, "run"))
    assert run.code == 0, run.stderr
    found = np.load(os.path.join(folder, "run", tools.output_file("y")))
    assert found.shape == expected.shape
    assert error_of_scale(found, expected.astype(np.float32)) <= 1e-4


X = np.linspace(0.25, 0.75, 21).astype(np.float32)


def named(index, last):
    return "x" if index == 0 else "y" if index == last else f"t{index}"


def test_chain(tmp_path):
    count, nodes, value = 5000, [], X.astype(np.float64)
    steps = [("Sqrt", np.sqrt), ("Neg", np.negative), ("Exp", np.exp), ("Tanh", np.tanh), ("Abs", np.abs)]
    for i in range(count):
        op, compute = steps[i % len(steps)]
        nodes.append((op, [named(i, count)], [named(i + 1, count)], {}))
        value = compute(value)
    check(tmp_path, nodes, value, x=X)


def test_squares(tmp_path):
    count, value = 40, np.array([1, -1, 0.5, 1 - 2**-24], np.float32)
    nodes = [("Mul", [named(i, count)] * 2, [named(i + 1, count)], {}) for i in range(count)]
    expected = value.astype(np.float64)
    for _ in range(count):
        expected = expected * expected
    check(tmp_path, nodes, expected, x=value)


def test_each_value_is_used_twice(tmp_path):
    count, nodes, value = 5000, [], X.astype(np.float64)
    for i in range(count):
        source, result = named(i, count), named(i + 1, count)
        if i % 2 == 0:
            nodes.append(("Add", [source, source], [result], {}))
            value = value + value
        else:
            nodes.append(("Div", ["one", source], [result], {}))
            value = 1 / value
    check(tmp_path, nodes, value, [("one", np.float32(1))], x=X)


def test_values_used_by_some_of_the_next(tmp_path):
    count, nodes, values = 5000, [], [X.astype(np.float64)]
    rng = np.random.default_rng(3)
    for i in range(count):
        other = int(rng.integers(max(0, i - 20), i + 1))
        op, compute = [("Sub", np.subtract), ("Max", np.maximum), ("Min", np.minimum)][i % 3]
        nodes.append((op, [named(i, count), named(other, count)], [named(i + 1, count)], {}))
        values.append(compute(values[i], values[other]))
    check(tmp_path, nodes, values[-1], x=X)


def test_tree(tmp_path):
    """Leaves first, then sums of pairs: no op of the middle halves it."""
    leaves = 2500
    level = [f"l{i}" for i in range(leaves)]
    weights = [(f"c{i}", np.float32(i % 17 - 8)) for i in range(leaves)]
    nodes = [("Mul", ["x", f"c{i}"], [f"l{i}"], {}) for i in range(leaves)]
    while len(level) > 1:
        pairs = [(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        rest = level[2 * len(pairs) :]
        names = [f"{a}_" if len(level) > 2 else "y" for a, _ in pairs]
        nodes += [("Add", [a, b], [name], {}) for (a, b), name in zip(pairs, names)]
        level = names + rest
    check(tmp_path, nodes, X.astype(np.float64) * sum(i % 17 - 8 for i in range(leaves)), weights, x=X)


def test_expansions_of_sums_of_neighbours(tmp_path):
    """Each sum reads the expansion before it at two positions: 2^16 of the first one."""
    levels, length, nodes = 16, 40, []
    x = np.exp(-(np.linspace(-2, 2, length) ** 2)).astype(np.float32)
    weights = [("m1", np.array([-1], np.int64)), ("0", np.array([0], np.int64)), ("1", np.array([1], np.int64))]
    weights += [("big", np.array([1000], np.int64))]
    for i in range(levels):
        source, rank = named(i, levels), i + 1
        weights.append((f"s{i}", np.array([1] * (rank + 1), np.int64)))
        nodes.append(("Expand", [source, f"s{i}"], [f"e{i}"], {}))
        weights.append((f"a{i}", np.array([rank], np.int64)))
        nodes.append(("Slice", [f"e{i}", "0", "m1", f"a{i}"], [f"p{i}"], {}))
        nodes.append(("Slice", [f"e{i}", "1", "big", f"a{i}"], [f"q{i}"], {}))
        nodes.append(("Add", [f"p{i}", f"q{i}"], [named(i + 1, levels)], {}))
    expected = x.astype(np.float64)
    for _ in range(levels):
        expected = (expected[..., :-1] + expected[..., 1:])[None]
    check(tmp_path, nodes, expected, weights, shape=(length,), x=x)
