"""Functions of a model: what a call gets is its own. Two functions, or two calls, that differ in one thing compute
different things; random models through functions agree with ONNX Runtime."""

import os

import numpy as np
import onnx
import pytest
from harness import reference_outputs, run_program
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

from dsutil import tools
from dsutil.compare import error_of_scale

OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("loc", 1)]


def constant(name: str, value, raw: bool = True) -> onnx.NodeProto:
    value = np.asarray(value)
    if raw:
        tensor = numpy_helper.from_array(value)
    else:
        dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
        tensor = helper.make_tensor("", dtype, value.shape, value.ravel().tolist())
    return helper.make_node("Constant", [], [name], value=tensor)


def function(name: str, inputs, outputs, nodes, attributes=(), defaults=(), overload: str = "") -> onnx.FunctionProto:
    made = helper.make_function("loc", name, inputs, outputs, nodes, OPSETS, list(attributes), list(defaults))
    if overload:
        made.overload = overload
    return made


def call(name: str, inputs, outputs, **attributes) -> onnx.NodeProto:
    return helper.make_node(name, inputs, outputs, domain="loc", **attributes)


def refer(node: onnx.NodeProto, name: str, to: str, kind: int) -> onnx.NodeProto:
    """Adds an attribute that refers to one of the function around."""
    node.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=to, type=kind))
    return node


def model_of(nodes, functions, inputs, outputs, weights=()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    model = helper.make_model(graph, functions=list(functions), opset_imports=OPSETS)
    model.ir_version = 10
    return model


def tensor(name: str, *dims, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(dims))


def agree(
    folder, model: onnx.ModelProto, arrays: dict[str, np.ndarray], tolerance: float = 1e-5, expected=None
) -> None:
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    compiled = tools.compile_model(path, os.path.join(folder, "model"), timeout=120)
    assert compiled.code == 0, compiled.stderr
    out = os.path.join(folder, "out")
    result = run_program(os.path.join(folder, "model"), arrays, out)
    assert result.code == 0, result.stderr
    if expected is None:
        expected = reference_outputs("onnxruntime", model, arrays)
    for output, wanted in zip(model.graph.output, expected, strict=True):
        found = np.load(os.path.join(out, tools.output_file(output.name)))
        assert found.shape == wanted.shape and found.dtype == wanted.dtype, output.name
        error = error_of_scale(found, wanted)
        assert error <= tolerance, f"'{output.name}' differs by {error:.1e} of its scale"


# Pairs of constants that differ in one thing; both are called `c` in functions that are alike otherwise.
RAMP = np.arange(400, dtype=np.float32)
PAIRS = {
    "value": (np.float32(1), np.float32(2)),
    "dims": (np.ones((1, 2), np.float32), np.ones((2, 1), np.float32)),
    "type": (np.arange(2, dtype=np.int64), np.arange(2, dtype=np.int32)),
    "sign of zero": (np.float32([0.0, 1.0]), np.float32([-0.0, 1.0])),
    "one of 100 values": (RAMP[:100], np.concatenate([RAMP[:99], [-1]]).astype(np.float32)),
    "one of 400 values": (RAMP, np.concatenate([RAMP[:399], [-1]]).astype(np.float32)),
    "dims of 400 values": (RAMP.reshape(20, 20), RAMP.reshape(1, 400)),
    "type of 400 values": (RAMP.astype(np.int32), RAMP.view(np.int32)),
    "bits as another type": (RAMP, RAMP.view(np.int32)),
    "length": (RAMP[:300], RAMP[:301]),
}


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("difference", PAIRS)
def test_functions_whose_constants_differ_in_one_thing(tmp_path, difference, raw):
    functions, nodes, outputs = [], [], []
    for name, value in zip("ab", PAIRS[difference]):
        body = [constant("c", value, raw), helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT)]
        body += [helper.make_node("ReduceSum", ["d"], ["s"], keepdims=0)]
        body += [helper.make_node("Reciprocal", ["d"], ["r"]), helper.make_node("Mul", ["s", "x"], ["y"])]
        functions.append(function(name, ["x"], ["y", "c", "r"], body))
        nodes.append(call(name, ["x"], ["y" + name, "c" + name, "r" + name]))
        kind = helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)
        outputs += [tensor("y" + name, "N"), tensor("c" + name, *np.shape(value), kind=kind)]
        outputs += [tensor("r" + name, *np.shape(value))]
    with np.errstate(all="ignore"):
        agree(tmp_path, model_of(nodes, functions, [tensor("x", "N")], outputs), {"x": np.float32([1, -2, 3])})


# What ONNX itself defines by functions, twice with other attributes or types: bodies that are made for a node and freed.
TWICE = {
    "attributes": (
        "NegativeLogLikelihoodLoss",
        ["x", "t"],
        [{"reduction": "none"}, {"reduction": "mean"}, {"reduction": "sum"}],
    ),
    "ignored index": ("SoftmaxCrossEntropyLoss", ["x", "t"], [{"ignore_index": 0}, {"ignore_index": 1}, {}]),
    "a float": ("Celu", ["x"], [{"alpha": 1.0}, {"alpha": 0.5}, {"alpha": 2.0}]),
    "a threshold": ("Shrink", ["x"], [{"lambd": 0.1}, {"lambd": 0.5}, {"bias": 0.3}]),
    "axes": ("MeanVarianceNormalization", ["z"], [{"axes": [0]}, {"axes": [1, 2]}, {"axes": [0, 2]}]),
    "an axis": ("LogSoftmax", ["x"], [{"axis": 0}, {"axis": 1}]),
}


@pytest.mark.parametrize("what", TWICE)
def test_operators_with_bodies_occur_twice(tmp_path, what):
    op, inputs, variants = TWICE[what]
    nodes = [helper.make_node(op, inputs, [f"y{i}"], **attributes) for i, attributes in enumerate(variants)]
    outputs = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(len(variants))]
    for output in outputs:
        output.type.tensor_type.elem_type = TensorProto.FLOAT
    inputs = [tensor("x", 3, 4), tensor("t", 3, kind=TensorProto.INT64), tensor("z", 2, 3, 4)]
    model = onnx.shape_inference.infer_shapes(model_of(nodes, [], inputs, outputs))
    rng = np.random.default_rng(3)
    arrays = {"x": rng.standard_normal((3, 4)).astype(np.float32), "t": np.array([0, 3, 1])}
    arrays["z"] = rng.standard_normal((2, 3, 4)).astype(np.float32)
    agree(tmp_path, model, arrays)


def backend_tests_of_bodies() -> dict[str, list[tuple[onnx.ModelProto, str]]]:
    """ONNX's own tests of operators that it defines by functions, by operator and version: what they have of one node, of types
    that NumPy has, and of no chance."""
    found: dict[str, list[tuple[onnx.ModelProto, str]]] = {}
    for test in load_model_tests(kind="node"):
        if "_expanded" in test.name or "bernoulli" in test.name or test.model_dir is None:
            continue
        model = onnx.load(os.path.join(test.model_dir, "model.onnx"))
        (node, *more), version = model.graph.node, model.opset_import[0].version
        schema = onnx.defs.get_schema(node.op_type, version, node.domain) if not node.domain else None
        infos = [*model.graph.input, *model.graph.output]
        types = [helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type) for info in infos
                 if info.type.HasField("tensor_type")]  # fmt: skip
        usual = len(types) == len(infos) and all(dtype.isbuiltin == 1 and dtype.kind in "fiub" for dtype in types)
        if schema and not more and usual and (schema.has_function or schema.has_context_dependent_function):
            found.setdefault(f"{node.op_type}-{version}", []).append((model, test.model_dir))
    return found


BODIES = backend_tests_of_bodies()


@pytest.mark.parametrize("what", BODIES)
def test_operators_with_bodies_beside_each_other(tmp_path, what):
    """Up to eight of the tests in one model: each body is made for its node, and none is taken for another's."""
    nodes, infos, arrays, expected = [], ([], [], []), {}, []
    for i, (model, folder) in enumerate((BODIES[what] * 2)[:8]):
        one = onnx.compose.add_prefix(model, f"c{i}_")
        nodes += one.graph.node
        for into, more in zip(infos, (one.graph.input, one.graph.output, one.graph.initializer), strict=True):
            into += more

        def read(kind: str, number: int, folder=folder) -> np.ndarray:
            return numpy_helper.to_array(onnx.load_tensor(f"{folder}/test_data_set_0/{kind}_{number}.pb"))

        arrays |= {info.name: read("input", number) for number, info in enumerate(one.graph.input)}
        expected += [read("output", number) for number in range(len(one.graph.output))]
    graph = helper.make_graph(nodes, "g", *infos)
    joined = helper.make_model(graph, opset_imports=BODIES[what][0][0].opset_import, ir_version=10)
    agree(tmp_path, joined, arrays, tolerance=1e-3, expected=expected)


def test_attributes_by_reference(tmp_path):
    """Given, by default, or not at all; through a function in between; in a graph; under another name."""
    kind = onnx.AttributeProto
    leaky = refer(helper.make_node("LeakyRelu", ["x"], ["l"]), "alpha", "slope", kind.FLOAT)
    shift = refer(helper.make_node("Constant", [], ["c"]), "value_float", "shift", kind.FLOAT)
    inner = function(
        "inner", ["x"], ["y"], [leaky, shift, helper.make_node("Add", ["l", "c"], ["y"])],
        ["slope"], [helper.make_attribute("shift", 0.25)],
    )  # fmt: skip
    passed = refer(refer(call("inner", ["x"], ["i"]), "slope", "shift", kind.FLOAT), "shift", "slope", kind.FLOAT)
    branches = []
    for name, to in (("then_branch", "shift"), ("else_branch", "slope")):
        value = refer(helper.make_node("Constant", [], ["v"]), "value_float", to, kind.FLOAT)
        branches.append(
            helper.make_graph([value, helper.make_node("Mul", ["i", "v"], ["m"])], name, [], [tensor("m", None)])
        )
    choice = helper.make_node("If", ["b"], ["y"], then_branch=branches[0], else_branch=branches[1])
    outer = function("outer", ["x", "b"], ["y"], [passed, choice], ["slope"], [helper.make_attribute("shift", 2.0)])
    nodes = [
        call("inner", ["x"], ["a"]),
        call("inner", ["x"], ["b"], slope=0.5),
        call("inner", ["x"], ["c"], slope=0.5, shift=1.0),
        call("outer", ["x", "t"], ["d"], slope=0.75),
        call("outer", ["x", "t"], ["e"], slope=0.75, shift=3.0),
    ]
    inputs = [tensor("x", "N"), tensor("t", kind=TensorProto.BOOL)]
    model = model_of(nodes, [inner, outer], inputs, [tensor(name, "N") for name in "abcde"])
    for taken in (True, False):
        folder = tmp_path / str(taken)
        folder.mkdir()
        agree(folder, model, {"x": np.float32([-2, -1, 0, 1]), "t": np.array(taken)})


def test_inputs_that_a_call_leaves_out(tmp_path):
    """They are absent for the function's nodes, those in a graph included, and in the next call they are there."""
    nodes = [helper.make_node("Clip", ["x", "low", "high"], ["y"])]
    clip = function("clip", ["x", "low", "high"], ["y"], nodes)
    calls = [call("clip", ["x", "l"], ["a"]), call("clip", ["x", "", "h"], ["b"]), call("clip", ["x", "l", "h"], ["c"])]
    weights = [numpy_helper.from_array(np.float32(-1), "l"), numpy_helper.from_array(np.float32(1), "h")]
    model = model_of(calls, [clip], [tensor("x", "N")], [tensor(name, "N") for name in "abc"], weights)
    agree(tmp_path, model, {"x": np.float32([-3, -0.5, 0.5, 3])})


def test_values_of_the_same_name(tmp_path):
    """`c` of the graph, of a function, and of a function that it calls, are three values."""
    inner = function("inner", ["a"], ["b"], [constant("c", np.float32(3)), helper.make_node("Mul", ["a", "c"], ["b"])])
    nodes = [constant("c", np.float32(5)), call("inner", ["c"], ["d"]), helper.make_node("Add", ["a", "c"], ["e"])]
    outer = function("outer", ["a"], ["b"], [*nodes, helper.make_node("Mul", ["e", "d"], ["b"])])
    graph = [constant("c", np.float32(7)), call("outer", ["x"], ["d"]), call("inner", ["d"], ["e"])]
    graph += [helper.make_node("Sub", ["e", "c"], ["y"])]
    agree(tmp_path, model_of(graph, [inner, outer], [tensor("x", "N")], [tensor("y", "N")]), {"x": np.float32([1, 2])})


def test_a_body_called_a_thousand_times(tmp_path):
    """With a large constant that is typed, and ten thousand nodes that nothing uses: neither is copied for a call."""
    dead = [helper.make_node("Neg", ["x" if i == 0 else f"d{i}"], [f"d{i + 1}"]) for i in range(10_000)]
    body = [constant("c", np.ones((500, 400), np.float32), raw=False), *dead]
    body += [helper.make_node("Gather", ["c", "i"], ["r"]), helper.make_node("Gather", ["r", "i"], ["e"])]
    body += [constant("i", np.int64(3))]
    body = [body[-1], *body[:-1], helper.make_node("Add", ["x", "e"], ["y"])]
    nodes = [call("f", [f"y{i}" if i else "x"], [f"y{i + 1}"]) for i in range(1000)]
    model = model_of(nodes, [function("f", ["x"], ["y"], body)], [tensor("x", 3)], [tensor("y1000", 3)])
    # ONNX Runtime copies the ten million nodes.
    agree(tmp_path, model, {"x": np.float32([1, 2, 3])}, expected=[np.float32([1001, 1002, 1003])])


class RandomModel:
    """Functions f0, f1, ... of tensors [N, 4], in which names, constants and attributes are alike on purpose."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng([41, seed])
        self.functions: list[onnx.FunctionProto] = []
        self.attributes: list[list[str]] = []

    def value(self) -> np.ndarray:
        shape = [(), (4,), (1, 4), (1,)][self.rng.integers(4)]
        return (self.rng.integers(-3, 4, shape) / 2).astype(np.float32)

    def attribute(self, node: onnx.NodeProto, name: str, given: list[str]) -> None:
        if given and self.rng.random() < 0.6:
            refer(node, name, str(self.rng.choice(given)), onnx.AttributeProto.FLOAT)
        else:
            node.attribute.append(helper.make_attribute(name, float(self.rng.integers(1, 5)) / 4))

    def body(self, names: list[str], count: int, given: list[str], depth: int = 0) -> list[onnx.NodeProto]:
        """Nodes that add names v0, v1, ... to `names`; graphs in them use those of outside."""
        nodes = []
        for _ in range(count):
            kind = self.rng.integers(7)
            a, b = (str(self.rng.choice(names)) for _ in range(2))
            new = f"v{len(names)}" if depth == 0 else f"w{depth}_{len(names)}"
            if kind == 0:
                nodes += [constant("k" + new, self.value(), raw=bool(self.rng.integers(2)))]
                nodes += [helper.make_node(str(self.rng.choice(["Add", "Mul"])), [a, "k" + new], [new])]
            elif kind == 1:
                node = helper.make_node("LeakyRelu", [a], [new])
                self.attribute(node, "alpha", given)
                nodes.append(node)
            elif kind == 2:
                node = helper.make_node("Constant", [], ["k" + new])
                self.attribute(node, "value_float", given)
                nodes += [node, helper.make_node("Sub", [a, "k" + new], [new])]
            elif kind == 3 and self.functions:
                which = int(self.rng.integers(len(self.functions)))
                node = call(self.functions[which].name, [a, b], [new])
                for name in self.attributes[which]:
                    if self.rng.random() < 0.7:
                        self.attribute(node, name, given)
                nodes.append(node)
            elif kind == 4 and depth < 2:
                graphs = []
                for branch in range(2):
                    inside = list(names)
                    made = self.body(inside, 2, given, depth + 1 + branch)
                    graphs.append(helper.make_graph(made, f"b{branch}", [], [tensor(inside[-1], None, 4)]))
                nodes += [helper.make_node("ReduceSum", [a], ["s" + new], keepdims=0)]
                nodes += [
                    constant("z" + new, np.float32(0)),
                    helper.make_node("Less", ["s" + new, "z" + new], ["c" + new]),
                ]
                nodes += [helper.make_node("If", ["c" + new], [new], then_branch=graphs[0], else_branch=graphs[1])]
            else:
                nodes.append(helper.make_node(str(self.rng.choice(["Add", "Sub", "Max"])), [a, b], [new]))
            names.append(new)
        return nodes

    def make(self) -> onnx.ModelProto:
        for number in range(int(self.rng.integers(2, 5))):
            names = ["x", "y"]
            defaults = [
                helper.make_attribute(name, float(self.rng.integers(1, 9)) / 8)
                for name in ("p", "q")
                if self.rng.random() < 0.7
            ]
            given = [attribute.name for attribute in defaults]
            nodes = self.body(names, int(self.rng.integers(2, 6)), given)
            self.functions.append(function(f"f{number}", ["x", "y"], [names[-1]], nodes, (), defaults))
            self.attributes.append(given)
        names = ["x", "y"]
        nodes = []
        for _ in range(3):
            nodes += self.body(names, 2, [])
            nodes.append(call(self.functions[-1].name, names[-2:], [f"r{len(names)}"]))
            names.append(f"r{len(names)}")
        outputs = [tensor(name, "N", 4) for name in names[2:]]
        return model_of(nodes, self.functions, [tensor("x", "N", 4), tensor("y", "N", 4)], outputs)


@pytest.mark.parametrize("seed", range(30))
def test_random_models(tmp_path, seed):
    model = RandomModel(seed).make()
    onnx.checker.check_model(model)
    rng = np.random.default_rng(seed)
    arrays = {name: (rng.integers(-8, 9, (3, 4)) / 4).astype(np.float32) for name in "xy"}
    agree(tmp_path, model, arrays)
