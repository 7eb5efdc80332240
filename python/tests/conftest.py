"""Takes the package from the build (build/python, or that of DS_BUILD_DIR)."""

import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.abspath(os.environ.get("DS_BUILD_DIR", os.path.join(ROOT, "build")))
sys.path.insert(0, os.path.join(BUILD, "python"))
os.environ["XDG_CACHE_HOME"] = os.path.join(BUILD, "cache")  # not the user's
sys.path.insert(0, os.path.join(ROOT, "utils"))

from fresh_numbers import fresh_numbers  # noqa: F401 (found by pytest)
