"""Fourier transforms of every length against numpy.fft in float64: lengths that the compiler knows, and that the run tells."""

import os

import numpy as np
import onnx
import pytest
from harness import run_program
from onnx import TensorProto, helper, numpy_helper

from dsutil import tools
from dsutil.compare import error_of_scale

FLOAT = {np.float16: TensorProto.FLOAT16, np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}
TOLERANCE = {np.float16: 1e-3, np.float32: 1e-6, np.float64: 4e-15}
# Prime powers, products of small primes, primes with and without a butterfly of their own, powers of two and their neighbours.
LONG = (243, 625, 720, 1009, 1024, 2047, 2048, 2049, 3600, 3721, 4096, 4620, 4999, 5000, 10007, 44100)


def pairs(z):
    return np.stack([z.real, z.imag], -1)


def compile_graph(folder, nodes, inputs, outputs, constants, opset=20):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [info(name, kind, shape) for name, kind, shape in inputs],
        [info(name, kind, [f"{name}{d}" for d in range(rank)]) for name, kind, rank in outputs],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    program = os.path.join(folder, "model")
    result = tools.compile_model(os.path.join(folder, "model.onnx"), program, timeout=300)
    assert result.code == 0, result.stderr
    return program


def outputs_of(program, arrays, folder, names):
    result = run_program(program, arrays, folder)
    assert result.code == 0, result.stderr
    return {name: np.load(os.path.join(folder, tools.output_file(name))) for name in names}


def check(found, expected, what, dtype=np.float32):
    for name, right in expected.items():
        assert found[name].shape == right.shape, f"{what}: '{name}' has shape {found[name].shape}, not {right.shape}"
        assert found[name].dtype == dtype, f"{what}: '{name}' has type {found[name].dtype}, not {dtype}"
        error = error_of_scale(found[name].astype(float), right.astype(float))
        assert error <= TOLERANCE[dtype], f"{what}: '{name}' differs by {error:.1e} of its scale"


class AllForms:
    """Every form of DFT along `axis` of [B, S, *inner, 1 or 2]."""

    names = ("half", "full", "spectrum", "inverse", "real_inverse", "real")

    def __init__(self, folder, dtype, axis=1, inner=(), sizes=("B", "S")):
        self.dtype, self.axis, self.inner, self.folder = dtype, axis, inner, folder
        nodes = [
            helper.make_node("DFT", ["x", "", "axis"], ["half"], onesided=1),
            helper.make_node("DFT", ["x", "", "axis"], ["full"]),
            helper.make_node("DFT", ["z", "", "axis"], ["spectrum"]),
            helper.make_node("DFT", ["z", "", "axis"], ["inverse"], inverse=1),
            helper.make_node("DFT", ["x", "", "axis"], ["real_inverse"], inverse=1),
            helper.make_node("DFT", ["half", "length", "axis"], ["real"], inverse=1, onesided=1),
        ]
        kind, rank = FLOAT[dtype], len(inner) + 3
        inputs = [("x", kind, [*sizes, *inner, 1]), ("z", kind, [*sizes, *inner, 2]), ("length", TensorProto.INT64, [])]
        outputs = [(name, kind, rank) for name in self.names]
        self.program = compile_graph(folder, nodes, inputs, outputs, {"axis": axis})

    def check(self, *shape):
        rng = np.random.default_rng(shape)
        x = rng.standard_normal((*shape, *self.inner, 1)).astype(self.dtype)
        z = rng.standard_normal((*shape, *self.inner, 2)).astype(self.dtype)
        length = x.shape[self.axis]
        arrays = {"x": x, "z": z, "length": np.array(length)}
        real, values = x[..., 0].astype(float), z[..., 0].astype(float) + 1j * z[..., 1].astype(float)
        axis = self.axis if self.axis >= 0 else self.axis + 1
        expected = {
            "half": pairs(np.fft.rfft(real, axis=axis)),
            "full": pairs(np.fft.fft(real, axis=axis)),
            "spectrum": pairs(np.fft.fft(values, axis=axis)),
            "inverse": pairs(np.fft.ifft(values, axis=axis)),
            "real_inverse": pairs(np.fft.ifft(real, axis=axis)),
            "real": real[..., None],
        }
        found = outputs_of(self.program, arrays, os.path.join(self.folder, "run"), self.names)
        check(found, expected, f"shape {x.shape[:-1]}", self.dtype)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_every_length_of_the_run(dtype, tmp_path):
    forms = AllForms(str(tmp_path), dtype)
    # Batches of one, of some vectors' lanes, of a vector and a rest.
    for length in (*range(1, 131), *LONG):
        forms.check((1, 3, 19)[length % 3] if length < 3000 else 2, length)
    for length in np.random.default_rng(5).integers(131, 5000, 20):
        forms.check(1 + int(length) % 20, int(length))


@pytest.mark.parametrize("axis, inner", ((1, (3,)), (1, (17,)), (0, (2,)), (-3, (1,)), (-2, (60,)), (2, (7, 2))))
def test_axes(axis, inner, tmp_path):
    forms = AllForms(str(tmp_path), np.float32, axis, inner)
    for length in (1, 2, 7, 16, 61, 67, 100):
        forms.check(3, length)
        forms.check(length, 5)


def test_no_batch(tmp_path):
    AllForms(str(tmp_path), np.float32).check(0, 12)


def test_half_precision(tmp_path):
    forms = AllForms(str(tmp_path), np.float16)
    for length in (1, 12, 30, 67):
        forms.check(2, length)


@pytest.mark.parametrize("batch", (1, 3, 37, "B"))
def test_known_shapes(batch, tmp_path):
    for length in (1, 2, 60, 67, 169):
        folder = os.path.join(tmp_path, str(length))
        os.makedirs(folder)
        forms = AllForms(folder, np.float32, sizes=(batch, length))
        for size in (1, 5, 16) if batch == "B" else (batch,):
            forms.check(size, length)


@pytest.mark.parametrize("lengths", (range(1, 27), range(27, 53), range(53, 79), range(79, 105), range(105, 131), LONG))
def test_every_known_length(lengths, tmp_path):
    """Points cut off, or zeros after them, to lengths that are constants."""
    points = 4500 if lengths == LONG else 96
    nodes, constants, names = [], {"axis": 1}, []
    for n in lengths:
        constants[f"n{n}"] = n
        nodes += [
            helper.make_node("DFT", ["x", f"n{n}", "axis"], [f"half{n}"], onesided=1),
            helper.make_node("DFT", ["z", f"n{n}", "axis"], [f"inverse{n}"], inverse=1),
            helper.make_node("DFT", [f"half{n}", f"n{n}", "axis"], [f"real{n}"], inverse=1, onesided=1),
        ]
        names += [f"half{n}", f"inverse{n}", f"real{n}"]
    kind = TensorProto.FLOAT
    inputs = [("x", kind, ["B", points, 1]), ("z", kind, ["B", points, 2])]
    program = compile_graph(str(tmp_path), nodes, inputs, [(name, kind, 3) for name in names], constants)
    for batch in (1, 18):
        rng = np.random.default_rng(batch)
        arrays = {name: rng.standard_normal((batch, points, c)).astype(np.float32) for name, c in (("x", 1), ("z", 2))}
        real, values = arrays["x"][..., 0].astype(float), arrays["z"][..., 0] + 1j * arrays["z"][..., 1].astype(float)
        found = outputs_of(program, arrays, os.path.join(tmp_path, "run"), names)
        for n in lengths:
            half = np.fft.rfft(real, n, axis=1)
            expected = {
                f"half{n}": pairs(half),
                f"inverse{n}": pairs(np.fft.ifft(values, n, axis=1)),
                f"real{n}": np.fft.irfft(half, n, axis=1)[..., None],
            }
            check(found, expected, f"batch {batch}")


def test_length_and_axis_of_the_run(tmp_path):
    nodes = [
        helper.make_node("DFT", ["x", "n", "a"], ["half"], onesided=1),
        helper.make_node("DFT", ["z", "n", "a"], ["full"]),
        helper.make_node("DFT", ["half", "n", "a"], ["real"], inverse=1, onesided=1),
        helper.make_node("DFT", ["z", "", "a"], ["plain"], inverse=1),
    ]
    names = ("half", "full", "real", "plain")
    kind, integer = TensorProto.FLOAT, TensorProto.INT64
    inputs = [("x", kind, ["A", "B", "C", 1]), ("z", kind, ["A", "B", "C", 2]), ("n", integer, []), ("a", integer, [])]
    program = compile_graph(str(tmp_path), nodes, inputs, [(name, kind, 4) for name in names], {})
    rng = np.random.default_rng(2)
    x, z = (rng.standard_normal((5, 6, 4, parts)).astype(np.float32) for parts in (1, 2))
    real, values = x[..., 0].astype(float), z[..., 0] + 1j * z[..., 1].astype(float)
    for axis in (0, 1, 2, -2, -4):
        for length in (1, 3, 5, 6, 10):
            own = axis if axis >= 0 else axis + 4
            half = np.fft.rfft(real, length, axis=own)
            expected = {
                "half": pairs(half),
                "full": pairs(np.fft.fft(values, length, axis=own)),
                "real": np.fft.irfft(half, length, axis=own)[..., None],
                "plain": pairs(np.fft.ifft(values, axis=own)),
            }
            arrays = {"x": x, "z": z, "n": np.array(length), "a": np.array(axis)}
            found = outputs_of(program, arrays, os.path.join(tmp_path, "run"), names)
            check(found, expected, f"axis {axis}, length {length}")


def test_parts_of_the_run(tmp_path):
    """Whether a tensor is real or complex, only the run knows."""
    nodes = [helper.make_node("DFT", ["x", "", "axis"], ["full"])]
    kind = TensorProto.FLOAT
    program = compile_graph(str(tmp_path), nodes, [("x", kind, ["B", "S", "P"])], [("full", kind, 3)], {"axis": 1})
    folder = os.path.join(tmp_path, "run")
    for parts in (1, 2):
        x = np.random.default_rng(parts).standard_normal((2, 9, parts)).astype(np.float32)
        values = x[..., 0] + 1j * (x[..., 1] if parts == 2 else 0)
        check(outputs_of(program, {"x": x}, folder, ["full"]), {"full": pairs(np.fft.fft(values, axis=1))}, parts)
    result = run_program(program, {"x": np.zeros((2, 9, 3), np.float32)}, folder)
    assert result.code == 1 and "1 (real) or 2 (complex) as the last dimension" in result.stderr, result.stderr


@pytest.mark.parametrize("parts", (None, 1, 2))
@pytest.mark.parametrize("window", (True, False))
@pytest.mark.parametrize("size", (24, 25))
def test_stft(parts, window, size, tmp_path):
    rng = np.random.default_rng(size)
    inputs = ["x", "step", "w" if window else "", "size"]
    nodes = [helper.make_node("STFT", inputs, ["y"], onesided=0 if parts == 2 else 1)]
    weights = rng.uniform(0.1, 1, size).astype(np.float32) if window else np.ones(size, np.float32)
    constants = {"step": 7, "size": size} | ({"w": weights} if window else {})
    shape = ["B", "L"] + ([parts] if parts else [])
    kind = TensorProto.FLOAT
    program = compile_graph(str(tmp_path), nodes, [("x", kind, shape)], [("y", kind, 4)], constants, opset=17)
    for batch, length in ((1, size), (2, 64), (3, 400), (20, 47)):
        x = rng.standard_normal((batch, length, *([parts] if parts else []))).astype(np.float32)
        signal = x if parts is None else x[..., 0] if parts == 1 else x[..., 0] + 1j * x[..., 1].astype(float)
        frames = [signal[:, at : at + size] for at in range(0, length - size + 1, 7)]
        framed = np.stack(frames, 1).astype(complex if parts == 2 else float) * weights
        right = np.fft.fft(framed) if parts == 2 else np.fft.rfft(framed)
        found = outputs_of(program, {"x": x}, os.path.join(tmp_path, "run"), ["y"])
        check(found, {"y": pairs(right)}, f"{batch} signals of {length}")
    short = run_program(program, {"x": x[:, : size - 1]}, os.path.join(tmp_path, "short"))
    assert short.code == 1 and "a signal of at least one frame" in short.stderr, short.stderr
