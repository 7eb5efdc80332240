"""Every example of docs/Runtime.md, compiled and run as it stands there."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from harness import text_model
from onnx import numpy_helper, parser
from test_embedding import CC, CXX, checked, compile_to, numbers, prefix  # noqa: F401 (a fixture)

from dsutil.venv import ROOT

WEIGHTS = np.arange(8, dtype=np.float32).reshape(4, 2) / 4
X = np.arange(1, 9, dtype=np.float32).reshape(2, 4)


def y(x: np.ndarray, state: float) -> np.ndarray:
    return np.atleast_2d(x) @ WEIGHTS + state


# What each example prints.
EXPECTED = {
    "first": y(X, 0.5).ravel(),
    "wrapper": [*y(X, 0.5).ravel(), 1.5],
    "state": [1, 2, 3],
    "donated": [1, 2, 3],
    "donated_wrapper": [6],
    "memory": y(X[0], 0).ravel(),
    "strings": [3, 1, 7, 0, 5, 1],
    "dlpack": y(X, 0.5).ravel(),
    "custom": [6, 7] * 3,
    "custom_wrapper": [6, 7] * 3,
    "threads": y(X[0], 0).ravel()[:1],
}


def examples() -> dict[str, tuple[str, str]]:
    """Language and text by name."""
    with open(os.path.join(ROOT, "docs", "Runtime.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    found = {}
    for language, text in blocks:
        name = re.match(r"// example: (\w+)\n", text)
        assert name, f"an example without a name: {text[:60]}"
        found[name[1]] = language, text
    return found


def test_every_example_is_expected():
    assert set(examples()) == set(EXPECTED)


def page_model():
    body = "m = MatMul(x, w); y = Add(m, state); next = Add(state, one)"
    model = text_model("float[N,4] x, float[1] state => float[N,2] y, float[1] next", body)
    model.graph.initializer.append(numpy_helper.from_array(WEIGHTS, "w"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "one"))
    return model


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> str:
    return compile_to(page_model(), tmp_path_factory.mktemp("docs"), "m.so", "--emit=library")


@pytest.fixture(scope="module")
def donated_artifact(tmp_path_factory) -> str:
    return compile_to(page_model(), tmp_path_factory.mktemp("donated"), "m.so", "--emit=library", "--donate=state:next")


@pytest.fixture(scope="module")
def custom_artifact(tmp_path_factory) -> str:
    """A model with an operator of the program's."""
    model = parser.parse_model(
        """<ir_version: 10, opset_import: ["": 17, "com.example": 1]>
        g (float[N] x) => (float[M] y) <float one = {1}, float[K] s> { s = com.example.Stretch<times = 3>(x)  y = Add(s, one) }"""
    )
    folder = tmp_path_factory.mktemp("custom")
    return compile_to(model, folder, "m.so", "--emit=library", "--custom-ops=com.example")


@pytest.fixture(scope="module")
def strings_artifact(tmp_path_factory) -> str:
    model = parser.parse_model(
        """<ir_version: 10, opset_import: ["": 20]>
        g (string[N] x) => (string[N] marked, bool[N] is_number) {
          mark = Constant<value_string = "!">()
          marked = StringConcat(x, mark)
          is_number = RegexFullMatch<pattern = "-?[0-9]+(.[0-9]+)?">(x)
        }"""
    )
    return compile_to(model, tmp_path_factory.mktemp("strings"), "m.so", "--emit=library")


@pytest.mark.parametrize("name", EXPECTED)
def test_example(prefix, artifact, donated_artifact, custom_artifact, strings_artifact, tmp_path, name):  # noqa: F811
    language, text = examples()[name]
    source, program = tmp_path / f"{name}.{language}", str(tmp_path / name)
    source.write_text(text)
    compiler = [CC, "-std=c11"] if language == "c" else [CXX, "-std=c++17"]
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{prefix}/include", f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib"]
    checked([*compiler, *flags, str(source), "-lds_runtime", "-pthread", "-o", program])
    special = {"custom": custom_artifact, "strings": strings_artifact, "donated": donated_artifact}
    chosen = special.get(name.removesuffix("_wrapper"), artifact)
    np.testing.assert_allclose(
        numbers(checked([program, chosen])),
        EXPECTED[name],
        rtol=1e-5,
    )
