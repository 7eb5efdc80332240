"""What is remembered is remembered under all that it depends on (docs/Architecture.md has the table): entries that differ
in one thing only are two. Tables that have a test file of their own are tested there."""

import dataclasses
import os
import sys

import numpy as np
import onnx
import pytest
from harness import reference_outputs, run_program, text_model
from onnx import TensorProto, helper, parser
from test_functions import OPSETS, agree, constant, function, model_of, tensor

from dsutil import runtime, tools

CONFORMANCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance")
X = np.float32([1, -2, 3])


def scaled_by(domain: str, name: str, value: float, overload: str = "") -> onnx.FunctionProto:
    nodes = [constant("c", np.float32(value)), helper.make_node("Mul", ["x", "c"], ["y"])]
    made = helper.make_function(domain, name, ["x"], ["y"], nodes, OPSETS[:1])
    made.overload = overload
    return made


# Functions of the model: domain, name, overload.
FUNCTIONS = {
    "the domain": [("a", "F", ""), ("b", "F", "")],
    "the name": [("a", "F", ""), ("a", "G", "")],
    "the overload": [("a", "F", "one"), ("a", "F", "two"), ("a", "F", "")],
    "where the domain ends": [("ab", "c", ""), ("a", "bc", ""), ("a", "b", "c")],
    "where the domain ends, with a dot": [("a", "b.F", ""), ("a.b", "F", "")],
    "where the name ends": [("a", "bc", "d"), ("a", "b", "cd"), ("a", "bcd", "")],
}


@pytest.mark.parametrize("what", FUNCTIONS)
def test_functions_that_differ_in(what, tmp_path):
    keys = FUNCTIONS[what]
    functions = [scaled_by(domain, name, 2.0 + i, overload) for i, (domain, name, overload) in enumerate(keys)]
    nodes = []
    for i, (domain, name, overload) in enumerate(keys):
        node = helper.make_node(name, ["x"], [f"y{i}"], domain=domain)
        node.overload = overload
        nodes.append(node)
    graph = helper.make_graph(nodes, "g", [tensor("x", "N")], [tensor(f"y{i}", "N") for i in range(len(keys))])
    domains = [helper.make_opsetid(domain, 1) for domain in sorted({domain for domain, _, _ in keys})]
    model = helper.make_model(graph, functions=functions, opset_imports=[*OPSETS[:1], *domains], ir_version=10)
    agree(tmp_path, model, {"x": X}, expected=[X * (2 + i) for i in range(len(keys))])


def test_calls_that_use_other_outputs_of_one_function(tmp_path):
    body = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Exp", ["a"], ["b"]),
        helper.make_node("Abs", ["x"], ["c"]),
    ]
    made = function("three", ["x"], ["a", "b", "c"], body)
    wanted = [("a", "b", "c"), ("a", "", ""), ("", "b", ""), ("", "", "c"), ("a", "", "c"), ("", "b", "c")]
    nodes, outputs = [], []
    for i, names in enumerate(wanted):
        results = [name and f"{name}{i}" for name in names]
        nodes.append(helper.make_node("three", ["x"], results, domain="loc"))
        outputs += [tensor(name, "N") for name in results if name]
    agree(tmp_path, model_of(nodes, [made], [tensor("x", "N")], outputs), {"x": X})


# Pairs of nodes of which kernels are made that differ in one thing.
KERNELS = {
    "an operator": ("a = Exp(x)", "b = Sin(x)"),
    "an attribute": ("a = Softmax<axis=0>(x)", "b = Softmax<axis=1>(x)"),
    "a number that is an attribute": ("a = LeakyRelu<alpha=0.5>(x)", "b = LeakyRelu<alpha=0.25>(x)"),
    "the sign of a constant zero": (
        "p = Constant<value = float {0.0}>() u = Mul(x, p) a = Reciprocal(u)",
        "q = Constant<value = float {-0.0}>() v = Mul(x, q) b = Reciprocal(v)",
    ),
    "the last bit of a constant": (
        "p = Constant<value = float {1.0}>() a = Sub(x, p)",
        "q = Constant<value = float {1.0000001}>() b = Sub(x, q)",
    ),
    "the order of operands": ("a = Sub(x, w)", "b = Sub(w, x)"),
    "one operand for two": ("a = Mul(x, w)", "b = Mul(x, x)"),
    "the size of a dimension": ("a = ReduceSum<keepdims=1>(x, one)", "b = ReduceSum<keepdims=1>(w4, one)"),
    "the element type": (
        "p = Cast<to=7>(x) m = Abs(p) a = Cast<to=1>(m)",
        "q = Cast<to=6>(x) n = Abs(q) b = Cast<to=1>(n)",
    ),
    "signedness": ("p = Cast<to=3>(x) a = Cast<to=1>(p)", "r = Abs(x) q = Cast<to=2>(r) b = Cast<to=1>(q)"),
    "which sizes are equal": ("a = Expand(x, s)", "b = Expand(w, s)"),
}


@pytest.mark.parametrize("what", KERNELS)
def test_kernels_that_differ_in(what, tmp_path):
    text = f"""<ir_version: 9, opset_import: ["": 18]>
    g (float[N,3] x, float[M,3] w, float[N,4] w4, int64[2] s) => (float[A,B] a, float[C,D] b) {{
      one = Constant<value = int64[1] {{1}}>()
      {KERNELS[what][0]}
      {KERNELS[what][1]}
    }}"""
    model = parser.parse_model(text)
    rng = np.random.default_rng(2)
    arrays = {"x": rng.standard_normal((2, 3)), "w": rng.standard_normal((2, 3)), "w4": rng.standard_normal((2, 4))}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()} | {"s": np.array([2, 3])}
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(model, path)
    compiled = tools.compile_model(path, os.path.join(tmp_path, "model"), timeout=120)
    assert compiled.code == 0, compiled.stderr
    result = run_program(os.path.join(tmp_path, "model"), arrays, os.path.join(tmp_path, "out"))
    assert result.code == 0, result.stderr
    with np.errstate(all="ignore"):
        wanted = reference_outputs("onnxruntime", model, arrays)
    for name, want in zip("ab", wanted, strict=True):
        found = np.load(os.path.join(tmp_path, "out", f"{name}.npy"))
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-9)


def test_weights_of_bodies_that_differ_in_one_thing(tmp_path):
    """Weights of a program and of what it runs are stored once where type, dims and bytes are equal."""
    ramp = np.arange(400, dtype=np.float32)
    pairs = [(ramp, ramp), (ramp, np.append(ramp[:-1], 7).astype(np.float32)), (ramp, ramp.view(np.int32)),
             (ramp, ramp.reshape(20, 20))]  # fmt: skip
    nodes, outputs, expected = [], [], []
    for i, values in enumerate(pairs):
        branches = {}
        for kind, value in zip(("then_branch", "else_branch"), values, strict=True):
            name = f"{kind}{i}"
            branches[kind] = helper.make_graph(
                [
                    constant(name + "c", value),
                    helper.make_node("Cast", [name + "c"], [name + "f"], to=TensorProto.FLOAT),
                    helper.make_node("CumSum", [name + "f", "axis"], [name + "g"]),
                    helper.make_node("ReduceSum", [name + "g"], [name + "s"], keepdims=0),
                    helper.make_node("Mul", ["x", name + "s"], [name]),
                ],
                kind,
                [],
                [tensor(name, "N")],
            )
        nodes.append(helper.make_node("If", ["c"], [f"y{i}"], **branches))
        outputs.append(tensor(f"y{i}", "N"))
    axis = helper.make_tensor("axis", TensorProto.INT64, [], [0])
    inputs = [tensor("x", "N"), tensor("c", kind=TensorProto.BOOL)]
    model = model_of(nodes, [], inputs, outputs, [axis])
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(model, path)
    compiled = tools.compile_model(path, os.path.join(tmp_path, "model"), timeout=120)
    assert compiled.code == 0, compiled.stderr
    for taken in (True, False):
        arrays = {"x": X, "c": np.array(taken)}
        folder = os.path.join(tmp_path, f"out{taken}")
        result = run_program(os.path.join(tmp_path, "model"), arrays, folder)
        assert result.code == 0, result.stderr
        with np.errstate(all="ignore"):
            expected = reference_outputs("onnxruntime", model, arrays)
        for i, want in enumerate(expected):
            np.testing.assert_allclose(np.load(os.path.join(folder, f"y{i}.npy")), want, rtol=1e-5)


def test_plans_of_sizes_that_differ_in_one_symbol(tmp_path):
    """More tuples of sizes than a session remembers plans for, in an order that finds some again and others not."""
    path, library = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model.so")
    onnx.save(
        text_model(
            "float[N,S] x, float[S,M] w, float[N,1] b => float[N,M] y",
            "t = MatMul(x, w); u = Exp(b); v = Add(t, u); y = Tanh(v)",
        ),
        path,
    )
    compiled = tools.compile_model(path, library, "--emit=library", timeout=120)
    assert compiled.code == 0, compiled.stderr
    rng = np.random.default_rng(7)
    sizes = [
        (2, 3, 4),
        (2, 3, 5),
        (2, 6, 4),
        (7, 3, 4),
        (2, 3, 4),
        (0, 3, 4),
        (2, 0, 4),
        (7, 3, 4),
        (2, 3, 5),
        (2, 3, 4),
    ]
    with runtime.Model(library) as model:
        for n, s, m in sizes:
            x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((n, s), (s, m), (n, 1)))
            (found,) = model.run([x, w, b])
            want = np.tanh(x.astype(np.float64) @ w + np.exp(b.astype(np.float64)))
            np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


@pytest.fixture
def conformance():
    sys.path.insert(0, CONFORMANCE)
    try:
        import cases
        import run

        yield run.Cache, cases.Case
    finally:
        sys.path.remove(CONFORMANCE)


def write(path, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_results_of_conformance_tests(conformance, tmp_path):
    Cache, Case = conformance
    cache = Cache(os.path.join(tmp_path, "results"), enabled=True)

    def case(folder: str, files: dict[str, str]):
        for name, text in files.items():
            write(os.path.join(tmp_path, folder, name), text)
        place = os.path.join(tmp_path, folder)
        return Case("test_add", "node", os.path.join(place, "model.onnx"), place, 1e-3, 1e-7)

    files = {"model.onnx": "m", "data/input_0.pb": "ab", "data/output_0.pb": "c"}
    one = case("one", files)
    key = cache.key(one, False, False)
    assert cache.key(case("same", files), False, False) == key, "the place of a folder says nothing"
    others = [
        case("bytes", files | {"model.onnx": "n"}),
        case("where a file ends", files | {"data/input_0.pb": "a", "data/output_0.pb": "bc"}),
        case("one more", files | {"data/input_1.pb": ""}),
        case("another place", {name.replace("data", "more"): text for name, text in files.items()}),
        dataclasses.replace(one, name="test_sub"),
        dataclasses.replace(one, kind="real"),
        dataclasses.replace(one, rtol=1e-4),
        dataclasses.replace(one, atol=1e-8),
    ]
    keys = {cache.key(other, False, False) for other in others} | {cache.key(one, True, False)}
    keys |= {cache.key(one, False, True), cache.key(one, True, True), key}
    assert len(keys) == len(others) + 4
    cache.put(key, "it failed")
    cache.put(cache.key(one, True, False), "no end after 60 s")
    again = Cache(os.path.join(tmp_path, "results"), enabled=True)
    assert again.get(key) == (True, "it failed")
    assert again.get(cache.key(one, True, False)) == (False, None), "how long a test took is no result"


def test_whatever_decides_a_conformance_test_is_in_its_key(conformance, tmp_path, monkeypatch):
    Cache, Case = conformance
    write(os.path.join(tmp_path, "model.onnx"), "m")
    one = Case("test_add", "node", os.path.join(tmp_path, "model.onnx"), None, 1e-3, 1e-7)

    def key() -> str:
        return Cache(os.path.join(tmp_path, "results"), enabled=False).key(one, False, False)

    known = {key()}
    parts = {"compiler": "ab", "runtime": "c"}
    for name, text in parts.items():
        write(os.path.join(tmp_path, name), text)
    monkeypatch.setattr(tools, "tool", lambda name: os.path.join(tmp_path, "compiler"))
    known.add(key())
    monkeypatch.setattr(tools, "runtime_library", lambda: os.path.join(tmp_path, "runtime"))
    known.add(key())
    write(os.path.join(tmp_path, "compiler"), "a")
    write(os.path.join(tmp_path, "runtime"), "bc")
    known.add(key())
    import importlib.metadata

    version = importlib.metadata.version
    for package in ("onnx", "onnxruntime", "numpy"):
        monkeypatch.setattr(importlib.metadata, "version", lambda name, p=package: "0" if name == p else version(name))
        known.add(key())
    assert len(known) == 7
