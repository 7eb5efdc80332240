"""What utils/verify-models counts as agreement, and which sizes it tries."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper

from dsutil import modelinputs
from dsutil.compare import quanta
from dsutil.venv import ROOT

RNG = np.random.default_rng(3)


def test_quanta_of_integers():
    reference = RNG.integers(-100, 100, 1000).astype(np.int8)
    result = reference.copy()
    assert quanta(result, reference, 1e-4) == (0.0, True)
    result[:5] += 1
    result[5:8] -= 1
    assert quanta(result, reference, 1e-4) == (0.008, True)
    result[9] += 2
    assert quanta(result, reference, 1e-4) == (0.009, False)
    assert quanta(result.astype(np.int16), reference, 1e-4) == (1.0, False)
    assert quanta(result[:5], reference, 1e-4) == (1.0, False)
    wrapped = np.array([-128], np.int8)
    assert quanta(wrapped, np.array([127], np.int8), 1e-4) == (1.0, False)


def test_quanta_of_floats():
    reference = np.linspace(-1.27, 1.27, 1000).astype(np.float32)
    result = reference + np.float32(1e-5)
    assert quanta(result, reference, 1e-4) == (0.0, True)
    result[:3] += 0.0099
    assert quanta(result, reference, 1e-4) == (0.003, True)
    result[0] += 0.01
    assert quanta(result, reference, 1e-4) == (0.003, False)
    result[0] = np.nan
    assert quanta(result, reference, 1e-4)[1] is False
    both = np.array([np.nan, np.inf, 1], np.float32)
    assert quanta(both, both, 1e-4) == (0.0, True)
    assert quanta(np.array([True]), np.array([False]), 1e-4) == (1.0, False)


@pytest.mark.parametrize("names", [("?", "?"), ("", "unk__3"), ("N", "N")])
def test_batches_without_a_name_change_together(names):
    model = text_model("float[A,4] x, float[B,4] y => float[C,4] z", "n = Shape(x); r = Reshape(y, n); z = Add(x, r)")
    for value, name in zip(model.graph.input, names, strict=True):
        value.type.tensor_type.shape.dim[0].dim_param = name
    tried = modelinputs.variants(model, lambda arrays: len(arrays["x"]) == len(arrays["y"]))
    counts = [len(modelinputs.make_inputs(model, sizes, 0)["x"]) for sizes in tried]
    assert sorted(counts) == [1, 2, 3]


def quantized_model() -> onnx.ModelProto:
    """Quantized after a contraction whose order of summation decides ties."""
    body = "h = MatMul(x, w); i = QuantizeLinear(h, scale, zero); d = DequantizeLinear(i, scale, zero); y = Add(d, d)"
    model = text_model("float[N,64] x => float[N,96] y, int8[N,96] i", body)
    weights = RNG.integers(-8, 8, (64, 96)).astype(np.float32) / 16
    for name, array in (
        ("w", weights),
        ("scale", np.array(0.25, np.float32)),
        ("zero", np.array(3, np.int8)),
    ):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def test_quantized_models_agree(tmp_path):
    path = str(tmp_path / "quantized.onnx")
    onnx.save(quantized_model(), path)
    command = [sys.executable, os.path.join(ROOT, "utils", "verify-models"), path]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0 and "1 of 1 models agree" in result.stdout, result.stdout + result.stderr
