"""Dropout in training steps: its masks are those of the generator's definition, by NumPy; what is dropped has no derivative; a
run that is resumed draws what the run without a stop does; evaluation drops nothing."""

from __future__ import annotations

import itertools
import json
import os

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from philox import random_key, uniform

from dsutil import tools

BATCH, STEPS, FEATURES, HIDDEN = 6, 5, 7, 12
RATIO = 0.25
RNG = np.random.default_rng(3)


def network(folder, ratio: np.ndarray | None, looped: bool = False) -> tuple[str, dict[str, np.ndarray]]:
    """x -> Gemm -> Dropout in training mode -> Gemm. With `looped`, Dropout once for two samples, by a loop."""
    weights = {
        "a.weight": RNG.standard_normal((HIDDEN, FEATURES)) * 0.4,
        "b.weight": RNG.standard_normal((1, HIDDEN)) * 0.4,
    }
    constants = {"training": np.array(True), "two": np.array(2)}
    if ratio is not None:
        constants["ratio"] = ratio
    dropout = helper.make_node("Dropout", ["h", "ratio" if ratio is not None else "", "training"], ["d"], "drop")
    if looped:
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["go"], ["on"]),
                helper.make_node("Dropout", ["s", "ratio", "training"], ["t"], "drop"),
            ],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                helper.make_tensor_value_info("s", TensorProto.DOUBLE, ["N", HIDDEN]),
            ],
            [
                helper.make_tensor_value_info("on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("t", TensorProto.DOUBLE, ["N", HIDDEN]),
            ],
        )
        dropout = helper.make_node("Loop", ["trips", "", "h"], ["d"], body=body)
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "a.weight"], ["h"], transB=1),
            helper.make_node("Shape", ["x"], ["size"], end=1),
            helper.make_node("Squeeze", ["size"], ["count"]),
            helper.make_node("Div", ["count", "two"], ["trips"]),
            dropout,
            helper.make_node("Gemm", ["d", "b.weight"], ["y"], transB=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in (weights | constants).items()],
    )
    path = str(folder / "model.onnx")
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path, weights


def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    return {"x": rng.standard_normal((BATCH * STEPS, FEATURES)), "target": rng.standard_normal((BATCH * STEPS, 1))}


def build(folder, model: str, *flags: str) -> str:
    program = str(folder / "train")
    compiled = tools.compile_model(
        model, program, "--train", "--loss=mse", "--optimizer=sgd:lr=0.1", *flags, timeout=300
    )
    assert compiled.code == 0, compiled.stderr
    np.savez(folder / "data.npz", **data())
    return program


def train(program: str, *flags) -> list[dict]:
    command = [
        program,
        "--data",
        os.path.join(os.path.dirname(program), "data.npz"),
        f"--batch-size={BATCH}",
        "--no-shuffle",
    ]
    result = tools.run([*command, *map(str, flags)], timeout=120)
    assert result.code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def expected(weights: dict[str, np.ndarray], seed: int, ratio: float) -> tuple[list[float], list[dict], dict]:
    """Losses and gradients of all steps, and the weights afterwards."""
    losses, slopes = [], []
    for step in range(STEPS):
        part = slice(step * BATCH, (step + 1) * BATCH)
        x, target = data()["x"][part], data()["target"][part]
        h = x @ weights["a.weight"].T
        # The model's first node that draws, in the step of this number.
        kept = uniform(random_key(seed, step + 1, 1), h.shape, np.float64) >= ratio
        mask = kept / (1 - ratio)
        y = (h * mask) @ weights["b.weight"].T
        g = 2 * (y - target) / y.size
        losses.append(((y - target) ** 2).mean())
        slopes.append({"a.weight": ((g @ weights["b.weight"]) * mask).T @ x, "b.weight": g.T @ (h * mask)})
        weights = {name: value - 0.1 * slopes[-1][name] for name, value in weights.items()}
    return losses, slopes, weights


@pytest.mark.parametrize("ratio", (RATIO, None), ids=("ratio", "default"))
@pytest.mark.parametrize("seed", (0, 5))
def test_masks_of_training(tmp_path, ratio, seed):
    """Every loss depends on the masks of all steps before, forward and backward."""
    model, weights = network(tmp_path, None if ratio is None else np.array(ratio, np.float32))
    program = build(tmp_path, model)
    lines = train(
        program, "--seed", seed, "--dump-gradients", tmp_path / "g.npz", "--export", tmp_path / "trained.onnx"
    )
    losses, slopes, trained = expected(weights, seed, ratio or 0.5)
    np.testing.assert_allclose([line["loss"] for line in lines], losses, rtol=1e-11)
    with np.load(tmp_path / "g.npz") as found:
        for name, slope in slopes[0].items():
            key = name if name in found else "grad." + name
            np.testing.assert_allclose(found[key], slope, rtol=1e-10, atol=1e-15)
    # The exported model drops nothing.
    (y,) = onnxruntime.InferenceSession(tmp_path / "trained.onnx").run(None, {"x": data()["x"]})
    np.testing.assert_allclose(y, data()["x"] @ trained["a.weight"].T @ trained["b.weight"].T, rtol=1e-10)


def test_evaluation_drops_nothing(tmp_path):
    model, weights = network(tmp_path, np.array(RATIO, np.float32))
    program = build(tmp_path, model)
    lines = train(program, "--eval-data", tmp_path / "data.npz")
    _, _, trained = expected(weights, 0, RATIO)
    y = data()["x"] @ trained["a.weight"].T @ trained["b.weight"].T
    evaluations = [line["eval_loss"] for line in lines if "eval_loss" in line]
    np.testing.assert_allclose(evaluations, [((y - data()["target"]) ** 2).mean()], rtol=1e-10)


@pytest.mark.parametrize("threads", (1, 2))
def test_resumes_bit_equal(tmp_path, threads):
    model, _ = network(tmp_path, np.array(RATIO, np.float32))
    program = build(tmp_path, model)
    flags = ["--epochs=3", "--seed=4", "--threads", threads]
    whole = train(program, *flags, "--export", tmp_path / "whole.onnx")
    parts = []
    for stop in (2, 7, 15):
        parts += train(
            program, *flags, "--steps", stop, "--checkpoint-dir", tmp_path / "parts",
            *(["--resume", tmp_path / "parts"] * bool(parts)), "--export", tmp_path / "parts.onnx",
        )  # fmt: skip
    assert [line["loss"] for line in parts] == [line["loss"] for line in whole]
    other = train(program, *flags[:1], "--seed=3")
    assert [line["loss"] for line in other] != [line["loss"] for line in whole]
    assert (tmp_path / "whole.onnx").read_bytes() == (tmp_path / "parts.onnx").read_bytes()


def test_iterations_of_a_loop_drop_others_and_backward_the_same(tmp_path):
    """Three masks of one node. Numbers of nodes and loops depend on the order of the import: one of a few must fit."""
    model, weights = network(tmp_path, np.array(RATIO, np.float32), looped=True)
    lines = train(build(tmp_path, model), "--steps=1", "--dump-gradients", tmp_path / "g.npz")
    x, target = data()["x"][:BATCH], data()["target"][:BATCH]
    h = x @ weights["a.weight"].T
    fitting = []
    for node, loop in itertools.permutations(range(1, 9), 2):
        # A key for the iterations of the step, which is the seed's for what the body draws.
        epochs = [random_key(1, i, loop) for i in range(BATCH // 2)]
        masks = [uniform(random_key(0, epoch, node), h.shape, np.float64) >= RATIO for epoch in epochs]
        assert len({mask.tobytes() for mask in masks}) == len(masks)
        mask = np.prod(masks, 0) / (1 - RATIO) ** len(masks)
        y = (h * mask) @ weights["b.weight"].T
        g = 2 * (y - target) / y.size
        if abs(((y - target) ** 2).mean() - lines[0]["loss"]) < 1e-11:
            fitting.append({"a.weight": ((g @ weights["b.weight"]) * mask).T @ x, "b.weight": g.T @ (h * mask)})
    assert len(fitting) == 1
    with np.load(tmp_path / "g.npz") as found:
        for name, slope in fitting[0].items():
            key = name if name in found else "grad." + name
            np.testing.assert_allclose(found[key], slope, rtol=1e-10, atol=1e-15)
