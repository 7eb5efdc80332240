"""Derivatives against central differences of ONNX's evaluator in float64: of each rule, over several shapes.

A case is a line of ONNX's text syntax whose inputs are float64 (those that are not are not differentiated). Of its result `y`
the loss is the sum of sin(y), so that each element counts by another number.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence

import deepseek as ds
import numpy as np
import onnx
import pytest
from harness import differences, text_model
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from dsutil import tools

TOLERANCE = 1e-5


class Erf(OpRun):
    """The evaluator's own is of float32."""

    op_domain = ""

    def _run(self, x):
        return (np.array([math.erf(value) for value in x.ravel()], x.dtype).reshape(x.shape),)


@dataclasses.dataclass
class Rule:
    name: str
    signature: str  # "double[N] x => double[N] y"
    body: str
    sizes: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    draw: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    opset: int = 18
    op: str = ""  # one that ONNX has no node for, in MLIR, of operands and a result of static dims; always `own`
    own: bool = False  # the evaluator cannot: differences of the compiled program itself, which other tests compare

    def runs(self) -> list[dict[str, int]]:
        count = max((len(values) for values in self.sizes.values()), default=1)
        return [{name: values[run % len(values)] for name, values in self.sizes.items()} for run in range(count)]


def positive(rng, shape):
    return rng.uniform(0.5, 2, shape)


def inside(rng, shape):
    return rng.uniform(-0.8, 0.8, shape)


def apart(rng, shape):
    """No two alike, none near 0: away from kinks."""
    count = int(np.prod(shape))
    return (rng.permutation(count) - count / 2 + 0.3).reshape(shape) / 3


def bits(rng, shape):
    return rng.integers(0, 2, shape)


VECTOR = {"N": (5, 1, 0)}
TWO = {"N": (3, 1, 2), "M": (4, 5, 1)}
IMAGE = {"N": (2, 1), "H": (7, 8), "W": (6, 9)}


def unary(op: str, draw: Callable | None = None, attributes: str = "", opset: int = 18, own: bool = False) -> Rule:
    return Rule(
        op.lower() + attributes, "double[N,3] x => double[N,3] y", f"y = {op}{attributes}(x)", VECTOR,
        {"x": draw} if draw else {}, opset=opset, own=own,
    )  # fmt: skip


def binary(op: str, a: Callable | None = None, b: Callable | None = None) -> list[Rule]:
    draw = {name: how for name, how in (("a", a), ("b", b)) if how}
    return [
        Rule(op.lower(), "double[N,M] a, double[N,M] b => double[N,M] y", f"y = {op}(a, b)", TWO, draw),
        Rule(op.lower() + "_rows", "double[N,M] a, double[M] b => double[N,M] y", f"y = {op}(a, b)", TWO, draw),
        # Which of the two is repeated, only the run tells.
        Rule(
            op.lower() + "_open", "double[A,B] a, double[C,D] b => double[E,F] y", f"y = {op}(a, b)",
            {"A": (3, 1, 1, 2, 0), "B": (4, 1, 4, 1, 3), "C": (1, 3, 3, 2, 1), "D": (4, 4, 1, 5, 1)}, draw,
        ),
    ]  # fmt: skip


ELEMENTWISE = [
    *(
        unary(op)
        for op in (
            "Neg",
            "Exp",
            "Sin",
            "Cos",
            "Sinh",
            "Cosh",
            "Tanh",
            "Asinh",
            "Atan",
            "Sigmoid",
            "Erf",
            "Softplus",
            "Mish",
        )
    ),
    *(unary(op, positive) for op in ("Sqrt", "Reciprocal", "Log")),
    *(unary(op, inside) for op in ("Asin", "Acos", "Tan", "Atanh")),
    unary("Acosh", lambda rng, shape: rng.uniform(1.5, 3, shape)),
    *(
        unary(op, apart)
        for op in (
            "Abs",
            "Relu",
            "Floor",
            "Ceil",
            "Round",
            "Sign",
            "LeakyRelu",
            "Elu",
            "Selu",
            "HardSigmoid",
            "HardSwish",
        )
    ),
    unary("Gelu", opset=20, own=True),
    unary("Gelu", attributes='<approximate="tanh">', opset=20),
    *binary("Add"),
    *binary("Sub"),
    *binary("Mul"),
    *binary("Div", b=positive),
    *binary("Pow", a=positive),
    *binary("Max", apart, apart),
    *binary("Min", apart, apart),
    Rule("pow_of_negative", "double[N] x => double[N] y", "y = Pow(x, p)", VECTOR, weights={"p": np.array(3.0)}),
    Rule(
        "fmod", "double[N] a, double[N] b => double[N] y", "y = Mod<fmod=1>(a, b)", VECTOR, {"a": apart, "b": positive}
    ),
    Rule("where", "double[N,M] a, double[M] b, bool[N,1] c => double[N,M] y", "y = Where(c, a, b)", TWO),
    Rule("cast", "double[N] x => double[N] y", "f = Cast<to=11>(x); y = Mul(f, x)", VECTOR),
    Rule(
        "clip",
        "double[N] x => double[N] y",
        "y = Clip(x, l, h)",
        VECTOR,
        {"x": apart},
        {"l": np.array(-0.5), "h": np.array(0.6)},
    ),
    Rule("used_twice", "double[N] x => double[N] y", "e = Exp(x); s = Mul(e, x); t = Add(s, e); y = Mul(t, x)", VECTOR),
    Rule("unused", "double[N] x, double[N] z => double[N] y", "y = Exp(x)", VECTOR),
    Rule("prelu", "double[N,M] a, double[M] b => double[N,M] y", "y = PRelu(a, b)", TWO, {"a": apart}),
]

REDUCTIONS = [
    *(
        Rule(f"{op.lower()}_{axes}_{keep}", "double[N,3,M] x => double y", f"r = {op}<keepdims={keep}>(x, axes); y = Mul(r, r)",
             {"N": (2, 1), "M": (4, 3)}, {"x": positive if op == "ReduceProd" else apart}, {"axes": np.array(list(axes))})
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare")
        for axes in ((1,), (0, 2))
        for keep in (0, 1)
    ),
    Rule("prod_of_zeros", "double[3,4] x => double[3] y", "y = ReduceProd<keepdims=0>(x, axes)", {},
         {"x": lambda rng, shape: np.array([[0, 2, 3, 4], [0, 0, 1, 2], [1, 2, 3, 4.0]])}, {"axes": np.array([1])}),
    *(
        Rule(f"cumsum_{reverse}_{exclusive}", "double[N,3] x => double[N,3] y", f"y = CumSum<reverse={reverse}, exclusive={exclusive}>(x, axis)",
             VECTOR, weights={"axis": np.array(1)})
        for reverse in (0, 1) for exclusive in (0, 1)
    ),
    Rule("top_k", "double[N,5] x => double[N,3] y", "y, i = TopK(x, k)", {"N": (3, 1)}, {"x": apart}, {"k": np.array([3])}),
    *(Rule(op.lower() + str(axis), "double[N,M] x => double[N,M] y", f"y = {op}<axis={axis}>(x)", TWO) for op in ("Softmax", "LogSoftmax") for axis in (0, 1)),
    Rule("layer_norm", "double[N,M] x, double[M] s, double[M] b => double[N,M] y", "y = LayerNormalization(x, s, b)", {"N": (3, 2), "M": (4, 5)}),
    Rule("layer_norm_written_out", "double[N,4] x => double[N,4] y", "m = ReduceMean<keepdims=1>(x, axes); c = Sub(x, m); q = Mul(c, c); v = ReduceMean<keepdims=1>(q, axes); "
         "e = Add(v, eps); d = Sqrt(e); y = Div(c, d)", {"N": (3, 2)}, weights={"axes": np.array([1]), "eps": np.array(1e-5)}),
    Rule("batch_norm", "double[N,3,M] x, double[3] s, double[3] b, double[3] m, double[3] v => double[N,3,M] y", "y = BatchNormalization(x, s, b, m, v)", TWO, {"v": positive}),
]  # fmt: skip


def module(name: str, signature: str, op: str, draw: Mapping[str, Callable] | None = None) -> Rule:
    return Rule(name, signature, "", draw=draw or {}, op=op, own=True)


MOVEMENT = [
    Rule("reshape", "double[N,6] x => double[a,b] y", "y = Reshape(x, s)", VECTOR, weights={"s": np.array([-1, 2])}),
    Rule("transpose", "double[N,3,M] x => double[M,N,3] y", "y = Transpose<perm=[2,0,1]>(x)", TWO),
    Rule("expand", "double[N,1] x => double[a,b,c] y", "y = Expand(x, s)", VECTOR, weights={"s": np.array([2, 1, 4])}),
    *(
        Rule(f"slice_{name}", "double[N,9] x => double[a,b] y", "y = Slice(x, b, e, a, s)", {"N": (7, 8, 3)},
             weights={"b": np.array(b), "e": np.array(e), "a": np.array([0, 1]), "s": np.array(s)})
        for name, b, e, s in (("steps", [1, 0], [7, 9], [2, 3]), ("back", [-1, 7], [-100, 1], [-2, -3]), ("part", [1, 2], [3, -2], [1, 1]),
                              ("nothing", [2, 5], [2, 5], [1, 2]))
    ),
    Rule("concat", "double[N,2] a, double[M,2] b => double[K,2] y", "y = Concat<axis=0>(a, b, a)", {"N": (3, 0), "M": (1, 2)}),
    Rule("split", "double[N,6] x => double[N,2] y", "a, b, c = Split<axis=1, num_outputs=3>(x); y = Mul(a, c)", VECTOR),
    *(
        Rule(f"pad_{mode}", "double[N,5] x => double[a,b] y", f'y = Pad<mode="{mode}">(x, p)', {"N": (4, 6)}, weights={"p": np.array([1, 2, 0, 3])})
        for mode in ("constant", "reflect", "edge", "wrap")
    ),
    Rule("pad_less", "double[N,5] x => double[a,b] y", "y = Pad(x, p)", {"N": (4, 6)}, weights={"p": np.array([-1, 2, 2, -2])}, own=True),
    Rule("tile", "double[N,2] x => double[a,b] y", "y = Tile(x, r)", {"N": (3, 1)}, weights={"r": np.array([2, 3])}),
    *(
        Rule(f"gather_{axis}", "double[N,4,3] x => double[a,b,c,d] y", f"y = Gather<axis={axis}>(x, i)", {"N": (4, 5)},
             weights={"i": np.array([[0, 2], [2, -1]])})
        for axis in (0, 1, 2)
    ),
    Rule("gather_elements", "double[N,4] x => double[N,2] y", "y = GatherElements<axis=1>(x, i)", {"N": (3,)}, weights={"i": np.array([[0, 0], [1, 3], [-1, -1]])}),
    Rule("gather_nd", "double[N,4] x => double[a] y", "y = GatherND(x, i)", {"N": (3, 4)}, weights={"i": np.array([[0, 1], [2, 3], [0, 1]])}),
    Rule("gather_nd_batch", "double[2,2,4,3] x => double[2,2,3] y", "y = GatherND<batch_dims=2>(x, j)", weights={"j": np.array([[[1], [-1]], [[0], [3]]])}),
    Rule("gather_nd_batches", "double[N,4,3] x, int64[N,2,1] j => double[N,2,3] y", "y = GatherND<batch_dims=1>(x, j)", {"N": (3, 1)},
         {"j": lambda rng, shape: rng.integers(-4, 4, shape)}),
    Rule("scatter_elements", "double[N,4] x, double[2,4] u => double[N,4] y", "y = ScatterElements<axis=0>(x, i, u)", {"N": (3, 4)},
         weights={"i": np.array([[0, 1, 2, 0], [1, 2, 0, 2]])}),
    Rule("scatter_elements_add", "double[N,4] x, double[2,4] u => double[N,4] y", 'y = ScatterElements<axis=0, reduction="add">(x, i, u)', {"N": (3, 4)},
         weights={"i": np.array([[0, 1, 2, 0], [0, 1, 0, 2]])}),
    Rule("scatter_nd", "double[N,4] x, double[2,4] u => double[N,4] y", "y = ScatterND(x, i, u)", {"N": (3, 4)}, weights={"i": np.array([[2], [0]])}),
    Rule("scatter_nd_add", "double[N,4] x, double[2,4] u => double[N,4] y", 'y = ScatterND<reduction="add">(x, i, u)', {"N": (3, 4)}, weights={"i": np.array([[2], [2]])}),
    # Indices that repeat; factors of 0, once and twice at a place.
    *(
        Rule(f"scatter_{name}_{reduction}", f"double[N,4] x, double[{shape}] u => double[N,4] y", f'y = {op}reduction="{reduction}">(x, i, u)', {"N": (3, 4)},
             {"x": apart, "u": lambda rng, shape: apart(rng, shape) + 0.05}, {"i": np.array(indices)})
        for name, op, shape, indices in (
            ("elements", "ScatterElements<axis=0, ", "3,4", [[0, 1, 2, 0], [0, 1, 0, 2], [0, -1, 1, 2]]), ("nd", "ScatterND<", "4,4", [[2], [2], [0], [-1]]),
        )
        for reduction in ("mul", "max", "min")
    ),
    Rule("scatter_mul_zeros", "double[3,4] x, double[3,4] u => double[3,4] y", 'y = ScatterElements<axis=0, reduction="mul">(x, i, u)', {},
         {"u": lambda rng, shape: np.array([[0, 2, 0, 4], [3, 0, 0, 1], [5, 0, 2, 3.0]])}, {"i": np.array([[0, 1, 2, 0], [0, 1, 2, 2], [0, 1, 1, 2]])}),
    *(
        Rule(f"one_hot_{axis}", "int64[N,2] i, double[2] v => double[a,b,c] y", f"y = OneHot<axis={axis}>(i, d, v)", VECTOR,
             {"i": lambda rng, shape: rng.integers(-5, 5, shape)}, {"d": np.array(5)})
        for axis in (-1, 0)
    ),
    module("range", "double start, double delta => double[4] y", 'ds.range %start, %start, %delta {size = #ds.shape<["4"]>}'),
    Rule("eye_like", "double[N,3] x => double[N,3] y", "e = EyeLike(x); y = Mul(e, x)", TWO),
    *(Rule(f"trilu_{upper}", "double[N,M] x => double[N,M] y", f"y = Trilu<upper={upper}>(x, k)", TWO, weights={"k": np.array(1)}) for upper in (0, 1)),
    # c, a, b, of which c leaves and b is there twice.
    Rule("sequence", "double[N,3] a, double[M,3] b, double[2,3] c => double[k,3] y",
         "s = SequenceConstruct(a, b); t = SequenceInsert(s, c, zero); u = SequenceErase(t, zero); d = SequenceAt(u, one); v = SequenceInsert(u, d); y = ConcatFromSequence<axis=0>(v)",
         TWO, weights={"zero": np.array(0), "one": np.array(1)}),
    Rule("optional", "double[N,M] x => double[N,M] y", "o = Optional(x); y = OptionalGetElement(o)", TWO, own=True),
    Rule("reverse_sequence", "double[4,M] x => double[4,M] y", "y = ReverseSequence<batch_axis=1, time_axis=0>(x, l)", {"M": (2,)}, weights={"l": np.array([3, 2])}),
    *(
        Rule(f"resize_{name}", "double[N,2,H,W] x => double[a,b,c,d] y", f"y = Resize<{attributes}>(x, , s)", {"N": (2,), "H": (4, 5), "W": (5, 3)},
             weights={"s": np.array([1, 1, *scale], np.float32)})
        for name, attributes, scale in (
            ("nearest", 'mode="nearest"', (2, 3)),
            ("linear", 'mode="linear"', (2, 1.5)),
            ("linear_corners", 'mode="linear", coordinate_transformation_mode="align_corners"', (2, 2)),
            ("cubic", 'mode="cubic"', (2, 2)),
            ("down", 'mode="linear", antialias=1', (0.5, 0.6)),
        )
    ),
    *(
        Rule(f"resize_given_{name}", "double[2,H,W] x, float[3] s => double[a,b,c] y", f"y = Resize<{attributes}>(x, , s)", {"H": (4, 5), "W": (5, 3)},
             {"s": lambda rng, shape, scale=scale: np.array(scale)})
        for name, attributes, scale in (
            ("linear", 'mode="linear"', (1, 2, 1.5)), ("nearest", 'mode="nearest"', (2, 1, 2)), ("cubic", 'mode="cubic"', (1, 2, 2)),
        )
    ),
    *(
        module(f"dequantize_{name}", f"int8[3,4] x, double[{shape}] s, int8[{shape}] z => double[3,4] y", f"ds.dequantize_linear %x, %s, %z {{axis = 1 : i64, block_size = {block} : i64}}",
               {"x": lambda rng, shape: rng.integers(-9, 9, shape), "z": lambda rng, shape: rng.integers(-9, 9, shape)})
        for name, shape, block in (("tensor", "1", 0), ("axis", "4", 0), ("blocks", "3,2", 3))
    ),
]  # fmt: skip

SPECTRAL = [
    *(
        Rule(f"dft_{name}", f"double[N,M,{parts}] x => double[a,b,c] y", f"y = DFT<axis=1, {attributes}>(x)", {"N": (2, 1), "M": (6, 5, 1, 8)})
        for name, parts, attributes in (
            ("complex", 2, "inverse=0"), ("real", 1, "inverse=0"), ("onesided", 1, "onesided=1"), ("inverse", 2, "inverse=1"), ("inverse_of_real", 1, "inverse=1"),
        )
    ),
    Rule("dft_of_last", "double[3,N,2] x => double[3,N,2] y", "y = DFT(x, , axis)", {"N": (4, 7)}, weights={"axis": np.array(1)}, opset=20),
    *(
        Rule(f"dft_to_real_{length}", f"double[N,{length // 2 + 1},2] x => double[a,b,c] y", "y = DFT<inverse=1, onesided=1>(x, n, axis)", {"N": (2, 1)},
             weights={"n": np.array(length), "axis": np.array(1)}, opset=20)
        for length in (1, 2, 5, 8)
    ),
    Rule("stft", "double[N,L,1] x, double[5] w => double[a,b,c,d] y", "y = STFT<onesided=1>(x, step, w, length)", {"N": (2, 1), "L": (9, 13)},
         weights={"step": np.array(3), "length": np.array(5)}),
    Rule("stft_whole", "double[N,L,1] x => double[a,b,c,d] y", "y = STFT<onesided=0>(x, step, , length)", {"N": (2,), "L": (4, 9)},
         weights={"step": np.array(2), "length": np.array(4)}),
]  # fmt: skip


def recurrent(
    op: str,
    name: str,
    attributes: str = "",
    inputs: str = "b",
    hidden: int = 3,
    lengths: bool = False,
    own: bool = True,
    sizes: Mapping[str, Sequence[int]] | None = None,
    spread: float = 0.7,
) -> Rule:
    """A layer whose results all count; `inputs` are those of b (biases), h and c (initial states), p (peepholes) that it has."""
    gates, directions = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 2 if "bidirectional" in attributes else 1
    width = gates * hidden
    shapes = {
        "x": "S,N,2", "w": f"{directions},{width},2", "r": f"{directions},{width},{hidden}", "b": f"{directions},{2 * width}",
        "h": f"{directions},N,{hidden}", "c": f"{directions},N,{hidden}", "p": f"{directions},{3 * hidden}",
    }  # fmt: skip
    signature = [f"double[{shape}] {name}" for name, shape in shapes.items() if name in "xwr" or name in inputs]
    if lengths:
        signature.append("int32[N] l")
    given = [
        n if n in "xwr" or n in inputs or (n == "l" and lengths) else "" for n in "xwrblhcp"[: 8 if op == "LSTM" else 6]
    ]
    while not given[-1]:
        given.pop()
    results = ["all", "last", "cell"][: 3 if op == "LSTM" and own else 2]  # the evaluator has no last cell
    flat = "; ".join(f"{result}_f = Reshape({result}, flat)" for result in results)
    joined = ", ".join(f"{result}_f" for result in results)
    node = (
        f"{', '.join(results)} = {op}<hidden_size={hidden}{', ' if attributes else ''}{attributes}>({', '.join(given)})"
    )
    sizes = sizes or {"S": (4, 1, 3), "N": (3, 2, 1)}

    def some(rng, shape):  # any length, the longest among them
        return rng.integers(0, 2, shape) if shape[0] < 2 else np.arange(shape[0]) % 3

    return Rule(
        f"{op.lower()}_{name}", f"{', '.join(signature)} => double[k] y", f"{node}; {flat}; y = Concat<axis=0>({joined})", sizes,
        {"l": some, **{name: lambda rng, shape: rng.standard_normal(shape) * spread for name in "wrbp"}}, {"flat": np.array([-1])}, own=own,
    )  # fmt: skip


FUNCTIONS = "Affine Relu LeakyRelu ThresholdedRelu Tanh ScaledTanh Sigmoid HardSigmoid Elu Softsign Softplus".split()
TWO_WAYS = 'direction="bidirectional"'

RECURRENT = [
    recurrent("LSTM", "plain", own=False),
    recurrent("LSTM", "states_and_peepholes", inputs="bhcp", own=False),
    recurrent("GRU", "plain", own=False),
    recurrent("GRU", "linear", "linear_before_reset=1", inputs="bh", own=False),
    recurrent("RNN", "plain", inputs="bh", own=False),
    *(recurrent(op, "without_biases", inputs="") for op in ("LSTM", "GRU", "RNN")),
    *(
        recurrent(op, f"{direction}_{'lengths' if lengths else 'states'}", f'{linear}direction="{direction}"', "bhc" if op == "LSTM" else "bh", lengths=lengths)
        for op, linear in (("LSTM", ""), ("GRU", ""), ("GRU", "linear_before_reset=1, "), ("RNN", ""))
        for direction in ("forward", "reverse", "bidirectional")
        for lengths in (False, True)
    ),
    # A vector of units and a part of one, several blocks of sequences, and no sequence or step at all.
    *(
        recurrent(op, f"{name}_wide", f"{attributes}{TWO_WAYS}", "bh", hidden=hidden, sizes={"S": (2, 0, 2), "N": (9, 2, 0)})
        for op, name, attributes, hidden in (("LSTM", "", "", 17), ("GRU", "", "", 17), ("GRU", "linear", "linear_before_reset=1, ", 17), ("RNN", "", "", 33))
    ),
    *(
        recurrent("LSTM", f"peepholes_{name}", f"{TWO_WAYS}{attributes}", "bhcp", lengths=True)
        for name, attributes in (("plain", ""), ("coupled", ", input_forget=1"), ("clip", ", clip=0.5"))
    ),
    recurrent("LSTM", "coupled", "input_forget=1", "bhc"),
    *(recurrent("GRU", f"clip_{linear}", f"clip=0.5, linear_before_reset={linear}, {TWO_WAYS}", "bh", lengths=True) for linear in (0, 1)),
    recurrent("RNN", "clip", "clip=0.5", "bh"),
    recurrent("LSTM", "functions", f'activations=["Sigmoid","Tanh","Softsign","HardSigmoid","ScaledTanh","Elu"], activation_alpha=[0.3,1.5,0.7], activation_beta=[0.4,0.8], {TWO_WAYS}', "bhcp"),
    *(
        recurrent("GRU", f"functions_{linear}", f'activations=["HardSigmoid","LeakyRelu","Sigmoid","Softplus"], activation_alpha=[0.3,0.2], activation_beta=[0.4], linear_before_reset={linear}, {TWO_WAYS}', "bh")
        for linear in (0, 1)
    ),
    *(recurrent("RNN", name.lower(), f'activations=["{name}"], activation_alpha=[0.6], activation_beta=[0.3]', "bh") for name in FUNCTIONS),
    # The reset gate's function is one of the graph's. Gates that are not bounded need small weights, or states explode.
    *(recurrent("GRU", f"resets_by_{name.lower()}", f'activations=["{name}","Tanh"], activation_alpha=[0.6], activation_beta=[0.3]', "bh", spread=0.2) for name in FUNCTIONS),
    recurrent("LSTM", "batch_first", "layout=1"),
    Rule("lstm_zero_states", "double[S,2,2] x, double[1,12,2] w, double[1,12,3] r => double[a,b,c,d] y",
         'y, last, cell = LSTM<hidden_size=3, direction="reverse">(x, w, r, , , states, states)', {"S": (3, 1)}, weights={"states": np.zeros((1, 2, 3))}, own=True),
]  # fmt: skip


def conv(
    name: str,
    attributes: str,
    w: tuple[int, ...],
    x: str = "double[N,4,H,W]",
    op: str = "Conv",
    bias: int | None = None,
    own: bool = False,
) -> Rule:
    shape = ",".join(map(str, w))
    out = bias if bias is not None else (w[0] if op == "Conv" else w[1])
    rank = "a,b,c,d" if len(w) == 4 else "a,b,c"
    return Rule(
        f"{op.lower()}_{name}", f"{x} x, double[{shape}] w, double[{out}] b => double[{rank}] y", f"y = {op}<{attributes}>(x, w, b)", IMAGE,
        own=own,
    )  # fmt: skip


CONTRACTIONS = [
    Rule("matmul", "double[N,3] a, double[3,M] b => double[N,M] y", "y = MatMul(a, b)", {"N": (2, 1, 0), "M": (4, 2, 3)}),
    Rule("matmul_batches", "double[N,2,3] a, double[A,1,3,M] b => double[c,d,e,f] y", "y = MatMul(a, b)", {"N": (2, 1, 1), "A": (3, 1, 2), "M": (4, 2, 1)}),
    Rule("matmul_open", "double[N,2,3] a, double[A,3,M] b => double[c,d,e] y", "y = MatMul(a, b)", {"N": (2, 1, 3), "A": (1, 3, 3), "M": (4, 2, 1)}),
    Rule("matmul_row", "double[3] a, double[N,3,M] b => double[N,M] y", "y = MatMul(a, b)", TWO),
    Rule("matmul_column", "double[N,M,3] a, double[3] b => double[N,M] y", "y = MatMul(a, b)", TWO),
    Rule("dot", "double[N] a, double[N] b => double y", "y = MatMul(a, b)", {"N": (3, 1)}),
    Rule("gemm", "double[3,N] a, double[M,3] b, double[M] c => double[N,M] y", "y = Gemm<transA=1, transB=1, alpha=0.5, beta=2.0>(a, b, c)", TWO),
    Rule("einsum", "double[N,M,3] a, double[M,3] b => double[N,M] y", 'y = Einsum<equation="nmk,mk->nm">(a, b)', TWO),
    conv("plain", "kernel_shape=[3,3]", (2, 4, 3, 3)),
    conv("padded", "kernel_shape=[3,2], pads=[1,0,2,1]", (2, 4, 3, 2)),
    conv("strided", "kernel_shape=[3,3], strides=[2,3], pads=[1,1,1,1]", (2, 4, 3, 3)),
    conv("dilated", "kernel_shape=[2,3], dilations=[2,2], strides=[1,2]", (2, 4, 2, 3)),
    conv("groups", "kernel_shape=[3,3], group=2, strides=[2,2]", (6, 2, 3, 3)),
    conv("depthwise", "kernel_shape=[3,3], group=4, pads=[1,1,1,1]", (4, 1, 3, 3)),
    conv("line", "kernel_shape=[3], strides=[2]", (2, 4, 3), "double[N,4,H]"),
    # More channels than a register tile has rows and columns, none of them a multiple.
    conv("wide", "kernel_shape=[3,2], strides=[2,1], pads=[1,1,0,1]", (35, 27, 3, 2), "double[N,27,H,W]"),
    conv("many_groups", "kernel_shape=[2,2], group=37", (37, 1, 2, 2), "double[N,37,H,W]"),
    conv("wide_groups", "kernel_shape=[1,1], group=2", (42, 13, 1, 1), "double[N,26,H,W]"),
    conv("plain", "kernel_shape=[3,3]", (4, 2, 3, 3), op="ConvTranspose"),
    conv("strided", "kernel_shape=[3,3], strides=[2,2], pads=[1,0,1,1], output_padding=[1,0]", (4, 2, 3, 3), op="ConvTranspose"),
    conv("groups", "kernel_shape=[2,2], group=2, strides=[2,2]", (4, 3, 2, 2), op="ConvTranspose", bias=6, own=True),
    *(
        Rule(f"{op.lower()}_{name}", "double[N,3,H,W] x => double[a,b,c,d] y", f"y = {op}<{attributes}>(x)", IMAGE, {"x": apart})
        for op in ("MaxPool", "AveragePool")
        for name, attributes in (
            ("plain", "kernel_shape=[2,3]"), ("strided", "kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]"),
            ("ceil", "kernel_shape=[2,2], strides=[2,2], ceil_mode=1"),
        )
    ),
    Rule("average_counted", "double[N,3,H,W] x => double[a,b,c,d] y", "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2], count_include_pad=1>(x)", IMAGE),
    Rule("global_lp", "double[N,3,H,W] x => double[N,3,1,1] y", "y = GlobalLpPool<p=3>(x)", IMAGE, own=True),
    Rule("global_average", "double[N,3,H,W] x => double[N,3,1,1] y", "y = GlobalAveragePool(x)", IMAGE),
    Rule("attention", "double[N,2,M,3] q, double[N,2,M,3] k, double[N,2,M,3] v => double[N,2,M,3] y",
         "t = Transpose<perm=[0,1,3,2]>(k); s = MatMul(q, t); d = Mul(s, scale); w = Softmax<axis=-1>(d); y = MatMul(w, v)", TWO, weights={"scale": np.array(0.6)}),
]  # fmt: skip

ATTENTION = [
    Rule("attention_float_mask", "double[N,2,M,3] q, double[N,2,M,3] k, double[N,2,M,3] v, double[1,M,M] m => double[N,2,M,3] y",
         "t = Transpose<perm=[0,1,3,2]>(k); s = MatMul(q, t); d = Mul(s, scale); a = Add(d, m); w = Softmax<axis=-1>(a); y = MatMul(w, v)", TWO, weights={"scale": np.array(0.6)}),
    # Of the guarded rows some are masked as a whole.
    *(
        Rule(f"attention_mask{'_guarded' if guarded else ''}", "double[N,2,M,3] q, double[N,2,M,3] k, double[N,2,M,4] v, bool[M,M] m => double[N,2,M,4] y",
             "t = Transpose<perm=[0,1,3,2]>(k); s = MatMul(q, t); d = Mul(s, scale); a = Where(m, d, lowest); w = Softmax<axis=-1>(a); "
             + ("n = IsNaN(w); f = Where(n, zero, w); y = MatMul(f, v)" if guarded else "y = MatMul(w, v)"), TWO,
             {"m": (lambda rng, shape: np.tri(*shape, -1)) if guarded else (lambda rng, shape: np.tri(*shape))},
             weights={"scale": np.array(0.6), "lowest": np.array(-np.inf), "zero": np.array(0.0)})
        for guarded in (False, True)
    ),
    *(
        module(f"attention_causal_{keys}", f"double[2,3,3] q, double[2,{keys},3] k, double[2,{keys},4] v => double[2,3,4] y", "ds.attention %q, %k, %v {causal, scale = 0.6 : f64}")
        for keys in (3, 5)
    ),
]  # fmt: skip

RULES = ELEMENTWISE + REDUCTIONS + MOVEMENT + SPECTRAL + CONTRACTIONS + ATTENTION + RECURRENT


def with_loss(rule: Rule) -> onnx.ModelProto:
    model = text_model(rule.signature, rule.body or "y = Identity(unused)", rule.opset)
    for name, array in rule.weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    model.graph.node.append(helper.make_node("Sin", ["y"], ["sines"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["sines"], ["loss"], keepdims=0))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("loss", onnx.TensorProto.DOUBLE, []))
    return model


def module_text(rule: Rule) -> str:
    """The function of a rule that is an op, with its loss."""
    names = {"double": "f64", "int8": "i8"}

    def tensor(text: str) -> str:
        element, _, dims = text.rstrip("]").partition("[")
        return f"tensor<{''.join(f'{dim}x' for dim in dims.split(',') if dim)}{names[element]}>"

    inputs, result = rule.signature.split(" => ")
    arguments = [argument.split() for argument in inputs.split(", ")]
    types = {name: tensor(kind) for kind, name in arguments}
    made, rank = tensor(result.split()[0]), result.count(",") + 1
    operands = ", ".join(types[name] for name in re.findall(r"%(\w+)", rule.op))
    declared = ", ".join(f'%{name}: {kind} {{ds.name = "{name}"}}' for name, kind in types.items())
    return f"""func.func @main({declared}) -> (tensor<f64> {{ds.name = "loss"}}) {{
      %y = {rule.op} : ({operands}) -> {made}
      %sines = ds.sin %y : ({made}) -> {made}
      %loss = ds.reduce_sum %sines {{axes = array<i64: {", ".join(map(str, range(rank)))}>}} : ({made}) -> tensor<f64>
      return %loss : tensor<f64>
    }}"""


def draw(rule: Rule, model: onnx.ModelProto, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {}
    for info in model.graph.input:
        shape = tuple(
            d.dim_value if d.HasField("dim_value") else sizes[d.dim_param] for d in info.type.tensor_type.shape.dim
        )
        element = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        otherwise = bits if element.kind == "b" else lambda rng, shape: rng.standard_normal(shape)
        arrays[info.name] = np.asarray(rule.draw.get(info.name, otherwise)(rng, shape), element)
    return arrays


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule(rule, tmp_path):
    model = with_loss(rule)
    evaluator = None if rule.own else ReferenceEvaluator(model, new_ops=[Erf])
    path, text, derived, program = (
        str(tmp_path / name) for name in ("model.onnx", "model.mlir", "derived.mlir", "program")
    )
    library = program + ".so"
    onnx.save(model, path)
    if rule.op:
        with open(text, "w", encoding="utf-8") as file:
            file.write(module_text(rule))
    for command in (
        [tools.tool("ds-compile"), path, "--stop-after=simplify", "-o", text],
        [tools.tool("ds-opt"), text, "--ds-differentiate=of=loss", "-o", derived],
        [tools.tool("ds-compile"), derived, "-o", program],
        [tools.tool("ds-compile"), text, "--emit=library", "-o", library],
    )[1 if rule.op else 0 : 4 if rule.own else 3]:
        result = tools.run(command)
        assert result.code == 0, result.stderr
    wrt = [info.name for info in model.graph.input if info.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE]
    for run, sizes in enumerate(rule.runs()):
        arrays = draw(rule, model, sizes, run)
        inputs, outputs = str(tmp_path / f"inputs{run}.npz"), str(tmp_path / f"outputs{run}")
        np.savez(inputs, **arrays)
        result = tools.run([program, "--inputs", inputs, "--output-dir", outputs])
        assert result.code == 0, f"{sizes}: {result.stderr}"
        if rule.own:
            compiled = ds.load(library)

            def loss(given, compiled=compiled):
                return compiled(**given)  # its only result

        else:

            def loss(given):
                return evaluator.run(None, given)[0]

        # The evaluator has some constants in float32.
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(np.load(os.path.join(outputs, "loss.npy")), loss(arrays), rtol=1e-6, atol=1e-9)
        for name in wrt:
            found = np.load(os.path.join(outputs, tools.output_file(f"grad.{name}")))
            with np.errstate(all="ignore"):
                expected = differences(loss, arrays, name)
            assert found.shape == expected.shape
            scale = max(np.abs(expected).max(initial=0), 1e-3)
            np.testing.assert_allclose(
                found, expected, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=f"{sizes}: grad.{name}"
            )
