"""Imported first by every script of utils/: goes on in the repository's own Python environment.

Assumes: utils/setup has made .venv. Guarantees: after the import numpy, onnx and onnxruntime are there."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.path.join(ROOT, ".venv", "bin", "python")

if os.path.realpath(sys.prefix) != os.path.realpath(os.path.join(ROOT, ".venv")):
    if not os.path.exists(PYTHON):
        sys.exit(f"{os.path.basename(sys.argv[0])}: .venv is missing: run ./utils/setup first")
    os.execv(PYTHON, [PYTHON, *sys.argv])
