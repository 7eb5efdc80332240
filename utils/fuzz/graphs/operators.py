"""Operators: each function adds one (with what makes its operands right) to a scope, or declines by returning False."""

from __future__ import annotations

import math

import numpy as np
from onnx import numpy_helper

from .scope import (
    BITS,
    HIGHEST,
    MOST_ELEMENTS,
    ONE,
    RUNS,
    TYPES,
    Scope,
    Shape,
    Value,
    broadcast,
    constant,
    elements,
    is_constant,
)
import itertools

OPERATORS: list = []  # (function, weight)


def operator(weight: int = 1):
    def register(function):
        OPERATORS.append((function, weight))
        return function

    return register


def fits(shape: Shape) -> bool:
    return len(shape) <= 6 and elements(shape) <= MOST_ELEMENTS


def axis_of(scope: Scope, value: Value) -> int:
    """An axis, counted from either end."""
    axis = scope.rng.randrange(value.rank)
    return axis - value.rank if scope.rng.random() < 0.3 else axis


def without(shape: Shape, axis: int, dims: tuple = ()) -> Shape:
    axis %= len(shape)
    return shape[:axis] + dims + shape[axis + 1 :]


def tame(scope: Scope, value: Value) -> Value:
    """The value, or one whose elements are small."""
    if value.high <= 4:
        return value
    return scope.emit("Tanh", [value], value.dtype, value.shape, 0)


# Elementwise.


@operator(6)
def unary_exact(scope: Scope):
    x = scope.float_value()
    op = scope.rng.choice(["Neg", "Abs", "Relu", "Identity", "Clip"])
    if op == "Clip":
        low, high = scope.constant(-2.0, x.dtype), scope.constant(1.5, x.dtype)
        bounds = scope.rng.choice([[low], [None, high], [low, high]])
        return scope.emit("Clip", [x, *bounds], x.dtype, x.shape, x.high, None if x.frac is None else max(x.frac, 1))
    return scope.emit(op, [x], x.dtype, x.shape, x.high, x.frac)


@operator(6)
def unary(scope: Scope):
    x = scope.float_value()
    if x is None:
        return False
    x = tame(scope, x)
    plain = ["Tanh", "Sigmoid", "Exp", "Erf", "Softplus", "Softsign", "Sin", "Cos", "Elu", "Selu", "LeakyRelu", "Atan"]
    plain += ["HardSigmoid", "Celu"]
    plain += ["HardSwish"] if x.dtype != "f64" else []
    if scope.context.opset >= 18:
        plain.append("Mish")
    if scope.context.opset >= 20:
        plain.append("Gelu")
    op = scope.rng.choice([*plain, "Sqrt", "Log", "Reciprocal"])
    if op in ("Sqrt", "Log", "Reciprocal"):
        x = scope.emit("Abs", [x], x.dtype, x.shape, x.high)
        if op != "Sqrt" or scope.rng.random() < 0.5:
            x = scope.emit("Add", [x, scope.constant(0.5, x.dtype)], x.dtype, x.shape, x.high + 1)
    attributes = {}
    if op in ("Elu", "LeakyRelu", "HardSigmoid", "Celu") and scope.rng.random() < 0.6:
        attributes["alpha"] = scope.rng.choice([0.1, 0.3, 0.75])
    # ONNX Runtime takes the constants of this form for 32-bit floats in float64 too.
    if op == "Gelu" and x.dtype != "f64" and scope.rng.random() < 0.5:
        attributes["approximate"] = "tanh"
    high = {"Exp": 1.45 * 2**x.high, "Softplus": x.high + 1, "Mish": x.high + 1, "Reciprocal": 1}.get(
        op, max(x.high, 1)
    )
    if high > HIGHEST:
        return False
    return scope.emit(op, [x], x.dtype, x.shape, high, **attributes)


@operator(2)
def unary_discrete(scope: Scope):
    x = scope.float_value(lambda v: v.exact)
    if x is None:
        return False
    op = scope.rng.choice(["Sign", "Floor", "Ceil", "Round"])
    return scope.emit(op, [x], x.dtype, x.shape, x.high + 1, 0)


def partner(scope: Scope, x: Value) -> Value | None:
    """A second operand: any value that broadcasts with the first, or one made for it."""
    kind = scope.rng.random()
    if kind < 0.6:
        y = scope.pick(lambda v: v.dtype == x.dtype and (s := broadcast(v.shape, x.shape)) is not None and fits(s))
        if y is not None:
            return y
    if kind < 0.7 and x.rank and x.nonempty and x.is_float:
        op = scope.rng.choice(["ReduceMax", "ReduceMin"])
        return reduce(scope, op, x, [scope.rng.randrange(x.rank)], True)
    if not x.is_float:
        return scope.constant(scope.rng.randrange(1, 5), x.dtype)
    trailing = [dim[0] if is_constant(dim) else 1 for dim in x.shape[scope.rng.randrange(x.rank + 1) :]]
    if math.prod(trailing) > 256 or 0 in trailing:
        trailing = []
    return scope.weight(trailing, x.dtype, scope.rng.random() < 0.4 or x.frac is None)


@operator(12)
def binary(scope: Scope):
    x = scope.float_value()
    y = partner(scope, x)
    op = scope.rng.choice(["Add", "Sub", "Mul", "Max", "Min", "Div", "Add", "Mul"])
    if op == "Div":
        y = scope.emit("Abs", [y], y.dtype, y.shape, y.high)
        y = scope.emit("Add", [y, scope.constant(0.5, y.dtype)], y.dtype, y.shape, y.high + 1)
    if scope.rng.random() < 0.3:
        x, y = (x, y) if op == "Div" else (y, x)
    high = {"Mul": x.high + y.high, "Div": x.high + 1, "Max": max(x.high, y.high), "Min": max(x.high, y.high)}
    high = high.get(op, max(x.high, y.high) + 1)
    if high > HIGHEST:
        return False
    frac = None
    if x.frac is not None and y.frac is not None and op != "Div":
        frac = x.frac + y.frac if op == "Mul" else max(x.frac, y.frac)
    return scope.emit(op, [x, y], x.dtype, broadcast(x.shape, y.shape), high, frac)


@operator(3)
def variadic(scope: Scope):
    x = scope.float_value()
    others = [partner(scope, x) for _ in range(scope.rng.randrange(0, 3))]
    shape = x.shape
    for y in others:
        shape = broadcast(shape, y.shape) if shape is not None else None
    if shape is None or not fits(shape):
        return False
    op = scope.rng.choice(["Sum", "Max", "Min", "Mean"])
    high = max([x.high, *[y.high for y in others]]) + 2
    fracs = [v.frac for v in (x, *others)]
    frac = max(fracs) if None not in fracs and op in ("Max", "Min") else None
    if high > HIGHEST:
        return False
    return scope.emit(op, [x, *others], x.dtype, shape, high, frac)


@operator(2)
def power(scope: Scope):
    x = scope.float_value()
    x = tame(scope, x)
    exponent = scope.rng.choice([2.0, 3.0, 1.0, 0.0])
    return scope.emit("Pow", [x, scope.constant(exponent, x.dtype)], x.dtype, x.shape, max(x.high * exponent, 0))


@operator(4)
def integer(scope: Scope):
    x = scope.pick(lambda v: v.dtype in ("i32", "i64"))
    if x is None:
        return False
    op = scope.rng.choice(["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Abs", "Neg"])
    if op in ("Abs", "Neg"):
        known = None if x.known is None else tuple(abs(k) if op == "Abs" else -k for k in x.known)
        return scope.emit(op, [x], x.dtype, x.shape, x.high, known=known)
    y = partner(scope, x)
    if op in ("Div", "Mod"):
        y = scope.emit("Abs", [y], y.dtype, y.shape, y.high)
        y = scope.emit("Add", [y, scope.constant(1, y.dtype)], y.dtype, y.shape, y.high + 1)
    high = x.high + y.high if op == "Mul" else max(x.high, y.high) + 1
    if high > 24:
        return False
    return scope.emit(op, [x, y], x.dtype, broadcast(x.shape, y.shape), high)


@operator(4)
def compare(scope: Scope):
    x = scope.pick(lambda v: (v.is_float or v.dtype in ("i32", "i64")) and v.exact)
    if x is None:
        return False
    y = scope.pick(
        lambda v: v.dtype == x.dtype and v.exact and (s := broadcast(v.shape, x.shape)) is not None and fits(s)
    )
    if y is None or scope.rng.random() < 0.3:
        y = scope.constant(0.5 if x.is_float else 1, x.dtype)
    op = scope.rng.choice(["Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual"])
    return scope.emit(op, [x, y], "bool", broadcast(x.shape, y.shape))


@operator(2)
def logic(scope: Scope):
    x = scope.pick(lambda v: v.dtype == "bool")
    if x is None:
        return False
    op = scope.rng.choice(["And", "Or", "Xor", "Not"])
    if op == "Not":
        known = None if x.known is None else tuple(1 - k for k in x.known)
        return scope.emit("Not", [x], "bool", x.shape, known=known)
    y = scope.pick(lambda v: v.dtype == "bool" and (s := broadcast(v.shape, x.shape)) is not None and fits(s))
    return scope.emit(op, [x, y], "bool", broadcast(x.shape, y.shape))


@operator(4)
def where(scope: Scope):
    condition = scope.pick(lambda v: v.dtype == "bool")
    x = scope.pick(lambda v: v.is_float or v.dtype in ("i32", "i64"))
    if condition is None or x is None:
        return False
    y = partner(scope, x)
    shape = broadcast(x.shape, y.shape)
    shape = broadcast(shape, condition.shape)
    if shape is None or not fits(shape):
        return False
    frac = max(x.frac, y.frac) if x.frac is not None and y.frac is not None else None
    return scope.emit("Where", [condition, x, y], x.dtype, shape, max(x.high, y.high), frac)


@operator(4)
def cast(scope: Scope):
    x = scope.pick(lambda v: v.exact)
    if x is None:
        return False
    to = scope.rng.choice([t for t in (*BITS, "i32", "i64", "bool", "f32", "f32") if t != x.dtype])
    if to == "f16" and x.high > 10:
        return False
    frac, high = None, x.high
    if to in BITS:
        frac = x.frac if x.is_float else 0
    known = x.known if to == "i64" and x.dtype == "bool" else None
    return scope.emit("Cast", [x], to, x.shape, high, frac, known, to=TYPES[to])


# Views and movement.


@operator(6)
def reshape(scope: Scope):
    x = scope.pick()
    dims = list(x.shape)
    for _ in range(scope.rng.randrange(1, 4)):
        kind = scope.rng.randrange(4)
        if kind == 0 and len(dims) > 1:
            i = scope.rng.randrange(len(dims) - 1)
            dims[i : i + 2] = [tuple(a * b for a, b in zip(dims[i], dims[i + 1]))]
        elif kind == 1 and len(dims) < 5:
            dims.insert(scope.rng.randrange(len(dims) + 1), ONE)
        elif kind == 2 and ONE in dims:
            dims.remove(ONE)
        elif kind == 3 and dims:
            i = scope.rng.randrange(len(dims))
            factors = [f for f in (2, 3, 4) if all(size % f == 0 for size in dims[i])]
            if factors and len(dims) < 5:
                f = scope.rng.choice(factors)
                dims[i : i + 1] = [constant(f), tuple(size // f for size in dims[i])]
    shape = tuple(dims)
    unknown = [i for i, dim in enumerate(shape) if not is_constant(dim)]
    attributes = {}
    if len(unknown) <= 1 and x.nonempty and scope.rng.random() < 0.7:
        target = scope.ints([-1 if i in unknown else dim[0] for i, dim in enumerate(shape)])
    else:
        # A size that is 0 in a run would mean "as the operand's".
        if not x.nonempty:
            attributes["allowzero"] = 1
        parts = []
        for dim in shape:
            part = scope.size(dim)
            if part is None:
                part = product(scope, x.shape, dim)
            parts.append(part)
        if None in parts or (attributes and scope.context.opset < 14):
            return False
        if not parts:
            target = scope.ints([])
        else:
            target = scope.emit("Concat", parts, "i64", (constant(len(parts)),), 8, axis=0)
    return scope.emit("Reshape", [x, target], x.dtype, shape, x.high, x.frac, **attributes)


def product(scope: Scope, shape: Shape, dim) -> Value | None:
    """A vector of one int64: the product of two neighbours among the dimensions, if it is that."""
    for a, b in itertools.pairwise(shape):
        if tuple(x * y for x, y in zip(a, b)) == dim:
            first, second = scope.size(a), scope.size(b)
            if first is not None and second is not None:
                return scope.emit("Mul", [first, second], "i64", (ONE,), 16)
    return None


@operator(2)
def flatten(scope: Scope):
    x = scope.pick(lambda v: v.rank > 0)
    axis = scope.rng.randrange(x.rank + 1)
    shape = tuple(
        tuple(math.prod(d[run] for d in part) for run in range(RUNS)) for part in (x.shape[:axis], x.shape[axis:])
    )
    return scope.emit("Flatten", [x], x.dtype, shape, x.high, x.frac, axis=axis)


@operator(4)
def squeeze(scope: Scope):
    ones = scope.pick(lambda v: ONE in v.shape)
    if ones is not None and scope.rng.random() < 0.6:
        axis = scope.rng.choice([i for i, dim in enumerate(ones.shape) if dim == ONE])
        known = ones.known if ones.rank == 1 else None
        return scope.emit(
            "Squeeze", [ones, scope.ints([axis])], ones.dtype, without(ones.shape, axis), ones.high, ones.frac, known
        )
    x = scope.pick(lambda v: v.rank < 5)
    axis = scope.rng.randrange(x.rank + 1)
    shape = (*x.shape[:axis], ONE, *x.shape[axis:])
    return scope.emit("Unsqueeze", [x, scope.ints([axis])], x.dtype, shape, x.high, x.frac)


@operator(4)
def transpose(scope: Scope):
    x = scope.pick(lambda v: v.rank > 1)
    if x is None:
        return False
    perm = list(range(x.rank))
    scope.rng.shuffle(perm)
    return scope.emit("Transpose", [x], x.dtype, tuple(x.shape[p] for p in perm), x.high, x.frac, perm=perm)


@operator(6)
def concat(scope: Scope):
    x = scope.pick(lambda v: v.rank > 0)
    if x is None:
        return False
    axis = axis_of(scope, x)
    parts = [x]
    for _ in range(scope.rng.randrange(1, 4)):
        y = scope.pick(
            lambda v: v.dtype == x.dtype and v.rank == x.rank and without(v.shape, axis) == without(x.shape, axis)
        )
        parts.append(y)
    scope.rng.shuffle(parts)
    dim = tuple(sum(v.shape[axis][run] for v in parts) for run in range(RUNS))
    shape = without(x.shape, axis, (dim,))
    if not fits(shape):
        return False
    fracs = [v.frac for v in parts]
    frac = None if None in fracs else max(fracs)
    return scope.emit("Concat", parts, x.dtype, shape, max(v.high for v in parts), frac, axis=axis)


@operator(4)
def split(scope: Scope):
    x = scope.pick(lambda v: any(min(dim) >= 2 for dim in v.shape))
    if x is None:
        return False
    axis = scope.rng.choice([i for i, dim in enumerate(x.shape) if min(dim) >= 2])
    dim = x.shape[axis]
    names = [scope.context.name() for _ in range(2)]
    if is_constant(dim):
        first = scope.rng.randrange(0, dim[0] + 1)
        dims = [constant(first), constant(dim[0] - first)]
        inputs, attributes = [x.name, scope.ints([first, dim[0] - first]).name], {}
    elif scope.context.opset >= 18:
        dims = [tuple(-(-size // 2) for size in dim), tuple(size - -(-size // 2) for size in dim)]
        inputs, attributes = [x.name], {"num_outputs": 2}
    else:
        return False
    scope.raw("Split", inputs, names, axis=axis, **attributes)
    for name, size in zip(names, dims):
        scope.add(Value(name, x.dtype, without(x.shape, axis, (size,)), x.high, x.frac))
    return True


@operator(6)
def slice_(scope: Scope):
    x = scope.pick(lambda v: v.rank > 0)
    if x is None:
        return False
    axis = scope.rng.randrange(x.rank)
    start = scope.rng.choice([0, 0, 1, 2, -1, -2, -3, 100])
    end = scope.rng.choice([1, 2, 3, -1, 1 << 40, (1 << 63) - 1])
    step = scope.rng.choice([1, 1, 1, 2, -1, -2])
    if step < 0:
        end = scope.rng.choice([-(1 << 40), 0, -3])
    start_value, end_value, ends = scope.ints([start]), scope.ints([end]), (end,) * RUNS
    if step > 0 and scope.rng.random() < 0.3:  # to the size of another value
        other = scope.pick(lambda v: v.rank > 0)
        dim = scope.rng.choice(other.shape)
        if (size := scope.size(dim)) is not None:
            end_value, ends = size, dim
    lengths = tuple(len(range(size)[slice(start, e, step)]) for size, e in zip(x.shape[axis], ends))
    if step < 0:
        # numpy's slice and ONNX's agree but for an end before the first element.
        lengths = tuple(
            len(range(size)[slice(start, None if e <= -size - 1 else e, step)]) for size, e in zip(x.shape[axis], ends)
        )
    inputs = [x, start_value, end_value, scope.ints([axis if scope.rng.random() < 0.6 else axis - x.rank])]
    if step != 1 or scope.rng.random() < 0.3:
        inputs.append(scope.ints([step]))
    return scope.emit("Slice", inputs, x.dtype, without(x.shape, axis, (lengths,)), x.high, x.frac)


@operator(4)
def pad(scope: Scope):
    x = scope.float_value(lambda v: v.rank > 0)
    if x is None:
        return False
    axis = scope.rng.randrange(x.rank)
    low, high = scope.rng.randrange(0, 3), scope.rng.randrange(-1, 3)
    modes = ["constant"]
    if min(x.shape[axis]) > 2 and high >= 0 and x.nonempty:
        modes += ["reflect", "edge"]
    if min(x.shape[axis]) + low + high < 0 or (min(x.shape[axis]) < 2 and high < 0):
        return False
    pads = [0] * (2 * x.rank)
    pads[axis], pads[x.rank + axis] = low, high
    mode = scope.rng.choice(modes)
    inputs = [x, scope.ints(pads)]
    frac = x.frac
    if mode == "constant" and scope.rng.random() < 0.5:
        inputs.append(scope.constant(0.5, x.dtype))
        frac = None if frac is None else max(frac, 1)
    shape = without(x.shape, axis, (tuple(size + low + high for size in x.shape[axis]),))
    if not fits(shape):
        return False
    return scope.emit("Pad", inputs, x.dtype, shape, x.high, frac, mode=mode)


@operator(3)
def expand(scope: Scope):
    x = scope.pick(lambda v: v.rank < 4)
    other = scope.pick(lambda v: (s := broadcast(v.shape, x.shape)) is not None and fits(s))
    if other is None:
        return False
    target = scope.emit("Shape", [other], "i64", (constant(other.rank),), 8)
    return scope.emit("Expand", [x, target], x.dtype, broadcast(x.shape, other.shape), x.high, x.frac)


@operator(2)
def tile(scope: Scope):
    x = scope.pick(lambda v: 0 < v.rank < 5 and v.dtype != "f16")
    if x is None:
        return False
    repeats = [scope.rng.choice([1, 1, 2, 3]) for _ in x.shape]
    shape = tuple(tuple(size * r for size in dim) for dim, r in zip(x.shape, repeats))
    if not fits(shape):
        return False
    return scope.emit("Tile", [x, scope.ints(repeats)], x.dtype, shape, x.high, x.frac)


def indices(scope: Scope, dim, most: int = 4) -> Value | None:
    """Integers that are right as indices of an axis: constants, or what a value holds modulo the size."""
    if min(dim) < 1:
        return None
    if scope.rng.random() < 0.6:
        shape = [scope.rng.randrange(0 if scope.rng.random() < 0.1 else 1, most) for _ in range(scope.rng.randrange(3))]
        values = scope.context.numpy.integers(-min(dim), min(dim), shape)
        return scope.constant(values, scope.rng.choice(["i64", "i64", "i32"]))
    x = scope.pick(lambda v: v.dtype == "i64" and elements(v.shape) <= 64)
    size = scope.size(dim)
    if x is None or size is None:
        return None
    if x.rank == 0 and scope.rng.random() < 0.7:
        size = scope.emit("Squeeze", [size, scope.ints([0])], "i64", (), 8)
    return scope.emit("Mod", [x, size], "i64", broadcast(x.shape, size.shape), 8)


@operator(5)
def gather(scope: Scope):
    x = scope.pick(lambda v: v.rank > 0)
    if x is None:
        return False
    axis = axis_of(scope, x)
    index = indices(scope, x.shape[axis])
    if index is None:
        return False
    shape = without(x.shape, axis, index.shape)
    if not fits(shape):
        return False
    return scope.emit("Gather", [x, index], x.dtype, shape, x.high, x.frac, axis=axis)


@operator(2)
def gather_elements(scope: Scope):
    x = scope.pick(lambda v: v.rank > 0)
    index = x and scope.pick(lambda v: v.dtype == "i64" and v.rank == x.rank and elements(v.shape) < 2000)
    if not index:
        return False
    axis = scope.rng.randrange(x.rank)
    others = zip(without(x.shape, axis), without(index.shape, axis))
    if any(a > b for d, e in others for a, b in zip(e, d)) or min(x.shape[axis]) < 1:
        return False
    size = scope.size(x.shape[axis])
    if size is None:
        return False
    index = scope.emit("Mod", [index, size], "i64", index.shape, 8)
    return scope.emit("GatherElements", [x, index], x.dtype, index.shape, x.high, x.frac, axis=axis)


@operator(2)
def scatter(scope: Scope):
    """ScatterElements of a weight at distinct places, or added at any."""
    x = scope.float_value(
        lambda v: v.rank > 0 and all(is_constant(d) and d[0] > 0 for d in v.shape[1:]) and min(v.shape[0]) > 0
    )
    if x is None or elements(x.shape) > 2000:
        return False
    axis = scope.rng.randrange(x.rank)
    sizes = [min(dim) for dim in x.shape]
    count = scope.rng.randrange(1, sizes[axis] + 1)
    sizes[axis] = count
    places = scope.context.numpy.permutation(min(x.shape[axis]))[:count]
    index = places.reshape([-1 if i == axis else 1 for i in range(x.rank)])
    index = scope.constant(np.broadcast_to(index, sizes), "i64")
    updates = scope.weight(sizes, x.dtype, x.frac is None)
    reduction = {"reduction": "add"} if scope.context.opset >= 16 and scope.rng.random() < 0.4 else {}
    frac = None if x.frac is None or updates.frac is None else max(x.frac, updates.frac)
    return scope.emit(
        "ScatterElements", [x, index, updates], x.dtype, x.shape, x.high + 1, frac, axis=axis, **reduction
    )


@operator(2)
def scatter_nd(scope: Scope):
    x = scope.float_value(lambda v: v.rank > 0 and min(v.shape[0]) > 1 and all(is_constant(d) for d in v.shape[1:]))
    if x is None or elements(x.shape) > 4000:
        return False
    count = scope.rng.randrange(1, min(x.shape[0]) + 1)
    places = scope.context.numpy.permutation(min(x.shape[0]))[:count]
    index = scope.constant(places.reshape(-1, 1), "i64")
    updates = scope.weight([count, *[d[0] for d in x.shape[1:]]], x.dtype, x.frac is None)
    frac = None if x.frac is None or updates.frac is None else max(x.frac, updates.frac)
    return scope.emit("ScatterND", [x, index, updates], x.dtype, x.shape, max(x.high, 1), frac)


@operator(1)
def depth_to_space(scope: Scope):
    x = scope.float_value(lambda v: v.rank == 4 and v.dtype == "f32")
    if x is None:
        return False
    n, c, h, w = x.shape
    if all(size % 4 == 0 and size for size in c):
        shape = (n, *[tuple(s // 4 for s in c)], tuple(s * 2 for s in h), tuple(s * 2 for s in w))
        mode = scope.rng.choice(["DCR", "CRD"])
        return scope.emit("DepthToSpace", [x], x.dtype, shape, x.high, x.frac, blocksize=2, mode=mode)
    if all(size % 2 == 0 for dim in (h, w) for size in dim):
        shape = (n, tuple(s * 4 for s in c), tuple(s // 2 for s in h), tuple(s // 2 for s in w))
        return scope.emit("SpaceToDepth", [x], x.dtype, shape, x.high, x.frac, blocksize=2)
    return False


@operator(1)
def trilu(scope: Scope):
    x = scope.float_value(lambda v: v.rank >= 2 and v.dtype != "f16")
    if x is None:
        return False
    inputs = [x, scope.constant(scope.rng.randrange(-2, 3), "i64")] if scope.rng.random() < 0.5 else [x]
    return scope.emit("Trilu", inputs, x.dtype, x.shape, x.high, x.frac, upper=scope.rng.randrange(2))


@operator(2)
def constant_of_shape(scope: Scope):
    x = scope.pick(lambda v: 0 < v.rank < 4)
    if x is None:
        return False
    target = scope.sizes(x.shape)
    if target is None:
        return False
    value = numpy_helper.from_array(np.array([scope.rng.choice([0.0, 0.5, -1.0])], np.float32))
    return scope.emit("ConstantOfShape", [target], "f32", x.shape, 0, 1, value=value)


@operator(2)
def range_(scope: Scope):
    x = scope.pick(lambda v: v.rank > 0)
    if x is None:
        return False
    dim = scope.rng.choice(x.shape)
    size = scope.size(dim)
    if size is None or max(dim) > 512:
        return False
    limit = scope.emit("Squeeze", [size, scope.ints([0])], "i64", (), 8, known=dim)
    inputs = [scope.constant(0, "i64"), limit, scope.constant(1, "i64")]
    return scope.emit("Range", inputs, "i64", (dim,), 9)


@operator(1)
def one_hot(scope: Scope):
    x = scope.pick(lambda v: v.dtype == "i64" and 0 < v.rank < 4 and elements(v.shape) < 1000)
    if x is None:
        return False
    values = scope.constant([0.0, 1.0], "f32")
    # ONNX's evaluator takes an index past the depth modulo it; nothing is on there.
    x = scope.emit("Mod", [x, scope.constant(5, "i64")], "i64", x.shape, 4)
    return scope.emit("OneHot", [x, scope.constant(5, "i64"), values], "f32", (*x.shape, constant(5)), 0, 0)


def reduce(scope: Scope, op: str, x: Value, axes: list[int], keep: bool, high: float | None = None, frac=None) -> Value:
    shape = tuple(ONE if i in axes else dim for i, dim in enumerate(x.shape) if keep or i not in axes)
    attributes = {"keepdims": int(keep)}
    inputs = [x]
    axes = [a - x.rank if scope.rng.random() < 0.3 else a for a in axes]
    if op == "ReduceSum" or scope.context.opset >= 18:
        inputs.append(scope.ints(axes))
    else:
        attributes["axes"] = axes
    if op in ("ReduceMax", "ReduceMin"):
        frac = x.frac
    return scope.emit(op, inputs, x.dtype, shape, x.high if high is None else high, frac, **attributes)


@operator(1)
def size_of(scope: Scope):
    """A scalar that the graph computes from shapes; conditions and trip counts use it."""
    x = scope.pick(lambda v: v.rank > 0)
    if x is None:
        return False
    dim = scope.rng.choice(x.shape)
    size = scope.size(dim)
    if size is None:
        return False
    return scope.emit("Squeeze", [size, scope.ints([0])], "i64", (), 8, known=dim)


@operator(1)
def sink(scope: Scope):
    """Operators whose result's size depends on data: outputs alone."""
    x = scope.pick(lambda v: v.exact and 0 < v.rank and v.dtype in ("f32", "i64", "bool") and v.nonempty)
    if x is None or scope.depth > 0:
        return False
    op = scope.rng.choice(["NonZero", "Compress", "Unique"])
    if op == "NonZero":
        scope.emit(op, [x], "i64", None)
    elif op == "Unique" and x.dtype in ("f32", "i64"):
        scope.emit(op, [x], x.dtype, None, x.high, x.frac, sorted=1)
    else:
        flags = scope.constant([i % 3 == 0 for i in range(min(x.shape[0]))], "bool")
        scope.emit("Compress", [x, flags], x.dtype, None, x.high, x.frac, axis=0)
    return True
