"""`pip wheel .`, installed elsewhere: works without the build folder. Takes minutes; runs where DS_TEST_WHEEL is set."""

from __future__ import annotations

import glob
import os
import subprocess
import sys

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

PROGRAM = """
import deepseek as ds, numpy as np, onnx
text = '<ir_version: 9, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Add(x, x) }'
model = ds.compile_onnx(onnx.parser.parse_model(text))
assert model([1, 2]).tolist() == [2, 4]
print(ds.__file__)
"""


@pytest.mark.skipif(not os.environ.get("DS_TEST_WHEEL"), reason="DS_TEST_WHEEL is not set")
def test_wheel(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheels = str(tmp_path / "wheels")
    subprocess.run([*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", wheels, ROOT], check=True)
    site = str(tmp_path / "site")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, *glob.glob(f"{wheels}/*.whl")], check=True)
    environment = {**os.environ, "PYTHONPATH": site}
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert shown.stdout.startswith(site)
