"""Operators by the family that generates their code, each at several sizes, zero among them."""

import numpy as np
import pytest
from harness import Case, check_case, compile_text, run_program

SOME = {"N": (1, 5, 17, 0)}
TWO = {"N": (1, 3, 0, 4), "M": (7, 16, 33, 0)}


def positive(rng, shape):
    return np.abs(rng.standard_normal(shape)) + 0.01


def unit(rng, shape):
    return rng.uniform(-0.999, 0.999, shape)


def wide(rng, shape):
    return rng.standard_normal(shape) * 30


def indices(limit):
    return lambda rng, shape: rng.integers(-limit, limit, shape)


def elementwise(op, draw=None, tolerance=1e-6, opset=17):
    draws = {"x": draw} if draw else {}
    return Case(
        op.lower(), "float[N,M] x => float[N,M] y", f"y = {op}(x)", TWO, draw=draws, tolerance=tolerance, opset=opset
    )


def binary(op, kind="float", opset=17, draw=None):
    signature = f"{kind}[N,1,M] x, {kind}[3,M] y => {kind}[N,3,M] z"
    return Case(f"{op.lower()}_{kind}", signature, f"z = {op}(x, y)", TWO, opset=opset, draw=draw or {}, tolerance=1e-6)


def infinite(rng, shape):
    return rng.choice([-np.inf, -1, 1, np.inf], shape)


def nonzero(rng, shape):
    return rng.integers(1, 9, shape)


ELEMENTWISE = [
    *[elementwise(op) for op in ("Abs", "Neg", "Ceil", "Floor", "Round", "Sign", "Relu", "LeakyRelu", "Elu", "Selu")],
    *[elementwise(op, wide) for op in ("Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "HardSigmoid", "HardSwish")],
    *[elementwise(op, positive) for op in ("Sqrt", "Log", "Reciprocal")],
    *[elementwise(op) for op in ("Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh", "Softsign", "ThresholdedRelu")],
    *[elementwise(op, unit) for op in ("Asin", "Acos", "Atanh", "Tan")],
    elementwise("Acosh", lambda rng, shape: positive(rng, shape) + 1),
    elementwise("Gelu", opset=20),
    elementwise("Mish", opset=18),
    *[binary(op) for op in ("Add", "Sub", "Mul", "Div")],
    *[binary(op, "int64") for op in ("Add", "Sub", "Mul")],
    binary("Div", "int32", draw={"y": nonzero}),
    binary("Pow", draw={"x": positive}),
    Case("mod", "int64[N] x, int64[N] y => int64[N] z", "z = Mod(x, y)", SOME, draw={"y": nonzero}),
    Case("fmod", "float[N] x, float[N] y => float[N] z", "z = Mod<fmod=1>(x, y)", SOME),
    Case("where", "bool[N,1] c, float[M] x, float[N,M] y => float[N,M] z", "z = Where(c, x, y)", TWO),
    Case(
        "compare",
        "float[N,M] x, float[M] y => bool[N,M] a, bool[N,M] b",
        "a = Less(x, y); b = GreaterOrEqual(x, y)",
        TWO,
    ),
    Case("logic", "bool[N] x, bool[N] y => bool[N] z", "a = And(x, y); b = Xor(a, y); z = Not(b)", SOME),
    Case("clip", "float[N] x, float low => float[N] y", "y = Clip(x, low)", SOME, draw={"low": lambda *_: -0.5}),
    Case("clip_unbound", "float[N] x => float[N] y", "y = Clip(x)", SOME, draw={"x": infinite}),
    Case("clip_6", "float[N] x => float[N] y", "y = Clip<max=0.5>(x)", SOME, draw={"x": infinite}, opset=10),
    Case("max_of_three", "float[N] x, float[N] y, float z => float[N] m", "m = Max(x, y, z)", SOME),
    Case("cast_to_int", "float[N] x => int32[N] y", "y = Cast<to=6>(x)", SOME, draw={"x": wide}),
    Case("cast_to_half", "float[N] x => float[N] y", "h = Cast<to=10>(x); y = Cast<to=1>(h)", SOME),
    Case("cast_from_bool", "bool[N] x => float[N] y", "y = Cast<to=1>(x)", SOME),
    Case("isnan", "float[N] x => bool[N] y", "l = Log(x); y = IsNaN(l)", SOME),
    Case("double", "double[N,M] x => double[N,M] y", "e = Exp(x); y = Add(e, x)", TWO, tolerance=1e-12),
    Case("chain", "float[N,M] x => float[N,M] y", "a = Mul(x, x); b = Add(a, x); c = Tanh(b); y = Sub(c, a)", TWO),
]

CONTRACTION = [
    Case(
        "matmul",
        "float[M,K] x, float[K,N] y => float[M,N] z",
        "z = MatMul(x, y)",
        {"M": (1, 7, 64, 0), "K": (16, 33, 64, 5), "N": (32, 1, 65, 8)},
    ),
    Case(
        "matmul_no_terms", "float[M,K] x, float[K,3] y => float[M,3] z", "z = MatMul(x, y)", {"M": (2, 4), "K": (0, 3)}
    ),
    Case(
        "matmul_constant",
        "float[M,64] x => float[M,48] z",
        "z = MatMul(x, w)",
        {"M": (1, 6, 100, 0)},
        weights={"w": (64, 48)},
    ),
    Case(
        "matmul_batched",
        "float[B,M,K] x, float[B,K,8] y => float[B,M,8] z",
        "z = MatMul(x, y)",
        {"B": (1, 3, 0), "M": (5, 1, 2), "K": (16, 7, 4)},
    ),
    Case(
        "matmul_broadcast",
        "float[2,1,M,K] x, float[3,K,N] y => float[2,3,M,N] z",
        "z = MatMul(x, y)",
        {"M": (5, 1), "K": (16, 7), "N": (9, 32)},
    ),
    Case("matmul_vector", "float[K] x, float[K,N] y => float[N] z", "z = MatMul(x, y)", {"K": (16, 7), "N": (9, 32)}),
    Case("matmul_dot", "float[K] x, float[K] y => float z", "z = MatMul(x, y)", {"K": (16, 7, 1)}),
    Case(
        "matmul_double",
        "double[M,K] x, double[K,5] y => double[M,5] z",
        "z = MatMul(x, y)",
        {"M": (3, 8), "K": (16, 7)},
        tolerance=1e-12,
    ),
    Case(
        "gemm",
        "float[M,20] x => float[M,10] y",
        "y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)",
        {"M": (1, 9)},
        weights={"w": (10, 20), "b": (10,)},
    ),
    Case(
        "gemm_gelu",
        "float[M,64] x => float[M,128] y",
        "h = Gemm(x, w, b); s = Constant<value_float=1.41421356>(); d = Div(h, s); e = Erf(d); one = Constant<value_float=1.0>(); "
        "p = Add(e, one); m = Mul(h, p); half = Constant<value_float=0.5>(); y = Mul(m, half)",
        {"M": (1, 9, 70)},
        weights={"w": (64, 128), "b": (128,)},
    ),
]

REDUCTION = [
    *[
        Case(
            f"softmax_axis{axis}",
            "float[N,M,6] x => float[N,M,6] y",
            f"y = Softmax<axis={axis}>(x)",
            {"N": (1, 3, 0), "M": (7, 40, 5)},
            draw={"x": wide},
            tolerance=1e-6,
        )
        for axis in (0, 1, -1)
    ],
    Case("softmax_rows", "float[N,M] x => float[N,M] y", "y = Softmax(x)", TWO, draw={"x": wide}, tolerance=1e-6),
    Case(
        "log_softmax", "float[N,M] x => float[N,M] y", "y = LogSoftmax(x)", {"N": (1, 3), "M": (7, 40)}, tolerance=1e-6
    ),
    *[
        Case(
            f"{op.lower()}_rows",
            "float[N,M] x => float[N] y",
            f"y = {op}<axes=[1], keepdims=0>(x)",
            {"N": (1, 5, 0), "M": (7, 33, 4)},
        )
        for op in (
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSumExp",
            "ReduceSumSquare",
        )
    ],
    Case(
        "reduce_sum_columns",
        "float[N,M] x => float[1,M] y",
        "a = Constant<value_ints=[0]>(); y = ReduceSum(x, a)",
        {"N": (1, 5, 0, 100), "M": (7, 33, 4, 16)},
    ),
    Case(
        "reduce_scalars",
        "float x, int32 i => float a, float b, int32 c, float d, float e",
        "a = ReduceMean<keepdims=0>(x); b = ReduceMax(x); c = ReduceSum<keepdims=0>(i); d = ReduceL2(x);"
        " e = ReduceLogSumExp(x)",
    ),
    Case("reduce_all", "float[N,M] x => float y", "y = ReduceMean<keepdims=0>(x)", {"N": (1, 5), "M": (7, 33)}),
    *[
        Case(
            f"{op.lower()}_{kind}_{last}_{axis}",
            f"{kind}[N,M,7] x => int64[a,b,c] y",
            f"y = {op}<axis={axis}, select_last_index={last}>(x)",
            {"N": (1, 5, 0), "M": (7, 33, 4)},
            draw={} if kind == "float" else {"x": lambda rng, shape: rng.integers(-3, 3, shape)},
        )
        for op in ("ArgMax", "ArgMin")
        for kind in ("float", "int32")
        for last in (0, 1)
        for axis in (1, 2)
    ],
    Case(
        "arg_max_long",
        "float[N,M] x => int64[N,1] y",
        "y = ArgMax<axis=1>(x)",
        {"N": (1, 5), "M": (1000, 64)},
        draw={"x": lambda rng, shape: rng.integers(-9, 9, shape)},
    ),
    Case(
        "arg_max", "float[N,M] x => int64[N] y", "y = ArgMax<axis=1, keepdims=0>(x)", {"N": (1, 5, 0), "M": (7, 33, 4)}
    ),
    Case(
        "top_k",
        "float[N,M] x => float[N,3] v, int64[N,3] i",
        "k = Constant<value_ints=[3]>(); v, i = TopK(x, k)",
        {"N": (1, 5, 0), "M": (7, 33, 4)},
    ),
    Case(
        "cum_sum",
        "float[N,M] x => float[N,M] y",
        "a = Constant<value_int=1>(); y = CumSum(x, a)",
        {"N": (1, 5, 0), "M": (7, 33, 4)},
    ),
    *[
        Case(
            f"cum_sum{name}_axis{axis}",
            "float[N,M,5] x => float[N,M,5] y",
            f"a = Constant<value_int={axis}>(); y = CumSum{attributes}(x, a)",
            {"N": (1, 5, 0, 70), "M": (7, 33, 4, 3)},
        )
        for name, attributes in (("", ""), ("_reverse", "<reverse=1>"), ("_exclusive", "<exclusive=1, reverse=1>"))
        for axis in (0, 1, 2)
    ],
    *[
        Case(
            f"cum_sum_rows_{kind}{reverse}",
            f"{kind}[N,M] x => {kind}[N,M] y",
            f"a = Constant<value_int=1>(); y = CumSum<exclusive=1, reverse={reverse}>(x, a)",
            {"N": (1, 5, 0), "M": (7, 33, 16)},
            tolerance=1e-6,
        )
        for kind in ("float", "double", "int32", "int64")
        for reverse in (0, 1)
    ],
    Case(
        "cum_sum_axis_computed",
        "float[N,M] x, int32 a => float[N,M] y",
        "y = CumSum(x, a)",
        {"N": (1, 5), "M": (7, 33)},
        draw={"a": lambda rng, shape: rng.integers(-2, 2, shape)},
    ),
    *[
        Case(
            f"cum_prod_{exclusive}{reverse}",
            "float[N,M] x => float[N,M] y",
            f"a = Constant<value_int=1>(); y = CumProd<exclusive={exclusive}, reverse={reverse}>(x, a)",
            {"N": (1, 5, 0), "M": (7, 33, 16)},
            opset=26,
            reference="onnx",
        )
        for exclusive in (0, 1)
        for reverse in (0, 1)
    ],
    *[Case(f"det_{size}", f"float[N,{size},{size}] x => float[N] y", "y = Det(x)", SOME) for size in (1, 2, 3, 4)],
    Case(
        "layer_norm",
        "float[N,M,48] x => float[N,M,48] y",
        "y = LayerNormalization(x, s, b)",
        {"N": (1, 3, 0), "M": (7, 2, 5)},
        weights={"s": (48,), "b": (48,)},
    ),
    Case(
        "layer_norm_spelled_out",
        "float[N,M,48] x => float[N,M,48] y",
        "m = ReduceMean<axes=[-1]>(x); d = Sub(x, m); two = Constant<value_float=2.0>(); q = Pow(d, two); "
        "v = ReduceMean<axes=[-1]>(q); e = Constant<value_float=0.00001>(); ve = Add(v, e); r = Sqrt(ve); "
        "n = Div(d, r); ns = Mul(n, s); y = Add(ns, b)",
        {"N": (1, 3), "M": (7, 2)},
        weights={"s": (48,), "b": (48,)},
    ),
    Case(
        "attention_spelled_out",
        "float[N,2,S,16] q, float[N,2,S,16] k, float[N,2,S,16] v => float[N,2,S,16] y",
        "t = Transpose<perm=[0,1,3,2]>(k); a = MatMul(q, t); c = Constant<value_float=0.25>(); s = Mul(a, c); "
        "p = Softmax(s); y = MatMul(p, v)",
        {"N": (1, 2), "S": (5, 40)},
    ),
    Case(
        "attention_masked",
        "float[N,2,S,16] q, float[N,2,S,16] k, float[N,2,S,16] v, float[N,1,1,S] m => float[N,2,S,16] y",
        "t = Transpose<perm=[0,1,3,2]>(k); a = MatMul(q, t); c = Constant<value_float=4.0>(); s = Div(a, c); "
        "sm = Add(s, m); p = Softmax(sm); y = MatMul(p, v)",
        {"N": (1, 2), "S": (5, 40)},
        draw={"m": lambda rng, shape: np.where(rng.random(shape) < 0.3, -1e4, 0.0)},
    ),
]

MOVEMENT = [
    Case("transpose", "float[N,M,3] x => float[3,N,M] y", "y = Transpose<perm=[2,0,1]>(x)", TWO),
    Case(
        "reshape_flatten",
        "float[N,M,3] x => float[N,K] y",
        "s = Constant<value_ints=[0,-1]>(); y = Reshape(x, s)",
        {"N": (1, 4), "M": (7, 16)},
    ),
    Case(
        "reshape_by_shape",
        "float[N,12] x => float[A,B] y",
        "s = Shape(x); z = Constant<value_int=0>(); n = Gather(s, z); o = Constant<value_ints=[0]>(); u = Unsqueeze(n, o); "
        "r = Constant<value_ints=[4,3]>(); t = Concat<axis=0>(u, r); y3 = Reshape(x, t); m = Constant<value_ints=[-1,3]>(); "
        "y = Reshape(y3, m)",
        {"N": (1, 4, 0)},
    ),
    Case("concat", "float[N,2] x, float[M,2] y => float[K,2] z", "z = Concat<axis=0>(x, y)", TWO),
    Case(
        "slice",
        "float[N,M] x => float[A,B] y",
        "s = Constant<value_ints=[1,-1]>(); e = Constant<value_ints=[1000,-1000]>(); a = Constant<value_ints=[0,1]>(); "
        "p = Constant<value_ints=[2,-1]>(); y = Slice(x, s, e, a, p)",
        {"N": (1, 5, 8), "M": (7, 16, 3)},
    ),
    Case(
        "split",
        "float[N,6] x => float[N,2] a, float[N,4] b",
        "s = Constant<value_ints=[2,4]>(); a, b = Split<axis=1>(x, s)",
        SOME,
    ),
    Case("expand", "float[N,1] x => float[N,5] y", "s = Constant<value_ints=[1,5]>(); y = Expand(x, s)", SOME),
    Case("tile", "float[N,2] x => float[A,6] y", "r = Constant<value_ints=[2,3]>(); y = Tile(x, r)", SOME),
    Case(
        "pad",
        "float[N,M] x => float[A,B] y",
        "p = Constant<value_ints=[1,0,2,3]>(); v = Constant<value_float=2.5>(); y = Pad(x, p, v)",
        TWO,
    ),
    Case(
        "pad_reflect",
        "float[N,M] x => float[A,B] y",
        'p = Constant<value_ints=[0,2,0,1]>(); y = Pad<mode="reflect">(x, p)',
        {"N": (1, 5), "M": (7, 16)},
    ),
    Case(
        "gather_rows",
        "int64[N] i => float[N,8] y",
        "y = Gather(w, i)",
        SOME,
        weights={"w": (20, 8)},
        draw={"i": indices(20)},
    ),
    Case(
        "gather_elements",
        "float[N,6] x, int64[N,2] i => float[N,2] y",
        "y = GatherElements<axis=1>(x, i)",
        SOME,
        draw={"i": indices(6)},
    ),
    Case(
        "gather_nd",
        "int64[N,2] i => float[N] y",
        "y = GatherND(w, i)",
        SOME,
        weights={"w": (4, 4)},
        draw={"i": indices(4)},
    ),
    Case(
        "scatter_nd",
        "float[8,2] x, int64[3,1] i, float[3,2] u => float[8,2] y",
        "y = ScatterND(x, i, u)",
        draw={"i": lambda rng, shape: rng.permutation(8)[:3].reshape(shape)},
    ),
    Case(
        "scatter_elements",
        "float[N,6] x, int64[N,2] i, float[N,2] u => float[N,6] y",
        'y = ScatterElements<axis=1, reduction="add">(x, i, u)',
        SOME,
        opset=18,
        draw={"i": indices(6)},
    ),
    Case(
        "arange_of_shape",
        "float[N,M] x => int64[K] y",
        "s = Shape(x); i = Constant<value_int=1>(); m = Gather(s, i); a = Constant<value_int=0>(); y = Range(a, m, i)",
        TWO,
    ),
    Case(
        "one_hot",
        "int64[N] i => float[N,5] y",
        "d = Constant<value_int=5>(); v = Constant<value_floats=[0.0,1.0]>(); y = OneHot(i, d, v)",
        SOME,
        draw={"i": indices(5)},
    ),
    Case("triangle", "float[N,M] x => float[N,M] y", "y = Trilu<upper=0>(x)", TWO),
    *[
        Case(
            f"triangle_computed_{upper}",
            "float[N,M] x, int64 k => float[N,M] y",
            f"y = Trilu<upper={upper}>(x, k)",
            TWO,
            draw={"k": lambda rng, shape: rng.integers(-4, 5, shape)},
        )
        for upper in (0, 1)
    ],
    *[
        Case(
            f"tensor_scatter_{mode}",
            "float[N,2,9,M] c, float[N,2,3,M] u, int64[N] i => float[N,2,9,M] y",
            f'y = TensorScatter<mode="{mode}">(c, u, i)',
            {"N": (1, 3), "M": (7, 16)},
            draw={"i": lambda rng, shape, last=last: rng.integers(0, last + 1, shape)},
            opset=24,
            reference="onnx",
        )
        for mode, last in (("linear", 6), ("circular", 8))
    ],
    *[
        Case(
            f"bit_cast_{kind}_{to}",
            f"{kind}[N] x => {target}[N] y",
            f"y = BitCast<to={to}>(x)",
            SOME,
            opset=26,
            reference="onnx",
        )
        for kind, target, to in (
            ("float", "int32", 6),
            ("float16", "uint16", 4),
            ("int64", "double", 11),
            ("uint8", "int8", 3),
            ("bool", "uint8", 2),
        )
    ],
    Case(
        "squeeze_unsqueeze",
        "float[N,1,M] x => float[1,N,M] y",
        "a = Constant<value_ints=[1]>(); s = Squeeze(x, a); b = Constant<value_ints=[0]>(); y = Unsqueeze(s, b)",
        TWO,
    ),
    Case("space_to_depth", "float[N,2,4,6] x => float[N,8,2,3] y", "y = SpaceToDepth<blocksize=2>(x)", SOME),
    Case("depth_to_space", "float[N,8,2,3] x => float[N,2,4,6] y", "y = DepthToSpace<blocksize=2>(x)", SOME),
    Case(
        "constant_of_shape", "float[N,M] x => float[N,M] y", "s = Shape(x); c = ConstantOfShape(s); y = Add(c, x)", TWO
    ),
    Case(
        "constant_result",
        "float[N] x => float[2] y, float[N] z",
        "y = Constant<value_floats=[1.0,2.0]>(); z = Neg(x)",
        SOME,
    ),
    Case("input_is_result", "float[N] x => float[N] y", "y = Identity(x)", SOME),
    Case("result_twice", "float[N] x => float[N] y, float[N] z", "y = Relu(x); z = Identity(y)", SOME),
    Case(
        "quantize_dequantize",
        "float[N,M] x => float[N,M] y",
        "q = QuantizeLinear(x, s, z); y = DequantizeLinear(q, s, z)",
        TWO,
        weights={"s": np.array(0.05, np.float32), "z": np.array(3, np.uint8)},
    ),
    # The quotient is a number of the scale's type, which has few of them: with 16 bits the result shows it.
    *[
        Case(
            f"quantize_quotient{name}",
            f"{kind}[N,M] x => uint16[N,M] y",
            f"y = QuantizeLinear{precision}(x, s, z)",
            TWO,
            weights={"s": np.array(0.75, scale), "z": np.array(19, np.uint16)},
            draw={"x": lambda rng, shape: rng.uniform(0, 3e4, shape)},
            opset=23,
            reference=reference,
        )
        for name, kind, scale, precision, reference in (
            ("_half", "float16", np.float16, "", "onnx"),
            ("_single_of_half", "float16", np.float16, "<precision=1>", "onnxruntime"),
            ("_half_of_single", "float", np.float32, "<precision=10>", "onnxruntime"),
        )
    ],
]

CASES = ELEMENTWISE + CONTRACTION + REDUCTION + MOVEMENT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_agrees_with_reference(case, tmp_path):
    check_case(case, str(tmp_path))


@pytest.mark.parametrize("k", (2**63 - 1, 2**62, -(2**63)))
@pytest.mark.parametrize("upper", (0, 1))
def test_diagonals_past_every_corner(k, upper, tmp_path):
    program = compile_text(
        str(tmp_path),
        "float[N,M] x => float[N,M] y",
        f"k = Constant<value=int64 {{{k}}}>(); y = Trilu<upper={upper}>(x, k)",
    )
    x = np.ones((3, 5), np.float32)
    result = run_program(program, {"x": x}, str(tmp_path / "results"))
    assert result.code == 0, result.stderr
    keeps_all = (k < 0) == bool(upper)
    np.testing.assert_array_equal(np.load(tmp_path / "results" / "y.npy"), x if keeps_all else 0 * x)
