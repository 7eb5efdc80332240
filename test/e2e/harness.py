"""Compiles small models, runs the programs, and compares them with an independent reference.

A model is a line of ONNX's text syntax, so that a new case is a line in a table:

    Case("add_broadcast", "float[N,3] x, float[3] y => float[N,3] z", "z = Add(x, y)", sizes={"N": (1, 4, 0)})

Each symbol in `sizes` takes its first value in the first run, its second in the second, and so on, all with one artifact.

DS_TEST_NO_REUSE=1 in the environment: every program is compiled a second time, with --no-reuse, and run with --guard too:
each buffer has memory of its own between guard pages. Outputs must be the same, bit for bit.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dsutil import tools
from dsutil.compare import error_of_elements, error_of_scale


NO_REUSE = os.environ.get("DS_TEST_NO_REUSE", "0") not in ("", "0")
STEP = 1e-6  # of central differences


@dataclasses.dataclass
class Case:
    name: str
    signature: str  # "float[N,3] x => float[N,3] y", types as in ONNX's text syntax
    body: str  # the graph's nodes
    sizes: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    # Constants: a shape (drawn from a normal distribution) or the values.
    weights: Mapping[str, tuple | np.ndarray] = dataclasses.field(default_factory=dict)
    # How an input is drawn: a function of the generator and the shape; by default normal, or integers from -9 to 9.
    draw: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    opset: int = 17
    tolerance: float = 1e-5  # of the output's largest magnitude; integers must be equal
    reference: str = "onnxruntime"  # or "onnx", for what ONNX Runtime lacks
    flags: tuple[str, ...] = ()

    def runs(self) -> list[dict[str, int]]:
        count = max((len(values) for values in self.sizes.values()), default=1)
        return [{name: values[run % len(values)] for name, values in self.sizes.items()} for run in range(count)]


def lists(*values):
    """Draws the given lists one after another, whatever the generator says."""
    left = [np.array(value) for value in values]
    return lambda rng, shape: left.pop(0) if len(left) > 1 else left[0]


def filled(*values):
    """Draws one value everywhere, the given ones one after another."""
    draw = lists(*values)
    return lambda rng, shape: np.full(shape, draw(rng, shape))


def text_model(signature: str, body: str, opset: int = 17) -> onnx.ModelProto:
    inputs, outputs = signature.split("=>")
    body = "\n".join(line.strip() for line in body.split(";"))
    return onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["": {opset}, "ai.onnx.ml": 3]>\ng ({inputs.strip()}) => ({outputs.strip()}) {{\n{body}\n}}'
    )


def build_model(case: Case) -> onnx.ModelProto:
    model = text_model(case.signature, case.body, case.opset)
    rng = np.random.default_rng(7)
    for name, weight in case.weights.items():
        values = weight if isinstance(weight, np.ndarray) else rng.standard_normal(weight).astype(np.float32) * 0.2
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(model)
    return model


def draw_inputs(case: Case, model: onnx.ModelProto, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    arrays = {}
    for number, value in enumerate(model.graph.input):
        rng = np.random.default_rng([seed, number])
        tensor = value.type.tensor_type
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        shape = [d.dim_value if d.WhichOneof("value") == "dim_value" else sizes[d.dim_param] for d in tensor.shape.dim]
        if value.name in case.draw:
            array = case.draw[value.name](rng, shape)
        elif dtype.kind == "b":
            array = rng.random(shape) < 0.5
        elif dtype.kind == "i":
            array = rng.integers(-9, 10, shape)
        elif dtype.kind == "u":
            array = rng.integers(0, 20, shape)
        else:
            array = rng.standard_normal(shape)
        arrays[value.name] = np.asarray(array).astype(dtype)
    return arrays


def reference_outputs(kind: str, model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    if kind == "onnx":
        return ReferenceEvaluator(model).run(None, arrays)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, arrays)


def compile_text(folder: str, signature: str, body: str, *flags: str, opset: int = 17) -> str:
    """Compiles a model that is right, and returns the program's path."""
    path = os.path.join(folder, "model.onnx")
    onnx.save(text_model(signature, body, opset), path)
    result = compile_program(path, os.path.join(folder, "model"), *flags)
    assert result.code == 0, result.stderr
    return os.path.join(folder, "model")


def compile_program(model: str, program: str, *flags: str) -> tools.Result:
    """With its twin that run_program compares it with, where that is asked for."""
    result = tools.compile_model(model, program, *flags, timeout=300)
    if NO_REUSE and result.code == 0:
        twin = tools.compile_model(model, program + ".no-reuse", "--no-reuse", *flags, timeout=300)
        assert twin.code == 0, f"--no-reuse: {twin.stderr}"
    return result


def run_program(
    program: str, arrays: Mapping[str, np.ndarray], folder: str, *flags: str, emulator: Sequence[str] = ()
) -> tools.Result:
    """Runs a program on arrays, each in a file of its own."""
    os.makedirs(folder, exist_ok=True)
    command = [*emulator, program, "--output-dir", folder, *flags]
    for number, (name, array) in enumerate(arrays.items()):
        path = os.path.join(folder, f"input{number}.npy")
        np.save(path, array)
        command += ["--input", f"{name}={path}"]
    result = tools.run(command, timeout=300)
    if NO_REUSE and os.path.exists(program + ".no-reuse"):
        twin_folder = folder + ".no-reuse"
        shutil.rmtree(twin_folder, ignore_errors=True)
        command = [{program: program + ".no-reuse", folder: twin_folder}.get(part, part) for part in command]
        twin = tools.run([*command, "--guard"], timeout=300)
        assert twin.code == result.code, f"--no-reuse: exit code {twin.code}, expected {result.code}: {twin.stderr}"
        assert_same_files(folder, twin_folder)
    return result


def assert_same_files(folder: str, twin_folder: str) -> None:
    if not os.path.isdir(twin_folder):
        return
    for name in os.listdir(twin_folder):
        found, expected = (np.load(os.path.join(f, name), allow_pickle=True) for f in (twin_folder, folder))
        same = found.shape == expected.shape and found.dtype == expected.dtype and found.tobytes() == expected.tobytes()
        assert same, f"{name} is another with --no-reuse --guard"


def check_case(case: Case, folder: str, *flags: str, emulator: Sequence[str] = ()) -> None:
    model = build_model(case)
    path = os.path.join(folder, "model.onnx")
    program = os.path.join(folder, "model")
    onnx.save(model, path)
    compiled = compile_program(path, program, *case.flags, *flags)
    assert compiled.code == 0, compiled.stderr
    names = [output.name for output in model.graph.output]
    for run, sizes in enumerate(case.runs()):
        arrays = draw_inputs(case, model, sizes, run)
        outputs = os.path.join(folder, f"run{run}")
        result = run_program(program, arrays, outputs, emulator=emulator)
        assert result.code == 0, f"{sizes}: {result.stderr}"
        with np.errstate(all="ignore"):
            references = reference_outputs(case.reference, model, arrays)
        for name, expected in zip(names, references):
            found = np.load(os.path.join(outputs, tools.output_file(name)))
            assert found.shape == expected.shape, (
                f"{sizes}: '{name}' has shape {found.shape}, expected {expected.shape}"
            )
            assert found.dtype == expected.dtype, f"{sizes}: '{name}' has type {found.dtype}, expected {expected.dtype}"
            error = error_of_scale(found, expected)
            assert error <= case.tolerance, f"{sizes}: '{name}' differs by {error:.1e} of its scale"
            # Each element for itself: what is a thousandth of the largest may differ by a fifth of what the largest may.
            error = error_of_elements(found, expected)
            assert error <= 200 * case.tolerance, f"{sizes}: an element of '{name}' differs by {error:.1e} of itself"


def differences(loss: Callable, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """dloss/dx by central differences, element by element."""
    gradient = np.zeros(arrays[name].shape)
    for index in np.ndindex(gradient.shape):
        losses = []
        for step in (STEP, -STEP):
            moved = arrays[name].copy()
            moved[index] += step
            losses.append(float(loss({**arrays, name: moved})))
        gradient[index] = (losses[0] - losses[1]) / (2 * STEP)
    return gradient
