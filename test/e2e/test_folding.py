"""What the compiler computes from constants is what a kernel computes: sizes, folded elements, and contents of small
tensors that shape inference follows."""

import os

import numpy as np
import onnx
import pytest
from dsutil import tools
from harness import compile_program, run_program, text_model
from onnx import numpy_helper

NAMES = {
    np.int8: "int8",
    np.int16: "int16",
    np.int32: "int32",
    np.int64: "int64",
    np.uint8: "uint8",
    np.uint16: "uint16",
    np.uint32: "uint32",
    np.uint64: "uint64",
}


def run_model(folder, model, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    folder.mkdir()
    path, program, results = (str(folder / name) for name in ("model.onnx", "model", "results"))
    onnx.save(model, path)
    compiled = compile_program(path, program)
    assert compiled.code == 0, compiled.stderr
    result = run_program(program, arrays, results)
    assert result.code == 0, result.stderr
    names = [output.name for output in model.graph.output]
    return {name: np.load(os.path.join(results, tools.output_file(name))) for name in names}


def constant_model(signature: str, body: str, constants: dict[str, np.ndarray], opset: int):
    """The model with initializers in the place of some inputs."""
    model = text_model(signature, body, opset)
    for value in [value for value in model.graph.input if value.name in constants]:
        model.graph.input.remove(value)
    for name, array in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def same_folded(tmp_path, signature: str, body: str, constants: dict[str, np.ndarray], opset: int = 17):
    """Bits are equal whether `constants` are constants or inputs. The model has one more input, `p`, which it copies."""
    p = np.ones(1, np.float32)
    computed = run_model(tmp_path / "run", text_model(signature, body, opset), {**constants, "p": p})
    folded = run_model(tmp_path / "folded", constant_model(signature, body, constants, opset), {"p": p})
    for name, array in computed.items():
        np.testing.assert_array_equal(folded[name], array, err_msg=name)
    return computed


@pytest.mark.parametrize("dtype", NAMES, ids=NAMES.values())
def test_integers_wrap_alike(dtype, tmp_path):
    info, name = np.iinfo(dtype), NAMES[dtype]
    a = np.array([info.max, info.min, info.max - 1, info.max // 2 + 1, 100, 3], dtype)
    b = np.array([1, info.max, 2, 2, 3, info.max], dtype)
    body = [
        "q = Identity(p)",
        *(f"{op.lower()} = {op}(a, b)" for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
        "mod = Mod(a, b)",
        "fmod = Mod<fmod=1>(a, b)",
        *(f"{op.lower()} = {op}(a, b)" for op in ("Less", "Greater", "Equal", "LessOrEqual")),
        "abs = Abs(a)",
        "sign = Sign(a)",
        "clip = Clip(a, s, t)",
        "wide = Cast<to=7>(add)",
        "half = Cast<to=1>(a)",
    ]
    if info.bits >= 32:  # ONNX reduces no narrower ones
        body += [
            "most = ReduceMax<keepdims=0>(a)",
            "least = ReduceMin<keepdims=0>(a)",
            "total = ReduceSum<keepdims=0>(a)",
            "next = Add(total, a)",
        ]
    flags = {"less", "greater", "equal", "lessorequal"}
    outputs = ["float[1] q"]
    for line in body[1:]:
        out = line.split(" = ")[0]
        kind = "bool" if out in flags else "int64" if out == "wide" else "float" if out == "half" else name
        outputs.append(f"{kind} {out}" if out in ("most", "least", "total") else f"{kind}[6] {out}")
    signature = f"{name}[6] a, {name}[6] b, {name} s, {name} t, float[1] p => {', '.join(outputs)}"
    limits = {"s": np.array(2, dtype), "t": np.array(info.max - 1, dtype)}
    computed = same_folded(tmp_path, signature, ";".join(body), {"a": a, "b": b, **limits})
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(computed["add"], a + b)
        np.testing.assert_array_equal(computed["max"], np.maximum(a, b))
        np.testing.assert_array_equal(computed["less"], a < b)
    # Towards zero, as C divides.
    quotients = [abs(int(x)) // abs(int(y)) * (1 if (x < 0) == (y < 0) else -1) for x, y in zip(a, b)]
    np.testing.assert_array_equal(computed["div"], np.array(quotients, dtype))


@pytest.mark.parametrize("values", [(1, 49), (1, 3), (2, 7), (1, 41), (5, 9)], ids=str)
def test_floats_round_alike(values, tmp_path):
    """A forty-ninth of a float, forty-nine times, is less than 1."""
    a, b = (np.array(value, np.float32) for value in values)
    body = "q = Identity(p);r = Div(a, b);s = Mul(r, b);f = Floor(s);i = Cast<to=7>(s);c = Ceil(r)"
    signature = "float a, float b, float[1] p => float[1] q, float f, int64 i, float c"
    same_folded(tmp_path, signature, body, {"a": a, "b": b})


def test_large_floats_round_alike(tmp_path):
    constants = {"a": np.array(2**24, np.float32), "b": np.array(1, np.float32)}
    body = "q = Identity(p);s = Add(a, b);i = Cast<to=7>(s)"
    same_folded(tmp_path, "float a, float b, float[1] p => float[1] q, int64 i", body, constants)


def test_large_integers_are_rounded_once(tmp_path):
    """2^60 + 2^36 + 1 lies above the middle of two numbers of float32, but not as a double."""
    a = np.array([2**60 + 2**36 + 1, -(2**60) - 2**36 - 1, 2**62 + 2**38 + 1, 2**24 + 1, 2**63 - 1], np.int64)
    u = np.array([2**63 + 2**39 + 1, 2**64 - 1, 5], np.uint64)
    body = "f = Cast<to=1>(a); d = Cast<to=11>(a); g = Cast<to=1>(u); q = Identity(p)"
    signature = "int64[5] a, uint64[3] u, float[1] p => float[5] f, double[5] d, float[3] g, float[1] q"
    computed = same_folded(tmp_path, signature, body, {"a": a, "u": u})
    np.testing.assert_array_equal(computed["f"], a.astype(np.float32))
    np.testing.assert_array_equal(computed["g"], u.astype(np.float32))


EXPONENTS = {
    "int32": (np.int32, [2**31 - 1, 2**30 - 1, -(2**31) + 1, 2**24 + 1, 6, -3]),
    "int64": (np.int64, [2**53 - 1, 2**24 + 1, -(2**40) - 1, 2**40, 3, 0]),
    "uint8": (np.uint8, [255, 254, 3, 2, 1, 0]),
    "uint32": (np.uint32, [2**32 - 1, 2**32 - 2, 2**24 + 1, 5, 2, 0]),
    "double": (np.float64, [2.0**31 - 1, 1e-300, 2.0**24 + 1, 3, -0.25, 1.5]),
}


@pytest.mark.parametrize("kind", EXPONENTS)
def test_exponents_are_not_rounded(kind, tmp_path):
    """Parity makes the sign: an exponent that float32 does not hold keeps it, given, folded and as a constant."""
    dtype, values = EXPONENTS[kind]
    b = np.array(values, dtype)
    a = np.array([-1, -np.inf, np.nan, 1, -0.0, -2], np.float32)
    signature = f"float[6] a, {kind}[6] b, float[1] p => float[1] q, float[6] y"
    computed = same_folded(tmp_path, signature, "q = Identity(p);y = Pow(a, b)", {"a": a, "b": b})["y"]
    with np.errstate(all="ignore"):
        expected = np.power(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(computed, expected, rtol=1e-6)
    number = ~np.isnan(expected)
    assert np.array_equal(np.signbit(computed[number]), np.signbit(expected[number]))
    for i, exponent in enumerate(b):
        text = int(exponent) if dtype is not np.float64 else f"{float(exponent):.17g}"
        body = f"b = Constant<value={kind} {{{text}}}>();y = Pow(a, b)"
        y = run_model(tmp_path / str(i), text_model("float[6] a => float[6] y", body, 17), {"a": a})["y"]
        with np.errstate(all="ignore"):
            expected = np.power(a.astype(np.float64), float(exponent)).astype(np.float32)
        np.testing.assert_allclose(y, expected, rtol=1e-6, err_msg=str(exponent))


def lrn(x):
    return x / (1 + 1e-4 / 3 * 3 * x**2) ** 0.75  # of an element between others of its size


OF_SQUARES = {
    "ReduceL2": ("ReduceL2<keepdims=1>(x)", lambda x, count: x * np.sqrt(count)),
    "ReduceLogSum": ("ReduceLogSum<keepdims=1>(x)", lambda x, count: np.log(x * count)),
    "LpNormalization": ("LpNormalization<axis=-1>(x)", lambda x, count: 1 / np.sqrt(count)),
    "LpNormalization_1": ("LpNormalization<axis=-1, p=1>(x)", lambda x, count: 1 / count),
    "GlobalLpPool": ("GlobalLpPool(x)", lambda x, count: x * np.sqrt(count)),
    "LpPool": ("LpPool<kernel_shape=[3], pads=[1,1]>(x)", lambda x, count: x * np.sqrt(3)),
    "LRN": ("LRN<size=3>(x)", lambda x, count: lrn(x)),
    "Mean": ("Mean(x, x)", lambda x, count: x),
}


@pytest.mark.parametrize("name", OF_SQUARES)
@pytest.mark.parametrize("value", [700, 1e-4])
def test_halves_have_room_for_squares(name, value, tmp_path):
    """The square of 700 is no float16, nor is that of 1e-4; the root of their sum is."""
    body, expected = OF_SQUARES[name]
    x = np.full((1, 3, 300), value, np.float16)
    count = x.size if name.startswith("Reduce") else 300
    body = f"q = Identity(p);y = {body}"
    computed = same_folded(tmp_path, "float16[1,3,300] x, float[1] p => float[1] q, float16[a,b,c] y", body, {"x": x})
    y = computed["y"]
    middle = y[0, y.shape[1] // 2, y.shape[2] // 2]
    np.testing.assert_allclose(middle, expected(float(x[0, 0, 0]), count), rtol=2e-3)


MEANS = {
    "int32": [[1700000000] * 3, [2**31 - 1, 2**31 - 1, -3], [-(2**31)] * 3, [-1, 0, -1], [5, -6, 3]],
    "uint32": [[2**32 - 1] * 3, [2**32 - 1, 1, 0], [5, 6, 3]],
    "int64": [[2**63 - 1] * 3, [-(2**63)] * 3, [1700000000123456789] * 3, [2, 2, -2], [-2, -2, 2], [4, -1, -1], [-4, 1, 1], [7, 8, -3]],
    "uint64": [[2**64 - 1] * 3, [2**64 - 1, 2, 0], [5, 6, 3]],
}  # fmt: skip


@pytest.mark.parametrize("kind", MEANS)
def test_means_of_integers_do_not_overflow(kind, tmp_path):
    x = np.array(MEANS[kind], np.dtype(kind))
    signature = f"{kind}[{len(x)},3] x, float[1] p => float[1] q, {kind}[n] y, {kind}[1,1] all"
    body = "q = Identity(p);y = ReduceMean<axes=[1], keepdims=0>(x);all = ReduceMean(x)"
    computed = same_folded(tmp_path, signature, body, {"x": x})

    def mean(values):
        total = sum(map(int, values))
        return abs(total) // len(values) * (1 if total >= 0 else -1)

    assert computed["y"].tolist() == [mean(row) for row in x]
    assert computed["all"].item() == mean(x.ravel())


@pytest.mark.parametrize("alpha, beta, expected", [(0.5, 1, 14), (1.5, 1, 36), (1, 0.5, 23), (2, 3, 53)])
def test_integer_products_with_a_fractional_factor(alpha, beta, expected, tmp_path):
    constants = {name: np.array(value, np.int32) for name, value in (("a", [[4, 2]]), ("b", [[4], [3]]), ("c", [[3]]))}
    signature = "int32[1,2] a, int32[2,1] b, int32[1,1] c, float[1] p => float[1] q, int32[1,1] y"
    body = f"q = Identity(p);y = Gemm<alpha={float(alpha)}, beta={float(beta)}>(a, b, c)"
    assert same_folded(tmp_path, signature, body, constants)["y"].item() == expected
