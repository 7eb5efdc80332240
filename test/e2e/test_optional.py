"""Initializers that are inputs as well: a run may give them, as with ONNX Runtime; where it gives none it is, bit for bit, the
run of a program that has them as constants."""

from __future__ import annotations

import os
import re

import deepseek as ds
import numpy as np
import onnx
import pytest
from harness import compile_program, reference_outputs, run_program, text_model
from onnx import numpy_helper
from test_versions import calls_of_kernels

from dsutil import tools
from dsutil.compare import error_of_scale

RNG = np.random.default_rng(23)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


# name: signature, body, inputs, defaults, other values of these
CASES = {
    "vector": ("float[N,4] x, float[4] w => float[N,4] y", "y = Mul(x, w)", {"x": normal(3, 4)}, {"w": normal(4)}, {"w": normal(4)}),
    "two": (
        "float[N,4] x, float[4] w, float b => float[N,4] y",
        "h = Mul(x, w); y = Add(h, b)",
        {"x": normal(3, 4)},
        {"w": normal(4), "b": np.array(2, np.float32)},
        {"w": normal(4), "b": np.array(-1, np.float32)},
    ),
    "wider_than_declared": (
        "float[N,4] x, float[4,M] w => float[N,M] y",
        "y = MatMul(x, w)",
        {"x": normal(3, 4)},
        {"w": normal(4, 40)},
        {"w": normal(4, 7)},
    ),
    "anonymous_dims": (
        'float["?",4] w, float["?",4] x => float["?",4] y',
        "y = Concat<axis = 0>(w, x)",
        {"x": normal(3, 4)},
        {"w": normal(2, 4)},
        {"w": normal(5, 4)},
    ),
    "packed_matrix": (  # the default's own data must outlive its packing
        "float[N,64] x, float[64,96] w => float[N,96] y",
        "h = MatMul(x, w); y = Relu(h)",
        {"x": normal(5, 64)},
        {"w": normal(64, 96)},
        {"w": normal(64, 96)},
    ),
    "filter": (
        "float[N,3,9,9] x, float[8,3,3,3] w, float[8] b => float[N,8,9,9] y",
        "c = Conv<pads = [1,1,1,1]>(x, w, b); y = Relu(c)",
        {"x": normal(2, 3, 9, 9)},
        {"w": normal(8, 3, 3, 3), "b": normal(8)},
        {"w": normal(8, 3, 3, 3), "b": normal(8)},
    ),
    "target_of_reshape": (
        "float[N,6] x, int64[2] s => float[A,B] y",
        "h = Neg(x); r = Reshape(h, s); y = Relu(r)",
        {"x": normal(4, 6)},
        {"s": ints(-1, 3)},
        {"s": ints(2, -1)},
    ),
    "length_of_top_k": (
        "float[N,9] x, int64[1] k => float[N,K] v, int64[N,K] i",
        "v, i = TopK(x, k)",
        {"x": normal(4, 9)},
        {"k": ints(3)},
        {"k": ints(5)},
    ),
    "slice": (
        "float[N,9] x, int64[1] b, int64[1] e => float[N,K] y",
        "a = Constant<value = int64[1] {1}>(); y = Slice(x, b, e, a)",
        {"x": normal(4, 9)},
        {"b": ints(1), "e": ints(7)},
        {"b": ints(3), "e": ints(-1)},
    ),
    "condition": (
        "float[N] x, bool c => float[M] y",
        "y = If(c) <then_branch = g () => (float[A] t) {t = Concat<axis=0>(x, x)},"
        " else_branch = h () => (float[B] e) {e = Neg(x)}>",
        {"x": normal(5)},
        {"c": np.array(True)},
        {"c": np.array(False)},
    ),
    "trips": (
        "float[N] x, int64 m => float[N] y, float[T,N] all",
        "y, all = Loop(m, , x) <body = g (int64 i, bool c, float[N] a) => (bool d, float[N] b, float[N] o)"
        " { d = Identity(c) b = Add(a, x) o = Mul(b, b) }>",
        {"x": normal(5)},
        {"m": np.array(3)},
        {"m": np.array(5)},
    ),
    "captured_by_loop": (
        "float[N] x, int64 m, float[N] w => float[N] y",
        "y = Loop(m, , x) <body = g (int64 i, bool c, float[N] a) => (bool d, float[N] b)"
        " { d = Identity(c) b = Add(a, w) }>",
        {"x": normal(5), "m": np.array(4)},
        {"w": normal(5)},
        {"w": normal(5)},
    ),
    "captured_by_branch": (
        "float[N,4] x, bool c, float[4] w => float[N,4] y",
        "y = If(c) <then_branch = g () => (float[N,4] t) {t = Mul(x, w)},"
        " else_branch = h () => (float[N,4] e) {e = Sub(x, w)}>",
        {"x": normal(3, 4), "c": np.array(False)},
        {"w": normal(4)},
        {"w": normal(4)},
    ),
    "mask": (
        "float[N,4] x, bool[4] m => float[N,4] y",
        "n = Neg(x); y = Where(m, x, n)",
        {"x": normal(3, 4)},
        {"m": np.array([True, False, False, True])},
        {"m": np.array([False, False, True, True])},
    ),
    "indices": (
        "float[N,4] x, int32[M] i => float[M,4] y",
        "y = Gather(x, i)",
        {"x": normal(6, 4)},
        {"i": np.array([0, 3], np.int32)},
        {"i": np.array([5, 1, 1], np.int32)},
    ),
    "half": (
        "float16[N] x, float16[N] w => float16[N] y",
        "y = Add(x, w)",
        {"x": normal(3).astype(np.float16)},
        {"w": normal(3).astype(np.float16)},
        {"w": normal(3).astype(np.float16)},
    ),
    "unread": ("float[N] x, float[3] w => float[N] y", "y = Neg(x)", {"x": normal(4)}, {"w": normal(3)}, {"w": normal(3)}),
    "handed_on": ("float[N] x, float[M] w => float[N] y, float[M] z", "y = Neg(x); z = Identity(w)", {"x": normal(4)}, {"w": normal(3)}, {"w": normal(5)}),
    "alone": ("float[M] w => float[M] y", "y = Exp(w)", {}, {"w": normal(3)}, {"w": normal(5)}),
    "empty": (
        "float[N,2] x, float[M,2] w => float[K,2] y",
        "y = Concat<axis = 0>(x, w)",
        {"x": normal(2, 2)},
        {"w": normal(0, 2)},
        {"w": normal(3, 2)},
    ),
    "normalization": (
        "float[N,8] x, float[8] s, float[8] b => float[N,8] y",
        "y = LayerNormalization(x, s, b)",
        {"x": normal(3, 8)},
        {"s": normal(8), "b": normal(8)},
        {"s": normal(8), "b": normal(8)},
    ),
}  # fmt: skip


def build(signature, body, defaults, opset=17, **more):
    """`more` are initializers that are no inputs."""
    model = text_model(signature, body, opset)
    for name, value in (defaults | more).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


def model_of(name):
    signature, body, inputs, defaults, others = CASES[name]
    # A constant that is no input: several initializers that all are inputs are a habit of exporters.
    return build(signature, body, defaults, unlisted=np.float32(1)), inputs, defaults, others


def check(program, model, arrays, folder):
    result = run_program(program, arrays, folder)
    assert result.code == 0, result.stderr
    found = []
    for output, expected in zip(model.graph.output, reference_outputs("onnxruntime", model, arrays), strict=True):
        array = np.load(os.path.join(folder, f"{output.name}.npy"))
        assert array.shape == expected.shape and array.dtype == expected.dtype
        assert error_of_scale(array, expected) <= (1e-3 if array.dtype == np.float16 else 1e-5)
        found.append(array)
    return found


@pytest.mark.parametrize("name", CASES)
def test_runs_agree_with_onnx_runtime(name, tmp_path):
    model, inputs, defaults, others = model_of(name)
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    result = compile_program(path, program)
    assert result.code == 0 and result.stderr == "", result.stderr
    fixed = str(tmp_path / "fixed")
    assert tools.compile_model(path, fixed, "--optional=none", timeout=300).code == 0
    given = [{}, others] + [{k: v} for k, v in others.items() if len(others) > 1] + [defaults, {}]
    for number, more in enumerate(given):
        outputs = check(program, model, inputs | more, str(tmp_path / str(number)))
        if not more:
            constant = check(fixed, model, inputs, str(tmp_path / f"{number}-fixed"))
            assert [a.tobytes() for a in outputs] == [b.tobytes() for b in constant]


@pytest.mark.parametrize("name", ["packed_matrix", "target_of_reshape", "condition", "filter"])
def test_what_is_left_out_costs_nothing(name, tmp_path):
    """The kernels that run are those of a program that has it as a constant."""
    model, inputs, _, others = model_of(name)
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    ran = {}
    for flag in ("none", "all"):
        program = str(tmp_path / flag)
        assert tools.compile_model(path, program, f"--optional={flag}", timeout=300).code == 0
        for given in ({}, others) if flag == "all" else ({},):
            command = [program, "--profile"]
            for key, array in (inputs | given).items():
                np.save(tmp_path / f"{key}.npy", array)
                command += ["--input", f"{key}={tmp_path / key}.npy"]
            result = tools.run(command, timeout=60)
            assert result.code == 0, result.stderr
            ran[flag, bool(given)] = sorted(re.findall(r"ds_k\d+_(\w+)", result.stdout))
    assert ran["none", False] == ran["all", False]
    assert ran["all", True]


def message(path, *flags, code):
    result = tools.compile_model(path, path + ".out", *flags, timeout=300)
    assert result.code == code, result.stderr
    return result.stderr


def inputs_of(path, *flags):
    """Names of the inputs, those that are optional, and those that are fixed."""
    assert tools.compile_model(path, path + ".so", "--emit=library", *flags, timeout=300).code == 0
    model = ds.load(path + ".so")
    return [i.name for i in model.inputs], list(model.defaults), model.fixed_inputs


def test_which_are_optional(tmp_path):
    path = str(tmp_path / "m.onnx")
    two = ("float[4] x, float[4] a, float[4] b => float[4] y", "h = Mul(x, a); y = Add(h, b)")
    both = {"a": normal(4), "b": normal(4)}
    # Some of them, and one that is all: meant. All of several: a habit.
    onnx.save(build(*two, both, more=np.float32(1)), path)
    assert inputs_of(path) == (["x", "a", "b"], ["a", "b"], [])
    onnx.save(build(*two, both), path)
    assert inputs_of(path) == (["x"], [], ["a", "b"])
    assert inputs_of(path, "--optional=b") == (["x", "b"], ["b"], ["a"])
    assert inputs_of(path, "--optional=all") == (["x", "a", "b"], ["a", "b"], [])
    assert inputs_of(path, "--optional", "a,b") == (["x", "a", "b"], ["a", "b"], [])
    assert inputs_of(path, "--optional=a", "--optional=b") == (["x", "a", "b"], ["a", "b"], [])
    model = build(*two, {"a": normal(4)})
    onnx.save(model, path)
    assert inputs_of(path) == (["x", "a", "b"], ["a"], [])
    assert inputs_of(path, "--optional=none") == (["x", "b"], [], ["a"])
    # Before version 4 they were constants, which had to be listed.
    model.ir_version = 3
    onnx.save(model, path)
    assert inputs_of(path) == (["x", "b"], [], ["a"])
    assert inputs_of(path, "--optional=a") == (["x", "a", "b"], ["a"], [])
    # Many: a model that was quantized since it was exported, say.
    names = [f"w{i}" for i in range(17)]
    signature = ", ".join(f"float[4] {n}" for n in ["x", *names]) + " => float[4] y"
    onnx.save(
        build(signature, f"y = Sum(x, {', '.join(names)})", {n: normal(4) for n in names}, more=np.float32(1)), path
    )
    assert inputs_of(path)[1:] == ([], names)


def test_names_that_do_not_fit(tmp_path):
    path = str(tmp_path / "m.onnx")
    onnx.save(
        build("float[4] x, float[4] a => float[4] y", "h = Mul(x, a); y = Add(h, c)", {"a": normal(4)}, c=normal(4)),
        path,
    )
    assert "--optional names 'x', which is no initializer that is an input as well; there is 'a'" in message(
        path, "--optional=x", code=2
    )
    assert "names 'c', which is no initializer" in message(path, "--optional=a,c", code=2)
    assert "--optional names inputs, and none" in message(path, "--optional=a,none", code=2)
    assert "'--optional' needs a value" in message(path, "--optional", code=2)


def test_shapes_that_the_default_has_not(tmp_path):
    path = str(tmp_path / "m.onnx")
    onnx.save(
        build("float[N,4] x, float[M,4] w => float[K,4] y", "y = Concat<axis=0>(x, w)", {"w": normal(3, 4)}), path
    )
    text = message(path, "--shape=M=5", code=2)
    assert "input 'w': --shape says 5 for dimension 0, but its default, the initializer of that name, has 3" in text
    assert inputs_of(path, "--shape=M=3,N=2")[1] == ["w"]
    assert "names 'Q'" in message(path, "--shape=Q=5", code=2)


def test_what_cannot_be_an_input_is_fixed(tmp_path):
    """With a warning that says which, and why; the others stay optional."""
    path = str(tmp_path / "m.onnx")
    signature = "float[N,1,4] x, float w, int64[A] axes, float[4] b => float[M,4] y"
    body = "s = Squeeze(x, axes); h = Mul(s, w); o = Shape(s); r = Size(o); y = Add(h, b)"
    inputs, defaults = {"x": normal(3, 1, 4)}, {"w": np.float32(3), "axes": ints(1), "b": normal(4)}
    model = build(signature, body, defaults, unlisted=np.float32(1))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    result = compile_program(path, program)
    assert result.code == 0, result.stderr
    warnings = [line for line in result.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 1 and "input 'axes' is fixed in the program, with the initializer" in warnings[0]
    assert "rank of the output 'y'" in warnings[0] or "output 'y'" in warnings[0]
    check(program, model, inputs | {"w": np.array(-2, np.float32)}, str(tmp_path / "given"))
    check(program, model, inputs, str(tmp_path / "none"))
    refused = run_program(program, inputs | {"axes": ints(1)}, str(tmp_path / "axes"))
    assert refused.code == 1 and "input 'axes' is fixed in this program" in refused.stderr


def test_what_contradicts_itself_is_fixed(tmp_path):
    path = str(tmp_path / "m.onnx")
    onnx.save(build("float[N] x, float[4] w => float[N] y", "y = Neg(x)", {"w": normal(3)}), path)
    assert "input 'w' is fixed in the program: the initializer has other dimensions than the input declares" in message(
        path, code=0
    )
    onnx.save(build("float[N] x, float[3] w => float[N] y", "y = Neg(x)", {"w": ints(1, 2, 3)}), path)
    assert "declared as FLOAT, but the initializer is INT64" in message(path, code=0)


def test_what_is_fixed_cannot_be_given(tmp_path):
    path = str(tmp_path / "m.onnx")
    onnx.save(build("float[4] x, float[4] w => float[4] y", "y = Mul(x, w)", {"w": normal(4)}), path)
    program = str(tmp_path / "m")
    assert tools.compile_model(path, program, "--optional=none", timeout=300).code == 0
    result = run_program(program, {"x": normal(4), "w": normal(4)}, str(tmp_path))
    assert (
        result.code == 1 and "input 'w' is fixed in this program" in result.stderr and "--optional='w'" in result.stderr
    )
    np.savez(tmp_path / "all.npz", x=normal(4), w=normal(4))
    result = tools.run([program, "--inputs", str(tmp_path / "all.npz")], timeout=60)
    assert result.code == 1 and "input 'w' is fixed in this program" in result.stderr
    model = ds.compile_onnx(path, optional="none")
    with pytest.raises(ds.Error, match=r"input 'w' is fixed in this program.*optional=\['w'\]"):
        model(x=normal(4), w=normal(4))


def test_what_a_run_gives_must_fit(tmp_path):
    model, inputs, _, _ = model_of("wider_than_declared")
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    assert tools.compile_model(path, program, timeout=300).code == 0
    for w, part in (
        (normal(5, 4), "should have 4 in dimension 0"),
        (normal(4), "should have 2 dimensions"),
        (ints(1), "should be float32"),
    ):
        result = run_program(program, inputs | {"w": w}, str(tmp_path))
        assert result.code == 1 and part in result.stderr, result.stderr
    missing = tools.run([program, "--input", "w=x"], timeout=60)
    assert missing.code == 1 and "needs input 'x'" in missing.stderr


def test_help_and_random(tmp_path):
    model, _, _, _ = model_of("wider_than_declared")
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    assert tools.compile_model(path, program, timeout=300).code == 0
    text = tools.run([program, "--help"], timeout=60).stdout
    assert re.search(r"w +float32 \[4, M\], optional \(default: \[4, 40\]\)", text), text
    # What is optional is not made up, and says its sizes.
    result = tools.run([program, "--random", "N=2"], timeout=60)
    assert result.code == 0 and "y: float32 [2, 40]" in result.stdout, result.stdout + result.stderr
    result = tools.run([program, "--random", "N=2", "--benchmark=2", "--json"], timeout=60)
    assert result.code == 0, result.stderr


def test_versions_of_stated_sizes(tmp_path):
    model, _, _, others = model_of("wider_than_declared")
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    result = compile_program(path, program, "--specialize=N=1", "--specialize=N=2,M=7", "--explain-regions")
    assert result.code == 0, result.stderr
    # M is of the optional input alone.
    assert "version for N=1 and runs that give no optional input:" in result.stdout
    assert result.stdout.count("version for") == 5, result.stdout
    for n in (1, 2, 3):
        for given in ({}, others):
            check(program, model, {"x": normal(n, 4)} | given, str(tmp_path / f"{n}-{len(given)}"))
    kernels = {
        (n, len(given)): frozenset(calls_of_kernels(program, {"x": normal(n, 4)} | given, str(tmp_path / "p")))
        for n in (1, 3)
        for given in ({}, others)
    }
    assert kernels[3, 0] != kernels[3, 1]


def test_several_cpus(tmp_path):
    model, inputs, _, others = model_of("packed_matrix")
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    result = compile_program(path, program, "--target-cpu=native,generic")
    assert result.code == 0 and result.stderr == "", result.stderr
    check(program, model, inputs, str(tmp_path / "none"))
    check(program, model, inputs | others, str(tmp_path / "all"))


def test_functions_of_the_model(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
    g (float[N,4] x, float[4] w) => (float[N,4] y) <float[4] w = {1, 2, 3, 4}, float[1] c = {0.5}> { h = local.f(x, w) y = Add(h, c) }
    <domain: "local", opset_import: ["" : 17]> f (a, b) => (r) { p = Mul(a, b) r = Add(p, b) }"""
    model = onnx.parser.parse_model(text)
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    program = str(tmp_path / "m")
    assert compile_program(path, program).code == 0
    x = normal(3, 4)
    check(program, model, {"x": x}, str(tmp_path / "none"))
    check(program, model, {"x": x, "w": normal(4)}, str(tmp_path / "w"))


def test_strings(tmp_path):
    model = text_model("string[N] x, string[N] s => string[N] y", "y = StringConcat(x, s)", 20)
    model.graph.initializer.append(onnx.helper.make_tensor("s", onnx.TensorProto.STRING, [2], [b"!", "ö".encode()]))
    compiled = ds.compile_onnx(model)
    assert [i.optional for i in compiled.inputs] == [False, True]
    assert compiled.defaults["s"].tolist() == ["!", "ö"]
    x, s = np.array(["a", "b"], object), np.array(["", "cd"], object)
    for given in ({}, {"s": s}, {}):
        arrays = {"x": x} | given
        assert compiled(**arrays).tolist() == reference_outputs("onnxruntime", model, arrays)[0].tolist()
    assert compiled(np.array(["p", "q", "r"], object), np.array(["1", "2", "3"], object)).tolist() == ["p1", "q2", "r3"]


def test_python_tells(tmp_path):
    model, inputs, defaults, others = model_of("two")
    compiled = ds.compile_onnx(model)
    assert [(i.name, i.optional) for i in compiled.inputs] == [("x", False), ("w", True), ("b", True)]
    assert "w: float32[4] = default" in repr(compiled)
    for name, value in compiled.defaults.items():
        assert value.tobytes() == np.asarray(defaults[name]).tobytes()
    expected = reference_outputs("onnxruntime", model, inputs | others)[0]
    assert error_of_scale(compiled(inputs["x"], others["w"], others["b"]), expected) <= 1e-6
    partly = compiled(inputs["x"], None, others["b"])
    assert error_of_scale(partly, reference_outputs("onnxruntime", model, inputs | {"b": others["b"]})[0]) <= 1e-6
    with pytest.raises(ds.Error, match="no value for input 'x'"):
        compiled(w=others["w"])
    with pytest.raises(ds.CompileError, match="optional names 'x'"):
        ds.compile_onnx(model, optional=["x"])
    with pytest.raises(ds.CompileError, match="optional='w' is no list"):
        ds.compile_onnx(model, optional="w")
    assert ds.compile_onnx(model, optional=["b"]).fixed_inputs == ["w"]
    assert ds.compile_onnx(model, optional=[]).fixed_inputs == ["w", "b"]
    with pytest.warns(UserWarning, match="input 'axes' is fixed"):
        squeeze = build("float[N,1,4] x, int64[A] axes => float[M,4] y", "y = Squeeze(x, axes)", {"axes": ints(1)})
        squeeze.graph.output[0].type.tensor_type.ClearField("shape")
        ds.compile_onnx(squeeze)


STEP = ("float[4] x, float[4] w => float[4] v, float[4] y", "v = Add(w, x); y = Mul(w, x)")


def test_a_feed_begins_with_the_default():
    w, x = normal(4), normal(4)
    session = ds.compile_onnx(build(*STEP, {"w": w})).session()
    session.feed("v", "w")
    state = w
    for _ in range(3):
        v, y = session(x)
        np.testing.assert_array_equal(y, state * x)
        state = state + x
        np.testing.assert_array_equal(v, state)
    with pytest.raises(ds.Error):  # a run that fails before it begins changes nothing
        session(normal(5))
    np.testing.assert_array_equal(session(x)[1], state * x)


@pytest.mark.parametrize("more", [{}, {"unlisted": np.float32(1)}], ids=["listed", "some"])
def test_donated_state_begins_with_the_default(more):
    """Parameters that a training step updates."""
    w, x = normal(4), normal(4)
    model = ds.compile_onnx(build(*STEP, {"w": w}, **more), donate={"w": "v"})
    assert model.donations == {"w": "v"} and model.inputs[1].optional
    session = model.session()
    state = w
    for _ in range(3):
        np.testing.assert_array_equal(session(x), state * x)
        state = state + x
        np.testing.assert_array_equal(session.state("w"), state)
    session.reset_state("w")
    np.testing.assert_array_equal(session(x), w * x)
    other = normal(4)
    session.set_state("w", other)
    np.testing.assert_array_equal(session(x), other * x)
    for _ in range(2):  # a call by itself has no state
        v, y = model(x)
        np.testing.assert_array_equal(y, w * x)
        np.testing.assert_array_equal(v, w + x)


def test_donated_beside_optional(tmp_path):
    """The version for runs that give none has the same donations."""
    signature = "float[N] s, float[N] x, float k => float[N] t, float[N] y"
    model = build(signature, "h = Mul(x, k); t = Add(s, h); y = Neg(t)", {"k": np.float32(2)})
    compiled = ds.compile_onnx(model, donate={"s": "t"})
    assert list(compiled.defaults) == ["k"]
    session, state, x = compiled.session(), normal(5), normal(5)
    session.set_state("s", state)
    for k in (None, 3, None, -1):
        state = state + x * np.float32(2 if k is None else k)
        np.testing.assert_allclose(session(x=x, k=k), -state, rtol=1e-6)


def test_pickles(tmp_path):
    import pickle

    model, inputs, _, others = model_of("two")
    compiled = ds.compile_onnx(model)
    again = pickle.loads(pickle.dumps(compiled))
    for given in ({}, others):
        assert again(**inputs, **given).tobytes() == compiled(**inputs, **given).tobytes()
