"""Runs backend tests one by one: a line of JSON in ({"key", "timeout", "symbolic", "no_reuse"}), a line of JSON out ({"key", "failure"}).

Assumes: started by run.py, which survives this process: a crash of a compiled program ends this process alone.
Guarantees: the same comparison as ONNX's own runner, with each test's own tolerance; of random numbers, types and shapes."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import sys
import tempfile

root = os.path.join(os.path.dirname(__file__), "..", "..")
# Of the Python package one module alone: the rest needs what is built.
sys.path[:0] = [os.path.join(root, "utils"), os.path.join(root, "python", "deepseek")]

import numpy as np
import onnx
from _values import from_arrays, to_arrays
from cases import Case, load_cases
from onnx import numpy_helper
from onnx.backend.test.runner import Runner

from dsutil import runtime, tools


class Failure(Exception):
    pass


def load_value(path: str, value_type: onnx.TypeProto):
    with open(path, "rb") as file:
        content = file.read()
    kind = value_type.WhichOneof("value")
    if kind == "tensor_type":
        return numpy_helper.to_array(onnx.TensorProto.FromString(content))
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    raise Failure(f"values of type {kind} are no tensors")


def data_sets(case: Case, model: onnx.ModelProto):
    """(inputs, expected outputs) of each data set; for a model without stored data, as in ONNX's runner, an ascending input
    and what ONNX Runtime computes from it."""
    if case.folder is None:
        import onnxruntime

        session = onnxruntime.InferenceSession(case.model, providers=["CPUExecutionProvider"])
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [Runner.generate_dummy_data(v, name=case.name) for v in model.graph.input if v.name not in constants]
        names = [value.name for value in session.get_inputs()]
        yield inputs, session.run(None, dict(zip(names, inputs)))
        return
    for folder in sorted(glob.glob(os.path.join(glob.escape(case.folder), "test_data_set_*"))):
        values = {}
        for role, infos in (("input", model.graph.input), ("output", model.graph.output)):
            count = len(glob.glob(os.path.join(glob.escape(folder), f"{role}_*.pb")))
            values[role] = [load_value(os.path.join(folder, f"{role}_{i}.pb"), infos[i].type) for i in range(count)]
        yield values["input"], values["output"]


def make_symbolic(model: onnx.ModelProto) -> None:
    """Gives every dimension of every input a symbol of its own, and forgets what shapes the model states elsewhere."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for index, value in enumerate(model.graph.input):
        if value.name not in constants and value.type.WhichOneof("value") == "tensor_type":
            for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                dimension.dim_param = f"in{index}_{axis}"
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.WhichOneof("value") == "tensor_type" and value.type.tensor_type.HasField("shape"):
            for dimension in value.type.tensor_type.shape.dim:
                dimension.Clear()


def same_bits(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.dtype == object:
        return found.shape == expected.shape and found.tolist() == expected.tolist()
    return found.shape == expected.shape and found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


def compare_guarded(twin: runtime.Model, arrays: list[np.ndarray], results: list[np.ndarray]) -> None:
    for name, found, expected in zip(twin.outputs, twin.run(arrays), results):
        if not same_bits(found, expected):
            raise Failure(f"output '{name}' is another with --no-reuse and guard pages")


def draws(nodes) -> bool:
    """Whether outputs are random: ONNX defines their distribution, and the tests hold what NumPy's generator once gave."""
    for node in nodes:
        if node.op_type in ("Bernoulli", "Multinomial") or node.op_type.startswith("Random"):
            return True
        if any(draws(attribute.g.node) for attribute in node.attribute if attribute.HasField("g")):
            return True
    return False


def compare_random(expected: list, outputs: list) -> None:
    """What can be compared: types and shapes. Values are test/e2e/test_random.py's matter."""
    assert len(expected) == len(outputs)
    for wanted, found in zip(expected, outputs):
        assert wanted.dtype == found.dtype and wanted.shape == found.shape, f"{found.dtype}{found.shape}"


def compare_dropout(inputs: list, expected: list, outputs: list) -> None:
    """Other elements are dropped than in the test; those that stay are scaled."""
    compare_random(expected, outputs)
    x, ratio = inputs[0], float(inputs[1]) if len(inputs) > 1 and inputs[1].dtype != np.bool_ else 0.5
    kept = outputs[1] if len(outputs) > 1 else (outputs[0] != 0)
    np.testing.assert_allclose(outputs[0], np.where(kept, x / (1 - ratio), 0), rtol=1e-5)
    assert ratio == 0 or not np.array_equal(outputs[0], x)


def run_case(case: Case, timeout: float, symbolic: bool, no_reuse: bool) -> None:
    model = onnx.load(case.model)
    with tempfile.TemporaryDirectory() as folder:
        library, path = os.path.join(folder, "model.so"), case.model
        if symbolic:
            path = os.path.join(folder, "symbolic.onnx")
            symbolic_model = onnx.ModelProto()
            symbolic_model.CopyFrom(model)
            make_symbolic(symbolic_model)
            onnx.save(symbolic_model, path)
        compiled = tools.compile_model(path, library, "--emit=library", timeout=timeout)
        if compiled.code == 0 and not os.path.exists(library):
            raise Failure("ds-compile ended well without an output")
        if compiled.code != 0:
            prefix = "internal error: " if compiled.code not in (1, 2) else ""
            message = compiled.message().removeprefix("ds-compile: error: ")
            raise Failure(prefix + message.replace(path, "model.onnx"))
        with contextlib.ExitStack() as stack:
            program = stack.enter_context(runtime.Model(library))
            twin = None
            if no_reuse:
                path_of_twin = os.path.join(folder, "twin.so")
                compiled = tools.compile_model(path, path_of_twin, "--emit=library", "--no-reuse", timeout=timeout)
                if compiled.code != 0:
                    raise Failure("--no-reuse: " + compiled.message())
                twin = stack.enter_context(runtime.Model(path_of_twin, guard=True))
            for inputs, expected in data_sets(case, model):
                constants = {tensor.name for tensor in model.graph.initializer}
                arrays = {}
                for value, info in zip(inputs, (v for v in model.graph.input if v.name not in constants)):
                    arrays.update(to_arrays(value, info, program.inputs))
                if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                    raise Failure("inputs that are neither tensors nor sequences or optionals of tensors")
                # An initializer that is an input is left out, as the tests mean it.
                given = [arrays.get(name) for name in program.inputs]
                results = program.run(given)
                if twin is not None:
                    compare_guarded(twin, given, results)
                named = dict(zip(program.outputs, results))
                outputs = [from_arrays(named, info) for info in model.graph.output]
                # ONNX's runner fails at a scalar in a sequence: here the elements are outputs of their own.
                assert [type(v) is list for v in expected] == [type(v) is list for v in outputs]
                assert [len(v) for v in expected if type(v) is list] == [len(v) for v in outputs if type(v) is list]
                expected, outputs = (
                    [e for v in values for e in (v if type(v) is list else [v])] for values in (expected, outputs)
                )
                if draws(model.graph.node):
                    compare_random(expected, outputs)
                elif case.name.startswith("test_training_dropout") and "zero_ratio" not in case.name:
                    compare_dropout(inputs, expected, outputs)
                else:
                    Runner.assert_similar_outputs(expected, outputs, case.rtol, case.atol)


def main() -> int:
    cases = {case.key: case for case in load_cases()}
    # Only answers may reach the parent's pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        failure = None
        try:
            with np.errstate(all="ignore"), contextlib.redirect_stdout(sys.stderr):
                run_case(cases[request["key"]], request["timeout"], request["symbolic"], request["no_reuse"])
        except (Failure, runtime.RuntimeFailure) as error:
            failure = str(error)
        except AssertionError as error:
            failure = "wrong result: " + " ".join(str(error).split())[:200]
        except Exception as error:  # a fault of the harness is a failed test with its name, not the end of the run
            failure = f"{type(error).__name__}: " + " ".join(str(error).split())
        print(json.dumps({"key": request["key"], "failure": failure}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
