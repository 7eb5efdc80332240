"""A training step as the compiler makes them, written by hand: softmax regression with momentum; and the same in NumPy.

The step is text of the ds dialect with the properties that say what its inputs and outputs are (runtime/train/TrainStep.h), one
body for each mode, and an ONNX model to export. `running` is state of the model that shows that the step's number and the seed come in.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

import numpy as np
from onnx import TensorProto, helper

MOMENTUM = 0.9
STATES = ("fc.weight", "fc.bias", "running", "momentum.fc.weight", "momentum.fc.bias")


@dataclasses.dataclass
class Step:
    dtype: str = "f64"
    batch: int | None = None  # None: any
    classes: int = 3
    features: int = 4
    has_modes: bool = True
    has_export: bool = True
    prefix: str = "fc"  # of the parameters' names
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def numpy(self):
        return np.float64 if self.dtype == "f64" else np.float32

    def start(self) -> dict[str, np.ndarray]:
        """What training begins with."""
        rng = np.random.default_rng(3)
        weight, bias = rng.standard_normal((self.features, self.classes)) * 0.3, rng.standard_normal(self.classes) * 0.1
        values = (weight, bias, np.zeros_like(bias), np.zeros_like(weight), np.zeros_like(bias))
        return {name: value.astype(self.numpy) for name, value in zip(STATES, values)}

    def source(self) -> tuple[bytes, bytes]:
        """The ONNX model without parameters: fields of the model, and of the graph."""
        kind = TensorProto.DOUBLE if self.dtype == "f64" else TensorProto.FLOAT
        node = helper.make_node("Gemm", ["x", f"{self.prefix}.weight", f"{self.prefix}.bias"], ["y"])
        x, y = (helper.make_tensor_value_info(name, kind, ["N", None]) for name in "xy")
        graph = helper.make_graph([node], "g", [x], [y])
        model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
        model.ClearField("graph")
        return model.SerializeToString(), graph.SerializeToString()

    def text(self) -> str:
        d, n = self.dtype, "?" if self.batch is None else str(self.batch)
        size = '"N"' if self.batch is None else f'"{self.batch}"'
        f, c = self.features, self.classes
        tw, tb, ts = f"tensor<{f}x{c}x{d}>", f"tensor<{c}x{d}>", f"tensor<{d}>"
        xf, yf, vf, cf = (f"tensor<{n}{dims}x{d}>" for dims in (f"x{f}", f"x{c}", "", "x1"))
        ti, ci = f"tensor<{n}xi64>", f"tensor<{n}x1xi64>"

        def state(value: str, kind: str, name: str, result: int) -> str:
            default = self.start()[name.replace(self.prefix, "fc")].tolist()
            return f'%{value}: {kind} {{ds.name = "{name}", ds.donate = {result} : i64, ds.default = dense<{default}> : {kind}}}'

        arguments = ",\n    ".join(
            (
                f'%x: {xf} {{ds.name = "x", ds.shape = #ds.shape<[{size}, "{f}"]>}}',
                f'%t: {ti} {{ds.name = "target", ds.shape = #ds.shape<[{size}]>}}',
                state("w", tw, f"{self.prefix}.weight", 3),
                state("b", tb, f"{self.prefix}.bias", 4),
                state("s", tb, "running", 5),
                state("mw", tw, f"momentum.{self.prefix}.weight", 6),
                state("mb", tb, f"momentum.{self.prefix}.bias", 7),
                f'%lr: {ts} {{ds.name = "lr"}}, %k: tensor<i64> {{ds.name = "step"}}, %seed: tensor<i64> {{ds.name = "seed"}}',
            )
        )
        forward = f"""
  %z = ds.matmul %x, %w : ({xf}, {tw}) -> {yf}
  %y = ds.add %z, %b : ({yf}, {tb}) -> {yf}
  %lp = ds.log_softmax %y {{axis = 1 : i64}} : ({yf}) -> {yf}
  %t1 = ds.reshape %t {{target = #ds.shape<[{size}, "1"]>}} : ({ti}) -> {ci}
  %p1 = ds.gather_elements %lp, %t1 {{axis = 1 : i64}} : ({yf}, {ci}) -> {cf}
  %mean = ds.reduce_mean %p1 {{axes = array<i64: 0, 1>}} : ({cf}) -> {ts}
  %loss = ds.neg %mean : ({ts}) -> {ts}
  %size = ds.shape_value {{scalar, shape = #ds.shape<[{size}]>}} : () -> tensor<i64>
  %n = ds.cast %size : (tensor<i64>) -> {ts}
  %minus = ds.constant dense<-1.0> : {ts}
  %ew = ds.constant dense<> : tensor<0x{c}x{d}>
  %eb = ds.constant dense<> : tensor<0x{d}>
"""
        backward = f"""
  %p = ds.exp %lp : ({yf}) -> {yf}
  %v = ds.constant dense<[0.0, 1.0]> : tensor<2x{d}>
  %h = ds.one_hot %t values %v {{axis = 1 : i64, size = #ds.shape<["{c}"]>}} : ({ti}, tensor<2x{d}>) -> {yf}
  %e = ds.sub %p, %h : ({yf}, {yf}) -> {yf}
  %dy = ds.div %e, %n : ({yf}, {ts}) -> {yf}
  %xt = ds.transpose %x {{perm = array<i64: 1, 0>}} : ({xf}) -> tensor<{f}x{n}x{d}>
  %gw = ds.matmul %xt, %dy : (tensor<{f}x{n}x{d}>, {yf}) -> {tw}
  %gb = ds.reduce_sum %dy {{axes = array<i64: 0>}} : ({yf}) -> {tb}
  %mu = ds.constant dense<{MOMENTUM}> : {ts}
  %mw0 = ds.mul %mw, %mu : ({tw}, {ts}) -> {tw}
  %mw1 = ds.add %mw0, %gw : ({tw}, {tw}) -> {tw}
  %mb0 = ds.mul %mb, %mu : ({tb}, {ts}) -> {tb}
  %mb1 = ds.add %mb0, %gb : ({tb}, {tb}) -> {tb}
  %uw = ds.mul %mw1, %lr : ({tw}, {ts}) -> {tw}
  %w1 = ds.sub %w, %uw : ({tw}, {tw}) -> {tw}
  %ub = ds.mul %mb1, %lr : ({tb}, {ts}) -> {tb}
  %b1 = ds.sub %b, %ub : ({tb}, {tb}) -> {tb}
  %pm = ds.reduce_mean %p {{axes = array<i64: 0>}} : ({yf}) -> {tb}
  %kf = ds.cast %k : (tensor<i64>) -> {ts}
  %sf = ds.cast %seed : (tensor<i64>) -> {ts}
  %ks = ds.add %kf, %sf : ({ts}, {ts}) -> {ts}
  %sp = ds.mul %pm, %ks : ({tb}, {ts}) -> {tb}
  %s1 = ds.add %s, %sp : ({tb}, {tb}) -> {tb}
"""
        evaluation = f"""
  %am = ds.arg_max %y {{axis = 1 : i64}} : ({yf}) -> {ti}
  %eq = ds.compare eq, %am, %t : ({ti}, {ti}) -> tensor<{n}xi1>
  %eqf = ds.cast %eq : (tensor<{n}xi1>) -> {vf}
  %correct = ds.reduce_sum %eqf {{axes = array<i64: 0>}} : ({vf}) -> {ts}
"""
        states = [f"{self.prefix}.weight", f"{self.prefix}.bias", "running"]
        states += [f"momentum.{name}" for name in states[:2]]
        gradients = [f"grad.{self.prefix}.weight", f"grad.{self.prefix}.bias"]
        names = ["loss", "n", "correct", *(f"{name}.next" for name in states), *gradients]

        def function(name: str, args: str, body: str, values: str, grads: tuple[str, str], attributes: str) -> str:
            types = [ts, ts, ts, tw, tb, tb, tw, tb, *grads]
            results = ", ".join(f'{kind} {{ds.name = "{output}"}}' for kind, output in zip(types, names))
            return f"func.func {name}({args}) -> ({results}) {attributes} {{{body}  return {values} : {', '.join(types)}\n}}\n"

        plain = re.sub(r", ds.default = dense<[^>]*> : tensor<[^>]*>", "", arguments)
        own = 'attributes {ds.own = #ds.shape<["N"]>}' if self.batch is None else ""
        none, new = (f"tensor<0x{c}x{d}>", f"tensor<0x{d}>"), "%w1, %b1, %s1, %mw1, %mb1"
        modes = ""
        if self.has_modes:
            bodies = ", ".join(
                f"{{body = @{body}, sizes = {{mode = {mode} : i64}}}}"
                for body, mode in (("evaluate", 2), ("gradients", 1))
            )
            modes = f'attributes {{ds.given = ["mode"], ds.versions = [{bodies}]}}'
        functions = function("@main", arguments, forward + backward, f"%loss, %n, %minus, {new}, %ew, %eb", none, modes)
        if self.has_modes:
            values = f"%loss, %n, %minus, {new}, %gw, %gb"
            functions += function("private @gradients", plain, forward + backward, values, (tw, tb), own)
            values = "%loss, %n, %correct, %w, %b, %s, %mw, %mb, %ew, %eb"
            functions += function("private @evaluate", plain, forward + evaluation, values, none, own)
        properties = {
            "ds.train": "1",
            "ds.train.inputs": "dtppboolks",
            "ds.train.outputs": "Lncppboogg",
            "ds.train.loss": "cross_entropy",
            "ds.train.classes": "3",
            "ds.train.ignored": "",
            "ds.train.optimizer": f"sgd:momentum={MOMENTUM}",
            "ds.train.lr": "0.1",
            "ds.train.schedule": "constant",
            **self.properties,
        }
        listed = ", ".join(f'{key} = "{value}"' for key, value in properties.items())
        attributes = f"ds.properties = {{{listed}}}"
        if self.has_export:
            parts = ", ".join('"' + "".join(f"\\{byte:02X}" for byte in part) + '"' for part in self.source())
            attributes += f", ds.export = [{parts}]"
        return f"module attributes {{{attributes}}} {{\n{functions}}}\n"

    def forward(self, state: Mapping[str, np.ndarray], x: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and the logarithms of the classes' probabilities."""
        y = x @ state["fc.weight"] + state["fc.bias"]
        y = y - y.max(axis=1, keepdims=True)
        logs = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(len(target)), target].mean()), logs

    def gradients(self, state, x, target) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
        loss, logs = self.forward(state, x, target)
        probabilities = np.exp(logs)
        error = (probabilities - np.eye(self.classes)[target]) / len(target)
        return loss, {"fc.weight": x.T @ error, "fc.bias": error.sum(axis=0)}, probabilities.mean(axis=0)

    def apply(self, state: dict[str, np.ndarray], x, target, rate: float, number: int, seed: int) -> float:
        """One step, of which `state` becomes the result; the loss before it."""
        loss, gradients, mean = self.gradients(state, x, target)
        for name, gradient in gradients.items():
            state[f"momentum.{name}"] = MOMENTUM * state[f"momentum.{name}"] + gradient
            state[name] = state[name] - rate * state[f"momentum.{name}"]
        state["running"] = state["running"] + mean * (number + seed)
        return loss


def bigrams(vocabulary: int, token: str = "i64") -> str:
    """A model of tokens: the logits of the next one are a row of a table; plain gradient descent, and no modes."""
    v, ids, flat = vocabulary, f"tensor<?x?x{token}>", f"tensor<?x{token}>"
    table, rows, scalar = f"tensor<{v}x{v}xf64>", f"tensor<?x{v}xf64>", "tensor<f64>"
    start = np.zeros((v, v)).tolist()
    return f"""module attributes {{ds.properties = {{ds.train = "1", ds.train.inputs = "dtpl", ds.train.outputs = "Lp", ds.train.loss = "cross_entropy",
    ds.train.optimizer = "sgd", ds.train.lr = "2", ds.train.schedule = "constant"}}}} {{
func.func @main(%i: {ids} {{ds.name = "ids", ds.shape = #ds.shape<["N", "S"]>}}, %t: {ids} {{ds.name = "target", ds.shape = #ds.shape<["N", "S"]>}},
    %w: {table} {{ds.name = "table", ds.donate = 1 : i64, ds.default = dense<{start}> : {table}}}, %lr: {scalar} {{ds.name = "lr"}})
    -> ({scalar} {{ds.name = "loss"}}, {table} {{ds.name = "table.next"}}) {{
  %v = ds.constant dense<[0.0, 1.0]> : tensor<2xf64>
  %fi = ds.reshape %i {{target = #ds.shape<["N*S"]>}} : ({ids}) -> {flat}
  %ft = ds.reshape %t {{target = #ds.shape<["N*S"]>}} : ({ids}) -> {flat}
  %hi = ds.one_hot %fi values %v {{axis = 1 : i64, size = #ds.shape<["{v}"]>}} : ({flat}, tensor<2xf64>) -> {rows}
  %ht = ds.one_hot %ft values %v {{axis = 1 : i64, size = #ds.shape<["{v}"]>}} : ({flat}, tensor<2xf64>) -> {rows}
  %y = ds.matmul %hi, %w : ({rows}, {table}) -> {rows}
  %lp = ds.log_softmax %y {{axis = 1 : i64}} : ({rows}) -> {rows}
  %picked = ds.mul %lp, %ht : ({rows}, {rows}) -> {rows}
  %sum = ds.reduce_sum %picked {{axes = array<i64: 0, 1>}} : ({rows}) -> {scalar}
  %size = ds.shape_value {{scalar, shape = #ds.shape<["N*S"]>}} : () -> tensor<i64>
  %n = ds.cast %size : (tensor<i64>) -> {scalar}
  %mean = ds.div %sum, %n : ({scalar}, {scalar}) -> {scalar}
  %loss = ds.neg %mean : ({scalar}) -> {scalar}
  %p = ds.exp %lp : ({rows}) -> {rows}
  %e = ds.sub %p, %ht : ({rows}, {rows}) -> {rows}
  %dy = ds.div %e, %n : ({rows}, {scalar}) -> {rows}
  %hx = ds.transpose %hi {{perm = array<i64: 1, 0>}} : ({rows}) -> tensor<{v}x?xf64>
  %g = ds.matmul %hx, %dy : (tensor<{v}x?xf64>, {rows}) -> {table}
  %u = ds.mul %g, %lr : ({table}, {scalar}) -> {table}
  %w1 = ds.sub %w, %u : ({table}, {table}) -> {table}
  return %loss, %w1 : {scalar}, {table}
}}
}}
"""


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    """Philox4x32-10, from the paper (Salmon et al. 2011)."""
    c, k, mask = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        low, high = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(high >> 32) ^ c[1] ^ k[0], high & mask, (low >> 32) ^ c[3] ^ k[1], low & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def order_of_epoch(seed: int, epoch: int, count: int) -> np.ndarray:
    """The permutation of an epoch (runtime/train/Shuffle.h)."""

    def words() -> Iterator[int]:
        for block in range(2**64):
            yield from philox((block & 0xFFFFFFFF, block >> 32, epoch, 1), (seed & 0xFFFFFFFF, seed >> 32))

    stream = words()

    def below(bound: int) -> int:
        while True:
            product = next(stream) * bound
            if product & 0xFFFFFFFF >= 2**32 % bound:  # of the low halves below that, one more leads to some numbers
                return product >> 32

    order = np.arange(count)
    for i in range(count - 1, 0, -1):
        j = below(i + 1)
        order[i], order[j] = order[j], order[i]
    return order
