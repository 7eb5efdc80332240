"""Training in half precision, against NumPy in float64 that rounds where products take and give numbers.

The step's own rule (docs/Training.md): operands and results of products are bf16 or f16, all else is f32. Sums may be in another
order, and what continues from a result in the same kernel takes it before it is rounded: tolerances are some steps of the
half-precision type."""

import ctypes
import json
import os
import struct
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from test_train_program import LAST, read_checkpoint, same_bits

from dsutil import tools

BATCH, STEPS = 6, 5
EPSILON = {"bf16": 2.0**-8, "fp16": 2.0**-11}  # half a step at 1


def round_half(x, precision: str):
    """To the nearest number of the type, of two to the even one; float64 in and out."""
    x = np.asarray(x, np.float32)
    if precision == "fp16":
        with np.errstate(over="ignore"):
            return x.astype(np.float16).astype(np.float64)
    bits = x.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isfinite(x), rounded, x).astype(np.float64)


def network(folder, features: int, hidden: int, outputs: int) -> tuple[str, dict[str, np.ndarray]]:
    """x -> MatMul, Add -> Tanh -> Gemm: both forms of a linear layer."""
    rng = np.random.default_rng(3)
    weights = {
        "a_weight": rng.standard_normal((features, hidden)) / np.sqrt(features),
        "a_bias": rng.standard_normal(hidden) * 0.1,
        "b_weight": rng.standard_normal((outputs, hidden)) / np.sqrt(hidden),
        "b_bias": rng.standard_normal(outputs) * 0.1,
    }
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    model = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[N,{features}] x) => (float[N,{outputs}] y) {{
          p = MatMul(x, a_weight)
          h = Add(p, a_bias)
          t = Tanh(h)
          y = Gemm<transB = 1>(t, b_weight, b_bias)
        }}"""
    )
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    path = str(folder / "model.onnx")
    onnx.save(model, path)
    return path, {name: value.astype(np.float64) for name, value in weights.items()}


def gradients(w, x, target, precision: str, scale: float = 1.0):
    """Loss (mse), and gradients of the scaled loss divided by the scale."""
    half = lambda value: round_half(value, precision)  # noqa: E731
    with np.errstate(over="ignore", invalid="ignore"):
        x16, a16, b16 = half(x), half(w["a_weight"]), half(w["b_weight"])
        t = np.tanh(half(x16 @ a16) + w["a_bias"])
        t16 = half(t)
        y = half(t16 @ b16.T) + w["b_bias"]
        difference = y - target
        g = 2 * difference / y.size * scale
        g16 = half(g)
        dt = half(g16 @ b16)
        dh = dt * (1 - t * t)
        dh16 = half(dh)
        found = {
            "a_weight": half(x16.T @ dh16),
            "a_bias": dh.sum(0),
            "b_weight": half(g16.T @ t16),
            "b_bias": g.sum(0),
        }
    return (difference**2).mean(), {name: value / scale for name, value in found.items()}


def compile_step(folder, model: str, precision: str, *flags: str) -> str:
    program = str(folder / "train")
    compiled = tools.compile_model(model, program, "--train", f"--precision={precision}", *flags, timeout=300)
    assert compiled.code == 0, compiled.stderr
    return program


def run(folder, *flags: object, code: int = 0) -> list[dict]:
    command = [str(folder / "train"), "--data", str(folder / "data.npz"), "--no-shuffle", *map(str, flags)]
    result = tools.run(command, timeout=200)
    assert result.code == code, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()] if code == 0 else result.stderr


def relative(found, expected) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def cpu_flags() -> set[str]:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return set(next((line for line in file if line.startswith("flags")), "").split())


def cpus() -> list[str]:
    """CPUs of which this machine is one, with AMX where it has it, and without."""
    flags = cpu_flags()
    known = {"x86-64-v3": "avx2", "x86-64-v4": "avx512bw"}
    return ["native", *(cpu for cpu, flag in known.items() if flag in flags)]


@pytest.mark.parametrize("cpu", cpus())
@pytest.mark.parametrize("precision", EPSILON)
@pytest.mark.parametrize(
    "rows,features,hidden,outputs", [(6, 5, 7, 4), (33, 32, 64, 32), (50, 70, 65, 33), (128, 96, 160, 40)]
)
def test_gradients(rows, features, hidden, outputs, precision, cpu, tmp_path):
    """Fewer rows and columns than a tile, whole tiles, and some more; depths that are odd and such that are not."""
    model, weights = network(tmp_path, features, hidden, outputs)
    rng = np.random.default_rng(rows)
    x, target = rng.standard_normal((rows, features)), rng.standard_normal((rows, outputs))
    np.savez(tmp_path / "data.npz", x=x.astype(np.float32), target=target.astype(np.float32))
    compile_step(tmp_path, model, precision, "--loss=mse", "--optimizer=sgd:lr=0.1", f"--target-cpu={cpu}")
    lines = run(tmp_path, f"--batch-size={rows}", "--dump-gradients", tmp_path / "g.npz")
    x, target = x.astype(np.float32).astype(np.float64), target.astype(np.float32).astype(np.float64)
    loss, expected = gradients(weights, x, target, precision, 65536.0 if precision == "fp16" else 1.0)
    step = EPSILON[precision]
    assert abs(lines[0]["loss"] / loss - 1) < step
    exact = gradients_exact(weights, x, target)
    with np.load(tmp_path / "g.npz") as found:
        for name, value in expected.items():
            gradient = found["grad." + name]
            assert gradient.dtype == np.float32
            assert relative(gradient, value) < 3 * step, name
            assert relative(gradient, exact[name]) < 8 * step, name


def gradients_exact(w, x, target):
    t = np.tanh(x @ w["a_weight"] + w["a_bias"])
    g = 2 * (t @ w["b_weight"].T + w["b_bias"] - target) / target.size
    dh = (g @ w["b_weight"]) * (1 - t * t)
    return {"a_weight": x.T @ dh, "a_bias": dh.sum(0), "b_weight": g.T @ t, "b_bias": g.sum(0)}


class Adam:
    def __init__(self, rate: float):
        self.rate, self.number, self.kept = rate, 0, {}

    def step(self, weights, found):
        self.number += 1
        for name, g in found.items():
            m, v = self.kept.get(name, (0, 0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            self.kept[name] = m, v
            first, second = 1 - 0.9**self.number, 1 - 0.999**self.number
            weights[name] = weights[name] - self.rate / first * m / (np.sqrt(v / second) + 1e-8)


def data_of(folder, features: int, outputs: int, samples: int = BATCH * STEPS, size: float = 1.0):
    """With large targets inputs are small: what overflows then is the loss's own gradient, which is a product's operand and
    rounded in any case."""
    rng = np.random.default_rng(1)
    x, target = (
        rng.standard_normal((samples, features)) * (0.01 if size > 1 else 1),
        rng.standard_normal((samples, outputs)) * size,
    )
    x, target = x.astype(np.float32), target.astype(np.float32)
    np.savez(folder / "data.npz", x=x, target=target)
    return x.astype(np.float64), target.astype(np.float64)


@pytest.mark.parametrize("precision", EPSILON)
def test_weights_are_single_precision(precision, tmp_path):
    """Updates far below the distance of two numbers of the half-precision type add up."""
    model, weights = network(tmp_path, 9, 12, 5)
    x, target = data_of(tmp_path, 9, 5)
    compile_step(tmp_path, model, precision, "--loss=mse", "--optimizer=sgd:lr=1e-5")
    run(tmp_path, f"--batch-size={BATCH}", "--checkpoint-dir", tmp_path / "c")
    state = read_checkpoint(tmp_path / "c" / (LAST % STEPS))[0]
    scale = 65536.0 if precision == "fp16" else 1.0
    now = dict(weights)
    for at in range(0, len(x), BATCH):
        found = gradients(now, x[at : at + BATCH], target[at : at + BATCH], precision, scale)[1]
        now = {name: value - 1e-5 * found[name] for name, value in now.items()}
    for name, value in now.items():
        assert state[name].dtype == np.float32
        change, expected = state[name] - weights[name].astype(np.float32), value - weights[name]
        # Each update is rounded to f32, half a step of the largest weight at most.
        assert np.abs(change - expected).max() < STEPS * 2.0**-24 * np.abs(value).max() + 0.02 * np.abs(expected).max()


def test_steps_that_overflow_are_skipped(tmp_path):
    """As PyTorch's GradScaler: nothing but the scale changes, and Adam's bias corrections do not count the step."""
    model, weights = network(tmp_path, 9, 12, 5)
    x, target = data_of(tmp_path, 9, 5, BATCH * 8, size=300)
    compile_step(tmp_path, model, "fp16", "--loss=mse", "--optimizer=adam:lr=0.01")
    lines = run(tmp_path, f"--batch-size={BATCH}", "--check-nan", "--checkpoint-dir", tmp_path / "c")
    adam, scale, scales, losses, skipped, good = Adam(0.01), 65536.0, [], [], 0, 0
    for at in range(0, len(x), BATCH):
        loss, found = gradients(weights, x[at : at + BATCH], target[at : at + BATCH], "fp16", scale)
        if all(np.isfinite(value).all() for value in found.values()):
            adam.step(weights, found)
            good += 1
        else:
            scale, skipped, good = scale / 2, skipped + 1, 0
        scales.append(scale)
        losses.append(loss)
    assert 0 < skipped < 8  # what is tested takes place
    assert [line["scale"] for line in lines] == scales
    np.testing.assert_allclose([line["loss"] for line in lines], losses, rtol=1e-3)
    state = read_checkpoint(tmp_path / "c" / (LAST % 8))[0]
    names = ("loss_scale", "loss_scale.good_steps", "loss_scale.skipped_steps")
    assert [float(state[name]) for name in names] == [scale, good, skipped]
    for name, value in weights.items():
        np.testing.assert_allclose(state[name], value, atol=2e-3)


def test_the_scale_grows_after_2000_steps(tmp_path):
    model, _ = network(tmp_path, 3, 4, 2)
    data_of(tmp_path, 3, 2, 4)
    compile_step(tmp_path, model, "fp16", "--loss=mse", "--optimizer=sgd:lr=0")
    lines = run(tmp_path, "--batch-size=4", "--steps=2003")
    assert {line["scale"] for line in lines[:1999]} == {65536} and {line["scale"] for line in lines[1999:]} == {131072}


@pytest.mark.parametrize("flags", ([], ["--accumulate=2"]))
def test_resumes_bit_equal(flags, tmp_path):
    """With steps that are skipped on both sides of the stop, and any number of threads."""
    model, _ = network(tmp_path, 9, 12, 5)
    data_of(tmp_path, 9, 5, BATCH * 8, size=3000)
    compile_step(tmp_path, model, "fp16", "--loss=mse", "--optimizer=adam:lr=0.01")
    flags = [f"--batch-size={BATCH}", *flags, "--epochs=2"]
    whole = run(tmp_path, *flags, "--threads=1", "--checkpoint-dir", tmp_path / "whole")
    parts = run(tmp_path, *flags, "--threads=2", "--steps=3", "--checkpoint-dir", tmp_path / "parts")
    parts += run(
        tmp_path, *flags, "--threads=2", "--resume", tmp_path / "parts", "--checkpoint-dir", tmp_path / "parts"
    )
    assert [(line["loss"], line["scale"]) for line in parts] == [(line["loss"], line["scale"]) for line in whole]
    assert whole[2]["scale"] > whole[4]["scale"]  # skipped after the stop, too
    last = LAST % len(whole)
    assert same_bits(tmp_path / "whole" / last, tmp_path / "parts" / last)


def test_accumulated_batches_are_one_large_one(tmp_path):
    model, weights = network(tmp_path, 9, 12, 5)
    x, target = data_of(tmp_path, 9, 5, BATCH * 6, size=300)
    compile_step(tmp_path, model, "fp16", "--loss=mse", "--optimizer=adam:lr=0.01")
    lines = run(tmp_path, f"--batch-size={BATCH}", "--accumulate=2", "--epochs=3")
    adam, scale = Adam(0.01), 65536.0
    for line, number in zip(lines, range(9)):
        batches = [slice(at, at + BATCH) for at in (number % 3 * 2 * BATCH, (number % 3 * 2 + 1) * BATCH)]
        found = [gradients(weights, x[part], target[part], "fp16", scale) for part in batches]
        with np.errstate(invalid="ignore"):
            mean = {name: (found[0][1][name] + found[1][1][name]) / 2 for name in weights}
        assert abs(line["loss"] / ((found[0][0] + found[1][0]) / 2) - 1) < 1e-3
        if all(np.isfinite(value).all() for value in mean.values()):
            adam.step(weights, mean)
        else:
            scale /= 2
        assert line["scale"] == scale
    assert adam.number < 9 and scale < 65536


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    """The forward pass overflows: no scale helps, and the parameters are what they were."""
    model, weights = network(tmp_path, 9, 12, 5)
    x, target = data_of(tmp_path, 9, 5)
    x[BATCH + 2, 3], x[BATCH + 2, 4] = 1e30, -1e30  # infinite in f16
    np.savez(tmp_path / "data.npz", x=x.astype(np.float32), target=target.astype(np.float32))
    compile_step(tmp_path, model, "fp16", "--loss=mse", "--optimizer=sgd:lr=0")
    flags = [f"--batch-size={BATCH}", "--checkpoint-every=1", "--checkpoint-dir", tmp_path / "c"]
    assert "the loss of step 2 is NaN" in run(tmp_path, *flags, code=1)
    state = read_checkpoint(tmp_path / "c" / (LAST % 1))[0]
    assert all(np.array_equal(state[name], value.astype(np.float32)) for name, value in weights.items())
    assert "NaN begins here" in run(tmp_path, f"--batch-size={BATCH}", "--check-nan", code=1)


@pytest.mark.parametrize("precision", EPSILON)
def test_exports_single_precision(precision, tmp_path):
    """Evaluation computes in half precision; the exported model in that of its weights, float32."""
    model, _ = network(tmp_path, 9, 12, 5)
    x, target = data_of(tmp_path, 9, 5)
    compile_step(tmp_path, model, precision, "--loss=mse", "--optimizer=adam:lr=0.01")
    flags = [f"--batch-size={BATCH}", "--eval-data", tmp_path / "data.npz", "--export", tmp_path / "out.onnx"]
    evaluated = run(tmp_path, *flags)[-1]["eval_loss"]
    graph = onnx.load(tmp_path / "out.onnx").graph
    assert {tensor.data_type for tensor in graph.initializer} == {onnx.TensorProto.FLOAT}
    assert {node.op_type for node in graph.node} == {"MatMul", "Add", "Tanh", "Gemm"}
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"), providers=["CPUExecutionProvider"])
    y = session.run(None, {"x": x.astype(np.float32)})[0]
    assert abs(evaluated / ((y - target) ** 2).mean() - 1) < 4 * EPSILON[precision]


def conv_network() -> onnx.ModelProto:
    """Convolutions of channels in groups, dilated, strided, transposed; what is between them."""
    rng = np.random.default_rng(2)
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 17]>
        g (float[N,3,12,12] x) => (float[N,8] y) {
          a = Conv<kernel_shape = [3,3], pads = [1,1,1,1]>(x, wa, ba)
          b = Relu(a)
          c = Conv<kernel_shape = [3,3], strides = [2,2], group = 2, pads = [1,1,1,1]>(b, wc)
          d = Sigmoid(c)
          e = Conv<kernel_shape = [3,3], dilations = [2,2], group = 16, pads = [2,2,2,2]>(d, we)
          f = ConvTranspose<kernel_shape = [2,2], strides = [2,2]>(e, wf)
          p = GlobalAveragePool(f)
          y = Flatten(p)
        }"""
    )
    sizes = {"wa": (16, 3, 3, 3), "ba": (16,), "wc": (16, 8, 3, 3), "we": (16, 1, 3, 3), "wf": (16, 8, 2, 2)}
    model.graph.initializer.extend(
        numpy_helper.from_array((rng.standard_normal(size) / np.sqrt(np.prod(size[1:]))).astype(np.float32), name)
        for name, size in sizes.items()
    )
    return model


def attention_network() -> onnx.ModelProto:
    """Four heads of eight, as exporters write them."""
    rng = np.random.default_rng(2)
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 17]>
        g (float[N,20,32] x) => (float[N,20,32] y) <int64[4] heads = {0, 20, 4, 8}, int64[3] whole = {0, 20, 32}, float scale = {0.35}> {
          q0 = MatMul(x, wq)
          q1 = Reshape(q0, heads)
          q = Transpose<perm = [0,2,1,3]>(q1)
          k0 = MatMul(x, wk)
          k1 = Reshape(k0, heads)
          k = Transpose<perm = [0,2,3,1]>(k1)
          v0 = MatMul(x, wv)
          v1 = Reshape(v0, heads)
          v = Transpose<perm = [0,2,1,3]>(v1)
          s0 = MatMul(q, k)
          s = Mul(s0, scale)
          p = Softmax<axis = -1>(s)
          o0 = MatMul(p, v)
          o1 = Transpose<perm = [0,2,1,3]>(o0)
          o = Reshape(o1, whole)
          z = MatMul(o, wo)
          y = Add(x, z)
        }"""
    )
    model.graph.initializer.extend(
        numpy_helper.from_array((rng.standard_normal((32, 32)) / 5).astype(np.float32), name)
        for name in ("wq", "wk", "wv", "wo")
    )
    return model


@pytest.mark.parametrize("precision", EPSILON)
@pytest.mark.parametrize("network", (conv_network, attention_network))
def test_close_to_double_precision(network, precision, tmp_path):
    """Gradients beside those of the same model in float64 (test_gradients.py compares those with differences)."""
    model = network()
    path = str(tmp_path / "model.onnx")
    onnx.save(model, path)
    rng = np.random.default_rng(4)
    samples = 4
    dims = [samples, *(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:])]
    target = [samples, *(d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim[1:])]
    x, t = rng.standard_normal(dims), rng.standard_normal(target)
    found = {}
    for kind, dtype in (("fp64", np.float64), (precision, np.float32)):
        np.savez(tmp_path / "data.npz", x=x.astype(np.float32).astype(dtype), target=t.astype(np.float32).astype(dtype))
        compile_step(tmp_path, path, kind, "--loss=mse")
        run(tmp_path, f"--batch-size={samples}", "--dump-gradients", tmp_path / f"{kind}.npz")
        with np.load(tmp_path / f"{kind}.npz") as arrays:
            found[kind] = dict(arrays)
    for name, value in found["fp64"].items():
        error = relative(found[precision][name], value)
        assert error < 8 * EPSILON[precision], name
        assert error > EPSILON[precision] / 64, f"{name} is as exact as if nothing were half"


def test_half_precision_is_for_training(tmp_path):
    model, _ = network(tmp_path, 3, 4, 2)
    result = tools.compile_model(model, str(tmp_path / "m"), "--precision=bf16")
    assert result.code == 2 and "--precision=bf16 is for training" in result.stderr
    assert not os.path.exists(tmp_path / "m")


def refuse_tiles() -> None:
    """Has arch_prctl(ARCH_REQ_XCOMP_PERM) fail, by a filter of system calls that the process and its children keep."""
    load, equal, answer = 0x20, 0x15, 0x06
    program = [
        (load, 0, 0, 0),  # the call's number
        (equal, 0, 3, 158),
        (load, 0, 0, 16),  # its first argument
        (equal, 0, 1, 0x1023),
        (answer, 0, 0, 0x00050001),  # EPERM
        (answer, 0, 0, 0x7FFF0000),  # allowed
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None).prctl
    if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.c_void_p(ctypes.addressof(filters)), 0, 0):
        os._exit(99)


@pytest.mark.skipif("amx_bf16" not in cpu_flags(), reason="needs a CPU with AMX")
def test_tiles_that_the_system_forbids(tmp_path):
    """A message with a way out, of the node that needs them; f16, which needs none, trains."""
    model, _ = network(tmp_path, 32, 64, 32)
    data_of(tmp_path, 32, 32, 64)
    for precision in EPSILON:
        program = compile_step(tmp_path, model, precision, "--loss=mse", "--optimizer=sgd:lr=0.1")
        command = [program, "--data", str(tmp_path / "data.npz"), "--batch-size=64"]
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=refuse_tiles
        )
        if precision == "fp16":
            assert result.returncode == 0, result.stderr
            continue
        assert result.returncode == 1
        assert "(MatMul)" in result.stderr and "matrix tiles (AMX); compile for a CPU without them" in result.stderr
