"""--target-cpu=a,b: one artifact with code for several CPUs, of which loading chooses. Results are those of an
artifact for the chosen CPU alone, bit by bit, and agree with ONNX Runtime's."""

from __future__ import annotations

import os
import platform

import numpy as np
import onnx
import pytest
from harness import reference_outputs, run_program, text_model
from onnx import numpy_helper
from test_embedding import EXAMPLES, checked, compile_to, numbers, softmax, softmax_model
from test_object import SANITIZED, X, link

from dsutil import runtime, tools
from dsutil.compare import error_of_scale

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the CPUs that it names are x86-64 ones")

HERE = "x86-64-v3"  # as other tests
FUTURE = "diamondrapids"  # with registers that no machine has yet
MISSING = {"egpr", "ndd", "zu"}


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    """Weights that are packed for a vector width, one that is not, a branch with weights, a size that data decides."""
    body = """
      e = Gather(table, i); h = MatMul(e, w); r = Softmax(h); s = ReduceSum<keepdims=0>(r); c = Less(s, limit)
      b = If (c) <
        then_branch = t () => (float[N,24] o) { o = MatMul(r, u) },
        else_branch = f () => (float[N,24] o) { o = MatMul(r, v) }>
      p = NonZero(b); y = Abs(b)
    """
    signature = "int64[N] i, float limit => float[N,24] y, int64[2,P] p"
    model = text_model(signature, body)
    rng = np.random.default_rng(3)
    for name, shape in {"table": (20000, 20), "w": (20, 40), "u": (40, 24), "v": (40, 24)}.items():
        model.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name))
    return model


def arrays(count: int, limit: float) -> dict[str, np.ndarray]:
    return {"i": np.arange(count, dtype=np.int64) * 17, "limit": np.array(limit, np.float32)}


@pytest.fixture(scope="module")
def files(model, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("variants")
    lists = {"one": HERE, "newer": f"{HERE},{FUTURE}", "older": f"x86-64,{HERE}", "three": f"x86-64,{FUTURE},{HERE}"}
    return {
        f"{name}{suffix}": compile_to(model, folder, f"{name}{suffix}", f"--target-cpu={cpus}", *flags)
        for name, cpus in lists.items()
        for suffix, flags in (("", ()), (".so", ("--emit=library",)))
    }


@pytest.mark.parametrize("name", ["newer", "older", "three"])
def test_the_chosen_code_computes_what_it_computes_alone(model, files, name, tmp_path):
    shown = checked([files[name], "--version"])
    assert f"CPU {HERE} (of " in shown
    expected = runtime.Model(files["one.so"])
    found = runtime.Model(files[f"{name}.so"])
    for number, (count, limit) in enumerate(((5, 1e9), (3, -1e9), (0, 0))):
        inputs = arrays(count, limit)
        references = expected.run(list(inputs.values()))
        for x, y in zip(references, reference_outputs("onnxruntime", model, inputs)):
            assert x.shape == y.shape and error_of_scale(x, y) <= 1e-5
        for x, y in zip(references, found.run(list(inputs.values()))):
            np.testing.assert_array_equal(x, y)
        folder = str(tmp_path / str(number))
        result = run_program(files[name], inputs, folder)
        assert result.code == 0, result.stderr
        for output, x in zip(("y", "p"), references):
            np.testing.assert_array_equal(np.load(os.path.join(folder, f"{output}.npy")), x)


def test_the_oldest_code_agrees_with_the_newer(model, tmp_path):
    """This machine can run the second one alone."""
    both = runtime.Model(compile_to(model, tmp_path, "both.so", f"--target-cpu=x86-64,{FUTURE}", "--emit=library"))
    alone = runtime.Model(compile_to(model, tmp_path, "alone.so", "--target-cpu=x86-64", "--emit=library"))
    newer = runtime.Model(compile_to(model, tmp_path, "newer.so", f"--target-cpu={HERE}", "--emit=library"))
    inputs = list(arrays(7, 1e9).values())
    for x, y, z in zip(both.run(inputs), alone.run(inputs), newer.run(inputs)):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_allclose(x, z, rtol=1e-4, atol=1e-5)


def test_the_order_of_the_list_does_not_matter(model, files, tmp_path):
    other = compile_to(model, tmp_path, "m.so", f"--target-cpu={FUTURE},x86-64,{HERE}", "--emit=library")
    assert open(other, "rb").read() == open(files["three.so"], "rb").read()
    assert f"(of {FUTURE}, {HERE}, x86-64)" in checked([files["three"], "--version"])


def test_equal_weights_are_stored_once(files):
    table = 20000 * 20 * 4
    one, three = os.path.getsize(files["one.so"]), os.path.getsize(files["three.so"])
    assert table < one < three < one + table // 4


def test_weights_are_verified(files):
    assert "the weights are sound" in checked([files["three"], "--verify"])


def test_what_each_cpu_has_and_this_one_lacks_is_named(model, tmp_path):
    program = compile_to(softmax_model(), tmp_path, "m", f"--target-cpu={FUTURE},clearwaterforest")
    result = tools.run([program, "--version"])
    assert result.code == 1 and "was compiled for 2 CPUs, and this one lacks features that each needs" in result.stderr
    lacking = {}
    for part in result.stderr.split("(")[1].split(")")[0].split("; "):
        cpu, _, features = part.partition(": ")
        lacking[cpu] = set(features.split(", "))
    assert set(lacking) == {f"'{FUTURE}'", "'clearwaterforest'"}
    assert MISSING <= lacking[f"'{FUTURE}'"] and lacking["'clearwaterforest'"]
    assert not MISSING & lacking["'clearwaterforest'"]


def test_weights_beside(model, files, tmp_path):
    library = compile_to(model, tmp_path, "m.so", f"--target-cpu={HERE},{FUTURE}", "--emit=library", "--weights=beside")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.so", "m.so.safetensors", "model.onnx"]
    inputs = list(arrays(4, 1e9).values())
    for x, y in zip(runtime.Model(library).run(inputs), runtime.Model(files["one.so"]).run(inputs)):
        np.testing.assert_array_equal(x, y)


@pytest.mark.skipif(SANITIZED, reason="the static runtime of this build is instrumented")
def test_object_file(tmp_path):
    cpus = f"--target-cpu={FUTURE},{HERE},x86-64"
    classifier = compile_to(softmax_model(), tmp_path, "classifier.o", "--emit=object", cpus)
    symbols = [line.split() for line in checked(["nm", "-g", classifier]).splitlines()]
    assert [s[-1] for s in symbols if s[-2] != "U"] == ["ds_model_classifier"]
    program = link(os.path.join(EXAMPLES, "embed", "embed.c"), tmp_path / "embed", classifier)
    np.testing.assert_allclose(numbers(checked([program, *map(str, X[0])])), softmax(X)[0], atol=2e-6)


def test_phases_are_saved_for_each(tmp_path):
    compile_to(softmax_model(), tmp_path, "m", f"--target-cpu=x86-64,{HERE}", f"--save-phases={tmp_path}/phases")
    assert sorted(os.listdir(tmp_path / "phases")) == ["x86-64", HERE]
    kernels = {cpu: (tmp_path / "phases" / cpu / "07-kernels.mlir").read_text() for cpu in ("x86-64", HERE)}
    assert "vector<4xf32>" in kernels["x86-64"] and "vector<8xf32>" not in kernels["x86-64"]
    assert "vector<8xf32>" in kernels[HERE]


@pytest.mark.parametrize(
    "cpus, pattern",
    [
        (f"{HERE},{HERE}", f"the CPU '{HERE}' is in the list twice"),
        ("znver4,", "the list of CPUs 'znver4,' has an empty name"),
        (",", "has an empty name"),
        ("znver4,z80", "unknown target CPU 'z80'"),
        ("core2,penryn,core2", "the CPU 'core2' is in the list twice"),
        ("nehalem,corei7", "have the same features: a machine could not choose between them; leave one out"),
    ],
)
def test_lists_that_are_refused(cpus, pattern, tmp_path):
    source = tmp_path / "model.onnx"
    onnx.save(softmax_model(), source)
    result = tools.compile_model(str(source), str(tmp_path / "m"), f"--target-cpu={cpus}")
    assert result.code == 2 and pattern in result.stderr
    assert not os.path.exists(tmp_path / "m")


def test_stop_after_is_for_one(tmp_path):
    source = tmp_path / "model.onnx"
    onnx.save(softmax_model(), source)
    result = tools.compile_model(str(source), str(tmp_path / "m"), f"--target-cpu=x86-64,{HERE}", "--stop-after=llvm")
    assert result.code == 2 and "--stop-after prints the program for one CPU" in result.stderr
