"""Compares gradients of backend tests one by one: a line of JSON in ({"key", "timeout", "symbolic", "opt_level", "keep"}), a line of JSON out
({"key", "outcome", "text"}).

Assumes: started by utils/verify-gradients --backend-tests, which survives this process: a crash of a compiled program ends it alone.
Guarantees: outcome is "agrees", "refused" (text: the compiler's message), "wrong", "failed" (an internal error, or a run that
did not end well) or "left out"."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(root, "utils"), os.path.join(root, "python", "deepseek"), os.path.dirname(__file__)]

import numpy as np
import onnx
from _values import to_arrays
from cases import Case, load_cases
from onnx import numpy_helper
from worker import data_sets, draws

from dsutil import backend_gradients, backend_sweep, gradients, runtime, tools

LIMIT = 1e-5
STEPS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
LOSS_LIMIT = 1e-4  # of the sum of the loss's terms: tests hold what float32 computes
FLAGS = ("--train", f"--loss=output:name={gradients.LOSS}", "--optimizer=sgd", "--precision=fp64", "--emit=library")


def moved(values: np.ndarray, outward: float, rng: np.random.Generator) -> np.ndarray:
    """Tests like numbers at which functions have kinks, and equal ones: each number goes up to a hundredth of its size
    away from 0, or towards it (where the function ends at 1)."""
    finite = np.isfinite(values)
    size = np.abs(values[finite]).max(initial=0.0)
    away = np.where(values < 0, -1.0, 1.0) * rng.uniform(0.001, 0.01, values.shape)
    amount = np.maximum(np.abs(np.where(finite, values, 0)), 0.05 * size) if outward > 0 else np.abs(values)
    with np.errstate(invalid="ignore"):
        return np.where(finite, values + outward * away * np.where(finite, amount, 0), values)


def explain(step: gradients.Step, differences: gradients.Differences) -> tuple[float, list[str]]:
    """The largest difference, along each parameter and all of them, and what is above the limit."""
    worst, texts = 0.0, []
    everything = list(range(len(step.names)))
    for which in [everything, *([i] for i in everything)] if len(everything) > 1 else [everything]:
        for number in range(2):
            found = differences.agreeing(which, number, LIMIT, STEPS)
            if found.is_nothing:
                continue
            error = found.error if np.isfinite(found.error) else float("inf")
            worst = max(worst, error)
            if error > LIMIT and number == 0:
                name = " ".join(step.names[i] for i in which)
                texts.append(f"{name}: gradient {found.analytic:+.6e}, difference {found.numeric:+.6e}")
    return worst, texts


def compare(step: gradients.Step, made: backend_gradients.Trainable, is_other: bool) -> tuple[str, str]:
    """`is_other`: outputs are random, or known to be others than the test's; gradients are compared all the same."""
    # Where a test has a derivative that is not finite, the step of learning rate 0 leaves no number either.
    loss = step.gradients()[0]
    initial = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.model.graph.initializer}
    start = [initial[name].astype(values.dtype) for name, values in zip(step.names, step.parameters())]
    magnitude, expected = 0.0, 0.0
    for i, values in enumerate(made.expected):
        terms = values.astype(np.float64) * gradients.factors(values.shape, i)
        expected += float(terms.sum())
        magnitude += float(np.abs(terms).sum())
    magnitude = max(magnitude, 1e-3)
    if np.isfinite(expected) and not is_other and not abs(loss - expected) <= LOSS_LIMIT * magnitude:
        return "wrong", f"the loss is {loss:.9e}, of the test's outputs {expected:.9e}"
    if not np.isfinite(magnitude):
        magnitude = 1.0
    finite = [np.where(np.isfinite(values), values, 1.5) for values in start]
    for outward, values_of in ((1.0, start), (-1.0, start), (0.0, start), (1.0, finite)):
        rng = np.random.default_rng(1)
        for view, values in zip(step.parameters(), values_of):
            view[...] = moved(values, outward, rng) if outward else values
        try:
            at = step.loss()
        except runtime.RuntimeFailure:
            if outward == 0:
                raise
            continue
        if np.isfinite(at):
            break
    else:
        return "left out", "the outputs are not finite"
    worst, texts = explain(step, gradients.Differences(step, magnitude))
    return ("wrong", "; ".join(texts)) if texts else ("agrees", f"{worst:.1e}")


def run_case(case: Case, timeout: float, symbolic: bool, opt_level: int, keep: str | None) -> tuple[str, str]:
    test = onnx.load(case.model)
    inputs, expected = next(data_sets(case, test))
    made = backend_gradients.make(test, inputs, expected, symbolic)
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or scratch
        path, program = (os.path.join(folder, case.name + suffix) for suffix in (".onnx", ".so"))
        onnx.save(made.model, path)
        compiled = tools.compile_model(path, program, f"-O{opt_level}", *FLAGS, timeout=timeout)
        if compiled.code != 0:
            message = compiled.message().removeprefix("ds-compile: error: ").replace(path, "model.onnx")
            return ("refused" if compiled.code == 1 else "failed"), message
        step = gradients.Step(program, 1, evaluates=False)
        try:
            arrays = {}
            for info in made.model.graph.input:
                arrays.update(to_arrays(made.data[info.name], info, step.model.inputs))
            step.set_batch({name: np.asarray(array) for name, array in arrays.items()})
            if made.is_half:
                step.gradients()
                return "left out", "half precision: it compiles and runs"
            is_other = case.name in backend_sweep.expected_failures() or any(
                node.op_type == "Dropout" for node in test.graph.node
            )
            return compare(step, made, is_other or draws(test.graph.node))
        finally:
            step.close()


def main() -> int:
    cases = {case.key: case for case in load_cases()}
    # Only answers may reach the parent's pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        key = request["key"]
        try:
            with np.errstate(all="ignore"), contextlib.redirect_stdout(sys.stderr):
                outcome, text = run_case(cases[request.pop("key")], **request)
        except backend_gradients.LeftOut as reason:
            outcome, text = "left out", str(reason)
        except Exception as error:  # of the runtime, or a fault of the harness: a failed test with its name
            outcome, text = "failed", f"{type(error).__name__}: " + " ".join(str(error).split())
        print(json.dumps({"key": key, "outcome": outcome, "text": text}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
