"""Losses of any graph, and central differences of a compiled training step.

Assumes: the graph is of operator set 11 or later. The step was compiled by `--train --precision=fp64 --optimizer=sgd`.
Guarantees: the loss is a fixed sum of all elements of all float outputs, with factors from -1 to 1 that differ from element to
element; it adds no parameters. Differences change the session's own parameters, and put them back bit for bit."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import runtime

LOSS = "ds.loss"
FACTORS = 1013  # different ones, all exact in float32 up to the division
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def add_loss(model: onnx.ModelProto) -> list[str]:
    """Appends the output LOSS, a float of rank 0; returns the float outputs that it is made of."""
    graph = model.graph
    prefix = LOSS + "."
    # Without it a dim of 0 means another one.
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    with_zeros = {"allowzero": 1} if version >= 14 else {}

    def constant(name: str, value: int) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), prefix + name))
        return prefix + name

    def add(op: str, inputs: list[str], name: str, **attributes) -> str:
        graph.node.append(helper.make_node(op, inputs, [prefix + name], name=prefix + name, **attributes))
        return prefix + name

    outputs = [output.name for output in graph.output if output.type.tensor_type.elem_type in FLOATS]
    if not outputs:
        raise ValueError("the graph has no output of floats, and so no gradients")
    zero, one, square, once, modulus, half = (
        constant(name, value)
        for name, value in [("0", 0), ("1", 1), ("31", 31), ("7919", 7919), ("m", FACTORS), ("h", FACTORS // 2)]
    )
    terms = []
    for i, output in enumerate(outputs):
        own = f"{i}."
        places = add("Range", [zero, add("Size", [output], own + "size"), one], own + "places")
        squares = add("Mul", [add("Mul", [places, places], own + "squared"), square], own + "squares")
        mixed = add("Add", [squares, add("Mul", [places, once], own + "linear")], own + "mixed")
        mixed = add("Add", [mixed, constant(own + "offset", 101 * i)], own + "from")
        centred = add("Sub", [add("Mod", [mixed, modulus], own + "mod"), half], own + "centred")
        halves = add("Cast", [half], own + "half", to=TensorProto.FLOAT)
        factors = add("Div", [add("Cast", [centred], own + "float", to=TensorProto.FLOAT), halves], own + "flat")
        shape = add("Shape", [output], own + "shape")
        factors = add("Reshape", [factors, shape], own + "factors", **with_zeros)
        values = add("Cast", [output], own + "values", to=TensorProto.FLOAT)
        terms.append(add("ReduceSum", [add("Mul", [values, factors], own + "product")], own + "sum", keepdims=0))
    graph.node.append(helper.make_node("Sum", terms, [LOSS], name=LOSS))
    graph.output.append(helper.make_tensor_value_info(LOSS, TensorProto.FLOAT, []))
    return outputs


def factors(shape: tuple[int, ...], index: int) -> np.ndarray:
    """What add_loss multiplies the elements of float output number `index` with."""
    places = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64)
    mixed = (places * places * 31 + places * 7919 + 101 * index) % FACTORS
    return ((mixed - FACTORS // 2) / (FACTORS // 2)).reshape(shape)


@dataclasses.dataclass
class Difference:
    """A directional derivative by the gradient, and by central differences of one step."""

    analytic: float
    numeric: float
    step: float
    scale: float  # the gradient's norm, as the direction weighs it: what `analytic` is expected to be as large as
    noise: float  # what rounding of the loss may add to `numeric`
    is_nothing: bool = False  # too small for the loss to show it: what the loss does not depend on

    @property
    def error(self) -> float:
        return abs(self.analytic - self.numeric) / max(self.scale, 1e-300)

    @property
    def is_below_noise(self) -> bool:
        return self.scale <= self.noise and abs(self.numeric) <= self.noise


class Step:
    """A training step's program on one batch: the loss as a function of its parameters. `evaluates`: that of the inference
    model, in which Dropout drops nothing; otherwise that of a training step."""

    def __init__(self, path: str, threads: int, evaluates: bool = True):
        self.loss_mode = 2 if evaluates else 0
        self.model = runtime.Model(path, threads=threads, given={"mode": 1})
        self.roles = self.model.property("ds.train.inputs")
        outputs = self.model.property("ds.train.outputs")
        self.loss_at = outputs.index("L")
        self.gradients_at = [i for i, role in enumerate(outputs) if role == "g"]
        self.parameters_at = [i for i, role in enumerate(self.roles) if role == "p"]
        self.names = [self.model.inputs[i] for i in self.parameters_at]

    def close(self) -> None:
        self.model.close()

    def set_batch(self, arrays: dict[str, np.ndarray]) -> None:
        """Floats become float64, as the program has them. The learning rate is 0: a step changes nothing."""
        self.inputs: list[np.ndarray | None] = []
        for name, role, dtype in zip(self.model.inputs, self.roles, self.model.input_types):
            if role == "d":
                array = arrays[name]
                self.inputs.append(array.astype(np.float64) if array.dtype == np.float32 else array)
            else:
                number = {"l": 0, "k": 1, "s": 0}.get(role)
                self.inputs.append(None if number is None else np.array(number, dtype))

    def gradients(self) -> tuple[float, list[np.ndarray]]:
        self.model.set_symbol("mode", 1)
        results = self.model.run(self.inputs, {self.loss_at, *self.gradients_at})
        return float(results[self.loss_at]), [results[i] for i in self.gradients_at]

    def loss(self) -> float:
        self.model.set_symbol("mode", self.loss_mode)
        return float(self.model.run(self.inputs, {self.loss_at})[self.loss_at])

    def parameters(self) -> list[np.ndarray]:
        """Views of the session's own, which a run must have made."""
        return [self.model.state(i) for i in self.parameters_at]


def direction(name: str, values: np.ndarray, number: int) -> np.ndarray:
    """A random direction whose elements are as large as the parameter's typical one, and no less than 0.01 (biases begin
    as zeros): a step of h changes it by its h-th part. What is infinite (in a mask) stays."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    finite = np.isfinite(values)
    size = float(np.sqrt(np.mean(values[finite] ** 2))) if finite.any() else 0.0
    return np.where(finite, rng.standard_normal(values.shape) * max(size, 0.01), 0.0)


class Differences:
    """Of a step at its parameters; `magnitude` is the sum of the loss's terms without their signs."""

    def __init__(self, step: Step, magnitude: float):
        self.step, self.magnitude = step, magnitude
        self.loss, self.gradients = step.gradients()
        self.values = [values.copy() for values in step.parameters()]

    def along(self, which: list[int], number: int, h: float) -> Difference:
        """By all parameters in `which` at once."""
        views = self.step.parameters()
        analytic = squares = 0.0
        directions = {}
        for i in which:
            directions[i] = direction(self.step.names[i], self.values[i], number)
            weighed = self.gradients[i] * directions[i]
            analytic += float(weighed.sum())
            squares += float((weighed * weighed).sum())
        losses = []
        for sign in (1, -1):
            for i in which:
                views[i][...] = self.values[i] + sign * h * directions[i]
            losses.append(self.step.loss())
        for i in which:
            views[i][...] = self.values[i]
        noise = 8 * np.finfo(np.float64).eps * self.magnitude / h
        return Difference(analytic, (losses[0] - losses[1]) / (2 * h), h, squares**0.5, noise)

    def agreeing(self, which: list[int], number: int, limit: float, steps: tuple[float, ...]) -> Difference:
        """The first of the steps that agrees within `limit`, otherwise the one that is nearest. Where the loss has kinks, a
        step may cross some: what they add goes to 0 with the step, and what a wrong gradient adds does not. Whether a
        parameter has an effect is for the first step to say, in which rounding counts least."""
        tried = []
        for h in steps:
            tried.append(self.along(which, number, h))
            tried[-1].is_nothing = h == steps[0] and tried[-1].is_below_noise
            if tried[-1].error <= limit or tried[-1].is_nothing:
                return tried[-1]
        return min(tried, key=lambda each: each.error)
