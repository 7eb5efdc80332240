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

IMAGE = {"N": (1, 2), "H": (8, 13), "W": (9, 20)}


def conv(name, channels, filters, attributes, group=1, kernel=(3, 3), sizes=None, tail="", shape="N,{c},H,W"):
    signature = f"float[{shape.format(c=channels)}] x => float[a,b,c,d] y"
    if len(kernel) == 1:
        signature = signature.replace("[a,b,c,d]", "[a,b,c]")
    body = f"c0 = Conv<{attributes}>(x, w, b); " + (tail or "y = Identity(c0)")
    weights = {"w": (filters, channels // group, *kernel), "b": (filters,)}
    return Case(name, signature, body, sizes or IMAGE, weights=weights, tolerance=3e-5)


CONVOLUTION = [
    # Strides that divide the kernel and do not, that are longer than it, groups, cropped ends, sizes that the run knows.
    *(
        Case(
            f"conv_transpose_{name}",
            f"float[N,{c},{dims}] x => float[{out}] y",
            f"y = ConvTranspose<{attributes}>(x, w{', b' if bias else ''})",
            {"N": (2, 1, 3), "L": (5, 9, 1), "M": (4, 1, 6)},
            {"w": shape, **({"b": (shape[1] * group,)} if bias else {})},
        )
        for name, c, dims, out, attributes, shape, group, bias in (
            ("s2_k4", 6, "L,M", "a,b,c,d", "strides=[2,2], pads=[1,1,1,1]", (6, 5, 4, 4), 1, True),
            (
                "s2_k3",
                6,
                "L,M",
                "a,b,c,d",
                "strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]",
                (6, 5, 3, 3),
                1,
                False,
            ),
            ("s3_k2", 4, "L,M", "a,b,c,d", "strides=[3,3]", (4, 3, 2, 2), 1, True),
            (
                "s3_k2_output_padding",
                4,
                "L,M",
                "a,b,c,d",
                "strides=[3,3], output_padding=[2,1]",
                (4, 3, 2, 2),
                1,
                False,
            ),
            ("uneven", 4, "L,M", "a,b,c,d", "strides=[3,2], pads=[0,1,2,0]", (4, 7, 5, 3), 1, False),
            ("s1", 4, "L,M", "a,b,c,d", "pads=[1,0,1,2]", (4, 7, 3, 3), 1, True),
            ("groups", 8, "L,M", "a,b,c,d", "strides=[2,2], group=4", (8, 3, 4, 3), 4, True),
            ("1d", 12, "L", "a,b,c", "strides=[8], pads=[4,4]", (12, 5, 16), 1, True),
            ("1d_one_output", 12, "L", "a,b,c", "strides=[4]", (12, 1, 16), 1, False),
            ("3d", 3, "2,L,M", "a,b,c,d,e", "strides=[1,2,2]", (3, 4, 2, 2, 3), 1, True),
            ("channel_a_group", 4, "L,M", "a,b,c,d", "strides=[2,2], group=4", (4, 2, 4, 4), 4, False),
            ("dilated", 4, "L,M", "a,b,c,d", "strides=[2,2], dilations=[2,1]", (4, 3, 3, 3), 1, False),
        )
    ),
    # Negative numbers become -0, which relu would make 0.
    Case(
        "max_with_minus_zero",
        "float[N] x => bool[N] y",
        "m = Max(x, z); r = Reciprocal(m); y = Less(r, x)",
        {"N": (9, 33)},
        {"z": np.array(-0.0, np.float32)},
    ),
    # Packed weights of few elements, all equal: still memory, and no number in the kernel.
    *(
        Case(
            f"zero_weights_{name}",
            f"{x} x => {y} y",
            body,
            {"N": (3, 1), "L": (7, 4)},
            {"w": np.zeros(shape, np.float32)},
        )
        for name, x, y, body, shape in (
            ("conv", "float[N,2,L]", "float[N,1,M]", "y = Conv<strides=[2]>(x, w)", (1, 2, 1)),
            ("conv_3x3", "float[N,1,L,5]", "float[N,1,M,3]", "y = Conv(x, w)", (1, 1, 3, 3)),
            (
                "conv_transpose",
                "float[N,1,L,5]",
                "float[N,1,M,10]",
                "y = ConvTranspose<strides=[2,2]>(x, w)",
                (1, 1, 2, 2),
            ),
            ("depthwise", "float[N,2,L,5]", "float[N,2,M,3]", "y = Conv<group=2>(x, w)", (2, 1, 3, 3)),
            ("matmul", "float[N,L,2]", "float[N,L,1]", "y = MatMul(x, w)", (2, 1)),
            (
                "lstm",
                "float[L,N,4]",
                "float[L,1,N,1]",
                "a = Constant<value_ints=[2]>(); r = ReduceSum(w, a); y = LSTM<hidden_size=1>(x, w, r)",
                (1, 4, 4),
            ),
        )
    ),
    conv("conv_3x3", 5, 7, "kernel_shape=[3,3], pads=[1,1,1,1]"),
    conv("conv_3x3_wide", 64, 64, "kernel_shape=[3,3], pads=[1,1,1,1]"),
    conv("conv_3x3_wide_tails", 70, 100, "kernel_shape=[3,3], pads=[1,1,1,1]", tail="y = Relu(c0)"),
    conv("conv_3x3_wide_uneven_pads", 64, 96, "kernel_shape=[3,3], pads=[0,2,1,0]"),
    conv("conv_3x3_wide_large", 128, 64, "kernel_shape=[3,3]", sizes={"N": (1, 3), "H": (31, 6), "W": (47, 3)}),
    conv("conv_3x3_wide_residual", 64, 64, "kernel_shape=[3,3], pads=[1,1,1,1]", tail="r = Add(c0, x); y = Relu(r)"),
    conv(
        "conv_3x3_wide_producer",
        64,
        64,
        "kernel_shape=[3,3], pads=[1,1,1,1]",
        tail="s = Sigmoid(c0); m = Mul(c0, s); y = Conv<kernel_shape=[3,3]>(m, w, b)",
    ),
    conv("conv_3x3_wide_7x7", 96, 64, "kernel_shape=[3,3], pads=[1,1,1,1]", shape="N,{c},7,7", sizes={"N": (1, 0, 5)}),
    conv("conv_3x3_wide_14x14", 64, 160, "kernel_shape=[3,3], pads=[1,1,1,1]", shape="1,{c},14,14", sizes={"Q": (1,)}),
    conv("conv_49_rows", 40, 70, "kernel_shape=[1,1]", kernel=(1, 1), shape="1,{c},7,7", sizes={"Q": (1,)}),
    conv("conv_1x1", 24, 40, "kernel_shape=[1,1]", kernel=(1, 1)),
    conv("conv_1x1_strided", 16, 32, "kernel_shape=[1,1], strides=[2,2]", kernel=(1, 1)),
    conv("conv_strided", 3, 16, "kernel_shape=[7,7], strides=[2,2], pads=[3,3,3,3]", kernel=(7, 7)),
    conv("conv_uneven_pads", 4, 6, "kernel_shape=[3,2], strides=[2,1], pads=[0,1,2,0]", kernel=(3, 2)),
    conv("conv_dilated", 4, 6, "kernel_shape=[3,3], dilations=[2,2], pads=[2,2,2,2]"),
    conv("conv_depthwise", 20, 20, "kernel_shape=[3,3], pads=[1,1,1,1], group=20", group=20),
    conv("conv_depthwise_strided", 32, 32, "kernel_shape=[5,5], pads=[2,2,2,2], strides=[2,2], group=32", 32, (5, 5)),
    conv("conv_depthwise_multiplied", 8, 16, "kernel_shape=[3,3], group=8", group=8),
    conv("conv_grouped", 12, 8, "kernel_shape=[3,3], pads=[1,1,1,1], group=4", group=4),
    conv("conv_same_upper", 4, 4, 'kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER"'),
    conv("conv_relu_add", 16, 16, "kernel_shape=[3,3], pads=[1,1,1,1]", tail="r = Relu(c0); y = Add(r, x)"),
    conv("conv_hardswish", 16, 24, "kernel_shape=[1,1]", kernel=(1, 1), tail="y = HardSwish(c0)"),
    conv("conv_static", 8, 16, "kernel_shape=[3,3], pads=[1,1,1,1]", shape="1,{c},14,14", sizes={"Q": (1,)}),
    conv("conv_no_batch", 4, 6, "kernel_shape=[3,3], pads=[1,1,1,1]", sizes={"N": (0, 1), "H": (5,), "W": (6,)}),
    conv("conv_1d", 6, 10, "kernel_shape=[5], pads=[2,2]", kernel=(5,), shape="N,{c},W"),
    Case(
        "conv_3d",
        "float[N,3,5,H,W] x => float[a,b,c,d,e] y",
        "y = Conv<kernel_shape=[3,3,3]>(x, w)",
        IMAGE,
        weights={"w": (4, 3, 3, 3, 3)},
    ),
    Case(
        "conv_transpose",
        "float[N,6,H,W] x => float[a,b,c,d] y",
        "y = ConvTranspose<kernel_shape=[2,2], strides=[2,2]>(x, w, b)",
        IMAGE,
        weights={"w": (6, 4, 2, 2), "b": (4,)},
    ),
    Case(
        "conv_transpose_overlapping",
        "float[N,6,H,W] x => float[a,b,c,d] y",
        "y = ConvTranspose<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(x, w)",
        IMAGE,
        weights={"w": (6, 4, 3, 3)},
    ),
    Case(
        "max_pool",
        "float[N,5,H,W] x => float[a,b,c,d] y",
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)",
        IMAGE,
    ),
    Case(
        "max_pool_ceil",
        "float[N,5,H,W] x => float[a,b,c,d] y",
        "y = MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(x)",
        IMAGE,
    ),
    Case(
        "average_pool",
        "float[N,5,H,W] x => float[a,b,c,d] y",
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)",
        IMAGE,
    ),
    Case(
        "average_pool_padded",
        "float[N,5,H,W] x => float[a,b,c,d] y",
        "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)",
        IMAGE,
    ),
    Case("global_average_pool", "float[N,17,H,W] x => float[N,17,1,1] y", "y = GlobalAveragePool(x)", IMAGE),
    Case(
        "batch_norm",
        "float[N,9,H,W] x => float[N,9,H,W] y",
        "y = BatchNormalization(x, s, b, m, v)",
        IMAGE,
        weights={"s": (9,), "b": (9,), "m": (9,), "v": np.linspace(0.5, 2, 9, dtype=np.float32)},
    ),
    # What another part of the result needs no element of: its size may be 0.
    *[
        Case(
            f"nothing_within_{name}",
            "float[A] x, float[B] z => float[C] y",
            body,
            {"A": (2, 0, 0), "B": (3, 3, 0)},
            reference="onnx",
            weights={
                "two": np.array([2]),
                "pads": np.array([1, 2]),
                "none": np.array([0, 0]),
                "k": np.array([0]),
                "minus": np.array([-1]),
            },
        )
        for name, body in (
            ("tile_concat", "t = Tile(x, two); y = Concat<axis=0>(t, z)"),
            ("tile_concat_relu", "t = Tile(x, two); c = Concat<axis=0>(t, z); y = Relu(c)"),
            ("tile_pad", "t = Tile(x, two); p = Pad(t, pads); y = Concat<axis=0>(p, z)"),
            ("wrap_concat", 't = Pad<mode="wrap">(x, none); y = Concat<axis=0>(t, z)'),
            (
                "matrix_concat",
                "u = Unsqueeze(x, k); m = Concat<axis=0>(u, u); t = Transpose(m); f = Reshape(t, minus); y = Concat<axis=0>(f, z)",
            ),
        )
    ],
    # Factors that cannot be folded into the weights: the product is no number of their type, or has few bits.
    *[
        Case(
            f"conv_scaled_{name}",
            f"{kind}[N,2,H,W] x => {kind}[N,2,H,W] y",
            f"c = Conv(x, w); y = {op}(c, k)",
            IMAGE,
            reference="onnx",  # ONNX Runtime folds, too
            tolerance=3e-3 if scalar == np.float16 else 1e-5,
            draw={"x": lambda rng, shape, size=size: size * rng.uniform(0.5, 1, shape)},
            weights={
                "w": np.array([[weight, weight / 2], [-weight, weight / 4]], scalar).reshape(2, 2, 1, 1),
                "k": np.array(factor, scalar),
            },
        )
        for name, kind, scalar, op, size, weight, factor in (
            ("half_overflow", "float16", np.float16, "Mul", 1e-3, 200, 500),
            ("half_underflow", "float16", np.float16, "Mul", 3e4, 0.013, 2e-6),
            ("single_overflow", "float", np.float32, "Mul", 1e-20, 1e20, 1e20),
            ("by_infinity", "float", np.float32, "Mul", 1, 1, np.inf),
            ("divided_by_zero", "float", np.float32, "Div", 1, 1, 0),
        )
    ],
    *[
        Case(
            f"batch_norm_{name}",
            f"{kind}[N,2,H,W] x => {kind}[N,2,H,W] y",
            body,
            IMAGE,
            reference="onnx",
            tolerance=3e-3 if kind == "float16" else 1e-4,
            draw={"x": lambda rng, shape, size=size: size * rng.uniform(0.99, 1, shape)},
            weights={
                "w": np.array([[300, 0], [0, 300]], scalar).reshape(2, 2, 1, 1),
                "s": np.array([2, -3], scalar),
                "b": np.array([1, 0], scalar),
                "m": np.array([mean, mean], scalar),
                "v": np.array([variance, variance], scalar),
            },
        )
        for name, kind, scalar, body, size, mean, variance in (
            (
                "small_variance",
                "float16",
                np.float16,
                "c = Conv(x, w); y = BatchNormalization(c, s, b, m, v)",
                1e-3,
                0.25,
                1e-6,
            ),
            ("large_mean", "float16", np.float16, "y = BatchNormalization(x, s, b, m, v)", 1000, 995, 1),
            ("large_offset", "float16", np.float16, "y = BatchNormalization(x, s, b, m, v)", 1000, 995, 1e-3),
            ("many_deviations", "float", np.float32, "y = BatchNormalization(x, s, b, m, v)", 1e4, 9950, 1e-6),
        )
    ],
    Case(
        "squeeze_excite",
        "float[N,16,H,W] x => float[N,16,H,W] y",
        "c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w); p = GlobalAveragePool(c); d = Conv(p, v); r = Relu(d); "
        "u = Conv(r, z); s = Sigmoid(u); y = Mul(c, s)",
        IMAGE,
        tolerance=3e-5,
        weights={"w": (16, 16, 3, 3), "v": (4, 16, 1, 1), "z": (16, 4, 1, 1)},
    ),
    Case(
        "resize_nearest",
        "float[N,3,H,W] x => float[a,b,c,d] y",
        'r = Constant<value_floats=[1.0,1.0,2.0,2.0]>(); y = Resize<mode="nearest", nearest_mode="floor", '
        'coordinate_transformation_mode="asymmetric">(x, , r)',
        IMAGE,
    ),
    Case(
        "resize_linear",
        "float[N,3,H,W] x => float[a,b,c,d] y",
        'r = Constant<value_floats=[1.0,1.0,1.5,2.0]>(); y = Resize<mode="linear">(x, , r)',
        IMAGE,
    ),
    # Scales whose products with a size f32 rounds: 10 * 0.7f is 7, and 5 * 0.6f too is 3.
    Case(
        "resize_by_scales_that_are_no_fractions",
        "float[N,1,H,W] x => float[a,b,c,d] y",
        'r = Constant<value_floats=[1.0,1.0,0.7,0.6]>(); y = Resize<mode="linear">(x, , r)',
        {"N": (1, 2), "H": (10, 20, 37), "W": (5, 10, 23)},
        tolerance=1e-4,
    ),
    # Every pixel is right: truncated where interpolated, rounded and saturated by each pass of antialiasing (where no half
    # comes out, which ONNX Runtime's weights of 22 bits decide).
    *[
        Case(
            f"resize_{kind}_{name}",
            f"{kind}[1,1,H,W] x => {kind}[a,b,c,d] y",
            f"r = Constant<value_floats=[1.0,1.0,{scales}]>(); y = Resize<{attributes}>(x, , r)",
            {"H": (12, 9, 30), "W": (10, 17, 8)},
            draw={"x": lambda rng, shape, most=most: rng.integers(0, 2, shape) * most},
            opset=18,
            tolerance=0,
        )
        for kind, most in (("uint8", 255), ("int8", 127))
        for name, attributes, scales in (
            ("linear", 'mode="linear"', "0.6,1.7"),
            ("linear_one_axis", 'mode="linear"', "1.0,2.3"),
            ("antialias_linear", 'mode="linear", antialias=1', "0.37,0.53"),
            ("antialias_cubic", 'mode="cubic", antialias=1, cubic_coeff_a=-0.5', "0.6,1.7"),
        )
        if (kind, name) != ("int8", "antialias_cubic")  # where ONNX Runtime wraps around
    ],
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

CASES = ELEMENTWISE + CONTRACTION + CONVOLUTION + REDUCTION + MOVEMENT


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
