"""Loaded models and their sessions."""

from __future__ import annotations

import operator
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _runtime
from ._errors import Error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._runtime import TensorInfo

BAD_ARGUMENT, BAD_INPUT = 1, 4  # DS_BAD_ARGUMENT, DS_BAD_INPUT


# Types that NumPy lacks come and go as their bits.
_BITS = {
    name: np.dtype(f"u{size}")
    for name, size, is_of_numpy in _runtime.ELEMENT_TYPES
    if not is_of_numpy and name != "string"
}


def _type_of(name: str) -> np.dtype | None:
    """ml_dtypes' type of that name, if that package is there; otherwise such tensors are their bits."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    return np.dtype(getattr(ml_dtypes, name))


class _Caller:
    """From arguments as a user gives them to one entry an input, and back."""

    def __init__(self, model: _runtime.Model):
        self.inputs: list[TensorInfo] = model.inputs
        self.outputs: list[TensorInfo] = model.outputs
        self.donations: dict[int, int] = dict(model.donations)
        self.fixed: list[str] = model.fixed_inputs
        self._optional = {number for number, info in enumerate(self.inputs) if info.optional}
        self._index = {info.name: number for number, info in enumerate(self.inputs)}
        self._types = {i.dtype: _type_of(i.dtype) for i in self.inputs + self.outputs if i.dtype in _BITS}

    def number(self, name: str) -> int:
        if name in self.fixed:
            raise Error(
                f"input '{name}' is fixed in this program: it is an initializer of the model, too; compile the model with "
                f"optional=[{name!r}] to give it, or to be told why it cannot be given",
                BAD_INPUT,
            )
        if name not in self._index:
            raise Error(
                f"the model has no input '{name}'; its inputs are {', '.join(self._index) or 'none'}", BAD_INPUT
            )
        return self._index[name]

    def gather(self, arguments: tuple, named: dict[str, Any], may_lack: set[int]) -> list:
        if len(arguments) > len(self.inputs):
            raise Error(f"the model has {len(self.inputs)} inputs, {len(arguments)} given", BAD_INPUT)
        given = dict(enumerate(arguments))
        for name, value in named.items():
            if self.number(name) in given:
                raise Error(f"input '{name}' is given twice", BAD_INPUT)
            given[self.number(name)] = value
        may_lack = may_lack | self._optional
        lacking = [i.name for n, i in enumerate(self.inputs) if given.get(n) is None and n not in may_lack]
        if lacking:
            raise Error(f"no value for input {', '.join(map(repr, lacking))}", BAD_INPUT)
        return [None if given.get(n) is None else self._convert(info, given[n]) for n, info in enumerate(self.inputs)]

    def convert(self, number: int, value: Any) -> Any:
        return self._convert(self.inputs[number], value)

    def _convert(self, info: TensorInfo, value: Any) -> Any:
        if info.dtype == "string":
            return _strings_from(value, f"input '{info.name}'")
        if isinstance(value, np.ndarray):
            if info.dtype in _BITS and value.dtype == self._types[info.dtype]:
                return value.view(_BITS[info.dtype])
            if value.dtype.isnative:
                return value
            return value.astype(value.dtype.newbyteorder("="))
        if hasattr(value, "__dlpack__"):
            return value
        if info.dtype in _BITS:
            bits, dtype = _BITS[info.dtype], self._types[info.dtype]
            if dtype is None:
                raise Error(
                    f"input '{info.name}' is {info.dtype}: give its bits as {bits}, or install ml_dtypes", BAD_INPUT
                )
            return np.asarray(value, dtype).view(bits)
        return np.asarray(value, info.dtype)  # numbers and lists

    def state_array(self, number: int, array: np.ndarray) -> np.ndarray:
        return _from_bits(array, self.inputs[number].dtype)

    def results(self, arrays: list) -> Any:
        for number, info in enumerate(self.outputs):
            if arrays[number] is None:  # state, which stays in the session
                continue
            if info.dtype == "string":
                arrays[number] = _strings_as_array(*arrays[number])
            elif self._types.get(info.dtype) is not None:
                arrays[number] = arrays[number].view(self._types[info.dtype])
        arrays = [array for array in arrays if array is not None]
        return arrays[0] if len(arrays) == 1 else tuple(arrays)


def _strings_from(value: Any, what: str) -> tuple[list[str | bytes], tuple[int, ...]]:
    """Strings as _runtime takes them, of an array of type U, S or object, or of lists and strings."""
    array = value if isinstance(value, np.ndarray) else np.array(value, object)
    if array.dtype.kind not in "USOT":
        raise Error(f"{what} is string: expected an array of str or bytes, given {array.dtype}", BAD_INPUT)
    texts = array.ravel().tolist()
    for text in texts:
        if not isinstance(text, (str, bytes)):
            raise Error(f"{what} is string: expected str or bytes, given {type(text).__name__}", BAD_INPUT)
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as reason:
                raise Error(f"{what} has a str that is no text: {reason}", BAD_INPUT) from None
    return texts, array.shape


def _strings_as_array(texts: list[str | bytes], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def _from_bits(array: Any, dtype: str) -> np.ndarray:
    """Bits as the type that they are, where NumPy has it."""
    if dtype == "string":
        return _strings_as_array(*array)
    known = _type_of(dtype) if dtype in _BITS else None
    return array if known is None else array.view(known)


class _Operator:
    """A Python function as a custom operator: what _runtime calls."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, inputs: list, attributes: dict[str, Any], outputs: list) -> list[Any]:
        arrays = [None if entry is None else _from_bits(*entry) for entry in inputs]
        named = {name: _from_bits(*value) if isinstance(value, tuple) else value for name, value in attributes.items()}
        results = self._function(*arrays, **named)
        results = list(results) if isinstance(results, tuple) else [results]
        if len(results) < len(outputs):  # more are fine: a node need not list the last ones
            raise TypeError(f"the function returned {len(results)} results, expected {len(outputs)}")
        return [None if want is None else self._check(i, results[i], *want) for i, want in enumerate(outputs)]

    @staticmethod
    def _check(number: int, result: Any, dtype: str, rank: int) -> Any:
        if dtype == "string":
            texts, shape = _strings_from(result, f"result {number}")
            if len(shape) != rank:
                raise TypeError(f"result {number} has {len(shape)} dimensions, expected {rank}")
            return texts, shape
        known = _type_of(dtype) if dtype in _BITS else np.dtype(dtype)
        bits = _BITS.get(dtype, known)
        array = np.asarray(result, None if isinstance(result, np.ndarray) else known, order="C")
        if array.dtype not in (known, bits):
            raise TypeError(f"result {number} is {array.dtype}, expected {dtype}")
        if array.ndim != rank:
            raise TypeError(f"result {number} has {array.ndim} dimensions, expected {rank}")
        return array.view(bits)


def operators_of(custom_ops: Mapping[str, Callable[..., Any]] | None) -> list[tuple[str, str, _Operator]]:
    """Functions by "com.example.MyOp", the operator's domain and name."""
    operators = []
    for key, function in (custom_ops or {}).items():
        domain, _, name = key.rpartition(".")
        if not domain or not name or not callable(function):
            raise Error(f"custom_ops expects functions by 'domain.Name', not {key!r}: {function!r}", BAD_ARGUMENT)
        operators.append((domain, name, _Operator(function)))
    return operators


def _thread_count(threads: Any) -> int:
    if isinstance(threads, bool) or not hasattr(threads, "__index__") or not 0 <= operator.index(threads) < 1 << 32:
        raise Error(f"threads={threads!r} is no number of threads; expected 0 (one a CPU) or more", BAD_ARGUMENT)
    return operator.index(threads)


def _stamp(path: str) -> tuple[int, ...] | None:
    """What a file has as long as nobody replaces or rewrites it."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Model:
    """A compiled model. May be called by several threads at once; each gets a session of its own. Pickles as its artifact's
    bytes, with its custom operators."""

    def __init__(
        self,
        artifact: str | os.PathLike | bytes,
        threads: int = 0,
        custom_ops: Mapping[str, Callable[..., Any]] | None = None,
    ):
        self._operators = operators_of(custom_ops)
        self._custom_ops = dict(custom_ops or {})
        if not isinstance(artifact, bytes):
            artifact = os.fspath(artifact)
        self._artifact = artifact
        self._stamp = None if isinstance(artifact, bytes) else _stamp(artifact)
        self._model = _runtime.Model(artifact)
        self._caller = _Caller(self._model)
        self._threads = _thread_count(threads)
        self._idle: list[_runtime.Session] = []
        self._lock = threading.Lock()

    @property
    def inputs(self) -> list[TensorInfo]:
        return list(self._caller.inputs)

    @property
    def outputs(self) -> list[TensorInfo]:
        return list(self._caller.outputs)

    @property
    def donations(self) -> dict[str, str]:
        """The inputs that are donated, and to which outputs: the state of a session."""
        caller = self._caller
        return {caller.inputs[i].name: caller.outputs[o].name for i, o in caller.donations.items()}

    @property
    def defaults(self) -> dict[str, NDArray]:
        """The inputs that a call may leave out, and copies of what they are then."""
        caller = self._caller
        return {
            info.name: caller.state_array(number, self._model.default_of(number))
            for number, info in enumerate(caller.inputs)
            if info.optional
        }

    @property
    def fixed_inputs(self) -> list[str]:
        """The source model's inputs that are constants here: initializers that it was compiled to know (`optional`)."""
        return list(self._caller.fixed)

    @property
    def properties(self) -> dict[str, str]:
        """The source model's own metadata."""
        return self._model.properties

    @property
    def target(self) -> str:
        """The CPU that the model was compiled for."""
        return self._model.target

    @property
    def weight_bytes(self) -> int:
        return self._model.weight_bytes

    def verify(self) -> None:
        """Reads all weights and compares them with their checksum; raises Error."""
        self._model.verify()

    def __call__(self, *arguments: Any, **named: Any) -> NDArray | tuple[NDArray, ...]:
        """Runs the model on inputs in order or by name: NumPy arrays, anything with __dlpack__, or numbers; strings as
        arrays of str, bytes or object. Optional inputs may be left out or None. Arrays in C order are used in place, others are copied. Strings come as arrays of object. One output comes as an array, several as a tuple."""
        inputs = self._caller.gather(arguments, named, set())
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = _runtime.Session(self._model, self._threads, self._operators)
        try:
            return self._caller.results(session.run(inputs, False))
        finally:
            with self._lock:
                self._idle.append(session)

    def session(self, threads: int | None = None) -> Session:
        """A session for runs that carry state from one to the next."""
        return Session(self, self._threads if threads is None else threads)

    def _keep_artifact(self) -> None:
        """Holds the file open: its name is about to vanish."""
        self._artifact = os.open(self._artifact, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._artifact)

    def _artifact_bytes(self) -> bytes:
        if isinstance(self._artifact, bytes):
            return self._artifact
        if isinstance(self._artifact, int):
            return os.pread(self._artifact, os.fstat(self._artifact).st_size, 0)
        if _stamp(self._artifact) != self._stamp:
            raise Error(f"the model cannot be pickled: '{self._artifact}' is not the file any more that was loaded")
        with open(self._artifact, "rb") as file:
            return file.read()

    def __copy__(self) -> Model:
        return self  # nothing of a model changes

    def __deepcopy__(self, memo: dict) -> Model:
        return self

    def __reduce__(self) -> tuple:
        artifact = self._artifact_bytes()
        try:
            _runtime.Model(artifact)  # bytes are not all of a model whose weights are in a file of their own
        except Error as reason:
            raise Error(f"the model cannot be pickled: {reason}", reason.status) from None
        return Model, (artifact, self._threads, self._custom_ops)

    def __repr__(self) -> str:
        arguments, results = (", ".join(map(repr, infos)) for infos in (self._caller.inputs, self._caller.outputs))
        return f"<deepseek.Model ({arguments}) -> ({results})>"


class Session:
    """Runs of a model by one thread at a time."""

    def __init__(self, model: Model, threads: int = 0):
        self._caller = model._caller
        self._session = _runtime.Session(model._model, _thread_count(threads), model._operators)
        self._fed: set[int] = set()

    def feed(self, output: str, input: str) -> None:
        """From now on output `output` of each run is input `input` of the next one, without a copy, wherever that input
        is left out or None. The first run needs a value; another value starts anew."""
        names = [info.name for info in self._caller.outputs]
        if output not in names:
            raise Error(f"the model has no output '{output}'; its outputs are {', '.join(names)}", BAD_INPUT)
        number = self._caller.number(input)
        self._session.feed(names.index(output), number)
        self._fed.add(number)

    def __call__(self, *arguments: Any, **named: Any) -> NDArray | tuple[NDArray, ...]:
        """As Model's, but for fed inputs, which may be None, and donated ones: left out (or None) they are the session's
        state, which a run updates in place; an array is copied and becomes the state. Outputs that are the state are not
        among the results."""
        may_lack = self._fed | set(self._caller.donations)
        return self._caller.results(self._session.run(self._caller.gather(arguments, named, may_lack), True))

    def set_symbol(self, name: str, value: int) -> None:
        """Gives a symbol that no input has (a rank's coordinate, say) its value, for all runs that follow."""
        self._session.set_symbol(name, value)

    def seed(self, value: int) -> None:
        """Draws random numbers by this seed from now on, as in the session's first run. Without it a session begins with seed
        0; each run draws other numbers."""
        self._session.seed(operator.index(value))

    def set_state(self, input: str, value: Any) -> None:
        """The state of a donated input becomes a copy of `value`."""
        number = self._caller.number(input)
        self._session.set_state(number, self._caller.convert(number, value))

    def create_state(self, input: str, shape: Sequence[int] | None = None) -> None:
        """A state of zeros. `shape` may be left out where the model knows all of it."""
        self._session.create_state(self._caller.number(input), None if shape is None else list(shape))

    def state(self, input: str) -> NDArray:
        """A copy of the state of a donated input."""
        number = self._caller.number(input)
        return self._caller.state_array(number, self._session.state(number))

    def reset_state(self, input: str) -> None:
        """Forgets the state and gives its memory back."""
        self._session.reset_state(self._caller.number(input))

    def __reduce__(self) -> tuple:
        raise TypeError("a Session cannot be copied or pickled: its state is this process's; pickle the Model")

    @property
    def threads(self) -> int:
        return self._session.threads

    @property
    def memory(self) -> int:
        """Bytes that the session holds for temporaries and its own outputs and copies."""
        return self._session.memory


def load(
    artifact: str | os.PathLike | bytes,
    threads: int = 0,
    *,
    custom_ops: Mapping[str, Callable[..., Any]] | None = None,
) -> Model:
    """Loads what compile_onnx, or ds-compile --emit=library, wrote: a path, or the file's bytes. `threads`: those that a
    run works on, 0 for one a CPU. Code in an artifact is as trusted as any program.

    custom_ops  the model's custom operators, by domain and name: {"com.example.MyOp": function}. A function gets a node's
                inputs as arrays (copies; None where the node leaves one out) and its attributes by name, and returns an array,
                or a tuple of arrays, of the types and ranks that the model declares. Exceptions end the run with an Error."""
    return Model(artifact, threads, custom_ops)
