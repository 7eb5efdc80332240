"""Operators that read images between their pixels, Fourier transforms, and operators that make features."""

import numpy as np
import pytest
from harness import Case, check_case, lists


def around(low, high):
    return lambda rng, shape: rng.uniform(low, high, shape)


def grid_sample(mode, padding, align, shape="H,W"):
    dims = shape.count(",") + 1
    points = ",".join("4567"[:dims])
    attributes = f'mode="{mode}", padding_mode="{padding}", align_corners={align}'
    return Case(
        f"grid_sample_{mode}_{padding}_{align}_{dims}d",
        f"float[N,3,{shape}] x, float[N,{points},{dims}] g => float[N,3,{points}] y",
        f"y = GridSample<{attributes}>(x, g)",
        {"N": (1, 3, 2), "H": (8, 5, 1), "W": (9, 20, 3)},
        draw={"g": around(-1.6, 1.6)},
        opset=20,
    )


def regions(rng, shape):
    low, extent = rng.uniform(-1, 5, (shape[0], 2)), rng.uniform(0.2, 6, (shape[0], 2))
    return np.concatenate([low, low + extent], 1)


def roi_align(mode, coordinates, ratio=2):
    attributes = f'mode="{mode}", coordinate_transformation_mode="{coordinates}", output_height=3, output_width=4'
    return Case(
        f"roi_align_{mode}_{coordinates}_{ratio}",
        "float[N,3,H,W] x, float[R,4] r, int64[R] b => float[R,3,3,4] y",
        f"y = RoiAlign<{attributes}, sampling_ratio={ratio}, spatial_scale=0.8>(x, r, b)",
        {"N": (2, 1), "H": (8, 5), "W": (9, 7), "R": (5, 1)},
        draw={"r": regions, "b": lambda rng, shape: rng.integers(0, 1, shape)},
        opset=16,
    )


def dft(name, channels, body, sizes=None):
    return Case(
        name, f"float[N,S,3,{channels}] x => float[a,b,c,d] y", body, sizes or {"N": (1, 2), "S": (8, 15)}, opset=20
    )


SAMPLING = [
    *[
        grid_sample(mode, padding, align)
        for mode in ("nearest", "linear", "cubic")
        for padding in ("zeros", "border", "reflection")
        for align in (0, 1)
        if (mode, padding, align) != ("cubic", "reflection", 1)  # of a size of 1 ONNX Runtime makes NaN
    ],
    grid_sample("linear", "zeros", 0, "4,H,W"),
    grid_sample("linear", "border", 1, "4,H,W"),
    grid_sample("nearest", "zeros", 0, "4,H,W"),
    *[
        roi_align(mode, half, ratio)
        for mode in ("avg", "max")
        for half in ("half_pixel", "output_half_pixel")
        for ratio in (2, 0)
    ],
    *[
        Case(
            f"deform_conv_{groups}_{offsets}",
            f"float[N,4,H,W] x, float[N,{offsets * 12},6,5] o, float[N,{offsets * 6},6,5] m => float[N,6,6,5] y",
            f"y = DeformConv<kernel_shape=[2,3], strides=[1,2], pads=[0,1,0,1], group={groups}, offset_group={offsets}>"
            "(x, w, o, b, m)",
            {"N": (1, 3), "H": (7, 7), "W": (9, 10)},
            weights={"w": (6, 4 // groups, 2, 3), "b": (6,)},
            opset=19,
            reference="onnx",
        )
        for groups, offsets in ((1, 1), (2, 1), (1, 2), (2, 4))
    ],
    Case(
        "max_unpool",
        "float[N,3,H,W] x => float[a,b,c,d] y",
        "p, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x); y = MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(p, i)",
        {"N": (1, 2), "H": (8, 4), "W": (6, 10)},
    ),
    # Windows of nothing but the least value have a place of their maximum too.
    *[
        Case(
            f"max_pool_places_{kind}{order}",
            f"{kind}[N,3,H,W] x => {kind}[a,b,c,d] y, int64[a,b,c,d] i",
            f"y, i = MaxPool<kernel_shape=[2,3], strides=[2,2], pads=[1,1,0,1], storage_order={order}>(x)",
            {"N": (1, 2), "H": (8, 5), "W": (6, 11)},
            draw={"x": lambda rng, shape, least=least: rng.choice([least, least, least, 3], shape)},
        )
        for kind, least in (("uint8", 0), ("int8", -128), ("float", -np.inf), ("double", -np.inf))
        for order in (0, 1)
    ],
]

SIGNAL = [
    dft("dft_real", 1, "a = Constant<value_int=1>(); y = DFT(x, , a)"),
    dft("dft_complex", 2, "a = Constant<value_int=1>(); y = DFT(x, , a)"),
    dft("dft_inverse", 2, "a = Constant<value_int=1>(); y = DFT<inverse=1>(x, , a)"),
    dft("dft_half", 1, "a = Constant<value_int=1>(); y = DFT<onesided=1>(x, , a)"),
    dft(
        "dft_padded",
        1,
        "a = Constant<value_int=1>(); l = Constant<value_int=12>(); y = DFT(x, l, a)",
    ),
    dft("dft_middle", 2, "a = Constant<value_int=-2>(); y = DFT(x, , a)"),
    Case(
        "dft_half_inverse",
        "float[N,S,2] x => float[a,b,c] y",
        "a = Constant<value_int=1>(); y = DFT<inverse=1, onesided=1>(x, , a)",
        {"N": (1, 2), "S": (8, 15)},
        opset=20,
        reference="onnx",
    ),
    Case(
        "stft",
        "float[N,S,1] x => float[a,b,c,d] y",
        "s = Constant<value_int=7>(); y = STFT(x, s, w)",
        {"N": (1, 2), "S": (64, 100)},
        weights={"w": np.hanning(20).astype(np.float32)},
    ),
]


FEATURES = [
    Case(
        "mel_weights",
        "int64 bins, int64 length, int64 rate, float low, float high => float[a,b] y",
        "y = MelWeightMatrix(bins, length, rate, low, high)",
        {"none": (0, 1, 2)},
        draw={
            "bins": lists(8, 40, 3),
            "length": lists(64, 512, 7),
            "rate": lists(8000, 16000, 44100),
            "low": lists(0, 20, 125),
            "high": lists(4000, 7600, 22000),
        },
    ),
    *[
        Case(
            f"tf_idf_{mode}_{skips}_{shape}",
            f"int64[{shape}] x => float[{shape.replace('M', '7')}] y",
            f'y = TfIdfVectorizer<mode="{mode}", min_gram_length=1, max_gram_length=3, max_skip_count={skips}, '
            "ngram_counts=[0, 3, 9], ngram_indexes=[0, 2, 1, 3, 5, 4, 6], pool_int64s=[2, 3, 5, 5, 4, 5, 6, 7, 2, 2, 3, 4], "
            "weights=[1.0, 0.5, 2.0, 3.0, 0.25, 4.0, 5.0]>(x)",
            {"N": (1, 3, 2), "M": (12, 2, 40)},
            draw={"x": lambda rng, shape: rng.integers(2, 6, shape)},
        )
        for mode in ("TF", "IDF", "TFIDF")
        for skips in (0, 2)
        for shape in ("M", "N,M")
    ],
    *[
        Case(
            f"col2im_{name}",
            f"float[N,{2 * block},{steps}] x => float[N,2,{image}] y",
            f"s = Constant<value_ints=[{image}]>(); k = Constant<value_ints=[{sizes}]>(); y = Col2Im{attributes}(x, s, k)",
            {"N": (1, 3)},
            opset=18,
        )
        for name, image, sizes, block, steps, attributes in (
            ("plain", "5,5", "1,5", 5, 5, ""),
            ("strides", "5,5", "3,3", 9, 4, "<strides=[2,2]>"),
            ("dilations", "6,6", "2,2", 4, 5, "<dilations=[1,5]>"),
            ("pads", "5,5", "1,5", 5, 15, "<pads=[0,1,0,1]>"),
            ("3d", "3,4,5", "1,1,5", 5, 12, ""),
        )
    ],
    *[
        Case(
            f"affine_grid_{dims}d_{corners}",
            f"float[N,{dims},{dims + 1}] x, int64[{dims + 2}] s => float[{'a,b,c,d,e,f'[: 2 * dims + 3]}] y",
            f"y = AffineGrid<align_corners={corners}>(x, s)",
            {"N": (1, 3, 2)},
            draw={"s": lists(*[[n, 4, *[5, 6, 1, 7, 3][k : k + dims]] for k, n in enumerate((1, 3, 2))])},
            opset=20,
            reference="onnx",
        )
        for dims in (2, 3)
        for corners in (0, 1)
    ],
]


@pytest.mark.parametrize("case", SAMPLING + SIGNAL + FEATURES, ids=lambda case: case.name)
def test_agrees_with_reference(case, tmp_path):
    check_case(case, str(tmp_path))
