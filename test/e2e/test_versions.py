"""--specialize, --force-static and --explain-regions."""

import os
import re

import numpy as np
import onnx
import pytest
from harness import compile_text, reference_outputs, run_program, text_model

from dsutil import tools
from dsutil.compare import error_of_scale

RNG = np.random.default_rng(8)
NET = (
    "float[N,S,16] x, float[16,16] w => float[N,S,16] y, float[N,S] z",
    "h = MatMul(x, w); r = Relu(h); a = Add(r, x); y = Softmax(a); m = Constant<value = int64[1] {2}>();"
    "z = ReduceMean<axes = [2], keepdims = 0>(a)",
)


def calls_of_kernels(program, arrays, folder):
    """How often each kernel of the table that --profile prints ran."""
    command = [program, "--profile"]
    os.makedirs(folder, exist_ok=True)
    for name, array in arrays.items():
        path = os.path.join(folder, f"{name}.npy")
        np.save(path, array)
        command += ["--input", f"{name}={path}"]
    result = tools.run(command, timeout=60)
    assert result.code == 0, result.stderr
    return dict(re.findall(r"^.*?(ds_k\d+)_\w+ +(.*)$", result.stdout, re.M))


def test_versions_agree_and_are_taken(tmp_path):
    program = compile_text(str(tmp_path), *NET, "--specialize=N=1,S=8", "--specialize", "S=4")
    model = text_model(*NET)
    kernels = {}
    for n, s in ((1, 8), (2, 8), (3, 4), (1, 4), (1, 7), (0, 4)):
        arrays = {
            "x": RNG.standard_normal((n, s, 16)).astype(np.float32),
            "w": RNG.standard_normal((16, 16)).astype(np.float32),
        }
        folder = os.path.join(tmp_path, f"{n}-{s}")
        result = run_program(program, arrays, folder)
        assert result.code == 0, result.stderr
        for name, expected in zip(("y", "z"), reference_outputs("onnxruntime", model, arrays), strict=True):
            found = np.load(os.path.join(folder, f"{name}.npy"))
            assert found.shape == expected.shape and error_of_scale(found, expected) <= 1e-5
        if n:
            kernels[n, s] = frozenset(calls_of_kernels(program, arrays, folder))
    # Three programs, which may have kernels in common: that of (1, 8), that of S=4, and the general one.
    assert kernels[1, 4] == kernels[3, 4] and kernels[1, 7] == kernels[2, 8]
    assert len({kernels[1, 8], kernels[3, 4], kernels[2, 8]}) == 3


def test_equal_weights_are_stored_once(tmp_path):
    def size(*flags):
        signature, body = "float[N,3,H,H] x => float[N,A,B,C] y", "y = Conv<pads=[1,1,1,1]>(x, w)"
        model = text_model(signature, body)
        weights = RNG.standard_normal((512, 3, 3, 3)).astype(np.float32)
        more = RNG.standard_normal((1024, 1024)).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
        model.graph.initializer.append(onnx.numpy_helper.from_array(more, "v"))
        model.graph.node.add(op_type="Identity", input=["y"], output=["u"])
        path = os.path.join(tmp_path, "m.onnx")
        onnx.save(model, path)
        result = tools.compile_model(path, os.path.join(tmp_path, "m"), *flags, timeout=300)
        assert result.code == 0, result.stderr
        return os.path.getsize(os.path.join(tmp_path, "m"))

    weight_bytes = 512 * 27 * 4
    assert size("--specialize=N=1") - size() < weight_bytes


def test_names_of_dimensions(tmp_path):
    path = os.path.join(tmp_path, "m.onnx")
    onnx.save(text_model(*NET), path)

    def message(*flags):
        result = tools.compile_model(path, os.path.join(tmp_path, "m"), *flags, timeout=300)
        assert result.code == 2, result.stderr
        return result.stderr

    assert "no input has a dynamic dimension 'Q'; there are N, S" in message("--specialize=Q=1")
    assert "expects NAME=SIZE, not 'N'" in message("--specialize=N")
    assert "given twice" in message("--specialize=N=1,x:0=1")
    assert "gives 'N' twice" in message("--specialize=N=1,N=2")
    result = tools.compile_model(path, os.path.join(tmp_path, "m"), "--specialize=x:0=1", timeout=300)
    assert result.code == 0, result.stderr


RESHAPE = ("float[N] x, int64[2] s => float[A,B] y", "h = Mul(x, x); r = Reshape(h, s); y = Neg(r)")


@pytest.fixture
def reshape(tmp_path):
    model = text_model(*RESHAPE)
    model.graph.node[1].name = "fold"
    path = os.path.join(tmp_path, "m.onnx")
    onnx.save(model, path)

    def compile(*flags):
        return tools.compile_model(path, os.path.join(tmp_path, "m"), *flags, timeout=300)

    return compile


def test_stated_values_are_checked(tmp_path, reshape):
    result = reshape("--force-static=fold=3,4", "--explain-regions")
    assert result.code == 0, result.stderr
    assert "compared with what was stated" in result.stdout
    x = RNG.standard_normal(12).astype(np.float32)
    program = os.path.join(tmp_path, "m")
    assert run_program(program, {"x": x, "s": np.array([3, 4])}, str(tmp_path)).code == 0
    assert error_of_scale(np.load(os.path.join(tmp_path, "y.npy")), -(x * x).reshape(3, 4)) <= 1e-6
    assert run_program(program, {"x": x, "s": np.array([-1, 4])}, str(tmp_path)).code == 0
    wrong = run_program(program, {"x": x, "s": np.array([4, 3])}, str(tmp_path))
    assert wrong.code == 1 and "'fold' (Reshape)" in wrong.stderr and "--force-static" in wrong.stderr


def test_stated_values_must_fit(reshape):
    for flag, part in (
        ("--force-static=fold=3", "gives 1 values; its sizes follow from 2"),
        ("--force-static=fold=3,-4", "not negative"),
        ("--force-static=fold", "expects NODE=NUMBER"),
        ("--force-static=other=1", "nothing about the node 'other' depends on data"),
    ):
        result = reshape(flag)
        assert result.code in (1, 2) and part in result.stderr, result.stderr


def test_explanation_names_nodes(reshape):
    result = reshape("--explain-regions")
    assert result.code == 0 and "node 'fold' (Reshape): sizes follow from 2 numbers" in result.stdout
    assert "--force-static='fold=NUMBER,...'" in result.stdout


BRANCH = (
    "float[N] x, bool c => float[M] y",
    "y = If(c) <then_branch = g () => (float[M] t) {t = Concat<axis=0>(x, x)},"
    " else_branch = h () => (float[M] e) {e = Neg(x)}>",
)


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_that_is_stated(tmp_path, taken):
    program = compile_text(str(tmp_path), *BRANCH, f"--force-static=If:y={int(taken)}")
    x = RNG.standard_normal(5).astype(np.float32)
    assert run_program(program, {"x": x, "c": np.array(taken)}, str(tmp_path)).code == 0
    assert np.array_equal(np.load(os.path.join(tmp_path, "y.npy")), np.concatenate([x, x]) if taken else -x)
    other = run_program(program, {"x": x, "c": np.array(not taken)}, str(tmp_path))
    assert other.code == 1 and "'If:y' (If)" in other.stderr and f"expected {int(taken)}" in other.stderr
