"""What operators ask of sizes that only a run knows is asked of every run, whatever the operators became."""

import os

import numpy as np
import pytest
from harness import Case, check_case, compile_text, run_program

# Bounds of unknown sign count from the end where they are negative.
SLICES = [
    Case(name, "float[N] x, float[M] z => float[K] y", body, {"N": (8, 8, 3, 2, 5, 1), "M": (2, 1, 1, 2, 5, 0)})
    for name, body in {
        "last": "s = Shape(z); k = Neg(s); y = Slice(x, k, far)",
        "all_but_last": "s = Shape(z); k = Neg(s); y = Slice(x, zero, k)",
        "difference": "s = Shape(z); t = Shape(x); k = Sub(s, t); y = Slice(x, k, far)",
        "less_four": "t = Shape(x); k = Sub(t, four); y = Slice(x, k, far)",
        "up_to_less_four": "t = Shape(x); k = Sub(t, four); y = Slice(x, zero, k)",
        "backwards": "s = Shape(z); t = Shape(x); k = Sub(s, four); y = Slice(x, k, near, zero, down)",
        "backwards_to": "s = Shape(z); k = Sub(s, four); y = Slice(x, far, k, zero, down)",
        "every_other": "s = Shape(z); k = Neg(s); y = Slice(x, k, far, zero, two)",
    }.items()
]


@pytest.mark.parametrize("case", SLICES, ids=lambda case: case.name)
def test_slice_bounds_of_unknown_sign(case, tmp_path):
    one = {"far": 2**63 - 1, "near": -(2**63) + 1, "zero": 0, "two": 2, "four": 4, "down": -1}
    used = {name: np.array([value]) for name, value in one.items() if f" {name}" in case.body.replace(",", " ")}
    case.weights = used
    check_case(case, str(tmp_path))


# Of each: a model, the sizes of x that fit, and those that do not.
ASKED = {
    "split": (
        "float[N] x => float[A] a, float[B] b",
        "q = Constant<value_ints=[1,2]>(); a, b = Split(x, q)",
        [3],
        [0, 1, 2, 4],
    ),
    "split_unused_part": (
        "float[N] x => float[B] b",
        "q = Constant<value_ints=[1,2]>(); a, b = Split(x, q)",
        [3],
        [0, 1, 2, 4],
    ),
    "equal_parts": ("float[N] x => float[A] a, float[B] b", "a, b = Split(x)", [0, 2, 4], [1, 3]),
    "reshape_of_reshape": (
        "float[N] x => float[A] y",
        "s = Constant<value_ints=[2,3]>(); v = Reshape(x, s); t = Constant<value_ints=[-1]>(); y = Reshape(v, t)",
        [6],
        [0, 5, 12],
    ),
    "rows_that_are_flattened": (
        "float[N] x => float[A] y",
        "s = Constant<value_ints=[-1,4]>(); v = Reshape(x, s); t = Constant<value_ints=[-1]>(); y = Reshape(v, t)",
        [0, 4, 8],
        [1, 6],
    ),
    "shape_alone": (
        "float[N] x => int64[2] y",
        "s = Constant<value_ints=[-1,4]>(); v = Reshape(x, s); y = Shape(v)",
        [4],
        [5],
    ),
    "edge_of_nothing": (
        "float[N] x => float[A] y",
        'w = Constant<value_ints=[2,1]>(); y = Pad<mode="edge">(x, w)',
        [1, 3],
        [0],
    ),
    "reflection_of_nothing": (
        "float[N] x => float[A] y",
        'w = Constant<value_ints=[2,1]>(); y = Pad<mode="reflect">(x, w)',
        [3, 4],
        [0],
    ),
    "crop_past_the_end": (
        "float[N] x => float[A] y",
        "w = Constant<value_ints=[-2,-2]>(); y = Pad(x, w)",
        [4, 5, 9],
        [0, 3],
    ),
    "blocks": ("float[1,1,N,4] x => float[A,B,C,D] y", "y = SpaceToDepth<blocksize=2>(x)", [2, 4], [3]),
}


def test_what_nothing_uses_asks_for_nothing(tmp_path):
    body = "s = Constant<value_ints=[2,3]>(); v = Reshape(x, s); y = Relu(x)"
    program = compile_text(str(tmp_path), "float[N] x => float[N] y", body)
    result = run_program(program, {"x": np.ones(5, np.float32)}, str(tmp_path / "results"))
    assert result.code == 0, result.stderr


@pytest.mark.parametrize("name", ASKED)
def test_what_operators_ask_of_sizes(name, tmp_path):
    signature, body, good, bad = ASKED[name]
    program = compile_text(str(tmp_path), signature, body)
    shape = [1, 1, None, 4] if "[1,1,N,4]" in signature else [None]
    for size in good + bad:
        x = np.ones([size if dim is None else dim for dim in shape], np.float32)
        results = str(tmp_path / f"results{size}")
        result = run_program(program, {"x": x}, results)
        assert result.code == (1 if size in bad else 0), f"{size}: {result.stderr}"
        if size in bad:
            assert "node '" in result.stderr and os.listdir(results) == ["input0.npy"], result.stderr


FAR = (2**63 - 1, -(2**63), 2**32)
# Of each: a model that takes the int64 list `a` beside x[3,4], lists that fit, and those that do not.
GIVEN = {
    "axis_of_sum": ("int64 a => float[3,4] y", "y = CumSum(x, a)", [0, 1, -1, -2], [2, -3, *FAR]),
    "axes_of_reduction": (
        "int64[1] a => float[A,B] y",
        "y = ReduceSum(x, a)",
        [[0], [-1], [-2]],
        [[2], [-3], *([far] for far in FAR)],
    ),
    "axes_of_unsqueeze": (
        "int64[1] a => float[A,B,C] y",
        "y = Unsqueeze(x, a)",
        [[0], [2], [-3]],
        [[3], [-4], *([far] for far in FAR)],
    ),
    "axes_of_slice": (
        "int64[1] a => float[A,B] y",
        "one = Constant<value_ints=[1]>(); two = Constant<value_ints=[2]>(); y = Slice(x, one, two, a)",
        [[1], [-2]],
        [[2], [-3], *([far] for far in FAR)],
    ),
    "axes_of_pad": (
        "int64[1] a => float[A,B] y",
        "p = Constant<value_ints=[1,2]>(); y = Pad(x, p, , a)",
        [[1], [-2]],
        [[2], [-3], *([far] for far in FAR)],
    ),
    "pads": (
        "int64[4] a => float[A,B] y",
        "y = Pad(x, a)",
        [[1, 0, 0, 2], [-1, 0, 0, 0]],
        [[-4, 0, 0, 0], *([far, 0, 0, 0] for far in FAR[:2])],
    ),
    # No dim of the result is unknown, and yet the run may ask for what cannot be.
    "shape_to_expand_to": (
        "int64[2] a => float[A,B] y",
        "y = Expand(x, a)",
        [[3, 4], [1, 4], [1, 1]],
        [[2, 4], [3, 8], [0, 4], [3, -1]],
    ),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_operators_ask_of_lists_that_the_run_gives(name, tmp_path):
    signature, body, good, bad = GIVEN[name]
    program = compile_text(str(tmp_path), f"float[3,4] x, {signature}", body, opset=18)
    for i, given in enumerate(good + bad):
        inputs = {"x": np.ones([3, 4], np.float32), "a": np.array(given)}
        result = run_program(program, inputs, str(tmp_path / f"results{i}"))
        assert result.code == (0 if i < len(good) else 1), f"{given}: {result.stderr}"
        assert i < len(good) or "error: " in result.stderr, result.stderr
