"""Derivatives against central differences of ONNX's evaluator in float64: of each rule, over several shapes.

A case is a line of ONNX's text syntax whose inputs are float64 (those that are not are not differentiated). Of its result `y`
the loss is the sum of sin(y), so that each element counts by another number.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence

import deepseek as ds
import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from dsutil import tools

STEP, TOLERANCE = 1e-6, 1e-5


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
    Rule("scatter_elements", "double[N,4] x, double[2,4] u => double[N,4] y", "y = ScatterElements<axis=0>(x, i, u)", {"N": (3, 4)},
         weights={"i": np.array([[0, 1, 2, 0], [1, 2, 0, 2]])}),
    Rule("scatter_elements_add", "double[N,4] x, double[2,4] u => double[N,4] y", 'y = ScatterElements<axis=0, reduction="add">(x, i, u)', {"N": (3, 4)},
         weights={"i": np.array([[0, 1, 2, 0], [0, 1, 0, 2]])}),
    Rule("scatter_nd", "double[N,4] x, double[2,4] u => double[N,4] y", "y = ScatterND(x, i, u)", {"N": (3, 4)}, weights={"i": np.array([[2], [0]])}),
    Rule("scatter_nd_add", "double[N,4] x, double[2,4] u => double[N,4] y", 'y = ScatterND<reduction="add">(x, i, u)', {"N": (3, 4)}, weights={"i": np.array([[2], [2]])}),
    *(Rule(f"trilu_{upper}", "double[N,M] x => double[N,M] y", f"y = Trilu<upper={upper}>(x, k)", TWO, weights={"k": np.array(1)}) for upper in (0, 1)),
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
    Rule("global_average", "double[N,3,H,W] x => double[N,3,1,1] y", "y = GlobalAveragePool(x)", IMAGE),
    Rule("attention", "double[N,2,M,3] q, double[N,2,M,3] k, double[N,2,M,3] v => double[N,2,M,3] y",
         "t = Transpose<perm=[0,1,3,2]>(k); s = MatMul(q, t); d = Mul(s, scale); w = Softmax<axis=-1>(d); y = MatMul(w, v)", TWO, weights={"scale": np.array(0.6)}),
]  # fmt: skip

RULES = ELEMENTWISE + REDUCTIONS + MOVEMENT + CONTRACTIONS


def with_loss(rule: Rule) -> onnx.ModelProto:
    model = text_model(rule.signature, rule.body, rule.opset)
    for name, array in rule.weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    model.graph.node.append(helper.make_node("Sin", ["y"], ["sines"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["sines"], ["loss"], keepdims=0))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("loss", onnx.TensorProto.DOUBLE, []))
    return model


def draw(rule: Rule, model: onnx.ModelProto, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {}
    for info in model.graph.input:
        shape = tuple(
            d.dim_value if d.HasField("dim_value") else sizes[d.dim_param] for d in info.type.tensor_type.shape.dim
        )
        if info.type.tensor_type.elem_type == onnx.TensorProto.BOOL:
            arrays[info.name] = rng.integers(0, 2, shape).astype(bool)
        else:
            arrays[info.name] = np.asarray(
                rule.draw.get(info.name, lambda rng, shape: rng.standard_normal(shape))(rng, shape), float
            )
    return arrays


def differences(loss: Callable, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """dloss/dx, element by element."""
    gradient = np.zeros(arrays[name].shape)
    for index in np.ndindex(gradient.shape):
        losses = []
        for step in (STEP, -STEP):
            moved = arrays[name].copy()
            moved[index] += step
            losses.append(float(loss({**arrays, name: moved})))
        gradient[index] = (losses[0] - losses[1]) / (2 * STEP)
    return gradient


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule(rule, tmp_path):
    model = with_loss(rule)
    evaluator = ReferenceEvaluator(model, new_ops=[Erf])
    path, text, derived, program = (
        str(tmp_path / name) for name in ("model.onnx", "model.mlir", "derived.mlir", "program")
    )
    library = program + ".so"
    onnx.save(model, path)
    for command in (
        [tools.tool("ds-compile"), path, "--stop-after=simplify", "-o", text],
        [tools.tool("ds-opt"), text, "--ds-differentiate=of=loss", "-o", derived],
        [tools.tool("ds-compile"), derived, "-o", program],
        [tools.tool("ds-compile"), derived, "--emit=library", "-o", library],
    )[: 4 if rule.own else 3]:
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
                return compiled(**given)[0]

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
