"""What a model must compute, and where nobody can say: one process that answers for one model after another.

usage: reference.py        a line of JSON in ({"model", "inputs", "outputs"}), a line of JSON out ({"verdict", "message"})

  inputs    an .npz that the model's inputs are written to (made up, always the same for the same model)
  outputs   a folder with the program's results as .npy files; null: only the inputs are made; "": the program refused them

Verdicts: `inputs` (they are made), `rejected` (ONNX Runtime does not load the model, does not run it, or there are no inputs to
make), `agrees`, `undefined` (the message says why no result is the right one), `differs`.

A process of its own, because ONNX Runtime and ONNX's evaluator may crash or hang on what a mutation made of a model."""

from __future__ import annotations

import json
import os
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import dsutil.venv  # noqa: F401
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dsutil import modelinputs, tools
from dsutil.compare import error_of_scale

# Of the output's largest magnitude; types of fewer bits round to more.
TOLERANCE = 1e-4
TOLERANCES = {"float16": 2e-3, "bfloat16": 2e-2}
# What is below in all of an output is the noise of functions that saturate, such as a sigmoid of large negative numbers.
NOISE = 1e-7
MOST_ELEMENTS = 1 << 20
WORDS = ["monday", "tuesday", "a b", "1", "2.5", ""]


class NoReference(Exception):
    pass


def session(model: onnx.ModelProto, optimize: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def make_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Values of the declared types and sizes. Symbols are 2, 3 or 4, by their order; integers are small, so that many of
    them are axes, indices and sizes that the model can use."""
    sizes: dict[str, int] = {}
    arrays = {}
    for number, (name, dtype, dimensions) in enumerate(modelinputs.model_inputs(model)):
        if dtype.kind not in "fiubVO" or dtype.names:
            raise NoReference(f"no values are made for inputs of type {dtype}")
        if not next(v for v in model.graph.input if v.name == name).type.tensor_type.HasField("shape"):
            raise NoReference("no shape is made up for an input without rank")
        shape = [sizes.setdefault(d, 2 + len(sizes) % 3) if isinstance(d, str) else d for d in dimensions]
        if np.prod([float(size) for size in shape]) > MOST_ELEMENTS:
            raise NoReference("an input is too large")
        rng = np.random.default_rng(number)
        if dtype.kind == "O":
            arrays[name] = np.array(WORDS)[rng.integers(0, len(WORDS), shape)]
            continue
        if dtype.kind == "b":
            array = rng.random(shape) < 0.5
        elif dtype.kind in "iu":
            array = rng.integers(0, 3, shape)
        else:
            array = rng.standard_normal(shape)
        arrays[name] = np.asarray(array).astype(dtype)
    return arrays


def run_reference(model: onnx.ModelProto, arrays: dict[str, np.ndarray], optimize: bool = True) -> list[np.ndarray]:
    try:
        results = session(model, optimize).run(None, arrays)
    except Exception as error:  # ONNX Runtime has one class of error for everything
        raise NoReference(str(error).splitlines()[0]) from error
    if not all(isinstance(result, np.ndarray) and result.dtype.kind in "fiubVO" for result in results):
        raise NoReference("a result is no tensor")
    return results


def error(result: np.ndarray, expected: np.ndarray) -> float:
    """As a share of what is tolerated."""
    if expected.dtype.kind in "OU":
        same = result.shape == expected.shape and (result.astype(str) == expected.astype(str)).all()
        return 0.0 if same else float("inf")
    share = error_of_scale(result, expected) / TOLERANCES.get(expected.dtype.name, TOLERANCE)
    if 1 < share < float("inf") and expected.dtype.kind == "f" and np.abs(expected).max(initial=0) < NOISE:
        return float(np.abs(result).max() > NOISE)
    return share


def agree(results: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(results) == len(expected) and all(error(a, b) <= 1 for a, b in zip(results, expected))


def evaluate(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """By ONNX's own evaluator; None where it has no answer."""
    try:
        results = ReferenceEvaluator(model).run(None, arrays)
    except Exception:  # it is written for tests and fails in any way
        return None
    return results if all(isinstance(result, np.ndarray) for result in results) else None


def every_tensor(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All tensors of the model's own graph, as ONNX Runtime computes them without optimization."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    present = {value.name for value in extended.graph.output}
    for node in extended.graph.node:
        for name in node.output:
            if name and name not in present:
                extended.graph.output.add().name = name
                present.add(name)
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found.update(arrays)
    try:
        results = session(extended, False).run(None, arrays)
    except Exception:  # a tensor that cannot be an output
        return found
    return found | {value.name: result for value, result in zip(extended.graph.output, results)}


def attribute(node: onnx.NodeProto, name: str, otherwise):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), otherwise)


def why_undefined(node: onnx.NodeProto, x: list[np.ndarray], y: list[np.ndarray]) -> str | None:
    """Why no result of a node is the right one, judged by what goes in and what ONNX Runtime says comes out."""
    op = node.op_type
    floats = [value for value in [*x, *y] if value.dtype.kind == "f"]
    if any(np.isnan(value).any() for value in floats):
        return "not a number"
    finite = all(np.isfinite(value).all() for value in x if value.dtype.kind == "f")
    if finite and not all(np.isfinite(value).all() for value in y if value.dtype.kind == "f"):
        return "a result beyond the largest number"
    if op in ("Div", "Mod") and len(x) == 2 and x[1].dtype.kind in "iu" and (x[1] == 0).any():
        return "division by zero"
    if op == "Pow" and len(x) == 2 and x[0].dtype.kind in "iu" and (x[1] < 0).any():
        return "an integer to a negative power"
    if op == "BitShift" and len(x) == 2 and (x[1] >= 8 * x[1].dtype.itemsize).any():
        return "a shift by the whole width"
    if op in ("Cast", "CastLike") and x and y and x[0].dtype.kind == "f" and y[0].dtype.kind in "iu":
        limits = np.iinfo(y[0].dtype)
        if (x[0] <= limits.min - 1.0).any() or (x[0] >= limits.max + 1.0).any():
            return "a number that the integer type does not hold"
    if op == "Loop" and any(value.ndim > 1 and value.shape[0] == 0 for value in y):
        return "a loop that does not run leaves the other sizes of what it stacks open"
    kernel = attribute(node, "kernel_shape", None)
    if kernel is not None and x and x[0].ndim == len(kernel) + 2:
        pads = attribute(node, "pads", [0] * (2 * len(kernel)))
        dilations = attribute(node, "dilations", [1] * len(kernel))
        sides = zip(x[0].shape[2:], kernel, dilations, pads[: len(kernel)], pads[len(kernel) :])
        if op != "ConvTranspose" and any(size + low + high < d * (k - 1) + 1 for size, k, d, low, high in sides):
            return "a window that is larger than the image"
    if op in ("Scatter", "ScatterElements", "ScatterND") and attribute(node, "reduction", b"none") == b"none":
        if len(x) == 3 and x[1].size > 1:
            places = x[1].reshape(-1, x[1].shape[-1]) if op == "ScatterND" else x[1].reshape(-1, 1)
            if len(np.unique(places, axis=0)) < len(places):
                return "updates of one element in no order"
    return None


def why_no_result(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> str | None:
    tensors = every_tensor(model, arrays)
    for node in model.graph.node:
        x = [tensors[name] for name in node.input if isinstance(tensors.get(name), np.ndarray)]
        y = [tensors[name] for name in node.output if isinstance(tensors.get(name), np.ndarray)]
        if reason := why_undefined(node, x, y):
            return f"{node.op_type}: {reason}"
    return None


def load_output(folder: str, name: str) -> np.ndarray:
    path = os.path.join(folder, tools.output_file(name))
    if os.path.exists(path):
        return np.load(path)
    # One whose rank the run decided.
    data, shape = (np.load(os.path.join(folder, tools.output_file(f"{name}.{part}"))) for part in ("data", "shape"))
    return data.reshape(shape)


def judge(path: str, inputs: str, outputs: str | None) -> tuple[str, str]:
    try:
        model = onnx.load(path)
        arrays = make_inputs(model)
        names = [value.name for value in model.graph.output]
        if len({tools.output_file(name) for name in names}) < len(names) or any(len(name) > 200 for name in names):
            raise NoReference("the outputs' names are no names of files")
        expected = run_reference(model, arrays)
    except (NoReference, ValueError, TypeError, KeyError) as reason:
        return "rejected", str(reason)
    if outputs is None:
        np.savez(inputs, **arrays)
        return "inputs", ""
    if outputs == "":
        reason = why_no_result(model, arrays)
        return ("undefined", reason) if reason else ("differs", "ONNX Runtime computes a result")
    results = [load_output(outputs, name) for name in names]
    if agree(results, expected):
        return "agrees", ""
    if reason := why_no_result(model, arrays):
        return "undefined", reason
    plain = run_reference(model, arrays, optimize=False)
    if agree(results, plain):
        return "undefined", "ONNX Runtime's optimizations change the result"
    second = evaluate(model, arrays)
    if second is not None and agree(results, second):
        return "undefined", "ONNX's evaluator and ONNX Runtime differ"
    errors = [error(a, b) for a, b in zip(results, expected)]
    worst = int(np.argmax(errors))
    if second is not None and max(error(a, b) for a, b in zip(second, expected)) >= errors[worst]:
        return "undefined", "ONNX's evaluator and ONNX Runtime differ by more than the program does"
    return "differs", (
        f"'{names[worst]}' by {errors[worst]:.1e} times what is tolerated: {results[worst].dtype}{list(results[worst].shape)} "
        f"{results[worst].ravel()[:4].tolist()}, expected {expected[worst].dtype}{list(expected[worst].shape)} "
        f"{expected[worst].ravel()[:4].tolist()}"
        + ("" if second is None or agree(second, expected) else " (ONNX's evaluator agrees with neither)")
    )


def main() -> int:
    warnings.simplefilter("ignore")
    # Only answers may reach the parent's pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with np.errstate(all="ignore"):
                verdict, message = judge(request["model"], request["inputs"], request["outputs"])
        except Exception as error:  # a fault of this file has to show
            verdict, message = "differs", f"{type(error).__name__}: {error}"
        print(json.dumps({"verdict": verdict, "message": message}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
