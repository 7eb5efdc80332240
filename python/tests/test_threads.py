"""Results depend neither on how many threads a session has nor on what other sessions of the model do: every bit is equal."""

from __future__ import annotations

import threading

import deepseek as ds
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

BODY = """
    c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, k)
    r = Relu(c)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    f = Flatten <axis = 1> (p)
    m = MatMul(f, w)
    s = Softmax <axis = -1> (m)
    t = ReduceSum <keepdims = 0> (m, axes)
    n = LayerNormalization <axis = -1> (m, g)
"""


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    """Convolution, pooling, matrix product, softmax, reduction and normalization: each way of cutting work into pieces."""
    rng = np.random.default_rng(3)
    text = f'<ir_version: 9, opset_import: ["": 17]> g (float[N,3,16,16] x) => (float[N,77] s, float[N] t, float[N,77] n) {{ {BODY} }}'
    model = onnx.parser.parse_model(text)
    weights = {
        "k": rng.standard_normal((8, 3, 3, 3)) * 0.3,
        "w": rng.standard_normal((512, 77)) * 0.05,
        "g": rng.standard_normal(77),
    }
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "axes"))
    return model


@pytest.fixture(scope="module")
def path(proto, tmp_path_factory) -> str:
    return ds.compile_onnx(proto, tmp_path_factory.mktemp("threads") / "model.so")


def inputs(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 3, 16, 16)).astype(np.float32)


def same(a, b) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


SIZES = (1, 2, 5, 16)


@pytest.fixture(scope="module")
def expected(path, proto) -> dict[int, tuple[np.ndarray, ...]]:
    model = ds.load(path, threads=1)
    results = {count: model(inputs(count)) for count in SIZES}
    for count, outputs in results.items():
        for found, reference in zip(outputs, ReferenceEvaluator(proto).run(None, {"x": inputs(count)}), strict=True):
            np.testing.assert_allclose(found, reference, atol=1e-4)
    return results


@pytest.mark.parametrize("threads", [2, 3, 4, 8])
def test_number_of_threads_does_not_matter(path, expected, threads):
    model = ds.load(path, threads=threads)
    for _ in range(20):
        for count in SIZES:
            assert same(model(inputs(count)), expected[count])


def test_eight_sessions_of_one_model_a_thousand_times(path, expected):
    model = ds.load(path)
    arrays = {count: inputs(count) for count in SIZES}
    wrong = []

    def work() -> None:
        session = model.session(threads=1)
        for run in range(1000):
            count = SIZES[run % 3]
            if not same(session(arrays[count]), expected[count]):
                wrong.append(count)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
