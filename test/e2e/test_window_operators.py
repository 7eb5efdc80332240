"""Convolutions, pools and resizing against a reference, each at several sizes."""

import numpy as np
import pytest
from harness import Case, check_case

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
    # Channels last, as many as only the weights say.
    *[
        Case(
            f"channels_of_weights_{name}",
            "float[N,H,W,C] x => float[a,b,c,d] y",
            f"t = Transpose<perm=[0,3,1,2]>(x); v = Mul(s, s); {body}; y = Transpose<perm=[0,2,3,1]>(q)",
            {"N": (1, 2), "H": (5,), "W": (6,), "C": (3,)},
            weights={"s": (3,), "w1": (3, 1, 2, 2), "w3": (4, 3, 2, 2), "k": (3, 1, 1)},
            tolerance=1e-5,
        )
        for name, body in (
            ("batch_norm", "q = BatchNormalization(t, s, s, s, v)"),
            ("pool", "p = MaxPool<kernel_shape=[2,2]>(t); q = BatchNormalization(p, s, s, s, v)"),
            ("mean", "p = GlobalAveragePool(t); q = BatchNormalization(p, s, s, s, v)"),
            ("depthwise", "q = Conv<group=3>(t, w1)"),
            ("conv", "q = Conv(t, w3)"),
            ("prelu", "q = PRelu(t, k)"),
            ("mul", "q = Mul(t, k)"),
        )
    ],
]


@pytest.mark.parametrize("case", CONVOLUTION, ids=lambda case: case.name)
def test_agrees_with_reference(case, tmp_path):
    check_case(case, str(tmp_path))
