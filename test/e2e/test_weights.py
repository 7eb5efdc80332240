"""Weights outside of the model (ONNX external data) and outside of the artifact (safetensors beside it).

With DS_TEST_LARGE set, also a model of 3 GB: what compiling it takes, and that processes share its pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from test_embedding import CC, checked
from test_object import INCLUDE, RUNTIME, SANITIZED

from dsutil import runtime, tools


def external_model(folder: str, layers: int, width: int, vocabulary: int, skew: int = 0) -> int:
    """h = embedding[ids]; then `layers` times h = tanh(h @ w). All weights in weights.bin; returns its size. `skew` puts the
    first tensor at an offset that is no multiple of its element size."""
    rng = np.random.default_rng(1)
    tensors, nodes = [], [helper.make_node("Gather", ["embedding", "ids"], ["h0"])]
    with open(os.path.join(folder, "weights.bin"), "wb") as file:
        file.write(b"\0" * skew)

        def add(name: str, array: np.ndarray) -> None:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", "weights.bin"), ("offset", file.tell()), ("length", array.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
            file.write(array.tobytes())
            tensors.append(tensor)

        add("embedding", rng.standard_normal((vocabulary, width), dtype=np.float32))
        for i in range(layers):
            add(f"w{i}", rng.standard_normal((width, width), dtype=np.float32) * np.float32(width**-0.5))
            nodes.append(helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"m{i}"]))
            nodes.append(helper.make_node("Tanh", [f"m{i}"], [f"h{i + 1}"]))
        size = file.tell()
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["N"])
    out = helper.make_tensor_value_info(f"h{layers}", TensorProto.FLOAT, ["N", width])
    graph = helper.make_graph(nodes, "g", [ids], [out], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(proto, os.path.join(folder, "model.onnx"))
    return size


def expected(folder: str, ids: np.ndarray) -> np.ndarray:
    """In NumPy, float64, straight from weights.bin."""
    model = onnx.load(os.path.join(folder, "model.onnx"), load_external_data=False)
    weights = {}
    for tensor in model.graph.initializer:
        offset = int({entry.key: entry.value for entry in tensor.external_data}["offset"])
        path = os.path.join(folder, "weights.bin")
        weights[tensor.name] = np.memmap(path, np.uint8, "r")[offset : offset + 4 * int(np.prod(tensor.dims))].view()
        weights[tensor.name] = np.frombuffer(weights[tensor.name], np.float32).reshape(tensor.dims)
    h = weights["embedding"][ids].astype(np.float64)
    for i in range(len(weights) - 1):
        h = np.tanh(h @ weights[f"w{i}"].astype(np.float64))
    return h


def read_safetensors(path: str) -> dict[str, np.ndarray]:
    """A reader of its own, as strict as the format: offsets without holes, nothing behind the last tensor."""
    data = np.memmap(path, np.uint8, "r")
    length = int(data[:8].view("<u8")[0])
    header = json.loads(data[8 : 8 + length].tobytes())
    assert header.pop("__metadata__")["format"] == "ds"
    types = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}
    at, tensors = 0, {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == at
        tensors[name] = data[8 + length + begin : 8 + length + end].view(types[entry["dtype"]]).reshape(entry["shape"])
        at = end
    assert 8 + length + at == len(data)
    return tensors


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("small"))
    external_model(folder, layers=3, width=200, vocabulary=1001)
    return folder


IDS = np.array([0, 3, 1000], np.int64)


def run_library(path: str, ids: np.ndarray = IDS) -> np.ndarray:
    with runtime.Model(path) as model:
        return model.run([ids])[0]


@pytest.fixture(scope="module")
def beside(small) -> str:
    path = os.path.join(small, "beside.so")
    result = tools.compile_model(os.path.join(small, "model.onnx"), path, "--emit=library", "--weights=beside")
    assert result.code == 0, result.stderr
    return path


def test_runs_with_weights_beside_it(small, beside):
    assert os.path.getsize(beside) < 200_000
    np.testing.assert_allclose(run_library(beside), expected(small, IDS), atol=1e-5)
    checked([tools.tool("ds-run"), beside, "--verify"])


def test_same_results_wherever_the_weights_are(small, beside):
    path = os.path.join(small, "inside.so")
    assert tools.compile_model(os.path.join(small, "model.onnx"), path, "--emit=library").code == 0
    assert not os.path.exists(path + ".safetensors"), "small weights stay inside"
    np.testing.assert_array_equal(run_library(path), run_library(beside))


def test_file_is_plain_safetensors(small, beside):
    tensors = read_safetensors(beside + ".safetensors")
    original = np.fromfile(os.path.join(small, "weights.bin"), np.float32, 1001 * 200).reshape(1001, 200)
    np.testing.assert_array_equal(tensors["embedding"], original)
    assert {"w0", "w1", "w2"} <= {name.split("_")[0].split("#")[0] for name in tensors}


def test_programs_find_their_weights(small, tmp_path):
    program = str(tmp_path / "program")
    assert tools.compile_model(os.path.join(small, "model.onnx"), program, "--weights=beside").code == 0
    np.save(tmp_path / "ids.npy", IDS)
    command = [program, "--input", f"ids={tmp_path}/ids.npy", "--output-dir", str(tmp_path)]
    for folder in ("/", str(tmp_path)):
        checked(command, cwd=folder)
        np.testing.assert_allclose(np.load(tmp_path / "h3.npy"), expected(small, IDS), atol=1e-5)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("program", "program.safetensors"):
        shutil.move(tmp_path / name, moved / name)
    link = tmp_path / "link"
    link.symlink_to(moved / "program")
    checked([str(link), *command[1:]])


@pytest.mark.skipif(SANITIZED, reason="the static runtime of this build is instrumented")
def test_objects_find_their_weights_beside_the_program(small, tmp_path):
    result = tools.compile_model(
        os.path.join(small, "model.onnx"), str(tmp_path / "m.o"), "--emit=object", "--weights=beside"
    )
    assert result.code == 0, result.stderr
    (tmp_path / "main.c").write_text(
        """
        #include <ds_runtime.h>
        #include <stdio.h>
        DS_DECLARE_MODEL(m);
        int main(void) {
          ds_model *model; ds_session *session; ds_error error;
          int64_t ids[3] = {0, 3, 1000}, shape[1] = {3};
          ds_tensor in = {ids, DS_INT64, 1, shape, NULL, DS_HOST}, out = {0};
          if (ds_model_load_embedded(&ds_model_m, &model, &error) || ds_model_verify(model, &error) ||
              ds_session_create(model, NULL, &session, &error) || ds_session_run(session, &in, 1, &out, 1, &error))
            return fprintf(stderr, "%s\\n", error.message), 1;
          fwrite(out.data, 4, (size_t)(out.shape[0] * out.shape[1]), stdout);
          return 0;
        }"""
    )
    program = str(tmp_path / "main")
    source, model = str(tmp_path / "main.c"), str(tmp_path / "m.o")
    checked([CC, f"-I{INCLUDE}", source, model, RUNTIME, "-lm", "-lpthread", "-o", program])
    out = subprocess.run([program], capture_output=True, check=True).stdout
    np.testing.assert_allclose(np.frombuffer(out, np.float32).reshape(3, 200), expected(small, IDS), atol=1e-5)
    os.remove(tmp_path / "m.o.safetensors")
    result = subprocess.run([program], capture_output=True, text=True)
    assert result.returncode == 1 and "m.o.safetensors', the weights of '(linked in)': No such file" in result.stderr


def failure(path: str) -> str:
    with pytest.raises(runtime.RuntimeFailure) as caught:
        run_library(path)
    return str(caught.value)


def test_what_is_wrong_with_the_file_is_said(beside, tmp_path):
    path, weights = str(tmp_path / "beside.so"), str(tmp_path / "beside.so.safetensors")
    shutil.copy(beside, path)
    assert f"cannot open '{weights}'" in failure(path)
    data = bytearray(open(beside + ".safetensors", "rb").read())

    def write(content: bytes) -> None:
        with open(weights, "wb") as file:
            file.write(content)

    write(data[:-1])
    assert "was it copied whole?" in failure(path)
    write(data[:100] + b"x" + data[101:])
    assert "weights of another model" in failure(path)
    write(data[:-1] + bytes([data[-1] ^ 1]))
    result = tools.run([tools.tool("ds-run"), path, "--verify"])
    assert result.code == 1 and "weights are damaged" in result.stderr
    os.remove(weights)
    os.mkdir(weights)
    assert "cannot open" in failure(path) or "should have" in failure(path)


def test_failed_compilation_leaves_neither_file(small, tmp_path):
    (tmp_path / "out.so.safetensors").mkdir()  # in the way
    result = tools.compile_model(
        os.path.join(small, "model.onnx"), str(tmp_path / "out.so"), "--emit=library", "--weights=beside"
    )
    assert result.code == 1 and "it is a folder" in result.stderr
    assert sorted(os.listdir(tmp_path)) == ["out.so.safetensors"]


def test_external_data_at_odd_offsets(tmp_path):
    external_model(str(tmp_path), layers=1, width=64, vocabulary=77, skew=3)
    path = str(tmp_path / "model.so")
    assert tools.compile_model(str(tmp_path / "model.onnx"), path, "--emit=library").code == 0
    np.testing.assert_allclose(run_library(path, IDS[:2]), expected(str(tmp_path), IDS[:2]), atol=1e-5)


def test_mapped_weights_leave_memory_once_packed(tmp_path):
    """400 MB of weights, in pieces of 16 MB: held once, whether packed (most) or written as they are."""
    size = external_model(str(tmp_path), layers=22, width=2048, vocabulary=4096)
    result = tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "m.so"), "--emit=library", timeout=300)
    assert result.code == 0, result.stderr
    base = 150 << 20  # the compiler itself, LLVM's pages included
    assert result.peak_bytes < base + 1.2 * size, f"{result.peak_bytes / size:.2f} times the weights"
    np.testing.assert_allclose(run_library(str(tmp_path / "m.so")), expected(str(tmp_path), IDS), atol=1e-4)


HOLDER = """
import sys, numpy as np
sys.path.insert(0, sys.argv[2])
from dsutil import runtime
with runtime.Model(sys.argv[1]) as model:
    out = model.run([np.array([0, 3, 1000], np.int64)])[0]
    print(float(out.astype(np.float64).sum()), flush=True)
    sys.stdin.readline()
"""


def proportional_bytes(pid: int) -> int:
    """What this process weighs, pages that n processes share counted as one n-th."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


@pytest.mark.skipif(not os.environ.get("DS_TEST_LARGE"), reason="DS_TEST_LARGE is not set; needs 7 GB of disk")
def test_three_gigabytes(tmp_path):
    folder = str(tmp_path)
    size = external_model(folder, layers=20, width=5632, vocabulary=24000)
    assert size > 3_000_000_000
    path = os.path.join(folder, "model.so")
    result = tools.compile_model(os.path.join(folder, "model.onnx"), path, "--emit=library", timeout=1800)
    assert result.code == 0, result.stderr
    assert result.peak_bytes < 1.5 * size, f"{result.peak_bytes / size:.2f} times the weights"
    assert os.path.getsize(path) < 1 << 20 and os.path.getsize(path + ".safetensors") >= size
    np.testing.assert_allclose(run_library(path), expected(folder, IDS), atol=1e-4)

    command = [sys.executable, "-c", HOLDER, path, os.path.join(os.path.dirname(__file__), "..", "..", "utils")]
    processes = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(10)]
    try:
        sums = {process.stdout.readline() for process in processes}
        assert len(sums) == 1 and sums != {""}
        together = sum(proportional_bytes(process.pid) for process in processes)
        assert together < 1.5 * size, f"10 processes weigh {together / size:.2f} times the weights"
    finally:
        for process in processes:
            process.communicate("\n")
    shutil.rmtree(folder)
