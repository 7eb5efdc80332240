"""A part of ONNX's own backend tests through ONNX's own runner. test/conformance runs all of them in processes of their own."""

import deepseek.onnx_backend
import numpy as np
import onnx.backend.test
import pytest
from onnx import helper

backend_test = onnx.backend.test.BackendTest(deepseek.onnx_backend, __name__)
for group in (
    "add", "and", "argmax_default_axis_example", "basic_conv_with_padding", "cast_FLOAT_to_DOUBLE", "clip_example",
    "concat_2d_axis_0", "gather_0", "gelu_tanh_1", "gemm_all_attributes", "layer_normalization_2d_axis0", "matmul_2d",
    "maxpool_2d_default", "relu", "softmax_example",
    "split_equal_parts_1d_opset13", "transpose_default", "where_example", "operator_mm", "Linear", "Softmax",
):  # fmt: skip
    backend_test.include(f"test_{group}_cpu$")
# Those that were not asked for would be counted as skipped, thousands of them.
for name, cases in backend_test.test_cases.items():
    for test in [test for test, function in vars(cases).items() if getattr(function, "__unittest_skip__", False)]:
        delattr(cases, test)
    globals()[name] = cases


def test_runs_one_node():
    node = helper.make_node("Add", ["a", "b"], ["c"])
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([1, 2, 3])
    (c,) = deepseek.onnx_backend.run_node(node, [a, b])
    np.testing.assert_array_equal(c, a + b)


def test_other_devices_are_refused():
    assert deepseek.onnx_backend.supports_device("CPU")
    assert not deepseek.onnx_backend.supports_device("CUDA:0")
    with pytest.raises(ValueError, match="CUDA"):
        deepseek.onnx_backend.prepare(onnx.ModelProto(), "CUDA")
