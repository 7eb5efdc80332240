#!/usr/bin/env python3
"""Writes digits.onnx, train.npz and test.npz: a small network, and scikit-learn's pictures of handwritten digits.

usage: digits.py [DIR]       (needs numpy, onnx and scikit-learn)

Of 1797 pictures of 8 x 8 every fifth is for testing. The network is what `torch.onnx.export` makes of two convolutions and two
linear layers; its parameters are zeros, for `./train --initialize` draws them."""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

PARAMETERS = {
    "c1.weight": (16, 1, 3, 3),
    "c1.bias": (16,),
    "c2.weight": (32, 16, 3, 3),
    "c2.bias": (32,),
    "f1.weight": (128, 512),
    "f1.bias": (128,),
    "f2.weight": (10, 128),
    "f2.bias": (10,),
}


def network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "c1.weight", "c1.bias"], ["c1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "c2.weight", "c2.bias"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MaxPool", ["r2"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "f1.weight", "f1.bias"], ["f1"], transB=1),
        helper.make_node("Relu", ["f1"], ["r3"]),
        helper.make_node("Gemm", ["r3", "f2.weight", "f2.bias"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits_cnn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in PARAMETERS.items()],
    )
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else "."
    digits = load_digits()
    x = (digits.images[:, None] / 16).astype(np.float32)
    target = digits.target.astype(np.int64)
    is_test = np.arange(len(target)) % 5 == 0
    onnx.save(network(), os.path.join(folder, "digits.onnx"))
    np.savez(os.path.join(folder, "train.npz"), x=x[~is_test], target=target[~is_test])
    np.savez(os.path.join(folder, "test.npz"), x=x[is_test], target=target[is_test])


if __name__ == "__main__":
    main()
