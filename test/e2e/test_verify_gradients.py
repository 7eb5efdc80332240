"""What utils/verify-gradients compares: the loss that it adds to a graph, and that a wrong gradient is noticed."""

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from harness import text_model
from onnx import numpy_helper

from dsutil import gradients, pytorch, tools
from dsutil.venv import ROOT

STEPS = (1e-5, 1e-7, 1e-8, 1e-9)


def network() -> onnx.ModelProto:
    """`k` is added to all classes alike in front of the softmax: nothing depends on it."""
    model = text_model(
        "float[N,6] x => float[N,3] y, int64[N] best, float[N,8] r",
        "h = MatMul(x, w); i = Add(h, b); r = Relu(i); p = MatMul(r, v); q = Add(p, k); y = Softmax<axis=1>(q); best = ArgMax<axis=1, keepdims=0>(y)",
    )
    rng = np.random.default_rng(3)
    for name, shape in (("w", (6, 8)), ("b", (8,)), ("v", (8, 3)), ("k", (1, 1))):
        model.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name))
    return model


def batch() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)}


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    folder = tmp_path_factory.mktemp("step")
    model = network()
    gradients.add_loss(model)
    onnx.save(model, folder / "model.onnx")
    flags = ["--train", f"--loss=output:name={gradients.LOSS}", "--optimizer=sgd", "--precision=fp64", "--emit=library"]
    compiled = tools.compile_model(str(folder / "model.onnx"), str(folder / "step.so"), *flags, timeout=300)
    assert compiled.code == 0, compiled.stderr
    made = gradients.Step(str(folder / "step.so"), threads=1)
    made.set_batch(batch())
    yield made
    made.close()


def test_the_loss_is_a_sum_of_all_floats(step):
    model = network()
    outputs = gradients.add_loss(model)
    assert outputs == ["y", "r"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    *values, loss = session.run([*outputs, gradients.LOSS], batch())
    expected = sum((value * gradients.factors(value.shape, i)).sum() for i, value in enumerate(values))
    assert abs(loss - expected) < 1e-5
    assert abs(step.gradients()[0] - expected) < 1e-5
    assert step.loss() == step.gradients()[0]


def test_gradients_agree_and_parameters_stay(step):
    differences = gradients.Differences(step, magnitude=10)
    before = [values.copy() for values in step.parameters()]
    assert differences.agreeing([0, 1, 2, 3], 0, 1e-5, STEPS).error <= 1e-5
    for i, name in enumerate(step.names):
        found = differences.agreeing([i], 0, 1e-5, STEPS)
        assert found.is_nothing == (name == "k")
        assert found.is_nothing or found.error <= 1e-5
    for values, was in zip(step.parameters(), before):
        np.testing.assert_array_equal(values, was)


def test_a_wrong_gradient_is_noticed(step):
    differences = gradients.Differences(step, magnitude=10)
    for i, name in enumerate(step.names):
        right = differences.gradients[i]
        differences.gradients[i] = right * (1 + 1e-3) + (1e-3 if name == "k" else 0)
        found = differences.agreeing([i], 0, 1e-5, STEPS)
        assert found.error > 1e-4 and not found.is_nothing, name
        assert differences.agreeing([0, 1, 2, 3], 0, 1e-5, STEPS).error > 1e-5, name
        differences.gradients[i] = right


def test_rounding_hides_no_wrong_gradient(step):
    """In the smallest of steps the loss's rounding is larger than a small gradient: what agrees there says nothing."""
    differences = gradients.Differences(step, magnitude=10)
    which = [step.names.index("b")]
    differences.gradients[which[0]] = np.zeros_like(differences.gradients[which[0]])
    differences.magnitude = 1e6
    found = differences.agreeing(which, 0, 1e-5, STEPS)
    assert found.is_below_noise or found.error > 1
    assert not found.is_nothing


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, os.path.join(ROOT, "utils", "verify-gradients"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_backend_tests():
    """A window whose cotangent is one number, inputs at kinks, floats that choose sizes, masks that are infinite, nothing to
    differentiate by, and half precision."""
    names = (
        "test_maxpool_2d_ceil_output_size_reduce_by_one", "test_clip_example", "test_resize_upsample_scales_linear",
        "test_attention_4d_attn_mask_bool_4d", "test_adam", "test_shape_example", "test_max_float16",
    )  # fmt: skip
    for flags in ((), ("--symbolic",)):
        result = run("--backend-tests", *names, "--explain", *flags)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "AGREES   test_clip_example:" in result.stdout and "AGREES   test_adam:" in result.stdout
        assert "LEFT OUT test_shape_example: no output of floats" in result.stdout
        assert "LEFT OUT test_max_float16: half precision" in result.stdout


def test_each_operator_has_a_counterpart_or_a_reason():
    """Of those that make floats: a new one of ONNX's cannot be forgotten."""
    kinds = {f"tensor({kind})" for kind in ("float", "double", "float16", "bfloat16")}
    kinds |= {f"seq({kind})" for kind in kinds}
    kinds |= {f"optional({kind})" for kind in kinds}
    operators = {
        schema.name
        for schema in onnx.defs.get_all_schemas()
        if not schema.domain and not schema.deprecated and any(kinds & set(output.types) for output in schema.outputs)
    }
    assert operators == set(pytorch.DIFFERENTIATED) | set(pytorch.NOT)
    assert not set(pytorch.DIFFERENTIATED) & set(pytorch.NOT)


def test_no_backend_test_of_such_a_name():
    result = run("--backend-tests", "test_of_nothing")
    assert result.returncode == 2 and "no backend test is of such a name or operator" in result.stderr


def test_the_command(tmp_path):
    path = tmp_path / "small.onnx"
    onnx.save(network(), path)
    command = [
        sys.executable,
        os.path.join(ROOT, "utils", "verify-gradients"),
        str(path),
        "--threads",
        "1",
        "--explain",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 without effect" in result.stdout
    assert result.stdout.rstrip().endswith("ok")
