"""Work that is near-linear in the model: graphs on which anything else does not end compile, and run right.

The limit is no measure of speed. Each takes a second or two; an analysis that is exponential, or cubic, takes hours.
"""

import os

import numpy as np
import onnx
import pytest
from harness import compile_text, reference_outputs, run_program

from dsutil import hardgraphs, tools

LIMIT = 30


# Refused at once, with a message: each Slice names the size of the Concat before it twice, and such an expression is not
# computed by the run instead.
TOO_COMPLEX = {"concats_5000"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(strict=True)) if name in TOO_COMPLEX else name
        for name in hardgraphs.GRAPHS
    ],
)
def test_hard_graph(name, tmp_path):
    graph = hardgraphs.GRAPHS[name]()
    path, program = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model")
    onnx.save(graph.model, path)
    compiled = tools.compile_model(path, program, timeout=LIMIT)
    assert compiled.code == 0, compiled.message()
    assert compiled.peak_bytes < 2**30
    for number, feed in enumerate(graph.feeds):
        folder = os.path.join(tmp_path, f"run{number}")
        result = run_program(program, feed, folder)
        assert result.code == 0, result.stderr
        expected = reference_outputs("onnxruntime", graph.model, feed)
        for output, want in zip(graph.model.graph.output, expected, strict=True):
            got = np.load(os.path.join(folder, tools.output_file(output.name)))
            assert got.shape == want.shape
            assert np.allclose(got, want, rtol=1e-4, atol=1e-5)


def test_size_that_overflows_when_run(tmp_path):
    """N^4 elements of a tensor without any (P is 0), and of one that nobody could hold: an error, never a small number."""
    program = compile_text(
        str(tmp_path),
        "float[N] x => int64[1] y",
        "n = Shape(x); a = Mul(n, n); b = Mul(a, a); c = Mul(b, b); t = ConstantOfShape(c); s = Shape(t); y = Identity(s)",
        opset=17,
    )
    small = run_program(program, {"x": np.ones(3, np.float32)}, os.path.join(tmp_path, "small"))
    assert small.code == 0, small.stderr
    assert np.load(os.path.join(tmp_path, "small", "y.npy"))[0] == 3**8
    large = run_program(program, {"x": np.ones(1000, np.float32)}, os.path.join(tmp_path, "large"))
    assert large.code == 1, (large.code, large.stderr)
    assert "too large" in large.stderr


def test_size_that_overflows_when_compiled(tmp_path):
    """The same with sizes that are known: the message names the node."""
    path = os.path.join(tmp_path, "model.onnx")
    nodes = [
        onnx.helper.make_node("Concat", ["x"] * 2, ["x1"], axis=0, name="join0"),
        *(onnx.helper.make_node("Concat", [f"x{i}"] * 2, [f"x{i + 1}"], axis=0, name=f"join{i}") for i in range(1, 70)),
    ]
    model = hardgraphs.model(nodes, [hardgraphs.value("x", ["N", 1])], [hardgraphs.value("x70", ["K", 1])])
    onnx.save(model, path)
    result = tools.compile_model(path, os.path.join(tmp_path, "model"), timeout=LIMIT)
    assert result.code == 1, (result.code, result.stderr)
    assert "join" in result.stderr and "size" in result.stderr
    assert len(result.stderr.splitlines()) == 1
