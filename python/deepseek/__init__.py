"""ds: ahead-of-time compiled deep learning.

import deepseek as ds

model = ds.compile_onnx("model.onnx")              # in memory, or
ds.compile_onnx("model.onnx", "model.so")          # to a file
model = ds.load("model.so")                        # needs nothing of the compiler
y = model(x)                                       # NumPy arrays, or anything with __dlpack__
"""

from __future__ import annotations

from ._native import require

require("_runtime")  # what all others need

from ._compile import compile_onnx
from ._errors import CompileError, Error
from ._model import Model, Session, load
from ._runtime import TensorInfo, __version__

__all__ = ["CompileError", "Error", "Model", "Session", "TensorInfo", "__version__", "compile_onnx", "load"]
