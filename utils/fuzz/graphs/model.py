"""Whole models: inputs, a graph of random operators, outputs; and the arrays for each run."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .control import add_operator, value_info
from .scope import NUMPY, RUNS, Context, Dim, Scope, Value, constant

OPSETS = (14, 17, 18, 21, 23)


@dataclasses.dataclass
class Graph:
    model: onnx.ModelProto
    inputs: list[dict[str, np.ndarray]]  # of each run
    exact: list[bool]  # of each output: every right program computes the same bits
    counts: dict[str, int]


def draw_symbols(rng: random.Random) -> dict[str, Dim]:
    """Sizes in the three runs: small, odd ones among them; one symbol in four is 0 in some run."""
    symbols = {}
    for name in "NMK":
        while True:
            sizes = [rng.choice([1, 2, 3, 4, 5, 7, 8, 17]) for _ in range(RUNS)]
            if rng.random() < 0.12:
                sizes[rng.randrange(RUNS)] = 0
            if len(set(sizes)) > 1 and tuple(sizes) not in symbols.values():
                break
        symbols[name] = tuple(sizes)
    return symbols


def make_inputs(scope: Scope, symbols: dict[str, Dim]) -> tuple[list, list[dict[str, np.ndarray]]]:
    rng, numbers = scope.rng, scope.context.numpy
    signatures = [
        ("f32", "N 4"), ("f32", "N M"), ("f32", "N 3 M K"), ("f32", "2 4 8 8"), ("f32", "N 4 5 7"), ("f32", "M 6"),
        ("f32", "N M 4"), ("f32", "3 5"), ("f32", "M"), ("f32", "4"), ("f32", ""), ("i64", "N"), ("bool", "N M"),
        ("f64", "N 4"), ("f16", "N M"), ("i32", "M 6"), ("u8", "N 4"), ("bool", "N 1"), ("i64", "2 3"), ("f32", "N 1 4"),
    ]  # fmt: skip
    chosen = [
        ("f32", rng.choice(["N 4", "N M", "N 3 M K", "N 4 5 7", "N M 4"])),
        *rng.sample(signatures, rng.randrange(1, 4)),
    ]
    infos, arrays = [], [{} for _ in range(RUNS)]
    for dtype, text in chosen:
        value = Value(
            scope.context.name("x"),
            dtype,
            tuple(symbols[d] if d in symbols else constant(int(d)) for d in text.split()),
        )
        infos.append(
            helper.make_tensor_value_info(
                value.name,
                helper.np_dtype_to_tensor_dtype(NUMPY[dtype]),
                [d if d in symbols else int(d) for d in text.split()],
            )
        )
        for run in range(RUNS):
            shape = [dim[run] for dim in value.shape]
            if value.is_float:
                value.high, value.frac = 1.0, 3
                array = numbers.integers(-16, 17, shape) / 8
            elif dtype == "bool":
                array = numbers.integers(0, 2, shape)
            else:
                array = numbers.integers(0 if dtype == "u8" else -9, 10, shape)
                value.high = 4
            arrays[run][value.name] = np.asarray(array).astype(NUMPY[dtype])
        scope.add(value)
    for dtype, values in (("i64", [0, 1, 2, 3]), ("bool", [0, 1])):
        known = tuple(rng.choice(values) for _ in range(RUNS))
        value = scope.add(Value(scope.context.name("k"), dtype, (), 3, None, known))
        infos.append(helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(NUMPY[dtype]), []))
        for run in range(RUNS):
            arrays[run][value.name] = np.array(known[run], NUMPY[dtype])
    return infos, arrays


def choose_outputs(scope: Scope, inputs: list[str]) -> list[Value]:
    """All that nothing uses, values that are used elsewhere, one of them twice, now and then an input itself."""
    rng = scope.rng
    made = [v for v in scope.values if v.name not in inputs]
    chosen = [v for v in made if v.name not in scope.used][-8:]
    shared = [v for v in made if v.name in scope.used and v.shape is not None]
    if shared:
        chosen += rng.sample(shared, rng.randrange(0, min(len(shared), 3) + 1))
    if not chosen:
        chosen = [scope.values[0]]
    if rng.random() < 0.2:
        twice = rng.choice(chosen)
        if twice.shape is not None:
            chosen.append(scope.emit("Identity", [twice], twice.dtype, twice.shape, twice.high, twice.frac))
    # An output that is an input: by way of a view.
    return [
        scope.emit("Identity", [v], v.dtype, v.shape, v.high, v.frac) if v.name in inputs else v
        for v in dict.fromkeys(chosen)
    ]


def list_weights(rng: random.Random, graph: onnx.GraphProto, arrays: list[dict[str, np.ndarray]]) -> None:
    """Some initializers become inputs as well. One run gives the floats among them, another one some: with the same
    numbers in another order, so that what is right (and exact) stays so. Integers, which may be sizes, keep their values."""
    weights = list(graph.initializer)
    listed = rng.sample(weights, rng.randint(1, min(4, len(weights) - 1)))
    for weight in listed:
        graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)))
    given = [(w.name, numpy_helper.to_array(w)) for w in listed]
    given = [(name, array) for name, array in given if array.dtype.kind == "f"]
    for run, chance in ((1, 0.5), (2, 1.0)):
        for name, array in given:
            if rng.random() < chance:
                arrays[run][name] = np.roll(array.ravel(), rng.randint(1, 3)).reshape(array.shape)


def make_graph(seed: int, number: int, unique: bool = False) -> Graph:
    """The graph of that number; `unique` gives it no name twice, where otherwise both branches of an
    If may use one, and no subgraph an output twice: ONNX Runtime loses values in both cases."""
    rng = random.Random(f"{seed} {number}")
    context = Context(rng, rng.choice(OPSETS), unique)
    scope = Scope(context)
    infos, arrays = make_inputs(scope, draw_symbols(rng))
    for _ in range(rng.choice([4, 8, 12, 20])):
        add_operator(scope)
    outputs = choose_outputs(scope, [info.name for info in infos])
    graph = helper.make_graph(scope.nodes, "g", infos, [value_info(v, scope) for v in outputs], context.weights)
    # Random numbers of its own: all other graphs stay what they were.
    optional = random.Random(f"{seed} {number} optional")
    if len(context.weights) > 1 and optional.random() < 0.2:
        list_weights(optional, graph, arrays)
    imports = [helper.make_opsetid("", context.opset)]
    if context.functions:
        imports.append(helper.make_opsetid("local", 1))
    model = helper.make_model(graph, opset_imports=imports, functions=context.functions)
    model.ir_version = 9 if context.opset < 21 else 10
    return Graph(model, arrays, [v.exact for v in outputs], dict(context.counts))
