"""lit tests of ds: one behaviour a file, told by its name.

Substitutions beside the tools' own names:
  %python          the interpreter of .venv (onnx, numpy, onnxruntime)
  %onnx-model      `%onnx-model %s -o %t.onnx`: a model in ONNX's text syntax (lines that start with // left out) as a file
  %library-path    the folder of libds_runtime.so
"""

import os
import shutil

import lit.formats

config.name = "ds"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", ".onnxtxt"]
# No test takes more than seconds; with sanitizers on a loaded machine some take a minute.
config.maxIndividualTestTime = 300
config.excludes = ["Inputs", "conformance", "e2e", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.ds_binary_dir, "test")

bin_dir = os.path.join(config.ds_binary_dir, "bin")
config.environment["XDG_CACHE_HOME"] = os.path.join(config.ds_binary_dir, "cache")  # not the user's
config.environment["PATH"] = os.pathsep.join([bin_dir, config.llvm_tools_dir, config.environment.get("PATH", "")])
for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]

python = os.path.join(config.ds_source_dir, ".venv", "bin", "python")
make_model = os.path.join(config.ds_source_dir, "utils", "onnx-model")
config.substitutions.append(("%onnx-model", f"{python} {make_model}"))
config.substitutions.append(("%python", python))
config.substitutions.append(("%library-path", os.path.join(config.ds_binary_dir, "lib")))

for tool in ("ds-opt", "ds-compile", "ds-run", "ds-lsp-server"):
    if os.path.exists(os.path.join(bin_dir, tool)):
        config.available_features.add(tool)
if config.ds_sanitize:
    config.available_features.add("sanitizer")
if shutil.which("mkfs.ext4"):
    config.available_features.add("mkfs")
