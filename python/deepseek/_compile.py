"""Models to artifacts."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ._errors import CompileError
from ._model import Model, operators_of
from ._native import require

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
    specialize: Sequence[Mapping[str, int]] = (),
    force_static: Mapping[str, int | Sequence[int]] | None = None,
    cache: bool | str | os.PathLike = True,
    threads: int = 0,
    custom_ops: Mapping[str, Callable[..., Any]] | None = None,
    donate: Mapping[str, str] | None = None,
    optional: Sequence[str] | Literal["all", "none"] | None = None,
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
    specialize: Sequence[Mapping[str, int]] = (),
    force_static: Mapping[str, int | Sequence[int]] | None = None,
    cache: bool | str | os.PathLike = True,
    custom_ops: Mapping[str, Callable[..., Any]] | Sequence[str] | None = None,
    donate: Mapping[str, str] | None = None,
    optional: Sequence[str] | Literal["all", "none"] | None = None,
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
    specialize=(),
    force_static=None,
    cache=True,
    threads=0,
    custom_ops=None,
    donate=None,
    optional=None,
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
    specialize  sizes, as in `shapes`, for which the artifact gets a version of its own beside the general one:
                [{"N": 1}, {"N": 8}]
    force_static  what sizes follow from that depend on data, by the name of the node that decides: {"node": 100}, or a list of
                numbers; of an If, 1 or 0. A run that computes otherwise raises Error
    cache       where code of kernels is kept, so that a model compiles again in a fraction of the time: True for the user's
                cache folder ($XDG_CACHE_HOME/ds or ~/.cache/ds) and this process's memory, a folder, or False
    custom_ops  the model's operators that are functions of this program, as `load` takes them; with `output`, their domains
                (["com.example"]) suffice
    donate      outputs that are made in the memory of an input of the same type and shape, by input: {"state": "next_state"};
                a Session keeps such a state (Session.set_state) and updates it in place
    optional    the initializers of the model that are inputs as well and that a call may give: a list of names, "all" or
                "none". By default, where the model lists but some of its initializers as inputs, these

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
    options = {
        "emit": emit,
        "weights": weights,
        "target": target,
        "target_cpu": target_cpu,
        "opt_level": opt_level,
        "precise": bool(precise),
        "shapes": _sizes("shapes", shapes or {}),
        "versions": [_sizes("specialize", version) for version in _versions(specialize)],
        "forced": _forced(force_static or {}),
        "custom_domains": domains,
        "donate": _donations(donate or {}),
        "optional": _optional(optional),
        "precision": "fp32",
        "training": None,
        "memory_budget": "",
        "recompute": [],
    }
    return compile_source(model, output, options, cache, lambda path: Model(path, threads, custom_ops))


def compile_source(model: Any, output: Any, options: dict[str, Any], cache: Any, load: Callable[[str], Any]) -> Any:
    """Compiles to `output` and returns its path; without one, returns what `load` makes of the artifact."""
    content = b""
    if not isinstance(model, (str, os.PathLike)):
        if not isinstance(model, bytes) and not hasattr(model, "SerializeToString"):
            raise CompileError(f"{model!r} is no model; expected a path, an onnx.ModelProto or its bytes", 2)
        content = model if isinstance(model, bytes) else model.SerializeToString()
    for what, path in (("the model's path", model), ("output", output)):
        if isinstance(path, (str, os.PathLike)):
            _check_path(what, os.fspath(path))
    with tempfile.TemporaryDirectory(prefix="deepseek-") as folder:
        names = {}  # what messages call files that are none of the user's
        if isinstance(model, (str, os.PathLike)):
            source = os.fspath(model)
        else:
            source = os.path.join(folder, "model.onnx")
            names[source] = "the model"
            if not isinstance(model, bytes) and getattr(getattr(model, "graph", None), "name", ""):
                names[source] = f"the model '{model.graph.name}'"
            with open(source, "wb") as file:
                file.write(content)
        path = os.path.join(folder, "model.so") if output is None else os.fspath(output)
        if output is None:
            names[path] = "the artifact"
        _run(source, path, options, cache, names)
        if output is not None:
            return path
        compiled = load(path)
        compiled._keep_artifact()
        return compiled


def _check_path(what: str, path: Any) -> None:
    """Names that no file can have, and those that the compiler cannot be handed."""
    if not isinstance(path, str):
        raise CompileError(f"{what} should be text, not {path!r}", 2)
    if "\0" in path:
        raise CompileError(f"{what} {path!r} has a NUL, which no file's name has", 2)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise CompileError(
            f"{what} {path!r} is no UTF-8, which is what the compiler takes; give the model's bytes, or a link to it", 2
        ) from None


def _sizes(argument: str, sizes: Any) -> list[tuple[str, int]]:
    if not isinstance(sizes, Mapping):
        raise CompileError(f"{argument}={sizes!r} has no sizes by name; expected {{'N': 1}}", 2)
    for name, size in sizes.items():
        if not isinstance(name, str) or not _is_size(size):
            raise CompileError(f"{argument} expects sizes that are not negative, by name; not {name!r}: {size!r}", 2)
    return [(name, int(size)) for name, size in sizes.items()]


def _donations(donate: Any) -> list[tuple[str, str]]:
    if not isinstance(donate, Mapping) or not all(isinstance(name, str) for pair in donate.items() for name in pair):
        raise CompileError(f"donate={donate!r} is no outputs by input; expected {{'state': 'next_state'}}", 2)
    return list(donate.items())


def _optional(optional: Any) -> list[str]:
    if optional in ("all", "none"):
        return [optional]
    if isinstance(optional, str) or not all(isinstance(name, str) for name in optional or ()):
        raise CompileError(f"optional={optional!r} is no list of names; expected one of inputs, 'all' or 'none'", 2)
    return ["none"] if optional is not None and not optional else list(optional or ())


def _is_size(number: Any) -> bool:
    return hasattr(number, "__index__") and not isinstance(number, bool) and 0 <= number < 1 << 63


def _versions(specialize: Any) -> Sequence[Any]:
    if isinstance(specialize, (Mapping, str)) or not isinstance(specialize, Sequence):
        raise CompileError(f"specialize={specialize!r} is no list; expected one of sizes by name: [{{'N': 1}}]", 2)
    return specialize


def _forced(force_static: Any) -> list[tuple[str, list[int]]]:
    if not isinstance(force_static, Mapping):
        raise CompileError(f"force_static={force_static!r} has no numbers by node; expected {{'node': 1}}", 2)
    forced = []
    for node, numbers in force_static.items():
        listed = list(numbers) if isinstance(numbers, Sequence) and not isinstance(numbers, str) else [numbers]
        listed = [int(n) if isinstance(n, bool) else n for n in listed]
        if not isinstance(node, str) or not listed or not all(map(_is_size, listed)):
            raise CompileError(
                f"force_static expects numbers that are not negative, by node; not {node!r}: {numbers!r}", 2
            )
        forced.append((node, [int(n) for n in listed]))
    return forced


# What the compiler calls flags are arguments here.
_FLAG = re.compile(
    r"--(?P<name>shape|specialize|force-static|custom-ops|donate|optional|emit|weights|target-cpu|target|precise|precision|loss"
    r"|optimizer|schedule|freeze|memory-budget|recompute)\b(=(?P<value>[\w.*?\[\]/-]+(:\w+=\d+)?))?"
)
_ARGUMENTS = {"shape": "shapes"}
_sessions: dict[str, Any] = {}  # by cache folder
_log = logging.getLogger("deepseek")
_lock = threading.Lock()


def _in_python(message: str, names: Mapping[str, str]) -> str:
    def argument(match: re.Match) -> str:
        name = _ARGUMENTS.get(match["name"], match["name"].replace("-", "_"))
        if match["value"] is None:
            return name
        return f"{name}={[match['value']] if name in ('custom_ops', 'optional', 'freeze', 'recompute') else match['value']!r}"

    for path, name in names.items():
        message = message.replace(f"'{path}'", name).replace(path, name)
    return _FLAG.sub(argument, message).replace("--explain-regions", "ds-compile --explain-regions")


def _session(cache: bool | str | os.PathLike) -> Any:
    """The process's session for that cache. Without one a session remembers nothing."""
    from . import _compiler

    if cache is False:
        return _compiler.Session("", False)
    folder = _compiler.default_cache_folder() if cache is True else os.fspath(cache)
    with _lock:
        if folder not in _sessions:
            _sessions[folder] = _compiler.Session(folder, cache is not True)
        return _sessions[folder]


def _run(source: str, path: str, options: dict[str, Any], cache: Any, names: Mapping[str, str]) -> None:
    require("_compiler")  # brings LLVM, which running a model does without
    result = _session(cache).compile(source, path, **options)
    for severity, message in result.messages:
        if severity == "warning":
            warnings.warn(_in_python(message, names), stacklevel=4)
        elif severity == "note" and not result.code:  # a memory budget's plan
            _log.info("%s", _in_python(message, names))
    if result.code:
        lines = [_in_python(message, names) for severity, message in result.messages if severity in ("error", "note")]
        raise CompileError("\n".join(lines) or f"the compiler failed with code {result.code}", result.code)
