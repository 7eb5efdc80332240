"""The runtime's C ABI (runtime/include/ds_runtime.h) through ctypes, as far as tests need it.

with Model("model.so") as model:
    outputs = model.run([x, y])
"""

from __future__ import annotations

import ctypes
import os
import re

import ml_dtypes
import numpy as np

from . import tools, venv

STRING = 23  # arrays of str or bytes in, object arrays of str out


def _dtypes() -> dict[int, np.dtype]:
    """Those of ds_types.def by number, but for strings."""
    with open(os.path.join(venv.ROOT, "runtime", "include", "ds_types.def")) as file:
        types = re.findall(r'^DS_ELEMENT_TYPE\(\w+, (\d+), "(\w+)"', file.read(), re.MULTILINE)
    return {
        int(number): np.dtype(getattr(ml_dtypes, name, None) or name) for number, name in types if int(number) != STRING
    }


DTYPES = _dtypes()
CODES = {dtype: code for code, dtype in DTYPES.items()}


class RuntimeFailure(Exception):
    """A function of the runtime returned a status other than DS_OK; the message is the runtime's."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class _Error(ctypes.Structure):
    _fields_ = [("message", ctypes.c_char * 1024)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("device", ctypes.c_int32 * 2),
    ]


class _String(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class _TensorInfo(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dimensions", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
    ]


class _SymbolValue(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_int64)]


class _Options(ctypes.Structure):
    _fields_ = [
        ("threads", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("allocator", ctypes.c_void_p),
        ("logger", ctypes.c_void_p),
        ("logger_context", ctypes.c_void_p),
        ("custom_ops", ctypes.c_void_p),
        ("custom_op_count", ctypes.c_size_t),
        ("given", ctypes.c_void_p),
        ("given_count", ctypes.c_size_t),
    ]


_library: ctypes.CDLL | None = None


def library() -> ctypes.CDLL:
    global _library
    if _library is None:
        _library = ctypes.CDLL(tools.runtime_library())
        _library.ds_model_input_count.restype = ctypes.c_size_t
        _library.ds_model_output_count.restype = ctypes.c_size_t
        _library.ds_model_property.restype = ctypes.c_char_p
        for name in ("ds_model_release", "ds_session_destroy"):
            getattr(_library, name).restype = None
    return _library


def _check(function, *arguments) -> None:
    error = _Error()
    status = function(*arguments, ctypes.byref(error))
    if status != 0:
        raise RuntimeFailure(status, error.message.decode("utf-8", "replace"))


def _tensor(array: np.ndarray) -> tuple[_Tensor, tuple]:
    shape = (ctypes.c_int64 * array.ndim)(*array.shape)
    if array.dtype.kind in "OUS":
        texts = [text.encode() if isinstance(text, str) else bytes(text) for text in array.ravel()]
        strings = (_String * max(len(texts), 1))()
        for string, text in zip(strings, texts):
            string.data = ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p)
            string.size = len(text)
        return _Tensor(ctypes.addressof(strings), STRING, array.ndim, shape, None), (texts, strings, shape)
    if array.dtype not in CODES:
        raise RuntimeFailure(4, f"the runtime has no element type {array.dtype}")
    return _Tensor(array.ctypes.data, CODES[array.dtype], array.ndim, shape, None), (array, shape)


class Model:
    """`guard`: DS_SESSION_GUARD, each buffer between guard pages. `given`: symbols that no input has."""

    def __init__(self, path: str, threads: int = 1, guard: bool = False, given: dict[str, int] | None = None):
        self._library = library()
        self._model = ctypes.c_void_p()
        self._session = ctypes.c_void_p()
        _check(self._library.ds_model_load, path.encode(), ctypes.byref(self._model))
        symbols = [(name.encode(), value) for name, value in (given or {}).items()]
        values = (_SymbolValue * max(len(symbols), 1))(*symbols)
        options = _Options(
            threads=threads,
            flags=int(guard),
            given=ctypes.cast(values, ctypes.c_void_p),
            given_count=len(symbols),
        )
        try:
            _check(self._library.ds_session_create, self._model, ctypes.byref(options), ctypes.byref(self._session))
        except RuntimeFailure:
            self.close()
            raise

    def close(self) -> None:
        self._library.ds_session_destroy(self._session)
        self._library.ds_model_release(self._model)
        self._session, self._model = ctypes.c_void_p(), ctypes.c_void_p()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _infos(self, kind: str) -> list[_TensorInfo]:
        infos = []
        for index in range(getattr(self._library, f"ds_model_{kind}_count")(self._model)):
            infos.append(_TensorInfo())
            getattr(self._library, f"ds_model_{kind}")(self._model, ctypes.c_size_t(index), ctypes.byref(infos[-1]))
        return infos

    def _names(self, kind: str) -> list[str]:
        return [info.name.decode() for info in self._infos(kind)]

    @property
    def input_types(self) -> list[np.dtype | None]:
        """None for strings."""
        return [DTYPES.get(info.dtype) for info in self._infos("input")]

    @property
    def inputs(self) -> list[str]:
        return self._names("input")

    @property
    def outputs(self) -> list[str]:
        return self._names("output")

    def property(self, key: str) -> str | None:
        value = self._library.ds_model_property(self._model, key.encode())
        return None if value is None else value.decode("utf-8")

    def seed(self, seed: int) -> None:
        _check(self._library.ds_session_seed, self._session, ctypes.c_int64(seed))

    def set_symbol(self, name: str, value: int) -> None:
        _check(self._library.ds_session_set_symbol, self._session, name.encode(), ctypes.c_int64(value))

    def state(self, index: int) -> np.ndarray:
        """The session's own state of a donated input, to be read and written between runs. Not after `close`."""
        tensor = _Tensor()
        _check(self._library.ds_session_state_get, self._session, ctypes.c_size_t(index), ctypes.byref(tensor))
        shape = tuple(tensor.shape[i] for i in range(tensor.rank))
        dtype = DTYPES[tensor.dtype]
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(tensor.data) if size else bytearray()
        return np.frombuffer(memory, dtype).reshape(shape)

    def run(self, arrays: list[np.ndarray | None], wanted: set[int] | None = None) -> list[np.ndarray | None]:
        """None is an optional input that is left out, or the session's state. Of the outputs, those in `wanted` are
        copied (default: all), and the others are None."""
        # ascontiguousarray would make a scalar an array of rank 1.
        kept = [(_Tensor(), None) if array is None else _tensor(np.asarray(array, order="C")) for array in arrays]
        inputs = (_Tensor * len(kept))(*[tensor for tensor, _ in kept])
        count = self._library.ds_model_output_count(self._model)
        outputs = (_Tensor * count)()
        _check(
            self._library.ds_session_run,
            self._session,
            inputs,
            ctypes.c_size_t(len(kept)),
            outputs,
            ctypes.c_size_t(count),
        )
        results: list[np.ndarray | None] = []
        for index, output in enumerate(outputs):
            if wanted is not None and index not in wanted:
                results.append(None)
                continue
            shape = tuple(output.shape[i] for i in range(output.rank))
            if output.dtype == STRING:
                count = int(np.prod(shape, dtype=np.int64))
                strings = ctypes.cast(output.data, ctypes.POINTER(_String))
                texts = [ctypes.string_at(strings[i].data, strings[i].size).decode() for i in range(count)]
                results.append(np.array(texts, object).reshape(shape))
                continue
            dtype = DTYPES[output.dtype]
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            data = ctypes.string_at(output.data, size) if size else b""
            results.append(np.frombuffer(data, dtype).reshape(shape).copy())
        return results
