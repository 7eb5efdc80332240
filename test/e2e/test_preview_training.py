"""ai.onnx.preview.training: gradients within models, and training steps that are models, against NumPy in float64."""

import math
import os

import numpy as np
import onnx
import pytest
from harness import compile_program, run_program
from onnx import TensorProto, helper, numpy_helper

from dsutil import tools

TRAINING = "ai.onnx.preview.training"
RNG = np.random.default_rng(3)


def gradient(inputs: list[str], outputs: list[str], y: str, xs: list[str], zs: list[str] = ()) -> onnx.NodeProto:
    attributes = {"xs": xs, "y": y} | ({"zs": zs} if zs else {})
    return helper.make_node("Gradient", inputs, outputs, "g", domain=TRAINING, **attributes)


def make_model(
    nodes, inputs: dict[str, list], outputs: dict[str, list], constants: dict[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    """`inputs` have dims, of float64, or of the type that a name says as `i:int64`."""
    types = {"int64": TensorProto.INT64, "bool": TensorProto.BOOL, "float64": TensorProto.DOUBLE}

    def value(name: str, dims):
        name, _, kind = name.partition(":")
        return helper.make_tensor_value_info(name, types[kind or "float64"], dims)

    graph = helper.make_graph(
        nodes,
        "g",
        [value(name, dims) for name, dims in inputs.items()],
        [value(name, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(
        graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(TRAINING, 1)]
    )


def compile_model(folder, model: onnx.ModelProto) -> tools.Result:
    onnx.save(model, folder / "model.onnx")
    return compile_program(str(folder / "model.onnx"), str(folder / "model"))


def run(folder, model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not os.path.exists(folder / "model"):
        compiled = compile_model(folder, model)
        assert compiled.code == 0, compiled.stderr
    result = run_program(str(folder / "model"), arrays, str(folder / "out"))
    assert result.code == 0, result.stderr
    return {o.name: np.load(folder / "out" / tools.output_file(o.name)) for o in model.graph.output}


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


# h = tanh(x w), l = sum(h z)
LAYER = [
    helper.make_node("MatMul", ["x", "w"], ["p"]),
    helper.make_node("Tanh", ["p"], ["h"]),
    helper.make_node("Mul", ["h", "z"], ["q"]),
    helper.make_node("ReduceSum", ["q"], ["l"], keepdims=0),
]
LAYER_INPUTS = {"x": ["N", 4], "w": [4, 3], "z": ["N", 3]}


def draw(count: int) -> dict[str, np.ndarray]:
    return {
        "x": RNG.standard_normal((count, 4)),
        "w": RNG.standard_normal((4, 3)),
        "z": RNG.standard_normal((count, 3)),
    }


def test_of_parameters_and_of_what_is_between(tmp_path):
    """One node for what h depends on, and one by h itself; z is a constant of the first."""
    nodes = [
        *LAYER,
        gradient(["w", "x", "z"], ["dw"], "l", ["w"], ["x", "z"]),
        gradient(["h", "z"], ["dh", "dz"], "l", ["h", "z"]),
    ]
    model = make_model(nodes, LAYER_INPUTS, {"l": [], "dw": [4, 3], "dh": ["N", 3], "dz": ["N", 3]})
    for count in (3, 1, 0):
        given = draw(count)
        found = run(tmp_path, model, given)
        h = np.tanh(given["x"] @ given["w"])
        close(found["l"], (h * given["z"]).sum())
        close(found["dw"], given["x"].T @ (given["z"] * (1 - h * h)))
        close(found["dh"], given["z"])
        close(found["dz"], h)


def test_a_constant_may_depend_on_what_is_differentiated(tmp_path):
    """h is in zs: y = h x has the derivative h by x, though h is made of x."""
    nodes = [
        helper.make_node("Exp", ["x"], ["h"]),
        helper.make_node("Mul", ["h", "x"], ["y"]),
        gradient(["x", "h"], ["d"], "y", ["x"], ["h"]),
        gradient(["x"], ["whole"], "y", ["x"]),
    ]
    x = RNG.standard_normal(5)
    found = run(tmp_path, make_model(nodes, {"x": ["N"]}, {"d": ["N"], "whole": ["N"]}), {"x": x})
    close(found["d"], np.exp(x))
    close(found["whole"], np.exp(x) * (1 + x))


def test_at_other_values_than_the_tensors(tmp_path):
    """The function of h and i is taken at other ones, the indices among them."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["h"]),
        helper.make_node("Gather", ["h", "i"], ["taken"]),
        helper.make_node("Sin", ["taken"], ["y"]),
        gradient(["other", "j"], ["d"], "y", ["h"], ["i"]),
    ]
    model = make_model(
        nodes, {"x": ["N"], "other": ["N"], "i:int64": ["K"], "j:int64": ["K"]}, {"y": ["K"], "d": ["N"]}
    )
    x, other = RNG.standard_normal(4), RNG.standard_normal(4)
    i, j = np.array([0, 1, 1]), np.array([3, 2, 3])
    found = run(tmp_path, model, {"x": x, "other": other, "i": i, "j": j})
    close(found["y"], np.sin(x * x)[i])
    expected = np.zeros(4)
    np.add.at(expected, j, np.cos(other[j]))
    close(found["d"], expected)


def test_of_gradients(tmp_path):
    """The second and third derivatives of x^4, each by a node on the one before."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["s"]),
        helper.make_node("Mul", ["s", "s"], ["y"]),
        gradient(["x"], ["d1"], "y", ["x"]),
        gradient(["x"], ["d2"], "d1", ["x"]),
        gradient(["x"], ["d3"], "d2", ["x"]),
    ]
    x = RNG.standard_normal((2, 3))
    found = run(tmp_path, make_model(nodes, {"x": [2, 3]}, {"d1": [2, 3], "d2": [2, 3], "d3": [2, 3]}), {"x": x})
    close(found["d1"], 4 * x**3)
    close(found["d2"], 12 * x**2)
    close(found["d3"], 24 * x)


def branch(name: str, op: str, other: str) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N"])
    return helper.make_graph([helper.make_node(op, ["x", other], [name])], name, [], [output])


def test_through_branches_and_loops(tmp_path):
    """What the run decides is differentiated as in training: x^2 or 3 x, then squared as often as n says."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state", "state"], ["next"]),
            helper.make_node("Identity", ["on"], ["still"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.DOUBLE, ["N"]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.DOUBLE, ["N"]),
        ],
    )
    nodes = [
        helper.make_node(
            "If", ["c"], ["b"], then_branch=branch("t", "Mul", "x"), else_branch=branch("e", "Mul", "three")
        ),
        helper.make_node("Loop", ["n", "", "b"], ["y"], body=body),
        gradient(["x"], ["d"], "y", ["x"]),
    ]
    model = make_model(
        nodes, {"x": ["N"], "c:bool": [], "n:int64": []}, {"y": ["N"], "d": ["N"]}, {"three": np.float64(3)}
    )
    x = RNG.standard_normal(4)
    for condition in (True, False):
        for count in (0, 1, 3):
            found = run(tmp_path, model, {"x": x, "c": np.array(condition), "n": np.array(count)})
            b, db = (x * x, 2 * x) if condition else (3 * x, np.full(4, 3.0))
            power = 2**count
            close(found["y"], b**power)
            close(found["d"], power * b ** (power - 1) * db)


def test_what_the_result_does_not_depend_on_and_what_nobody_wants(tmp_path):
    nodes = [helper.make_node("Exp", ["x"], ["y"]), gradient(["x", "u"], ["", "du"], "y", ["x", "u"])]
    u = RNG.standard_normal(3)
    found = run(
        tmp_path,
        make_model(nodes, {"x": [2], "u": ["M"]}, {"y": [2], "du": ["M"]}),
        {"x": RNG.standard_normal(2), "u": u},
    )
    close(found["du"], np.zeros(3))


def test_in_a_function_of_the_model(tmp_path):
    """Called twice: its names are its own."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(TRAINING, 1), helper.make_opsetid("own", 1)]
    body = [helper.make_node("Sin", ["x"], ["y"]), gradient(["x"], ["d"], "y", ["x"])]
    slope = helper.make_function("own", "Slope", ["x"], ["d"], body, opsets)
    nodes = [
        helper.make_node("Slope", ["x"], ["c"], domain="own"),
        helper.make_node("Mul", ["c", "c"], ["y"]),
        helper.make_node("Slope", ["y"], ["d"], domain="own"),
    ]
    model = make_model(nodes, {"x": ["N"]}, {"d": ["N"]})
    model.opset_import.append(opsets[-1])
    model.functions.append(slope)
    x = RNG.standard_normal(4)
    close(run(tmp_path, model, {"x": x})["d"], np.cos(np.cos(x) ** 2))


def test_a_step_of_training_is_a_model(tmp_path):
    """A parameter, its gradient, and Momentum or Adam: run after run, as the formulas say."""
    settings = {"alpha": 0.9, "beta": 0.999, "norm_coefficient": 0.0}
    adam = helper.make_node(
        "Adam", ["r", "t", "w", "dw", "m", "v"], ["w1", "m1", "v1"], "a", domain=TRAINING, epsilon=1e-6, **settings
    )
    momentum = helper.make_node(
        "Momentum", ["r", "t", "w", "dw", "v"], ["w1", "v1"], "m", domain=TRAINING, mode="nesterov", **settings
    )
    for name, node, kept in (("adam", adam, ["m", "v"]), ("momentum", momentum, ["v"])):
        nodes = [*LAYER, gradient(["w", "x", "z"], ["dw"], "l", ["w"], ["x", "z"]), node]
        inputs = LAYER_INPUTS | {"r": [], "t:int64": []} | {each: [4, 3] for each in kept}
        outputs = {"l": []} | {each + "1": [4, 3] for each in ("w", *kept)}
        folder = tmp_path / name
        folder.mkdir()
        model = make_model(nodes, inputs, outputs)
        given, states = draw(5), {each: np.zeros((4, 3)) for each in kept}
        w = given["w"]
        reference = {each: np.zeros((4, 3)) for each in kept}
        for step in range(4):
            found = run(folder, model, given | states | {"r": np.float64(0.1), "t": np.int64(step)})
            h = np.tanh(given["x"] @ w)
            g = given["x"].T @ (given["z"] * (1 - h * h))
            close(found["l"], (h * given["z"]).sum())
            alpha, beta = (float(np.float32(settings[key])) for key in ("alpha", "beta"))
            if name == "adam":
                reference["m"] = alpha * reference["m"] + (1 - alpha) * g
                reference["v"] = beta * reference["v"] + (1 - beta) * g * g
                rate = 0.1 * np.sqrt(1 - beta**step) / (1 - alpha**step) if step else 0.1
                w = w - rate * reference["m"] / (np.sqrt(reference["v"]) + float(np.float32(1e-6)))
            else:
                reference["v"] = alpha * reference["v"] + (beta if step else 1) * g
                w = w - 0.1 * (g + alpha * reference["v"])
            np.testing.assert_allclose(found["w1"], w, rtol=1e-10)
            given["w"] = found["w1"]
            states = {each: found[each + "1"] for each in kept}


INSIDE = helper.make_graph(
    [gradient(["x"], ["d"], "y", ["x"])], "inside", [], [helper.make_tensor_value_info("d", TensorProto.DOUBLE, ["N"])]
)
OUTSIDE = helper.make_graph(
    [helper.make_node("Identity", ["x"], ["e"])],
    "outside",
    [],
    [helper.make_tensor_value_info("e", TensorProto.DOUBLE, ["N"])],
)


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([gradient(["x"], ["d"], "y", ["x"], ["i"])], "an input for each of the 2 tensors in xs and zs, got 1"),
        ([gradient(["i"], ["d"], "y", ["i"])], "'i' is in xs and of no float type; move it to zs"),
        ([gradient(["i"], ["d"], "y", ["x"])], "a value of the type and rank of 'x' as input 0"),
        ([gradient(["x", "x"], ["d"], "y", ["x", "x"])], "'x' is a tensor that xs and zs name twice"),
        ([gradient(["x"], ["d"], "nowhere", ["x"])], "'nowhere' is not defined"),
        (
            [helper.make_node("If", ["c"], ["d"], "if", then_branch=INSIDE, else_branch=OUTSIDE)],
            "outside of branches and loops",
        ),
    ],
)
def test_what_is_refused(tmp_path, nodes, says):
    model = make_model(
        [helper.make_node("Exp", ["x"], ["y"]), *nodes], {"x": ["N"], "i:int64": ["N"], "c:bool": []}, {"d": ["N"]}
    )
    compiled = compile_model(tmp_path, model)
    assert compiled.code == 1
    assert says in compiled.stderr, compiled.stderr


@pytest.mark.parametrize("number", (0, 3))
def test_adam_by_its_learning_rate(number, tmp_path):
    """The first step (0) corrects no bias: nothing that it does not use becomes 0 / 0 in its gradient."""
    adam = helper.make_node(
        "Adam", ["r", "t", "x", "g", "v", "h"], ["x1", "v1", "h1"], domain=TRAINING,
        alpha=0.5, beta=0.75, epsilon=0.25, norm_coefficient=0.0, norm_coefficient_post=0.0,
    )  # fmt: skip
    nodes = [
        adam,
        helper.make_node("ReduceSum", ["x1"], ["y"], keepdims=0),
        gradient(["r"], ["dr"], "y", ["r"], ["t", "x", "g", "v", "h"]),
    ]
    nodes[-1].input.extend(["t", "x", "g", "v", "h"])
    names = ("x", "g", "v", "h")
    model = make_model(nodes, {"r": [], "t:int64": [], **{name: [4] for name in names}}, {"dr": []})
    arrays = {name: np.abs(RNG.standard_normal(4)) + 0.1 for name in names}
    results = run(tmp_path, model, {"r": np.array(0.5), "t": np.array(number), **arrays})
    mean = 0.5 * arrays["v"] + 0.5 * arrays["g"]
    square = 0.75 * arrays["h"] + 0.25 * arrays["g"] ** 2
    corrected = math.sqrt(1 - 0.75**number) / (1 - 0.5**number) if number else 1.0
    expected = -corrected * (mean / (np.sqrt(square) + 0.25)).sum()
    np.testing.assert_allclose(results["dr"], expected, rtol=1e-12)
