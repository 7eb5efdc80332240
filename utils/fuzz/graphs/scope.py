"""Values and scopes of a graph in the making.

A dimension is the tuple of its sizes in the three runs, so that sizes which the graph computes, or which a condition or a
trip count of the run decides, need no algebra: dimensions are equal when their tuples are.

A value knows bounds of what it holds. Floats that are multiples of 2^-frac below 2^high, with few enough bits, are exact:
whatever the order of a sum, every right program computes the same bits, so that they may be compared with equality, and may
decide what is discrete (a comparison, an index, the end of a loop)."""

from __future__ import annotations

import collections
import dataclasses
import math
import random

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

RUNS = 3
MOST_ELEMENTS = 1 << 14
HIGHEST = 14.0  # log2 of the largest magnitude of floats that the generator lets happen

Dim = tuple[int, ...]
Shape = tuple[Dim, ...]

ONE: Dim = (1,) * RUNS
BITS = {"f16": 11, "f32": 24, "f64": 53}
TYPES = {
    "f16": TensorProto.FLOAT16,
    "f32": TensorProto.FLOAT,
    "f64": TensorProto.DOUBLE,
    "i32": TensorProto.INT32,
    "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}
NUMPY = {name: np.dtype(helper.tensor_dtype_to_np_dtype(code)) for name, code in TYPES.items()}


@dataclasses.dataclass(eq=False)
class Value:
    name: str
    dtype: str
    shape: Shape | None  # None: only the run knows; good for an output alone
    high: float = 3.0
    frac: int | None = None  # floats: exact multiples of 2^-frac; None: rounded on the way
    known: tuple[int, ...] | None = None  # scalars: what they hold in each run

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype in BITS

    @property
    def exact(self) -> bool:
        return not self.is_float or self.frac is not None

    @property
    def nonempty(self) -> bool:
        return all(size > 0 for dim in self.shape for size in dim)


@dataclasses.dataclass(eq=False)
class Sequence:
    name: str
    dtype: str
    items: list[Shape]
    high: float
    frac: int | None


def constant(size: int) -> Dim:
    return (size,) * RUNS


def is_constant(dim: Dim) -> bool:
    return len(set(dim)) == 1


def elements(shape: Shape) -> int:
    """The most in any run."""
    return max(math.prod(dim[run] for dim in shape) for run in range(RUNS))


def broadcast(a: Shape, b: Shape) -> Shape | None:
    result: list[Dim] = []
    for i in range(max(len(a), len(b))):
        x = a[len(a) - 1 - i] if i < len(a) else ONE
        y = b[len(b) - 1 - i] if i < len(b) else ONE
        if x != y and ONE not in (x, y):
            return None
        result.append(y if x == ONE else x)
    return tuple(reversed(result))


class Context:
    """What the whole model shares: names, weights, functions, and counts of what was made."""

    def __init__(self, rng: random.Random, opset: int, unique: bool):
        self.unique = unique
        self.rng = rng
        self.numpy = np.random.default_rng(rng.getrandbits(32))
        self.opset = opset
        self.number = 0
        # Apart: two branches may count their names from the same number; weights are the whole model's.
        self.weight_number = 0
        self.weights: list[TensorProto] = []
        self.functions: list = []
        self.counts: collections.Counter = collections.Counter()

    def name(self, prefix: str = "v") -> str:
        self.number += 1
        return f"{prefix}{self.number}"


class Scope:
    """A graph or a subgraph: its nodes so far, and the values that can be used in it (with those of the graphs around)."""

    def __init__(self, context: Context, parent: Scope | None = None):
        self.context = context
        self.parent = parent
        self.depth = 0 if parent is None else parent.depth + 1
        self.nodes: list[NodeProto] = []
        self.values: list[Value] = []
        self.sequences: list[Sequence] = []
        self.used: set[str] = set()
        self.given: set[str] = set()  # outputs so far

    @property
    def rng(self) -> random.Random:
        return self.context.rng

    def visible(self) -> list[Value]:
        outer = self.parent.visible() if self.parent else []
        return outer + self.values

    def pick(self, accept=lambda value: True) -> Value | None:
        """A value at random; every second time one of this scope's last."""
        if self.rng.random() < 0.5:
            recent = [v for v in self.values[-6:] if v.shape is not None and accept(v)]
            if recent:
                return self.rng.choice(recent)
        found = [v for v in self.visible() if v.shape is not None and accept(v)]
        return self.rng.choice(found) if found else None

    def float_value(self, accept=lambda value: True) -> Value | None:
        return self.pick(lambda v: v.is_float and accept(v))

    def raw(self, op: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes) -> None:
        self.nodes.append(
            helper.make_node(op, inputs, outputs, name=self.context.name("n"), domain=domain, **attributes)
        )
        self.used.update(inputs)
        self.context.counts[f"{domain}.{op}" if domain else op] += 1

    def add(self, value: Value) -> Value:
        self.values.append(value)
        return value

    def emit(
        self,
        op: str,
        inputs: list[Value | None],
        dtype: str,
        shape: Shape | None,
        high: float = 3.0,
        frac: int | None = None,
        known: tuple[int, ...] | None = None,
        **attributes,
    ) -> Value:
        """A node with one output. `frac` is dropped where the type does not hold so many bits."""
        name = self.context.name()
        self.raw(op, [v.name if v else "" for v in inputs], [name], **attributes)
        if frac is not None and dtype in BITS and (high + frac > BITS[dtype] or frac > 20):
            frac = None
        return self.add(Value(name, dtype, shape, high, frac, known))

    def constant(self, values, dtype: str) -> Value:
        """An initializer of the model, or a Constant node of this graph."""
        array = np.asarray(values).astype(NUMPY[dtype])
        self.context.weight_number += 1
        name = f"w{self.context.weight_number}"
        if self.rng.random() < 0.5:
            self.context.weights.append(numpy_helper.from_array(array, name))
        else:
            self.raw("Constant", [], [name], value=numpy_helper.from_array(array, name))
        high = float(np.log2(max(1.0, float(np.abs(array.astype(np.float64)).max(initial=0)))))
        known = (int(array),) * RUNS if array.shape == () and dtype in ("i64", "bool") else None
        shape = tuple(constant(size) for size in array.shape)
        return Value(name, dtype, shape, high, None, known)

    def weight(self, sizes: list[int], dtype: str = "f32", rounded: bool = False) -> Value:
        """Constant floats: multiples of 1/8 of at most 2, or any numbers."""
        if rounded:
            return self.constant(self.context.numpy.standard_normal(sizes) * 0.4, dtype)
        value = self.constant(self.context.numpy.integers(-16, 17, sizes) / 8, dtype)
        value.frac = 3
        return value

    def ints(self, values: list[int]) -> Value:
        return self.constant(np.array(values, np.int64), "i64")

    def size(self, dim: Dim) -> Value | None:
        """A vector of one int64 that holds the dimension: a constant, or read from the shape of a value that has it."""
        if is_constant(dim) and self.rng.random() < 0.8:
            return self.ints([dim[0]])
        found = [(v, axis) for v in self.visible() if v.shape for axis, d in enumerate(v.shape) if d == dim]
        if not found:
            return self.ints([dim[0]]) if is_constant(dim) else None
        value, axis = self.rng.choice(found)
        if self.rng.random() < 0.5 and self.context.opset >= 15:
            return self.emit("Shape", [value], "i64", (ONE,), 8, start=axis, end=axis + 1)
        shape = self.emit("Shape", [value], "i64", (constant(value.rank),), 8)
        return self.emit("Gather", [shape, self.ints([axis])], "i64", (ONE,), 8)

    def sizes(self, shape: Shape) -> Value | None:
        """A vector of int64 that holds the shape."""
        if all(is_constant(dim) for dim in shape) and self.rng.random() < 0.8:
            return self.ints([dim[0] for dim in shape])
        parts = [self.size(dim) for dim in shape]
        if not parts or None in parts:
            return None
        return self.emit("Concat", parts, "i64", (constant(len(parts)),), 8, axis=0)
