"""Values of a model as the arrays that a compiled one takes and gives.

A tensor is itself. The parts of the others have names of their own:

    a sequence             x.data, x.shapes             the elements one after another, and a row with the dims of each; rows of
                                                        elements of different rank are filled up with -1
    an optional tensor     x.data, x.shapes             a sequence of one, or of nothing
    an optional sequence   x.data, x.shapes, x.present  and whether it is there
    a tensor of any rank   x.data, x.shape              its elements, and its dims
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper


def _inside(type_proto: onnx.TypeProto) -> onnx.TypeProto.Tensor:
    """The type of the tensors in a value."""
    kind = type_proto.WhichOneof("value")
    if kind in ("sequence_type", "optional_type"):
        return _inside(getattr(type_proto, kind).elem_type)
    return type_proto.tensor_type


def _is_optional_sequence(type_proto: onnx.TypeProto) -> bool:
    return (
        type_proto.WhichOneof("value") == "optional_type"
        and type_proto.optional_type.elem_type.WhichOneof("value") == "sequence_type"
    )


def to_arrays(value: Any, info: onnx.ValueInfoProto, names: Collection[str]) -> dict[str, Any]:
    """The arrays of one input (an array, a list of arrays, or None), by name; `names` are those of the model's inputs."""
    if info.name in names:
        return {info.name: value}
    dtype = helper.tensor_dtype_to_np_dtype(_inside(info.type).elem_type)
    if info.name + ".shape" in names:
        array = np.asarray(value, dtype)
        return {info.name + ".data": array.ravel(), info.name + ".shape": np.array(array.shape, np.int64)}
    if info.name + ".data" not in names:
        return {info.name: value}  # the model says what is wrong
    arrays = {}
    if _is_optional_sequence(info.type):
        arrays[info.name + ".present"] = np.array(value is not None)
        value = [] if value is None else value
    elif info.type.WhichOneof("value") == "optional_type":
        value = [] if value is None else [value]
    elements = [np.asarray(element, dtype) for element in value]
    declared = len(_inside(info.type).shape.dim)
    rank = max([declared, *(e.ndim for e in elements)])
    arrays[info.name + ".data"] = np.concatenate([np.empty(0, dtype), *(element.ravel() for element in elements)])
    rows = [list(e.shape) + [-1] * (rank - e.ndim) for e in elements]
    arrays[info.name + ".shapes"] = np.array(rows, np.int64).reshape(len(rows), -1 if rows else rank)
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray], info: onnx.ValueInfoProto) -> Any:
    """The value of one output, of the model's outputs by name."""
    name = info.name
    if name in arrays:
        return arrays[name]
    data = arrays[name + ".data"]
    if name + ".shape" in arrays:
        return data.reshape(arrays[name + ".shape"])
    shapes = [tuple(size for size in row if size >= 0) for row in arrays[name + ".shapes"]]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    values = [part.reshape(shape) for part, shape in zip(np.split(data, ends), shapes)]
    if name + ".present" in arrays:
        return values if arrays[name + ".present"] else None
    if info.type.WhichOneof("value") == "optional_type":
        return values[0] if values else None
    return values
