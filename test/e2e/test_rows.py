"""Rows that end within a vector: nothing behind them is read or written, whatever the types. Each tensor lies between guard
pages, and with three threads neighbouring rows are computed at the same time."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dsutil import runtime, tools

TYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint32", "uint16", "uint8")
LENGTHS = (1, 9, 17, 25, 33, 35, 65)
RNG = np.random.default_rng(1)


def kind(name: str) -> int:
    return getattr(TensorProto, {"float64": "DOUBLE", "float32": "FLOAT"}.get(name, name.upper()))


@pytest.mark.parametrize("source", TYPES)
def test_casts_of_rows(source, tmp_path):
    """A row that has an operand of its own (v) is a loop of its own."""
    nodes, inputs, outputs = [], [helper.make_tensor_value_info("v", kind(source), ["N", 1])], []
    for length in LENGTHS:
        inputs.append(helper.make_tensor_value_info(f"x{length}", kind(source), ["N", length]))
        nodes.append(helper.make_node("Add", [f"x{length}", "v"], [f"s{length}"]))
        for to in TYPES:
            name = f"{to}_{length}"
            outputs.append(helper.make_tensor_value_info(name, kind(to), ["N", length]))
            nodes.append(helper.make_node("Cast", [f"s{length}"], [name], to=kind(to)))
    graph = helper.make_graph(nodes, "casts", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path, library = str(tmp_path / "model.onnx"), str(tmp_path / "model.so")
    onnx.save(model, path)
    assert tools.compile_model(path, library, "--emit=library", timeout=120).code == 0
    for threads in (1, 3):
        with runtime.Model(library, threads=threads, guard=True) as program:
            for count in (1, 64):
                arrays = {
                    name: RNG.integers(0, 60, (count, 1 if name == "v" else int(name[1:]))).astype(source)
                    for name in program.inputs
                }
                results = dict(zip(program.outputs, program.run([arrays[name] for name in program.inputs])))
                for name, result in results.items():
                    to, length = name.split("_")
                    expected = (arrays[f"x{length}"] + arrays["v"]).astype(to)
                    assert np.array_equal(result, expected), (name, threads, count)
