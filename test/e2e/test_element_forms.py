"""Element forms over what they may be given: every integer type, every pair of a cast, every way to resize, every layout of
quantization, with sizes that change from run to run. Integers are compared with NumPy, resizing with ONNX Runtime (ONNX's
reference evaluator does not round sizes down before it maps coordinates), quantization with the reference evaluator."""

import itertools
import os

import numpy as np
import onnx
import pytest
from harness import Case, check_case, compile_program, run_program
from onnx import TensorProto, helper, numpy_helper

from dsutil import tools

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
SIZES = (1, 7, 16, 83, 0)


def onnx_type(name: str) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(name))


class Graph:
    """One program with an output for each thing to compute, and what each must be."""

    def __init__(self, opset: int = 21):
        self.opset, self.nodes, self.expected = opset, [], []
        self.inputs: dict[str, int] = {}
        self.weights: list[TensorProto] = []

    def input(self, name: str, dtype: str) -> str:
        self.inputs[name] = onnx_type(dtype)
        return name

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def expect(self, op: str, inputs: list[str], result: str, compute, **attributes) -> None:
        name = f"{op}_{len(self.expected)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.expected.append((name, result, compute))

    def check(self, folder: str, draw) -> None:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "g",
            [value(name, kind, ["N"]) for name, kind in self.inputs.items()],
            [value(name, onnx_type(result), ["N"]) for name, result, _ in self.expected],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        onnx.checker.check_model(model)
        path, program = os.path.join(folder, "model.onnx"), os.path.join(folder, "model")
        onnx.save(model, path)
        compiled = compile_program(path, program)
        assert compiled.code == 0, compiled.stderr
        for n in SIZES:
            arrays = {name: draw(name, n) for name in self.inputs}
            outputs = os.path.join(folder, f"run{n}")
            result = run_program(program, arrays, outputs)
            assert result.code == 0, result.stderr
            for name, dtype, compute in self.expected:
                found = np.load(os.path.join(outputs, tools.output_file(name)))
                with np.errstate(all="ignore"):
                    expected = np.asarray(compute(arrays)).astype(dtype)
                np.testing.assert_array_equal(found, expected, err_msg=f"{name}, N = {n}", strict=True)


def all_bits(dtype: str, n: int, seed: int) -> np.ndarray:
    """Integers of all magnitudes, the extremes among them."""
    kind = np.iinfo(dtype)
    rng = np.random.default_rng([n, seed])
    raw = np.frombuffer(rng.bytes(8 * n), np.int64) >> rng.integers(0, 64, n)
    raw = raw.astype(dtype)
    raw[::7] = kind.max
    raw[3::7] = kind.min
    return raw


def truncated_quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    quotient = np.floor_divide(a, b)
    return quotient + ((np.remainder(a, b) != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


def arithmetic_right_shift(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b < a.dtype.itemsize * 8, np.right_shift(a, np.minimum(b, a.dtype.itemsize * 8 - 1)), 0)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_arithmetic(dtype, tmp_path):
    graph = Graph()
    a, b, d = graph.input("a", dtype), graph.input("b", dtype), graph.input("d", dtype)
    binary = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum, "Min": np.minimum}
    binary |= {"BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor}
    for op, f in binary.items():
        graph.expect(op, [a, b], dtype, lambda x, f=f: f(x["a"], x["b"]))
    comparisons = {"Equal": np.equal, "Less": np.less, "LessOrEqual": np.less_equal}
    comparisons |= {"Greater": np.greater, "GreaterOrEqual": np.greater_equal}
    for op, f in comparisons.items():
        graph.expect(op, [a, b], "bool", lambda x, f=f: f(x["a"], x["b"]))
    # Divisors are not 0; the least value by -1 has no quotient.
    graph.expect("Div", [a, d], dtype, lambda x: truncated_quotient(x["a"], x["d"]))
    graph.expect("Mod", [a, d], dtype, lambda x: np.remainder(x["a"], x["d"]))
    graph.expect("Mod", [a, d], dtype, lambda x: np.fmod(x["a"], x["d"]), fmod=1)
    graph.expect("BitwiseNot", [a], dtype, lambda x: np.invert(x["a"]))
    graph.expect("Abs", [a], dtype, lambda x: np.abs(x["a"]))
    graph.expect("Sign", [a], dtype, lambda x: np.sign(x["a"]))
    low, high = graph.constant(np.array(3, dtype)), graph.constant(np.array(40, dtype))
    graph.expect("Clip", [a, low, high], dtype, lambda x: np.clip(x["a"], 3, 40))
    if dtype.startswith("u"):
        shift = graph.input("s", dtype)
        graph.expect("BitShift", [a, shift], dtype, lambda x: np.left_shift(x["a"], x["s"]), direction="LEFT")
        graph.expect("BitShift", [a, shift], dtype, lambda x: arithmetic_right_shift(x["a"], x["s"]), direction="RIGHT")
    else:
        graph.expect("Neg", [a], dtype, lambda x: np.negative(x["a"]))
        graph.expect("Relu", [a], dtype, lambda x: np.maximum(x["a"], 0))

    def draw(name: str, n: int) -> np.ndarray:
        values = all_bits(dtype, n, ord(name))
        if name == "d":
            values[(values == 0) | (values == np.array(-1).astype(dtype))] = 5
        if name == "s":
            values %= np.iinfo(dtype).bits
        return values

    graph.check(str(tmp_path), draw)


@pytest.mark.parametrize("source", [*INTEGERS, *FLOATS, "bool"])
def test_casts(source, tmp_path):
    graph = Graph()
    x = graph.input("x", source)
    for target in [*INTEGERS, *FLOATS, "bool"]:
        if target != source:
            graph.expect("Cast", [x], target, lambda a, t=target: a["x"].astype(t), to=onnx_type(target))

    def draw(_: str, n: int) -> np.ndarray:
        if source == "bool":
            return np.random.default_rng(n).random(n) < 0.5
        if source in INTEGERS:
            return all_bits(source, n, 1)
        # What every integer type can hold: beyond that nothing is defined.
        return np.round(np.random.default_rng(n).random(n) * 127, 2).astype(source)

    graph.check(str(tmp_path), draw)


COORDINATES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
COORDINATES += ["tf_crop_and_resize"]
NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def resize_ways() -> dict[str, list[str]]:
    """Attributes of Resize, by mode."""
    ways: dict[str, list[str]] = {"nearest": [], "linear": [], "cubic": []}
    for coordinates in COORDINATES:
        text = f'coordinate_transformation_mode="{coordinates}", extrapolation_value=-3.0'
        ways["nearest"] += [f'mode="nearest", nearest_mode="{nearest}", {text}' for nearest in NEAREST]
        ways["linear"].append(f'mode="linear", {text}')
        ways["cubic"] += [f'mode="cubic", exclude_outside={outside}, {text}' for outside in (0, 1)]
        if coordinates != "tf_crop_and_resize":
            ways["linear"].append(f'mode="linear", antialias=1, {text}')
            ways["cubic"].append(f'mode="cubic", antialias=1, cubic_coeff_a=-0.5, {text}')
    return ways


@pytest.mark.parametrize("mode, factor", [*itertools.product(resize_ways(), (0.5, 1.5, 2.0))])
def test_resize(mode, factor, tmp_path):
    """All ways of a mode in one program, heights and widths dynamic."""
    ways = resize_ways()[mode]
    outputs = [f"float[N,2,P{i},Q{i}] y{i}" for i in range(len(ways))]
    body = [f"y{i} = Resize<{way}>(x, roi, scales)" for i, way in enumerate(ways)]
    scales = np.array([1, 1, factor, factor], np.float32)
    case = Case(
        "resize",
        f"float[N,2,H,W] x => {', '.join(outputs)}",
        "; ".join(body),
        {"N": (1, 2), "H": (4, 6, 1), "W": (6, 9, 2)},
        weights={"scales": scales, "roi": np.array([0, 0, 0.25, 0.125, 1, 1, 0.75, 1.25], np.float32)},
        opset=19,
    )
    check_case(case, str(tmp_path))


def quantization(dtype: str, layout: str) -> Case:
    """Of a tensor, a channel, or blocks of 3 along an axis."""
    rng = np.random.default_rng(5)
    dims = {"tensor": (), "channel": (4,), "blocked": (4, 5)}[layout]
    attributes = {"tensor": "", "channel": "<axis=1>", "blocked": "<axis=2, block_size=3>"}[layout]
    signed = np.iinfo(dtype).min < 0
    zero = np.asarray(rng.integers(-9 if signed else 100, 9 if signed else 120, dims), dtype)
    if layout == "blocked":  # a scale for each row of the batch would have to follow N
        dims = (1, *dims)
        zero = zero.reshape(dims)
    scale = np.asarray(rng.random(dims) * 0.05 + 0.01, np.float32)
    first = "1" if layout == "blocked" else "N"
    return Case(
        f"{dtype}_{layout}",
        f"float[{first},4,13] x => {dtype}[{first},4,13] q, float[{first},4,13] y",
        f"q = QuantizeLinear{attributes}(x, s, z); y = DequantizeLinear{attributes}(q, s, z)",
        {} if layout == "blocked" else {"N": (2, 1, 5)},
        weights={"s": scale, "z": zero},
        opset=21,
        reference="onnx",
    )


QUANTIZATIONS = [
    quantization(dtype, layout)
    for dtype in ("int8", "uint8", "int16", "uint16")
    for layout in ("tensor", "channel", "blocked")
]


@pytest.mark.parametrize("case", QUANTIZATIONS, ids=lambda case: case.name)
def test_quantization(case, tmp_path):
    check_case(case, str(tmp_path))
