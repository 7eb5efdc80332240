"""Models on which an analysis that is not near-linear does not end: long chains, sizes in sizes, many equal parts.

GRAPHS maps names to functions that build a model and the sizes to run it with. They are generated, so that none is a file, and so that
the next one is a few lines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


@dataclasses.dataclass
class Graph:
    model: onnx.ModelProto
    feeds: list[dict[str, np.ndarray]]


GRAPHS: dict[str, Callable[[], Graph]] = {}


def graph(build: Callable[[], Graph]) -> Callable[[], Graph]:
    GRAPHS[build.__name__] = build
    return build


def value(name: str, shape: Sequence[int | str], dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name: str, data, dtype=np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(data, dtype), name)


def model(nodes, inputs, outputs, constants=(), functions=()) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 18)] + [helper.make_opsetid("local", 1)] * bool(functions)
    return helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, list(constants)),
        opset_imports=opsets,
        ir_version=9,
        functions=list(functions),
    )


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).standard_normal(shape).astype(np.float32)


# Elementwise ---------------------------------------------------------------------------------------------------------


@graph
def squares() -> Graph:
    """Each value is used twice: 2^40 paths through 40 nodes."""
    nodes = [helper.make_node("Mul", [f"x{i}", f"x{i}"], [f"x{i + 1}"]) for i in range(40)]
    return Graph(
        model(nodes, [value("x0", ["N"])], [value("x40", ["N"])]), [{"x0": np.array([1, -1, 0.5, 0], np.float32)}]
    )


@graph
def newton() -> Graph:
    """s * (1.5 - 0.5 * x * s * s), thirty times in a loop that import unrolls."""
    nodes = [
        helper.make_node("Identity", ["c"], ["c_out"]),
        helper.make_node("Mul", ["s", "s"], ["a"]),
        helper.make_node("Mul", ["a", "x"], ["b"]),
        helper.make_node("Mul", ["b", "half"], ["d"]),
        helper.make_node("Sub", ["three_halves", "d"], ["e"]),
        helper.make_node("Mul", ["s", "e"], ["s_out"]),
    ]
    inputs = [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL), value("s", ["N"])]
    body = helper.make_graph(nodes, "body", inputs, [value("c_out", [], TensorProto.BOOL), value("s_out", ["N"])])
    loop = helper.make_node("Loop", ["trips", "", "s0"], ["y"], body=body)
    constants = [constant("trips", 30), constant("half", 0.5, np.float32), constant("three_halves", 1.5, np.float32)]
    feed = {"x": np.array([1, 2, 3, 4], np.float32), "s0": np.full(4, 0.4, np.float32)}
    return Graph(model([loop], [value("x", ["N"]), value("s0", ["N"])], [value("y", ["N"])], constants), [feed])


@graph
def elementwise_5000() -> Graph:
    names = ["Sin", "Add", "Neg", "Mul", "Tanh"]
    nodes = []
    for i in range(5000):
        op = names[i % len(names)]
        inputs = [f"x{i}", f"x{max(i - 3, 0)}"] if op in ("Add", "Mul") else [f"x{i}"]
        nodes.append(helper.make_node(op, inputs, [f"x{i + 1}"]))
    return Graph(model(nodes, [value("x0", ["N", "M"])], [value("x5000", ["N", "M"])]), [{"x0": normal(3, 5)}])


@graph
def function_called_1000_times() -> Graph:
    body = [helper.make_node("Mul", ["a", "a"], ["t"]), helper.make_node("Add", ["t", "b"], ["u"]),
            helper.make_node("Tanh", ["u"], ["r"])]  # fmt: skip
    function = helper.make_function("local", "F", ["a", "b"], ["r"], body, [helper.make_opsetid("", 18)])
    nodes = [helper.make_node("F", [f"x{i}", "x0"], [f"x{i + 1}"], domain="local") for i in range(1000)]
    built = model(nodes, [value("x0", ["N"])], [value("x1000", ["N"])], functions=[function])
    return Graph(built, [{"x0": normal(7)}])


# Sizes ---------------------------------------------------------------------------------------------------------------


def size_chain(levels: int, step: Callable[[int], list[onnx.NodeProto]], constants=()) -> onnx.ModelProto:
    """A size e0 = N that each step makes the next of; y has as many elements as the last one says."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["e0"]),
        helper.make_node("Gather", ["shape", "one"], ["S"]),
        helper.make_node("Add", ["S", "one"], ["S1"]),
    ]
    for i in range(levels):
        nodes += step(i)
    nodes += [
        helper.make_node("Unsqueeze", [f"e{levels}", "axis"], ["t"]),
        helper.make_node("ConstantOfShape", ["t"], ["y"]),
    ]
    own = [constant("zero", 0), constant("one", 1), constant("two", 2), constant("axis", [0])]
    return model(nodes, [value("x", ["N", "S"])], [value("y", ["K"])], own + list(constants))


def halves_of(levels: int) -> Graph:
    def step(i: int) -> list[onnx.NodeProto]:
        return [
            helper.make_node("Min", [f"e{i}", "S"], [f"m{i}"]),
            helper.make_node("Add", [f"m{i}", "one"], [f"p{i}"]),
            helper.make_node("Div", [f"p{i}", "two"], [f"e{i + 1}"]),
        ]

    return Graph(size_chain(levels, step), [{"x": normal(90, 50)}, {"x": normal(3, 7)}])


def divisions_of(levels: int) -> Graph:
    def step(i: int) -> list[onnx.NodeProto]:
        return [
            helper.make_node("Mul", [f"e{i}", "S"], [f"m{i}"]),
            helper.make_node("Add", [f"m{i}", "one"], [f"p{i}"]),
            helper.make_node("Div", [f"p{i}", "S1"], [f"e{i + 1}"]),
        ]

    return Graph(size_chain(levels, step), [{"x": normal(100, 7)}, {"x": normal(3, 2)}])


@graph
def halves_12() -> Graph:
    return halves_of(12)


@graph
def halves_200() -> Graph:
    return halves_of(200)


@graph
def divisions_66() -> Graph:
    return divisions_of(66)


@graph
def divisions_2000() -> Graph:
    """Deeper than a size expression may be: from there on the program computes it."""
    return divisions_of(2000)


@graph
def unet_crops() -> Graph:
    levels = 6
    nodes, now, skips = [], "x", []
    for i in range(levels):
        skips.append(now)
        nodes.append(
            helper.make_node("MaxPool", [now], [f"d{i}"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        )
        now = f"d{i}"
    for i in reversed(range(levels)):
        nodes += [
            helper.make_node("Resize", [now, "", "scales"], [f"u{i}"], mode="nearest"),
            helper.make_node("Shape", [skips[i]], [f"s{i}"], start=2, end=4),
            helper.make_node("Slice", [f"u{i}", "zeros", f"s{i}", "axes"], [f"c{i}"]),
            helper.make_node("Add", [f"c{i}", skips[i]], [f"o{i}"]),
        ]
        now = f"o{i}"
    constants = [constant("zeros", [0, 0]), constant("axes", [2, 3]), constant("scales", [1, 1, 2, 2], np.float32)]
    built = model(nodes, [value("x", ["N", 3, "H", "W"])], [value(now, ["N", 3, "H", "W"])], constants)
    return Graph(built, [{"x": normal(1, 3, 64, 96)}, {"x": normal(2, 3, 67, 45)}])


@graph
def slices_joined_300() -> Graph:
    nodes, constants = [], [constant("axes", [1])]
    for k in range(300):
        constants += [constant(f"b{k}", [2 * k]), constant(f"e{k}", [2 * k + 2])]
        nodes.append(helper.make_node("Slice", ["x", f"b{k}", f"e{k}", "axes"], [f"p{k}"]))
    nodes.append(helper.make_node("Concat", [f"p{k}" for k in reversed(range(300))], ["y"], axis=1))
    built = model(nodes, [value("x", ["N", "M"])], [value("y", ["N", "K"])], constants)
    return Graph(built, [{"x": normal(3, 700)}, {"x": normal(1, 601)}])


@graph
def reshapes_5000() -> Graph:
    """Each Reshape takes its sizes from the tensor before it."""
    nodes = []
    for k in range(1000):
        nodes += [
            helper.make_node("Shape", [f"x{k}"], [f"s{k}"]),
            helper.make_node("Gather", [f"s{k}", "order"], [f"t{k}"]),
            helper.make_node("Reshape", [f"x{k}", f"t{k}"], [f"r{k}"]),
            helper.make_node("Neg", [f"r{k}"], [f"n{k}"]),
            helper.make_node("Transpose", [f"n{k}"], [f"x{k + 1}"], perm=[1, 0]),
        ]
    built = model(nodes, [value("x0", ["N", "M"])], [value("x1000", ["N", "M"])], [constant("order", [1, 0])])
    return Graph(built, [{"x0": normal(4, 6)}])


SLICE = [constant("begin", [1]), constant("end", [6]), constant("axes", [0])]


def concats(first: int, last: int, more: str) -> list[onnx.NodeProto]:
    """Appends `more` and takes a slice again and again: each size says the one before it twice."""
    nodes = []
    for k in range(first, last):
        nodes += [
            helper.make_node("Concat", [f"x{k}", more], [f"c{k}"], axis=0),
            helper.make_node("Slice", [f"c{k}", "begin", "end", "axes"], [f"x{k + 1}"]),
        ]
    return nodes


@graph
def concats_5000() -> Graph:
    """Sums of sizes: each Concat appends to the one before it, and a Slice keeps the tensor small."""
    built = model(concats(0, 2500, "x0"), [value("x0", ["N", 2])], [value("x2500", ["K", 2])], SLICE)
    return Graph(built, [{"x0": normal(n, 2)} for n in (4, 1, 9)])


@graph
def concats_of_sizes_that_data_decides() -> Graph:
    """Long sizes over numbers that are read from data, which later stages use."""
    nodes = [
        helper.make_node("Compress", ["x", "c"], ["x0"], axis=0),
        *concats(0, 60, "x0"),
        helper.make_node("Compress", ["x60", "d"], ["x61"], axis=0),
        *concats(61, 120, "x60"),
        helper.make_node("Concat", ["x60", "x120"], ["y"], axis=0),
    ]
    inputs = [value("x", ["N", 2]), value("c", ["N"], TensorProto.BOOL), value("d", ["M"], TensorProto.BOOL)]
    feeds = [
        {"x": normal(6, 2), "c": np.array(c, bool), "d": np.array([1, 0, 1], bool)}
        for c in ([1, 1, 0, 1, 1, 0], [1, 0, 0, 1, 0, 0])
    ]
    return Graph(model(nodes, inputs, [value("y", ["K", 2])], SLICE), feeds)


@graph
def concats_in_branches() -> Graph:
    """Long sizes that branches and loops take from the graph around them, and those that they make."""
    then = [*concats(100, 130, "x40"), helper.make_node("Neg", ["x130"], ["then_out"])]
    then.insert(0, helper.make_node("Identity", ["x40"], ["x100"]))
    other = helper.make_graph([helper.make_node("Abs", ["x40"], ["else_out"])], "e", [], [value("else_out", ["A", 2])])
    branch = helper.make_graph(then, "t", [], [value("then_out", ["B", 2])])
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c_out"]), *concats(300, 330, "x40"),
         helper.make_node("Identity", ["x330"], ["s_out"])],
        "b",
        [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL), value("x300", ["S", 2])],
        [value("c_out", [], TensorProto.BOOL), value("s_out", ["T", 2])],
    )  # fmt: skip
    nodes = [
        *concats(0, 40, "x0"),
        helper.make_node("If", ["flag"], ["x200"], then_branch=branch, else_branch=other),
        *concats(200, 230, "x40"),
        helper.make_node("Loop", ["trips", "", "x230"], ["x400"], body=body),
        *concats(400, 430, "x230"),
    ]
    inputs = [value("x0", ["N", 2]), value("flag", [], TensorProto.BOOL), value("trips", [], TensorProto.INT64)]
    feeds = [
        {"x0": normal(n, 2), "flag": np.array(flag), "trips": np.array(trips, np.int64)}
        for n, flag, trips in ((4, True, 2), (3, False, 0), (2, True, 1))
    ]
    return Graph(model(nodes, inputs, [value("x430", ["K", 2])], SLICE), feeds)


@graph
def sums_on_two_axes() -> Graph:
    """A number of elements that would be a polynomial of ten thousand terms."""
    inputs = [value(f"x{k}", [f"N{k}", 1]) for k in range(100)] + [value(f"y{k}", [1, f"M{k}"]) for k in range(100)]
    nodes = [
        helper.make_node("Concat", [f"x{k}" for k in range(100)], ["a"], axis=0),
        helper.make_node("Concat", [f"y{k}" for k in range(100)], ["b"], axis=1),
        helper.make_node("Mul", ["a", "b"], ["c"]),
        helper.make_node("Relu", ["c"], ["z"]),
    ]
    feed = {f"x{k}": normal(k % 3, 1) for k in range(100)} | {f"y{k}": normal(1, k % 2 + 1) for k in range(100)}
    return Graph(model(nodes, inputs, [value("z", ["A", "B"])]), [feed])


@graph
def concat_of_1000() -> Graph:
    """One Concat of a thousand inputs, of which a hundred have sizes of their own."""
    inputs = [value(f"x{k}", [f"N{k}"]) for k in range(100)]
    nodes = [helper.make_node("Neg", [f"x{k % 100}"], [f"n{k}"]) for k in range(1000)]
    nodes.append(helper.make_node("Concat", [f"n{k}" for k in range(1000)], ["y"], axis=0))
    return Graph(model(nodes, inputs, [value("y", ["K"])]), [{f"x{k}": normal(k % 3 + 1) for k in range(100)}])


@graph
def softmaxes_joined_600() -> Graph:
    """One Concat of results that kernels of their own compute."""
    nodes = [helper.make_node("Softmax", ["x"], [f"z{k}"], axis=k % 2) for k in range(600)]
    nodes.append(helper.make_node("Concat", [f"z{k}" for k in range(600)], ["y"], axis=0))
    return Graph(model(nodes, [value("x", ["N", 8])], [value("y", ["K", 8])]), [{"x": normal(n, 8)} for n in (3, 1, 0)])


@graph
def sums_joined_400() -> Graph:
    """One Concat of sums with a constant each."""
    nodes = [helper.make_node("Add", ["x", f"k{k}"], [f"z{k}"]) for k in range(400)]
    nodes.append(helper.make_node("Concat", [f"z{k}" for k in range(400)], ["y"], axis=1))
    constants = [numpy_helper.from_array(np.float32(k), f"k{k}") for k in range(400)]
    built = model(nodes, [value("x", ["N", "M"])], [value("y", ["N", "K"])], constants)
    return Graph(built, [{"x": normal(n, m)} for n, m in ((3, 5), (1, 1), (2, 0))])


@graph
def sequence_of_1000() -> Graph:
    """A sequence that a thousand nodes make, one element each, put together."""
    nodes = [helper.make_node("SequenceEmpty", [], ["s0"])]
    for k in range(1000):
        at = ["zero"] if k % 3 == 0 else []
        nodes.append(helper.make_node("SequenceInsert", [f"s{k}", f"x{k % 5}", *at], [f"s{k + 1}"]))
    nodes.append(helper.make_node("ConcatFromSequence", ["s1000"], ["y"], axis=0))
    inputs = [value(f"x{k}", [f"N{k}", 3]) for k in range(5)]
    zero = numpy_helper.from_array(np.array(0), "zero")
    return Graph(model(nodes, inputs, [value("y", ["K", 3])], [zero]), [{f"x{k}": normal(k % 3, 3) for k in range(5)}])


# Control flow --------------------------------------------------------------------------------------------------------


@graph
def ifs_in_sequence_100() -> Graph:
    nodes = []
    for k in range(100):
        branches = {
            name: helper.make_graph(
                [helper.make_node(op, [f"x{k}"], [f"{name}{k}"])], name, [], [value(f"{name}{k}", ["N"])]
            )
            for name, op in (("then_branch", "Neg"), ("else_branch", "Abs"))
        }
        nodes.append(helper.make_node("If", ["c"], [f"x{k + 1}"], **branches))
    inputs = [value("x0", ["N"]), value("c", [], TensorProto.BOOL)]
    feeds = [{"x0": normal(5), "c": np.array(flag)} for flag in (True, False)]
    return Graph(model(nodes, inputs, [value("x100", ["N"])]), feeds)


def nested_loops(depth: int) -> onnx.ModelProto:
    """Each loop runs the next one and appends a row to what that makes: all hand on a state that grows."""

    def body(level: int) -> onnx.GraphProto:
        state, made = f"s{level}", f"m{level}"
        nodes = [helper.make_node("Identity", [f"c{level}"], [f"d{level}"])]
        if level + 1 < depth:
            nodes.append(helper.make_node("Loop", ["inner", "", state], [f"t{level}"], body=body(level + 1)))
        else:
            nodes.append(helper.make_node("Neg", [state], [f"t{level}"]))
        nodes.append(helper.make_node("Concat", [f"t{level}", "row"], [made], axis=0))
        return helper.make_graph(
            nodes,
            f"body{level}",
            [
                value(f"i{level}", [], TensorProto.INT64),
                value(f"c{level}", [], TensorProto.BOOL),
                value(state, ["A", 2]),
            ],
            [value(f"d{level}", [], TensorProto.BOOL), value(made, ["B", 2])],
        )

    loop = helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body(0))
    inputs = [value("x", ["N", 2]), value("row", [1, 2]), value("trips", [], TensorProto.INT64),
              value("inner", [], TensorProto.INT64)]  # fmt: skip
    return model([loop], inputs, [value("y", ["K", 2])])


@graph
def loops_in_loops_20() -> Graph:
    """Importing a body twice, once to find that its state changes, would be 2^20 imports of the innermost one."""
    feeds = [
        {"x": normal(n, 2), "row": normal(1, 2), "trips": np.array(trips, np.int64), "inner": np.array(1, np.int64)}
        for n, trips in ((3, 2), (1, 0), (0, 3))
    ]
    return Graph(nested_loops(20), feeds)


@graph
def data_sizes_100() -> Graph:
    """A hundred sizes that the data decides: a stage each."""
    nodes = []
    for k in range(100):
        nodes += [
            helper.make_node("NonZero", [f"x{k}"], [f"i{k}"]),
            helper.make_node("Squeeze", [f"i{k}", "zero"], [f"j{k}"]),
            helper.make_node("Gather", [f"x{k}", f"j{k}"], [f"x{k + 1}"]),
        ]
    built = model(nodes, [value("x0", ["N"])], [value("x100", ["K"])], [constant("zero", [0])])
    return Graph(built, [{"x0": np.array([1, 0, 2, 0, 3], np.float32)}])
