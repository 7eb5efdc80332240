"""Subgraphs (If, Loop, Scan, in each other), sequences, and local functions."""

from __future__ import annotations

import math

import numpy as np
from onnx import helper, numpy_helper

from . import sums  # noqa: F401  registers its operators
from .operators import OPERATORS, fits, operator, reduce, tame, without
from .scope import HIGHEST, ONE, RUNS, TYPES, Scope, Sequence, Value, broadcast, is_constant

DEEPEST = 3


def add_operator(scope: Scope) -> None:
    """One more operator, whichever takes what is there."""
    functions, weights = zip(*[(f, w) for f, w in OPERATORS if scope.depth < DEEPEST or f not in NESTING])
    for _ in range(30):
        if scope.rng.choices(functions, weights)[0](scope) is not False:
            return


def value_info(value: Value, scope: Scope, sizes: bool = False):
    """The type; with sizes where they are constants and the rank alone otherwise."""
    if value.shape is None:
        return helper.make_tensor_value_info(value.name, TYPES[value.dtype], None)
    dims = [d[0] if sizes and is_constant(d) else scope.context.name("d") for d in value.shape]
    return helper.make_tensor_value_info(value.name, TYPES[value.dtype], dims)


def own(scope: Scope, value: Value) -> Value:
    """The value as one that a node of this scope makes: what a graph's output has to be. Now and then it is one twice."""
    produced = {name for node in scope.nodes for name in node.output}
    kept = scope.rng.random() < (0.1 if value.name in scope.given else 0.9)
    if value.name in produced and kept and scope.context.unique and value.name in scope.given:
        name = scope.context.name()
        scope.raw("Identity", [value.name], [name])
        return Value(name, value.dtype, value.shape, value.high, value.frac, value.known)
    if value.name in produced and kept:
        scope.given.add(value.name)
        return value
    copy = scope.emit("Identity", [value], value.dtype, value.shape, value.high, value.frac, value.known)
    scope.given.add(copy.name)
    return copy


def join(a: Value, b: Value) -> tuple[float, int | None]:
    return max(a.high, b.high), None if a.frac is None or b.frac is None else max(a.frac, b.frac)


def condition(scope: Scope) -> Value:
    """A scalar: an input, a comparison of sizes, one of data, or a constant."""
    kind = scope.rng.random()
    if kind < 0.4:
        found = scope.pick(lambda v: v.dtype == "bool" and v.rank == 0)
        if found is not None:
            return found
    if kind < 0.7:
        size = scope.pick(lambda v: v.dtype == "i64" and v.rank == 0 and v.known is not None)
        if size is not None:
            limit = scope.rng.randrange(0, 5)
            known = tuple(int(k > limit) for k in size.known)
            return scope.emit("Greater", [size, scope.constant(limit, "i64")], "bool", (), known=known)
    if kind < 0.9:
        x = scope.float_value(lambda v: v.exact and v.rank > 0 and v.nonempty and v.high < 10)
        if x is not None:
            high = x.high + math.log2(max(math.prod(d[r] for d in x.shape) for r in range(RUNS)))
            total = reduce(scope, "ReduceSum", x, list(range(x.rank)), False, high, x.frac)
            if total.exact:
                return scope.emit("Greater", [total, scope.constant(0.0, x.dtype)], "bool", ())
    return scope.constant(scope.rng.random() < 0.5, "bool")


def fill(scope: Scope, most: int = 5) -> None:
    for _ in range(scope.rng.randrange(1, most)):
        add_operator(scope)


@operator(5)
def if_(scope: Scope):
    decided = condition(scope)
    branches = []
    start = scope.context.number
    for _ in range(2):
        # Subgraphs may use the same names: every second time both do.
        if scope.rng.random() < 0.5 and branches and not scope.context.unique:
            end, scope.context.number = scope.context.number, start
            branch = Scope(scope.context, scope)
            fill(branch)
            scope.context.number = max(end, scope.context.number)
        else:
            branch = Scope(scope.context, scope)
            fill(branch)
        branches.append(branch)
    then, otherwise = branches
    pairs, results = [], []
    for _ in range(scope.rng.randrange(1, 3)):
        a = then.pick(lambda v: v.dtype != "bool")
        if decided.known is not None:
            b = otherwise.pick(lambda v, a=a: v.dtype == a.dtype and v.rank == a.rank)
        else:
            b = otherwise.pick(lambda v, a=a: v.dtype == a.dtype and v.shape == a.shape)
        if b is None:
            a = b = scope.pick(lambda v: v.dtype != "bool")
        if a is b and a.is_float and scope.rng.random() < 0.5:
            b = otherwise.emit("Neg", [b], b.dtype, b.shape, b.high, b.frac)
        a, b = own(then, a), own(otherwise, b)
        dims = tuple(
            tuple(x if decided.known is None or decided.known[r] else y for r, (x, y) in enumerate(zip(p, q)))
            for p, q in zip(a.shape, b.shape)
        )
        high, frac = join(a, b)
        pairs.append((a, b))
        results.append(Value(scope.context.name(), a.dtype, dims, high, frac))
    graphs = [
        helper.make_graph(branch.nodes, scope.context.name("g"), [], [value_info(p[i], scope) for p in pairs])
        for i, branch in enumerate(branches)
    ]
    scope.used.update(*[branch.used for branch in branches])
    scope.raw("If", [decided.name], [r.name for r in results], then_branch=graphs[0], else_branch=graphs[1])
    for result in results:
        scope.add(result)
    return True


def next_state(body: Scope, state: Value, states: list[Value]) -> Value:
    """A new value for a state, of its shape, and within its bounds after any number of iterations."""
    rng = body.rng
    if rng.random() < 0.15:  # states that change places, or one that stays
        return own(
            body,
            rng.choice(
                [s for s in states if s.shape == state.shape and s.dtype == state.dtype and s.frac == state.frac]
            ),
        )
    if state.dtype == "bool":
        return body.emit(rng.choice(["Not", "Identity"]), [state], "bool", state.shape)
    like = body.pick(
        lambda v: v.dtype == state.dtype and v.name != state.name and broadcast(v.shape, state.shape) == state.shape
        and (state.frac is None or (v.frac is not None and v.frac <= state.frac)) and v.high < HIGHEST - 2
    )  # fmt: skip
    now = state
    if rng.random() < 0.4:
        op = rng.choice(["Neg", "Abs"])
        now = body.emit(op, [now], state.dtype, state.shape, state.high, state.frac)
    if like is not None and rng.random() < 0.8:
        op = rng.choice(["Add", "Sub", "Max"])
        high, frac = join(now, like)
        now = body.emit(op, [now, like], state.dtype, state.shape, high + 1, frac)
    if not state.is_float:
        return body.emit("Mod", [now, body.constant(13, state.dtype)], state.dtype, state.shape, state.high)
    if state.frac is None and rng.random() < 0.5:
        return body.emit("Tanh", [now], state.dtype, state.shape, 0)
    low, top = body.constant(-4.0, state.dtype), body.constant(4.0, state.dtype)
    return body.emit("Clip", [now, low, top], state.dtype, state.shape, state.high, state.frac)


def start_states(scope: Scope, count: int) -> list[Value]:
    """Values to begin with: those of the scope itself, which are used elsewhere too."""
    found = []
    for _ in range(count):
        value = scope.pick(lambda v: v.rank <= 4 and v.high <= 10)
        if value is not None:
            found.append(value)
    return found


def inner_states(body: Scope, states: list[Value]) -> list[Value]:
    inner = []
    for state in states:
        frac = state.frac if body.rng.random() < 0.6 else None
        high = max(state.high, 4.0)
        if frac is not None:
            frac = frac if high + frac + 2 < 24 and state.dtype != "f16" else None
        inner.append(body.add(Value(body.context.name("s"), state.dtype, state.shape, high, frac)))
    return inner


def scalar_info(name: str, dtype: str):
    return helper.make_tensor_value_info(name, TYPES[dtype], [])


@operator(6)
def loop(scope: Scope):
    rng, context = scope.rng, scope.context
    states = start_states(scope, rng.randrange(1, 4))
    if not states:
        return False
    trips: tuple[int, ...] | None
    count = scope.pick(lambda v: v.dtype == "i64" and v.rank == 0 and v.known is not None and max(v.known) <= 6)
    if count is None or rng.random() < 0.3:
        count = scope.constant(rng.choice([0, 1, 2, 3]), "i64")
    trips = tuple(max(0, k) for k in count.known)
    first = rng.choice([None, condition(scope), scope.constant(True, "bool")])
    if first is not None:
        trips = None if first.known is None else tuple(t * k for t, k in zip(trips, first.known))
    body = Scope(context, scope)
    iteration = body.add(Value(context.name("i"), "i64", (), 3))
    keep = Value(context.name("c"), "bool", ())
    inner = inner_states(body, states)
    fill(body)
    after = [next_state(body, state, inner) for state in inner]
    body.given.update(value.name for value in after)
    kind = rng.random()
    # Without a first condition, what the body says of going on counts for ONNX Runtime and not for ONNX's evaluator.
    if kind < 0.6 or first is None:
        going = body.emit("Identity", [keep], "bool", ())
        body.context.counts["Loop by count"] += 1
    elif kind < 0.8:
        limit = rng.randrange(0, 4)
        going = body.emit("Less", [iteration, body.constant(limit, "i64")], "bool", ())
        trips = None if trips is None else tuple(min(t, limit + 1) for t in trips)
    else:
        going = own(body, condition(body))
        trips = None
    body.given.add(going.name)
    stacked = []
    if trips is not None:
        for _ in range(rng.randrange(0, 3)):
            value = body.pick(
                lambda v: v.rank <= 4 and fits(v.shape) and (min(trips) > 0 or all(map(is_constant, v.shape)))
            )
            if value is not None and value.name != keep.name:
                stacked.append(own(body, value))
    outputs = [going, *after, *stacked]
    inputs = [
        scalar_info(iteration.name, "i64"),
        scalar_info(keep.name, "bool"),
        *[value_info(s, scope) for s in inner],
    ]
    graph = helper.make_graph(
        body.nodes, context.name("g"), inputs, [value_info(v, scope, v in stacked) for v in outputs]
    )
    results = [Value(context.name(), s.dtype, s.shape, max(s.high, i.high), i.frac) for s, i in zip(states, inner)]
    results += [Value(context.name(), v.dtype, (trips, *v.shape), v.high, v.frac) for v in stacked]
    scope.used.update(body.used)
    given = [count.name, first.name if first is not None else "", *[s.name for s in states]]
    scope.raw("Loop", given, [r.name for r in results], body=graph)
    context.counts["Loop without trips in a run"] += trips is not None and min(trips) == 0
    for result in results:
        scope.add(result)
    return True


@operator(2)
def growing_loop(scope: Scope):
    """A state that gets longer with each iteration, as a cache of keys does."""
    rng, context = scope.rng, scope.context
    x = scope.float_value(lambda v: 0 < v.rank <= 3 and v.high < 10)
    count = scope.pick(lambda v: v.dtype == "i64" and v.rank == 0 and v.known is not None and max(v.known) <= 6)
    if x is None or count is None:
        return False
    trips = tuple(max(0, k) for k in count.known)
    body = Scope(context, scope)
    iteration, keep = Value(context.name("i"), "i64", (), 3), Value(context.name("c"), "bool", ())
    name = context.name("s")
    going = body.emit("Identity", [keep], "bool", ())
    piece = x if rng.random() < 0.5 else body.emit("Neg", [x], x.dtype, x.shape, x.high, x.frac)
    grown = Value(context.name(), x.dtype, x.shape, x.high, x.frac)
    order = [name, piece.name] if rng.random() < 0.7 else [piece.name, name]
    body.raw("Concat", order, [grown.name], axis=0)
    state = Value(name, x.dtype, x.shape)
    graph = helper.make_graph(
        body.nodes, context.name("g"),
        [scalar_info(iteration.name, "i64"), scalar_info(keep.name, "bool"), value_info(state, scope)],
        [value_info(going, scope), value_info(grown, scope)],
    )  # fmt: skip
    scope.used.update(body.used)
    dim = tuple(size * (1 + t) for size, t in zip(x.shape[0], trips))
    if not fits((dim, *x.shape[1:])):
        return False
    result = Value(context.name(), x.dtype, (dim, *x.shape[1:]), x.high, x.frac)
    scope.raw("Loop", [count.name, "", x.name], [result.name], body=graph)
    scope.add(result)
    return True


@operator(4)
def scan(scope: Scope):
    rng, context = scope.rng, scope.context
    states = start_states(scope, rng.randrange(0, 3))
    x = scope.pick(lambda v: v.rank > 0 and v.dtype != "bool")
    if x is None:
        return False
    axis = rng.randrange(x.rank)
    length = x.shape[axis]
    if max(length) > 12:
        return False
    body = Scope(context, scope)
    inner = inner_states(body, states)
    element = body.add(Value(context.name("e"), x.dtype, without(x.shape, axis), x.high, x.frac))
    fill(body, 4)
    after = [next_state(body, state, inner) for state in inner]
    body.given.update(value.name for value in after)
    stacked = []
    for _ in range(rng.randrange(0 if states else 1, 3)):
        value = body.pick(
            lambda v: v.rank <= 4 and fits((*v.shape, length)) and (min(length) > 0 or all(map(is_constant, v.shape)))
        )
        if value is not None:
            stacked.append(own(body, value))
    if not stacked and not after:
        return False
    graph = helper.make_graph(
        body.nodes, context.name("g"), [value_info(v, scope) for v in (*inner, element)],
        [value_info(v, scope, v in stacked) for v in (*after, *stacked)],
    )  # fmt: skip
    results = [Value(context.name(), s.dtype, s.shape, max(s.high, i.high), i.frac) for s, i in zip(states, inner)]
    attributes = {"scan_input_axes": [axis], "scan_input_directions": [rng.randrange(2)]}
    if stacked and rng.random() < 0.4:
        attributes["scan_output_directions"] = [rng.randrange(2) for _ in stacked]
    results += [Value(context.name(), v.dtype, (length, *v.shape), v.high, v.frac) for v in stacked]
    scope.used.update(body.used)
    scope.raw(
        "Scan", [*[s.name for s in states], x.name], [r.name for r in results], body=graph, num_scan_inputs=1, **attributes
    )  # fmt: skip
    context.counts["Scan without trips in a run"] += min(length) == 0
    for result in results:
        scope.add(result)
    return True


# Sequences.


@operator(3)
def sequence(scope: Scope):
    x = scope.float_value(lambda v: 0 < v.rank <= 4)
    if x is None:
        return False
    items = [x]
    for _ in range(scope.rng.randrange(0, 3)):
        items.append(scope.float_value(lambda v: v.dtype == x.dtype and v.rank == x.rank))
    high = max(v.high for v in items)
    frac = None if any(v.frac is None for v in items) else max(v.frac for v in items)
    name = scope.context.name("q")
    if scope.rng.random() < 0.25 and all(is_constant(d) for d in x.shape):
        scope.raw("SplitToSequence", [x.name], [name], axis=0, keepdims=1)
        shapes = [(ONE, *x.shape[1:])] * x.shape[0][0]
        high, frac = x.high, x.frac
    else:
        scope.raw("SequenceConstruct", [v.name for v in items], [name])
        shapes = [v.shape for v in items]
    for _ in range(scope.rng.randrange(0, 3)):  # a sequence is a value: the one before stays
        other = context_name = scope.context.name("q")
        if scope.rng.random() < 0.6:
            v = scope.float_value(lambda v: v.dtype == x.dtype and v.rank == x.rank)
            at = scope.rng.randrange(len(shapes) + 1)
            scope.raw("SequenceInsert", [name, v.name, scope.constant(at, "i64").name], [other])
            shapes = [*shapes[:at], v.shape, *shapes[at:]]
            high = max(high, v.high)
            frac = None if frac is None or v.frac is None else max(frac, v.frac)
        elif len(shapes) > 1:
            at = scope.rng.randrange(len(shapes))
            scope.raw("SequenceErase", [name, scope.constant(at, "i64").name], [other])
            shapes = shapes[:at] + shapes[at + 1 :]
        else:
            continue
        scope.sequences.append(Sequence(name, x.dtype, shapes, high, frac))
        name = context_name
    if not shapes:
        return False
    for _ in range(scope.rng.randrange(1, 3)):
        kind = scope.rng.random()
        if kind < 0.5:
            at = scope.rng.randrange(len(shapes))
            index = at - len(shapes) if scope.rng.random() < 0.3 else at
            scope.emit(
                "SequenceAt", [Value(name, x.dtype, ()), scope.constant(index, "i64")], x.dtype, shapes[at], high, frac
            )
        elif kind < 0.6:
            known = (len(shapes),) * RUNS
            scope.emit("SequenceLength", [Value(name, x.dtype, ())], "i64", (), 4, known=known)
        else:
            axis = scope.rng.randrange(len(shapes[0]))
            if len({without(s, axis) for s in shapes}) == 1:
                dim = tuple(sum(s[axis][r] for s in shapes) for r in range(RUNS))
                shape = without(shapes[0], axis, (dim,))
                if fits(shape):
                    scope.emit("ConcatFromSequence", [Value(name, x.dtype, ())], x.dtype, shape, high, frac, axis=axis)
    return True


@operator(2)
def sequence_loop(scope: Scope):
    """A Loop that collects values in a sequence, which is joined afterwards."""
    context = scope.context
    x = scope.float_value(lambda v: 0 < v.rank <= 3 and v.high < 10)
    count = scope.pick(lambda v: v.dtype == "i64" and v.rank == 0 and v.known is not None and max(v.known) <= 6)
    if x is None or count is None:
        return False
    trips = tuple(max(0, k) for k in count.known)
    start, inside, after, result = (context.name("q") for _ in range(4))
    scope.raw("SequenceConstruct", [x.name], [start])
    body = Scope(context, scope)
    iteration, keep = Value(context.name("i"), "i64", (), 3), Value(context.name("c"), "bool", ())
    going = body.emit("Identity", [keep], "bool", ())
    item = body.emit(scope.rng.choice(["Neg", "Abs", "Relu"]), [x], x.dtype, x.shape, x.high, x.frac)
    body.raw("SequenceInsert", [inside, item.name], [after])

    def info(name: str):
        return helper.make_tensor_sequence_value_info(name, TYPES[x.dtype], [context.name("d") for _ in x.shape])

    graph = helper.make_graph(
        body.nodes, context.name("g"),
        [scalar_info(iteration.name, "i64"), scalar_info(keep.name, "bool"), info(inside)],
        [value_info(going, scope), info(after)],
    )  # fmt: skip
    scope.used.update(body.used)
    scope.raw("Loop", [count.name, "", start], [result], body=graph)
    dim = tuple(size * (1 + t) for size, t in zip(x.shape[0], trips))
    if not fits((dim, *x.shape[1:])):
        return False
    scope.emit("ConcatFromSequence", [Value(result, x.dtype, ())], x.dtype, (dim, *x.shape[1:]), x.high, x.frac, axis=0)
    return True


# Local functions: bodies are alike but for their constants and attributes, and every call gives its own attributes.


def make_function(scope: Scope):
    rng = scope.rng
    nodes, now = [], "x"
    for step in range(rng.randrange(2, 5)):
        kind, result = rng.randrange(6), f"t{step}"
        if kind == 0:
            value = numpy_helper.from_array(np.array(rng.choice([0.5, -1.0, 0.25, 2.0]), np.float32))
            nodes.append(helper.make_node("Constant", [], ["k"] if step == 0 else [f"k{step}"], value=value))
            nodes.append(helper.make_node(rng.choice(["Mul", "Add"]), [now, nodes[-1].output[0]], [result]))
        elif kind == 1:
            node = helper.make_node("LeakyRelu", [now], [result])
            node.attribute.add(name="alpha", ref_attr_name="slope", type=1)
            nodes.append(node)
        elif kind == 2:
            nodes.append(helper.make_node(rng.choice(["Tanh", "Neg", "Softplus"]), [now], [result]))
        elif kind == 3:
            node = helper.make_node("Constant", [], [f"a{step}"])
            node.attribute.add(name="value_float", ref_attr_name="slope", type=1)
            nodes += [node, helper.make_node("Sub", [now, node.output[0]], [result])]
        elif kind == 4:
            node = helper.make_node("Softmax", [now], [result])
            node.attribute.add(name="axis", ref_attr_name="axis", type=2)
            nodes.append(node)
        elif scope.context.functions and rng.random() < 0.7:
            inner = rng.choice(scope.context.functions)
            node = helper.make_node(inner.name, [now], [result], domain="local")
            for name, kind in (("slope", 1), ("axis", 2)):
                node.attribute.add(name=name, ref_attr_name=name, type=kind)
            nodes.append(node)
        else:
            nodes.append(helper.make_node("Elu", [now], [result]))
        now = result
    nodes[-1].output[0] = "y"
    imports = [helper.make_opsetid("", scope.context.opset), helper.make_opsetid("local", 1)]
    name = f"F{len(scope.context.functions)}"
    function = helper.make_function("local", name, ["x"], ["y"], nodes, imports, ["slope", "axis"])
    scope.context.functions.append(function)
    return function


@operator(4)
def call(scope: Scope):
    x = scope.float_value(lambda v: v.dtype == "f32" and v.rank > 0 and v.nonempty)
    if x is None:
        return False
    functions = scope.context.functions
    function = make_function(scope) if len(functions) < 2 or scope.rng.random() < 0.2 else scope.rng.choice(functions)
    for _ in range(scope.rng.randrange(1, 3)):
        now = tame(scope, x)
        slope, axis = scope.rng.choice([0.1, 0.5, -0.25]), scope.rng.randrange(x.rank)
        scope.emit(function.name, [now], "f32", x.shape, 8, domain="local", slope=slope, axis=axis)
    return True


NESTING = {if_, loop, scan, sequence_loop, growing_loop}
