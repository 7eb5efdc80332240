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
from ._values import from_arrays, to_arrays


class DeepSeekRep(BackendRep):
    """A compiled model. `run` takes the inputs in order or by name, or one array where there is one input. Sequences are
    lists of arrays, optionals what is in them or None."""

    def __init__(self, model: Model, proto: onnx.ModelProto | None = None):
        self.model = model
        constants = {tensor.name for tensor in proto.graph.initializer} if proto else set()
        self.inputs = [info for info in proto.graph.input if info.name not in constants] if proto else []
        self.outputs = list(proto.graph.output) if proto else []

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        names = {info.name for info in self.model.inputs}
        if isinstance(inputs, Mapping):
            infos = {info.name: info for info in self.inputs}
            arrays = {}
            for name, value in inputs.items():
                arrays.update(to_arrays(value, infos[name], names) if name in infos else {name: value})
            results = self.model(**arrays)
        elif isinstance(inputs, (list, tuple)) and len(inputs) == len(self.inputs):
            arrays = {}
            for value, info in zip(inputs, self.inputs):
                arrays.update(to_arrays(value, info, names))
            results = self.model(**arrays)
        elif isinstance(inputs, (list, tuple)):
            results = self.model(*inputs)
        else:
            results = self.model(inputs)
        results = results if isinstance(results, tuple) else (results,)
        if not self.outputs:
            return results
        named = {info.name: array for info, array in zip(self.model.outputs, results)}
        return tuple(from_arrays(named, info) for info in self.outputs)


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
