"""The backend tests that the onnx package carries: all of them, in a fixed order."""

from __future__ import annotations

import dataclasses
import hashlib
import os

import onnx
from onnx.backend.test.loader import load_model_tests

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")


@dataclasses.dataclass
class Case:
    name: str
    kind: str
    model: str
    folder: str | None  # where its inputs and outputs lie; None: neither is stored
    rtol: float
    atol: float

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"

    def digest(self) -> str:
        """A sum of everything the test consists of."""
        total = hashlib.sha256(f"{self.name} {self.kind} {self.rtol} {self.atol}".encode())
        paths = [self.model]
        for folder, _, files in sorted(os.walk(self.folder or "")):
            paths += [os.path.join(folder, name) for name in sorted(files)]
        for path in paths:
            with open(path, "rb") as file:
                content = file.read()
            place = os.path.relpath(path, self.folder or os.path.dirname(self.model))
            total.update(f"{place} {len(content)}\n".encode() + content)
        return total.hexdigest()


def load_cases() -> list[Case]:
    package = os.path.dirname(os.path.dirname(onnx.__file__))
    cases = []
    for kind in KINDS:
        for test in sorted(load_model_tests(kind=kind), key=lambda test: test.name):
            if test.model_dir is not None:
                model = os.path.join(test.model_dir, "model.onnx")
            else:  # the package carries these models too, with weights that are computed
                model = os.path.join(package, test.url)
            cases.append(Case(test.name, kind, model, test.model_dir, test.rtol, test.atol))
    return cases
