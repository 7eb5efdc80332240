"""--target=aarch64-linux-gnu: programs for another machine, run by QEMU and compared with ONNX Runtime here."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import test_data_dependent
import test_operators
import test_window_operators
from harness import check_case
from test_embedding import CC, EXAMPLES, checked, compile_to, numbers, softmax, softmax_model
from test_object import INCLUDE
from test_recurrent import Layer, check

from dsutil import tools

TARGET = "aarch64-linux-gnu"
TO_ARM = f"--target={TARGET}"
LINK_FOLDER = os.path.join(tools.BUILD, "lib", "ds", TARGET)
QEMU = tools.emulator(TARGET) or []
ANY_CPU = [*QEMU, "-cpu", "max"]
X = np.array([[0.5, 1, -2, 4]], np.float32)
CASES = {
    case.name: case
    for case in [*test_operators.CASES, *test_window_operators.CONVOLUTION, *test_data_dependent.DATA_DEPENDENT]
}

# Something of each emitter, and what NEON spells otherwise than x86: masks, gathers, half precision, integer division.
FAMILIES = (
    "matmul matmul_constant gemm_gelu conv_3x3 conv_3x3_wide conv_depthwise max_pool softmax_rows layer_norm attention_masked "
    "reduce_sum_columns arg_max top_k gather_rows scatter_elements mod cast_to_half double where cum_sum quantize_dequantize "
    "reshape_by_input nonzero"
).split()

runs = pytest.mark.skipif(
    not QEMU or not os.path.isdir(LINK_FOLDER),
    reason="needs qemu-aarch64, and a build that found the C and C++ libraries for AArch64 (utils/setup installs both)",
)


@runs
@pytest.mark.parametrize("name", FAMILIES)
def test_agrees_with_reference(name, tmp_path):
    check_case(CASES[name], str(tmp_path), TO_ARM, emulator=QEMU)


@runs
@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_recurrent(op, tmp_path):
    layer = Layer(op, direction="bidirectional", state=True, lengths=True)
    check(layer, str(tmp_path), TO_ARM, sizes=((1, 3), (5, 4)), emulator=QEMU)


# Half precision in registers, scalable vectors, bfloat16.
@runs
@pytest.mark.parametrize("cpu", ["cortex-a76", "neoverse-v2"])
@pytest.mark.parametrize("name", ["conv_3x3_wide", "cast_to_half", "softmax_rows", "top_k"])
def test_newer_cpus(cpu, name, tmp_path):
    check_case(CASES[name], str(tmp_path), TO_ARM, f"--target-cpu={cpu}", emulator=ANY_CPU)


@pytest.fixture(scope="module")
def newest(tmp_path_factory) -> str:
    return compile_to(softmax_model(), tmp_path_factory.mktemp("newest"), "m", TO_ARM, "--target-cpu=neoverse-v2")


@runs
def test_features_that_the_cpu_lacks_are_named(newest):
    result = tools.run([*QEMU, "-cpu", "cortex-a53", newest, "--random", "N=1"])
    assert result.code == 1
    assert "was compiled for the CPU 'neoverse-v2' and needs features that this one lacks (" in result.stderr
    assert {"sve2", "bf16", "dotprod", "fullfp16"} <= set(result.stderr.split("(")[1].split(")")[0].split(", "))
    result = tools.run([*QEMU, "-cpu", "cortex-a76", newest, "--random", "N=1"])
    assert result.code == 1 and "sve2" in result.stderr
    assert "dotprod" not in result.stderr and "fullfp16" not in result.stderr
    result = tools.run([*ANY_CPU, newest, "--version"])
    assert result.code == 0 and "for aarch64-unknown-linux-gnu, CPU neoverse-v2" in result.stdout


@runs
def test_the_best_of_several_cpus_is_chosen(tmp_path):
    program = compile_to(softmax_model(), tmp_path, "m", TO_ARM, "--target-cpu=generic,neoverse-v2,neoverse-n1")
    np.save(tmp_path / "x.npy", X)
    for machine, chosen in (("cortex-a53", "generic"), ("cortex-a76", "neoverse-n1"), ("max", "neoverse-v2")):
        command = [*QEMU, "-cpu", machine, program]
        assert f"CPU {chosen} (of neoverse-v2, neoverse-n1, generic)" in checked([*command, "--version"])
        checked([*command, "--input", f"x={tmp_path}/x.npy", "--output-dir", str(tmp_path / machine)])
        np.testing.assert_allclose(np.load(tmp_path / machine / "y.npy"), softmax(X), atol=2e-6)


def link(source: str, program, *objects: str) -> list[str]:
    """A program of ours for the other machine, with the runtime that executables contain."""
    runtime = os.path.join(LINK_FOLDER, "libds_executable.a")
    checked([CC, TO_ARM, "-fuse-ld=lld", "-O1", f"-I{INCLUDE}", source, *objects, runtime, "-lm", "-o", str(program)])
    return [*QEMU, str(program)]


@runs
def test_library(tmp_path):
    library = compile_to(softmax_model(), tmp_path, "m.so", "--emit=library", TO_ARM)
    program = link(os.path.join(EXAMPLES, "library", "classify.c"), tmp_path / "classify")
    np.testing.assert_allclose(numbers(checked([*program, library, *map(str, X[0])])), softmax(X)[0], atol=2e-6)
    # Neither machine takes the other's.
    own = compile_to(softmax_model(), tmp_path, "own.so", "--emit=library")
    result = tools.run([*program, own, *map(str, X[0])])
    assert result.code == 1 and "but this machine is aarch64; compile the model for it" in result.stderr
    result = tools.run([tools.tool("ds-run"), library, "--version"])
    assert result.code == 1 and "was compiled for 'aarch64-unknown-linux-gnu', but this machine is" in result.stderr


@runs
def test_object(tmp_path):
    model = compile_to(softmax_model(), tmp_path, "classifier.o", "--emit=object", TO_ARM)
    program = link(os.path.join(EXAMPLES, "embed", "embed.c"), tmp_path / "embed", model)
    np.testing.assert_allclose(numbers(checked([*program, *map(str, X[0])])), softmax(X)[0], atol=2e-6)


@runs
def test_every_spelling_of_the_machine_gives_the_same_bytes(tmp_path):
    files = []
    for number, triple in enumerate((TARGET, "aarch64-unknown-linux-gnu", "arm64-linux-gnu")):
        files.append(compile_to(softmax_model(), tmp_path, f"{number}.so", "--emit=library", f"--target={triple}"))
    assert len({open(path, "rb").read() for path in files}) == 1


def test_what_is_missing_to_link_is_named(tmp_path):
    """An installation that was built without the libraries of the other machine."""
    prefix = tmp_path / "prefix"
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(tools.tool("ds-compile"), prefix / "bin")
    shutil.copytree(
        os.path.join(tools.BUILD, "lib", "ds"), prefix / "lib" / "ds", ignore=shutil.ignore_patterns(TARGET)
    )
    (tmp_path / "model.onnxtxt").write_text(
        '<ir_version: 9, opset_import: ["": 17]> g (float x) => (float y) { y = Abs(x) }'
    )
    command = [str(prefix / "bin" / "ds-compile"), str(tmp_path / "model.onnxtxt"), "-o", str(tmp_path / "m")]
    result = tools.run([*command, TO_ARM])
    assert result.code == 1 and not os.path.exists(tmp_path / "m")
    assert f"'{prefix}/lib/ds/{TARGET}/libds_executable.a' is missing; build ds where" in result.stderr
    assert tools.run([*command, TO_ARM, "--stop-after=llvm"]).code == 0, "code alone needs no library"
    assert tools.run(command).code == 0
