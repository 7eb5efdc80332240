"""The command line of a compiled program: what it offers, and what it says to bad input."""

import json
import os
import re
import subprocess

import numpy as np
import pytest
from harness import compile_text, run_program

from dsutil import tools


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Two inputs that share N; one integer index."""
    return compile_text(
        str(tmp_path_factory.mktemp("program")),
        "float[N,4] x, float[N,M] y, int64[1] i => float[N,4] sum, float[N,M] twice",
        "p = Constant<value_floats=[1.0,2.0,3.0]>(); e = Gather(p, i); sum = Add(x, e); twice = Add(y, y)",
    )


def good_arrays(n: int = 2, m: int = 5) -> dict[str, np.ndarray]:
    return {
        "x": np.arange(n * 4, dtype=np.float32).reshape(n, 4),
        "y": np.ones((n, m), np.float32),
        "i": np.array([1], np.int64),
    }


def refuse(program, tmp_path, *patterns: str, code: int = 1, arguments: list[str]) -> None:
    outputs = tmp_path / "out"
    outputs.mkdir(exist_ok=True)
    result = tools.run([program, "--output-dir", str(outputs), *arguments], timeout=60)
    assert result.code == code, (result.code, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    for pattern in patterns:
        assert re.search(pattern, lines[0]), f"no '{pattern}' in: {lines[0]}"
    assert os.listdir(outputs) == []


def files(tmp_path, arrays: dict[str, np.ndarray]) -> list[str]:
    arguments = []
    for number, (name, array) in enumerate(arrays.items()):
        path = tmp_path / f"{number}.npy"
        np.save(path, array)
        arguments += ["--input", f"{name}={path}"]
    return arguments


def test_runs(program, tmp_path):
    arrays = good_arrays()
    result = run_program(program, arrays, str(tmp_path))
    assert result.code == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "sum.npy"), arrays["x"] + 2)
    np.testing.assert_array_equal(np.load(tmp_path / "twice.npy"), arrays["y"] * 2)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_npz(program, tmp_path, save):
    arrays = good_arrays(3, 1)
    save(tmp_path / "in.npz", **arrays)
    result = tools.run([program, "--inputs", str(tmp_path / "in.npz"), "--output-dir", str(tmp_path)])
    assert result.code == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "twice.npy"), arrays["y"] * 2)


def test_help_lists_inputs_and_outputs(program):
    result = tools.run([program, "--help"])
    assert result.code == 0
    for pattern in (r"\bx\b.*float32.*N.*4", r"\by\b.*float32.*N.*M", r"\bi\b.*int64.*1", r"\bsum\b", r"\btwice\b"):
        assert re.search(pattern, result.stdout), f"no '{pattern}' in:\n{result.stdout}"


def test_random_inputs(program, tmp_path):
    result = tools.run([program, "--random", "N=2,M=3", "--output-dir", str(tmp_path)])
    assert result.code == 0, result.stderr
    assert np.load(tmp_path / "twice.npy").shape == (2, 3)


def test_says_what_it_needs_without_inputs(program, tmp_path):
    result = tools.run([program])
    assert result.code == 2
    for word in ("x", "y", "--input", "--random"):
        assert word in result.stderr


def test_benchmark_as_json(program):
    result = tools.run([program, "--random", "N=2,M=3", "--benchmark=20", "--json"])
    assert result.code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    figures = json.loads(line)
    assert set(figures) == {"median_ms", "p95_ms", "p99_ms", "min_ms", "peak_rss_bytes"}
    assert 0 < figures["min_ms"] <= figures["median_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
    assert figures["peak_rss_bytes"] > 1 << 16


def test_profile(program):
    """A row a kernel: what it computes, and both rates, which give back the operations and bytes of a run."""
    n, m = 1000, 3000
    result = tools.run([program, "--random", f"N={n},M={m}", "--threads", "1", "--profile"])
    assert result.code == 0, result.stderr
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["ms/run", "%", "calls", "GFLOP/s", "GB/s", "kernel", "nodes"]
    (row,) = (line.split() for line in lines[:-2] if "twice (Add)" in line)
    milliseconds, share, calls, flops, bytes_moved = (float(field) for field in row[:5])
    assert 0 < share <= 100 and calls == 1
    assert 1e6 * milliseconds * flops == pytest.approx(n * m, rel=0.1)
    assert 1e6 * milliseconds * bytes_moved == pytest.approx(8 * n * m, rel=0.1)
    assert "all kernels" in lines[-2] and re.search(r"ms/run in all \(10 runs, 1 thread\)$", lines[-1])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_the_result(program, tmp_path, threads):
    result = run_program(program, good_arrays(), str(tmp_path), "--threads", str(threads))
    assert result.code == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "sum.npy"), good_arrays()["x"] + 2)


def test_missing_input(program, tmp_path):
    arrays = good_arrays()
    del arrays["y"]
    refuse(program, tmp_path, r"\by\b", arguments=files(tmp_path, arrays))


def test_unknown_input(program, tmp_path):
    arguments = files(tmp_path, {**good_arrays(), "z": np.ones(1, np.float32)})
    refuse(program, tmp_path, r"\bz\b", arguments=arguments)


def test_input_given_twice(program, tmp_path):
    arguments = files(tmp_path, good_arrays())
    refuse(program, tmp_path, r"\bx\b", code=2, arguments=arguments + arguments[:2])


@pytest.mark.parametrize("change, name", [({"y": None}, "y"), ({"z": np.ones(1, np.float32)}, "z")])
def test_archive_with_other_arrays(program, tmp_path, change, name):
    """The command line is fine; what the file holds is not."""
    arrays = {key: value for key, value in {**good_arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "in.npz", **arrays)
    refuse(program, tmp_path, rf"\b{name}\b", arguments=["--inputs", str(tmp_path / "in.npz")])


def test_names_are_checked_before_files_are_read(program, tmp_path):
    absent = str(tmp_path / "absent.npy")
    refuse(program, tmp_path, r"\bz\b", arguments=["--input", f"x={absent}", "--input", f"z={absent}"])


def test_wrong_type(program, tmp_path):
    arrays = {**good_arrays(), "x": np.ones((2, 4), np.float64)}
    refuse(program, tmp_path, r"\bx\b", "float64", "float32", arguments=files(tmp_path, arrays))


def test_wrong_rank(program, tmp_path):
    arrays = {**good_arrays(), "x": np.ones((2, 4, 1), np.float32)}
    refuse(program, tmp_path, r"\bx\b", "rank|dimensions", arguments=files(tmp_path, arrays))


def test_wrong_dimension(program, tmp_path):
    arrays = {**good_arrays(), "x": np.ones((2, 5), np.float32)}
    refuse(program, tmp_path, r"\bx\b", r"\b4\b", r"\b5\b", arguments=files(tmp_path, arrays))


def test_inputs_that_disagree_on_a_symbol(program, tmp_path):
    arrays = {**good_arrays(), "y": np.ones((3, 5), np.float32)}
    refuse(program, tmp_path, r"\bN\b", r"\b2\b", r"\b3\b", arguments=files(tmp_path, arrays))


def test_index_out_of_range(program, tmp_path):
    arrays = {**good_arrays(), "i": np.array([3], np.int64)}
    refuse(program, tmp_path, "Gather", "index", arguments=files(tmp_path, arrays))


@pytest.mark.parametrize("archive", [False, True])
def test_fortran_order(program, tmp_path, archive):
    arrays = {name: np.asfortranarray(array) for name, array in good_arrays().items()}
    if archive:
        np.savez(tmp_path / "in.npz", **arrays)
        arguments = ["--inputs", str(tmp_path / "in.npz")]
    else:
        arguments = files(tmp_path, arrays)
    result = tools.run([program, "--output-dir", str(tmp_path), *arguments])
    assert result.code == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "sum.npy"), good_arrays()["x"] + 2)


def test_flags_that_are_nearly_right(program, tmp_path):
    refuse(program, tmp_path, "unknown flag '--thread'; did you mean '--threads'", code=2, arguments=["--thread=2"])
    refuse(program, tmp_path, "unknown flag '--frobnicate' \\(see", code=2, arguments=["--frobnicate"])


def test_big_endian(program, tmp_path):
    arrays = {**good_arrays(), "x": np.ones((2, 4), ">f4")}
    refuse(program, tmp_path, "endian|>f4", arguments=files(tmp_path, arrays))


def damaged_files():
    good = b"\x93NUMPY\x01\x00"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"
    body = bytes(32)

    def npy(text: bytes, data: bytes = body, length: int | None = None) -> bytes:
        text = text + b" " * (-(len(text) + 11) % 64) + b"\n"
        return good + (len(text) if length is None else length).to_bytes(2, "little") + text + data

    return {
        "empty": b"",
        "text": b"hello, world\n" * 9,
        "magic_only": good,
        "short": npy(header, body[:-1]),
        "long": npy(header, body + b"x"),
        "header_beyond_end": npy(header, length=60000),
        "no_shape": npy(b"{'descr': '<f4', 'fortran_order': False, }"),
        "negative": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 4), }"),
        "huge": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"),
        "overflow": npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }"),
        "objects": npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 4), }"),
        "version": b"\x93NUMPY\x09\x00" + bytes(120),
    }


@pytest.mark.parametrize("kind", damaged_files())
def test_damaged_file(program, tmp_path, kind):
    arguments = files(tmp_path, good_arrays())
    (tmp_path / "0.npy").write_bytes(damaged_files()[kind])
    refuse(program, tmp_path, r"0\.npy", arguments=arguments)


def test_damaged_npz(program, tmp_path):
    np.savez(tmp_path / "in.npz", **good_arrays())
    content = (tmp_path / "in.npz").read_bytes()
    (tmp_path / "in.npz").write_bytes(content[: len(content) // 2])
    refuse(program, tmp_path, r"in\.npz", arguments=["--inputs", str(tmp_path / "in.npz")])


def test_absent_file(program, tmp_path):
    arguments = files(tmp_path, good_arrays())
    os.remove(tmp_path / "1.npy")
    refuse(program, tmp_path, r"1\.npy", arguments=arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--frobnicate"],
        ["--threads", "0x"],
        ["--benchmark=-1", "--random", "N=1,M=1"],
        ["--random", "N=one,M=1"],
        ["--input", "x"],
        ["--input", "x="],
        ["--random"],
        ["--random", "N=1,M=1,N=2"],
        ["--random", "N=1,M=1", "--threads=1", "--threads=2"],
        ["--random", "N=1,M=1", "--json"],
        ["--random", "N=1,M=1", "--json", "--benchmark=2", "--profile"],
        ["--random", "N=1,M=1", "surplus"],
        [],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_bad_usage(program, tmp_path, arguments):
    refuse(program, tmp_path, code=2, arguments=arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--random", "N=1,M=1"]], ids=" ".join)
def test_full_standard_output(program, arguments):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"model: error: cannot write to standard output: No space left on device\n", result.stderr)


def test_full_disk_leaves_no_partial_file(tmp_path):
    import resource
    import signal

    program = compile_text(str(tmp_path), "float[N] x => float[N] y", "y = Neg(x)")
    outputs = tmp_path / "out"
    outputs.mkdir()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    result = tools.run([program, "--random", "N=100000", "--output-dir", str(outputs)], preexec_fn=limit)
    assert result.code == 1, result.stderr
    assert result.stderr.strip()
    assert os.listdir(outputs) == []


@pytest.mark.parametrize("sizes, symbol", [("N=1", "M"), ("N=1,M=1,Q=1", "Q"), ("N=-1,M=1", "N")])
def test_sizes_of_random_inputs(program, tmp_path, sizes, symbol):
    result = tools.run([program, "--random", sizes, "--output-dir", str(tmp_path / "out")])
    assert result.code == 2
    assert re.search(rf"\b{symbol}\b", result.stderr)


def test_names_of_output_files(tmp_path):
    import onnx
    from harness import text_model

    model = text_model("float[N] x => float[N] y", "y = Neg(x)")
    model.graph.node[0].output[0] = model.graph.output[0].name = "a/b:0 ü"
    onnx.save(model, tmp_path / "model.onnx")
    assert tools.compile_model(str(tmp_path / "model.onnx"), str(tmp_path / "model")).code == 0
    outputs = tmp_path / "out"
    result = tools.run([str(tmp_path / "model"), "--random", "N=2", "--output-dir", str(outputs)])
    assert result.code == 0, result.stderr
    (name,) = os.listdir(outputs)
    assert re.fullmatch(r"a_b_0__+\.npy", name)
