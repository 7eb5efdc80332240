"""Lets the tests import dsutil, each other, and the package of the build (that of DS_BUILD_DIR)."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "utils"))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(os.environ.get("DS_BUILD_DIR", os.path.join(ROOT, "build")), "python"))

from fresh_numbers import fresh_numbers  # noqa: F401 (found by pytest)
