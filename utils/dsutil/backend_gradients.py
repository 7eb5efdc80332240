"""ONNX's backend tests as models that can be trained: what they take are parameters, so that their gradients can be compared.

Assumes: a model as the onnx package carries it, and the inputs of one of its data sets.
Guarantees: the changed model computes what the test's does. Each input of floats x that can be differentiated by is
made of a parameter `x.values` (sequences of floats: of one for each element), by a Reshape alone; outputs are tensors.
Declines (LeftOut): models without floats to differentiate, or by which."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

from . import gradients

OLDEST = 11  # whose Range makes the loss's factors
# Inputs of floats that decide sizes, types and probabilities: no framework differentiates by them. ONNX's schemas say
# "non-differentiable" of more (initial states of recurrent layers, grids, window functions), by which PyTorch differentiates.
CHOICES = {
    ("Resize", "roi"), ("Resize", "scales"), ("Upsample", "scales"), ("Dropout", "ratio"), ("CastLike", "target_type"),
    ("OneHot", "indices"), ("OneHot", "depth"), ("MelWeightMatrix", "num_mel_bins"), ("Size", "data"), ("Shape", "data"),
}  # fmt: skip


class LeftOut(Exception):
    """The test has no gradients to compare; the text says why."""


@dataclasses.dataclass
class Trainable:
    model: onnx.ModelProto
    outputs: list[str]  # the floats that the loss is made of
    data: dict[str, object]  # inputs that stay: values as ONNX's tests have them
    expected: list[np.ndarray]  # of `outputs`, by the test
    fixed: list[str]  # inputs of floats that are choices
    is_half: bool  # parameters or outputs are of half precision, which rounds away what differences are made of


def is_float(kind: onnx.TypeProto) -> bool:
    which = kind.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return is_float(getattr(kind, which).elem_type)
    return which == "tensor_type" and kind.tensor_type.elem_type in gradients.FLOATS


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those of its branches and loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {entry.domain: entry.version for entry in model.opset_import}


def schema_of(node: onnx.NodeProto, versions: dict[str, int]) -> defs.OpSchema | None:
    try:
        return defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
    except defs.SchemaError:
        return None


def is_choice(model: onnx.ModelProto, name: str) -> bool:
    """Whether all nodes that take the value take it as one of CHOICES."""
    versions = opsets(model)
    for graph in graphs(model.graph):
        if any(output.name == name for output in graph.output):
            return False
        for node in graph.node:
            schema = schema_of(node, versions)
            for i, given in enumerate(node.input):
                if given != name:
                    continue
                if schema is None or not schema.inputs:
                    return False
                formal = schema.inputs[min(i, len(schema.inputs) - 1)]
                if (node.op_type, formal.name) not in CHOICES:
                    return False
    return True


def raise_opset(model: onnx.ModelProto) -> None:
    """To the oldest that has what the loss is made of, where none of the nodes means another operator then."""
    if "" not in opsets(model):
        model.opset_import.append(helper.make_opsetid("", 17))
    for entry in model.opset_import:
        if entry.domain or entry.version >= OLDEST:
            continue
        for graph in graphs(model.graph):
            for node in graph.node:
                then = defs.get_schema(node.op_type, OLDEST).since_version
                if not node.domain and then > entry.version:
                    raise LeftOut(f"{node.op_type} of operator set {entry.version}, and the loss is of {OLDEST}")
        entry.version = OLDEST


class _Maker:
    def __init__(self, model: onnx.ModelProto):
        self.model = model
        self.first: list[onnx.NodeProto] = []
        self.last: list[onnx.NodeProto] = []

    def parameter(self, name: str, value: np.ndarray, kind: int, symbolic: bool, data: dict) -> None:
        """`name` becomes a value that is made of a parameter."""
        graph = self.model.graph
        flat = numpy_helper.from_array(np.ascontiguousarray(value).ravel(), name + ".values")
        flat.data_type = kind
        graph.initializer.append(flat)
        if symbolic:  # dims that the run alone knows: those of an input
            like = name + ".like"
            dims = [f"{name}_{axis}" for axis in range(value.ndim)]
            graph.input.append(helper.make_tensor_value_info(like, TensorProto.BOOL, dims))
            self.first.append(helper.make_node("Shape", [like], [name + ".dims"], name=name + ".dims"))
            data[like] = np.zeros(value.shape, bool)
        else:
            graph.initializer.append(numpy_helper.from_array(np.array(value.shape, np.int64), name + ".dims"))
        allows_zero = {"allowzero": 1} if opsets(self.model).get("", 1) >= 14 and 0 in value.shape else {}
        self.first.append(helper.make_node("Reshape", [flat.name, name + ".dims"], [name], name=name, **allows_zero))

    def constant(self, name: str, value: int) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    def parts(self, output: onnx.ValueInfoProto, expected, found: list) -> None:
        """The tensors of an output and what the test expects of them."""
        kind = output.type.WhichOneof("value")
        if kind == "tensor_type":
            found.append((output, np.asarray(expected)))
            return
        inner = getattr(output.type, kind).elem_type
        if kind == "optional_type":
            if expected is None:
                return
            part = helper.make_value_info(output.name + ".element", inner)
            self.last.append(helper.make_node("OptionalGetElement", [output.name], [part.name], name=part.name))
            self.parts(part, expected, found)
            return
        for i, element in enumerate(expected):
            at = self.constant(f"{output.name}.at{i}", i)
            part = helper.make_value_info(f"{output.name}.{i}", inner)
            self.last.append(helper.make_node("SequenceAt", [output.name, at], [part.name], name=part.name))
            self.parts(part, element, found)


def make(test: onnx.ModelProto, inputs: list, expected: list, symbolic: bool) -> Trainable:
    model = onnx.ModelProto()
    model.CopyFrom(test)
    graph = model.graph
    if not any(is_float(output.type) for output in graph.output):
        raise LeftOut("no output of floats")
    raise_opset(model)
    maker = _Maker(model)
    constants = {tensor.name for tensor in graph.initializer}
    given = [info for info in graph.input if info.name not in constants]
    data: dict[str, object] = {}
    fixed, kept, trained = [], [], 0
    for info, value in zip(given, inputs):
        kind = info.type.WhichOneof("value")
        if not is_float(info.type) or value is None:
            data[info.name] = value
            kept.append(info)
        elif is_choice(model, info.name):
            fixed.append(info.name)
            data[info.name] = value
            kept.append(info)
        elif kind == "tensor_type":
            element = info.type.tensor_type.elem_type
            maker.parameter(info.name, value, element, symbolic, data)
            trained += value.size
        elif kind == "sequence_type":
            element = info.type.sequence_type.elem_type.tensor_type.elem_type
            names = [f"{info.name}.{i}" for i in range(len(value))]
            for name, part in zip(names, value):
                maker.parameter(name, np.asarray(part), element, symbolic, data)
                trained += part.size
            if not names:
                raise LeftOut("an empty sequence")
            maker.first.append(helper.make_node("SequenceConstruct", names, [info.name], name=info.name))
        else:
            raise LeftOut(f"an input of type {kind}")
    if trained == 0:
        raise LeftOut("no floats to differentiate by" + (f" (but {', '.join(fixed)})" if fixed else ""))
    added = [info for info in graph.input if info.name.endswith(".like")]
    if symbolic:
        for index, info in enumerate(kept):
            if info.type.WhichOneof("value") == "tensor_type":
                for axis, dim in enumerate(info.type.tensor_type.shape.dim):
                    dim.dim_param = f"in{index}_{axis}"
        del graph.value_info[:]
    statistics = {
        name for node in graph.node if node.op_type == "BatchNormalization" for name in list(node.output)[1:]
    }  # state of a model that trains, and no values of it
    rows = [
        (info, values)
        for info, values in zip(graph.output, expected)
        if is_float(info.type) and info.name not in statistics
    ]
    del graph.input[:]
    graph.input.extend([*kept, *added])
    parts: list = []
    for info, values in rows:
        maker.parts(info, values, parts)
    nodes = [*maker.first, *graph.node, *maker.last]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.output[:]
    for info, _ in parts:
        if symbolic:
            info.type.tensor_type.ClearField("shape")
        graph.output.append(info)
    outputs = gradients.add_loss(model)
    halves = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    is_half = any(info.type.tensor_type.elem_type in halves for info, _ in parts) or any(
        tensor.data_type in halves for tensor in graph.initializer
    )
    return Trainable(model, outputs, data, [values for _, values in parts], fixed, is_half)
