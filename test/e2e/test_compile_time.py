"""Work that is near-linear in the model: graphs on which anything else does not end compile, and run right.

The limit is no measure of speed. Each takes a second or two; an analysis that is exponential, or cubic, takes hours.
"""

import os

import numpy as np
import onnx
import pytest
from harness import compile_text, reference_outputs, run_program

from dsutil import hardgraphs, tools

LIMIT = 60


@pytest.mark.parametrize("name", hardgraphs.GRAPHS)
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


@pytest.mark.parametrize("operator, want", [("Div", 2), ("Mod", 1)])
def test_size_that_divides_by_zero(operator, want, tmp_path):
    """An error that names the node; a program without such a size does not mind a dim of 0."""
    program = compile_text(
        str(tmp_path),
        "float[N,S] x => float[n] y, float[N,S] z",
        f"a = Shape<start=0, end=1>(x); b = Shape<start=1, end=2>(x); q = {operator}(a, b); y = ConstantOfShape(q); z = Neg(x)",
        opset=17,
    )
    good = run_program(program, {"x": np.ones((7, 3), np.float32)}, os.path.join(tmp_path, "good"))
    assert good.code == 0, good.stderr
    assert np.load(os.path.join(tmp_path, "good", "y.npy")).shape == (want,)
    bad = run_program(program, {"x": np.ones((7, 0), np.float32)}, os.path.join(tmp_path, "bad"))
    assert bad.code == 1, (bad.code, bad.stderr)
    assert f"({operator})" in bad.stderr or "(ConstantOfShape)" in bad.stderr
    assert "dividing by S, which is 0" in bad.stderr and len(bad.stderr.splitlines()) == 1


def test_a_size_that_no_product_holds_is_not_hidden_by_a_name(tmp_path):
    """A long size gets a name; what is too large stays an error, whatever it is called."""
    nodes = [join(f"x{k}", f"x{k + 1}", k) for k in range(70)]
    model = hardgraphs.model(
        nodes, [hardgraphs.value("x0", ["N", 1]), hardgraphs.value("w", ["M", 1])], [hardgraphs.value("x70", ["K", 1])]
    )
    path, program = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model")
    onnx.save(model, path)
    compiled = tools.compile_model(path, program, timeout=LIMIT)
    if compiled.code == 0:
        feed = {"x0": np.ones((1, 1), np.float32), "w": np.ones((1, 1), np.float32)}
        compiled = run_program(program, feed, os.path.join(tmp_path, "run"))
    assert compiled.code == 1, (compiled.code, compiled.stderr)
    assert "too large" in compiled.stderr and len(compiled.stderr.splitlines()) == 1


def join(x: str, y: str, number: int) -> onnx.NodeProto:
    return onnx.helper.make_node("Concat", [x, x, "w"], [y], axis=0, name=f"join{number}")


def test_sizes_stay_short(tmp_path):
    """However long the model is: what is said of a size is bounded (LongSizes.cpp), and a node names few."""
    nodes = hardgraphs.concats(0, 200, "x0")
    model = hardgraphs.model(
        nodes, [hardgraphs.value("x0", ["N", 2])], [hardgraphs.value("x200", ["K", 2])], hardgraphs.SLICE
    )
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(model, path)
    text = tools.run([tools.tool("ds-compile"), path, "--stop-after=simplify"], timeout=LIMIT).stdout
    named = [line for line in text.splitlines() if "ds.define" in line]
    assert 0 < len(named) <= len(nodes) // 2
    assert max(map(len, text.splitlines())) < 8 * 512


def test_versions_of_a_model_with_named_sizes(tmp_path):
    """A version has names of its own: they are defined by the sizes that it is for."""
    nodes = hardgraphs.concats(0, 30, "x0")
    model = hardgraphs.model(
        nodes, [hardgraphs.value("x0", ["N", 2])], [hardgraphs.value("x30", ["K", 2])], hardgraphs.SLICE
    )
    path, program = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model")
    onnx.save(model, path)
    compiled = tools.compile_model(path, program, "--specialize", "N=4", timeout=LIMIT)
    assert compiled.code == 0, compiled.message()
    for size in (4, 1, 9, 0):
        feed = {"x0": np.arange(2 * size, dtype=np.float32).reshape(size, 2)}
        folder = os.path.join(tmp_path, str(size))
        result = run_program(program, feed, folder)
        assert result.code == 0, result.stderr
        (want,) = reference_outputs("onnxruntime", model, feed)
        assert np.array_equal(np.load(os.path.join(folder, "x30.npy")), want)
