"""Types of a byte or less: converted as ml_dtypes and NumPy convert them, over all their values."""

import os

import ml_dtypes
import numpy as np
import onnx
import pytest
from harness import compile_text, run_program
from onnx import TensorProto, helper, numpy_helper

from dsutil import runtime, tools

FLOATS = ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1"]
INTEGERS = ["INT4", "UINT4", "INT2", "UINT2"]


def numpy_type(name):
    return np.dtype(helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(name)))


def run(folder, nodes, inputs, output_type, weights=()):
    """Outputs of a model with inputs {name: (type, array)} of rank 1 and one output `y`."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), [f"N{i}"])
        for i, (name, (kind, _)) in enumerate(inputs.items())
    ]
    result = helper.make_tensor_value_info("y", TensorProto.DataType.Value(output_type), ["M"])
    graph = helper.make_graph(nodes, "g", infos, [result], list(weights))
    path, library = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.so")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12), path)
    compiled = tools.compile_model(path, library, "--emit=library", timeout=300)
    assert compiled.code == 0, compiled.stderr
    with runtime.Model(library) as model:
        return model.run([array for _, array in inputs.values()])[0]


def cast(to, source="x", result="y", **attributes):
    return helper.make_node("Cast", [source], [result], to=TensorProto.DataType.Value(to), **attributes)


def all_values(name):
    bits = {"4": 16, "2": 4}.get(name[-1] if name in INTEGERS else "", 16 if name == "FLOAT4E2M1" else 256)
    return np.arange(bits, dtype=np.uint8).view(numpy_type(name))


def same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))


def floats_around(name):
    """Numbers of the type, what lies half way between them and beside that, and what is far too large."""
    values = np.unique(all_values(name).astype(np.float32))
    values = values[np.isfinite(values)]
    middle = (values[1:] + values[:-1]) / 2
    large = np.float32([values[-1] * 1.01, values[-1] * 1.2, values[-1] * 4, 1e30, 3e38, np.inf, np.nan, 0.0, 1e-30])
    some = np.concatenate([values, middle, np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf), large])
    return np.concatenate([some, -some]).astype(np.float32)


@pytest.mark.parametrize("name", FLOATS + INTEGERS)
@pytest.mark.parametrize("wide", ["FLOAT", "FLOAT16", "DOUBLE"])
def test_every_value_widens(name, wide, tmp_path):
    x = all_values(name)
    same(run(str(tmp_path), [cast(wide)], {"x": (name, x)}, wide), x.astype(numpy_type(wide)))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("saturate", [0, 1])
def test_floats_round_to_nearest_even(name, saturate, tmp_path):
    x = floats_around(name)
    expected = x
    if saturate and name != "FLOAT4E2M1":
        largest = float(ml_dtypes.finfo(numpy_type(name)).max)
        expected = np.clip(x, -largest, largest)
    found = run(str(tmp_path), [cast(name, saturate=saturate)], {"x": ("FLOAT", x)}, name)
    same(found, expected.astype(numpy_type(name)))


@pytest.mark.parametrize("name", INTEGERS)
def test_floats_become_integers(name, tmp_path):
    info = ml_dtypes.iinfo(numpy_type(name))
    x = np.linspace(int(info.min), int(info.max), 97, dtype=np.float32)
    same(run(str(tmp_path), [cast(name)], {"x": ("FLOAT", x)}, name), np.trunc(x).astype(numpy_type(name)))


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_wrap(name, tmp_path):
    x = np.arange(-40, 40, dtype=np.int32)
    bits = int(name[-1])
    expected = (x & (2**bits - 1)).astype(np.uint8).view(numpy_type(name))
    same(run(str(tmp_path), [cast(name)], {"x": ("INT32", x)}, name), expected)


@pytest.mark.parametrize("count", [3, 101])
@pytest.mark.parametrize("name", ["INT4", "UINT2", "FLOAT4E2M1", "FLOAT8E5M2"])
def test_weights_are_unpacked(name, count, tmp_path):
    values = all_values(name)[np.random.default_rng(3).integers(0, len(all_values(name)), count)]
    if name.startswith("FLOAT8"):
        values = np.where(np.isfinite(values.astype(np.float32)), values, values[:1] * 0)
    weight = numpy_helper.from_array(values, "w")
    index = np.random.default_rng(4).integers(0, count, 20)
    nodes = [cast("FLOAT", "w", "p"), helper.make_node("Gather", ["p", "i"], ["y"])]
    found = run(str(tmp_path), nodes, {"i": ("INT64", index)}, "FLOAT", [weight])
    same(found, values[index].astype(np.float32))


@pytest.mark.parametrize("name", FLOATS + INTEGERS)
def test_quantize_and_dequantize(name, tmp_path):
    x = (np.random.default_rng(5).standard_normal(500) * 5).astype(np.float32)
    scale = np.float32(0.37)
    zero = np.zeros((), numpy_type(name))
    weights = [numpy_helper.from_array(np.asarray(scale), "s"), numpy_helper.from_array(zero, "z")]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    found = run(str(tmp_path), nodes, {"x": ("FLOAT", x)}, "FLOAT", weights)
    info = ml_dtypes.iinfo(numpy_type(name)) if name in INTEGERS else ml_dtypes.finfo(numpy_type(name))
    ratio = x / scale
    ratio = np.rint(ratio) if name in INTEGERS else ratio
    quantized = np.clip(ratio, float(info.min), float(info.max)).astype(numpy_type(name))
    np.testing.assert_array_equal(found, quantized.astype(np.float32) * scale)


def test_subnormal_bfloat16(tmp_path):
    """bfloat16 has float32's exponents, and its own numbers below the normal ones."""
    x = np.concatenate(
        [np.ldexp(np.float32(1), np.arange(-149, -120)), np.linspace(-3e-38, 3e-38, 99, dtype=np.float32)]
    )
    x = np.append(x, np.array([np.nan, np.inf, -np.inf, -0.0, 3.4e38], np.float32))
    program = compile_text(
        str(tmp_path),
        "float[N] x => float[N] y, float[N] z",
        "b = Cast<to=16>(x); y = Cast<to=1>(b); n = Neg(b); z = Cast<to=1>(n)",
    )
    result = run_program(program, {"x": x}, str(tmp_path / "results"))
    assert result.code == 0, result.stderr
    expected = x.astype(ml_dtypes.bfloat16)
    for name, values in (("y", expected), ("z", -expected)):
        found = np.load(tmp_path / "results" / f"{name}.npy")
        np.testing.assert_array_equal(found, values.astype(np.float32))
        assert np.array_equal(np.signbit(found[~np.isnan(x)]), np.signbit(values[~np.isnan(x)]))
