"""Operators that draw random numbers: the generator against published answers and NumPy's arithmetic, the distributions against
theory (for fixed seeds), and when numbers are the same and when they are not."""

from __future__ import annotations

import math
import os

import ml_dtypes
import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper
from philox import normal, random_key, uniform

from dsutil import runtime, tools


def library(folder, signature: str, body: str, *flags: str, opset: int = 17, weights: dict | None = None) -> str:
    model = text_model(signature, body, opset)
    for name, value in (weights or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    path, made = str(folder / "model.onnx"), str(folder / f"model{len(os.listdir(folder))}.so")
    onnx.save(model, path)
    result = tools.compile_model(path, made, "--emit=library", *flags, timeout=300)
    assert result.code == 0, result.stderr
    return made


def draw(path: str, *arrays, seed: int | None = None, runs: int = 1, threads: int = 1) -> list[list[np.ndarray]]:
    """The outputs of each run, without the generator."""
    with runtime.Model(path, threads) as model:
        if seed is not None:
            model.seed(seed)
        outputs = len(model.outputs) - 1
        assert model.outputs[-1] == "generator"
        given = [*arrays, *([None] * (len(model.inputs) - len(arrays)))]
        return [model.run(given)[:outputs] for _ in range(runs)]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )


# ----------------------------------------------------------------------------------------------------------------------
# The generator
# ----------------------------------------------------------------------------------------------------------------------


def test_known_answers(tmp_path):
    """Random123's kat_vectors for philox4x32_10, of which a key has the first two words."""
    vectors = [  # counter, key, answer
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB)),
    ]
    whole = lambda low, high: (low | high << 32) - ((high >> 31) << 64)  # noqa: E731
    keys = "\n".join(
        f'%{i} = ds.random_key %seed, %run {{stream = #ds.shape<["{whole(*counter[2:])}"]>}} : (tensor<i64>, tensor<i64>) -> tensor<i64>'
        for i, (counter, _, _) in enumerate(vectors)
    )
    (tmp_path / "keys.mlir").write_text(
        f"func.func @main(%seed: tensor<i64>, %run: tensor<i64>) -> (tensor<i64>, tensor<i64>, tensor<i64>) {{\n{keys}\n"
        "return %0, %1, %2 : tensor<i64>, tensor<i64>, tensor<i64>\n}\n"
    )
    made = str(tmp_path / "keys.so")
    result = tools.compile_model(str(tmp_path / "keys.mlir"), made, "--emit=library", timeout=300)
    assert result.code == 0, result.stderr
    with runtime.Model(made) as model:
        for number, (counter, key, answer) in enumerate(vectors):
            found = model.run([np.array(whole(*key)), np.array(whole(*counter[:2]))])[number]
            assert int(found) == whole(*answer)
            assert random_key(whole(*key), whole(*counter[:2]), whole(*counter[2:])) % 2**64 == whole(*answer) % 2**64


@pytest.mark.parametrize("dtype", ("float", "double"))
def test_numbers_are_those_of_the_definition(tmp_path, dtype):
    """Uniform ones bit for bit, normal ones to the last places, at sizes that end anywhere in a block."""
    code = {"float": 1, "double": 11}[dtype]
    made = library(
        tmp_path,
        f"{dtype}[N,M] x => {dtype}[N,M] u, {dtype}[N,M] n",
        f"u = RandomUniformLike<dtype = {code}>(x); n = RandomNormalLike<dtype = {code}>(x)",
    )
    numpy = np.dtype(np.float32 if dtype == "float" else np.float64)
    for shape, seed, run in (((1, 1), 0, 0), ((3, 5), 7, 2), ((64, 67), 2**62 + 12345, 1), ((2, 4001), -3, 0)):
        u, n = draw(made, np.zeros(shape, numpy), seed=seed, runs=run + 1)[run]
        assert same([u], [uniform(random_key(seed, run, 1), shape, numpy)])
        np.testing.assert_allclose(n, normal(random_key(seed, run, 2), shape), rtol=0, atol=1e-5)


def test_f64_has_all_its_bits(tmp_path):
    (u, n) = draw(
        library(
            tmp_path,
            "=> double[4000] u, double[4000] n",
            "u = RandomUniform<dtype = 11, shape = [4000]>(); n = RandomNormal<dtype = 11, shape = [4000]>()",
        )
    )[0]
    assert np.mean((u * 2.0**53) % 2 == 1) == pytest.approx(0.5, abs=0.05)
    assert np.count_nonzero(n == n.astype(np.float32)) < 10


def test_bits_do_not_depend_on_threads_or_vectors(tmp_path):
    signature = "float[N,M] x => float[N,M] u, float[N,M] n, float[M,N] t, float[N,M] d, double[N,M] e, bool[N,M] m"
    body = """u = RandomUniformLike(x); n = RandomNormalLike(x); v = RandomNormalLike(x); t = Transpose<perm = [1, 0]>(v)
        r = Constant<value = float {0.3}>(); b = Constant<value = bool {1}>(); d, m = Dropout(x, r, b)
        e = RandomUniformLike<dtype = 11>(x)"""
    made = library(tmp_path, signature, body, "--target-cpu=x86-64-v3")
    x = np.random.default_rng(1).standard_normal((37, 1031)).astype(np.float32)
    found = draw(made, x, seed=5)[0]
    for threads in (2, 3):
        assert same(found, draw(made, x, seed=5, threads=threads)[0])
    with open("/proc/cpuinfo") as file:
        others = ("native", "x86-64-v4") if "avx512bw" in file.read() else ("native",)
    for cpu in others:
        assert same(found, draw(library(tmp_path, signature, body, f"--target-cpu={cpu}"), x, seed=5)[0])


# ----------------------------------------------------------------------------------------------------------------------
# Distributions
# ----------------------------------------------------------------------------------------------------------------------


def distance(sample: np.ndarray, cdf) -> float:
    """Kolmogorov's, times the root of the size: above 1.95 once in a thousand times."""
    values = cdf(np.sort(sample.ravel().astype(np.float64)))
    ranks = np.arange(len(values) + 1) / len(values)
    return max((ranks[1:] - values).max(), (values - ranks[:-1]).max()) * math.sqrt(len(values))


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


@pytest.mark.parametrize("code", (1, 11, 10, 16), ids=("float", "double", "float16", "bfloat16"))
def test_uniform_and_normal(tmp_path, code):
    name = {1: "float", 11: "double", 10: "float16", 16: "bfloat16"}[code]
    shape = "shape = [200, 1000]"
    u, n = draw(
        library(
            tmp_path,
            f"=> {name}[200,1000] u, {name}[200,1000] n",
            f"u = RandomUniform<dtype = {code}, low = -2.0, high = 3.0, {shape}>()"
            f"; n = RandomNormal<dtype = {code}, mean = 4.0, scale = 0.5, {shape}>()",
            opset=22,
        ),
        seed=11,
    )[0]
    assert u.dtype == n.dtype == {1: np.float32, 11: np.float64, 10: np.float16, 16: ml_dtypes.bfloat16}[code]
    u, n = u.astype(np.float64), n.astype(np.float64)
    assert -2 <= u.min() < -1.99 and 2.97 < u.max() < 3
    if code in (1, 11):
        assert distance((u + 2) / 5, lambda x: x) < 1.95
        assert distance((n - 4) / 0.5, normal_cdf) < 1.95
    assert u.mean() == pytest.approx(0.5, abs=0.02) and u.var() == pytest.approx(25 / 12, abs=0.03)
    z = (n - 4) / 0.5
    moments = [np.mean(z**k) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)
    assert 4 < abs(z).max() < 6.7
    # Neighbours have nothing to do with each other, those that share a block among them.
    for lag in (1, 2, 3, 4, 1000):
        assert abs(np.corrcoef(z.ravel()[lag:], z.ravel()[:-lag])[0, 1]) < 0.01


def test_bernoulli(tmp_path):
    p = np.linspace(0, 1, 11, dtype=np.float32)[:, None] * np.ones((11, 10000), np.float32)
    made = library(
        tmp_path, "float[N,M] p => float[N,M] y, int32[N,M] i, bool[N,M] b",
        "y = Bernoulli(p); i = Bernoulli<dtype = 6>(p); b = Bernoulli<dtype = 9>(p)",
    )  # fmt: skip
    for sample, dtype in zip(draw(made, p, seed=3)[0], (np.float32, np.int32, np.bool_)):
        assert sample.dtype == dtype and set(np.unique(sample.astype(int))) == {0, 1}
        ones = sample.astype(np.float64).sum(1)
        assert ones[0] == 0 and ones[-1] == 10000
        q = p[1:-1, 0].astype(np.float64)
        assert (((ones[1:-1] - 10000 * q) ** 2) / (10000 * q * (1 - q))).sum() < 27.88  # chi-square, 9 degrees, 0.999


@pytest.mark.parametrize("kind", ("float", "double", "float16"))
@pytest.mark.parametrize("code", (6, 7), ids=("int32", "int64"))
def test_multinomial(tmp_path, kind, code):
    """Unnormalized log-probabilities, classes that never come at both ends among them."""
    dtype = {"float": np.float32, "double": np.float64, "float16": np.float16}[kind]
    weights = np.array([[0, 1, 2, 3, 4, 0], [5, 1, 0, 1, 1, 2]], np.float64)
    with np.errstate(divide="ignore"):
        x = (np.log(weights) + np.array([[1.5], [-2]])).astype(dtype)
    made = library(
        tmp_path, f"{kind}[N,6] x => {'int32' if code == 6 else 'int64'}[N,20000] y",
        f"y = Multinomial<dtype = {code}, sample_size = 20000>(x)",
    )  # fmt: skip
    y = draw(made, x, seed=1)[0][0]
    assert y.shape == (2, 20000) and y.dtype == (np.int32 if code == 6 else np.int64)
    for row, weight in zip(y, weights):
        expected = weight / weight.sum() * 20000
        found = np.bincount(row, minlength=6)
        assert found[expected == 0].sum() == 0
        likely = expected > 0
        assert ((found - expected)[likely] ** 2 / expected[likely]).sum() < 18.47  # 4 degrees, 0.999


# ----------------------------------------------------------------------------------------------------------------------
# When numbers are the same
# ----------------------------------------------------------------------------------------------------------------------


def test_seeds_runs_and_nodes(tmp_path):
    made = library(
        tmp_path,
        "=> float[100] a, float[100] b, float[100] c, float[100] d",
        "a = RandomUniform<shape = [100]>(); b = RandomUniform<shape = [100]>()"
        "; c = RandomUniform<shape = [100], seed = 4.0>(); d = RandomUniform<shape = [100], seed = 4.0>()",
    )
    first = draw(made, runs=3)
    assert all(same(a, b) for a, b in zip(first, draw(made, seed=0, runs=3)))
    other = draw(made, seed=1, runs=3)
    drawn = [array.tobytes() for run in first + other for array in run[:2]]
    assert len(set(drawn)) == 12
    # A node's own seed: the same numbers as another node of that seed, in every session, but not in every run.
    for run, again in zip(first, other):
        assert same(run[2:], again[2:]) and same(run[2:3], run[3:])
    assert len({run[2].tobytes() for run in first}) == 3


@pytest.mark.parametrize("nested", (False, True), ids=("loop", "loops"))
@pytest.mark.parametrize("unrolled", (False, True), ids=("trips", "unrolled"))
def test_iterations_differ(tmp_path, nested, unrolled):
    """In a loop within a loop, too, whether the trip count is known or not; and the same again with the same seed."""
    inner = "v = RandomUniform<shape = [9]>()"
    row = "[9]"
    if nested:
        inner = f"""keep = Constant<value = bool {{1}}>(); three = Constant<value = int64 {{3}}>()
            v = Loop({"three" if unrolled else "trips"}, keep) <body = inner (int64 j, bool k) => (bool l, float[9] w) {{
              l = Identity(k)
              w = RandomUniform<shape = [9]>()
            }}>"""
        row = "[3,9]"
    start = "count = Constant<value = int64 {3}>()" if unrolled else "count = Identity(trips)"
    body = f"""{start}; go = Constant<value = bool {{1}}>()
        y = Loop(count, go) <body = outer (int64 i, bool c) => (bool d, float{row} u) {{
          d = Identity(c)
          {inner.replace("v = ", "u = ", 1) if not nested else inner.replace("v = Loop", "u = Loop")}
        }}>"""
    made = library(tmp_path, "int64 trips => float[P,Q] y" if not nested else "int64 trips => float[P,Q,R] y", body)
    runs = draw(made, np.array(3), seed=2, runs=2)
    rows = [row.tobytes() for run in runs for row in run[0].reshape(-1, 9)]
    assert len(rows) == (18 if nested else 6) == len(set(rows))
    assert same(runs[1], draw(made, np.array(3), seed=2, runs=2)[1])


def test_branches_scans_and_functions(tmp_path):
    made = library(
        tmp_path,
        "bool c, float[T,5] x => float[5] y, float[T,5] z",
        """y = If(c) <then_branch = t () => (float[5] a) { a = RandomNormal<shape = [5]>() },
                      else_branch = e () => (float[5] b) { b = RandomUniform<shape = [5]>() }>
           z = Scan<num_scan_inputs = 1, body = s (float[5] row) => (float[5] out) { n = RandomNormalLike(row)
             out = Add(row, n) }>(x)""",
    )
    x = np.zeros((7, 5), np.float32)
    for condition in (True, False):
        (y, z), (again, _) = draw(made, np.array(condition), x, runs=2)
        assert not same([y], [again]) and len({row.tobytes() for row in z}) == 7
        assert (condition and (y.min() < 0 or y.max() >= 1)) or (0 <= y.min() and y.max() < 1)

    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 17, "own" : 1]>
        g () => (float[50] a, float[50] b) { a = own.draw() b = own.draw() }
        <opset_import: ["" : 17], domain: "own"> draw () => (y) { y = RandomUniform<shape = [50]>() }"""
    )
    onnx.save(model, tmp_path / "functions.onnx")
    result = tools.compile_model(
        str(tmp_path / "functions.onnx"), str(tmp_path / "f.so"), "--emit=library", timeout=300
    )
    assert result.code == 0, result.stderr
    a, b = draw(str(tmp_path / "f.so"))[0]
    assert not same([a], [b])


def test_zero_sizes_and_names(tmp_path):
    """A model may have a value named as the generator would be."""
    path = library(
        tmp_path,
        "float[N,M] generator => float[N,M] u, float[N,M] n, int32[N,2] m, float[N,M] b",
        "u = RandomUniformLike(generator); n = RandomNormalLike(generator); m = Multinomial<sample_size = 2>(generator)"
        "; b = Bernoulli(generator)",
    )
    with runtime.Model(path) as model:
        assert model.inputs == ["generator", "generator_"] and model.property("ds.generator") == "generator_"
        for shape in ((0, 3), (3, 0), (2, 3)):
            outputs = model.run([np.zeros(shape, np.float32), None])
            assert [o.shape for o in outputs[:4]] == [shape, shape, (shape[0], 2), shape]
        assert outputs[4].tolist() == [0, 3]


def test_a_failed_run_does_not_end_the_numbers(tmp_path):
    path = library(
        tmp_path,
        "float[4] x, int64[2] i => float[2] y, float[4] u",
        "u = RandomUniformLike(x); v = Add(x, u); y = Gather(v, i)",
    )
    x, good, bad = np.zeros(4, np.float32), np.array([0, 1]), np.array([0, 9])
    with runtime.Model(path) as model:
        first = model.run([x, good, None])
        with pytest.raises(runtime.RuntimeFailure, match="outside"):
            model.run([x, bad, None])
        after = model.run([x, good, None])
        assert not same([first[1]], [after[1]])


# ----------------------------------------------------------------------------------------------------------------------
# Dropout
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ("float", "double", "float16"))
@pytest.mark.parametrize("known", (True, False), ids=("constants", "inputs"))
def test_dropout(tmp_path, kind, known):
    dtype = {"float": np.float32, "double": np.float64, "float16": np.float16}[kind]
    given = {"ratio": np.array(0.25, dtype), "training": np.array(True)}
    signature = f"{kind}[N,M] x" + ("" if known else f", {kind} ratio, bool training")
    made = library(
        tmp_path,
        f"{signature} => {kind}[N,M] y, bool[N,M] mask",
        "y, mask = Dropout(x, ratio, training)",
        weights=given if known else None,
    )
    x = np.random.default_rng(1).standard_normal((50, 1000)).astype(dtype)
    if not known:
        x[0, 0] = np.inf
    arguments = [] if known else [given["ratio"], given["training"]]
    (y, mask), (_, other) = draw(made, x, *arguments, seed=9, runs=2)
    assert y.dtype == dtype and mask.dtype == np.bool_ and not same([mask], [other])
    assert mask.mean() == pytest.approx(0.75, abs=0.01)
    assert np.array_equal(mask, uniform(random_key(9, 0, 1), x.shape, np.float64) >= 0.25)
    scaled = (x.astype(np.float64) / 0.75).astype(dtype)
    np.testing.assert_allclose(y, np.where(mask, scaled, 0), rtol=1e-3 if kind == "float16" else 1e-6)
    assert not y[~mask].any()
    if known:
        return
    # What the run says.
    y, mask = draw(made, x, given["ratio"], np.array(False))[0]
    assert same([y, mask], [x, np.ones(x.shape, bool)])
    y, mask = draw(made, x, np.array(0, dtype), np.array(True))[0]
    assert same([y, mask], [x, np.ones(x.shape, bool)])
    y, mask = draw(made, x, np.array(1, dtype), np.array(True))[0]
    assert same([y, mask], [np.zeros_like(x), np.zeros(x.shape, bool)])


def test_dropout_that_is_no_training_draws_nothing(tmp_path):
    for opset, body in (
        (17, "y = Dropout(x)"),
        (10, "y = Dropout<ratio = 0.5>(x)"),
        (6, "y = Dropout<is_test = 1>(x)"),
        (17, "r = Constant<value = float {0.0}>(); t = Constant<value = bool {1}>(); y = Dropout(x, r, t)"),
    ):
        path = library(tmp_path, "float[3] x => float[3] y", body, opset=opset)
        with runtime.Model(path) as model:
            assert model.inputs == ["x"] and model.outputs == ["y"]
            with pytest.raises(runtime.RuntimeFailure, match="draws no random numbers"):
                model.seed(1)
    y, mask = draw(
        library(tmp_path, "float[400] x => float[400] y, float[400] m", "y, m = Dropout<ratio = 0.5>(x)", opset=6),
        np.ones(400, np.float32),
    )[0]
    assert set(y) == {0, 2} and same([mask], [y / 2])


@pytest.mark.parametrize(
    ("body", "reason"),
    (
        ("r = Constant<value = float {1.5}>(); t = Constant<value = bool {1}>(); y = Dropout(x, r, t)", "'ratio' is 1.5"),
        ("y = RandomUniform<shape = [-2]>()", "'shape' has the size -2"),
        ("i = Cast<to = 7>(x); y = RandomNormalLike(i)", "'dtype' must say of which type"),
        ("z = Unsqueeze(x, x); y = Multinomial(x)", "expected an input of rank 2, got rank 1"),
    ),
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(tmp_path, body, reason):
    onnx.save(text_model("float[3] x => float[3] y", body.replace("z = Unsqueeze(x, x); ", "")), tmp_path / "m.onnx")
    result = tools.compile_model(str(tmp_path / "m.onnx"), str(tmp_path / "m"), timeout=100)
    assert result.code == 1 and reason in result.stderr, result.stderr


# ----------------------------------------------------------------------------------------------------------------------
# Programs, versions
# ----------------------------------------------------------------------------------------------------------------------


def test_seed_of_a_program(tmp_path):
    onnx.save(text_model("=> float[20] y", "y = RandomNormal<shape = [20]>()"), tmp_path / "m.onnx")
    program = str(tmp_path / "m")
    assert tools.compile_model(str(tmp_path / "m.onnx"), program, timeout=300).code == 0

    def outputs(*flags: str) -> bytes:
        result = tools.run([program, "--output-dir", str(tmp_path / "out"), *flags], timeout=60)
        assert result.code == 0, result.stderr
        return np.load(tmp_path / "out" / "y.npy").tobytes()

    assert outputs() == outputs("--seed", "0") == outputs("--seed=0") != outputs("--seed", "7") == outputs("--seed=7")
    for flags, reason in (
        (["--seed=-1"], "--seed needs a number"),
        (["--seed=1", "--seed=2"], "--seed is given twice"),
    ):
        result = tools.run([program, *flags], timeout=60)
        assert result.code == 2 and reason in result.stderr


def test_versions_have_one_generator(tmp_path):
    """Of a version that draws nothing, too: an optional input decides whether there is anything to draw."""
    made = library(
        tmp_path,
        "float[N] x, bool training => float[N] y",
        "r = Constant<value = float {0.5}>(); y = Dropout(x, r, training)",
        "--optional=training",
        "--specialize=N=100",
        weights={"training": np.array(False)},
    )
    for size in (100, 77):
        x = np.ones(size, np.float32)
        with runtime.Model(made) as model:
            assert model.run([x, None, None])[0].tolist() == x.tolist()
            first, generator = model.run([x, np.array(True), None])
            assert set(first) == {0, 2} and generator.tolist() == [0, 2]
            assert not same([first], model.run([x, np.array(True), None])[:1])
