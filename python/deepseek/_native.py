"""Finds the native modules, or says what to do."""

from __future__ import annotations

import importlib
import os


def require(name: str) -> None:
    """Imports deepseek.<name>; where it was never built, raises an ImportError that says what to build."""
    full = f"{__package__}.{name}"
    try:
        importlib.import_module(full)
    except ModuleNotFoundError as reason:
        if reason.name != full:
            raise
        folder = os.path.dirname(os.path.abspath(__file__))
        raise ImportError(
            f"the package deepseek lacks its native module {name} for this Python (looked in {folder}); in a build of ds, "
            f"`cmake --build build --target _runtime _compiler` makes it in build/python, with the Python that cmake found",
            name=full,
        ) from None
