"""Reductions, normalizations, products and windows (see operators.py)."""

from __future__ import annotations

import math

from .operators import axis_of, fits, operator, reduce, tame, without
from .scope import HIGHEST, ONE, RUNS, Scope, Shape, Value, broadcast, constant, is_constant


@operator(8)
def reduction(scope: Scope):
    x = scope.float_value(lambda v: v.rank > 0)
    if x is None:
        return False
    axes = sorted(scope.rng.sample(range(x.rank), scope.rng.randrange(1, min(x.rank, 3) + 1)))
    count = max(math.prod(x.shape[a][run] for a in axes) for run in range(RUNS))
    least = min(math.prod(x.shape[a][run] for a in axes) for run in range(RUNS))
    op = scope.rng.choice(
        [
            "ReduceSum",
            "ReduceSum",
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSumExp",
            "ReduceProd",
        ]
    )
    if least == 0 and op not in ("ReduceSum", "ReduceL1", "ReduceSumSquare"):
        return False
    if op in ("ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
        x = tame(scope, x)
    if op == "ReduceProd" and (x.high > 1 or count > 6):
        return False
    grown = x.high + math.log2(max(count, 1))
    high = {"ReduceSumSquare": x.high + grown, "ReduceProd": 6}.get(op, grown)
    if high > HIGHEST:
        return False
    frac = x.frac if op in ("ReduceSum", "ReduceL1") else None
    return reduce(scope, op, x, axes, scope.rng.random() < 0.5, high, frac)


@operator(2)
def arg(scope: Scope):
    x = scope.float_value(lambda v: v.exact and v.rank > 0 and v.nonempty and v.dtype != "f16")
    if x is None:
        return False
    axis = axis_of(scope, x)
    keep = scope.rng.randrange(2)
    shape = without(x.shape, axis, (ONE,) if keep else ())
    op = scope.rng.choice(["ArgMax", "ArgMin"])
    return scope.emit(op, [x], "i64", shape, 9, axis=axis, keepdims=keep, select_last_index=scope.rng.randrange(2))


@operator(2)
def top_k(scope: Scope):
    x = scope.float_value(lambda v: v.exact and v.rank > 0 and v.nonempty and v.dtype != "f16")
    if x is None:
        return False
    axis = scope.rng.randrange(x.rank)
    k = scope.rng.randrange(1, min(x.shape[axis]) + 1)
    names = [scope.context.name(), scope.context.name()]
    scope.raw("TopK", [x.name, scope.ints([k]).name], names, axis=axis, largest=scope.rng.randrange(2))
    shape = without(x.shape, axis, (constant(k),))
    scope.add(Value(names[0], x.dtype, shape, x.high, x.frac))
    scope.add(Value(names[1], "i64", shape, 9))
    return True


@operator(1)
def cum_sum(scope: Scope):
    x = scope.float_value(lambda v: v.rank > 0 and v.dtype != "f16")
    if x is None:
        return False
    axis = scope.rng.randrange(x.rank)
    high = x.high + math.log2(max(max(x.shape[axis]), 1))
    if high > HIGHEST:
        return False
    flags = {"exclusive": scope.rng.randrange(2), "reverse": scope.rng.randrange(2)}
    return scope.emit("CumSum", [x, scope.constant(axis, "i64")], x.dtype, x.shape, high, x.frac, **flags)


@operator(4)
def softmax(scope: Scope):
    x = scope.float_value(lambda v: v.rank > 0 and v.nonempty)
    if x is None:
        return False
    op = scope.rng.choice(["Softmax", "Softmax", "LogSoftmax"])
    return scope.emit(op, [x], x.dtype, x.shape, 0 if op == "Softmax" else x.high + 3, axis=axis_of(scope, x))


@operator(3)
def normalization(scope: Scope):
    op = scope.rng.choice(
        ["LayerNormalization", "InstanceNormalization", "BatchNormalization", "LpNormalization", "RMS"]
    )
    x = scope.float_value(lambda v: v.rank >= 2 and v.nonempty and v.dtype == "f32" and is_constant(v.shape[1]))
    if x is None:
        return False
    if op == "LpNormalization":
        x = scope.emit("Exp", [scope.emit("Tanh", [x], "f32", x.shape, 0)], "f32", x.shape, 2)
        return scope.emit(op, [x], "f32", x.shape, 0, axis=axis_of(scope, x), p=scope.rng.randrange(1, 3))
    if op == "LayerNormalization" or op == "RMS":
        if not is_constant(x.shape[-1]) or scope.context.opset < 17:
            return False
        size = x.shape[-1][0]
        inputs = [x, scope.weight([size], rounded=True)]
        if op == "RMS":
            if scope.context.opset < 23:
                return False
            return scope.emit("RMSNormalization", inputs, "f32", x.shape, 4, axis=-1)
        if scope.rng.random() < 0.6:
            inputs.append(scope.weight([size], rounded=True))
        # What has no variance to speak of magnifies rounding.
        return scope.emit(op, inputs, "f32", x.shape, 4, axis=-1, epsilon=0.1)
    channels = x.shape[1][0]
    inputs = [x] + [scope.weight([channels], rounded=True) for _ in range(2)]
    if op == "InstanceNormalization":
        if x.rank < 3:
            return False
        return scope.emit(op, inputs, "f32", x.shape, 4, epsilon=0.1)
    variance = scope.constant(scope.context.numpy.uniform(0.5, 2, channels), "f32")
    inputs += [scope.weight([channels], rounded=True), variance]
    if x.high > HIGHEST - 3:
        return False
    return scope.emit(op, inputs, "f32", x.shape, x.high + 2)


@operator(7)
def matmul(scope: Scope):
    x = scope.float_value(lambda v: v.rank >= 1 and v.dtype != "f16")
    if x is None:
        return False
    inner = x.shape[-1]

    def right(v: Value) -> bool:
        return v.dtype == x.dtype and v.rank >= 2 and v.shape[-2] == inner and v is not x

    y = scope.float_value(right) if scope.rng.random() < 0.5 else None
    if y is None and scope.rng.random() < 0.3 and x.rank >= 2:
        y = scope.emit("Transpose", [x], x.dtype, (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.high, x.frac,
                       perm=[*range(x.rank - 2), x.rank - 1, x.rank - 2])  # fmt: skip
    if y is None:
        if not is_constant(inner) or inner[0] > 256:
            return False
        y = scope.weight([inner[0], scope.rng.choice([1, 3, 8, 17])], x.dtype, x.frac is None)
    batch = broadcast(x.shape[:-2], y.shape[:-2])
    if batch is None:
        return False
    shape = batch + x.shape[-2:-1] + y.shape[-1:]
    high = x.high + y.high + math.log2(max(*inner, 1))
    if not fits(shape) or high > HIGHEST:
        return False
    frac = None if x.frac is None or y.frac is None else x.frac + y.frac
    return scope.emit("MatMul", [x, y], x.dtype, shape, high, frac)


@operator(2)
def gemm(scope: Scope):
    x = scope.float_value(
        lambda v: v.rank == 2 and v.dtype != "f16" and is_constant(v.shape[1]) and 0 < v.shape[1][0] < 256
    )
    if x is None:
        return False
    inner, columns = x.shape[1][0], scope.rng.choice([1, 4, 9])
    transposed = scope.rng.randrange(2)
    y = scope.weight([columns, inner] if transposed else [inner, columns], x.dtype, True)
    inputs = [x, y]
    if scope.rng.random() < 0.6:
        inputs.append(scope.weight(scope.rng.choice([[columns], [1], [1, columns]]), x.dtype, True))
    high = x.high + y.high + math.log2(inner) + 1
    if high > HIGHEST:
        return False
    return scope.emit("Gemm", inputs, x.dtype, (x.shape[0], constant(columns)), high, transB=transposed, alpha=0.5)


def image(scope: Scope) -> Value | None:
    """A value [N, C, H, W] with known C: one that is there, or a reshape of another."""
    x = scope.float_value(
        lambda v: v.rank == 4 and is_constant(v.shape[1]) and 0 < v.shape[1][0] <= 16 and v.dtype == "f32"
        and min(*v.shape[2], *v.shape[3]) > 0
    )  # fmt: skip
    if x is not None and x.high <= HIGHEST - 6:
        return x
    x = scope.float_value(lambda v: v.rank == 2 and v.dtype == "f32" and v.nonempty and v.high < 8)
    if x is None:
        return None
    return scope.emit("Unsqueeze", [x, scope.ints([0, 1])], "f32", (ONE, ONE, *x.shape), x.high, x.frac)


def window(shape: Shape, kernel: list[int], strides: list[int], pads: list[int], dilations: list[int]) -> Shape | None:
    result = []
    for i, dim in enumerate(shape):
        span = dilations[i] * (kernel[i] - 1) + 1
        sizes = tuple((size + pads[i] + pads[i + len(kernel)] - span) // strides[i] + 1 for size in dim)
        if min(size + pads[i] + pads[i + len(kernel)] - span for size in dim) < 0:
            return None
        result.append(sizes)
    return tuple(result)


@operator(5)
def conv(scope: Scope):
    x = image(scope)
    if x is None:
        return False
    rng = scope.rng
    channels = x.shape[1][0]
    groups = rng.choice([1, 1, channels])
    kernel = [rng.choice([1, 2, 3]) for _ in range(2)]
    strides = [rng.choice([1, 1, 2]) for _ in range(2)]
    pads = [rng.randrange(0, k) for k in kernel * 2]
    dilations = [rng.choice([1, 1, 2]) for _ in range(2)]
    spatial = window(x.shape[2:], kernel, strides, pads, dilations)
    if spatial is None:
        return False
    out = groups * rng.choice([1, 2]) if groups > 1 else rng.choice([1, 3, 8])
    shape = (x.shape[0], constant(out), *spatial)
    if not fits(shape):
        return False
    inputs = [x, scope.weight([out, channels // groups, *kernel], rounded=True)]
    if rng.random() < 0.6:
        inputs.append(scope.weight([out], rounded=True))
    high = x.high + 2 + math.log2(channels // groups * math.prod(kernel))
    if high > HIGHEST:
        return False
    return scope.emit(
        "Conv", inputs, "f32", shape, high, strides=strides, pads=pads, dilations=dilations, group=groups,
        kernel_shape=kernel,
    )  # fmt: skip


@operator(1)
def conv_transpose(scope: Scope):
    x = image(scope)
    if x is None or x.high > 6 or max(*x.shape[2], *x.shape[3]) > 40:
        return False
    channels, out, stride = x.shape[1][0], scope.rng.choice([1, 4]), scope.rng.choice([1, 2])
    shape = (x.shape[0], constant(out), *[tuple((s - 1) * stride + 3 for s in dim) for dim in x.shape[2:]])
    if not fits(shape):
        return False
    weights = scope.weight([channels, out, 3, 3], rounded=True)
    return scope.emit("ConvTranspose", [x, weights], "f32", shape, x.high + 7, strides=[stride, stride])


@operator(3)
def pool(scope: Scope):
    x = image(scope)
    if x is None:
        return False
    op = scope.rng.choice(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])
    if op.startswith("Global"):
        frac = x.frac if op == "GlobalMaxPool" else None
        return scope.emit(op, [x], "f32", (*x.shape[:2], ONE, ONE), x.high, frac)
    kernel = [scope.rng.choice([1, 2, 3]) for _ in range(2)]
    strides = [scope.rng.choice([1, 2]) for _ in range(2)]
    pads = [scope.rng.randrange(0, k) for k in kernel * 2]
    spatial = window(x.shape[2:], kernel, strides, pads, [1, 1])
    if spatial is None:
        return False
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if op == "AveragePool":
        attributes["count_include_pad"] = scope.rng.randrange(2)
    frac = x.frac if op == "MaxPool" else None
    return scope.emit(op, [x], "f32", (*x.shape[:2], *spatial), x.high, frac, **attributes)


@operator(1)
def resize(scope: Scope):
    x = image(scope)
    if x is None:
        return False
    mode = scope.rng.choice(["nearest", "linear"])
    shape = (*x.shape[:2], *[tuple(s * 2 for s in dim) for dim in x.shape[2:]])
    if not fits(shape):
        return False
    scales = scope.constant([1.0, 1.0, 2.0, 2.0], "f32")
    frac = x.frac if mode == "nearest" else None
    attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if mode == "nearest" else {}
    return scope.emit("Resize", [x, None, scales], "f32", shape, x.high, frac, mode=mode, **attributes)


@operator(1)
def einsum(scope: Scope):
    x = scope.float_value(lambda v: v.rank == 2 and v.dtype == "f32")
    if x is None:
        return False
    high = 2 * x.high + math.log2(max(*x.shape[1], 1))
    if high > HIGHEST:
        return False
    shape = (x.shape[0], x.shape[0])
    frac = None if x.frac is None else 2 * x.frac
    return scope.emit("Einsum", [x, x], "f32", shape, high, frac, equation="ij,kj->ik") if fits(shape) else False
