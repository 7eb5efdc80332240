"""Trainers: what a step computes against NumPy in float64, states, exports, and what errors say."""

from __future__ import annotations

import math
import pickle
import re

import deepseek as ds
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

RNG = np.random.default_rng(4)
FEATURES, CLASSES = 6, 3
W, B = RNG.standard_normal((FEATURES, CLASSES)), RNG.standard_normal(CLASSES)
SGD = "sgd:lr=0.5,momentum=0.9"


def linear() -> onnx.ModelProto:
    text = f'<ir_version: 9, opset_import: ["": 17]> g (double[N,{FEATURES}] x) => (double[N,{CLASSES}] y) {{ h = MatMul(x, w) y = Add(h, b) }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend([numpy_helper.from_array(W, "w"), numpy_helper.from_array(B, "b")])
    return proto


def batch(count: int) -> dict[str, np.ndarray]:
    return {"x": RNG.standard_normal((count, FEATURES)), "target": RNG.integers(0, CLASSES, count)}


class Reference:
    """Softmax regression with momentum."""

    def __init__(self):
        self.state = {"w": W, "b": B}
        self.kept = {"w": np.zeros_like(W), "b": np.zeros_like(B)}

    def loss(self, x, target) -> tuple[float, np.ndarray]:
        y = x @ self.state["w"] + self.state["b"]
        p = np.exp(y - y.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return -np.log(p[np.arange(len(target)), target]).mean(), p

    def step(self, x, target, rate: float = 0.5) -> float:
        loss, p = self.loss(x, target)
        error = (p - np.eye(CLASSES)[target]) / len(target)
        for name, gradient in (("w", x.T @ error), ("b", error.sum(0))):
            self.kept[name] = 0.9 * self.kept[name] + gradient
            self.state[name] = self.state[name] - rate * self.kept[name]
        return loss


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> str:
    return ds.compile_training(linear(), tmp_path_factory.mktemp("train") / "step.so", optimizer=SGD)


@pytest.fixture
def trainer(artifact) -> ds.Trainer:
    return ds.load_training(artifact, threads=1)


def check_state(trainer: ds.Trainer, reference: Reference) -> None:
    state = trainer.state_dict()
    for name in ("w", "b"):
        np.testing.assert_allclose(state[name], reference.state[name], rtol=1e-12)
        np.testing.assert_allclose(state[f"momentum_buffer.{name}"], reference.kept[name], rtol=1e-11)


def test_steps(trainer):
    """Batches by name and in order, of any size; a learning rate for one step."""
    reference = Reference()
    for number, (count, rate) in enumerate(((5, None), (8, 0.1), (1, 0), (5, None))):
        data = batch(count)
        expected = reference.step(**data, rate=0.5 if rate is None else rate)
        given = data if number % 2 else (data["x"], data["target"])
        np.testing.assert_allclose(trainer.step(given, lr=rate), expected, rtol=1e-12)
    assert trainer.steps == 4
    check_state(trainer, reference)
    assert [info.name for info in trainer.inputs] == ["x", "target"]


def test_evaluates_without_a_change(trainer):
    data, reference = batch(20), Reference()
    before = trainer.state_dict()
    found = trainer.evaluate(data)
    loss, p = reference.loss(**data)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-12)
    assert found.count == 20 and found.accuracy == np.mean(p.argmax(1) == data["target"])
    after = trainer.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_accumulates(trainer):
    """Batches of unequal sizes are one large one."""
    data, reference = batch(12), Reference()
    reference.step(**data)
    for part in (slice(0, 2), slice(2, 9)):
        trainer.accumulate({name: value[part] for name, value in data.items()})
    with pytest.raises(ds.Error, match="gradients are accumulated that no step has used"):
        trainer.state_dict()
    trainer.step({name: value[9:] for name, value in data.items()})
    check_state(trainer, reference)
    more = batch(4)  # what was accumulated is forgotten
    reference.step(**more)
    trainer.step(more)
    check_state(trainer, reference)


class Lent:
    """Nothing but DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_states_go_on_elsewhere(artifact, trainer):
    first, second = batch(4), batch(7)
    trainer.step(first)
    state = trainer.state_dict()
    assert set(state) == {"w", "b", "momentum_buffer.w", "momentum_buffer.b", "step"} and state["step"] == 1
    trainer.step(second)
    other = ds.load_training(artifact, threads=2)
    other.load_state_dict({name: Lent(v) if isinstance(v, np.ndarray) else v for name, v in state.items()})
    assert other.steps == 1
    other.step({"x": Lent(second["x"]), "target": Lent(second["target"])})
    ends = trainer.state_dict(), other.state_dict()
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_states_that_do_not_fit_change_nothing(trainer):
    state = trainer.state_dict()
    wrong = {
        r"it lacks 'w'": {name: value for name, value in state.items() if name != "w"},
        r"the model lacks 'more'": state | {"more": 1},
        r"'b' should have the shape \(3,\), given \(4,\)": state | {"b": np.zeros(4), "w": W + 1},
        r"'b' should be float64, given complex128": state | {"b": np.zeros(3, complex)},
        r"'step' should be the number of steps": state | {"step": -1},
    }
    for says, given in wrong.items():
        with pytest.raises(ds.Error, match=says):
            trainer.load_state_dict(given)
    trainer.load_state_dict({"w": (W + 1).astype(np.float32), "extra": 0}, strict=False)
    state["w"] = (W + 1).astype(np.float32).astype(np.float64)
    after = trainer.state_dict()
    assert all(np.array_equal(state[name], after[name]) for name in state)


def test_exports_what_it_evaluates(trainer, tmp_path):
    trainer.step(batch(9))
    trainer.export(tmp_path / "trained.onnx")
    data = batch(6)
    y = onnxruntime.InferenceSession(str(tmp_path / "trained.onnx")).run(None, {"x": data["x"]})[0]
    loss = (np.log(np.exp(y).sum(1)) - y[np.arange(6), data["target"]]).mean()
    np.testing.assert_allclose(trainer.evaluate(data).loss, loss, rtol=1e-12)


def test_initializes(trainer):
    trainer.step(batch(3))
    trainer.initialize(9)
    first = trainer.state_dict()
    assert trainer.steps == 0 and not first["momentum_buffer.w"].any()
    assert 0 < abs(first["w"]).max() <= 1 / math.sqrt(FEATURES) and not np.array_equal(first["w"], W)
    trainer.initialize(9)
    assert all(np.array_equal(first[name], value) for name, value in trainer.state_dict().items())


def test_draws_by_a_seed(tmp_path):
    """Dropout of rows of ones: which of them a step has dropped shows in the loss."""
    text = """<ir_version: 9, opset_import: ["": 17]> g (float[N,64] x) => (float loss)
        <float ratio = {0.5}, bool training = {1}> {
            kept = Dropout(x, ratio, training) y = MatMul(kept, w) loss = ReduceSum<keepdims=0>(y) }"""
    proto = onnx.parser.parse_model(text)
    weights = (2.0 ** np.arange(64) % 1009).astype(np.float32).reshape(64, 1)
    proto.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    path = ds.compile_training(proto, tmp_path / "step.so", loss="output", optimizer="sgd:lr=0")
    ones = {"x": np.ones((3, 64), np.float32)}

    def losses(**arguments) -> list[float]:
        trainer = ds.load_training(path, threads=1, **arguments)
        return [trainer.step(ones) for _ in range(3)]

    assert losses() == losses(seed=0)
    assert losses(seed=7) == losses(seed=7)
    assert len({*losses(seed=0), *losses(seed=7), *losses(seed=8)}) == 9
    again = ds.compile_training(proto, loss="output", optimizer="sgd:lr=0", seed=7, threads=1)
    assert [again.step(ones) for _ in range(3)] == losses(seed=7)
    with pytest.raises(ds.Error, match="seed=-1 is no seed"):
        ds.load_training(path, seed=-1)


def test_schedules():
    trainer = ds.compile_training(linear(), schedule="linear:warmup=2", optimizer="sgd:lr=1", steps=4, threads=1)
    rates = []
    for _ in range(5):
        rates.append(trainer.learning_rate)
        trainer.step(batch(2))
    assert rates == [0.5, 1, 1, 0.5, 0]
    with pytest.raises(ds.Error, match="by linear:warmup=2,total=1000 when compiling, or by steps=1000"):
        ds.compile_training(linear(), schedule="linear:warmup=2")


@pytest.mark.parametrize("precision,tolerance", (("bf16", 2e-2), ("fp16", 3e-3)))
def test_half_precision(precision, tolerance):
    """Arrays are those of single precision; the scale of the loss is a part of the state."""
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17]> g (float[N,6] x) => (float[N,3] y) { y = MatMul(x, w) }'
    )
    w = W.astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(w, "w"))
    trainer = ds.compile_training(model, precision=precision, loss="mse", optimizer="sgd:lr=0.1", threads=1)
    x, target = (
        (RNG.standard_normal((4, n)) / 8).astype(np.float32) for n in (6, 3)
    )  # scaled by 65536 finite in float16
    difference = x.astype(np.float64) @ w - target
    np.testing.assert_allclose(trainer.step({"x": x, "target": target}), (difference**2).mean(), rtol=tolerance)
    state = trainer.state_dict()
    change, expected = state["w"] - w, -0.1 * 2 * x.T.astype(np.float64) @ difference / difference.size
    assert np.linalg.norm(change - expected) < tolerance * np.linalg.norm(expected)
    if precision == "fp16":
        assert state["loss_scale"] == 65536 and state["loss_scale.good_steps"] == 1
        trainer.step({"x": x, "target": target * 1e6})  # its gradient is infinite in float16
        skipped = trainer.state_dict()
        assert np.array_equal(skipped["w"], state["w"])
        assert [skipped[f"loss_scale{name}"] for name in ("", ".good_steps", ".skipped_steps")] == [32768, 0, 1]
        trainer.load_state_dict(state)
        assert trainer.state_dict()["loss_scale"] == 65536


def test_double_precision():
    """Of a model of floats: data is given as it computes."""
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17]> g (float[N,6] x) => (float[N,3] y) { y = MatMul(x, w) }'
    )
    model.graph.initializer.append(numpy_helper.from_array(W.astype(np.float32), "w"))
    trainer = ds.compile_training(model, precision="fp64", loss="mse", threads=1)
    data = {"x": RNG.standard_normal((4, 6)), "target": RNG.standard_normal((4, 3))}
    expected = ((data["x"] @ W.astype(np.float32).astype(np.float64) - data["target"]) ** 2).mean()
    np.testing.assert_allclose(trainer.step(data), expected, rtol=1e-13)
    with pytest.raises(ds.Error, match="input 'x' should be float64"):
        trainer.step({name: value.astype(np.float32) for name, value in data.items()})


LAYERS, WIDTH, ROWS = 6, 64, 256


def deep() -> onnx.ModelProto:
    """Layers whose results the backward pass reads: 128 KB each."""
    lines = [f"h{i} = MatMul(t{i}, w{i}) t{i + 1} = Tanh(h{i})" for i in range(LAYERS)]
    proto = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 17]> g (double[N,{WIDTH}] t0) => (double[N,{WIDTH}] t{LAYERS}) {{ {" ".join(lines)} }}'
    )
    for i in range(LAYERS):
        proto.graph.initializer.append(
            numpy_helper.from_array(RNG.standard_normal((WIDTH, WIDTH)) / math.sqrt(WIDTH), f"w{i}")
        )
    for node in proto.graph.node:
        node.name = f"{node.op_type.lower()}/{node.output[0]}"
    return proto


def test_memory_budgets(caplog):
    """The same losses and states, bit for bit, in less memory, and within what was asked for."""
    model = deep()
    data = {"t0": RNG.standard_normal((ROWS, WIDTH)), "target": RNG.integers(0, WIDTH, ROWS)}

    def trained(**arguments) -> tuple[list[float], dict, int]:
        trainer = ds.compile_training(model, optimizer=SGD, threads=1, **arguments)
        losses = [trainer.step(data) for _ in range(3)]
        return losses, trainer.state_dict(), trainer.memory

    losses, state, memory = trained()
    states = sum(value.nbytes for value in state.values() if isinstance(value, np.ndarray))
    budget = states + (memory - states) * 3 // 4
    with caplog.at_level("INFO", "deepseek"):
        found = {
            "text": trained(memory_budget=f"{budget}B:N={ROWS}"),
            "bytes": trained(memory_budget=budget, shapes={"N": ROWS}),
            "marked": trained(recompute=["tanh/*"]),
        }
    for name, (again, same, held) in found.items():
        assert again == losses, name
        assert all(np.array_equal(state[key], same[key]) for key in state), name
        assert held < memory, name
        assert name == "marked" or held <= budget, name
    plans = [record.getMessage() for record in caplog.records if record.name == "deepseek"]
    assert len(plans) == 3 and all("again" in plan for plan in plans), plans
    assert f"memory of a step at N={ROWS}" in plans[0]


def test_one_copy_of_state_and_temporaries():
    """Modes take turns: neither what they keep nor what they compute with is there twice."""
    size, count = 400, 3000
    model = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 17]> g (float[N,{size}] x) => (float[N,{size}] y) {{ h = MatMul(x, w) y = Tanh(h) }}'
    )
    w = RNG.standard_normal((size, size)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(w, "w"))
    trainer = ds.compile_training(model, optimizer="adamw", threads=1)
    small = {"x": np.ones((2, size), np.float32), "target": np.zeros(2, np.int64)}
    trainer.step(small)
    before = trainer.memory
    assert before >= 3 * w.nbytes
    trainer.evaluate(small)
    assert trainer.memory - before < w.nbytes / 2
    large = {"x": np.ones((count, size), np.float32), "target": np.zeros(count, np.int64)}
    trainer.step(large)
    before = trainer.memory
    trainer.evaluate(large)
    assert trainer.memory - before < large["x"].nbytes / 2
    for _ in range(2):
        trainer.accumulate(large)
    trainer.step(large)
    assert trainer.memory - before < w.nbytes * 1.5 + large["x"].nbytes / 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"x": np.zeros((2, 6))}, "the batch lacks 'target'; it has 'x', 'target'"),
        ({"x": 1, "y": 2}, "a batch has no 'y'; it has 'x', 'target'"),
        ((1, 2, 3), r"a batch has 2 arrays \('x', 'target'\), 3 given"),
        (np.zeros((2, 6)), "a batch is a dictionary, or a tuple, of 'x', 'target'; given ndarray"),
        ({"x": np.zeros((2, 5)), "target": np.zeros(2, np.int64)}, "'x' should have 6 in dimension 1"),
        ({"x": np.zeros((2, 6), np.float32), "target": np.zeros(2, np.int64)}, "'x' should be float64"),
        ({"x": np.zeros((2, 6)), "target": np.zeros(3, np.int64)}, "gave N=2"),
        ({"x": np.zeros((2, 6)), "target": np.array([0, 3])}, r"'target' has the class 3 at \[1\], expected 0 to 2"),
        ({"x": np.zeros((2, 6)), "target": np.array([-1, 0])}, r"'target' has the class -1 at \[0\], expected 0 to 2"),
    ],
)
def test_batches_that_do_not_fit(trainer, given, says):
    """None of them changes anything."""
    before = trainer.state_dict()
    for call in (trainer.evaluate, trainer.step):
        with pytest.raises(ds.Error, match=says):
            call(given)
    after = trainer.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"loss": "crossentropy"}, "loss='crossentropy' is unknown; expected one of cross_entropy"),
        ({"loss": "mse:output=z"}, "loss: the model has no output 'z'; it has 'y'"),
        ({"optimizer": "sgd:beta1=0.9"}, "optimizer: sgd has no 'beta1'"),
        ({"schedule": "cosine:warmup=0"}, "schedule: expected a number of steps for 'warmup'"),
        ({"freeze": ["nothing*"]}, re.escape("freeze=['nothing*']: the model has no parameter of such a name")),
        ({"freeze": "w"}, "freeze='w' is no list of patterns"),
        ({"precision": "fp8"}, "precision='fp8' is unknown"),
        ({"memory_budget": "much"}, "memory_budget expects an amount of memory like 2GiB, 1.5GB or 300MB, not 'much'"),
        ({"memory_budget": 1.5}, "memory_budget=1.5 is no amount of memory; expected one like '2GiB:N=32', or bytes"),
        ({"memory_budget": ""}, "memory_budget='' is no amount of memory"),
        ({"memory_budget": "1GB"}, "write memory_budget='...:N=32', or fix it with shapes"),
        ({"memory_budget": "100B:N=2"}, "memory_budget: a step holds .* is the least found with recomputation"),
        ({"recompute": "w"}, "recompute='w' is no list of patterns"),
        ({"recompute": ["none*"]}, re.escape("recompute=['none*']: no node of such a name is left in the program")),
        ({"loss": 3}, "loss=3 is no text"),
        ({"emit": "executable"}, "emit='executable' needs an output file"),
    ],
)
def test_what_cannot_be_compiled(arguments, says):
    with pytest.raises(ds.CompileError, match=says):
        ds.compile_training(linear(), **arguments)


def test_what_is_no_trainer(trainer, tmp_path):
    plain = ds.compile_onnx(linear(), tmp_path / "plain.so")
    with pytest.raises(ds.Error, match="no training step: compile_training, or ds-compile --train"):
        ds.load_training(plain)
    with pytest.raises(TypeError, match=r"state_dict\(\) can"):
        pickle.dumps(trainer)
    for lr in (-1, math.nan, "fast"):
        with pytest.raises(ds.Error, match="is no learning rate"):
            trainer.step(batch(2), lr=lr)
    with pytest.raises(ds.Error, match="cannot write"):
        trainer.export(tmp_path / "none" / "m.onnx")
    assert "loss cross_entropy" in repr(trainer) and "after 0 steps" in repr(trainer)
