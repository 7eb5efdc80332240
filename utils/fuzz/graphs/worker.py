"""Judges random graphs one by one: a line of JSON in ({"seed", "number", ...}), lines of JSON out: the stage that begins
({"stage"}), and the answer ({"verdict", "message", "counts"}).

A process of its own: ONNX Runtime, the compiled program and ONNX's evaluator run in it, and may crash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

FUZZ = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [FUZZ, os.path.dirname(FUZZ)]
import dsutil.venv  # noqa: F401
import numpy as np
import onnx
import onnx.inliner
import onnxruntime
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_loop, op_sequence_insert

from dsutil import runtime, tools
from dsutil.compare import error_of_scale
from graphs.model import Graph, make_graph

TOLERANCES = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}
COMPILE_LIMIT = 60  # generous: eight times what the slowest graph takes on a loaded machine

Arrays = list[np.ndarray]


class Stacking:
    """NumPy as the evaluator's Loop needs it: what iterations make is stacked, where it joins along the first axis."""

    vstack = staticmethod(np.stack)

    def __getattr__(self, name: str):
        return getattr(np, name)


def mend_evaluator() -> None:
    """Its Loop, besides, takes a condition that is not there for one that does not hold, and its SequenceInsert the place
    behind the last element for that before the first."""
    op_loop.np = Stacking()
    run = op_loop.Loop._run
    op_loop.Loop._run = lambda self, trips, condition, *rest, **more: run(
        self, trips, np.array(True) if condition is None else condition, *rest, **more
    )

    def insert(self, sequence, tensor, position=None):
        at = len(sequence) if position is None else int(np.asarray(position).reshape(()))
        at += len(sequence) if at < 0 else 0
        return ([*sequence[:at], tensor, *sequence[at:]],)

    op_sequence_insert.SequenceInsert._run = insert


mend_evaluator()


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with every float32 and float16 a float64."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    narrow = (TensorProto.FLOAT, TensorProto.FLOAT16)

    def tensor(t: TensorProto) -> None:
        if t.data_type in narrow:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))

    def types(value: onnx.ValueInfoProto) -> None:
        kind = value.type
        while kind.WhichOneof("value") == "sequence_type":
            kind = kind.sequence_type.elem_type
        if kind.tensor_type.elem_type in narrow:
            kind.tensor_type.elem_type = TensorProto.DOUBLE

    def nodes(found) -> None:
        for node in list(found):
            if node.op_type == "Resize":  # its roi and scales are float32 whatever it resizes
                for i in (1, 2):
                    if node.input[i : i + 1] not in ([], [""]):
                        narrowed = f"{node.output[0]}.{i}"
                        cast = helper.make_node("Cast", [node.input[i]], [narrowed], to=TensorProto.FLOAT)
                        found.insert(list(found).index(node), cast)
                        node.input[i] = narrowed
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i in narrow:
                    attribute.i = TensorProto.DOUBLE
                if attribute.name == "value_float":  # Constant knows no value_double
                    raise ValueError("a float attribute that becomes a tensor")
                if attribute.type == AttributeProto.TENSOR:
                    tensor(attribute.t)
                if attribute.type == AttributeProto.GRAPH:
                    graph(attribute.g)

    def graph(g: onnx.GraphProto) -> None:
        for value in (*g.input, *g.output, *g.value_info):
            types(value)
        for t in g.initializer:
            tensor(t)
        nodes(g.node)

    graph(model.graph)
    for function in model.functions:
        nodes(function.node)
    return model


def widened(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in arrays.items()}


def run_ort(model: onnx.ModelProto, inputs: list[dict[str, np.ndarray]]) -> list[Arrays] | str:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [session.run(None, arrays) for arrays in inputs]
    except Exception as error:  # ONNX Runtime has one class of error for everything
        return "ONNX Runtime: " + " ".join(str(error).split())


def run_evaluator(model: onnx.ModelProto, inputs: list[dict[str, np.ndarray]]) -> list[Arrays] | str:
    try:
        evaluator = ReferenceEvaluator(model)
        return [[np.asarray(v) for v in evaluator.run(None, arrays)] for arrays in inputs]
    except Exception as error:  # it is written for tests and fails in any way
        return "ONNX's evaluator: " + " ".join(str(error).split())[:200]


def compile_graph(path: str, library: str, flags: list[str]) -> tuple[str, str] | None:
    """None, or a verdict and a message."""
    command = [tools.tool("ds-compile"), path, "-o", library, "--emit=library", *flags]
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=COMPILE_LIMIT
        )
    except subprocess.TimeoutExpired:
        return "fault", f"ds-compile: no end after {COMPILE_LIMIT} s"
    if result.returncode == 0:
        return None
    message = next((line for line in result.stderr.splitlines() if "error" in line), result.stderr.strip()[-300:])
    message = message.replace(path, "model.onnx")
    if result.returncode != 1:
        return "fault", f"ds-compile: exit code {result.returncode}: {message}"
    return "refused by ds", message


def run_program(
    library: str, inputs: list[dict[str, np.ndarray]], names: list[str], guard: bool = False
) -> list[Arrays]:
    results = []
    with runtime.Model(library, guard=guard) as model:
        for arrays in inputs:
            for name in arrays:
                if name not in model.inputs:
                    raise runtime.RuntimeFailure(1, f"it has no input '{name}'")
            found = dict(zip(model.outputs, model.run([arrays.get(name) for name in model.inputs])))
            for name in names:
                if name not in found:  # one whose rank the run decided
                    found[name] = found[f"{name}.data"].reshape(found[f"{name}.shape"])
            results.append([found[name] for name in names])
    return results


def share(result: np.ndarray, expected: np.ndarray, exact: bool) -> float:
    """The error as a share of what is tolerated."""
    # Sizes of what no iteration made: here those that it would have, for ONNX Runtime 0.
    if (
        result.dtype == expected.dtype
        and result.ndim == expected.ndim
        and result.shape[:1] == expected.shape[:1] == (0,)
    ):
        return 0.0
    if exact and expected.dtype.kind == "f":
        return 0.0 if error_of_scale(result, expected) == 0 else float("inf")
    return error_of_scale(result, expected) / TOLERANCES.get(expected.dtype.name, 1.0)


def first_difference(graph: Graph, found: list[Arrays], expected: list[Arrays]) -> tuple[int, int] | None:
    """(run, output) of the first that differs."""
    for run, (results, references) in enumerate(zip(found, expected)):
        for i, (a, b) in enumerate(zip(results, references)):
            if share(a, b, graph.exact[i]) > 1:
                return run, i
    return None


def describe(graph: Graph, at: tuple[int, int], found: list[Arrays], expected: list[Arrays]) -> str:
    run, i = at
    a, b = found[run][i], expected[run][i]
    name, kind = graph.model.graph.output[i].name, "exact" if graph.exact[i] else "rounded"
    return (
        f"run {run}: '{name}' ({kind}): {a.dtype}{list(a.shape)} {a.ravel()[:4].tolist()}, expected {b.dtype}{list(b.shape)} "
        f"{b.ravel()[:4].tolist()}" + (f", error {error_of_scale(a, b):.1e} of the scale" if a.shape == b.shape else "")
    )


def agrees_in_wide(graph: Graph, twin: Graph, found: list[Arrays], expected: list[Arrays]) -> bool:
    """Whether every result is about as near to the graph's value in float64 as ONNX Runtime's, or nearer."""
    try:
        model, inputs = widen(twin.model), [widened(arrays) for arrays in graph.inputs]
    except ValueError:
        return False
    wide = run_ort(model, inputs)
    if isinstance(wide, str):  # some operators (Conv) it has in float32 alone
        wide = run_evaluator(onnx.inliner.inline_local_functions(model), inputs)
    if isinstance(wide, str):
        return False
    for results, references, right in zip(found, expected, wide):
        for i, (a, b, c) in enumerate(zip(results, references, right)):
            if share(a, b, graph.exact[i]) <= 1:
                continue
            if graph.exact[i] or a.shape != c.shape or a.dtype != b.dtype or a.dtype.kind != "f":
                return False
            if not error_of_scale(a.astype(np.float64), c) <= 10 * error_of_scale(b.astype(np.float64), c):
                return False
    return True


def grows_sequence(node: onnx.NodeProto, in_loop: bool = False) -> bool:
    """Whether a loop in the node inserts into a sequence: the evaluator's forgets what the iterations before inserted."""
    if in_loop and node.op_type == "SequenceInsert":
        return True
    in_loop |= node.op_type == "Loop"
    graphs = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return any(grows_sequence(inner, in_loop) for graph in graphs for inner in graph.node)


def judge(request: dict, folder: str, stage) -> tuple[str, str, dict]:
    stage("it is made")
    graph = make_graph(request["seed"], request["number"])
    path = os.path.join(folder, "model.onnx")
    onnx.save(graph.model, path)
    stage("ONNX Runtime runs it")
    twin = make_graph(request["seed"], request["number"], unique=True)
    expected = run_ort(twin.model, graph.inputs)
    stage("ds-compile runs")
    library = os.path.join(folder, "model.so")
    refused = compile_graph(path, library, request["flags"])
    if refused:
        if refused[0] == "refused by ds" and isinstance(expected, str):
            second = run_evaluator(twin.model, graph.inputs)
            if isinstance(second, str):
                return "no reference", expected, graph.counts
        return *refused, graph.counts
    stage("the program runs")
    names = [value.name for value in graph.model.graph.output]
    try:
        found = run_program(library, graph.inputs, names)
    except runtime.RuntimeFailure as error:
        if isinstance(expected, str):
            return "no reference", f"{expected}; the program too: {error}", graph.counts
        return "fault", f"the program: {error}", graph.counts
    if request["no_reuse"]:
        stage("the program without reuse runs")
        second_library = os.path.join(folder, "no-reuse.so")
        refused = compile_graph(path, second_library, [*request["flags"], "--no-reuse"])
        if refused:
            return "fault", f"with --no-reuse: {refused[1]}", graph.counts
        plain = run_program(second_library, graph.inputs, names, guard=True)
        for run, (a, b) in enumerate(zip(found, plain)):
            for name, x, y in zip(names, a, b):
                if x.dtype != y.dtype or x.shape != y.shape or x.tobytes() != y.tobytes():
                    return "fault", f"run {run}: '{name}' has other bits with --no-reuse", graph.counts
    stage("results are compared")
    if not isinstance(expected, str):
        at = first_difference(graph, found, expected)
        if at is None:
            return "agrees", "", graph.counts
        if agrees_in_wide(graph, twin, found, expected):
            return "agrees in float64", describe(graph, at, found, expected), graph.counts
    stage("ONNX's evaluator runs it")
    second = run_evaluator(twin.model, graph.inputs)
    if isinstance(expected, str):
        if isinstance(second, str):
            return "no reference", expected, graph.counts
        at = first_difference(graph, found, second)
        if at is None:
            return "agrees with ONNX's evaluator", expected, graph.counts
        if any(grows_sequence(node) for node in twin.model.graph.node):
            return "no reference", "ONNX's evaluator: a loop's state that is a sequence", graph.counts
        return "fault", "ONNX's evaluator: " + describe(graph, at, found, second), graph.counts
    if not isinstance(second, str) and first_difference(graph, found, second) is None:
        return "agrees with ONNX's evaluator", "ONNX Runtime: " + describe(graph, at, found, expected), graph.counts
    return "fault", describe(graph, at, found, expected), graph.counts


def main() -> int:
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(4)
    # Only answers may reach the parent's pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**line) -> None:
        print(json.dumps(line), file=answers, flush=True)

    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            try:
                with np.errstate(all="ignore"):
                    verdict, message, counts = judge(request, folder, lambda name: say(stage=name))
            except Exception as error:  # a fault of these scripts has to show
                verdict, message, counts = "fault", f"{type(error).__name__}: {error}", {}
            if request["keep"] and verdict in ("fault", "refused by ds"):
                keep(request, folder)
        say(verdict=verdict, message=message, counts=counts)
    return 0


def keep(request: dict, folder: str) -> None:
    os.makedirs(request["keep"], exist_ok=True)
    base = os.path.join(request["keep"], f"{request['seed']}-{request['number']}")
    shutil.copy(os.path.join(folder, "model.onnx"), base + ".onnx")
    for run, arrays in enumerate(make_graph(request["seed"], request["number"]).inputs):
        np.savez(f"{base}.run{run}.npz", **arrays)


if __name__ == "__main__":
    sys.exit(main())
