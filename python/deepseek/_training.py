"""Models that are trained from Python: one native step a call."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from . import _runtime
from ._compile import _sizes, compile_source
from ._errors import CompileError, Error
from ._model import BAD_ARGUMENT, BAD_INPUT, Model, _thread_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._compile import Emit, Source
    from ._runtime import TensorInfo

# The symbol `mode` of a step.
TRAIN, EVALUATE, ACCUMULATE, APPLY = 0, 2, 3, 4
# Numbers of random draws of batches that make one step lie so far apart (runtime/train/Train.cpp).
BATCH_OF_STEP = 1 << 48


class Evaluation(NamedTuple):
    """What a batch gives without training: the mean loss over `count` targets, and how many of them were predicted right
    (None where that has no meaning)."""

    loss: float
    count: float
    correct: float | None

    @property
    def accuracy(self) -> float | None:
        return None if self.correct is None or not self.count else self.correct / self.count


class Trainer:
    """A training step with its parameters and the state of its optimizer, which live in one place and are updated in
    place. Used by one thread at a time.

    steps  how many steps there will be, for schedules that end with the run (`total` left out)
    seed   what Dropout and other nodes draw random numbers by, with the number of the step"""

    def __init__(
        self, artifact: str | os.PathLike | bytes, threads: int = 0, *, steps: int | None = None, seed: int = 0
    ):
        model = Model(artifact, threads)
        if "ds.train" not in model.properties:
            raise Error(
                "the model is no training step: compile_training, or ds-compile --train --emit=library, makes one",
                BAD_INPUT,
            )
        self._model, self._caller = model, model._caller
        self._step = _runtime.TrainStep(model._model)
        if steps is not None and not _is_count(steps):
            raise Error(f"steps={steps!r} is no number of steps", BAD_ARGUMENT)
        self._total = 0 if steps is None else operator.index(steps)
        self._seed = _seed(seed)
        schedule = model.properties["ds.train.schedule"]
        if self._step.needs_total and not self._total:
            raise Error(
                f"the schedule {schedule!r} ends with the run: say its steps, by {schedule}{',' if ':' in schedule else ':'}total=1000 "
                "when compiling, or by steps=1000",
                BAD_ARGUMENT,
            )
        self._session = _runtime.Session(model._model, _thread_count(threads), [])
        self._roles = self._step.input_roles
        self._classes = int(model.properties.get("ds.train.classes", 0))
        ignored = model.properties.get("ds.train.ignored")
        self._ignored = int(ignored) if ignored else None
        self._data = [i for i, role in enumerate(self._roles) if role in "dt"]
        self._states = {self._caller.inputs[i].name: i for i, role in enumerate(self._roles) if role in "pbof"}
        self._accumulators = [i for i, role in enumerate(self._roles) if role == "a"]
        self._number = next((self._caller.inputs[i].name for i, role in enumerate(self._roles) if role == "k"), "step")
        self._steps = self._accumulated = 0
        self._begin()

    def _begin(self) -> None:
        """What training begins with: the model's parameters, zeros of the optimizer."""
        for index in self._states.values():
            if self._caller.inputs[index].optional:
                self._session.set_state(index, self._model._model.default_of(index))
            else:
                self._session.create_state(index, None)

    @property
    def inputs(self) -> list[TensorInfo]:
        """What a batch is made of, in order."""
        return [self._caller.inputs[i] for i in self._data]

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return self._steps

    @property
    def learning_rate(self) -> float:
        """That of the next step, as the schedule says."""
        return self._step.rate(self._step.base_rate, self._steps + 1, self._total)

    @property
    def threads(self) -> int:
        return self._session.threads

    @property
    def memory(self) -> int:
        """Bytes that the trainer holds: parameters, state, temporaries."""
        return self._session.memory

    def step(self, batch: Mapping[str, Any] | Sequence[Any], *, lr: float | None = None) -> float:
        """Trains on a batch, and on those that were accumulated since the last step; returns the batch's loss before
        the update. A batch is a dictionary by the names of `inputs`, or a sequence in their order: NumPy arrays, or
        anything with __dlpack__. `lr` takes the place of the schedule's learning rate, in this step.

        A batch that does not fit (type, shape, a target that is no class) changes nothing. One whose values do not (an
        index for Gather; a target where only the run knows how many classes there are) may be found when a part of the
        state is updated: then the state is lost, and load_state_dict brings it back."""
        rate = self.learning_rate if lr is None else _rate(lr)
        loss = self._run(APPLY if self._accumulated else TRAIN, batch, rate, self._steps + 1)[0]
        self._steps += 1
        self._accumulated = 0
        return loss

    def accumulate(self, batch: Mapping[str, Any] | Sequence[Any]) -> float:
        """Adds the batch's gradients to those that the next `step` trains with, and returns the batch's loss. Each
        target counts once, whatever the sizes of batches: the step is that of one large batch, in the memory of the
        largest (and of the gradients, once). Statistics of normalizations follow each batch."""
        if not self._accumulators:
            raise Error("the artifact cannot accumulate gradients; compile it again", BAD_ARGUMENT)
        if not self._accumulated:
            for index in self._accumulators:
                self._session.create_state(index, [1, *self._caller.inputs[index].shape[1:]])
        number = self._steps + 1 + (self._accumulated + 1) * BATCH_OF_STEP
        loss = self._run(ACCUMULATE, batch, 0.0, number)[0]
        self._accumulated += 1
        return loss

    def evaluate(self, batch: Mapping[str, Any] | Sequence[Any]) -> Evaluation:
        """The loss of a batch as the model is served (normalizations by their running statistics); changes nothing."""
        loss, count, correct = self._run(EVALUATE, batch, 0.0, self._steps + 1)
        return Evaluation(loss, count, None if correct < 0 else correct)

    def _run(self, mode: int, batch: Any, rate: float, number: int) -> tuple[float, float, float]:
        values = self._gather(batch)
        for index, role in enumerate(self._roles):
            if role in "lks":
                value = {"l": rate, "k": number, "s": self._seed}[role]
                values[index] = np.array(value, self._caller.inputs[index].dtype)
        self._session.set_symbol("mode", mode)
        outputs = self._session.run(values, True)
        found = dict(zip(self._step.output_roles, outputs))  # of roles that one output has
        return float(found["L"]), float(found.get("n", 1)), float(found.get("c", -1))

    def _check_classes(self, name: str, target: Any) -> None:
        if not self._classes or not isinstance(target, np.ndarray) or target.dtype != np.int64:
            return  # what else there is is found by the step
        outside = (target < 0) | (target >= self._classes)
        if self._ignored is not None:
            outside &= target != self._ignored
        if outside.any():
            also = "" if self._ignored is None else f", or {self._ignored}, which does not count"
            where = np.argwhere(outside)[0].tolist()
            raise Error(
                f"{name!r} has the class {target[tuple(where)]} at {where}, expected 0 to {self._classes - 1}{also}",
                BAD_INPUT,
            )

    def _gather(self, batch: Any) -> list[Any]:
        names = [info.name for info in self.inputs]
        listed = ", ".join(map(repr, names))
        if isinstance(batch, Mapping):
            unknown = [name for name in batch if name not in names]
            if unknown:
                raise Error(f"a batch has no {unknown[0]!r}; it has {listed}", BAD_INPUT)
            given = batch
        elif isinstance(batch, (tuple, list)):
            if len(batch) > len(names):
                raise Error(f"a batch has {len(names)} arrays ({listed}), {len(batch)} given", BAD_INPUT)
            given = dict(zip(names, batch))
        else:
            raise Error(f"a batch is a dictionary, or a tuple, of {listed}; given {type(batch).__name__}", BAD_ARGUMENT)
        values: list[Any] = [None] * len(self._caller.inputs)
        for index, name in zip(self._data, names):
            if given.get(name) is not None:
                values[index] = self._caller.convert(index, given[name])
                if self._roles[index] == "t":
                    self._check_classes(name, values[index])
            elif not self._caller.inputs[index].optional:
                raise Error(f"the batch lacks {name!r}; it has {listed}", BAD_INPUT)
        return values

    def initialize(self, seed: int) -> None:
        """Draws the parameters anew, by the rules of docs/Training.md, and begins with the first step."""
        number = _seed(seed)
        self._begin()
        self._step.initialize(self._session, number)
        self._steps = self._accumulated = 0

    def state_dict(self) -> dict[str, Any]:
        """Copies of all parameters, other state of the model (running statistics) and the optimizer's, by name, and the
        number of steps: what load_state_dict goes on from as if nothing had been."""
        if self._accumulated:
            raise Error("gradients are accumulated that no step has used; call step first", BAD_ARGUMENT)
        state: dict[str, Any] = {
            name: self._caller.state_array(index, self._session.state(index)) for name, index in self._states.items()
        }
        state[self._number] = self._steps
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Takes what state_dict gave, or arrays of another origin (NumPy, DLPack) by the parameters' names. With
        `strict` all must be there, and nothing else; without, what is not there stays as it is. A state that does not
        fit changes nothing."""
        lacking = [name for name in [*self._states, self._number] if name not in state]
        extra = [name for name in state if name not in self._states and name != self._number]
        if strict and (lacking or extra):
            parts = [
                f"{what} {', '.join(map(repr, names[:3]))}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
                for what, names in (("it lacks", lacking), ("the model lacks", extra))
                if names
            ]
            raise Error(f"the state does not fit: {'; '.join(parts)}; strict=False takes what is there", BAD_INPUT)
        arrays = {index: self._array(index, state[name]) for name, index in self._states.items() if name in state}
        steps = state.get(self._number, self._steps)
        if not _is_count(steps):
            raise Error(f"{self._number!r} should be the number of steps that were made, given {steps!r}", BAD_INPUT)
        for index, array in arrays.items():
            self._session.set_state(index, array)
        self._steps, self._accumulated = operator.index(steps), 0

    def _array(self, index: int, value: Any) -> NDArray:
        info = self._caller.inputs[index]
        try:
            array = np.from_dlpack(value) if hasattr(value, "__dlpack__") else np.asarray(value)
        except (TypeError, RuntimeError, BufferError) as reason:
            raise Error(f"{info.name!r} is no array of numbers: {reason}", BAD_INPUT) from None
        if array.shape != info.shape:
            raise Error(f"{info.name!r} should have the shape {info.shape}, given {array.shape}", BAD_INPUT)
        if not np.can_cast(array.dtype, info.dtype, "same_kind"):
            raise Error(f"{info.name!r} should be {info.dtype}, given {array.dtype}", BAD_INPUT)
        return np.asarray(array, info.dtype, order="C")  # ascontiguousarray gives scalars a dimension

    def export(self, path: str | os.PathLike) -> None:
        """Writes the model as it is served, with the parameters as they are, as an ONNX file."""
        self._step.check_export()
        self._step.export(self._session, os.fspath(path))

    def _keep_artifact(self) -> None:
        self._model._keep_artifact()

    def __reduce__(self) -> tuple:
        raise TypeError("a Trainer cannot be copied or pickled: its state is this process's; state_dict() can")

    def __repr__(self) -> str:
        properties = self._model.properties
        return (
            f"<deepseek.Trainer ({', '.join(map(repr, self.inputs))}), loss {properties['ds.train.loss']}, "
            f"optimizer {properties['ds.train.optimizer']}, after {self._steps} steps>"
        )


def _is_count(number: Any) -> bool:
    return hasattr(number, "__index__") and not isinstance(number, bool) and 0 <= operator.index(number) < 1 << 48


def _seed(seed: Any) -> int:
    if not _is_count(seed):
        raise Error(f"seed={seed!r} is no seed; expected an integer that is not negative", BAD_ARGUMENT)
    return operator.index(seed)


def _rate(lr: Any) -> float:
    try:
        rate = float(lr)
    except (TypeError, ValueError):
        rate = math.nan
    if not (math.isfinite(rate) and rate >= 0):
        raise Error(f"lr={lr!r} is no learning rate; expected a number from 0", BAD_ARGUMENT)
    return rate


def load_training(
    artifact: str | os.PathLike | bytes, threads: int = 0, *, steps: int | None = None, seed: int = 0
) -> Trainer:
    """Loads what compile_training, or ds-compile --train --emit=library, wrote: a path, or the file's bytes."""
    return Trainer(artifact, threads, steps=steps, seed=seed)


@overload
def compile_training(
    model: Source,
    output: None = None,
    *,
    loss: str = "cross_entropy",
    optimizer: str = "sgd",
    schedule: str = "constant",
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = "fp32",
    freeze: Sequence[str] = (),
    memory_budget: str | int | None = None,
    recompute: Sequence[str] = (),
    steps: int | None = None,
    seed: int = 0,
    target_cpu: str = "",
    shapes: Mapping[str, int] | None = None,
    opt_level: int = 3,
    precise: bool = False,
    cache: bool | str | os.PathLike = True,
    threads: int = 0,
) -> Trainer: ...


@overload
def compile_training(
    model: Source,
    output: str | os.PathLike,
    *,
    emit: Emit = "library",
    loss: str = "cross_entropy",
    optimizer: str = "sgd",
    schedule: str = "constant",
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = "fp32",
    freeze: Sequence[str] = (),
    memory_budget: str | int | None = None,
    recompute: Sequence[str] = (),
    target: str = "",
    target_cpu: str = "",
    shapes: Mapping[str, int] | None = None,
    opt_level: int = 3,
    precise: bool = False,
    cache: bool | str | os.PathLike = True,
) -> str: ...


def compile_training(
    model,
    output=None,
    *,
    emit="library",
    loss="cross_entropy",
    optimizer="sgd",
    schedule="constant",
    precision="fp32",
    freeze=(),
    memory_budget=None,
    recompute=(),
    steps=None,
    seed=0,
    target="",
    target_cpu="",
    shapes=None,
    opt_level=3,
    precise=False,
    cache=True,
    threads=0,
):
    """Compiles an ONNX model that was exported in training mode (a path, an onnx.ModelProto, or its bytes) to a step
    that trains it. Without `output`, a Trainer is returned, ready to run; with it, the artifact is written there, and
    its path returned: "library" (for `load_training`, and the C interface), "executable" (a program that trains).

    loss       "cross_entropy", "mse", "l1", "huber", "bce_with_logits", of the first output and `target`, or
               "output" (the model's own); with keys: "cross_entropy:ignore_index=-100,label_smoothing=0.1"
    optimizer  "sgd", "adam", "adamw", "lion": "adamw:lr=1e-3,weight_decay=0.01,clip=1"
    schedule   of the learning rate: "constant", "step:size=30,factor=0.1", "linear:warmup=100,total=1000",
               "cosine:warmup=100,total=1000"; `total` may be left out where `steps` says how many there will be
    precision  "fp32" (as the model says), "fp64": all in double precision, weights and inputs included; "bf16", "fp16":
               products in half precision, weights and all else in fp32 (with "fp16" the loss is scaled)
    freeze     patterns of names of parameters that stay as they are: ["embed*"]
    memory_budget  what a step may hold, parameters and states included: "2GiB:N=32" (or bytes), at the sizes behind the colon,
               which must be said of each dimension that `shapes` leaves open ("threads=2" among them: scratch of two). The
               step computes again what it does not keep, and gives the same bits
    recompute  patterns of names of nodes: what they make is computed again in the backward pass, whatever the budget:
               ["blocks.*/mlp/*"]
    seed       what the Trainer draws Dropout's random numbers by, as ./train --seed

    The others are those of `compile_onnx`. What a budget's plan is, the logger "deepseek" tells at level INFO. Raises CompileError
    with the compiler's message."""
    if emit not in ("library", "executable", "object"):
        raise CompileError(f"emit={emit!r} is unknown; expected 'library', 'executable' or 'object'", 2)
    if output is None and emit != "library":
        raise CompileError(f"emit={emit!r} needs an output file", 2)
    if opt_level not in (0, 1, 2, 3):
        raise CompileError(f"opt_level={opt_level!r} is none; expected 0 to 3", 2)
    if precision not in ("fp32", "fp64", "bf16", "fp16"):
        raise CompileError(f"precision={precision!r} is unknown; expected 'fp32', 'fp64', 'bf16' or 'fp16'", 2)
    for name, text in (("loss", loss), ("optimizer", optimizer), ("schedule", schedule)):
        if not isinstance(text, str):
            raise CompileError(f"{name}={text!r} is no text; expected NAME, or NAME:KEY=VALUE,...", 2)
    for name, patterns, example in (("freeze", freeze, "embed*"), ("recompute", recompute, "blocks.*/mlp/*")):
        if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
            raise CompileError(f"{name}={patterns!r} is no list of patterns; expected one like [{example!r}]", 2)
    if memory_budget is None:
        budget = ""
    elif isinstance(memory_budget, str) and memory_budget:
        budget = memory_budget
    elif hasattr(memory_budget, "__index__") and not isinstance(memory_budget, bool):
        budget = f"{int(memory_budget)}B"
    else:
        raise CompileError(
            f"memory_budget={memory_budget!r} is no amount of memory; expected one like '2GiB:N=32', or bytes", 2
        )
    options = {
        "emit": emit,
        "weights": "auto",
        "target": target,
        "target_cpu": target_cpu,
        "opt_level": opt_level,
        "precise": bool(precise),
        "shapes": _sizes("shapes", shapes or {}),
        "versions": [],
        "forced": [],
        "custom_domains": [],
        "donate": [],
        "optional": [],
        "precision": precision,
        "training": (loss, optimizer, schedule, list(freeze)),
        "memory_budget": budget,
        "recompute": list(recompute),
    }
    return compile_source(model, output, options, cache, lambda path: Trainer(path, threads, steps=steps, seed=seed))
