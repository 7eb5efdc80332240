"""Recorded training runs: their graphs, and what their records say as flags."""

from __future__ import annotations

import importlib.util
import os

import onnx


def load_module(path: str):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(folder: str, name: str) -> onnx.ModelProto:
    """The graph with its weights, which a script beside the folder makes where they were left out."""
    graph = onnx.load(os.path.join(folder, name + ".onnx"))
    script = os.path.join(folder, "..", "fill_weights.py")
    if os.path.exists(script):
        load_module(script).visit(graph.graph)
    return graph


def optimizer_flag(record: dict) -> str:
    settings = {"lr": record["lr"]}
    for key in ("momentum", "weight_decay", "eps"):
        if key in record:
            settings[key] = record[key]
    if "betas" in record:
        settings["beta1"], settings["beta2"] = record["betas"]
    return record["optimizer"] + ":" + ",".join(f"{key}={value!r}" for key, value in settings.items())
