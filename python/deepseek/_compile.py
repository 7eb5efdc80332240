"""Models to artifacts."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ._errors import CompileError
from ._model import Model, operators_of

if TYPE_CHECKING:
    import onnx

    Source = str | os.PathLike | bytes | onnx.ModelProto
    Emit = Literal["library", "executable", "object"]


@overload
def compile_onnx(
    model: Source,
    output: None = None,
    *,
    target: str = "",
    target_cpu: str = "",
    shapes: Mapping[str, int] | None = None,
    opt_level: int = 3,
    precise: bool = False,
    threads: int = 0,
    custom_ops: Mapping[str, Callable[..., Any]] | None = None,
) -> Model: ...


@overload
def compile_onnx(
    model: Source,
    output: str | os.PathLike,
    *,
    emit: Emit = "library",
    weights: Literal["auto", "inside", "beside"] = "auto",
    target: str = "",
    target_cpu: str = "",
    shapes: Mapping[str, int] | None = None,
    opt_level: int = 3,
    precise: bool = False,
    custom_ops: Mapping[str, Callable[..., Any]] | Sequence[str] | None = None,
) -> str: ...


def compile_onnx(
    model,
    output=None,
    *,
    emit="library",
    weights="auto",
    target="",
    target_cpu="",
    shapes=None,
    opt_level=3,
    precise=False,
    threads=0,
    custom_ops=None,
):
    """Compiles an ONNX model: the path of a file (.onnx, or .onnxtxt in ONNX's text syntax), an onnx.ModelProto, or its
    bytes. With `output` the artifact is written there, and its path returned; without, a Model is returned that is ready
    to run (on `threads` threads, 0 for one a CPU) and leaves no file.

    emit        "library" (for `load`), "executable" (a program), "object" (to link into a program)
    weights     "inside" the artifact, in a safetensors file "beside" it, or "auto": beside past 2 GB
    target      the machine that the code is for ("aarch64-linux-gnu"), by default this one
    target_cpu  its CPU: "znver4", "x86-64-v3", "cortex-a76", ...; by default this one ("native"), or "generic" in a machine of
                another architecture. Of a list, "znver4,x86-64-v3", loading takes the best that the machine can run
    shapes      dimensions to make static, by symbol ("N") or by input and index ("x:0")
    opt_level   0 to 3
    precise     nothing that trades accuracy for speed
    custom_ops  the model's operators that are functions of this program, as `load` takes them; with `output`, their domains
                (["com.example"]) suffice

    Raises CompileError with the compiler's message; its warnings are Python warnings. Other threads run meanwhile."""
    if emit not in ("library", "executable", "object"):
        raise CompileError(f"emit={emit!r} is unknown; expected 'library', 'executable' or 'object'", 2)
    if weights not in ("auto", "inside", "beside"):
        raise CompileError(f"weights={weights!r} is unknown; expected 'auto', 'inside' or 'beside'", 2)
    if output is None and emit != "library":
        raise CompileError(f"emit={emit!r} needs an output file", 2)
    if opt_level not in (0, 1, 2, 3):
        raise CompileError(f"opt_level={opt_level!r} is none; expected 0 to 3", 2)
    if custom_ops is None or isinstance(custom_ops, Mapping):
        domains = sorted({domain for domain, _, _ in operators_of(custom_ops)})
    elif output is None or isinstance(custom_ops, str):
        raise CompileError(f"custom_ops={custom_ops!r} are no operators; expected functions by 'domain.Name'", 2)
    else:
        domains = list(custom_ops)
    with tempfile.TemporaryDirectory(prefix="deepseek-") as folder:
        if isinstance(model, (str, os.PathLike)):
            source = os.fspath(model)
        else:
            source = os.path.join(folder, "model.onnx")
            with open(source, "wb") as file:
                file.write(model if isinstance(model, bytes) else model.SerializeToString())
        path = os.path.join(folder, "model.so") if output is None else os.fspath(output)
        _run(source, path, emit, weights, target, target_cpu, opt_level, precise, shapes or {}, domains)
        return Model(path, threads, custom_ops) if output is None else path


def _run(source, path, emit, weights, target, target_cpu, opt_level, precise, shapes, domains) -> None:
    from . import _compiler  # brings LLVM, which running a model does without

    result = _compiler.compile(
        source, path, emit, weights, target, target_cpu, opt_level, precise, list(shapes.items()), domains
    )
    for severity, message in result.messages:
        if severity == "warning":
            warnings.warn(message, stacklevel=3)
    if result.code:
        lines = [message for severity, message in result.messages if severity in ("error", "note")]
        raise CompileError("\n".join(lines) or f"the compiler failed with code {result.code}", result.code)
