"""Programs that embed the runtime: installed, found by CMake and pkg-config, built, linked, run."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper

from dsutil import tools
from dsutil.venv import ROOT

EXAMPLES = os.path.join(ROOT, "docs", "examples")
CC, CXX = "clang-22", "clang++-22"
RNG = np.random.default_rng(11)
WEIGHTS = RNG.standard_normal((4, 3)).astype(np.float32)


def checked(command: list[str], **options) -> str:
    """Runs a command that must succeed; returns its output."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> str:
    """An installation of the runtime alone."""
    path = str(tmp_path_factory.mktemp("prefix"))
    checked(["cmake", "--install", tools.BUILD, "--prefix", path, "--component", "runtime"])
    return path


def softmax_model() -> onnx.ModelProto:
    model = text_model("float[N,4] x => float[N,3] y", "h = MatMul(x, w); y = Softmax <axis = -1> (h)")
    model.graph.initializer.append(numpy_helper.from_array(WEIGHTS, "w"))
    return model


def softmax(x: np.ndarray) -> np.ndarray:
    h = np.exp(x.astype(np.float64) @ WEIGHTS.astype(np.float64))
    return h / h.sum(axis=-1, keepdims=True)


def compile_to(model: onnx.ModelProto, folder, name: str, *flags: str) -> str:
    source, output = os.path.join(folder, "model.onnx"), os.path.join(folder, name)
    onnx.save(model, source)
    result = tools.compile_model(source, output, *flags, timeout=300)
    assert result.code == 0, result.stderr
    return output


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> str:
    return compile_to(softmax_model(), tmp_path_factory.mktemp("classifier"), "classify.so", "--emit=library")


@pytest.fixture(scope="module")
def accumulator(tmp_path_factory) -> str:
    body = "next_state = Add(x, state); y = Mul(next_state, two)"
    model = text_model("float[1] x, float[1] state => float[1] y, float[1] next_state", body)
    model.graph.initializer.append(numpy_helper.from_array(np.array([2], np.float32), "two"))
    return compile_to(model, tmp_path_factory.mktemp("accumulator"), "accumulate.so", "--emit=library")


@pytest.fixture(scope="module")
def library_examples(prefix, tmp_path_factory) -> str:
    """docs/examples/library, built outside of the repository against the installation."""
    build = str(tmp_path_factory.mktemp("library-build"))
    source = os.path.join(EXAMPLES, "library")
    flags = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}"]
    checked(["cmake", "-G", "Ninja", "-S", source, "-B", build, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror", *flags])
    checked(["cmake", "--build", build])
    return build


def numbers(text: str) -> np.ndarray:
    return np.array([float(line) for line in text.split()])


def test_c_program_found_by_cmake(library_examples, classifier):
    x = [0.5, 1.0, -2.0, 4.0]
    out = checked([os.path.join(library_examples, "classify"), classifier, *map(str, x)])
    np.testing.assert_allclose(numbers(out), softmax(np.array([x], np.float32))[0], atol=2e-6)


def test_c_program_reports_errors(library_examples, classifier, tmp_path):
    program = os.path.join(library_examples, "classify")
    result = subprocess.run([program, classifier, "1", "2"], capture_output=True, text=True)
    assert result.returncode == 1 and "input 'x' should have 4 in dimension 1" in result.stderr
    result = subprocess.run([program, str(tmp_path / "none.so"), "1"], capture_output=True, text=True)
    assert result.returncode == 1 and "cannot open" in result.stderr


def test_cpp_program_carries_state(library_examples, accumulator):
    out = checked([os.path.join(library_examples, "accumulate"), accumulator, "1", "2", "3.5"])
    np.testing.assert_array_equal(numbers(out), 2 * np.cumsum([1, 2, 3.5]))


@pytest.mark.parametrize("static", [False, True])
def test_pkg_config(prefix, classifier, tmp_path, static):
    environment = {**os.environ, "PKG_CONFIG_PATH": os.path.join(prefix, "lib", "pkgconfig")}
    query = ["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "ds-runtime"]
    flags = checked(query, env=environment).split()
    includes = [os.path.normpath(flag[2:]) for flag in flags if flag.startswith("-I")]
    assert includes == [os.path.join(prefix, "include")]
    program = str(tmp_path / "classify")
    linking = ["-Wl,-Bstatic", "-lds_runtime", "-Wl,-Bdynamic"] if static else []
    source = os.path.join(EXAMPLES, "library", "classify.c")
    rpath = f"-Wl,-rpath,{prefix}/lib"
    flags = [flag for flag in flags if not (static and flag == "-lds_runtime")]
    checked([CC, "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags[:2], *linking, *flags[2:], rpath])
    needed = checked(["readelf", "-d", program])
    assert ("libds_runtime" in needed) != static
    x = np.array([[1, 0, 0, 1]], np.float32)
    out = checked([program, classifier, "1", "0", "0", "1"])
    np.testing.assert_allclose(numbers(out), softmax(x)[0], atol=2e-6)


def test_program_that_compiles(tmp_path):
    """docs/examples/compile against an installation of both, which finds what it links with there."""
    prefix, build = str(tmp_path / "prefix"), str(tmp_path / "build")
    for component in ("runtime", "compiler"):
        checked(["cmake", "--install", tools.BUILD, "--prefix", prefix, "--component", component])
    source = os.path.join(EXAMPLES, "compile")
    flags = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}"]
    checked(["cmake", "-G", "Ninja", "-S", source, "-B", build, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", *flags])
    checked(["cmake", "--build", build])
    program = os.path.join(build, "scale")
    np.testing.assert_allclose(numbers(checked([program, "2.5", "1", "-2", "3"])), [2.5, -5, 7.5])
    mapped = checked(["readelf", "-d", os.path.join(prefix, "lib", "libds_compiler.so")])
    assert "libds_compiler" in mapped and tools.BUILD not in mapped


def test_headers_stand_alone_in_c_and_cpp(prefix, tmp_path):
    include = os.path.join(prefix, "include")
    # A table (.def) is included for what a macro makes of its lines.
    for header in sorted(name for name in os.listdir(include) if not name.endswith(".def")):
        source = tmp_path / "one.c"
        source.write_text(f"#include <{header}>\n#include <{header}>\n")
        if not header.endswith(".hpp"):
            checked([CC, "-std=c11", "-pedantic", "-Wall", "-Werror", f"-I{include}", "-fsyntax-only", str(source)])
        checked([CXX, "-std=c++17", "-Wall", "-Werror", f"-I{include}", "-fsyntax-only", "-xc++", str(source)])


def test_shared_library_needs_libc_alone(prefix):
    library = os.path.join(prefix, "lib", "libds_runtime.so")
    needed = [line for line in checked(["readelf", "-d", library]).splitlines() if "(NEEDED)" in line]
    assert {line.split("[")[1].rstrip("]") for line in needed} <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
