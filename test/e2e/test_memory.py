"""Whose memory is whose: outputs have memory of their own, and --guard and --no-reuse change no result."""

import ctypes
import itertools
import os

import numpy as np
import onnx
import pytest
from harness import assert_same_files, run_program, text_model

from dsutil import runtime, tools

# What could be handed on without a copy: an input, a weight, a view of either, one value twice, what calls made of them.
HANDED_ON = """
    x2 = Identity(x); flat = Constant <value = int64[1] {-1}> (); x3 = Reshape(x, flat);
    c = Constant <value = float[4] {1, 2, 3, 4}> (); c2 = Identity(c);
    e = Exp(x); e2 = Identity(e); e3 = Reshape(e, flat);
    l = Loop (n, , x) < body = b (int64 i, bool k, float[N,4] s) => (bool ko, float[N,4] so) {
      ko = Identity(k) so = Neg(s) } >;
    f = If (p) < then_branch = t () => (float[N,4] o) { o = Identity(x) },
                 else_branch = u () => (float[N,4] q) { q = Identity(e) } >
"""
SIGNATURE = (
    "float[N,4] x, int64 n, bool p => float[N,4] x2, float[M] x3, float[4] c, float[4] c2, float[N,4] e, float[N,4] e2, "
    "float[M] e3, float[N,4] l, float[N,4] f"
)


def inputs(n, p):
    return {"x": np.arange(12, dtype=np.float32).reshape(3, 4), "n": np.array(n, np.int64), "p": np.array(p)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("memory") / "model.onnx")
    onnx.save(text_model(SIGNATURE, HANDED_ON), path)
    return path


def places(program: runtime.Model, arrays: list[np.ndarray]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """First and last byte of each input and output of a run."""
    kept = [runtime._tensor(array) for array in arrays]
    given = (runtime._Tensor * len(kept))(*[tensor for tensor, _ in kept])
    count = len(program.outputs)
    outputs = (runtime._Tensor * count)()
    runtime._check(
        runtime.library().ds_session_run,
        program._session,
        given,
        ctypes.c_size_t(len(kept)),
        outputs,
        ctypes.c_size_t(count),
    )

    def ends(tensor) -> tuple[int, int]:
        size = int(np.prod([tensor.shape[d] for d in range(tensor.rank)], dtype=np.int64))
        return tensor.data, tensor.data + size * runtime.DTYPES[tensor.dtype].itemsize - 1

    return [ends(tensor) for tensor in given], [ends(tensor) for tensor in outputs]


@pytest.mark.parametrize("n, p", [(0, True), (0, False), (2, True)])
def test_outputs_share_memory_with_nothing(model, tmp_path, n, p):
    library = str(tmp_path / "model.so")
    compiled = tools.compile_model(model, library, "--emit=library", timeout=300)
    assert compiled.code == 0, compiled.stderr
    with runtime.Model(library) as program:
        arrays = inputs(n, p)
        for _ in range(2):
            taken, made = places(program, [arrays[name] for name in program.inputs])
            everything = sorted(taken + made)
            for (_, last), (first, _) in itertools.pairwise(everything):
                assert last < first
        # Weights are mapped read-only: an output that is one could not be written.
        for first, _ in made:
            ctypes.memset(first, 0, 1)
        # ... and the next run has them as they were.
        results = dict(zip(program.outputs, program.run([arrays[name] for name in program.inputs])))
        np.testing.assert_array_equal(results["c"], [1, 2, 3, 4])
        np.testing.assert_array_equal(results["x2"], arrays["x"])
        np.testing.assert_array_equal(results["l"], arrays["x"] * (-1) ** n)


def test_guard_and_no_reuse_change_no_result(model, tmp_path):
    programs = [str(tmp_path / "shared"), str(tmp_path / "apart")]
    for program, flags in zip(programs, ([], ["--no-reuse"])):
        compiled = tools.compile_model(model, program, *flags, timeout=300)
        assert compiled.code == 0, compiled.stderr
    folders = []
    for program in programs:
        for flags in ([], ["--guard"], ["--guard", "--threads", "3"]):
            folders.append(str(tmp_path / f"out{len(folders)}"))
            result = run_program(program, inputs(0, False), folders[-1], *flags)
            assert result.code == 0, result.stderr
            # Also what run_program wrote its inputs to.
            assert_same_files(folders[0], folders[-1])
    assert len(os.listdir(folders[0])) == 12


def test_without_reuse_all_live_to_the_end(tmp_path):
    body = """flat = Constant <value = int64[1] {-1}> (); rows = Constant <value = int64[2] {-1, 4}> ();
        a = Softmax <axis=0> (x); v = Reshape(a, flat); e = Exp(v); w = Reshape(e, rows);
        y = Softmax <axis=1> (w); z = Softmax <axis=0> (w)"""
    path = str(tmp_path / "model.onnx")
    onnx.save(text_model("float[N,4] x => float[N,4] y, float[N,4] z", body), path)
    for flags, lives in (
        ([], ["first = 0 : i64, last = 3"]),
        (["--no-reuse"], [f"first = {i} : i64, last = 3" for i in (0, 1)]),
    ):
        result = tools.compile_model(path, "-", *flags, "--stop-after=host", timeout=300)
        assert result.code == 0, result.stderr
        temporaries = [line for line in result.stdout.splitlines() if " temporary " in line and "rt.buffer" in line]
        assert len(temporaries) == len(lives)
        assert all(life in line for life, line in zip(lives, temporaries))
