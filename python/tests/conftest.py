"""Takes the package from the build (build/python, or that of DS_BUILD_DIR)."""

import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(os.environ.get("DS_BUILD_DIR", os.path.join(ROOT, "build")), "python"))
sys.path.insert(0, os.path.join(ROOT, "utils"))
