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
