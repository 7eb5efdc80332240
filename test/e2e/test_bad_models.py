"""What ds-compile says to a model it cannot take: one line with what, where and a remedy; exit code 1; nothing left behind.
Of command lines: test_compile_command.py."""

import os
import re
import resource
import signal

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

from dsutil import tools


def matmul_model() -> onnx.ModelProto:
    model = text_model("float[N,4] x => float[N,3] y", "y = MatMul(x, w)")
    model.graph.node[0].name = "project"
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, 3), np.float32), "w"))
    return model


def external(location: str, offset: int | None = None, length: int | None = None) -> onnx.ModelProto:
    model = matmul_model()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, value in entries.items():
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    return model


def refuse(
    folder, content, *patterns: str, code: int = 1, name: str = "model.onnx", flags: tuple[str, ...] = ()
) -> str:
    """Compiles; checks the exit code, that one line matches every pattern, and that no file came of it."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    if content is not None:
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.SerializeToString())
    outputs = os.path.join(folder, "out")
    os.makedirs(outputs)
    result = tools.compile_model(path, os.path.join(outputs, "model"), *flags, timeout=60)
    assert result.code == code, (result.code, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    for pattern in patterns:
        assert re.search(pattern, lines[0]), f"no '{pattern}' in: {lines[0]}"
    assert os.listdir(outputs) == []
    return lines[0]


def test_missing_file(tmp_path):
    refuse(tmp_path, None, "absent.onnx", "error", name="absent.onnx")


def test_empty_file(tmp_path):
    refuse(tmp_path, b"", r"model\.onnx")


def test_text_instead_of_onnx(tmp_path):
    refuse(tmp_path, b"import torch\nprint('hello')\n" * 20, r"model\.onnx", "ONNX")


def test_folder_instead_of_file(tmp_path):
    os.makedirs(tmp_path / "folder.onnx")
    refuse(tmp_path, None, r"folder\.onnx", name="folder.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path, share):
    content = matmul_model().SerializeToString()
    refuse(tmp_path, content[: int(len(content) * share)], r"model\.onnx")


def test_all_unknown_operators_are_named(tmp_path):
    model = text_model("float[N] x => float[N] y", "a = Frobnicate(x); b = Quuxify(a); c = Relu(b); y = Frobnicate(c)")
    refuse(tmp_path, model, "Frobnicate", "Quuxify")


def test_unknown_domain(tmp_path):
    model = text_model("float[N] x => float[N] y", "y = Relu(x)")
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    refuse(tmp_path, model, r"com\.example", "Relu")


def test_wrong_type(tmp_path):
    model = matmul_model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((4, 3), np.int64), "w"))
    refuse(tmp_path, model, "project", "MatMul")


def test_type_that_the_operator_lacks(tmp_path):
    model = text_model("bool[N] x => bool[N] y", "y = Relu(x)")
    model.graph.node[0].name = "clamp"
    refuse(tmp_path, model, "clamp", "Relu")


def test_inconsistent_shapes(tmp_path):
    model = text_model("float[4,5] x, float[6,7] y => float[4,7] z", "z = MatMul(x, y)")
    model.graph.node[0].name = "multiply"
    refuse(tmp_path, model, "multiply", "MatMul", r"\b5\b", r"\b6\b")


def test_inconsistent_broadcast(tmp_path):
    model = text_model("float[4,5] x, float[4,7] y => float[4,7] z", "z = Add(x, y)")
    model.graph.node[0].name = "sum"
    refuse(tmp_path, model, "sum", "Add", r"\b5\b", r"\b7\b")


def test_input_of_no_one(tmp_path):
    model = text_model("float[N] x => float[N] y", "y = Add(x, ghost)")
    refuse(tmp_path, model, "ghost")


def test_output_of_no_one(tmp_path):
    model = text_model("float[N] x => float[N] y", "z = Neg(x)")
    refuse(tmp_path, model, "'?y'?")


def test_too_few_operands(tmp_path):
    model = text_model("float[N] x => float[N] y", "y = Add(x)")
    model.graph.node[0].name = "lonely"
    refuse(tmp_path, model, "lonely", "Add")


def test_cycle(tmp_path):
    model = text_model("float[N] x => float[N] y", "y = Add(x, z); z = Neg(y)")
    refuse(tmp_path, model, "'?z'?")


def test_missing_external_data(tmp_path):
    refuse(tmp_path, external("weights.bin"), r"weights\.bin", "'?w'?")


@pytest.mark.parametrize("location", ["../secret.bin", "a/../../secret.bin"])
def test_external_data_above_the_folder(tmp_path, location):
    (tmp_path / "models").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    refuse(tmp_path / "models", external(location), r"secret\.bin")


def test_external_data_by_absolute_path(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    refuse(tmp_path / "models", external(str(tmp_path / "secret.bin")), r"secret\.bin")


def test_external_data_by_link(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    os.symlink("../secret.bin", tmp_path / "models" / "weights.bin")
    refuse(tmp_path / "models", external("weights.bin"), r"weights\.bin")


def test_external_data_behind_a_linked_folder(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights.bin").write_bytes(bytes(48))
    os.symlink("../elsewhere", tmp_path / "models" / "data")
    refuse(tmp_path / "models", external("data/weights.bin"), r"weights\.bin")


@pytest.mark.parametrize("offset, length", [(0, 4), (40, 48), (-4, 48), (2**62, 48), (0, 2**62), ("x", 48)])
def test_external_data_of_the_wrong_length(tmp_path, offset, length):
    (tmp_path / "weights.bin").write_bytes(bytes(64))
    refuse(tmp_path, external("weights.bin", offset, length), "'?w'?")


def test_fewer_bytes_than_the_shape_says(tmp_path):
    model = matmul_model()
    model.graph.initializer[0].raw_data = bytes(20)
    refuse(tmp_path, model, "'?w'?", r"\b20\b", r"\b48\b")


def test_size_beyond_memory(tmp_path):
    model = matmul_model()
    model.graph.initializer[0].dims[:] = [2**40, 2**30]
    refuse(tmp_path, model, "'?w'?")


def test_negative_size(tmp_path):
    model = matmul_model()
    model.graph.initializer[0].dims[:] = [-4, -3]
    refuse(tmp_path, model, "'?w'?")


def test_negative_size_of_an_input(tmp_path):
    model = text_model("float[4] x => float[4] y", "y = Neg(x)")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -7
    refuse(tmp_path, model, "'?x'?")


def test_control_flow_that_recurses_deeply(tmp_path):
    graph = text_model("float[1] x => float[1] y", "y = Neg(x)").graph
    for _ in range(25):
        outer = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        outer.attribute[1].g.ClearField("node")
        graph = helper.make_graph([outer], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    graph.input.append(condition)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    refuse(tmp_path, model)


def test_all_unknown_operators_are_named_with_a_node_each(tmp_path):
    model = text_model("float[N] x => float[N] y", "a = Frobnicate(x); b = Quuxify(a); y = Frobnicate(b)")
    for node, name in zip(model.graph.node, ("frob1", "quux2", "frob3")):
        node.name = name
    refuse(tmp_path, model, r"Frobnicate \(2 nodes, e\.g\. 'frob1'\)", r"Quuxify \(1 node, 'quux2'\)")


# Small models that ask for unbounded work. Each ends with an error or is compiled, in bounded time and memory.


def local_model(functions: dict[str, list[tuple[str, str, str]]], nodes: list[tuple[str, str, str]]) -> onnx.ModelProto:
    """Functions of x that give y, of nodes (operator, inputs, outputs)."""
    own = [helper.make_opsetid("", 17), helper.make_opsetid("loc", 1)]

    def made(each):
        op, inputs, outputs = each
        return helper.make_node(op, inputs.split(), outputs.split(), domain="loc" if op in functions else "")

    protos = [
        helper.make_function("loc", name, ["x"], ["y"], [made(node) for node in body], own)
        for name, body in functions.items()
    ]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy"]
    graph = helper.make_graph([made(node) for node in nodes], "g", value[:1], value[1:])
    model = helper.make_model(graph, functions=protos, opset_imports=own)
    model.ir_version = 9
    return model


def test_functions_that_unfold_without_end(tmp_path):
    """Each of ten functions calls the next ten times: 10^10 nodes."""
    functions = {"f10": [("Neg", "x", "y")]}
    for level in reversed(range(10)):
        calls = [(f"f{level + 1}", f"v{i}" if i else "x", "y" if i == 9 else f"v{i + 1}") for i in range(10)]
        functions[f"f{level}"] = calls
    refuse(tmp_path, local_model(functions, [("f0", "x", "y")]), "unfolds to more than", r"loc\.f\d")


def test_functions_that_call_themselves(tmp_path):
    functions = {"a": [("b", "x", "y")], "b": [("Neg", "x", "u"), ("a", "u", "y")]}
    refuse(tmp_path, local_model(functions, [("a", "x", "y")]), r"'loc\.a' calls itself")


def test_functions_in_functions_without_end(tmp_path):
    """In an order in which each is met before those that it calls, and the other way round."""
    for number, order in enumerate((range(3000), reversed(range(3000)))):
        bodies = {f"f{i}": [(f"f{i + 1}" if i < 2999 else "Neg", "x", "y")] for i in range(3000)}
        folder = tmp_path / str(number)
        folder.mkdir()
        nodes = [(f"f{i}", "x", f"u{i}") for i in order]
        nodes.append(("Sum", " ".join(f"u{i}" for i in range(3000)), "y"))
        refuse(folder, local_model(bodies, nodes), "functions are nested more than 64 deep")


def test_graphs_in_graphs_of_text(tmp_path):
    """ONNX's text format has no bound of its own."""
    head = '<ir_version: 8, opset_import: ["" : 17]>\ng (float[1] x, bool c) => (float[1] y) {\n'
    body, tail = (
        "y = If(c) <then_branch = t () => (float[1] y) {",
        "}, else_branch = e () => (float[1] y) {y = Neg(x)}>",
    )
    for depth in (90, 10_000):
        folder = tmp_path / str(depth)
        folder.mkdir()
        text = head + body * depth + "y = Neg(x)" + tail * depth + "\n}\n"
        refuse(folder, text.encode(), "nested more than", name="model.onnxtxt")


@pytest.mark.parametrize(
    "signature, body, patterns",
    [
        ("int64[M] x => float[K] y", "y = TfIdfVectorizer<max_gram_length=2, max_skip_count=1099511627776, min_gram_length=2, mode=\"TF\", ngram_counts=[0,1], ngram_indexes=[0], pool_int64s=[2,3,4]>(x)", ["max_skip_count"]),
        ("float[N] x => float[K] y", "y = Split<num_outputs=1099511627776>(x)", ["num_outputs"]),
    ],
    ids=["skips", "parts"],
)  # fmt: skip
def test_counts_beyond_reason(tmp_path, signature, body, patterns):
    refuse(tmp_path, text_model(signature, body, 18), *patterns)


BIG = "b = Constant<value = int64[2] {1048576, 1048576}>();"
LONG = "b = Constant<value = int64[1] {1099511627776}>();"


@pytest.mark.parametrize(
    "signature, body",
    [
        ("float[N] x => float[K] y", LONG + "l = SplitToSequence(c, b); y = SequenceAt(l, z)"),
        ("float[N] x => int64[] y", LONG + "c = ConstantOfShape(b); l = SplitToSequence(c); y = SequenceLength(l)"),
        ("float[N] x => float[a,b] y", BIG + "y = ConstantOfShape(b)"),
        ("float[N] x => float[] y", BIG + "c = ConstantOfShape(b); y = ReduceSum<keepdims=0>(c)"),
        ("float[N] x => float[a,b] y", BIG + "c = ConstantOfShape(b); y = EyeLike(c)"),
        ("float[N] x => float[a,b] y", BIG + "v = Constant<value = float[1,1] {2}>(); c = Expand(v, b); y = Neg(c)"),
        ("float[N] x => float[a,b] y", BIG + "v = Constant<value = float[1,1] {2}>(); c = Tile(v, b); y = Neg(c)"),
        ("float[N] x => int64[K] y", "s = Constant<value = int64 {0}>(); e = Constant<value = int64 {1099511627776}>(); d = Constant<value = int64 {1}>(); y = Range(s, e, d)"),
        ("int64[N] x => float[a,b] y", "d = Constant<value = int64 {1099511627776}>(); v = Constant<value = float[2] {0, 1}>(); y = OneHot(x, d, v)"),
        ("float[1,1,3,3] x, float[1,1,1048576,1048576] w, float[1,2199023255552,3,3] o => float[a,b,c,d] y", "y = DeformConv(x, w, o)"),
        ("float[N] x => float[a] y", "b = Constant<value = int64[2] {4294967296, 4294967296}>(); c = ConstantOfShape(b); f = Constant<value = int64[1] {-1}>(); y = Reshape(c, f)"),
        ("float[N] x => float[a,b] y", "b = Constant<value = int64[2] {4294967296, 4294967296}>(); y = ConstantOfShape(b)"),
        ("float[4] x => float[a] y", "b = Constant<value = int64[2] {0, 1099511627776}>(); y = Pad(x, b)"),
    ],
    ids=["parts", "elements", "fill", "sum", "eye", "expand", "tile", "range", "onehot", "deform", "overflow", "overflow2", "pad"],
)  # fmt: skip
def test_tensors_beyond_reason(tmp_path, signature, body):
    """2^40 elements and more: they may be refused, or compiled (a run that needs the memory does not get it)."""
    if "SplitToSequence(c, b)" in body:
        body = body.replace("l =", "c = ConstantOfShape(b); z = Constant<value = int64 {0}>(); l =")
    path = tmp_path / "model.onnx"
    onnx.save(text_model(signature, body, 19), path)
    result = tools.compile_model(str(path), str(tmp_path / "model"), timeout=30)
    assert result.code in (0, 1), (result.code, result.stderr)
    assert result.peak_bytes < 1 << 30
    assert result.code == 0 or len(result.stderr.splitlines()) == 1


def test_unrolling_loops_in_loops_ends(tmp_path):
    """256^3 turns, known when the model is compiled."""
    body = [helper.make_node("Add", ["s", "s"], ["so"]), helper.make_node("Identity", ["c"], ["co"])]
    vi = helper.make_tensor_value_info
    for level in range(3):
        inputs = [vi("i", TensorProto.INT64, []), vi("c", TensorProto.BOOL, []), vi("s", TensorProto.FLOAT, [2])]
        graph = helper.make_graph(
            body, f"b{level}", inputs, [vi("co", TensorProto.BOOL, []), vi("so", TensorProto.FLOAT, [2])]
        )
        body = [
            helper.make_node("Loop", ["n", "", "s"], ["so"], body=graph),
            helper.make_node("Identity", ["c"], ["co"]),
        ]
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=graph)
    value = [vi(name, TensorProto.FLOAT, [2]) for name in "xy"]
    n = numpy_helper.from_array(np.int64(256), "n")
    model = helper.make_model(
        helper.make_graph([loop], "g", value[:1], value[1:], [n]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    onnx.save(model, tmp_path / "model.onnx")
    result = tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "model"), timeout=60)
    assert result.code == 0, result.stderr


def test_dead_nodes_of_a_function_cost_once(tmp_path):
    dead = [("Neg", "x", f"d{i}") for i in range(20_000)]
    nodes = [("f", f"y{i}" if i else "x", f"y{i + 1}" if i < 299 else "y") for i in range(300)]
    onnx.save(local_model({"f": [*dead, ("Relu", "x", "y")]}, nodes), tmp_path / "model.onnx")
    result = tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "model"), timeout=60)
    assert result.code in (0, 1), result.stderr


def test_data_dependent_rank_names_the_node(tmp_path):
    model = text_model("float[N] x, int64[K] s => float[a,b] y", "r = Reshape(x, s); y = Concat<axis=9>(r)")
    model.graph.node[0].name = "view"
    refuse(tmp_path, model, "view", "Reshape", "rank", "'s'", "axis 9 is out of range")


def test_branches_that_lead_nowhere_name_the_node(tmp_path):
    model = text_model(
        "float[N,M] x, bool c => float[N,M] y",
        "a = Constant<value = int64[1] {-1}>(); b = Constant<value = int64[3] {1,1,-1}>();"
        "y = If(c) <then_branch = g () => (float[P] t) {t = Reshape(x, a)},"
        " else_branch = h () => (float[P,Q,R] e) {e = Reshape(x, b)}>",
    )
    model.graph.node[2].name = "choose"
    refuse(tmp_path, model, "choose", "If", "neither branch", "would have rank 1", "would have rank 3")


def test_future_opset(tmp_path):
    model = text_model("float[N] x => float[N] y", "y = Relu(x)")
    model.opset_import[0].version = 99
    refuse(tmp_path, model, "99")


def test_full_disk_leaves_no_partial_file(tmp_path):
    # A bound on the size of files fails the write as a full disk does, and needs no file system of its own.
    model = matmul_model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((4, 200000), np.float32), "w"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 200000
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    outputs = tmp_path / "out"
    outputs.mkdir()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    result = tools.run([tools.tool("ds-compile"), str(path), "-o", str(outputs / "model")], preexec_fn=limit)
    assert result.code == 1, result.stderr
    assert result.stderr.strip()
    assert os.listdir(outputs) == []


def test_older_output_survives_a_failure(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"garbage" * 9)
    (tmp_path / "model").write_bytes(b"the old program")
    result = tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "model"))
    assert result.code == 1
    assert (tmp_path / "model").read_bytes() == b"the old program"


def test_ranks_that_nobody_can_take(tmp_path):
    """An artifact has room for 64 dimensions a tensor; analyses of more would take their time."""
    model = text_model("float[N] x => float[N] y", "y = Softmax(x)")
    for rank, dims in ((65, [1] * 65), (1000, [f"d{k}" for k in range(1000)])):
        wide = onnx.ModelProto.FromString(model.SerializeToString())
        wide.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, dims))
        refuse(tmp_path / str(rank), wide, f"input 'x' has {rank} dimensions; at most 64 are supported")
    axes = numpy_helper.from_array(np.arange(1, 65), "axes")
    made = helper.make_node("Unsqueeze", ["x", "axes"], ["wide"], name="widen")
    made = helper.make_graph(
        [made, helper.make_node("ReduceSum", ["wide"], ["y"])],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [axes],
    )  # fmt: skip
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    refuse(tmp_path / "made", made, "node 'widen'", "output 'wide' has 65 dimensions; at most 64")
    constant = matmul_model()
    constant.graph.initializer[0].dims[:] = [4, 3] + [1] * 63
    refuse(tmp_path / "constant", constant, "tensor 'w' has 65 dimensions; at most 64")


@pytest.mark.parametrize("name", [b"a\0b", b"a\xffb", b"\xc3"], ids=["zero", "no_utf8", "cut_utf8"])
@pytest.mark.parametrize("side", ["input", "output"])
def test_names_that_are_no_text(tmp_path, name, side):
    """Programs have names as C strings, Python as str."""
    old = {"input": b"first", "output": b"final"}
    content = text_model("float[N] first => float[N] final", "final = Softmax(first)").SerializeToString()
    stem = old[side][: -len(name)]
    content = content.replace(old[side], stem + name)
    refuse(tmp_path, content, f"the name of the {side} '.*\\\\x(00|FF|C3)", "no text")


def test_dims_whose_names_are_no_text(tmp_path):
    """Only shown, never asked for: they are taken with other characters."""
    content = text_model("float[Number] x => float[Number] y", "y = Softmax(x)").SerializeToString()
    (tmp_path / "model.onnx").write_bytes(content.replace(b"Number", b"Nu\0\xffer"))
    result = tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "model"), timeout=60)
    assert result.code == 0, result.stderr
    assert tools.run([str(tmp_path / "model"), "--help"]).code == 0


def test_references_to_attributes_of_no_function(tmp_path):
    model = text_model("float[N] x => float[N] y", "y = Softmax(x)")
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = "axis", "where", onnx.AttributeProto.INT
    refuse(tmp_path, model, "Softmax", "attribute 'axis' refers to the attribute 'where' of a function, .* in none")


def test_long_texts_are_cut(tmp_path):
    model = text_model("float[N] x => float[N] y", 'y = Einsum<equation="i->i">(x)')
    model.graph.node[0].attribute[0].s = b"i" * 1_000_000 + b"->\xc3\xa4" + b"\xc3\xa4" * 1000
    line = refuse(tmp_path, model, "Einsum", r"more \.\.\.\]")
    assert len(line) < 2500


def operators() -> dict[str, onnx.ModelProto]:
    """A model of each operator of ONNX: the last of its backend tests that has a single node."""
    found = {}
    for test in load_model_tests(kind="node"):
        path = os.path.join(test.model_dir or "", "model.onnx")
        if os.path.exists(path):
            model = onnx.load(path)
            if len(model.graph.node) == 1:
                found[model.graph.node[0].domain + model.graph.node[0].op_type] = model
    return found


def with_rank(model: onnx.ModelProto, numbers: list[int], rank: int) -> onnx.ModelProto:
    """The inputs of these numbers have that rank, and the outputs any shape."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for number in numbers:
        shape = changed.graph.input[number].type.tensor_type.shape
        sizes = ([dim.dim_value for dim in shape.dim] + [2] * rank)[:rank]
        del shape.dim[:]
        for size in sizes:
            shape.dim.add().dim_value = size
    for output in changed.graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    return changed


def test_operators_of_other_ranks(tmp_path):
    """Each operator imports or is refused with a line, whatever ranks its inputs have."""
    models = operators()
    assert len(models) > 150
    path, faults = str(tmp_path / "model.onnx"), []
    for name, model in models.items():
        tensors = [i for i, value in enumerate(model.graph.input) if value.type.HasField("tensor_type")]
        for numbers in [*([i] for i in tensors), tensors]:
            for rank in (0, 1, 5):
                onnx.save(with_rank(model, numbers, rank), path)
                result = tools.compile_model(path, str(tmp_path / "out.mlir"), "--stop-after=import", timeout=60)
                if result.code not in (0, 1):
                    faults.append(f"{name}, inputs {numbers} of rank {rank}: {result.message()}")
    assert not faults, "\n".join(faults)
