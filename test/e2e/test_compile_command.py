"""ds-compile's command line: exit code 2 and one line for bad usage, 1 for files; what is left when a compilation is ended."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper

from dsutil import tools

COMPILER = tools.tool("ds-compile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two dynamic dimensions, as ONNX and as text of ds."""
    folder = tmp_path_factory.mktemp("models")
    onnx.save(text_model("float[N,4] x, float[N,M] y => float[N,M] z", "z = Add(y, y)"), folder / "model.onnx")
    result = tools.run([COMPILER, str(folder / "model.onnx"), "--stop-after=import", "-o", str(folder / "model.mlir")])
    assert result.code == 0, result.stderr
    return folder


def expect(result: tools.Result, code: int, pattern: str) -> None:
    assert result.code == code, (result.code, result.stderr)
    assert re.fullmatch(rf"ds-compile: error: .*(?:{pattern}).*\n", result.stderr), result.stderr


@pytest.mark.parametrize(
    "arguments, pattern",
    [
        ([], "no model given"),
        (["model.onnx", "other.onnx"], "more than one model given: 'other.onnx'"),
        (["model.onnx", "--frobnicate"], "unknown flag '--frobnicate'"),
        (["model.onnx", "--emit=cake"], "--emit=cake"),
        (["model.onnx", "--emit", "cake"], "--emit=cake"),
        (["model.onnx", "-O7"], "-O7"),
        (["model.onnx", "-o"], "'-o' needs a value"),
        (["model.onnx", "-o", ""], "'-o' needs a value"),
        (["model.onnx", "-o", "a", "-o", "b"], "'-o' is given twice"),
        (["model.onnx", "--emit=library", "--emit", "object"], "'--emit' is given twice"),
        (["model.onnx", "--specialize=N=1", "--specialize=N=1"], "the same sizes twice: 'N=1'"),
        (["model.onnx", "-o", "model.onnx"], "'model.onnx' is the model itself"),
        (["model.onnx", "-o", "./model.onnx"], "is the model itself"),
        (["model.mlir", "--stop-after=import", "-o", "model.mlir"], "is the model itself"),
        (["model.onnx", "--stop-after=lunch"], "no phase 'lunch'"),
        (["model.onnx", "--stop-after="], "'--stop-after=' needs a value"),
        (["model.onnx", "--save-phases="], "'--save-phases=' needs a value"),
        (["model.onnx", "--target-cpu=z80"], "unknown target CPU 'z80'"),
        (["model.onnx", "--target-cpu=znver44"], "unknown target CPU 'znver44'.*; did you mean 'znver4'\\?"),
        (["model.onnx", "--target=aarch64-linux-gnu", "--target-cpu=cortexa76"], "did you mean 'cortex-a76'\\?"),
        (
            ["model.onnx", "--target=riscv64-linux-gnu"],
            "unknown target 'riscv64-linux-gnu'; expected x86_64-linux-gnu or",
        ),
        (["model.onnx", "--target=aarch64-linux-musl"], "unknown target 'aarch64-linux-musl'"),
        (["model.onnx", "--target=cuda:sm_90a"], "the device 'cuda:sm_90a', .* no code for devices yet; leave it out"),
        (["model.onnx", "--target=x86_64-linux-gnu,cuda:sm_91"], "unknown CUDA architecture 'sm_91'.*'sm_90'\\?"),
        (["model.onnx", "--target=aarch64-linux-gnu", "--target-cpu=z80"], "unknown target CPU 'z80'; expected a name"),
        (["model.onnx", "--target=aarch64-linux-gnu", "--target-cpu=native"], "the CPU 'native' is this machine's"),
        (["model.onnx", "--shape=N"], "NAME=SIZE, not 'N'"),
        (["model.onnx", "--shape=N=-1"], "NAME=SIZE, not 'N=-1'"),
        (["model.onnx", "--shape=N=1,N=2"], "gives 'N' twice"),
        (["model.onnx", "--shape=Q=3"], "names 'Q', but the model's symbolic dimensions are N, M"),
        (["model.onnx", "--shape=y:2=3"], "names 'y:2'"),
        (["model.onnx", "--shape=x:1=5"], "dimension 1 is 4 and cannot become 5"),
        (["model.mlir", "--shape=Q=3"], "names 'Q'"),
        (["model.mlir", "--shape=x:1=5"], "dimension 1 is 4 and cannot become 5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage(folder, arguments, pattern):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    expect(tools.run([COMPILER, *arguments], cwd=str(folder)), 2, pattern)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["MODEL.ONNX", "model.pb", "model", "model.onnx.bak"])
def test_names_that_say_nothing(folder, tmp_path, name):
    """What a file holds says what it is."""
    for source in ("model.onnx", "model.mlir"):
        if name == "MODEL.ONNX" and source != "model.onnx":
            continue
        (tmp_path / name).write_bytes((folder / source).read_bytes())
        result = tools.run([COMPILER, name, "-o", "program"], cwd=str(tmp_path))
        assert result.code == 0, result.stderr


def test_standard_input(folder, tmp_path):
    for source, output in (("model.onnx", "model"), ("model.mlir", "model.so")):
        flags = ["--emit=library"] if output.endswith(".so") else []
        with open(folder / source, "rb") as file:  # of a pipe it is read once, and by the CPUs of a list each
            command = [COMPILER, "-", "--target-cpu=x86-64,x86-64-v3", *flags]
            pipe = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
            result = subprocess.run(command, stdin=pipe.stdout, cwd=tmp_path, capture_output=True, timeout=60)
            pipe.wait()
        assert result.returncode == 0, result.stderr
        assert (tmp_path / output).exists()


def test_external_data_of_standard_input_lies_in_the_working_folder(tmp_path):
    model = text_model("float[N,4] x => float[N,4] y", "y = Add(x, w)")
    weight = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    (tmp_path / "w.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    model.graph.initializer.append(weight)
    result = subprocess.run(
        [COMPILER, "-"], input=model.SerializeToString(), cwd=tmp_path, capture_output=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("content", [b"", b"import torch\nprint('hello')\n", b"\x08\xff\xff"])
def test_standard_input_that_is_no_model(tmp_path, content):
    result = subprocess.run([COMPILER, "-"], input=content, cwd=tmp_path, capture_output=True, timeout=60, text=False)
    assert result.returncode == 1
    assert re.fullmatch(rb"ds-compile: error: <stdin>: [^\n]+\n", result.stderr), result.stderr
    assert os.listdir(tmp_path) == []


def test_files_of_no_known_suffix(tmp_path):
    expect(tools.run([COMPILER, "model.png"], cwd=str(tmp_path)), 1, "model.png: cannot open the model")
    (tmp_path / "model.py").write_text("import torch")
    expect(
        tools.run([COMPILER, "model.py"], cwd=str(tmp_path)),
        1,
        "model.py: the file is no model: expected an ONNX model",
    )


@pytest.mark.parametrize("suffix", ["onnx", "onnxtxt", "mlir"])
def test_files_that_are_no_models(tmp_path, suffix):
    (tmp_path / f"folder.{suffix}").mkdir()
    (tmp_path / f"empty.{suffix}").touch()
    for name in ("folder", "empty", "absent"):
        result = tools.run([COMPILER, f"{name}.{suffix}", "-o", "program"], cwd=str(tmp_path))
        expect(result, 1, rf"{name}\.{suffix}: ")
    assert not (tmp_path / "program").exists()


@pytest.mark.parametrize("output", ["absent/program", ".", "/dev/null"])
def test_outputs_that_cannot_be_written(folder, output):
    expect(tools.run([COMPILER, "model.onnx", "-o", output], cwd=str(folder)), 1, f"cannot write '{output}'")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["model.onnx", "--stop-after=llvm"]], ids=" ".join)
def test_standard_output_that_is_full_or_closed(folder, arguments):
    command = [COMPILER, *arguments]
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=folder)
    assert result.returncode == 1
    assert result.stderr == "ds-compile: error: cannot write to standard output: No space left on device\n"
    # Nobody reads it: ended as any program of a pipe is, and no error of the compiler.
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=folder)
    os.close(writing)
    assert result.returncode in (-signal.SIGPIPE, 128 + signal.SIGPIPE)
    assert result.stderr == ""
    assert sorted(os.listdir(folder)) == ["model.mlir", "model.onnx"]


def test_standard_files_that_are_closed(folder, tmp_path):
    """No file gets their numbers: what is printed would be written to it."""
    shell = f"{COMPILER} model.onnx -o {tmp_path}/program --no-cache <&- >&- && "
    shell += f"{tmp_path}/program --random N=2,M=3 --output-dir {tmp_path}/made <&-"
    assert subprocess.run(["bash", "-c", shell], cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode == 0
    for name in os.listdir(tmp_path / "made"):
        np.load(tmp_path / "made" / name)
    run = ["bash", "-c", f"{tmp_path}/program --random N=2,M=3 --output-dir {tmp_path}/closed >&-"]
    assert subprocess.run(run, check=False).returncode == 0
    for name in os.listdir(tmp_path / "closed"):
        np.load(tmp_path / "closed" / name)
    result = subprocess.run(["bash", "-c", f"{tmp_path}/program --help >&-"], stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert re.fullmatch(rb"program: error: cannot write to standard output: .*\n", result.stderr), result.stderr


def test_outputs_that_get_too_large(folder, tmp_path):
    """A limit on the size of files, or a full disk: nothing half-written stays."""
    assert tools.run([COMPILER, str(folder / "model.onnx"), "-o", str(tmp_path / "program")]).code == 0
    command = f"ulimit -f 2; exec {tmp_path}/program --random N=3000,M=3 --output-dir {tmp_path}/made"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"program: error: cannot write '.*': File too large\n", result.stderr), result.stderr
    assert os.listdir(tmp_path / "made") == []


def test_output_is_replaced_and_may_be_run(folder, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"the old program")
    program.chmod(0o600)
    assert tools.run([COMPILER, str(folder / "model.onnx"), "-o", str(program)]).code == 0
    assert tools.run([str(program), "--random", "N=1,M=1"]).code == 0
    assert os.listdir(tmp_path) == ["program"]


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """Matrix products of many sizes: kernels that take seconds to generate."""
    sizes = [8 + 3 * i for i in range(60)]
    lines = [f"t{i + 1} = MatMul(t{i}, w{i})" for i in range(len(sizes) - 1)]
    model = text_model(f"float[N,{sizes[0]}] t0 => float[N,{sizes[-1]}] t{len(sizes) - 1}", ";".join(lines))
    for i, size in enumerate(itertools.pairwise(sizes)):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(size, np.float32), f"w{i}"))
    path = tmp_path_factory.mktemp("slow") / "slow.onnx"
    onnx.save(model, path)
    return path


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "target, number, code",
    [
        ("parent", signal.SIGTERM, -signal.SIGTERM),
        ("parent", signal.SIGKILL, -signal.SIGKILL),
        ("child", signal.SIGKILL, 1),
        ("child", signal.SIGTERM, 128 + signal.SIGTERM),
        ("group", signal.SIGINT, 128 + signal.SIGINT),
        ("group", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_ended_compilation_leaves_nothing(slow_model, tmp_path, target, number, code):
    command = [COMPILER, str(slow_model), "--verbose", "-o", "program"]
    for _ in range(10):
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell's background job ignores interrupts, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            for line in process.stderr:
                if "phase artifact" in line:
                    break
            found = children(process.pid)
            if found:
                with contextlib.suppress(ProcessLookupError):
                    if target == "group":
                        os.killpg(process.pid, number)
                    else:
                        os.kill(process.pid if target == "parent" else found[0], number)
            rest = process.stderr.read()
            if process.wait(60) != 0:
                break
        # On a busy machine the compilation may be over before the signal comes.
        os.remove(tmp_path / "program")
    assert process.returncode == code
    (child,) = found
    deadline = time.monotonic() + 60
    while is_alive(child):
        assert time.monotonic() < deadline, "the compilation goes on"
        time.sleep(0.02)
    assert os.listdir(tmp_path) == []
    assert rest.count("\n") == (code == 1), rest
