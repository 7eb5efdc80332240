"""Models with operators of the program that runs them, against ONNX's reference evaluator with the same NumPy functions."""

import gc
import threading
import weakref

import deepseek as ds
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from dsutil import tools

RNG = np.random.default_rng(3)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def scale(x, alpha=1.0):
    return x * np.float32(alpha)


def positive(x):
    """As many elements as are positive: a size that depends on data."""
    return x[x > 0]


def stretch(x, times=1):
    return np.concatenate([x] * times)


def shift(x, by=None):
    """The second input may be left out."""
    return x + 1, x - (np.float32(0.5) if by is None else by)


def pool(x):
    return x[:, :, ::2, ::2] + x[:, :, 1::2, 1::2]


def sizes(x, shape):
    """The sizes of a tensor as its second input."""
    return (shape * 2).astype(np.int64), np.array(x.size > 10), x.astype(np.float16)


FUNCTIONS = {
    "Scale": scale,
    "Positive": positive,
    "Stretch": stretch,
    "Shift": shift,
    "Pool": pool,
    "Sizes": sizes,
}
CUSTOM_OPS = {f"com.example.{name}": function for name, function in FUNCTIONS.items()}


def reference_operator(name):
    def run(self, *inputs, **attributes):
        results = FUNCTIONS[name](*inputs, **attributes)
        return results if isinstance(results, tuple) else (results,)

    return type(name, (OpRun,), {"op_domain": "com.example", "_run": run})


def parse(graph, functions=""):
    return parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 17, "com.example": 1, "local": 1]>\n{graph}\n{functions}'
    )


# name: graph, and inputs of several runs.
MODELS = {
    "between_ordinary_nodes": (
        """g (float[N,4] x) => (float[N,4] y) <float[N,4] b> {
          a = Relu(x)
          b = com.example.Scale<alpha = 2.5>(a)
          c = Exp(b)
          s = Softmax(c)
          y = Add(s, b)
        }""",
        [{"x": floats(n, 4)} for n in (3, 1, 0, 100, 3)],
    ),
    "between_convolutions": (
        """g (float[N,3,H,W] x, float[8,3,3,3] w, float[4,8,1,1] v) => (float[N,4,K,L] y) <float[N,8,P,Q] b> {
          a = Conv<pads = [1, 1, 1, 1]>(x, w)
          b = com.example.Pool(a)
          c = Conv(b, v)
          y = Relu(c)
        }""",
        [{"x": floats(n, 3, h, h), "w": floats(8, 3, 3, 3), "v": floats(4, 8, 1, 1)} for n, h in ((1, 8), (2, 14))],
    ),
    "size_depends_on_data": (
        """g (float[N] x) => (float[M] y, float z) <float[K] b> {
          a = Neg(x)
          b = com.example.Positive(a)
          y = Mul(b, b)
          z = ReduceSum<keepdims = 0>(y)
        }""",
        [{"x": floats(n)} for n in (10, 1000, 0)] + [{"x": np.array(v, np.float32)} for v in ([1, 2], [-1, -2, 3])],
    ),
    "directly_from_input_to_output": (
        "g (float[N] x) => (float[M] y) { y = com.example.Stretch<times = 3>(x) }",
        [{"x": floats(n)} for n in (4, 0, 9)],
    ),
    "one_after_another": (
        """g (float[N] x) => (float[M] y, float[L] z) <float[A] a, float[B] b> {
          a = com.example.Stretch<times = 2>(x)
          b = com.example.Stretch<times = 3>(a)
          y = com.example.Positive(b)
          z = Concat<axis = 0>(a, b)
        }""",
        [{"x": floats(n)} for n in (4, 7)],
    ),
    "inputs_and_outputs_left_out": (
        """g (float[N] x) => (float[N] y, float[N] z) <float[N] a, float[N] b, float[N] c> {
          a, b = com.example.Shift(x)
          , c = com.example.Shift(x, a)
          y = Add(b, c)
          z, = com.example.Shift(x, )
        }""",
        [{"x": floats(n)} for n in (4, 5)],
    ),
    "sizes_as_an_input": (
        """g (float[A,B] x) => (int64[2] s, bool c, float16[A,B] h, float[P,Q] e) {
          shape = Shape(x)
          s, c, h = com.example.Sizes(x, shape)
          one = Constant<value = float[1] {1.5}>()
          e = Expand(one, s)
        }""",
        [{"x": floats(a, b)} for a, b in ((2, 3), (5, 4))],
    ),
    "in_branches": (
        """g (float[N] x, bool c) => (float[M] y) {
          b = If (c) <
            then_branch = t () => (float[P] o) { m = Neg(x)  o = com.example.Stretch<times = 2>(m) },
            else_branch = e () => (float[P] p) { p = com.example.Positive(x) }
          >
          y = Abs(b)
        }""",
        [{"x": floats(n), "c": np.array(c)} for n, c in ((4, True), (6, False), (6, True))],
    ),
    "in_a_loop": (
        """g (float[N] x, int64 n) => (float[N] y, float[T,N] all) <bool c = {1}> {
          y, all = Loop (n, c, x) <body = b (int64 i, bool g, float[N] s) => (bool h, float[N] t, float[N] kept) <float[N] u> {
            h = Identity(g)
            u = com.example.Scale<alpha = 0.5>(s)
            t = Add(u, x)
            kept = Neg(u)
          }>
        }""",
        [{"x": floats(n), "n": np.array(t, np.int64)} for n, t in ((4, 3), (2, 400), (5, 1))],
    ),
    "in_a_loop_that_grows": (
        """g (float[N] x, int64 n) => (float[M] y) <bool c = {1}> {
          y = Loop (n, c, x) <body = b (int64 i, bool g, float[S] s) => (bool h, float[T] t) <float[U] u> {
            h = Identity(g)
            u = com.example.Stretch<times = 2>(s)
            t = Abs(u)
          }>
        }""",
        [{"x": floats(n), "n": np.array(t, np.int64)} for n, t in ((3, 4), (1, 0), (2, 7))],
    ),
}


def compile_model(model, **options):
    return ds.compile_onnx(model, custom_ops=CUSTOM_OPS, opt_level=1, **options)


def check(program, reference, inputs):
    found = program(**inputs)
    expected = reference.run(None, inputs)
    for mine, theirs in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def reference_of(model):
    return ReferenceEvaluator(model, new_ops=[reference_operator(name) for name in FUNCTIONS])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("threads", [1, 2])
def test_model(name, threads):
    graph, runs = MODELS[name]
    model = parse(graph)
    program, reference = compile_model(model, threads=threads), reference_of(model)
    for inputs in runs:
        check(program, reference, inputs)


def test_in_a_function_of_the_model():
    model = parse(
        "g (float[N] x) => (float[N] y) { a = local.Twice(x)  y = local.Twice(a) }",
        """<opset_import: ["": 17, "com.example": 1], domain: "local">
        Twice (p) => (q) <float[K] r> { r = com.example.Scale<alpha = 2.0>(p)  q = Sin(r) }""",
    )
    program = compile_model(model)
    for n in (4, 9):
        x = floats(n)
        np.testing.assert_allclose(program(x), np.sin(2 * np.sin(2 * x.astype(np.float64))), rtol=1e-5, atol=1e-6)


def test_attributes_of_all_kinds():
    graph = """g (float[N] x) => (float[N] y) {
      y = com.example.Ask<i = 7, f = 0.25, s = "text", il = [1, -2], fl = [0.5, 1.5], sl = ["a", "b c"],
                          t = int64[2, 2] {1, 2, 3, 4}>(x)
    }"""
    seen = []

    def ask(x, **attributes):
        seen.append(attributes)
        return x

    program = ds.compile_onnx(parse(graph), custom_ops={"com.example.Ask": ask})
    np.testing.assert_array_equal(program(np.ones(2, np.float32)), np.ones(2))
    (given,) = seen
    np.testing.assert_array_equal(given.pop("t"), np.array([[1, 2], [3, 4]], np.int64))
    assert given == {"i": 7, "f": 0.25, "s": "text", "il": [1, -2], "fl": [0.5, 1.5], "sl": ["a", "b c"]}


LARGE = np.arange(3000, dtype=np.float32)


def test_large_tensors_as_attributes():
    model = parse("g (float[N] x) => (float[N] y) { y = com.example.Sum<t = float[1] {0}>(x) }")
    model.graph.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(LARGE))
    program = ds.compile_onnx(model, custom_ops={"com.example.Sum": lambda x, t: x + t.sum()})
    np.testing.assert_array_equal(program(np.zeros(2, np.float32)), LARGE.sum() * np.ones(2, np.float32))


def failing(function, graph="g (float[N] x) => (float[N] y) { y = com.example.MyOp(x) }"):
    """The error of a run whose operator is `function`, and then a run that works."""
    calls = []

    def once(x):
        calls.append(x)
        return function(x) if len(calls) == 1 else x * 2

    program = ds.compile_onnx(parse(graph), custom_ops={"com.example.MyOp": once})
    session = program.session()
    with pytest.raises(ds.Error) as error:
        session(np.ones(3, np.float32))
    np.testing.assert_array_equal(session(np.ones(3, np.float32)), 2 * np.ones(3))
    assert str(error.value).startswith("node 'MyOp:y' (com.example.MyOp): "), str(error.value)
    return str(error.value)


def raising(x):
    raise ValueError("not with me")


def test_errors_of_functions():
    assert "ValueError: not with me" in failing(raising)
    assert "result 0 is float64, expected float32" in failing(lambda x: x.astype(np.float64))
    assert "result 0 has 2 dimensions, expected 1" in failing(lambda x: x[None])
    assert "returned 0 results, expected 1" in failing(lambda x: ())
    # The model says N for the output, too.
    assert "tells 4 as dimension 0 of output 0, the model 3" in failing(lambda x: np.zeros(4, np.float32))


def test_missing_operators(tmp_path):
    model = parse("g (float[N] x) => (float[N] y) { y = com.example.MyOp(x) }")
    path = ds.compile_onnx(model, tmp_path / "m.so", custom_ops=["com.example"])
    with pytest.raises(ds.Error, match=r"custom operator 'MyOp' of 'com.example'.*custom_ops=\{'com.example.MyOp'"):
        ds.load(path)(np.ones(1, np.float32))
    with pytest.raises(ds.CompileError, match=r"custom_ops=\['com\.example'\]"):
        ds.compile_onnx(model)
    with pytest.raises(ds.Error, match=r"expects functions by 'domain\.Name'"):
        ds.load(path, custom_ops={"MyOp": scale})
    program = ds.load(path, custom_ops={"com.example.MyOp": scale})
    np.testing.assert_array_equal(program(np.ones(2, np.float32)), np.ones(2))


# What is declared of the output, and what the compiler says.
BAD_DECLARATIONS = {
    "no_rank": (
        helper.make_tensor_value_info("a", TensorProto.FLOAT, None),
        "has no rank; what a custom operator makes",
    ),
    "no_tensor": (helper.make_tensor_sequence_value_info("a", TensorProto.FLOAT, None), "is no tensor"),
    "complex_numbers": (
        helper.make_tensor_value_info("a", TensorProto.COMPLEX64, [1]),
        "has element type COMPLEX64, which is not supported",
    ),
    "many_dimensions": (
        helper.make_tensor_value_info("a", TensorProto.FLOAT, [1] * 65),
        "has 65 dimensions; at most 64",
    ),
    "too_large": (helper.make_tensor_value_info("a", TensorProto.FLOAT, [2**62, 2**62]), "has too many elements"),
}


@pytest.mark.parametrize("name", BAD_DECLARATIONS)
def test_bad_declarations(name):
    declared, message = BAD_DECLARATIONS[name]
    model = parse("g (float[N] x) => (float[M] y) { a = com.example.MyOp(x)  y = Neg(a) }")
    model.graph.value_info.append(declared)
    with pytest.raises(ds.CompileError) as error:
        ds.compile_onnx(model, custom_ops={"com.example.MyOp": scale})
    assert error.value.status == 1
    assert message in str(error.value), str(error.value)
    assert "node 'MyOp:a' (com.example.MyOp)" in str(error.value), str(error.value)


def test_names_with_a_nul():
    model = parse("g (float[N] x) => (float[N] y) { y = com.example.MyOp<a = 1>(x) }")
    for field, value in ((model.graph.node[0].attribute[0], "name"), (model.graph.node[0], "op_type")):
        setattr(field, value, "a\0b")
        with pytest.raises(ds.CompileError, match="has a NUL in it"):
            ds.compile_onnx(model, custom_ops={"com.example.MyOp": scale})


def test_versions_for_sizes(tmp_path):
    model = parse(MODELS["between_ordinary_nodes"][0])
    onnx.save(model, tmp_path / "m.onnx")
    result = tools.compile_model(
        str(tmp_path / "m.onnx"),
        str(tmp_path / "m.so"),
        "--emit=library",
        "--custom-ops=com.example",
        "--specialize=N=3",
        timeout=300,
    )
    assert result.code == 0, result.stderr
    program, reference = ds.load(tmp_path / "m.so", custom_ops=CUSTOM_OPS), reference_of(model)
    for n in (3, 4, 3, 1):
        check(program, reference, {"x": floats(n, 4)})


def test_several_threads():
    model = parse(MODELS["size_depends_on_data"][0])
    program, reference = compile_model(model, threads=1), reference_of(model)
    problems = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for n in (5, 50, 500) * 10:
                check(program, reference, {"x": rng.standard_normal(n).astype(np.float32)})
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems[0]


def test_functions_that_know_their_model_are_collected():
    class Holder:
        def __call__(self, x):
            return x

    holder = Holder()
    holder.model = ds.compile_onnx(
        parse("g (float[N] x) => (float[N] y) { y = com.example.MyOp(x) }"), custom_ops={"com.example.MyOp": holder}
    )
    holder.model(np.ones(1, np.float32))
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None
