"""The exceptions of the package."""

from __future__ import annotations


class Error(Exception):
    """A model cannot be loaded or run; the message says what was expected and what was given.

    status: the runtime's ds_status (2 bad artifact, 3 unsupported here, 4 bad input, 5 out of memory, 6 input/output)."""

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


class CompileError(Error):
    """A model cannot be compiled; the message is the compiler's, with the node's name and operator.

    status: the exit code of ds-compile (1 bad model or file, 2 bad usage, 3 an error of the compiler)."""
