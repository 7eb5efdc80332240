"""Makes inputs for a model whose dimensions are dynamic: sizes that the model accepts, and values that make sense.

Assumes: ONNX Runtime runs the model; it is asked which sizes work (a text recognizer, say, has one height it can read).
Guarantees: equal names of dimensions get equal sizes; names that mean nothing ('', '?', 'unk__7') are taken as different.
Declines: sizes that depend on each other in ways that no trial within a bound finds."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "images", "line-of-text.png")

ANONYMOUS = re.compile(r"^(|\?|unk__\d+|None|-1)$")

# An input: name, NumPy type, and dimensions as sizes or names of symbols.
Input = tuple[str, np.dtype, list]


def model_inputs(model: onnx.ModelProto) -> list[Input]:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs: list[Input] = []
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        dimensions: list = []
        for index, dimension in enumerate(tensor.shape.dim):
            if dimension.WhichOneof("value") == "dim_value" and dimension.dim_value >= 0:
                dimensions.append(dimension.dim_value)
            elif ANONYMOUS.match(dimension.dim_param):
                dimensions.append(f"{value.name}#{index}")
            else:
                dimensions.append(dimension.dim_param)
        inputs.append((value.name, np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)), dimensions))
    return inputs


def candidates(inputs: list[Input]) -> dict[str, list[int]]:
    """Sizes worth trying for each symbol, by where it stands: batch, height, width, or anything else."""
    pools: dict[str, list[int]] = {}
    for _, dtype, dimensions in inputs:
        image = len(dimensions) == 4 and dtype.kind == "f" and dimensions[1] in (1, 3, 4)
        for index, dimension in enumerate(dimensions):
            if isinstance(dimension, str) and dimension not in pools:
                if index == 0:
                    pools[dimension] = [1, 2, 3]
                elif image and index == 2:
                    pools[dimension] = [64, 96, 160, 48, 40, 32, 224]
                elif image and index == 3:
                    pools[dimension] = [96, 160, 224, 320, 64, 32]
                else:
                    pools[dimension] = [5, 16, 33, 64, 1, 8, 576, 512, 320, 256, 224]
    return pools


def value_limit(model: onnx.ModelProto, name: str) -> int:
    """One more than the largest integer that the input may hold where it indexes a constant table or becomes a one-hot
    vector of constant depth (as an operator, or spelled as a comparison with 0, 1, 2, ...); 1000 otherwise."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    limit = 1000
    same = {name}
    for node in model.graph.node:
        if node.op_type in ("Cast", "Expand", "Identity", "Reshape", "Squeeze", "Unsqueeze") and node.input[0] in same:
            same.add(node.output[0])
        if node.op_type == "Gather" and node.input[1] in same and node.input[0] in constants:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            limit = min(limit, constants[node.input[0]].dims[axis])
        if node.op_type == "OneHot" and node.input[0] in same and node.input[1] in constants:
            limit = min(limit, int(numpy_helper.to_array(constants[node.input[1]]).flat[0]))
        if node.op_type == "Equal":
            for value, other in zip(node.input, reversed(node.input)):
                if value in same and other in constants:
                    table = numpy_helper.to_array(constants[other]).ravel()
                    if np.array_equal(table, np.arange(table.size)):
                        limit = min(limit, table.size)
    return limit


def choices(model: onnx.ModelProto, name: str) -> list[int]:
    """The constants that the input, one integer, is compared with: a sampling rate, a mode."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    same = {name}
    found = []
    for node in model.graph.node:
        if node.op_type in ("Cast", "Gather", "Identity", "Reshape", "Squeeze", "Unsqueeze") and node.input[0] in same:
            same.add(node.output[0])
        if node.op_type == "Equal":
            for value, other in zip(node.input, reversed(node.input)):
                if value in same and other in constants and numpy_helper.to_array(constants[other]).size == 1:
                    found.append(int(numpy_helper.to_array(constants[other]).flat[0]))
    return found


def text_picture(shape: list[int], rng: np.random.Generator) -> np.ndarray:
    """Pictures [N, 3, H, W] of a piece of printed text with a little noise, values about -1 to 1. A detector of text finds
    something in them; on plain noise all its outputs are as small as rounding errors, and comparing them means nothing."""
    count, channels, height, width = shape
    line = Image.open(TEXT).convert("RGB")
    scale = min(height, 48) / line.height
    line = line.resize((max(1, round(line.width * scale)), max(1, round(line.height * scale))))
    pictures = np.full((count, height, width, channels), 255, np.float32)
    for picture in pictures:
        for top in range(0, height - line.height + 1, 2 * line.height):
            left = int(rng.integers(0, max(1, line.width - width + 1)))
            piece = np.asarray(line)[:, left : left + width]
            picture[top : top + piece.shape[0], : piece.shape[1]] = piece
    noise = 0.05 * rng.standard_normal(shape)
    return pictures.transpose(0, 3, 1, 2) / 127.5 - 1 + noise


def make_inputs(model: onnx.ModelProto, sizes: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    arrays = {}
    for number, (name, dtype, dimensions) in enumerate(model_inputs(model)):
        shape = [sizes[d] if isinstance(d, str) else d for d in dimensions]
        rng = np.random.default_rng([seed, number])
        if dtype.kind == "b":
            array = rng.random(shape) < 0.5
        elif dtype.kind in "iu" and "mask" in name.lower():
            array = rng.integers(0, 2, shape)
            array[..., :1] = 1  # a row that is masked out as a whole has no defined result
        elif dtype.kind in "iu" and shape == [] and choices(model, name):
            array = np.asarray(rng.choice([*choices(model, name), 0]))
        elif dtype.kind in "iu":
            array = rng.integers(0, max(1, min(value_limit(model, name), np.iinfo(dtype).max)), shape)
        elif len(shape) == 4 and shape[1] == 3 and min(shape[2:]) >= 32:
            array = text_picture(shape, rng)
        else:
            array = rng.standard_normal(shape)
        arrays[name] = np.array(array, dtype, order="C")  # of rank 0 too
    return arrays


def variants(
    model: onnx.ModelProto, works: Callable[[dict[str, np.ndarray]], bool], given: dict[str, list[int]] | None = None
) -> list[dict[str, int]]:
    """Three assignments of sizes in which each symbol takes as many different values as the model accepts, up to three."""
    pools = candidates(model_inputs(model))
    pools.update({name: sizes for name, sizes in (given or {}).items() if name in pools})
    if not pools:
        return [{}, {}, {}]

    # Where a value of an input decides what runs, the sizes have to be right for each of them.
    seeds = range(4) if any(choices(model, name) for name, _, _ in model_inputs(model)) else (0,)

    def accepted(sizes: dict[str, int]) -> bool:
        return all(works(make_inputs(model, sizes, seed)) for seed in seeds)

    def first_that_works() -> dict[str, int]:
        for tried in itertools.islice(itertools.product(*pools.values()), 400):
            sizes = dict(zip(pools, tried))
            if accepted(sizes):
                return sizes
        raise ValueError("ONNX Runtime accepted none of the sizes tried for " + ", ".join(pools))

    diagonal = {name: pool[0] for name, pool in pools.items()}
    base = diagonal if accepted(diagonal) else first_that_works()
    good: dict[str, list[int]] = {}
    for name, pool in pools.items():
        good[name] = [base[name]]
        for size in pool:
            if len(good[name]) < 3 and size != base[name] and accepted({**base, name: size}):
                good[name].append(size)
    # Batches without a name are most often one batch: where they may not differ, they change together.
    batches = [name for name in pools if name.endswith("#0") and len(good[name]) == 1]
    if len(batches) > 1:
        for size in pools[batches[0]]:
            if (
                len(good[batches[0]]) < 3
                and size != base[batches[0]]
                and accepted({**base, **dict.fromkeys(batches, size)})
            ):
                for name in batches:
                    good[name].append(size)
    result = [base]
    for index in (1, 2):
        mixed = {name: sizes[index % len(sizes)] for name, sizes in good.items()}
        if accepted(mixed):
            result.append(mixed)
        else:  # they depend on each other: change one at a time
            for name, sizes in good.items():
                if len(sizes) > index:
                    result.append({**base, name: sizes[index]})
    return result
