"""--emit=object: a model linked into a program with the static runtime."""

from __future__ import annotations

import os
import re
import subprocess

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper
from test_embedding import CC, CXX, EXAMPLES, checked, compile_to, numbers, softmax, softmax_model

from dsutil import tools

INCLUDE = os.path.join(os.path.dirname(EXAMPLES), "..", "runtime", "include")
RUNTIME = os.path.join(tools.BUILD, "lib", "libds_runtime.a")
SANITIZED = "fsanitize" in open(os.path.join(tools.BUILD, "CMakeCache.txt")).read()
X = np.array([[0.5, 1, -2, 4]], np.float32)

pytestmark = pytest.mark.skipif(SANITIZED, reason="the static runtime of this build is instrumented")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> str:
    return compile_to(softmax_model(), tmp_path_factory.mktemp("object"), "classifier.o", "--emit=object")


def link(source: str, program, *objects: str, flags: tuple[str, ...] = ()) -> str:
    command = [CC, "-O1", "-Wall", "-Werror", f"-I{INCLUDE}", source, *objects, RUNTIME, *flags, "-lm", "-lpthread"]
    checked([*command, "-o", str(program)])
    return str(program)


def needed(program: str) -> set[str]:
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", checked(["readelf", "-d", program])))


@pytest.mark.parametrize("flags", [(), ("-fuse-ld=lld",), ("-static",), ("-no-pie", "-Wl,--gc-sections")], ids=str)
def test_example_needs_libc_alone(classifier, tmp_path, flags):
    program = link(os.path.join(EXAMPLES, "embed", "embed.c"), tmp_path / "embed", classifier, flags=flags)
    assert needed(program) <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}
    if "-static" in flags:
        assert needed(program) == set()
    else:
        # A weak one may be missing: the library of strings, where no operator needs it.
        symbols = [line.split() for line in checked(["nm", "-D", "-u", program]).splitlines()]
        undefined = [symbol[-1] for symbol in symbols if symbol[-2] != "w"]
        assert undefined, "nm shows what the program takes from libc"
        assert [name for name in undefined if "@GLIBC" not in name and not name.startswith(("_ITM_", "__gmon"))] == []
        assert not any("dlopen" in name for name in undefined), "nothing is loaded at run time"
    np.testing.assert_allclose(numbers(checked([program, *map(str, X[0])])), softmax(X)[0], atol=2e-6)


def test_example_builds_by_its_makefile(tmp_path):
    prefix = str(tmp_path / "prefix")
    checked(["cmake", "--install", tools.BUILD, "--prefix", prefix])  # the compiler too
    onnx.save(softmax_model(), str(tmp_path / "model.onnx"))
    for name in ("embed.c", "Makefile"):
        (tmp_path / name).write_text(open(os.path.join(EXAMPLES, "embed", name)).read())
    checked(["make", f"CC={CC}", "MODEL=model.onnx", f"PREFIX={prefix}"], cwd=tmp_path)
    np.testing.assert_allclose(numbers(checked([str(tmp_path / "embed"), *map(str, X[0])])), softmax(X)[0], atol=2e-6)
    result = subprocess.run([str(tmp_path / "embed"), "1"], capture_output=True, text=True)
    assert result.returncode == 1 and "input 'x' should have 4 in dimension 1" in result.stderr


def test_object_defines_one_symbol(classifier):
    symbols = [line.split() for line in checked(["nm", "-g", classifier]).splitlines()]
    assert [s[-1] for s in symbols if s[-2] != "U"] == ["ds_model_classifier"]
    assert {s[-1] for s in symbols if s[-2] == "U"} <= {"memcpy", "memset", "memmove", "expf", "exp"}


PROGRAM_OF_TWO = r"""
#include <ds_runtime.h>
#include <stdio.h>
DS_DECLARE_MODEL(first);
DS_DECLARE_MODEL(second_1);
static int run(const ds_embedded_model *embedded) {
  ds_model *model; ds_session *session; ds_error error;
  float x = 3; const int64_t shape[1] = {1};
  ds_tensor in = {&x, DS_FLOAT32, 1, shape, NULL, DS_HOST}, out = {0};
  if (ds_model_load_embedded(embedded, &model, &error) || ds_model_verify(model, &error) ||
      ds_session_create(model, NULL, &session, &error) || ds_session_run(session, &in, 1, &out, 1, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  double sum = 0;
  for (int64_t i = 0; i < out.shape[0]; ++i)
    sum += ((float *)out.data)[i];
  printf("%.9g\n", sum);
  ds_session_destroy(session);
  ds_model_release(model);
  return 0;
}
int main(void) { return run(&ds_model_first) || run(&ds_model_second_1); }
"""


@pytest.mark.parametrize("linker", ["bfd", "lld"])
def test_two_models_one_of_them_large(tmp_path, linker):
    """The second one's weights (40 MB) lie in a section of the large code model."""
    objects = []
    for name, count in (("first.o", 7), ("second-1.o", 10_000_000)):
        values = np.arange(count, dtype=np.float32) % 5
        model = text_model(f"float[1] x => float[{count}] y", "y = Mul(x, w)")
        model.graph.initializer.append(numpy_helper.from_array(values, "w"))
        objects.append(compile_to(model, tmp_path, name, "--emit=object"))
    source = tmp_path / "two.c"
    source.write_text(PROGRAM_OF_TWO)
    program = link(str(source), tmp_path / "two", *objects, flags=(f"-fuse-ld={linker}",))
    expected = [3 * (np.arange(7) % 5).sum(), 3 * (np.arange(10_000_000) % 5).sum()]
    assert numbers(checked([program])).tolist() == expected
    # The weights are file pages of the program: mapped read-only, shared by all processes that run it.
    sections = checked(["readelf", "-SW", program])
    row = next(line for line in sections.splitlines() if "lrodata" in line)
    assert re.search(r"\bAl?\s", row) and "W" not in row.split()[-4]


def test_cpp_wrapper_takes_linked_models(classifier, tmp_path):
    source, program = tmp_path / "main.cpp", str(tmp_path / "main")
    source.write_text(
        """
        #include <cstdio>
        #include <ds_runtime.hpp>
        DS_DECLARE_MODEL(classifier);
        int main() {
          ds::Model model(ds_model_classifier);
          ds::Session session(model);
          const float x[4] = {0.5f, 1, -2, 4};
          for (const ds::Tensor &output : session.run({ds::Tensor(x, {1, 4})}))
            for (int64_t i = 0; i < output.size(); ++i)
              std::printf("%.6f\\n", double(output.data<float>()[i]));
        }"""
    )
    checked([CXX, "-std=c++17", "-Wall", f"-I{INCLUDE}", str(source), classifier, RUNTIME, "-lm", "-o", program])
    np.testing.assert_allclose(numbers(checked([program])), softmax(X)[0], atol=2e-6)


def test_damaged_description_is_an_error(classifier, tmp_path):
    """The metadata's checksum is checked before anything of it is used."""
    data = bytearray(open(classifier, "rb").read())
    at = data.find(b"\x89dsmeta\n")
    data[at + 200] ^= 1
    damaged = tmp_path / "classifier.o"
    damaged.write_bytes(data)
    program = link(os.path.join(EXAMPLES, "embed", "embed.c"), tmp_path / "embed", str(damaged))
    result = subprocess.run([program, *map(str, X[0])], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "embed: error: '(linked in)': metadata is damaged (its checksum does not match)\n"


PROGRAM_OF_WORDS = r"""
#include <ds_runtime.h>
#include <stdbool.h>
#include <stdio.h>
DS_DECLARE_MODEL(words);
int main(void) {
  ds_model *model; ds_session *session; ds_error error;
  ds_string words[2] = {{"alder", 5}, {"42", 2}};
  const int64_t shape[1] = {2};
  ds_tensor in = {words, DS_STRING, 1, shape, NULL, DS_HOST}, out = {0};
  if (ds_model_load_embedded(&ds_model_words, &model, &error) || ds_session_create(model, NULL, &session, &error) ||
      ds_session_run(session, &in, 1, &out, 1, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  printf("%d %d\n", ((bool *)out.data)[0], ((bool *)out.data)[1]);
  ds_session_destroy(session);
  ds_model_release(model);
  return 0;
}
"""
PATTERNS = b"an unmatched )"  # what the library of strings alone says


def test_a_program_has_the_library_of_strings_if_its_model_has_strings(classifier, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 20]> g (string[N] x) => (bool[N] y) { y = RegexFullMatch<pattern = "[0-9]+">(x) }'
    )
    words = compile_to(model, tmp_path, "words.o", "--emit=object")
    source = tmp_path / "words.c"
    source.write_text(PROGRAM_OF_WORDS)
    with_strings = link(str(source), tmp_path / "words", words)
    assert numbers(checked([with_strings])).tolist() == [0, 1]
    without = link(os.path.join(EXAMPLES, "embed", "embed.c"), tmp_path / "embed", classifier)
    assert PATTERNS in open(with_strings, "rb").read() and PATTERNS not in open(without, "rb").read()
    # The compiler's own programs likewise.
    with_strings = compile_to(model, tmp_path, "words")
    without = compile_to(softmax_model(), tmp_path, "classifier")
    assert PATTERNS in open(with_strings, "rb").read() and PATTERNS not in open(without, "rb").read()
