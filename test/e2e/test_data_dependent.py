"""Operators whose sizes the model's own data decide: what they say is read while the model runs."""

import numpy as np
import pytest
from harness import Case, check_case, filled, lists

DATA_DEPENDENT = [
    Case(
        "reshape_by_input",
        "float[N,12] x, int64[3] s => float[a,b,c] y",
        "e = Exp(x); r = Reshape(e, s); y = Add(r, r)",
        {"N": (1, 5, 2, 0)},
        draw={"s": lists([3, -1, 2], [-1, 5, 4], [0, 3, 4], [0, 6, 2])},
    ),
    Case(
        "view_by_input",
        "float[N,12] x, int64[2] s => float[a,b] y, float[N,12] z",
        "z = Relu(x); y = Reshape(z, s)",
        {"N": (1, 5, 0)},
        draw={"s": lists([3, -1], [-1, 5], [0, 6])},
    ),
    Case(
        "view_alone_by_input",
        "float[N,12] x, int64[2] s => float[a,b] y",
        "z = Relu(x); y = Reshape(z, s)",
        {"N": (1, 5, 0)},
        draw={"s": lists([3, -1], [-1, 5], [0, 6])},
    ),
    Case(
        "expand_then_reduce",
        "float[N,1] x, int64[2] s => float[a] y",
        "e = Expand(x, s); y = ReduceSum(e, axes)",
        {"N": (3, 1, 4)},
        draw={"s": lists([3, 7], [6, 5], [1, 0])},
        weights={"axes": np.array([1])},
    ),
    Case(
        "slice_by_input",
        "float[N,9] x, int64[2] b, int64[2] e, int64[2] a, int64[2] s => float[p,q] y",
        "t = Slice(x, b, e, a, s); y = Neg(t)",
        {"N": (8, 8, 8, 5, 0)},
        draw={
            "b": lists([1, 2], [-1, -2], [0, 100], [3, 0], [0, 0]),
            "e": lists([6, 9], [-100, 0], [100, -100], [2, 9], [5, 5]),
            "a": lists([0, 1], [0, 1], [1, 0], [0, -1], [0, 1]),
            "s": lists([1, 3], [-2, -1], [2, -1], [1, 4], [1, 1]),
        },
    ),
    # Steps and distances as large as they get.
    Case(
        "slice_by_huge_steps",
        "float[N] x, int64[1] b, int64[1] e, int64[1] s => float[p] y",
        "t = Slice(x, b, e, zero, s); y = Neg(t)",
        {"N": (5,) * 6},
        draw={
            "b": lists([0], [0], [1], [-1], [-1], [2]),
            "e": lists([9], [2**63 - 1], [5], [-(2**63)], [-99], [2]),
            "s": lists([2**63 - 1], [2**63 - 2], [2**62], [-(2**63) + 1], [-(2**62)], [2**63 - 1]),
        },
        weights={"zero": np.array([0])},
    ),
    Case(
        "range_by_huge_steps",
        "int64 b, int64 e, int64 s => int64[p] y",
        "t = Range(b, e, s); y = Neg(t)",
        {"unused": (1,) * 4},
        draw={
            "b": lists(0, 0, 5, 7),
            "e": lists(10, 2**63 - 1, -(2**62), 7),
            "s": lists(2**63 - 1, 2**62, -(2**61), 2**63 - 1),
        },
    ),
    # The axes say how long the other lists are.
    Case(
        "slice_by_lists_of_any_length",
        "float[N,9] x, int64[k] b, int64[k] e => float[p,q] y",
        "t = Slice(x, b, e, a); y = Neg(t)",
        {"N": (8, 5), "k": (2, 2)},
        draw={"b": lists([1, 2], [-1, -2]), "e": lists([6, 9], [100, 5])},
        weights={"a": np.array([1, 0])},
    ),
    Case(
        "crop_by_list_of_any_length",
        "float[N,9] x, int64[k] s => float[p,q] y",
        "t = CenterCropPad<axes=[1]>(x, s); y = Neg(t)",
        {"N": (8, 5), "k": (1, 1)},
        draw={"s": lists([4], [12])},
        opset=18,
    ),
    # What the operator after a slice says of sizes is read from the slice.
    Case(
        "unsqueeze_of_slice_by_input",
        "float[N] x, int64[1] b, int64[1] e => float[p,q] y, int64[r,s] z, float[t] u",
        "v = Slice(x, b, e); y = Unsqueeze(v, zero); z = NonZero(v); u, i, w, c = Unique(v)",
        {"N": (8, 5, 3, 0)},
        draw={"b": lists([1], [-3], [0], [0]), "e": lists([6], [100], [0], [5])},
        weights={"zero": np.array([0])},
    ),
    Case(
        "flatten_of_tile_by_input",
        "float[N,3] x, int64[2] r, bool[N] c => float[a,b] y, float[d,e] z",
        "t = Tile(x, r); f = Flatten(t); y = Concat<axis=1>(f, f); z = Compress<axis=0>(t, c)",
        {"N": (2, 5, 1)},
        draw={"r": lists([2, 3], [1, 1], [3, 0])},
    ),
    Case(
        "regions_by_input",
        "float[1,2,N,N] x, float[1,4] box, int64[2] n, int64[B] i => float[a,b,c,d] y",
        "r = Expand(box, n); y = RoiAlign<output_height=2, output_width=3, sampling_ratio=2>(x, r, i)",
        {"N": (6, 9, 4), "B": (3, 1, 0)},
        draw={"n": lists([3, 4], [1, 1], [0, 4]), "i": filled(0, 0, 0), "box": lists(np.float32([[0.5, 0.5, 3, 3]]))},
    ),
    Case(
        "backwards_of_nothing",
        "float[N] x => float[a] y, float[b] z, float[c] u",
        "y = Slice(x, last, below, zero, two); z = Slice(x, last, far, zero, two); u = Slice(x, third, far, zero, two)",
        {"N": (0, 1, 2, 5)},
        weights={
            "last": np.array([-1]),
            "third": np.array([2]),
            "below": np.array([-2]),
            "far": np.array([-100]),
            "zero": np.array([0]),
            "two": np.array([-2]),
        },
    ),
    Case(
        "unique_slices_of_nothing",
        "float[N,M] x => float[a,b] y, int64[c] i, int64[d] j, int64[e] n",
        "y, i, j, n = Unique<axis=1>(x)",
        {"N": (0, 0, 0, 3), "M": (1, 4, 0, 2)},
    ),
    Case(
        "pad_by_input",
        "float[N,4] x, int64[4] p => float[a,b] y",
        "y = Pad(x, p)",
        {"N": (3, 5, 2)},
        draw={"p": lists([1, 2, 0, 3], [-1, 0, 2, -2], [0, 0, 0, 0])},
    ),
    Case(
        "tile_by_input",
        "float[N,3] x, int64[2] r => float[a,b] y",
        "y = Tile(x, r)",
        {"N": (2, 5, 1)},
        draw={"r": lists([2, 3], [1, 1], [0, 4])},
    ),
    Case(
        "range_by_inputs",
        "int64 b, int64 e, int64 d => int64[n] y",
        "r = Range(b, e, d); y = Add(r, r)",
        {"Q": (1, 1, 1, 1, 1)},
        draw={"b": lists(0, 5, 10, 3, 3), "e": lists(10, -6, 0, 3, 9), "d": lists(3, -4, -5, 2, -1)},
    ),
    Case(
        "range_of_floats",
        "float b, float e, float d => float[n] y",
        "y = Range(b, e, d)",
        {"Q": (1, 1, 1)},
        draw={
            "b": lists(np.float32(0), np.float32(2.5), np.float32(1)),
            "e": lists(np.float32(1), np.float32(-1), np.float32(0)),
            "d": lists(np.float32(0.3), np.float32(-0.5), np.float32(1)),
        },
    ),
    Case(
        "reduce_axes_by_input",
        "float[N,3,M] x, int64[2] a => float[p,q,r] y, float[t] z",
        "y = ReduceSum(x, a); z = ReduceL2<keepdims=0>(x, a)",
        {"N": (2, 4, 0), "M": (5, 1, 3)},
        draw={"a": lists([0, 2], [-1, 1], [1, 0])},
        opset=18,
        tolerance=1e-5,
    ),
    Case(
        "squeeze_unsqueeze_by_input",
        "float[N,1,3,1] x, int64[2] a, int64[2] b => float[p,q] y, float[c,d,e,f,g,h] z",
        "s = Squeeze(x, a); y = Neg(s); z = Unsqueeze(x, b)",
        {"N": (2, 5, 0)},
        draw={"a": lists([1, 3], [-1, 1], [3, 1]), "b": lists([0, 5], [2, 1], [-1, 0])},
    ),
    Case(
        "cumsum_axis_by_input",
        "float[N,4,M] x, int64 a => float[N,4,M] y",
        "y = CumSum<reverse=1>(x, a)",
        {"N": (2, 3, 4), "M": (5, 1, 3)},
        draw={"a": lists(0, -2, 2)},
    ),
    Case(
        "topk_split_onehot_by_input",
        "float[N,8] x, int64[1] k, int64[2] s, int64 d => float[N,b] y, int64[N,b] i, float[N,p] u, float[N,q] v, float[N,b,e] o",
        "y, i = TopK(x, k); u, v = Split<axis=1>(x, s); o = OneHot(i, d, values)",
        {"N": (2, 3, 1)},
        draw={"k": lists([3], [8], [1]), "s": lists([3, 5], [0, 8], [7, 1]), "d": lists(8, 9, 10)},
        weights={"values": np.array([0, 1], np.float32)},
    ),
    Case(
        "resize_sizes_by_input",
        "float[1,2,H,W] x, int64[4] s => float[a,b,c,d] y",
        'y = Resize<mode="linear">(x, , , s)',
        {"H": (4, 5), "W": (6, 3)},
        draw={"s": lists([1, 2, 8, 9], [1, 2, 3, 3])},
    ),
    Case(
        "nonzero",
        "float[N,M] x => int64[2,a] y, float[a] z",
        "c = Constant<value_float=0.5>(); g = Greater(x, c); y = NonZero(g); t = Transpose(y); z = GatherND(x, t)",
        {"N": (3, 1, 40, 0), "M": (5, 7, 30)},
    ),
    Case(
        "nonzero_of_numbers",
        "int64[A,B,C] x => int64[3,a] y",
        "y = NonZero(x)",
        {"A": (2, 3), "B": (4, 1), "C": (3, 5)},
    ),
    Case(
        "compress",
        "float[N,M] x, bool[M] c, bool[K] d => float[N,a] y, float[b] z",
        "y = Compress<axis=1>(x, c); z = Compress(x, d)",
        {"N": (3, 2), "M": (6, 9), "K": (18, 7)},
    ),
    Case(
        "unique",
        "int64[N,M] x => int64[a] y, int64[a] i, int64[b] v, int64[a] c, int64[d] z, int64[d] j, int64[e] w, int64[d] k",
        "y, i, v, c = Unique(x); z, j, w, k = Unique<sorted=0>(x)",
        {"N": (3, 1, 20), "M": (5, 1, 7)},
    ),
    *[
        Case(
            f"unique_axis_{axis}_{order}",
            f"{kind}[N,M,2] x => {kind}[a,b,c] y, int64[d] i, int64[e] v, int64[d] k",
            f"y, i, v, k = Unique<axis={axis}, sorted={order}>(x)",
            {"N": (3, 1, 20, 2), "M": (4, 1, 3, 50)},
            draw={"x": lambda rng, shape: rng.integers(0, 2, shape)},
        )
        for axis, kind in ((0, "float"), (1, "int64"), (-1, "double"))
        for order in (0, 1)
    ],
    *[
        Case(
            f"nms_{name}",
            f"float[B,N,4] b, float[B,C,N] s, int64[1] m, {signature} => int64[K,3] y",
            f"y = NonMaxSuppression{attributes}({arguments})",
            {"B": (1, 2, 1, 3, 1), "C": (1, 3, 80, 0, 2), "N": (37, 300, 20, 5, 0)},
            # Boxes on a grid and scores of few values: equal ones decide the order.
            draw={
                "b": lambda rng, shape: rng.integers(0, 40, shape) / 16,
                "s": lambda rng, shape: rng.integers(-2, 9, shape) / 8,
                "m": lists([1000], [7], [3], [2], [9]),
                "i": filled(0.5, 0.3, 0.0, 1.0, 0.5),
                "t": filled(0.0, 0.25, -0.25, 0.5, 2.0),
            },
        )
        for name, attributes, arguments, signature in (
            ("corners", "", "b, s, m, i, t", "float[1] i, float[1] t"),
            ("centered", "<center_point_box=1>", "b, s, m, i, t", "float i, float t"),
            ("all_scores", "", "b, s, m, i", "float[1] i"),
            ("no_overlap", "", "b, s, m, , t", "float[1] t"),
        )
    ],
    Case(
        "nms_constants",
        "float[1,N,4] b, float[1,2,N] s => int64[K,3] y",
        "m = Constant<value_ints=[9]>(); i = Constant<value_floats=[0.4]>(); y = NonMaxSuppression(b, s, m, i)",
        {"N": (37, 300, 5)},
    ),
    Case(
        "nms_none",
        "float[1,N,4] b, float[1,2,N] s => int64[K,3] y",
        "y = NonMaxSuppression(b, s)",
        {"N": (37, 3)},
    ),
    *[
        Case(
            f"resize_scales_by_input_{name}",
            "float[1,2,H,W] x, float[4] s => float[a,b,c,d] y",
            f"y = Resize<{attributes}>(x, , s)",
            {"H": (4, 5, 7), "W": (6, 3, 8)},
            draw={"s": lists([1, 1, 2, 1.5], [1, 1, 0.6, 3], [1, 1, 1, 0.5])},
            opset=18,
        )
        for name, attributes in (
            ("nearest", 'mode="nearest"'),
            ("linear", 'mode="linear"'),
            ("antialias", 'mode="linear", antialias=1'),
            ("cubic", 'mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1'),
            ("corners", 'mode="linear", coordinate_transformation_mode="align_corners"'),
            ("asymmetric", 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'),
        )
    ],
    Case(
        "resize_ratio_by_input",
        "float[1,2,H,W] x, int64[2] s => float[1,2,c,d] y",
        'y = Resize<axes=[2,3], keep_aspect_ratio_policy="not_larger">(x, , , s)',
        {"H": (4, 5, 7), "W": (6, 3, 8)},
        draw={"s": lists([7, 20], [9, 4], [14, 14])},
        opset=18,
    ),
    Case(
        "resize_region_by_input",
        "float[1,1,H,W] x, float[8] r, int64[4] s => float[a,b,c,d] y",
        'y = Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.0>(x, r, , s)',
        {"H": (4, 5), "W": (6, 3)},
        draw={"r": lists([0, 0, 0.2, 0.4, 1, 1, 0.8, 1.3], [0, 0, 0, -0.5, 1, 1, 1, 1]), "s": lists([1, 1, 5, 7])},
    ),
    Case(
        "pad_axes_by_input",
        "float[N,M,2] x, int64[4] p, int64[2] a => float[n,m,k] y",
        "y = Pad(x, p, , a)",
        {"N": (3, 1), "M": (5, 2)},
        draw={"p": lists([1, 0, 2, 3], [0, -1, 0, 1]), "a": lists([0, 1], [-1, 1])},
        opset=18,
    ),
    Case(
        "reduce_no_axes",
        "float[N,M] x, int64[0] a => float[1,1] y, float[N,M] z",
        "y = ReduceSum(x, a); z = ReduceSum<noop_with_empty_axes=1>(x, a)",
        {"N": (3, 1), "M": (5, 2)},
    ),
    Case(
        "shape_from_data",
        "int64[N] x => float[n] y",
        "m = ReduceMax<keepdims=0>(x); s = Unsqueeze(m, axes); z = ConstantOfShape<value=float[1]{2.5}>(s); y = Exp(z)",
        {"N": (1, 3, 6)},
        draw={"x": lists([4], [1, 0, 2], [0, 0, 0, 0, 0, 0])},
        weights={"axes": np.array([0])},
    ),
]


@pytest.mark.parametrize("case", DATA_DEPENDENT, ids=lambda case: case.name)
def test_agrees_with_reference(case, tmp_path):
    check_case(case, str(tmp_path))
