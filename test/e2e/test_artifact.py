"""What an artifact is: the same bytes each time, free of LLVM, small, usable as a library."""

import hashlib
import os
import re
import subprocess

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper

from dsutil import runtime, tools


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = text_model("float[N,32] x => float[N,16] y", "h = MatMul(x, w); y = Relu(h)")
    weights = np.random.default_rng(1).standard_normal((32, 16)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    model.metadata_props.add(key="alphabet", value="aßc\n日本")
    path = str(tmp_path_factory.mktemp("artifact") / "model.onnx")
    onnx.save(model, path)
    return path


def digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.parametrize("emit", ["executable", "library"])
def test_same_model_same_bytes(model, tmp_path, emit):
    for name in ("first", "second"):
        result = tools.compile_model(model, str(tmp_path / name), f"--emit={emit}")
        assert result.code == 0, result.stderr
    assert digest(str(tmp_path / "first")) == digest(str(tmp_path / "second"))


def test_runtime_needs_no_llvm():
    text = subprocess.run(["readelf", "-d", tools.runtime_library()], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", text)
    assert needed
    assert not [name for name in needed if "LLVM" in name or "MLIR" in name or "stdc++" in name or "protobuf" in name]


def test_runtime_is_small(tmp_path):
    stripped = tmp_path / "stripped.so"
    subprocess.run(["strip", "-o", str(stripped), tools.runtime_library()], check=True)
    assert os.path.getsize(stripped) < 1_000_000


def test_library_through_the_c_abi(model, tmp_path):
    library = str(tmp_path / "model.so")
    assert tools.compile_model(model, library, "--emit=library").code == 0
    weights = numpy_helper.to_array(onnx.load(model).graph.initializer[0])
    with runtime.Model(library) as program:
        assert program.inputs == ["x"]
        assert program.outputs == ["y"]
        assert program.property("alphabet") == "aßc\n日本"
        for rows in (1, 7, 0, 64):
            x = np.random.default_rng(rows).standard_normal((rows, 32)).astype(np.float32)
            (y,) = program.run([x])
            np.testing.assert_allclose(y, np.maximum(x @ weights, 0), rtol=1e-5, atol=1e-5)
        with pytest.raises(runtime.RuntimeFailure, match="33"):
            program.run([np.ones((1, 33), np.float32)])


def test_library_through_ds_run(model, tmp_path):
    library = str(tmp_path / "model.so")
    assert tools.compile_model(model, library, "--emit=library").code == 0
    np.save(tmp_path / "x.npy", np.ones((2, 32), np.float32))
    command = [tools.tool("ds-run"), library, "--input", f"x={tmp_path}/x.npy", "--output-dir", str(tmp_path)]
    result = tools.run(command)
    assert result.code == 0, result.stderr
    weights = numpy_helper.to_array(onnx.load(model).graph.initializer[0])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[0], np.maximum(weights.sum(0), 0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.97])
def test_damaged_library_is_refused(model, tmp_path, place):
    library = tmp_path / "model.so"
    assert tools.compile_model(model, str(library), "--emit=library").code == 0
    content = library.read_bytes()
    library.write_bytes(content[: int(len(content) * place)])
    with pytest.raises(runtime.RuntimeFailure):
        runtime.Model(str(library))


def test_shape_option_makes_dimensions_static(model, tmp_path):
    program = str(tmp_path / "model")
    assert tools.compile_model(model, program, "--shape", "N=3").code == 0
    assert re.search(r"x.*3.*32", tools.run([program, "--help"]).stdout)
    np.save(tmp_path / "x.npy", np.ones((2, 32), np.float32))
    assert tools.run([program, "--input", f"x={tmp_path}/x.npy"]).code == 1


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64"])
def test_other_cpus(model, tmp_path, cpu):
    program = str(tmp_path / "model")
    result = tools.compile_model(model, program, f"--target-cpu={cpu}")
    assert result.code == 0, result.stderr
    np.save(tmp_path / "x.npy", np.ones((2, 32), np.float32))
    result = tools.run([program, "--input", f"x={tmp_path}/x.npy", "--output-dir", str(tmp_path)])
    assert result.code == 0, result.stderr
    weights = numpy_helper.to_array(onnx.load(model).graph.initializer[0])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[0], np.maximum(weights.sum(0), 0), rtol=1e-4, atol=1e-4)


def test_no_optimization_gives_the_same_answers(model, tmp_path):
    assert tools.compile_model(model, str(tmp_path / "model"), "-O0").code == 0


def test_phases_are_saved(model, tmp_path):
    folder = tmp_path / "phases"
    result = tools.compile_model(model, str(tmp_path / "model"), f"--save-phases={folder}")
    assert result.code == 0, result.stderr
    names = sorted(os.listdir(folder))
    assert len(names) >= 5
    assert re.match(r"0*1-import", names[0])


def test_stop_after_prints_text_that_compiles(model, tmp_path):
    result = tools.run([tools.tool("ds-compile"), model, "--stop-after=import"])
    assert result.code == 0, result.stderr
    assert "ds.matmul" in result.stdout
    (tmp_path / "model.mlir").write_text(result.stdout)
    result = tools.compile_model(str(tmp_path / "model.mlir"), str(tmp_path / "again"))
    assert result.code == 0, result.stderr
    np.save(tmp_path / "x.npy", np.ones((2, 32), np.float32))
    result = tools.run([str(tmp_path / "again"), "--input", f"x={tmp_path}/x.npy", "--output-dir", str(tmp_path)])
    assert result.code == 0, result.stderr
    weights = numpy_helper.to_array(onnx.load(model).graph.initializer[0])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[0], np.maximum(weights.sum(0), 0), rtol=1e-4, atol=1e-4)
