"""Tensors whose rank the run decides, against ONNX Runtime: one artifact for every rank."""

import os

import numpy as np
import onnx
import pytest
from harness import compile_program, reference_outputs, run_program
from deepseek import onnx_backend
from onnx import parser

from dsutil import tools
from dsutil.compare import error_of_scale

RNG = np.random.default_rng(11)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def shapes(*all_of_them):
    """Inputs x, and s with a shape that x can have."""
    return [{"x": floats(int(np.prod(shape))), "s": ints(*shape)} for shape in all_of_them]


GROWS = """g (float[N] x, int64 n) => (float[] y, float z) {
  zero = Constant<value = int64[1] {0}>()
  r = Loop(n, , x) < body = b (int64 i, bool c, float[] s) => (bool d, float[] t) {
    d = Identity(c)
    e = Exp(s)
    f = Tanh(e)
    t = Unsqueeze(f, zero)
  } >
  y = Neg(r)
  z = ReduceSum<keepdims=0>(r)
}"""

# name: graph, and inputs of several runs.
MODELS = {
    "reshape": (
        "g (float[N] x, int64[R] s) => (float[] y) { r = Reshape(x, s) y = Exp(r) }",
        shapes((6,), (2, 3), (1, 2, 3, 1), (2, 1, 3), (0, 3), (1,), ()),
    ),
    "reshape_to_what_is_left": (
        "g (float[N] x, int64[R] s) => (float[] y) { r = Reshape(x, s) y = Exp(r) }",
        [{"x": floats(12), "s": ints(*shape)} for shape in ((-1,), (3, -1), (2, -1, 2))],
    ),
    "lists_of_one_length": (
        """g (float[N] x, int64[R] s) => (float[] y) {
          one = Constant<value = int64 {1}>()
          a = Reshape(x, s)
          t = Add(s, one)
          b = ConstantOfShape(t)
          c = Shape(a)
          d = Expand(a, c)
          e = ReduceMax<keepdims=1>(b)
          y = Add(d, e)
        }""",
        shapes((4,), (2, 2), (1, 3, 2)),
    ),
    "declared_rank": (
        "g (float[N] x, int64[R] s) => (float[A,B] y) { r = Reshape(x, s) y = Exp(r) }",
        shapes((2, 3), (4, 1)),
    ),
    "shape_of_result": (
        """g (float[N] x, int64[R] s) => (int64[Q] y, int64 z, int64[P] w) {
          r = Expand(x, s)  y = Shape(r)  z = Size(r)  w = Shape<start=-2>(r)
        }""",
        [{"x": floats(3), "s": ints(*shape)} for shape in ((3,), (2, 3), (4, 1, 3), (2, 2, 1, 1), (1,))],
    ),
    "reduced_axes": (
        "g (float[A,B,C] x, int64[K] k) => (float[] y) { s = ReduceSum<keepdims=0>(x, k) y = Neg(s) }",
        [{"x": floats(2, 3, 4), "k": ints(*axes)} for axes in ((0,), (1, 2), (-1, 0), (2, 1, 0), ())],
    ),
    "sliced_axes": (
        "g (float[A,B,C] x, int64[K] b, int64[K] e, int64[K] k) => (float[P,Q,R] y) { y = Slice(x, b, e, k) }",
        [
            {"x": floats(4, 5, 6), "b": ints(1), "e": ints(3), "k": ints(2)},
            {"x": floats(4, 5, 6), "b": ints(1, -4), "e": ints(3, 100), "k": ints(2, 0)},
        ],
    ),
    "squeezed_axes": (
        "g (float[A,B,C] x, int64[K] k) => (float[] y) { s = Squeeze(x, k) y = Neg(s) }",
        [
            {"x": floats(1, 3, 1), "k": ints(0)},
            {"x": floats(1, 3, 1), "k": ints(2, 0)},
            {"x": floats(2, 3, 1), "k": ints(-1)},
        ],
    ),
    "indexed_dimensions": (
        """g (float[A,B,C] x, int64[M,K] i) => (float[] y) {
          g = GatherND(x, i)
          y = Neg(g)
        }""",
        [{"x": floats(2, 3, 4), "i": RNG.integers(0, 2, (5, k))} for k in (1, 2, 3)],
    ),
    "two_of_them": (
        """g (float[N] x, int64[R] s, float[M] v, int64[Q] t) => (float[] y) {
          a = Reshape(x, s)  b = Reshape(v, t)  y = Add(a, b)
        }""",
        [
            {"x": floats(6), "s": ints(2, 3), "v": floats(3), "t": ints(3)},
            {"x": floats(3), "s": ints(3), "v": floats(6), "t": ints(2, 1, 3)},
        ],
    ),
    "only_images": (
        """g (float[N] x, int64[R] s, float[2,3,1,1] w) => (float[] y) {
          a = Reshape(x, s)  b = Conv(a, w)  y = Relu(b)
        }""",
        [{"x": floats(24), "s": ints(2, 3, 2, 2), "w": floats(2, 3, 1, 1)}],
    ),
    "loop_that_grows": (GROWS, [{"x": floats(3), "n": np.array(n)} for n in (1, 0, 3, 6)]),
    "loop_that_alternates": (
        """g (float[A,B] x, int64 n) => (float[] y) {
          m = Constant<value = int64[1] {-1}>()
          zero = Constant<value = int64[1] {0}>()
          two = Constant<value = int64 {2}>()
          r = Loop(n, , x) < body = b (int64 i, bool c, float[] s) => (bool d, float[] t) {
            d = Identity(c)
            k = Mod(i, two)
            f = Cast<to=9>(k)
            t = If (f) < then_branch = tt () => (float[] o) { p = Unsqueeze(s, zero) o = Neg(p) },
                         else_branch = te () => (float[] q) { q = Reshape(s, m) } >
          } >
          y = Exp(r)
        }""",
        [{"x": floats(2, 3), "n": np.array(n)} for n in (0, 1, 2, 3)],
    ),
    "rank_in_a_branch": (
        """g (float[N] x, int64[R] s, bool c) => (float[] y) {
          b = If (c) < then_branch = t () => (float[] o) { r = Reshape(x, s) o = Neg(r) },
                       else_branch = e () => (float[] p) { p = Exp(x) } >
          y = Mul(b, b)
        }""",
        [
            {**inputs, "c": np.array(c)}
            for inputs, c in zip(shapes((2, 3), (5,), (4, 2)), (True, False, False), strict=True)
        ],
    ),
}


def compile_graph(graph, folder):
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["": 18]>\n{graph}')
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    compiled = compile_program(path, os.path.join(folder, "model"))
    assert compiled.code == 0, compiled.stderr
    return model


@pytest.mark.parametrize("name", MODELS)
def test_agrees(name, tmp_path):
    graph, runs = MODELS[name]
    model = compile_graph(graph, str(tmp_path))
    for number, arrays in enumerate(runs):
        expected = reference_outputs("onnxruntime", model, arrays)
        folder = os.path.join(tmp_path, f"run{number}")
        result = run_program(os.path.join(tmp_path, "model"), arrays, folder)
        assert result.code == 0, f"run {number}: {result.stderr}"
        for output, reference in zip(model.graph.output, expected, strict=True):
            path = os.path.join(folder, tools.output_file(output.name))
            if os.path.exists(path):
                found = np.load(path)
            else:  # one of any rank
                data, shape = (np.load(os.path.join(folder, f"{output.name}.{part}.npy")) for part in ("data", "shape"))
                found = data.reshape(shape)
            assert found.dtype == reference.dtype
            assert found.shape == reference.shape, f"run {number}: {output.name} {found.shape} {reference.shape}"
            assert error_of_scale(found, reference) <= 1e-5, f"run {number}: {output.name}"


def test_a_rank_that_cannot_be_compiled_says_why(tmp_path):
    compile_graph(MODELS["only_images"][0], str(tmp_path))
    arrays = {"x": floats(24), "s": ints(4, 6), "w": floats(2, 3, 1, 1)}
    result = run_program(os.path.join(tmp_path, "model"), arrays, str(tmp_path))
    assert result.code != 0
    assert "'s' to have a length of 4" in result.stderr and "Conv" in result.stderr


OPSET = '<ir_version: 9, opset_import: ["": 18]>\n'

# name: graph, and what the sequence that it makes should be, from the arrays of a run.
SEQUENCES = {
    "branches_of_different_rank": (
        """g (float[A,B] x, bool c) => (seq(float) s) {
          t = If (c) < then_branch = t () => (seq(float) o) { r = Neg(x)  o = SequenceConstruct(r) },
                       else_branch = e () => (seq(float) p) {
                         m = Constant<value = int64[1] {-1}>()  q = Reshape(x, m)  p = SequenceConstruct(q, q) } >
          s = SequenceInsert(t, x)
        }""",
        [{"x": floats(2, 3), "c": np.array(c)} for c in (True, False)],
        lambda x, c: [-x, x] if c else [x.reshape(-1), x.reshape(-1), x],
    ),
    "grows_in_a_loop": (
        """g (float[N] x, int64 n) => (seq(float) s) {
          e = SequenceConstruct(x)
          zero = Constant<value = int64[1] {0}>()
          r, s = Loop(n, , x, e) < body = b (int64 i, bool c, float[] v, seq(float) q) => (bool d, float[] w, seq(float) z) {
            d = Identity(c)  w = Unsqueeze(v, zero)  z = SequenceInsert(q, w)
          } >
        }""",
        [{"x": floats(3), "n": np.array(n)} for n in (0, 2, 3)],
        lambda x, n: [x.reshape((1,) * k + (3,)) for k in range(n + 1)],
    ),
    "taken_out_and_erased": (
        """g (seq(float[]) q, int64 k) => (seq(float) s) {
          a = SequenceAt(q, k)  b = Exp(a)  c = SequenceErase(q, k)  s = SequenceInsert(c, b)
        }""",
        [{"q": [floats(2, 3), floats(4), np.float32(7)], "k": np.array(k)} for k in (0, 1, -1)],
        lambda q, k: [v for j, v in enumerate(q) if j != k % len(q)] + [np.exp(q[k])],
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_of_any_rank(name, tmp_path):
    graph, runs, expected = SEQUENCES[name]
    model = parser.parse_model(OPSET + graph)
    compiled = onnx_backend.prepare(model)
    for arrays in runs:
        (found,) = compiled.run(arrays)
        reference = expected(**arrays)
        assert [f.shape for f in found] == [np.shape(r) for r in reference]
        for f, r in zip(found, reference, strict=True):
            assert error_of_scale(f, r) <= 1e-5


def test_a_sequence_of_one_rank_is_taken_as_a_whole(tmp_path):
    model = parser.parse_model(
        OPSET + "g (seq(float[]) q) => (float[] y) { c = ConcatFromSequence<axis=0>(q) y = Neg(c) }"
    )
    compiled = onnx_backend.prepare(model)
    for parts in ([floats(2), floats(3)], [floats(2, 3), floats(1, 3), floats(0, 3)], [floats(1, 2, 2)]):
        (found,) = compiled.run([parts])
        assert error_of_scale(found, -np.concatenate(parts)) <= 1e-6
    with pytest.raises(Exception, match="elements of one rank"):
        compiled.run([[floats(2), floats(3, 1)]])


def test_optional_sequences(tmp_path):
    model = parser.parse_model(
        OPSET
        + """g (optional(seq(float[N])) q, float[M] x) => (bool h, float[K] y, optional(seq(float[P])) z) {
          h = OptionalHasElement(q)
          y = If (h) < then_branch = t () => (float[T] o) { s = OptionalGetElement(q)  o = ConcatFromSequence<axis=0>(s) },
                       else_branch = e () => (float[E] p) { p = Neg(x) } >
          z = Identity(q)
        }"""
    )
    compiled = onnx_backend.prepare(model)
    x = floats(3)
    for q in ([floats(2), floats(4)], None, [floats(1)]):
        has, y, z = compiled.run([q, x])
        assert bool(has) == (q is not None)
        assert error_of_scale(y, -x if q is None else np.concatenate(q)) <= 1e-6
        assert (z is None) == (q is None) and (q is None or all(map(np.array_equal, z, q)))


def test_inputs_without_rank(tmp_path):
    model = parser.parse_model(OPSET + "g (float[] x, float[N] w) => (float[] y) { a = Exp(x) y = Mul(a, w) }")
    compiled = onnx_backend.prepare(model)
    w = floats(3)
    for x in (floats(), floats(3), floats(2, 3), floats(1, 2, 4, 3)):
        (found,) = compiled.run([x, w])
        assert found.shape == (np.exp(x) * w).shape and error_of_scale(found, np.exp(x) * w) <= 1e-5


def test_a_rank_that_is_stated(tmp_path):
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(parser.parse_model(OPSET + MODELS["reshape"][0]), path)
    compiled = compile_program(path, os.path.join(tmp_path, "model"), "--force-static=Reshape:r=2")
    assert compiled.code == 0, compiled.stderr
    x = floats(6)
    result = run_program(os.path.join(tmp_path, "model"), {"x": x, "s": ints(3, 2)}, str(tmp_path))
    assert result.code == 0, result.stderr
    assert error_of_scale(np.load(os.path.join(tmp_path, "y.data.npy")), np.exp(x)) <= 1e-5
    result = run_program(os.path.join(tmp_path, "model"), {"x": x, "s": ints(6)}, str(tmp_path))
    assert result.code != 0 and "Reshape" in result.stderr and "given N=6, R=1" in result.stderr


def optionals():
    """A loop that hands on an optional tensor, none at first; branches of which one makes an optional sequence."""
    make, info = onnx.helper.make_node, onnx.helper.make_value_info
    tensor = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ["N"])
    flag = onnx.helper.make_tensor_type_proto(onnx.TensorProto.BOOL, [])
    number = onnx.helper.make_tensor_type_proto(onnx.TensorProto.INT64, [])
    optional = onnx.helper.make_optional_type_proto(tensor)
    sequence = onnx.helper.make_sequence_type_proto(tensor)
    both = onnx.helper.make_optional_type_proto(sequence)
    graph = onnx.helper.make_graph
    body = graph(
        [
            make("Identity", ["c"], ["d"]),
            make("OptionalHasElement", ["before"], ["has"]),
            make(
                "If",
                ["has"],
                ["v"],
                then_branch=graph(
                    [make("OptionalGetElement", ["before"], ["g"]), make("Add", ["g", "x"], ["t"])],
                    "t",
                    [],
                    [info("t", tensor)],
                ),
                else_branch=graph([make("Identity", ["x"], ["e"])], "e", [], [info("e", tensor)]),
            ),
            make("Optional", ["v"], ["after"]),
        ],
        "b",
        [info("i", number), info("c", flag), info("before", optional)],
        [info("d", flag), info("after", optional)],
    )
    nodes = [
        make("Optional", [], ["none"], type=tensor),
        make("Loop", ["n", "", "none"], ["o"], body=body),
        make(
            "If",
            ["f"],
            ["s"],
            then_branch=graph(
                [make("SequenceConstruct", ["x", "x"], ["q"]), make("Optional", ["q"], ["u"])],
                "t",
                [],
                [info("u", both)],
            ),
            else_branch=graph([make("Optional", [], ["w"], type=sequence)], "e", [], [info("w", both)]),
        ),
        make("OptionalHasElement", ["s"], ["h"]),
    ]
    return onnx.helper.make_model(
        graph(
            nodes,
            "g",
            [info("x", tensor), info("n", number), info("f", flag)],
            [info("o", optional), info("s", both), info("h", flag)],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=9,
    )


def test_optionals_in_loops_and_branches():
    compiled = onnx_backend.prepare(optionals())
    x = floats(3)
    for n, f in ((0, True), (1, False), (3, True)):
        o, s, h = compiled.run([x, np.array(n), np.array(f)])
        assert (o is None) == (n == 0) and bool(h) == f
        assert n == 0 or error_of_scale(o, n * x) <= 1e-6
        assert s is None if not f else [np.array_equal(each, x) for each in s] == [True, True]
