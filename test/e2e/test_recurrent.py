"""LSTM, GRU and RNN against ONNX Runtime: every attribute, with dynamic batch and sequence."""

import itertools
import os

import numpy as np
import onnx
import onnxruntime
import pytest
from harness import compile_program, run_program
from onnx import TensorProto, helper, numpy_helper

from dsutil import tools
from dsutil.compare import error_of_scale

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
INPUT = 7


class Layer:
    """A model of one recurrent node, and its inputs at any size."""

    def __init__(
        self, op, hidden=20, direction="forward", bias=True, state=False, lengths=False, peepholes=False, **attrs
    ):
        self.op, self.hidden, self.lengths = op, hidden, lengths
        self.directions = 2 if direction == "bidirectional" else 1
        self.batch_first = attrs.get("layout", 0) == 1
        rng = np.random.default_rng(11)
        d, g, h = self.directions, GATES[op], hidden

        def constant(name, *shape):
            values = rng.standard_normal(shape).astype(np.float32) * 0.3
            self.constants.append(numpy_helper.from_array(values, name))
            return name

        def variable(name, shape, kind=TensorProto.FLOAT):
            self.variables.append(helper.make_tensor_value_info(name, kind, shape))
            return name

        self.constants, self.variables = [], []
        state_shape = ["N", d, h] if self.batch_first else [d, "N", h]
        inputs = [
            variable("x", ["N", "S", INPUT] if self.batch_first else ["S", "N", INPUT]),
            constant("w", d, g * h, INPUT),
            constant("r", d, g * h, h),
            constant("b", d, 2 * g * h) if bias else "",
            variable("lengths", ["N"], TensorProto.INT32) if lengths else "",
            variable("h0", state_shape) if state else "",
        ]
        if op == "LSTM":
            inputs += [variable("c0", state_shape) if state else "", constant("p", d, 3 * h) if peepholes else ""]
        while not inputs[-1]:
            inputs.pop()
        outputs = ["y", "y_h", "y_c"][: 3 if op == "LSTM" else 2]
        node = helper.make_node(op, inputs, outputs, hidden_size=hidden, direction=direction, **attrs)
        shapes = [["a", "b", "c", h]] + [["e", "f", h]] * 2
        results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip(outputs, shapes)]
        graph = helper.make_graph([node], "g", self.variables, results, self.constants)
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        self.outputs = outputs

    def draw(self, batch, steps):
        rng = np.random.default_rng([batch, steps])
        arrays = {}
        for value in self.variables:
            if value.name == "lengths":
                array = rng.integers(min(1, steps), steps + 1, batch).astype(np.int32)
            else:
                sizes = {"N": batch, "S": steps}
                shape = [d.dim_value or sizes[d.dim_param] for d in value.type.tensor_type.shape.dim]
                array = rng.standard_normal(shape).astype(np.float32)
            arrays[value.name] = array
        return arrays


def check(layer, folder, *flags, sizes=((1, 5), (3, 1), (5, 9), (13, 4)), tolerance=2e-6, emulator=()):
    path, program = os.path.join(folder, "model.onnx"), os.path.join(folder, "model")
    onnx.save(layer.model, path)
    compiled = compile_program(path, program, *flags)
    assert compiled.code == 0, compiled.stderr
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, steps in sizes:
        arrays = layer.draw(batch, steps)
        outputs = os.path.join(folder, f"{batch}x{steps}")
        result = run_program(program, arrays, outputs, emulator=emulator)
        assert result.code == 0, result.stderr
        for name, expected in zip(layer.outputs, session.run(None, arrays)):
            found = np.load(os.path.join(outputs, tools.output_file(name)))
            assert found.shape == expected.shape
            error = error_of_scale(found, expected)
            assert error <= tolerance, f"batch {batch}, {steps} steps: '{name}' differs by {error:.1e} of its scale"


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("state, lengths", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_directions_states_and_lengths(op, direction, state, lengths, tmp_path):
    check(Layer(op, direction=direction, state=state, lengths=lengths), str(tmp_path))


# No multiple of a vector, less than one, several.
@pytest.mark.parametrize("hidden", [1, 5, 16, 33, 64])
@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_hidden_sizes(op, hidden, tmp_path):
    check(Layer(op, hidden=hidden, bias=False), str(tmp_path), sizes=((1, 3), (7, 4), (70, 2)))


@pytest.mark.parametrize("attrs", [{}, {"input_forget": 1}, {"clip": 0.4}], ids=str)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_lstm_with_peepholes(direction, attrs, tmp_path):
    check(Layer("LSTM", direction=direction, peepholes=True, state=True, lengths=True, **attrs), str(tmp_path))


@pytest.mark.parametrize("clip", [None, 0.4])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_gru_linear_before_reset(direction, bias, clip, tmp_path):
    attrs = {"clip": clip} if clip else {}
    layer = Layer("GRU", direction=direction, bias=bias, linear_before_reset=1, state=True, lengths=True, **attrs)
    check(layer, str(tmp_path))


# Gates are bounded, or states grow without limit.
ACTIVATIONS = {
    "plain": (["Softsign", "Relu", "Softplus"], {}),
    "defaults": (["HardSigmoid", "Elu", "LeakyRelu"], {}),
    "alpha": (["Sigmoid", "ThresholdedRelu", "Elu"], {"activation_alpha": [0.1, 0.7]}),
    "both": (
        ["HardSigmoid", "Affine", "ScaledTanh"],
        {"activation_alpha": [0.3, 0.6, 1.5], "activation_beta": [0.4, 0.1, 0.8]},
    ),
}


@pytest.mark.parametrize("op, functions", list(itertools.product(["LSTM", "GRU"], ACTIVATIONS)))
def test_activations(op, functions, tmp_path):
    names, attrs = ACTIVATIONS[functions]
    check(Layer(op, activations=names[: FUNCTIONS[op]], **attrs), str(tmp_path), tolerance=1e-5)


FUNCTIONS_OF_ONE = "Affine Relu LeakyRelu ThresholdedRelu Tanh ScaledTanh Sigmoid HardSigmoid Elu Softsign Softplus"


@pytest.mark.parametrize("function", FUNCTIONS_OF_ONE.split())
def test_rnn_activations(function, tmp_path):
    layer = Layer("RNN", activations=[function], activation_alpha=[0.6], activation_beta=[0.3])
    check(layer, str(tmp_path), tolerance=1e-5)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_activations_differ_between_directions(op, tmp_path):
    names = ["Sigmoid", "Tanh", "Tanh"][: FUNCTIONS[op]] + ["HardSigmoid", "Softsign", "Relu"][: FUNCTIONS[op]]
    check(Layer(op, direction="bidirectional", activations=names), str(tmp_path))


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_no_steps_leave_the_state(op, tmp_path):
    layer = Layer(op, state=True)
    path, program = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model")
    onnx.save(layer.model, path)
    assert compile_program(path, program).code == 0
    arrays = layer.draw(3, 0)
    assert run_program(program, arrays, str(tmp_path)).code == 0
    assert np.load(tmp_path / "y.npy").shape == (0, 1, 3, 20)
    np.testing.assert_array_equal(np.load(tmp_path / "y_h.npy"), arrays["h0"])


# ONNX Runtime has no kernels with the batch in front: the same layer with the steps in front, transposed.
@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_batch_in_front(op, tmp_path):
    layer = Layer(op, direction="bidirectional", layout=1, state=True)
    other = Layer(op, direction="bidirectional", state=True)
    path, program = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model")
    onnx.save(layer.model, path)
    assert compile_program(path, program).code == 0
    arrays = layer.draw(3, 4)
    assert run_program(program, arrays, str(tmp_path)).code == 0
    session = onnxruntime.InferenceSession(other.model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {name: array.swapaxes(0, 1) for name, array in arrays.items()})
    for name, reference, perm in zip(layer.outputs, expected, [(2, 0, 1, 3), (1, 0, 2), (1, 0, 2)]):
        found = np.load(os.path.join(tmp_path, tools.output_file(name)))
        assert error_of_scale(found, reference.transpose(perm)) <= 2e-6


def test_a_length_past_the_steps_is_an_error(tmp_path):
    layer = Layer("LSTM", lengths=True)
    path, program = os.path.join(tmp_path, "model.onnx"), os.path.join(tmp_path, "model")
    onnx.save(layer.model, path)
    assert compile_program(path, program).code == 0
    arrays = layer.draw(2, 3) | {"lengths": np.array([2, 4], np.int32)}
    result = run_program(program, arrays, str(tmp_path))
    assert result.code == 1 and "LSTM" in result.stderr
