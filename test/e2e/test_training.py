"""Training steps that ds-compile makes of ONNX models, against NumPy in float64.

The network is small, its derivative written by hand; all that a step adds to it (losses, optimizers, normalization's state) is
compared over several steps."""

import json
import math
import os
import re
import zlib

import deepseek as ds
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_train_program import LAST, read_checkpoint, same_bits
from training_step import philox

from dsutil import tools

RNG = np.random.default_rng(11)
STEPS, BATCH, FEATURES, HIDDEN, CLASSES = 6, 5, 7, 9, 4


def network(folder, norm: bool = False, float_targets: bool = False) -> tuple[str, dict[str, np.ndarray]]:
    """x -> Gemm -> (BatchNormalization) -> Tanh -> Gemm, and its weights."""
    rng = np.random.default_rng(5)
    weights = {
        "a.weight": rng.standard_normal((HIDDEN, FEATURES)) * 0.4,
        "a.bias": rng.standard_normal(HIDDEN) * 0.1,
        "b.weight": rng.standard_normal((CLASSES, HIDDEN)) * 0.4,
        "b.bias": rng.standard_normal(CLASSES) * 0.1,
    }
    nodes = [helper.make_node("Gemm", ["x", "a.weight", "a.bias"], ["h"], transB=1)]
    last = "h"
    if norm:
        weights |= {
            "n.weight": 1 + rng.standard_normal(HIDDEN) * 0.1,
            "n.bias": rng.standard_normal(HIDDEN) * 0.1,
            "n.mean": np.zeros(HIDDEN),
            "n.var": np.ones(HIDDEN),
        }
        nodes.append(
            helper.make_node(
                "BatchNormalization",
                ["h", "n.weight", "n.bias", "n.mean", "n.var"],
                ["n", "m1", "v1"],
                training_mode=1,
                momentum=0.8,
                epsilon=1e-3,
            )
        )
        last = "n"
    nodes += [
        helper.make_node("Tanh", [last], ["t"]),
        helper.make_node("Gemm", ["t", "b.weight", "b.bias"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["N", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = str(folder / "model.onnx")
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path, weights


def train(folder, model: str, data: dict[str, np.ndarray], *flags: str, arguments: tuple[str, ...] = ()) -> list[dict]:
    program = str(folder / "train")
    compiled = tools.compile_model(model, program, "--train", *flags, timeout=300)
    assert compiled.code == 0, compiled.stderr
    np.savez(folder / "data.npz", **data)
    command = [program, "--data", str(folder / "data.npz"), "--batch-size", str(BATCH), "--no-shuffle", *arguments]
    result = tools.run(command, timeout=120)
    assert result.code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def cross_entropy(smoothing: float = 0.0, ignored: int | None = None):
    def loss(y: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        counts = np.ones(len(target), bool) if ignored is None else target != ignored
        wanted = np.eye(CLASSES)[np.where(counts, target, 0)] * (1 - smoothing) + smoothing / CLASSES
        p = softmax(y)
        each = -(wanted * np.log(p)).sum(-1)
        return each[counts].mean(), (p - wanted) * counts[:, None] / counts.sum()

    return loss


def mean_of(each, slope):
    return lambda y, t: (each(y, t).mean(), slope(y, t) / y.size)


SIGMOID = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
LOSSES = {
    "cross_entropy": cross_entropy(),
    "cross_entropy:label_smoothing=0.1": cross_entropy(0.1),
    "cross_entropy:ignore_index=2": cross_entropy(ignored=2),
    "cross_entropy:ignore_index=-100,label_smoothing=0.2,axis=1": cross_entropy(0.2, -100),
    "mse": mean_of(lambda y, t: (y - t) ** 2, lambda y, t: 2 * (y - t)),
    "l1": mean_of(lambda y, t: np.abs(y - t), lambda y, t: np.sign(y - t)),
    "huber:delta=0.5": mean_of(
        lambda y, t: np.where(np.abs(y - t) > 0.5, 0.5 * (np.abs(y - t) - 0.25), 0.5 * (y - t) ** 2),
        lambda y, t: np.clip(y - t, -0.5, 0.5),
    ),
    "bce_with_logits": mean_of(lambda y, t: np.logaddexp(0, y) - y * t, lambda y, t: SIGMOID(y) - t),
}


def gradients(
    weights: dict[str, np.ndarray], x: np.ndarray, target: np.ndarray, loss
) -> tuple[float, dict[str, np.ndarray]]:
    h = np.tanh(x @ weights["a.weight"].T + weights["a.bias"])
    value, dy = loss(h @ weights["b.weight"].T + weights["b.bias"], target)
    dh = dy @ weights["b.weight"] * (1 - h * h)
    return value, {"a.weight": dh.T @ x, "a.bias": dh.sum(0), "b.weight": dy.T @ h, "b.bias": dy.sum(0)}


class Optimizer:
    """PyTorch's formulas, a parameter at a time."""

    def __init__(
        self,
        kind: str,
        lr: float,
        decay: float = 0.0,
        momentum: float = 0.0,
        nesterov: bool = False,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
    ):
        self.kind, self.lr, self.decay, self.momentum, self.nesterov, self.betas, self.eps = (
            kind,
            lr,
            decay,
            momentum,
            nesterov,
            betas,
            eps,
        )
        self.kept: dict[str, list[np.ndarray]] = {}

    def update(self, name: str, p: np.ndarray, g: np.ndarray, step: int) -> np.ndarray:
        m, v = self.kept.setdefault(name, [np.zeros_like(p), np.zeros_like(p)])
        b1, b2 = self.betas
        if self.kind in ("adamw", "lion"):
            p = p - self.lr * self.decay * p
        else:
            g = g + self.decay * p
        if self.kind == "sgd":
            m = self.momentum * m + g
            self.kept[name] = [m, v]
            return p - self.lr * (g + self.momentum * m if self.nesterov else m)
        if self.kind == "lion":
            self.kept[name] = [b2 * m + (1 - b2) * g, v]
            return p - self.lr * np.sign(b1 * m + (1 - b1) * g)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        self.kept[name] = [m, v]
        return p - self.lr * (m / (1 - b1**step)) / (np.sqrt(v / (1 - b2**step)) + self.eps)


OPTIMIZERS = {
    "sgd:lr=0.3": lambda: Optimizer("sgd", 0.3),
    "sgd:lr=0.2,momentum=0.9,weight_decay=0.01": lambda: Optimizer("sgd", 0.2, 0.01, 0.9),
    "sgd:lr=0.2,momentum=0.8,nesterov=true": lambda: Optimizer("sgd", 0.2, 0, 0.8, True),
    "adam:lr=0.05,weight_decay=0.02": lambda: Optimizer("adam", 0.05, 0.02),
    "adamw:lr=0.05,beta1=0.8,beta2=0.95,eps=1e-6,weight_decay=0.1": lambda: Optimizer(
        "adamw", 0.05, 0.1, betas=(0.8, 0.95), eps=1e-6
    ),
    "lion:lr=0.01,weight_decay=0.1": lambda: Optimizer("lion", 0.01, 0.1, betas=(0.9, 0.99)),
}


def data_of(loss: str) -> dict[str, np.ndarray]:
    count = STEPS * BATCH
    target = RNG.integers(0, CLASSES, count) if loss.startswith("cross") else RNG.random((count, CLASSES))
    if "-100" in loss:
        target[::4] = -100
    return {"x": RNG.standard_normal((count, FEATURES)), "target": target}


def expected_losses(
    weights, data, loss, optimizer, clip: float | None = None, vectors_decay: bool = True, batch: int = BATCH
) -> list[float]:
    losses = []
    for step in range(-(-STEPS * BATCH // batch)):
        part = slice(step * batch, (step + 1) * batch)
        value, slopes = gradients(weights, data["x"][part], data["target"][part], loss)
        losses.append(value)
        if clip is not None:
            norm = np.sqrt(sum((g * g).sum() for g in slopes.values()))
            slopes = {name: g * min(1, clip / (norm + 1e-6)) for name, g in slopes.items()}
        decay = optimizer.decay
        for name, slope in slopes.items():
            optimizer.decay = decay if vectors_decay or weights[name].ndim > 1 else 0
            weights = weights | {name: optimizer.update(name, weights[name], slope, step + 1)}
        optimizer.decay = decay
    return losses


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss, tmp_path):
    model, weights = network(tmp_path)
    data = data_of(loss)
    lines = train(tmp_path, model, data, f"--loss={loss}", "--optimizer=sgd:lr=0.2")
    np.testing.assert_allclose(
        [line["loss"] for line in lines],
        expected_losses(weights, data, LOSSES[loss], Optimizer("sgd", 0.2)),
        rtol=1e-11,
    )


@pytest.mark.parametrize("precision", ("fp32", "fp16"))
def test_what_no_gradient_comes_to_is_told(precision, tmp_path):
    def compiled(body):
        model = onnx.parser.parse_model(
            '<ir_version: 9, opset_import: ["": 17]> g (float[N,6] x) => (float[N,3] y) { ' + body + " }"
        )
        for name, dims in (("w", (6, 3)), ("u", (6, 3))):
            model.graph.initializer.append(numpy_helper.from_array(np.ones(dims, np.float32), name))
        onnx.save(model, tmp_path / "model.onnx")
        flags = ("--train", "--loss=mse", f"--precision={precision}")
        return tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "out"), *flags, timeout=100)

    some = compiled("h = MatMul(x, w) z = MatMul(x, u) i = Cast<to: int = 7>(z) j = Cast<to: int = 1>(i) y = Add(h, j)")
    assert (
        some.code == 0 and "note: " in some.stderr and "does not depend on 'u': no gradient comes to it" in some.stderr
    )
    none = compiled(
        "h = MatMul(x, w) z = MatMul(x, u) s = Add(h, z) [cut] i = Cast<to: int = 7>(s) y = Cast<to: int = 1>(i)"
    )
    assert none.code == 1 and "cut" in none.stderr and "no gradient comes to any parameter" in none.stderr, none.stderr


@pytest.mark.parametrize("ignored", ("", ":ignore_index=-2"))
def test_negative_numbers_are_no_classes(ignored, tmp_path):
    """Nor where only the run knows how many classes there are."""
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17]> g (float[N,6] x, int64[2] s) => (float[N,C] y) { h = MatMul(x, w) y = Reshape(h, s) }'
    )
    model.graph.initializer.append(numpy_helper.from_array(RNG.standard_normal((6, 3)).astype(np.float32), "w"))
    trainer = ds.compile_training(model, loss=f"cross_entropy{ignored}", threads=1)
    x = RNG.standard_normal((4, 6)).astype(np.float32)

    def loss(*target):
        return trainer.evaluate({"x": x, "s": np.array([-1, 3]), "target": np.array(target)}).loss

    assert loss(0, 1, 2, 0) > 0
    for bad in (-1, -3, 3):
        with pytest.raises(ds.Error, match="an index value is outside"):
            loss(0, 1, bad, 0)
    if ignored:
        assert loss(0, 1, -2, 2) > 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer, tmp_path):
    model, weights = network(tmp_path)
    data = data_of("cross_entropy")
    lines = train(tmp_path, model, data, f"--optimizer={optimizer}")
    expected = expected_losses(weights, data, LOSSES["cross_entropy"], OPTIMIZERS[optimizer]())
    np.testing.assert_allclose([line["loss"] for line in lines], expected, rtol=1e-10)


def test_clipping_and_decay_of_matrices_alone(tmp_path):
    model, weights = network(tmp_path)
    data = data_of("cross_entropy")
    lines = train(tmp_path, model, data, "--optimizer=sgd:lr=0.5,clip=0.1,weight_decay=0.2,decay=matrices")
    expected = expected_losses(
        weights, data, LOSSES["cross_entropy"], Optimizer("sgd", 0.5, 0.2), clip=0.1, vectors_decay=False
    )
    np.testing.assert_allclose([line["loss"] for line in lines], expected, rtol=1e-11)


def run(folder, *arguments: object) -> list[dict]:
    result = tools.run([str(folder / "train"), "--data", str(folder / "data.npz"), *map(str, arguments)], timeout=120)
    assert result.code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("loss", ("cross_entropy:ignore_index=2", "mse"))
def test_accumulated_batches_are_one_large_one(loss, tmp_path):
    """Of batches of unequal numbers of targets, one of them without any; the last step of an epoch is smaller. Clipping
    comes after."""
    model, weights = network(tmp_path)
    data = data_of(loss)
    if loss != "mse":
        data["target"][:3] = 2
    train(tmp_path, model, data, f"--loss={loss}", "--optimizer=adamw:lr=0.05,clip=0.2,weight_decay=0.1")
    lines = run(tmp_path, "--batch-size=3", "--accumulate=4", "--no-shuffle", "--checkpoint-dir", tmp_path / "small")
    optimizer = Optimizer("adamw", 0.05, 0.1)
    expected = expected_losses(weights, data, LOSSES[loss], optimizer, clip=0.2, batch=12)
    assert [line["step"] for line in lines] == [1, 2, 3]
    np.testing.assert_allclose([line["loss"] for line in lines], expected, rtol=1e-11)
    run(tmp_path, "--batch-size=12", "--no-shuffle", "--checkpoint-dir", tmp_path / "large")
    found, whole = (read_checkpoint(tmp_path / name / (LAST % 3))[0] for name in ("small", "large"))
    assert found.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-13, err_msg=name)


def test_accumulation_goes_on_from_checkpoints(tmp_path):
    """With evaluations in between, and any number of threads, bit for bit."""
    model, _ = network(tmp_path, norm=True)
    data = data_of("cross_entropy")
    train(tmp_path, model, data, "--optimizer=adamw:lr=0.05")
    flags = ["--batch-size=2", "--accumulate=3", "--epochs=3", "--seed=5"]
    whole = run(tmp_path, *flags, "--threads=1", "--checkpoint-dir", tmp_path / "whole")
    evaluated = [*flags, "--threads=2", "--eval-data", tmp_path / "data.npz", "--checkpoint-dir", tmp_path / "parts"]
    parts = run(tmp_path, *evaluated, "--steps=4", "--eval-every=1")
    parts += run(tmp_path, *evaluated, "--resume", tmp_path / "parts")
    assert [line["loss"] for line in parts if "loss" in line] == [line["loss"] for line in whole]
    assert same_bits(tmp_path / "whole" / (LAST % 15), tmp_path / "parts" / (LAST % 15))


def drawn(rule: str, number: float, name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The rules of runtime/train/Initialize.h, in Python's own arithmetic."""
    values = []
    for index in range(int(np.prod(shape))):
        for attempt in range(1 << 16):
            counter = (index & 0xFFFFFFFF, index >> 32 | attempt << 16, zlib.crc32(name.encode()), 2)
            words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
            u, v = ((((words[i] << 32 | words[i + 1]) >> 11) + 0.5) / 2**52 - 1 for i in (0, 2))
            square = u * u + v * v
            if rule == "uniform" or 0 < square < 1:
                break
        values.append(number * (u if rule == "uniform" else u * math.sqrt(-2 * math.log(square) / square)))
    return np.array(values).reshape(shape)


def initial(folder, seed: int) -> dict[str, np.ndarray]:
    """Parameters before the first step: one of learning rate 0 leaves them."""
    exported = str(folder / "initial.onnx")
    run(folder, "--lr=0", "--steps=1", "--no-shuffle", f"--initialize={seed}", "--export", exported)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(exported).graph.initializer}


@pytest.mark.parametrize("seed", (0, 2**40 + 7))
def test_parameters_are_drawn_anew(seed, tmp_path):
    model, weights = network(tmp_path, norm=True)
    train(tmp_path, model, data_of("cross_entropy"), "--optimizer=sgd")
    found = initial(tmp_path, seed)
    for name, bound in (("a.weight", FEATURES), ("a.bias", FEATURES), ("b.weight", HIDDEN), ("b.bias", HIDDEN)):
        expected = drawn("uniform", 1 / math.sqrt(bound), name, weights[name].shape, seed)
        np.testing.assert_allclose(found[name], expected, rtol=1e-15, atol=0, err_msg=name)
    assert np.array_equal(found["n.weight"], np.ones(HIDDEN)) and not found["n.bias"].any()
    listed = tools.run([str(tmp_path / "train"), "--list-parameters"], timeout=60).stdout
    assert re.search(r"a\.bias .*float64 \[9\]; --initialize: uniform from -0\.377964 to 0\.377964", listed), listed
    assert re.search(r"n\.var .*, state; --initialize: 1\n", listed), listed


def test_tables_are_drawn_normal(tmp_path):
    """A table that rows are taken of, biases that are added, and what has no role; frozen parameters change no other."""
    rng = np.random.default_rng(1)
    weights = {
        "table": rng.standard_normal((50, 40)),
        "position": rng.standard_normal((1, 40)),
        "w": rng.standard_normal((40, CLASSES)),
        "bias": rng.standard_normal(CLASSES),
        "curve": rng.standard_normal(CLASSES),
    }
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["rows"]),
        helper.make_node("Add", ["rows", "position"], ["placed"]),
        helper.make_node("Transpose", ["w"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["back"]),
        helper.make_node("MatMul", ["placed", "back"], ["product"]),
        helper.make_node("Add", ["bias", "product"], ["biased"]),
        helper.make_node("Sub", ["biased", "curve"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["N", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = str(tmp_path / "model.onnx")
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    data = {"x": rng.integers(0, 50, STEPS * BATCH), "target": rng.integers(0, CLASSES, STEPS * BATCH)}
    train(tmp_path, path, data, "--optimizer=sgd", "--freeze=bias")
    found = initial(tmp_path, 3)
    for name, rule, number in (("table", "normal", 1), ("position", "normal", 0.02), ("w", "uniform", 40**-0.5)):
        expected = drawn(rule, number, name, weights[name].shape, 3)
        np.testing.assert_allclose(found[name], expected, rtol=1e-14, atol=1e-17, err_msg=name)
    assert abs(found["table"].mean()) < 0.1 and abs(found["table"].std() - 1) < 0.05
    for name in ("bias", "curve"):
        assert np.array_equal(found[name], weights[name]), name


def test_frozen_parameters_stay(tmp_path):
    model, weights = network(tmp_path)
    data = data_of("mse")
    exported = str(tmp_path / "trained.onnx")
    train(tmp_path, model, data, "--loss=mse", "--freeze=a.*", arguments=("--export", exported))
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(exported).graph.initializer}
    for name, value in weights.items():
        assert np.array_equal(found[name], value) == name.startswith("a."), name


@pytest.mark.parametrize("optimizer", ("sgd:lr=0.25,momentum=0.9,clip=0.5", "adam:lr=0.01"))
def test_parameters_of_several_types(optimizer):
    """Half precision beside double: each keeps its type, and is updated in the learning rate's, that of the widest."""
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 17]> g (float[N,6] x) => (double[N,3] y) {
            single = Cast<to=1>(w) h = MatMul(x, single) t = Tanh(h) wide = Cast<to=11>(t) y = MatMul(wide, v) }"""
    )
    w, v = RNG.standard_normal((6, 5)).astype(np.float16), RNG.standard_normal((5, 3))
    model.graph.initializer.extend([numpy_helper.from_array(w, "w"), numpy_helper.from_array(v, "v")])
    trainer = ds.compile_training(model, loss="mse", optimizer=optimizer, threads=1)
    state = {"w": w.astype(np.float64), "v": v}
    means, squares = ({name: np.zeros_like(value) for name, value in state.items()} for _ in range(2))
    for number in range(1, 5):
        x, target = RNG.standard_normal((8, 6)).astype(np.float32), RNG.standard_normal((8, 3))
        t = np.tanh(x @ state["w"])
        error = t @ state["v"] - target
        dy = 2 * error / error.size
        gradients = {"w": x.T @ (dy @ state["v"].T * (1 - t * t)), "v": t.T @ dy}
        if "clip" in optimizer:
            norm = math.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
            gradients = {name: gradient * min(1, 0.5 / norm) for name, gradient in gradients.items()}
        for name, gradient in gradients.items():
            if "sgd" in optimizer:
                means[name] = 0.9 * means[name] + gradient
                state[name] = state[name] - 0.25 * means[name]
            else:
                means[name] = 0.9 * means[name] + 0.1 * gradient
                squares[name] = 0.999 * squares[name] + 0.001 * gradient**2
                root = np.sqrt(squares[name] / (1 - 0.999**number))
                state[name] = state[name] - 0.01 * means[name] / (1 - 0.9**number) / (root + 1e-8)
        np.testing.assert_allclose(trainer.step({"x": x, "target": target}), (error**2).mean(), rtol=5e-3)
    found = trainer.state_dict()
    assert found["w"].dtype == np.float16 and found["v"].dtype == np.float64
    # Four roundings of numbers up to 4 to 11 bits, and for v what they change.
    np.testing.assert_allclose(found["w"].astype(np.float64), state["w"], atol=1e-2)
    np.testing.assert_allclose(found["v"], state["v"], atol=2e-3)
    assert np.abs(state["w"] - w).max() > 0.03


def test_the_cotangent_of_a_sum_is_a_tensor_to_windows(tmp_path):
    """It is one number, known when the model is compiled; derivatives of windows read it from memory all the same."""
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 17]> g (double[2,3,6,6] x) => (double loss) {
            c = Conv<kernel_shape=[3,3]>(x, w) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(q)
            a = ReduceSum<keepdims=0>(c) b = ReduceSum<keepdims=0>(p) loss = Add(a, b) }"""
    )
    w, q = RNG.standard_normal((2, 3, 3, 3)), RNG.permutation(32).reshape(1, 2, 4, 4).astype(np.float64)
    model.graph.initializer.extend([numpy_helper.from_array(w, "w"), numpy_helper.from_array(q, "q")])
    onnx.save(model, tmp_path / "model.onnx")
    program = str(tmp_path / "train")
    compiled = tools.compile_model(str(tmp_path / "model.onnx"), program, "--train", "--loss=output", timeout=200)
    assert compiled.code == 0, compiled.stderr
    x = RNG.standard_normal((2, 3, 6, 6))
    np.savez(tmp_path / "data.npz", x=x)
    result = tools.run([program, "--data", str(tmp_path / "data.npz"), "--dump-gradients", str(tmp_path / "g.npz")])
    assert result.code == 0, result.stderr
    found = np.load(tmp_path / "g.npz")
    windows = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(2, 3)).sum(axis=(0, 4, 5))
    np.testing.assert_allclose(found["grad.w"], np.broadcast_to(windows, w.shape), rtol=1e-12, atol=1e-12)
    blocks = q.reshape(1, 2, 2, 2, 2, 2)
    np.testing.assert_array_equal(found["grad.q"], (blocks == blocks.max(axis=(3, 5), keepdims=True)).reshape(q.shape))


def test_normalization_keeps_statistics(tmp_path):
    """Its gradient by central differences of the loss; running statistics with n - 1; evaluation with those."""
    model, weights = network(tmp_path, norm=True)
    data = data_of("cross_entropy")
    exported, slopes = str(tmp_path / "trained.onnx"), str(tmp_path / "g.npz")
    arguments = ("--export", exported, "--dump-gradients", slopes, "--eval-data", str(tmp_path / "data.npz"))
    lines = train(tmp_path, model, data, "--optimizer=sgd:lr=0.1", arguments=arguments)

    def forward(values, x, target):
        h = x @ values["a.weight"].T + values["a.bias"]
        n = (h - h.mean(0)) / np.sqrt(h.var(0) + np.float32(1e-3)) * values["n.weight"] + values["n.bias"]
        return cross_entropy()(np.tanh(n) @ values["b.weight"].T + values["b.bias"], target)[0], h

    x, target = data["x"][:BATCH], data["target"][:BATCH]
    np.testing.assert_allclose(lines[0]["loss"], forward(weights, x, target)[0], rtol=1e-11)
    with np.load(slopes) as found:
        for name in ("a.weight", "n.weight", "n.bias", "b.weight"):
            direction = RNG.standard_normal(weights[name].shape)
            ends = [forward(weights | {name: weights[name] + e * direction}, x, target)[0] for e in (1e-5, -1e-5)]
            key = name if name in found else "grad." + name
            np.testing.assert_allclose(
                (found[key] * direction).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6, err_msg=name
            )
    trained = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(exported).graph.initializer}
    assert not np.array_equal(trained["n.mean"], weights["n.mean"])
    # One step's statistics, of a run that ends there.
    train(tmp_path, model, data, "--optimizer=sgd:lr=0.1", arguments=(*arguments[:2], "--steps", "1"))
    first = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(exported).graph.initializer}
    h = forward(weights, x, target)[1]
    np.testing.assert_allclose(first["n.mean"], 0.2 * h.mean(0), rtol=1e-6)
    np.testing.assert_allclose(first["n.var"], 0.8 + 0.2 * h.var(0, ddof=1), rtol=1e-6)


def test_exported_model_is_what_evaluation_computed(tmp_path):
    model, _ = network(tmp_path, norm=True)
    data = data_of("cross_entropy")
    exported = str(tmp_path / "trained.onnx")
    arguments = ("--export", exported, "--eval-data", str(tmp_path / "data.npz"), "--epochs", "3")
    lines = train(tmp_path, model, data, "--optimizer=adamw:lr=0.01", arguments=arguments)
    y = onnxruntime.InferenceSession(exported).run(None, {"x": data["x"]})[0]
    value, _ = cross_entropy()(y, data["target"])
    last = [line for line in lines if "eval_loss" in line][-1]
    np.testing.assert_allclose(last["eval_loss"], value, rtol=1e-9)
    assert last["eval_accuracy"] == pytest.approx((y.argmax(1) == data["target"]).mean())


@pytest.mark.parametrize(
    ("flags", "reason"),
    (
        (("--loss=mse",), "'--loss' goes with --train"),
        (("--train", "--loss=crossentropy"), "--loss=crossentropy is unknown"),
        (("--train", "--optimizer=sgd:beta1=0.9"), "sgd has no 'beta1'"),
        (("--train", "--optimizer=adam:lr=fast"), "expected a number from 0 for 'lr', not 'fast'"),
        (("--train", "--optimizer=sgd:lr=1,lr=2"), "gives 'lr' twice"),
        (("--train", "--schedule=cosine:warmup=0"), "expected a number of steps for 'warmup'"),
        (("--train", "--schedule=step:factor=0.5"), "--schedule=step needs size=STEPS"),
        (("--train", "--schedule=cosine:warmup=20,total=10"), "expected more steps in total than to warm up"),
        (("--train", "--loss=output"), "expected an output of one element, and 'y' has the dims [N, 4]"),
        (("--train", "--freeze=nothing*"), "the model has no parameter of such a name"),
        (("--train", "--loss=mse:output=z"), "the model has no output 'z'"),
        (("--train", "--loss=cross_entropy:axis=3"), "has rank 2 and no axis 3"),
    ),
)
def test_what_cannot_be_trained_is_told(flags, reason, tmp_path):
    model, _ = network(tmp_path)
    result = tools.compile_model(model, str(tmp_path / "train"), *flags, timeout=100)
    assert result.code in (1, 2) and reason in result.stderr, result.stderr
    assert not os.path.exists(tmp_path / "train")
