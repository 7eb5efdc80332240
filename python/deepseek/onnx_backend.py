"""ONNX's Backend interface, so that `onnx.backend.test` and other tools run models on ds.

import onnx.backend.test, deepseek.onnx_backend
backend_test = onnx.backend.test.BackendTest(deepseek.onnx_backend, __name__)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, shape_inference
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from . import compile_onnx
from ._model import Model


def _is_sequence(info: onnx.ValueInfoProto) -> bool:
    return info.type.WhichOneof("value") in ("sequence_type", "optional_type")


def _is_optional(info: onnx.ValueInfoProto) -> bool:
    return info.type.WhichOneof("value") == "optional_type"


def sequence_to_arrays(values: Any, info: onnx.ValueInfoProto) -> tuple[np.ndarray, np.ndarray]:
    """A sequence of tensors as a compiled model takes it: the elements one after another, and a row with the dims of each. An
    optional tensor is a sequence of one, or (None) of nothing."""
    if _is_optional(info):
        values = [] if values is None else [values]
    element = getattr(info.type, info.type.WhichOneof("value")).elem_type.tensor_type
    arrays = [np.asarray(value, helper.tensor_dtype_to_np_dtype(element.elem_type)) for value in values]
    rank = arrays[0].ndim if arrays else len(element.shape.dim)
    data = (
        np.concatenate([a.ravel() for a in arrays])
        if arrays
        else np.empty(0, helper.tensor_dtype_to_np_dtype(element.elem_type))
    )
    return data, np.array([a.shape for a in arrays], np.int64).reshape(len(arrays), rank)


def arrays_to_sequence(data: np.ndarray, shapes: np.ndarray) -> list[np.ndarray]:
    """The reverse."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(data, ends), shapes)]


class DeepSeekRep(BackendRep):
    """A compiled model. `run` takes the inputs in order or by name, or one array where there is one input. Sequences are
    lists of arrays, optionals arrays or None."""

    def __init__(self, model: Model, proto: onnx.ModelProto | None = None):
        self.model = model
        constants = {tensor.name for tensor in proto.graph.initializer} if proto else set()
        self.inputs = [info for info in proto.graph.input if info.name not in constants] if proto else []
        self.outputs = list(proto.graph.output) if proto else []

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        sequences = {info.name: info for info in self.inputs if _is_sequence(info)}
        if isinstance(inputs, Mapping):
            arrays = {}
            for name, value in inputs.items():
                if name in sequences:
                    arrays[name + ".data"], arrays[name + ".shapes"] = sequence_to_arrays(value, sequences[name])
                else:
                    arrays[name] = value
            results = self.model(**arrays)
        elif isinstance(inputs, (list, tuple)):
            flat: list[Any] = []
            for index, value in enumerate(inputs):
                info = self.inputs[index] if index < len(self.inputs) else None
                flat += sequence_to_arrays(value, info) if info is not None and _is_sequence(info) else [value]
            results = self.model(*flat)
        else:
            results = self.model(inputs)
        results = results if isinstance(results, tuple) else (results,)
        if not any(_is_sequence(info) for info in self.outputs):
            return results
        rest = iter(results)
        outputs = []
        for info in self.outputs:
            output: Any = next(rest)
            if _is_sequence(info):
                output = arrays_to_sequence(output, next(rest))
                if _is_optional(info):
                    output = output[0] if output else None
            outputs.append(output)
        return tuple(outputs)


class DeepSeekBackend(Backend):
    """Compiles with `compile_onnx`; keyword arguments of `prepare` are its options."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> DeepSeekRep:
        if not cls.supports_device(device):
            raise ValueError(f"device {device!r} is not supported; expected 'CPU'")
        return DeepSeekRep(compile_onnx(model, **kwargs), model if isinstance(model, onnx.ModelProto) else None)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        super().run_node(node, inputs, device, outputs_info, opset_version=version)
        arrays = inputs.values() if isinstance(inputs, Mapping) else inputs
        arrays = [np.asarray(a) for a in (arrays if not isinstance(arrays, np.ndarray) else [arrays])]
        names = [name for name in node.input if name]
        values = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays)
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        if outputs_info is not None:
            outputs = [
                helper.make_tensor_value_info(out.name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                for out, (dtype, shape) in zip(outputs, outputs_info)
            ]
        graph = helper.make_graph([node], "node", values, outputs)
        opsets = [helper.make_opsetid(node.domain, version)]
        model = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=opsets))
        return cls.prepare(model, device, **kwargs).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return Device(device).type == DeviceType.CPU


is_compatible = DeepSeekBackend.is_compatible
prepare = DeepSeekBackend.prepare
run_model = DeepSeekBackend.run_model
run_node = DeepSeekBackend.run_node
supports_device = DeepSeekBackend.supports_device
