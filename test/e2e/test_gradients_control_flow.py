"""Derivatives through If, Loop and Scan that the run decides, against central differences in float64.

The loss of a model is computed by ONNX's evaluator, or where that lacks something by NumPy, written here. Inputs of float64
are differentiated. Each program is compiled a second time with --no-reuse: the same bits must come out.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from harness import STEP, differences
from onnx import parser
from onnx.reference import ReferenceEvaluator

from dsutil import tools

TOLERANCE = 1e-5
RNG = np.random.default_rng(8)


def floats(*shape):
    return RNG.standard_normal(shape) * 0.7


def number(value):
    return np.array(value, np.int64)


def truth(value):
    return np.array(value)


@dataclasses.dataclass
class Model:
    name: str
    text: str  # its first output is the loss
    runs: list[dict[str, np.ndarray]]
    # The outputs, by NumPy; None: by ONNX's evaluator.
    reference: Callable | None = None


IF = [
    Model(
        "if_one_branch_uses_it",
        """g (double[N,M] x, double[M] w, bool c) => (double loss) {
          y = If (c) <
            then_branch = t () => (double[N,M] o) { p = Mul(x, w)  e = Exp(x)  o = Add(p, e) },
            else_branch = f () => (double[N,M] o2) { o2 = Sin(x) }
          >
          s = Sin(y)
          loss = ReduceSum<keepdims=0>(s)
        }""",
        [{"x": floats(n, m), "w": floats(m), "c": truth(c)} for n, m in ((3, 4), (1, 1), (0, 2)) for c in (True, False)],
    ),
    Model(
        "if_sizes_differ",
        """g (double[N,2] x, double[N,2] z, bool c) => (double loss) {
          y = If (c) <
            then_branch = t () => (double[A,2] o) { q = Concat<axis=0>(x, z, x)  o = Mul(q, q) },
            else_branch = f () => (double[B,2] o2) { o2 = Mul(x, z) }
          >
          s = Sin(y)
          loss = ReduceSum<keepdims=0>(s)
        }""",
        [{"x": floats(n, 2), "z": floats(n, 2), "c": truth(c)} for n in (3, 1, 0) for c in (True, False)],
    ),
    Model(
        "if_hands_on_what_it_gets",
        """g (double[N] x, double[N] z, bool c) => (double loss) {
          y = If (c) <
            then_branch = t () => (double[N] o) { o = Identity(x) },
            else_branch = f () => (double[N] o2) { o2 = Identity(z) }
          >
          p = Mul(y, x)
          s = Sin(p)
          loss = ReduceSum<keepdims=0>(s)
        }""",
        [{"x": floats(n), "z": floats(n), "c": truth(c)} for n in (4, 1) for c in (True, False)],
    ),
    Model(
        "if_results_of_which_some_count",
        """g (double[N,5] x, bool c) => (double loss, int64[N,2] places, double[N] kept) {
          k = Constant<value = int64[1] {2}>()
          one = Constant<value = int64[1] {1}>()
          v, places, kept = If (c) <
            then_branch = t () => (double[N,2] a, int64[N,2] b, double[N] d) {
              a, b = TopK(x, k)  e = Exp(x)  d = ReduceSum<keepdims=0>(e, one) },
            else_branch = f () => (double[N,2] a2, int64[N,2] b2, double[N] d2) {
              a2, b2 = TopK<largest=0>(x, k)  d2 = ReduceSum<keepdims=0>(x, one) }
          >
          p = Mul(v, v)
          loss = ReduceSum<keepdims=0>(p)
        }""",
        [{"x": np.round(RNG.permutation(5 * n).reshape(n, 5) / 3 - 2, 3), "c": truth(c)} for n in (2, 1) for c in (True, False)],
    ),
    Model(
        "ifs_in_an_if",
        """g (double[N] x, double[N] w, bool c, bool d) => (double loss) {
          y = If (c) <
            then_branch = t () => (double[N] o) {
              e = Exp(x)
              i = If (d) <
                then_branch = tt () => (double[N] q) { q = Mul(e, w) },
                else_branch = tf () => (double[N] q2) { q2 = Sin(e) }
              >
              o = Mul(i, x) },
            else_branch = f () => (double[N] o2) {
              i2 = If (d) <
                then_branch = ft () => (double[N] q3) { q3 = Neg(w) },
                else_branch = ff () => (double[N] q4) { q4 = Cos(x) }
              >
              o2 = Mul(i2, w) }
          >
          s = Sin(y)
          loss = ReduceSum<keepdims=0>(s)
        }""",
        [{"x": floats(n), "w": floats(n), "c": truth(c), "d": truth(d)} for n in (3,) for c in (True, False) for d in (True, False)],
    ),
    # The number of elements that are chosen only the run knows: it is a size of what the branches get, and in one of what
    # it makes.
    Model(
        "if_sizes_from_data",
        """g (double[N] x, bool[N] m, bool c) => (double loss) {
          z = Compress<axis=0>(x, m)
          e = Exp(z)
          y = If (c) <
            then_branch = t () => (double[A] o) { o = Mul(e, z) },
            else_branch = f () => (double[B] o2) { half = Constant<value = double {0.5}>()  b = Greater(e, half)
                                                   g2 = Compress<axis=0>(e, b)  o2 = Sin(g2) }
          >
          loss = ReduceSum<keepdims=0>(y)
        }""",
        [{"x": floats(6), "m": np.array([1, 0, 1, 1, 0, 1], bool), "c": truth(c)} for c in (True, False)]
        + [{"x": floats(2), "m": np.array([0, 0], bool), "c": truth(c)} for c in (True, False)],
    ),
]  # fmt: skip


def turns(*counts, **inputs):
    """Runs of so many turns each; inputs are functions that make arrays."""
    return [{**{name: make() for name, make in inputs.items()}, "n": number(n)} for n in counts]


LOOP = [
    Model(
        "loop_with_a_captured_weight",
        """g (double[N,3] x, double[3,3] w, double[3] b, int64 n) => (double loss, double[N,3] y) {
          y = Loop (n, , x) < body = l (int64 i, bool c, double[N,3] s) => (bool co, double[N,3] so) {
            co = Identity(c)  p = MatMul(s, w)  q = Add(p, b)  so = Tanh(q) } >
          t = Sin(y)
          loss = ReduceSum<keepdims=0>(t)
        }""",
        turns(0, 1, 4, x=lambda: floats(2, 3), w=lambda: floats(3, 3), b=lambda: floats(3))
        + turns(3, x=lambda: floats(0, 3), w=lambda: floats(3, 3), b=lambda: floats(3)),
        lambda x, w, b, n: rnn(x, w, b, n),
    ),
    Model(
        "loop_results_of_both_kinds",
        """g (double[N] x, double[N] w, int64 n) => (double loss, double[T,N] k) {
          y, k = Loop (n, , x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so, double[N] ko) {
            co = Identity(c)  p = Mul(s, w)  so = Sin(p)  ko = Exp(s) } >
          a = Mul(y, y)
          b = Sin(k)
          a1 = ReduceSum<keepdims=0>(a)
          b1 = ReduceSum<keepdims=0>(b)
          loss = Add(a1, b1)
        }""",
        turns(0, 1, 3, x=lambda: floats(4), w=lambda: floats(4)),
        lambda x, w, n: kept(x, w, n),
    ),
    # Only what is kept has a cotangent; the state has one between iterations alone.
    Model(
        "loop_only_what_is_kept_counts",
        """g (double[N] x, double[N] w, int64 n) => (double loss) {
          y, k = Loop (n, , x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so, double ko) {
            co = Identity(c)  so = Mul(s, w)  e = Exp(so)  ko = ReduceSum<keepdims=0>(e) } >
          b = Sin(k)
          loss = ReduceSum<keepdims=0>(b)
        }""",
        turns(0, 1, 3, x=lambda: floats(4), w=lambda: floats(4)),
        lambda x, w, n: only_kept(x, w, n),
    ),
    Model(
        "loop_ends_early",
        """g (double[N] x, double[N] w, int64 n) => (double loss, double[N] y) {
          most = Constant<value = double {6.0}>()
          yes = Constant<value = bool {1}>()
          y, k = Loop (n, yes, x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so, double ko) {
            q = Mul(s, s)  ko = ReduceSum<keepdims=0>(q)  co = Less(ko, most)  e = Exp(w)  so = Mul(s, e) } >
          t = Sin(y)
          r = Sin(k)
          a = ReduceSum<keepdims=0>(t)
          b = ReduceSum<keepdims=0>(r)
          loss = Add(a, b)
        }""",
        turns(0, 2, 50, x=lambda: floats(3) + 0.5, w=lambda: floats(3) ** 2 + 0.1),
        lambda x, w, n: grows(x, w, n),
    ),
    Model(
        "loop_until_a_condition_alone",
        """g (double[N] x, double[N] w, bool c0) => (double loss) {
          most = Constant<value = double {20.0}>()
          y = Loop ( , c0, x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so) {
            e = Exp(w)  so = Mul(s, e)  q = Mul(so, so)  k = ReduceSum<keepdims=0>(q)  co = Less(k, most) } >
          t = Sin(y)
          loss = ReduceSum<keepdims=0>(t)
        }""",
        [{"x": floats(3) + 0.5, "w": floats(3) ** 2 + 0.1, "c0": truth(c)} for c in (True, False)],
        lambda x, w, c0: until(x, w, c0),
    ),
    # Integers and booleans carry no cotangents, but what they were counts.
    Model(
        "loop_of_integers_and_truths_too",
        """g (double[N] x, int64 j, int64 n) => (double loss, int64 jn) {
          two = Constant<value = int64 {2}>()
          no = Constant<value = bool {0}>()
          y, jn, odd = Loop (n, , x, j, no) < body = l (int64 i, bool c, double[N] s, int64 k, bool o)
              => (bool co, double[N] so, int64 ko, bool oo) {
            co = Identity(c)
            f = Cast<to=11>(k)
            h = Cast<to=11>(i)
            p = Mul(s, f)
            q = Sin(p)
            r = Mul(q, h)
            so = Where(o, r, q)
            ko = Add(k, two)
            oo = Not(o) } >
          t = Sin(y)
          loss = ReduceSum<keepdims=0>(t)
        }""",
        [{"x": floats(3), "j": number(j), "n": number(n)} for j, n in ((1, 0), (2, 1), (-1, 4), (1, 5))],
        lambda x, j, n: counted(x, j, n),
    ),
    Model(
        "loop_states_change_places",
        """g (double[N] x, double[N] z, double[N] w, int64 n) => (double loss) {
          a, b = Loop (n, , x, z) < body = l (int64 i, bool c, double[N] s, double[N] t) => (bool co, double[N] so, double[N] to) {
            co = Identity(c)  so = Identity(t)  p = Mul(s, w)  to = Sin(p) } >
          q = Sin(a)
          loss = ReduceSum<keepdims=0>(q)
        }""",
        turns(0, 1, 2, 5, x=lambda: floats(3), z=lambda: floats(3), w=lambda: floats(3)),
        lambda x, z, w, n: places(x, z, w, n),
    ),
    # The first state is used after the loop; so is the same tensor within it.
    Model(
        "loop_state_is_used_afterwards",
        """g (double[N] x, int64 n) => (double loss, double[N] z) {
          e = Exp(x)
          y = Loop (n, , e) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so) {
            co = Identity(c)  p = Mul(s, e)  so = Sin(p) } >
          z = Mul(y, e)
          t = Sin(z)
          loss = ReduceSum<keepdims=0>(t)
        }""",
        turns(0, 1, 3, x=lambda: floats(4)),
        lambda x, n: afterwards(x, n),
    ),
    Model(
        "loop_that_forgets_its_state",
        """g (double[N] x, double[N] w, int64 n) => (double loss) {
          y = Loop (n, , x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so) {
            co = Identity(c)  so = Exp(w) } >
          t = Sin(y)
          loss = ReduceSum<keepdims=0>(t)
        }""",
        turns(0, 1, 3, x=lambda: floats(4), w=lambda: floats(4)),
        lambda x, w, n: (np.sin(np.exp(w) if n > 0 else x).sum(),),
    ),
    *(
        Model(
            f"loop_takes_slices_{name}",
            f"""g (double[T,3] x, double[3,T] z, double[3] s0, int64 n) => (double loss, double[K,3] k) {{
              one = Constant<value = int64 {{1}}>()
              y, k = Loop (n, , s0) < body = l (int64 i, bool c, double[3] s) => (bool co, double[3] so, double[3] ko) {{
                co = Identity(c)
                j = {index}
                u = Gather<axis=0>(x, j)
                v = Gather<axis=1>(z, i)
                p = Mul(s, u)
                q = Add(p, v)
                so = Sin(q)
                ko = Exp(u) }} >
              t = Sin(y)
              a = ReduceSum<keepdims=0>(t)
              b = ReduceSum<keepdims=0>(k)
              loss = Add(a, b)
            }}""",
            [{"x": floats(5, 3), "z": floats(3, 5), "s0": floats(3), "n": number(n)} for n in (0, 1, 3, most)],
            lambda x, z, s0, n, row=row: slices(x, z, s0, n, row),
        )
        for name, index, row, most in (
            ("in_order", "Identity(i)", lambda i, n: i, 5),
            ("from_the_second", "Add(i, one)", lambda i, n: i + 1, 4),
            ("from_the_end", "Sub(n, i)", lambda i, n: n - i, 4),
            ("of_one_place", "Mul(one, one)", lambda i, n: 1, 5),
            ("in_squares", "Mul(i, i)", lambda i, n: i * i, 2),
        )
    ),
    Model(
        "loop_state_of_sizes_from_data",
        """g (double[N] x, bool[N] m, double[1] w, int64 n) => (double loss) {
          z = Compress<axis=0>(x, m)
          e = Exp(z)
          y, k = Loop (n, , z) < body = l (int64 i, bool c, double[A] s) => (bool co, double[B] so, double[D] ko) {
            co = Identity(c)  p = Mul(s, e)  q = Mul(p, w)  so = Sin(q)  ko = Mul(s, s) } >
          a = ReduceSum<keepdims=0>(y)
          b = ReduceSum<keepdims=0>(k)
          loss = Add(a, b)
        }""",
        [{"x": floats(5), "m": np.array(m, bool), "w": floats(1), "n": number(n)}
         for m in ([1, 0, 1, 1, 0], [0] * 5) for n in (0, 1, 3)],
        lambda x, m, w, n: chosen(x, m, w, n),
    ),
    # Its dims change; of a state that is only copied these alone count.
    Model(
        "loop_state_grows",
        """g (double[2,M] x, double[1,M] w, int64 n) => (double loss) {
          y = Loop (n, , x) < body = l (int64 i, bool c, double[A,M] s) => (bool co, double[B,M] so) {
            co = Identity(c)  f = Cast<to=11>(i)  e = Mul(w, f)  r = Sin(e)  so = Concat<axis=0>(s, r) } >
          t = Mul(y, y)
          u = Sin(t)
          loss = ReduceSum<keepdims=0>(u)
        }""",
        turns(0, 1, 4, x=lambda: floats(2, 3), w=lambda: floats(1, 3)),
        lambda x, w, n: grown(x, w, n),
    ),
    # The sequence is two tensors that grow.
    Model(
        "loop_makes_a_sequence",
        """g (double[T,3] x, double[3] s0, int64 n) => (double loss) {
          e = SequenceEmpty<dtype=11>()
          y, q = Loop (n, , s0, e) < body = l (int64 i, bool c, double[3] s, seq(double[3]) p) => (bool co, double[3] so, seq(double[3]) po) {
            co = Identity(c)  u = Gather<axis=0>(x, i)  v = Mul(s, u)  so = Sin(v)  po = SequenceInsert(p, so) } >
          f = ConcatFromSequence<axis=0>(q)
          h = Mul(f, f)
          loss = ReduceSum<keepdims=0>(h)
        }""",
        turns(1, 3, x=lambda: floats(4, 3), s0=lambda: floats(3)),
        lambda x, s0, n: listed(x, s0, n),
    ),
    Model(
        "loop_of_a_loop",
        """g (double[N] x, double[N] w, int64 n, int64 m) => (double loss) {
          y = Loop (n, , x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so) {
            co = Identity(c)
            e = Mul(s, w)
            d, k = Loop (m, , e) < body = h (int64 j, bool a, double[N] t) => (bool ao, double[N] to, double[N] ko) {
              ao = Identity(a)  p = Mul(t, w)  q = Add(p, s)  to = Sin(q)  ko = Cos(t) } >
            r = ReduceSum<keepdims=0>(k)
            so = Add(d, r) } >
          t1 = Sin(y)
          loss = ReduceSum<keepdims=0>(t1)
        }""",
        [{"x": floats(3), "w": floats(3), "n": number(n), "m": number(m)} for n, m in ((0, 2), (2, 0), (1, 1), (3, 2))],
        lambda x, w, n, m: loops(x, w, n, m),
    ),
    Model(
        "ifs_in_a_loop_in_an_if",
        """g (double[N] x, double[N] w, bool b, int64 n) => (double loss) {
          two = Constant<value = int64 {2}>()
          zero = Constant<value = int64 {0}>()
          y = If (b) <
            then_branch = tb () => (double[N] o) {
              o = Loop (n, , x) < body = l (int64 i, bool c, double[N] s) => (bool co, double[N] so) {
                co = Identity(c)
                r = Mod(i, two)
                even = Equal(r, zero)
                so = If (even) <
                  then_branch = te () => (double[N] q) { p = Mul(s, w)  q = Sin(p) },
                  else_branch = fe () => (double[N] q2) { q2 = Mul(s, s) }
                > } > },
            else_branch = fb () => (double[N] o2) { o2 = Mul(x, w) }
          >
          t = Sin(y)
          loss = ReduceSum<keepdims=0>(t)
        }""",
        [{"x": floats(3), "w": floats(3), "b": truth(b), "n": number(n)} for b, n in ((True, 0), (True, 1), (True, 4), (False, 2))],
        lambda x, w, b, n: alternating(x, w, b, n),
    ),
]  # fmt: skip


def scan(name, directions, axes=(0, 0), out_axis=0):
    second = "double[3,T]" if axes[1] else "double[T,3]"
    return Model(
        name,
        f"""g (double[3] s0, double[T,3] x, {second} z, double[3,3] w) => (double loss, double[A,B] k) {{
          y, k = Scan <num_scan_inputs = 2, scan_input_directions = [{directions[0]}, {directions[1]}],
                       scan_input_axes = [{axes[0]}, {axes[1]}], scan_output_directions = [{directions[2]}],
                       scan_output_axes = [{out_axis}],
                       body = l (double[3] s, double[3] u, double[3] v) => (double[3] so, double[3] ko) {{
            p = MatMul(s, w)  q = Add(p, u)  r = Mul(q, v)  so = Tanh(r)  ko = Mul(so, u) }}> (s0, x, z)
          t = Sin(y)
          a = ReduceSum<keepdims=0>(t)
          f = Sin(k)
          b = ReduceSum<keepdims=0>(f)
          loss = Add(a, b)
        }}""",
        [{"s0": floats(3), "x": floats(t, 3), "z": floats(3, t) if axes[1] else floats(t, 3), "w": floats(3, 3)}
         for t in (4, 1, 0)],
        lambda s0, x, z, w: scanned(s0, x, z, w, directions, axes, out_axis),
    )  # fmt: skip


SCAN = [
    scan("scan_forward", (0, 0, 0)),
    scan("scan_backward", (1, 1, 1)),
    scan("scan_both_ways", (0, 1, 0), axes=(0, 1), out_axis=1),
]


def rnn(x, w, b, n):
    for _ in range(n):
        x = np.tanh(x @ w + b)
    return np.sin(x).sum(), x


def kept(x, w, n):
    rows = []
    for _ in range(n):
        rows.append(np.exp(x))
        x = np.sin(x * w)
    rows = np.array(rows).reshape(n, *x.shape)
    return (x * x).sum() + np.sin(rows).sum(), rows


def only_kept(x, w, n):
    loss = 0.0
    for _ in range(n):
        x = x * w
        loss += np.sin(np.exp(x).sum())
    return (loss,)


def grows(x, w, n):
    loss = 0.0
    for _ in range(n):
        square = (x * x).sum()
        loss += np.sin(square)
        x = x * np.exp(w)
        if not square < 6:
            break
    return loss + np.sin(x).sum(), x


def until(x, w, c0):
    while c0:
        x = x * np.exp(w)
        c0 = (x * x).sum() < 20
    return (np.sin(x).sum(),)


def counted(x, j, n):
    odd = False
    for i in range(n):
        sines = np.sin(x * j)
        x = sines * i if odd else sines
        j, odd = j + 2, not odd
    return np.sin(x).sum(), j


def places(x, z, w, n):
    for _ in range(n):
        x, z = z, np.sin(x * w)
    return (np.sin(x).sum(),)


def afterwards(x, n):
    e = y = np.exp(x)
    for _ in range(n):
        y = np.sin(y * e)
    return np.sin(y * e).sum(), y * e


def slices(x, z, s, n, row):
    rows = []
    for i in range(n):
        u = x[row(i, n)]
        s = np.sin(s * u + z[:, i])
        rows.append(np.exp(u))
    rows = np.array(rows).reshape(n, 3)
    return np.sin(s).sum() + rows.sum(), rows


def chosen(x, m, w, n):
    s = z = x[m]
    loss = 0.0
    for _ in range(n):
        loss += (s * s).sum()
        s = np.sin(s * np.exp(z) * w)
    return (loss + s.sum(),)


def grown(x, w, n):
    for i in range(n):
        x = np.concatenate([x, np.sin(w * i)])
    return (np.sin(x * x).sum(),)


def listed(x, s, n):
    loss = 0.0
    for i in range(n):
        s = np.sin(s * x[i])
        loss += (s * s).sum()
    return (loss,)


def loops(x, w, n, m):
    for _ in range(n):
        t, total = x * w, 0.0
        for _ in range(m):
            total += np.cos(t).sum()
            t = np.sin(t * w + x)
        x = t + total
    return (np.sin(x).sum(),)


def alternating(x, w, b, n):
    if not b:
        return (np.sin(x * w).sum(),)
    for i in range(n):
        x = np.sin(x * w) if i % 2 == 0 else x * x
    return (np.sin(x).sum(),)


def scanned(s, x, z, w, directions, axes, out_axis):
    x, z = (np.moveaxis(array, axis, 0)[:: -1 if back else 1] for array, axis, back in zip((x, z), axes, directions))
    rows = []
    for u, v in zip(x, z):
        s = np.tanh((s @ w + u) * v)
        rows.append(s * u)
    rows = np.moveaxis(np.array(rows).reshape(len(x), 3)[:: -1 if directions[2] else 1], 0, out_axis)
    return np.sin(s).sum() + np.sin(rows).sum(), rows


def build(text: str, folder: str, *passes: str) -> str:
    """Compiles the model with its gradients, and a second time with --no-reuse; the program's path."""
    path, simple, derived, program = (
        os.path.join(folder, name) for name in ("model.onnx", "model.mlir", "derived.mlir", "program")
    )
    onnx.save(parser.parse_model('<ir_version: 9, opset_import: ["" : 18]>\n' + text), path)
    for command in (
        [tools.tool("ds-compile"), path, "--stop-after=simplify", "-o", simple],
        [tools.tool("ds-opt"), simple, *(passes or ["--ds-differentiate=of=loss"]), "-o", derived],
        [tools.tool("ds-compile"), derived, "-o", program],
        [tools.tool("ds-compile"), derived, "--no-reuse", "-o", program + ".no-reuse"],
    ):
        result = tools.run(command)
        assert result.code == 0, result.stderr
    return program


def run(program: str, arrays: dict[str, np.ndarray], folder: str) -> dict[str, np.ndarray]:
    """The outputs, which must be the same without sharing of memory."""
    os.makedirs(folder, exist_ok=True)
    inputs = os.path.join(folder, "inputs.npz")
    np.savez(inputs, **arrays)
    results = []
    for each, flags in ((program, []), (program + ".no-reuse", ["--guard"])):
        outputs = os.path.join(folder, os.path.basename(each))
        result = tools.run([each, "--inputs", inputs, "--output-dir", outputs, *flags])
        assert result.code == 0, result.stderr
        results.append({name[:-4]: np.load(os.path.join(outputs, name)) for name in os.listdir(outputs)})
    assert results[0].keys() == results[1].keys()
    for name, array in results[0].items():
        assert array.tobytes() == results[1][name].tobytes(), f"{name} differs without reuse"
    return results[0]


@pytest.mark.parametrize("model", IF + LOOP + SCAN, ids=lambda model: model.name)
def test_model(model, tmp_path):
    program = build(model.text, str(tmp_path))
    proto = onnx.load(str(tmp_path / "model.onnx"))
    evaluator = None if model.reference else ReferenceEvaluator(proto)
    outputs = [info.name for info in proto.graph.output]

    def reference(arrays):
        if model.reference:
            return model.reference(**{name: array if array.ndim else array[()] for name, array in arrays.items()})
        return evaluator.run(None, arrays)

    for number_, arrays in enumerate(model.runs):
        found = run(program, arrays, str(tmp_path / f"run{number_}"))
        for name, expected in zip(outputs, reference(arrays)):
            np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-12, err_msg=f"run {number_}: {name}")
        for name, array in arrays.items():
            if array.dtype != np.float64:
                continue
            expected = differences(lambda given: reference(given)[0], arrays, name)
            gradient = found["grad." + name]
            assert gradient.shape == expected.shape
            scale = max(np.abs(expected).max(initial=0), 1e-3)
            np.testing.assert_allclose(
                gradient, expected, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=f"run {number_}: grad.{name}"
            )


def test_gradient_of_a_gradient(tmp_path):
    """Derivatives are ops like any other: here of a loop that runs backward, and of the slices of what was kept."""
    text = """g (double[1] x, double[1] w, bool b, int64 n) => (double loss) {
          y = If (b) <
            then_branch = t () => (double[1] o) {
              o = Loop (n, , x) < body = l (int64 i, bool c, double[1] s) => (bool co, double[1] so) {
                co = Identity(c)  p = Mul(s, w)  so = Sin(p) } > },
            else_branch = f () => (double[1] o2) { q = Mul(x, w)  o2 = Exp(q) }
          >
          loss = ReduceSum<keepdims=0>(y)
        }"""
    program = build(
        text, str(tmp_path), "--ds-differentiate=of=loss wrt=x", "--ds-differentiate=of=grad.x wrt=w"
    )  # fmt: skip

    def slope(x, w, b, n):
        if not b:
            return w * np.exp(x * w)
        d = 1.0
        for _ in range(n):
            x, d = np.sin(x * w), d * w * np.cos(x * w)
        return d

    for number_, (b, n) in enumerate(((True, 0), (True, 1), (True, 4), (False, 1))):
        x, w = np.array([0.7]), np.array([0.9])
        found = run(program, {"x": x, "w": w, "b": truth(b), "n": number(n)}, str(tmp_path / f"run{number_}"))
        np.testing.assert_allclose(found["grad.x"], slope(x, w, b, n) * np.ones(1), rtol=1e-9)
        expected = (slope(x, w + STEP, b, n) - slope(x, w - STEP, b, n)) / (2 * STEP)
        np.testing.assert_allclose(found["grad.w"], expected * np.ones(1), rtol=TOLERANCE, atol=TOLERANCE)


def nested(depth: int) -> str:
    """Loops and branches in each other, so many of them."""
    types = "tensor<1xf32>, tensor<1xf32>"
    functions = []
    for level in range(depth):
        name, inner = f"body{level}", f"body{level + 1}"
        call = "%s1 = ds.sin %s0 : (tensor<1xf32>) -> tensor<1xf32>"
        shapes = '{shapes = [#ds.shape<["1"]>], symbols = #ds.shape<[]>}'
        if level + 1 < depth and level % 2 == 0:
            call = f"%s1 = ds.if %c then @{inner}(%s0, %w) else @other{level}(%w, %s0) {shapes} : (tensor<i1>, {types}, {types}) -> tensor<1xf32>"
            functions.append(f"""func.func private @other{level}(%s: tensor<1xf32>, %w: tensor<1xf32>) -> tensor<1xf32> {{
              %0 = ds.mul %s, %w : ({types}) -> tensor<1xf32>
              return %0 : tensor<1xf32>
            }}""")
        elif level + 1 < depth:
            call = (
                f"%s1 = ds.loop trips %n do @{inner}(%s0) with(%w) {shapes} : (tensor<i64>, {types}) -> tensor<1xf32>"
            )
        # Even levels are loops' bodies, odd ones branches.
        first, result, returned = ("%i: tensor<i64>, ", "tensor<i1>, ", "%true, ") if level % 2 == 0 else ("", "", "")
        returned_types = "tensor<i1>, tensor<1xf32>" if level % 2 == 0 else "tensor<1xf32>"
        functions.append(f"""func.func private @{name}({first}%s: tensor<1xf32>, %w: tensor<1xf32>) -> ({result}tensor<1xf32>) {{
          %true = ds.constant dense<true> : tensor<i1>
          %n = ds.constant dense<3> : tensor<i64>
          %z = ds.constant dense<0.5> : tensor<f32>
          %s0 = ds.mul %s, %w : ({types}) -> tensor<1xf32>
          %m = ds.reduce_sum %s0 {{axes = array<i64: 0>}} : (tensor<1xf32>) -> tensor<f32>
          %c = ds.compare lt, %m, %z : (tensor<f32>, tensor<f32>) -> tensor<i1>
          {call}
          return {returned}%s1 : {returned_types}
        }}""")
    main = f"""func.func @main(%x: tensor<1xf32> {{ds.name = "x"}}, %w: tensor<1xf32> {{ds.name = "w"}}, %n: tensor<i64> {{ds.name = "n"}})
        -> (tensor<f32> {{ds.name = "loss"}}) {{
      %0 = ds.loop trips %n do @body0(%x) with(%w) {{shapes = [#ds.shape<["1"]>], symbols = #ds.shape<[]>}} : (tensor<i64>, {types}) -> tensor<1xf32>
      %1 = ds.reduce_sum %0 {{axes = array<i64: 0>}} : (tensor<1xf32>) -> tensor<f32>
      return %1 : tensor<f32>
    }}"""
    return main + "\n" + "\n".join(functions)


def test_nesting_costs_no_more_than_what_is_nested(tmp_path):
    """Each level of loops and branches in each other adds as many ops as the one around it; of gradients of gradients, as
    many more than that as the one around it."""
    counts = {1: [], 2: []}
    for depth in (4, 8, 12, 16):
        path = str(tmp_path / f"nested{depth}.mlir")
        with open(path, "w", encoding="utf-8") as file:
            file.write(nested(depth))
        passes = ["--ds-differentiate=of=loss wrt=x", "--ds-differentiate=of=grad.x wrt=w"]
        for times, known in counts.items():
            result = tools.run([tools.tool("ds-opt"), path, *passes[:times]])
            assert result.code == 0, result.stderr
            known.append(sum(" = ds." in line for line in result.stdout.splitlines()))
    assert len(set(np.diff(counts[1]))) == 1, counts
    assert len(set(np.diff(np.diff(counts[2])))) == 1, counts
