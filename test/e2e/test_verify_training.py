"""utils/verify-training --resume: runs that were stopped are those without a stop, and what differs is told."""

import importlib.machinery
import importlib.util
import json
import os
import struct
import subprocess
import sys

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper

from dsutil.venv import ROOT

SCRIPT = os.path.join(ROOT, "utils", "verify-training")
BATCHES = """import numpy as np


def batch(name, step):
    rng = np.random.default_rng(step)
    return rng.standard_normal((4, 6)).astype(np.float32), rng.integers(0, 3, 4)
"""


@pytest.fixture
def folder(tmp_path) -> str:
    """Dropout, statistics, and an optimizer with two states of each parameter."""
    model = text_model(
        "float[N,6] x => float[N,3] y",
        "n, m2, v2 = BatchNormalization<training_mode=1>(x, s, b, m, v); d = Dropout(n, ratio, training); y = MatMul(d, w)",
    )
    rng = np.random.default_rng(1)
    weights = {
        "w": rng.standard_normal((6, 3)), "s": np.ones(6), "b": np.zeros(6), "m": np.zeros(6), "v": np.ones(6), "ratio": np.array(0.4)
    }  # fmt: skip
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    onnx.save(model, tmp_path / "small.onnx")
    record = {"optimizer": "adamw", "lr": 0.01, "betas": [0.9, 0.99], "steps": 4, "input": "x"}
    (tmp_path / "small.json").write_text(json.dumps(record))
    (tmp_path / "batches.py").write_text(BATCHES)
    return str(tmp_path)


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=300)


def test_resumed_runs_are_the_same(folder):
    result = run(folder, "--resume", "--precision", "fp32")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    # 3 parameters, 2 statistics, 6 states of the optimizer
    assert len(lines) == 2 and all("11 of 11 tensors the same bits  ok" in line for line in lines), result.stdout
    assert ["threads 1" in lines[0], "threads 2" in lines[1]] == [True, True]


def test_a_single_bit_is_told(tmp_path):
    loader = importlib.machinery.SourceFileLoader("verify_training", SCRIPT)
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("verify_training", loader))
    loader.exec_module(script)

    def write(name: str, values: bytes, step: int) -> str:
        header = {"__metadata__": {"step": str(step)}, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
        text = json.dumps(header).encode()
        (tmp_path / name).write_bytes(struct.pack("<Q", len(text)) + text + values)
        return str(tmp_path / name)

    first = write("a", b"\0" * 8, 3)
    assert script.differing(first, write("b", b"\0" * 8, 3)) == (1, [])
    assert script.differing(first, write("c", b"\0" * 7 + b"\x80", 3)) == (1, ["w"])  # -0.0
    assert script.differing(first, write("d", b"\0" * 8, 4)) == (1, ["what the file says of the run"])
