"""Training steps with a memory budget: the same losses and states, bit for bit, in no more memory than was asked for."""

import json
import os
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_train_program import read_checkpoint

from dsutil import tools

BATCH, STEPS, FEATURES, LAYERS, CLASSES = 256, 4, 128, 8, 5
SIZES = f"N={BATCH}"


def network(folder) -> str:
    """Layers of Gemm, BatchNormalization in training mode, Relu and Dropout, each a fresh tensor of 256 KB."""
    rng = np.random.default_rng(3)
    weights = {"ratio": np.float64(0.3), "training": np.bool_(True), "last": rng.standard_normal((FEATURES, CLASSES))}
    nodes, value = [], "x"
    for i in range(LAYERS):
        weights |= {
            f"w{i}": rng.standard_normal((FEATURES, FEATURES)) * 0.1,
            f"scale{i}": np.ones(FEATURES),
            f"bias{i}": np.zeros(FEATURES),
            f"mean{i}": np.zeros(FEATURES),
            f"var{i}": np.ones(FEATURES),
        }
        norm = [f"h{i}", f"scale{i}", f"bias{i}", f"mean{i}", f"var{i}"]
        nodes += [
            helper.make_node("MatMul", [value, f"w{i}"], [f"h{i}"], name=f"layer{i}/matmul"),
            helper.make_node(
                "BatchNormalization", norm, [f"n{i}", f"m{i}", f"v{i}"], name=f"layer{i}/norm", training_mode=1
            ),
            helper.make_node("Tanh", [f"n{i}"], [f"t{i}"], name=f"layer{i}/tanh"),
            helper.make_node("Dropout", [f"t{i}", "ratio", "training"], [f"d{i}"], name=f"layer{i}/dropout"),
        ]
        value = f"d{i}"
    nodes.append(helper.make_node("MatMul", [value, "last"], ["y"], name="last"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["N", CLASSES])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    path = str(folder / "model.onnx")
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    data = {
        "x": rng.standard_normal((STEPS * BATCH, FEATURES)),
        "target": rng.integers(0, CLASSES, STEPS * BATCH),
    }
    np.savez(folder / "data.npz", **data)
    return path


def compiled(folder, name: str, *flags: str) -> tuple[str, str]:
    program = str(folder / name)
    result = tools.compile_model(
        str(folder / "model.onnx"), program, "--train", "--optimizer=sgd:lr=0.1,momentum=0.9", *flags, timeout=300
    )
    assert result.code == 0, result.stderr
    return program, result.stderr


def train(folder, program: str, *arguments: str) -> tuple[list[float], dict, dict[str, float]]:
    """Losses, the last checkpoint, and bytes that the session and its arena hold."""
    page, checkpoints = program + ".html", program + ".checkpoints"
    command = [program, "--data", str(folder / "data.npz"), "--batch-size", str(BATCH), "--no-shuffle", "--epochs", "1"]
    command += ["--threads", "1", "--seed", "4", "--report", page, "--checkpoint-dir", checkpoints, *arguments]
    result = tools.run(command, timeout=200)
    assert result.code == 0, result.stderr
    losses = [json.loads(line)["loss"] for line in result.stdout.splitlines() if '"loss"' in line]
    with open(page, encoding="utf-8") as file:
        text = file.read()
    figures = {
        "held": float(re.search(r"([\d.]+) MB beside the weights, state included", text)[1]) * 1e6,
        "states": float(re.search(r"from step to step \(([\d.]+):", text)[1]) * 1e6,
        "arena": float(re.search(r"in an arena of ([\d.]+)", text)[1]) * 1e6,
    }
    newest = max((os.path.join(checkpoints, file) for file in os.listdir(checkpoints)), key=os.path.getmtime)
    return losses, read_checkpoint(newest)[0], figures


def same_states(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("remat")
    network(made)
    return made


@pytest.fixture(scope="module")
def plain(folder):
    program, said = compiled(folder, "plain")
    assert "memory of a step" not in said
    return train(folder, program)


def test_a_budget_is_kept_and_nothing_else_changes(folder, plain):
    losses, state, figures = plain
    budget = int(figures["states"] + (figures["held"] - figures["states"]) / 2)
    program, said = compiled(folder, "half", f"--memory-budget={budget}B:{SIZES}")
    plan = re.search(
        r"memory of a step at N=256: ([\d.]+) MB instead of ([\d.]+) MB, by computing again (\d+) of", said
    )
    assert plan, said
    assert float(plan[1]) * 1e6 <= budget + 0.05e6 and int(plan[3]) > 0
    assert abs(float(plan[2]) * 1e6 - figures["held"]) <= 0.01 * figures["held"]
    again, same, now = train(folder, program)
    assert again == losses
    assert same_states(state, same)
    assert now["held"] <= budget + 0.05e6
    assert now["arena"] < figures["arena"]


def test_the_arena_is_the_one_that_was_planned(folder, plain):
    for percent in (90, 70, 50):
        figures = plain[2]
        budget = int(figures["states"] + (figures["held"] - figures["states"]) * percent / 100)
        program, said = compiled(folder, f"p{percent}", f"--memory-budget={budget}B:{SIZES}")
        losses, _, now = train(folder, program)
        planned = float(re.search(r"([\d.]+) MB of temporaries", said)[1]) * 1e6
        assert losses == plain[0]
        assert abs(now["arena"] - planned) <= 0.06e6, (percent, said)


def test_marked_nodes_are_computed_again(folder, plain):
    losses, state, figures = plain
    program, said = compiled(folder, "marked", "--recompute=layer[1-6]/*", f"--memory-budget=1GB:{SIZES}")
    assert "by computing again" in said, said
    again, same, now = train(folder, program)
    assert again == losses and same_states(state, same)
    assert now["arena"] < figures["arena"]


def test_marked_nodes_need_no_sizes(folder, plain):
    program, said = compiled(folder, "unsized", "--recompute=*/tanh")
    assert re.search(r"a step computes again [1-9]\d* of \d+ launches \(", said), said
    again, same, _ = train(folder, program)
    assert again == plain[0] and same_states(plain[1], same)


def test_accumulating_and_evaluating_work_with_a_budget(folder, plain):
    budget = int(plain[2]["states"] + (plain[2]["held"] - plain[2]["states"]) * 0.6)
    small, _ = compiled(folder, "accumulating", f"--memory-budget={budget}B:{SIZES}")
    whole, _ = compiled(folder, "whole")
    flags = ("--accumulate", "2", "--eval-data", str(folder / "data.npz"))
    (losses, state, _), (again, same, _) = train(folder, whole, *flags), train(folder, small, *flags)
    assert again == losses and same_states(state, same)


@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    (
        (("--memory-budget=1kB:N=256",), 1, "is the least found with recomputation"),
        (("--memory-budget=1GB",), 1, "needs the size of 'N'"),
        (("--memory-budget=much",), 2, "expects an amount of memory like 2GiB"),
        (("--memory-budget=-1MB",), 2, "expects an amount of memory like 2GiB"),
        (("--memory-budget=1GB:N",), 2, "expects sizes like N=32"),
        (("--memory-budget=1GB:N=1,N=2",), 2, "gives 'N' twice"),
        (("--memory-budget=1GB:N=1,threads=0",), 2, "expects threads=1 or more"),
        (("--recompute=nothing*", "--memory-budget=1GB:N=256"), 1, "no node of such a name"),
        (("--memory-budget=1GB:N=256", "--no-reuse"), 2, "--no-reuse shares no memory"),
    ),
)
def test_what_cannot_be_is_told(folder, tmp_path, flags, code, reason):
    result = tools.compile_model(str(folder / "model.onnx"), str(tmp_path / "train"), "--train", *flags, timeout=200)
    assert result.code == code and reason in result.stderr, result.stderr
    assert not os.path.exists(tmp_path / "train")


def test_a_budget_belongs_to_training(folder, tmp_path):
    result = tools.compile_model(str(folder / "model.onnx"), str(tmp_path / "m"), "--memory-budget=1GB", timeout=100)
    assert result.code == 2 and "'--memory-budget' goes with --train" in result.stderr
