"""Every example of docs/Training.md, run as it stands there, and the digits that it trains on where scikit-learn is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from test_embedding import CC, checked, compile_to, numbers, prefix  # noqa: F401 (a fixture)

from dsutil import tools
from dsutil.venv import ROOT

X, TARGET = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], float), np.array([0, 1])
WEIGHTS = np.arange(8, dtype=np.float32).reshape(4, 2) / 8


def page() -> str:
    with open(os.path.join(ROOT, "docs", "Training.md"), encoding="utf-8") as file:
        return file.read()


def example(name: str) -> str:
    (text,) = re.findall(rf"^```\w+\n(?://|#) example: {name}\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL)
    return text


def test_every_example_is_run():
    assert re.findall(r"^(?://|#) example: (\w+)$", page(), re.MULTILINE) == ["trainer", "training"]
    assert len(re.findall(r"^```\w+$", page(), re.MULTILINE)) == 2


def model(kind: str, body: str, **weights: np.ndarray) -> onnx.ModelProto:
    found = parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> g ({kind}) {{ {body} }}')
    found.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return found


def test_training_in_c(prefix, tmp_path):  # noqa: F811
    linear = model("float[N,4] x) => (float[N,2] y", "y = MatMul(x, w)", w=WEIGHTS)
    artifact = compile_to(linear, tmp_path, "step.so", "--emit=library", "--train", "--optimizer=adamw:lr=1")
    source, program = tmp_path / "training.c", str(tmp_path / "training")
    source.write_text(example("training"))
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{prefix}/include", f"-L{prefix}/lib"]
    checked([CC, *flags, f"-Wl,-rpath,{prefix}/lib", str(source), "-lds_runtime", "-pthread", "-o", program])
    w, m, v, expected = WEIGHTS.astype(float), 0, 0, []
    for step in (1, 2, 3):
        p = np.exp(X @ w)
        p /= p.sum(1, keepdims=True)
        expected.append(-np.log(p[[0, 1], TARGET]).mean())
        g = X.T @ (p - np.eye(2)[TARGET]) / 2
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w * (1 - 0.5 * 0.01) - 0.5 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(numbers(checked([program, artifact])), [*expected, w[0, 0]], rtol=1e-4, atol=1e-6)


def test_training_in_python(tmp_path):
    """With a network that learns which of ten bars is bright."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((64, 10)).astype(np.float32) / 80, "b": np.zeros(10, np.float32)}
    bars = model("float[N,1,8,8] x) => (float[N,10] y", "f = Flatten(x) h = MatMul(f, w) y = Add(h, b)", **weights)
    onnx.save(bars, tmp_path / "digits.onnx")
    for name, count in (("train", 200), ("test", 50)):
        target = np.arange(count) % 10
        x = rng.random((count, 64)).astype(np.float32)
        x[np.arange(count), target * 6] += 8
        np.savez(tmp_path / f"{name}.npz", x=x.reshape(count, 1, 8, 8), target=target)
    (tmp_path / "trainer.py").write_text(example("trainer"))
    path = [os.path.join(tools.BUILD, "python"), *os.environ.get("PYTHONPATH", "").split(":")]
    environment = {**os.environ, "PYTHONPATH": ":".join(filter(None, path)), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    lines = checked([sys.executable, "trainer.py"], cwd=tmp_path, env=environment).splitlines()
    losses = [float(line.split()[1]) for line in lines[:-1]]
    assert len(losses) == 10 and losses[-1] < losses[0]
    assert float(lines[-1]) > 0.5
    state, trained = np.load(tmp_path / "state.npz"), onnx.load(tmp_path / "trained.onnx")
    assert state["step"] == 70
    for tensor in trained.graph.initializer:
        assert np.array_equal(numpy_helper.to_array(tensor), state[tensor.name])


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_digits(tmp_path):
    """The page's commands for scikit-learn's digits: 98 % of pictures that were not trained on."""
    section = page().split("## Digits, from the start")[1].split("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ") and "pip" not in line]
    commands = [line for line in commands if not line.startswith("{")]
    assert [line.split()[0] for line in commands] == ["python", "ds-compile", "./train"]
    replaced = {"python": sys.executable, "ds-compile": tools.tool("ds-compile")}
    for command in commands:
        words = shlex.split(command)
        words = [replaced.get(words[0], words[0]), *words[1:]]
        words = [os.path.join(ROOT, word) if word.startswith("docs/") else word for word in words]
        result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
    evaluations = [json.loads(line) for line in result.stdout.splitlines() if "eval_accuracy" in line]
    assert evaluations[-1]["eval_accuracy"] >= 0.98, evaluations
