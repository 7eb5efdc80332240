"""ds: ahead-of-time compiled deep learning.

import deepseek as ds

model = ds.compile_onnx("model.onnx")              # in memory, or
ds.compile_onnx("model.onnx", "model.so")          # to a file
model = ds.load("model.so")                        # needs nothing of the compiler
y = model(x)                                       # NumPy arrays, or anything with __dlpack__

trainer = ds.compile_training("model.onnx", optimizer="adamw:lr=1e-3")
loss = trainer.step({"x": x, "target": target})
"""

from __future__ import annotations

from ._native import require

require("_runtime")  # what all others need

from ._compile import compile_onnx
from ._errors import CompileError, Error
from ._model import Model, Session, load
from ._runtime import TensorInfo, __version__
from ._training import Evaluation, Trainer, compile_training, load_training

__all__ = [
    "CompileError",
    "Error",
    "Evaluation",
    "Model",
    "Session",
    "TensorInfo",
    "Trainer",
    "__version__",
    "compile_onnx",
    "compile_training",
    "load",
    "load_training",
]
