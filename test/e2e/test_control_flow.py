"""If, Loop and Scan that the run decides, against ONNX Runtime: one artifact for both branches and any number of turns."""

import os

import numpy as np
import onnx
import pytest
from harness import compile_program, reference_outputs, run_program
from onnx import parser

from dsutil import tools
from dsutil.compare import error_of_scale

RNG = np.random.default_rng(5)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def boolean(value):
    return np.array(value)


def integer(value):
    return np.array(value, np.int64)


def lists_of(value):
    return np.array([value], np.int64)


# name: graph, and inputs of several runs.
MODELS = {
    "if_shapes_differ": (
        """g (float[4,N] x, bool c) => (float[A,N] y, float[B] z) {
          zero = Constant<value = int64[1] {0}>()
          one = Constant<value = int64[1] {1}>()
          b, d = If (c) <
            then_branch = t () => (float[A,N] o, float[B] o2) { o = Neg(x)  o2 = ReduceSum<keepdims=0>(x, zero) },
            else_branch = e () => (float[A,N] p, float[B] p2) { p = Concat<axis=0>(x, x)  p2 = ReduceSum<keepdims=0>(x, one) }
          >
          y = Mul(b, b)
          z = Exp(d)
        }""",
        [{"x": floats(4, n), "c": boolean(c)} for n, c in ((5, True), (5, False), (9, False), (0, True), (1, False))],
    ),
    # What the host reads is a piece of a tensor whose length only the run knows: sizes, a condition, a trip count.
    "read_from_pieces": (
        """g (int64[n] l, float[2] x) => (float[A,B] y, float[2] z, float[2] w) {
          zero = Constant<value = int64[1] {0}>()
          one = Constant<value = int64[1] {1}>()
          two = Constant<value = int64[1] {2}>()
          true = Constant<value = bool {1}>()
          doubled = Concat<axis=0>(l, l)
          dims = Slice(doubled, zero, two)
          y = ConstantOfShape(dims)
          first = Slice(doubled, one, two)
          trips = Squeeze(first, zero)
          z = Loop (trips, true, x) < body = b (int64 i, bool go, float[2] s) => (bool on, float[2] t) {
            on = Identity(go)
            t = Add(s, x)
          } >
          c1 = Cast<to=9>(first)
          c = Squeeze(c1, zero)
          w = If (c) < then_branch = t () => (float[2] o) { o = Neg(x) }, else_branch = e () => (float[2] p) { p = Exp(x) } >
        }""",
        [{"l": np.array(value, np.int64), "x": floats(2)} for value in ([3, 2], [2, 0, 7], [1, 4, 0])],
    ),
    # The branch knows how many were chosen by the caller's name of it; the loop around it, which does not mention that
    # number, reads another one from data.
    "a_branch_knows_sizes_that_its_loop_does_not": (
        """g (float[N] x, int64[1] k, int64[1] m, int64 n, bool c) => (float[1] y) {
          zero = Constant<value = float[1] {0}>()
          one = Constant<value = float[1] {1}>()
          values, places = TopK(x, k)
          chosen = Shape(values)
          y = Loop (n, , zero) < body = b (int64 i, bool go, float[1] s) => (bool on, float[1] t) {
            on = Identity(go)
            grown = Expand(one, m)
            length = ReduceSum<keepdims=1>(grown)
            more = If (c) <
              then_branch = t () => (float[1] o) { f = ConstantOfShape<value = float[1] {10}>(chosen)
                                                   o = ReduceSum<keepdims=1>(f) },
              else_branch = e () => (float[1] p) { p = Identity(one) }
            >
            sum = Add(length, more)
            t = Add(s, sum) } >
        }""",
        [
            {"x": floats(9), "k": lists_of(k), "m": lists_of(m), "n": integer(n), "c": boolean(c)}
            for k, m, n, c in ((3, 5, 2, True), (3, 5, 2, False), (9, 1, 1, True), (1, 4, 0, True))
        ],
    ),
    "if_passes_its_capture_on": (
        """g (float[N] x, float[N] w, bool c) => (float[N] y) {
          b = If (c) < then_branch = t () => (float[N] o) { o = Identity(x) },
                       else_branch = e () => (float[N] p) { p = Identity(w) } >
          y = Add(b, x)
        }""",
        [{"x": floats(n), "w": floats(n), "c": boolean(c)} for n, c in ((3, True), (7, False))],
    ),
    # A loop without a turn hands on what it began with; what comes after works in place.
    "loop_state_is_used_afterwards": (
        """g (float[N,M] x, int64 n) => (float[N,M] l, float[N] a, float[M] b) {
          zero = Constant<value = int64[1] {0}>()
          one = Constant<value = int64[1] {1}>()
          y = Exp(x)
          l0 = Loop (n, , y) < body = b (int64 i, bool c, float[N,M] s) => (bool co, float[N,M] so) {
            co = Identity(c) so = Neg(s) } >
          z = Exp(y)
          a = ReduceSum<keepdims=0>(z, one)
          b = ReduceSum<keepdims=0>(z, zero)
          l = Softmax<axis=0>(l0)
        }""",
        [{"x": floats(3, 5), "n": integer(n)} for n in (0, 1, 2, 0)],
    ),
    "loops_on_one_state": (
        """g (float[N] x, int64 n, int64 m) => (float[N] u, float[N] v, float[N] w) {
          axis = Constant<value = int64 {0}>()
          y = Abs(x)
          p, q = Loop (n, , y, y) < body = b (int64 i, bool c, float[N] s, float[N] t) => (bool co, float[N] so, float[N] to) {
            co = Identity(c) so = Add(s, t) to = Identity(s) } >
          r = Loop (m, , p) < body = d (int64 j, bool e, float[N] h) => (bool eo, float[N] ho) {
            eo = Identity(e) ho = Mul(h, y) } >
          z = Sqrt(y)
          k = Neg(z)
          u = CumSum(r, axis)
          v = CumSum(q, axis)
          w = CumSum(k, axis)
        }""",
        [{"x": floats(7), "n": integer(n), "m": integer(m)} for n, m in ((0, 0), (1, 0), (0, 2), (2, 1), (0, 0))],
    ),
    "loop_state_swapped_in_a_loop": (
        """g (float[N] x, float[N] y, int64 n, int64 m) => (float[N] u, float[N] v) {
          a = Abs(x)
          b = Exp(y)
          u0, v0 = Loop (n, , a, b) < body = o (int64 i, bool c, float[N] s, float[N] t) => (bool co, float[N] so, float[N] to) {
            co = Identity(c)
            p, q = Loop (m, , t, s) < body = d (int64 j, bool e, float[N] g, float[N] h) => (bool eo, float[N] go, float[N] ho) {
              eo = Identity(e) go = Identity(h) ho = Neg(g) } >
            k = Neg(s)
            so = Add(p, k)
            to = Identity(q)
          } >
          c = Neg(a)
          d = Sqrt(b)
          e = Add(c, d)
          u = Mul(u0, e)
          v = Add(v0, e)
        }""",
        [
            {"x": floats(5), "y": floats(5), "n": integer(n), "m": integer(m)}
            for n, m in ((0, 0), (1, 0), (2, 0), (1, 1), (3, 2), (0, 1))
        ],
    ),
    "loop_without_turns_on_inputs_and_weights": (
        """g (float[4] x, int64 n) => (float[4] y, float[4] z, float[4] xo) <float[4] w = {1, 2, 3, 4}> {
          y, z0 = Loop (n, , x, w) < body = b (int64 i, bool c, float[4] s, float[4] t) => (bool co, float[4] so, float[4] to) {
            co = Identity(c) so = Neg(s) to = Exp(t) } >
          z = Neg(z0)
          xo = Add(x, w)
        }""",
        [{"x": floats(4), "n": integer(n)} for n in (0, 2, 0, 1)],
    ),
    "loop_views_of_one_memory": (
        """g (float[N,4] x, int64 n) => (float[M] y, float[N,2,2] z, float[N,4] e) {
          flat = Constant<value = int64[1] {-1}>()
          cube = Constant<value = int64[3] {-1, 2, 2}>()
          axis = Constant<value = int64 {0}>()
          a = Exp(x)
          v = Reshape(a, flat)
          r = Loop (n, , v) < body = b (int64 i, bool c, float[K] s) => (bool co, float[K] so) {
            co = Identity(c) so = Neg(s) } >
          w = Reshape(r, cube)
          e0 = Sqrt(a)
          e = Softmax(e0)
          v2 = Neg(r)
          y = CumSum(v2, axis)
          z = Softmax<axis=0>(w)
        }""",
        [{"x": floats(3, 4), "n": integer(n)} for n in (0, 1, 0)],
    ),
    "if_in_a_loop_hands_on": (
        """g (float[N] x, int64 n, bool k) => (float[N] y, float[N] z) {
          axis = Constant<value = int64 {0}>()
          a = Exp(x)
          r = Loop (n, , a) < body = b (int64 i, bool c, float[N] s) => (bool co, float[N] so) {
            co = Identity(c)
            so = If (k) < then_branch = t () => (float[N] o) { o = Identity(s) },
                          else_branch = e () => (float[N] p) { p = Add(s, a) } >
          } >
          f = If (k) < then_branch = t2 () => (float[N] o2) { o2 = Identity(a) },
                       else_branch = e2 () => (float[N] p2) { p2 = Identity(r) } >
          g0 = Sqrt(a)
          y = CumSum(g0, axis)
          h = Add(f, r)
          z = CumSum(h, axis)
        }""",
        [{"x": floats(6), "n": integer(n), "k": boolean(k)} for n, k in ((0, True), (0, False), (2, True), (2, False))],
    ),
    "if_in_if": (
        """g (float[N,3] x, bool c, bool d) => (float[M] y) {
          y = If (c) <
            then_branch = t () => (float[M] o) {
              s = If (d) < then_branch = tt () => (float[P,3] q) { q = Mul(x, x) },
                           else_branch = te () => (float[P,3] r) { r = Concat<axis=0>(x, x, x) } >
              m = Constant<value = int64[1] {-1}>()
              o = Reshape(s, m)
            },
            else_branch = e () => (float[M] p) {
              one = Constant<value = int64[1] {1}>()
              p = ReduceSum<keepdims=0>(x, one)
            }
          >
        }""",
        [
            {"x": floats(n, 3), "c": boolean(c), "d": boolean(d)}
            for n, c, d in ((2, True, True), (2, True, False), (4, False, True), (4, False, False))
        ],
    ),
    "if_with_weights": (
        """g (float[N,8] x, bool c) => (float[N,4] y)
          <float[8,4] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32}> {
          y = If (c) <
            then_branch = t () => (float[N,4] o) { h = MatMul(x, w)  o = Relu(h) },
            else_branch = e () => (float[N,4] p) { k = MatMul(x, w)  p = Softmax(k) }
          >
        }""",
        [{"x": floats(n, 8), "c": boolean(c)} for n, c in ((3, True), (3, False), (17, False))],
    ),
    "if_on_a_size": (
        """g (float[N,3] x) => (float[M,3] y) {
          n = Shape<start=0, end=1>(x)
          four = Constant<value = int64[1] {4}>()
          many = Greater(n, four)
          c = Squeeze(many)
          y = If (c) < then_branch = t () => (float[M,3] o) {
                         a = Constant<value = int64[1] {0}>()
                         o = Slice(x, a, four) },
                       else_branch = e () => (float[M,3] p) { p = Identity(x) } >
        }""",
        [{"x": floats(n, 3)} for n in (2, 4, 5, 11)],
    ),
    "loop_counts": (
        """g (float[N] x, int64 n) => (float[N] y, float[T,N] all) {
          t = Constant<value = bool {1}>()
          y, all = Loop (n, t, x) <body = b (int64 i, bool c, float[N] s) => (bool co, float[N] so, float[N] k) {
            co = Identity(c)
            two = Constant<value = float {0.5}>()
            h = Mul(s, two)
            so = Add(h, x)
            k = Neg(so)
          }>
        }""",
        [{"x": floats(n), "n": integer(t)} for n, t in ((5, 3), (5, 0), (2, 7), (4, 600))],
    ),
    "loop_stops": (
        """g (float[N] x, float limit) => (float[N] y, int64 turns) {
          zero = Constant<value = int64 {0}>()
          e = Constant<value = int64 {9223372036854775807}>()
          t = Constant<value = bool {1}>()
          y, turns = Loop (e, t, x, zero) <body = b (int64 i, bool c, float[N] s, int64 m) => (bool co, float[N] so, int64 mo) {
            so = Add(s, s)
            a = Abs(so)
            ax = Constant<value = int64[1] {0}>()
            big = ReduceMax<keepdims=0>(a)
            co = Less(big, limit)
            one = Constant<value = int64 {1}>()
            mo = Add(i, one)
          }>
        }""",
        [{"x": floats(n) + 1, "limit": np.array(limit, np.float32)} for n, limit in ((3, 10), (6, 1e6), (3, 0.0))],
    ),
    "loop_grows": (
        """g (float[1,N] x, int64 n) => (float[M,N] y) {
          t = Constant<value = bool {1}>()
          y = Loop (n, t, x) <body = b (int64 i, bool c, float[K,N] s) => (bool co, float[L,N] so) {
            co = Identity(c)
            d = Mul(x, x)
            so = Concat<axis=0>(s, d)
          }>
        }""",
        [{"x": floats(1, n), "n": integer(t)} for n, t in ((4, 3), (4, 0), (1, 9))],
    ),
    "loop_without_turns_keeps_its_state": (
        """g (float[N,M] x, int64 n) => (float[A,B] y, float[C,D] z) {
          t = Constant<value = bool {1}>()
          y, w = Loop (n, t, x, x) <body = b (int64 i, bool c, float[N,M] s, float[P,Q] u) => (bool co, float[K,L] so, float[P,Q] v) {
            co = Identity(c)
            ax = Constant<value = int64[2] {0, 1}>()
            so = ReduceSum(x, ax)
            v = Transpose(u)
          }>
          z = Mul(w, w)
        }""",
        [{"x": floats(n, m), "n": integer(t)} for n, m, t in ((3, 4, 0), (3, 4, 2), (2, 1, 1))],
    ),
    "loop_changes_the_shape_of_what_it_captures": (
        """g (float[N] x, int64[2] s, int64 n) => (float[A,B] y) {
          v = Reshape(x, s)
          y = Loop (n, , v) <body = b (int64 i, bool c, float[P,Q] p) => (bool co, float[R,S] q) {
            co = Identity(c)
            d = Mul(v, v)
            q = Concat<axis=0>(p, d)
          }>
        }""",
        [{"x": floats(6), "s": integer(s), "n": integer(t)} for s, t in (([2, 3], 2), ([6, 1], 3), ([1, 6], 0))],
    ),
    "loop_swaps": (
        """g (float[N] x, float[N] z, int64 n) => (float[N] y, float[N] w) {
          y, w = Loop (n, , x, z) <body = b (int64 i, bool c, float[N] p, float[N] q) => (bool co, float[N] po, float[N] qo) {
            co = Identity(c)
            po = Identity(q)
            qo = Sub(p, q)
          }>
        }""",
        [{"x": floats(4), "z": floats(4), "n": integer(t)} for t in (0, 1, 2, 5)],
    ),
    "loop_uses_its_number": (
        """g (float[N,3] x) => (float[3] y, int64[T] numbers) {
          s = Shape<start=0, end=1>(x)
          n = Squeeze(s)
          t = Constant<value = bool {1}>()
          z = Constant<value = float[3] {0,0,0}>()
          y, numbers = Loop (n, t, z) <body = b (int64 i, bool c, float[3] a) => (bool co, float[3] ao, int64 k) {
            co = Identity(c)
            row = Gather<axis=0>(x, i)
            ao = Add(a, row)
            k = Mul(i, i)
          }>
        }""",
        [{"x": floats(n, 3)} for n in (1, 5, 0, 700)],
    ),
    "loop_in_loop": (
        """g (float[N] x, int64 n, int64 m) => (float[N] y) {
          t = Constant<value = bool {1}>()
          y = Loop (n, t, x) <body = b (int64 i, bool c, float[N] s) => (bool co, float[N] so) {
            co = Identity(c)
            tt = Constant<value = bool {1}>()
            r = Loop (m, tt, s) <body = bb (int64 j, bool d, float[N] u) => (bool do, float[N] uo) {
              do = Identity(d)
              f = Cast<to=1>(i)
              v = Add(u, f)
              h = Constant<value = float {0.9}>()
              uo = Mul(v, h)
            }>
            so = Sub(r, x)
          }>
        }""",
        [{"x": floats(3), "n": integer(n), "m": integer(m)} for n, m in ((2, 3), (4, 0), (0, 5), (3, 3))],
    ),
    "if_in_loop": (
        """g (float[N] x, int64 n) => (float[M] y) {
          t = Constant<value = bool {1}>()
          y = Loop (n, t, x) <body = b (int64 i, bool c, float[K] s) => (bool co, float[L] so) {
            co = Identity(c)
            two = Constant<value = int64 {2}>()
            zero = Constant<value = int64 {0}>()
            r = Mod(i, two)
            even = Equal(r, zero)
            so = If (even) < then_branch = tb () => (float[L] o) { o = Concat<axis=0>(s, x) },
                             else_branch = eb () => (float[L] p) { p = Neg(s) } >
          }>
        }""",
        [{"x": floats(n), "n": integer(t)} for n, t in ((3, 4), (2, 1), (2, 0), (1, 7))],
    ),
    "scan_of_any_length": (
        """g (float[B] h, float[S,B] x) => (float[B] last, float[S,B] all) {
          last, all = Scan<num_scan_inputs=1, body = b (float[B] s, float[B] e) => (float[B] so, float[B] k) {
            t = Add(s, e)
            so = Tanh(t)
            k = Identity(so)
          }>(h, x)
        }""",
        [{"h": floats(b), "x": floats(s, b)} for s, b in ((3, 4), (1, 2), (300, 5))],
    ),
    # That both are as long, the run tells.
    "scan_of_neighbours": (
        """g (float[N] x, float[M] w) => (float[a] all, float[b] more) {
          minus = Constant<value_ints=[-1]>()
          zero = Constant<value_ints=[0]>()
          one = Constant<value_ints=[1]>()
          many = Constant<value_ints=[1000]>()
          before = Slice(x, zero, minus)
          after = Slice(x, one, many)
          all = Scan<num_scan_inputs=2, body = b (float p, float q) => (float k) { k = Sub(q, p) }>(before, after)
          more = Scan<num_scan_inputs=2, body = c (float p, float q) => (float k) { k = Mul(q, p) }>(x, w)
        }""",
        [{"x": floats(n), "w": floats(n)} for n in (3, 2, 40)],
    ),
    "scan_backwards_along_axes": (
        """g (float[B] h, float[B,S] x, float[S,B] w) => (float[B] last, float[B,S] all) {
          last, all = Scan<num_scan_inputs=2, scan_input_axes=[1,0], scan_input_directions=[1,0],
                           scan_output_axes=[1], scan_output_directions=[1],
                           body = b (float[B] s, float[B] e, float[B] f) => (float[B] so, float[B] k) {
            t = Mul(s, e)
            so = Add(t, f)
            k = Neg(so)
          }>(h, x, w)
        }""",
        [{"h": floats(b), "x": floats(b, s), "w": floats(s, b)} for s, b in ((3, 4), (6, 2))],
    ),
    "result_decides_a_shape": (
        """g (float[N] x, bool c) => (float[A,B] y) {
          s = If (c) < then_branch = t () => (int64[2] o) { o = Constant<value = int64[2] {2,-1}>() },
                       else_branch = e () => (int64[2] p) { p = Constant<value = int64[2] {-1,3}>() } >
          y = Reshape(x, s)
        }""",
        [{"x": floats(n), "c": boolean(c)} for n, c in ((12, True), (12, False), (6, True))],
    ),
    "data_dependent_inside": (
        """g (float[N] x, bool c) => (int64[1,K] y) {
          y = If (c) < then_branch = t () => (int64[1,K] o) { z = Relu(x)  o = NonZero(z) },
                       else_branch = e () => (int64[1,K] p) { n = Neg(x) m = Relu(n)  p = NonZero(m) } >
        }""",
        [{"x": floats(n), "c": boolean(c)} for n, c in ((12, True), (12, False), (0, False))],
    ),
    "loop_that_may_not_run_changes_its_state": (
        """g (float[N] x, int64 n) => (float[M] y, float[K] z) {
          y = Loop(n, , x) < body = b (int64 i, bool c, float[P] s) => (bool d, float[Q] t) {
            d = Identity(c)
            w = Constant<value = float[3] {1, 2, 3}>()
            m = ReduceMax<keepdims=1>(s)
            t = Add(w, m) } >
          z = Neg(y)
        }""",
        [{"x": floats(5), "n": integer(n)} for n in (0, 1, 2)] + [{"x": floats(3), "n": integer(0)}],
    ),
    "ranks_differ": (
        """g (float[N,K] x, bool c) => (float[M] y, float[K] w) {
          m = Constant<value = int64[1] {-1}>()
          s = If (c) < then_branch = t () => (float[P] o) { o = Reshape(x, m) },
                       else_branch = e () => (float[P,Q] p) { p = Transpose(x) } >
          h = Mul(s, s)
          y = Reshape(h, m)
          z = Constant<value = int64[1] {0}>()
          w = ReduceSum<keepdims=0>(x, z)
        }""",
        [{"x": floats(n, 3), "c": boolean(c)} for n, c in ((4, True), (4, False), (7, False))],
    ),
    "captures_a_data_dependent_size": (
        """g (float[N] x, bool c) => (int64[A,B] y) {
          r = Relu(x)
          z = NonZero(r)
          y = If (c) < then_branch = t () => (int64[A,B] o) { o = Transpose(z) },
                       else_branch = e () => (int64[A,B] p) { p = Add(z, z) } >
        }""",
        [{"x": floats(n), "c": boolean(c)} for n, c in ((12, True), (12, False), (5, True))],
    ),
}

LOOP_OF_SEQUENCE = """g (float[N] x, int64 n{more}) => ({outputs}) {{
  t = Constant<value = bool {{1}}>()
  e = SequenceEmpty()
  l = Loop (n, t, e) <body = b (int64 i, bool c, seq(float[M]) v) => (bool co, seq(float[M]) w) {{
    co = Identity(c)
    z = Constant<value = int64[1] {{0}}>()
    one = Constant<value = int64[1] {{1}}>()
    f = Reshape(i, one)
    end = Add(f, one)
    part = Slice(x, z, end)
    w = SequenceInsert(v, part)
  }}>
  {rest}
}}"""
ROWS = [{"x": floats(9), "n": integer(n)} for n in (1, 4, 9)]
SPLIT = """g (float[N,M] x) => (float[A,B] y, int64 n, float[C,D] last) {{
  s = SplitToSequence<axis={axis}>(x, two)
  n = SequenceLength(s)
  one = Constant<value = int64 {{-1}}>()
  last = SequenceAt(s, one)
  z = Constant<value = int64 {{0}}>()
  first = SequenceAt(s, z)
  r = SequenceErase(s, z)
  q = SequenceInsert(r, first)
  y = ConcatFromSequence<axis={axis}>(q)
}}"""
MODELS |= {
    "sequence_grows": (
        LOOP_OF_SEQUENCE.format(
            more="", outputs="float[M] y, int64 k", rest="y = ConcatFromSequence<axis=0>(l)\nk = SequenceLength(l)"
        ),
        ROWS,
    ),
    "sequence_elements": (
        LOOP_OF_SEQUENCE.format(
            more=", int64 p",
            outputs="float[M] y, float[K] u",
            rest="y = SequenceAt(l, p)\nr = SequenceErase(l, p)\nu = ConcatFromSequence<axis=0>(r)",
        ),
        [{"x": floats(9), "n": integer(n), "p": integer(p)} for n, p in ((3, 0), (5, 2), (4, -1), (4, -3))],
    ),
    "sequence_inserts": (
        LOOP_OF_SEQUENCE.format(
            more=", int64 p",
            outputs="float[M] y",
            rest="r = SequenceInsert(l, x, p)\ny = ConcatFromSequence<axis=0>(r)",
        ),
        [{"x": floats(9), "n": integer(n), "p": integer(p)} for n, p in ((3, 0), (3, 3), (5, 2), (4, -1))],
    ),
    "sequence_of_any_number_of_rows": (
        SPLIT.format(axis=0)
        .replace("(x, two)", "(x, two)")
        .replace("{\n  s =", "{\n  two = Constant<value = int64 {2}>()\n  s ="),
        [{"x": floats(n, m)} for n, m in ((4, 3), (5, 2), (7, 1))],
    ),
    "sequence_of_any_number_of_columns": (
        SPLIT.format(axis=1).replace("{\n  s =", "{\n  two = Constant<value = int64 {2}>()\n  s ="),
        [{"x": floats(n, m)} for n, m in ((3, 4), (2, 5), (1, 7))],
    ),
    "sequences_of_branches": (
        """g (float[N] x, bool c) => (int64 n, float[M] y) {
          s = If (c) < then_branch = t () => (seq(float[K]) o) { o = SequenceConstruct(x, x, x) },
                       else_branch = e () => (seq(float[K]) p) { z = Neg(x)  p = SequenceConstruct(z) } >
          n = SequenceLength(s)
          q = SequenceInsert(s, x)
          y = ConcatFromSequence<axis=0>(q)
        }""",
        [{"x": floats(n), "c": boolean(c)} for n, c in ((3, True), (3, False), (6, True))],
    ),
    "optional_of_branches": (
        """g (float[N] x, bool c) => (bool has, float[M] y) {
          o = If (c) < then_branch = t () => (optional(float[N]) a) { s = Exp(x)  a = Optional(s) },
                       else_branch = e () => (optional(float[N]) b) { b = Optional<type = float[N]>() } >
          has = OptionalHasElement(o)
          y = If (has) < then_branch = tt () => (float[M] p) { p = OptionalGetElement(o) },
                         else_branch = ee () => (float[M] q) { q = Concat<axis=0>(x, x) } >
        }""",
        [{"x": floats(n), "c": boolean(c)} for n, c in ((3, True), (3, False))],
    ),
    "sequence_position_is_data": (
        """g (float[N] x, float[N] w, int64 p) => (float[N] y) {
          s = SequenceConstruct(x, w, x)
          y = SequenceAt(s, p)
        }""",
        [{"x": floats(3), "w": floats(3), "p": integer(p)} for p in (0, 1, 2, -1, -2)],
    ),
    "sequence_is_stacked": (
        """g (float[N,M] x) => (float[N,1,M] y) {
          s = SplitToSequence<axis=0, keepdims=0>(x)
          y = ConcatFromSequence<axis=1, new_axis=1>(s)
        }""".replace("(float[N,1,M] y)", "(float[A,B] y)"),
        [{"x": floats(n, m)} for n, m in ((3, 4), (2, 5), (1, 7))],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_agrees(name, tmp_path):
    graph, runs = MODELS[name]
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]>\n{graph}')
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(model, path)
    compiled = compile_program(path, os.path.join(tmp_path, "model"))
    assert compiled.code == 0, compiled.stderr
    for number, arrays in enumerate(runs):
        expected = reference_outputs("onnxruntime", model, arrays)
        for threads in ("1", "2"):
            folder = os.path.join(tmp_path, f"run{number}-{threads}")
            result = run_program(os.path.join(tmp_path, "model"), arrays, folder, "--threads", threads)
            assert result.code == 0, f"run {number}: {result.stderr}"
            for output, reference in zip(model.graph.output, expected, strict=True):
                found = np.load(os.path.join(folder, tools.output_file(output.name)))
                assert found.dtype == reference.dtype and found.ndim == reference.ndim
                if reference.size == 0:  # ONNX Runtime gives what no iteration made the shape [0, 0, ...]
                    assert found.shape[0] == 0 or found.size == 0
                    continue
                assert found.shape == reference.shape, f"run {number}: {output.name} {found.shape} {reference.shape}"
                assert error_of_scale(found, reference) <= 1e-5, f"run {number}: {output.name}"


def test_outputs_of_any_rank(tmp_path):
    graph = """g (float[N,K] x, bool c) => (float[] y) {
      m = Constant<value = int64[1] {-1}>()
      s = If (c) < then_branch = t () => (float[P] o) { o = Reshape(x, m) },
                   else_branch = e () => (float[P,Q] p) { p = Transpose(x) } >
      y = Exp(s)
    }"""
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]>\n{graph}'), path)
    compiled = compile_program(path, os.path.join(tmp_path, "model"))
    assert compiled.code == 0, compiled.stderr
    for n, c in ((3, True), (3, False), (5, False)):
        x = floats(n, 2)
        result = run_program(os.path.join(tmp_path, "model"), {"x": x, "c": boolean(c)}, str(tmp_path))
        assert result.code == 0, result.stderr
        data, shape = (np.load(os.path.join(tmp_path, f"y.{part}.npy")) for part in ("data", "shape"))
        expected = np.exp(x.reshape(-1) if c else x.T)
        assert tuple(shape) == expected.shape and error_of_scale(data.reshape(shape), expected) <= 1e-6


def test_a_subgraph_may_give_one_value_twice(tmp_path):
    # Against NumPy: ONNX Runtime leaves the first of the two undefined.
    model = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["": 17]>
        g (float[N] x, bool c, int64 n) => (float[N] a, float[N] b, float[N] s, float[T,N] p, float[T,N] q, float[N] u, float[N] v) {
          a, b = If (c) < then_branch = t () => (float[N] o, float[N] o) { o = Neg(x) },
                          else_branch = e () => (float[N] o, float[N] o) { o = Add(x, x) } >
          s, p, q = Loop (n, "", x) <body = l (int64 i, bool k, float[N] w) => (bool m, float[N] r, float[N] r, float[N] r) {
            m = Identity(k)
            r = Add(w, x)
          }>
          u, v = Scan <num_scan_inputs = 1, body = d (float h) => (float j, float j) { j = Neg(h) }> (x)
        }""")
    path, program = str(tmp_path / "model.onnx"), str(tmp_path / "model")
    onnx.save(model, path)
    compiled = tools.compile_model(path, program, timeout=120)
    assert compiled.code == 0, compiled.stderr
    for c, n in ((True, 3), (False, 0)):
        x = floats(4)
        result = run_program(program, {"x": x, "c": boolean(c), "n": integer(n)}, str(tmp_path / f"out{n}"))
        assert result.code == 0, result.stderr
        sums = np.array([(k + 2) * x for k in range(n)], np.float32).reshape(n, 4)
        branch = -x if c else x + x
        expected = {"a": branch, "b": branch, "s": (n + 1) * x, "p": sums, "q": sums, "u": -x, "v": -x}
        for name, value in expected.items():
            assert np.allclose(np.load(tmp_path / f"out{n}" / f"{name}.npy"), value, rtol=1e-6), name


def test_a_model_gives_no_output_twice(tmp_path):
    model = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["": 17]>
        g (float[N] x) => (float[N] y, float[N] y) { y = Neg(x) }""")
    path = str(tmp_path / "model.onnx")
    onnx.save(model, path)
    result = tools.compile_model(path, str(tmp_path / "model"), timeout=60)
    assert result.code == 1 and "the graph has two outputs named 'y'" in result.stderr
