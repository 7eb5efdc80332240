"""Compiling again: what ds-compile keeps of kernels, where, and that it changes nothing but time."""

from __future__ import annotations

import concurrent.futures
import os
import re
import sys

import numpy as np
import onnx
import pytest
from harness import run_program, text_model
from onnx import numpy_helper

from dsutil import tools

RNG = np.random.default_rng(9)


def layers(count: int, width: int = 24, changed: int | None = None) -> onnx.ModelProto:
    """Layers of growing widths, so that each has a kernel of its own; one may be another kind of layer."""
    body, weights = [], {}
    for layer in range(count):
        weights[f"w{layer}"] = np.full((width + layer, width + layer + 1), 0.01, np.float32)
        follows = "Sigmoid" if layer == changed else "Relu"
        body.append(f"m{layer} = MatMul(h{layer}, w{layer}); h{layer + 1} = {follows}(m{layer})")
    text = "; ".join(body).replace("h0", "x").replace(f"h{count} =", "y =")
    model = text_model(f"float[N,{width}] x => float[N,{width + count}] y", text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


class Compiler:
    def __init__(self, folder):
        self.folder, self.count = str(folder), 0

    def __call__(self, model: onnx.ModelProto, *flags: str, env: dict[str, str] | None = None, code: int = 0):
        """The artifact's bytes, (how many parts came from the cache, all), and what was said."""
        self.count += 1
        source = os.path.join(self.folder, f"{self.count}.onnx")
        output = os.path.join(self.folder, f"{self.count}.out")
        onnx.save(model, source)
        environment = {**os.environ, **(env or {})}
        environment = {name: value for name, value in environment.items() if value is not None}
        result = tools.run(
            [tools.tool("ds-compile"), source, "-o", output, "--verbose", *flags], timeout=300, env=environment
        )
        assert result.code == code, result.stderr
        if code:
            return None, None, result.stderr
        told = re.search(r"(\d+) of (\d+) kernels and host programs came from the cache", result.stderr)
        return open(output, "rb").read(), tuple(map(int, told.groups())), result.stderr


@pytest.fixture
def compile(tmp_path) -> Compiler:
    return Compiler(tmp_path)


def test_an_unchanged_model_is_the_same_bytes(compile, tmp_path):
    folder = f"--cache-dir={tmp_path}/deep/cache"
    plain, used, _ = compile(layers(4), "--no-cache")
    assert used == (0, 5)
    cold, used, _ = compile(layers(4), folder)
    assert used == (0, 5)
    warm, used, _ = compile(layers(4), folder)
    assert used == (5, 5)
    assert plain == cold == warm
    assert run_program(str(tmp_path / "3.out"), {"x": np.ones((2, 24), np.float32)}, str(tmp_path)).code == 0


def test_a_changed_layer_is_compiled_alone(compile, tmp_path):
    folder = f"--cache-dir={tmp_path}/cache"
    compile(layers(6), folder)
    changed, used, _ = compile(layers(6, changed=3), folder)
    assert used == (6, 7)
    assert changed == compile(layers(6, changed=3), "--no-cache")[0]


@pytest.mark.parametrize(
    "flags",
    [("-O1",), ("-O0",), ("--precise",), ("--target-cpu=skylake",), ("--target-cpu=x86-64-v4",), ("--shape", "N=3")],
)
def test_what_code_depends_on_is_compiled_anew(compile, tmp_path, flags):
    folder = f"--cache-dir={tmp_path}/cache"
    given = {flag.split("=")[0] for flag in flags}
    base = ("--target=x86_64-linux-gnu", "--target-cpu=x86-64-v3")
    compile(layers(3), folder, *base)
    base = [flag for flag in base if flag.split("=")[0] not in given]
    other, used, _ = compile(layers(3), folder, *base, *flags)
    assert used == (0, 4)
    assert other == compile(layers(3), "--no-cache", *base, *flags)[0]


def test_the_users_cache_folder_is_the_default(compile, tmp_path):
    for env, folder in (
        ({"XDG_CACHE_HOME": str(tmp_path / "xdg")}, tmp_path / "xdg" / "ds"),
        ({"XDG_CACHE_HOME": None, "HOME": str(tmp_path / "home")}, tmp_path / "home" / ".cache" / "ds"),
        ({"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path / "other")}, tmp_path / "other" / ".cache" / "ds"),
    ):
        assert compile(layers(2), env=env)[1] == (0, 3)
        assert len(os.listdir(folder)) == 3
        assert compile(layers(2), env=env)[1] == (3, 3)
    assert not os.path.exists("relative")


def test_without_a_home_nothing_is_said(compile, tmp_path):
    (tmp_path / "file").write_text("")
    for env in ({"XDG_CACHE_HOME": None, "HOME": None}, {"XDG_CACHE_HOME": str(tmp_path / "file")}):
        _, used, said = compile(layers(2), env=env)
        assert used == (0, 3) and "warning" not in said


def test_a_folder_that_was_named_but_cannot_be_used_is_a_warning(compile, tmp_path):
    (tmp_path / "file").write_text("")
    _, used, said = compile(layers(2), f"--cache-dir={tmp_path}/file")
    assert used == (0, 3)
    assert f"warning: the cache folder '{tmp_path}/file' is not used: " in said


def test_usage(compile):
    assert "contradict" in compile(layers(1), "--no-cache", "--cache-dir=x", code=2)[2]
    assert "is not a number of megabytes" in compile(layers(1), "--cache-size=many", code=2)[2]


def test_the_size_is_bounded(compile, tmp_path):
    folder = tmp_path / "cache"
    for width in (16, 32, 48):
        compile(layers(3, width), f"--cache-dir={folder}")
    assert len(os.listdir(folder)) > 4
    compile(layers(3, 64), f"--cache-dir={folder}", "--cache-size=0")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "swapped"])
def test_damaged_entries_are_compiled_anew(compile, tmp_path, damage):
    folder = tmp_path / "cache"
    good, _, _ = compile(layers(3), f"--cache-dir={folder}")
    entries = [folder / name for name in sorted(os.listdir(folder))]
    contents = [path.read_bytes() for path in entries]
    for path, data, other in zip(entries, contents, contents[1:] + contents[:1], strict=True):
        middle = len(data) // 2
        path.write_bytes(
            {
                "cut": data[:middle],
                "changed": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
                "empty": b"",
                "swapped": other,
            }[damage]
        )
    again, used, _ = compile(layers(3), f"--cache-dir={folder}")
    assert used == (0, 4) and again == good
    assert compile(layers(3), f"--cache-dir={folder}")[1] == (4, 4)


def test_processes_share_a_folder(tmp_path):
    folder = f"--cache-dir={tmp_path}/cache"

    def work(number: int) -> bytes:
        (tmp_path / str(number)).mkdir()
        return Compiler(tmp_path / str(number))(layers(3), folder)[0]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    assert all(name.endswith(".kernel") for name in os.listdir(tmp_path / "cache"))


def test_another_build_takes_nothing(compile, tmp_path):
    """The Python module is another build of the same compiler: its entries stand beside those of ds-compile."""
    folder = tmp_path / "cache"
    compile(layers(2), f"--cache-dir={folder}")
    entries = set(os.listdir(folder))
    program = f"import deepseek as ds; ds.compile_onnx({str(tmp_path / '1.onnx')!r}, cache={str(folder)!r})"
    environment = {**os.environ, "PYTHONPATH": os.path.join(tools.BUILD, "python")}
    result = tools.run([sys.executable, "-c", program], timeout=300, env=environment)
    assert result.code == 0, result.stderr
    assert entries < set(os.listdir(folder)) and len(os.listdir(folder)) == 2 * len(entries) == 6


def test_a_look_inside_shows_all_code(compile, tmp_path):
    """--save-phases takes no code from the cache: what it writes is the whole program."""
    folder = f"--cache-dir={tmp_path}/cache"
    compile(layers(2), folder)
    _, used, _ = compile(layers(2), folder, f"--save-phases={tmp_path}/phases")
    assert used == (0, 0)
    assert "llvm.func @ds_k0_gemm" in (tmp_path / "phases" / "09-llvm.mlir").read_text()
