"""Prints a function of many ops.

usage: many-ops.py squares N | root N | branches N M | concat STATIC DYNAMIC
  squares N      N products of a value and itself, each of the one before
  root N         a reduction, then N squares
  branches N M   N squares and M square roots, which meet in a sum
  concat N M     a concatenation of N tensors of size 2 and M of size "N"
"""

import sys


def chain(op: str, first: str, name: str, count: int) -> list[str]:
    types = "(tensor<4xf32>, tensor<4xf32>)" if op == "mul" else "(tensor<4xf32>)"
    lines, last = [], first
    for i in range(count):
        operands = f"{last}, {last}" if op == "mul" else last
        lines.append(f"%{name}{i} = ds.{op} {operands} : {types} -> tensor<4xf32>")
        last = f"%{name}{i}"
    return lines


def main() -> None:
    kind, numbers = sys.argv[1], [int(number) for number in sys.argv[2:]]
    inputs, result = "%x: tensor<4xf32>", "tensor<4xf32>"
    if kind == "squares":
        lines = chain("mul", "%x", "a", numbers[0])
        last = f"%a{numbers[0] - 1}"
    elif kind == "root":
        inputs = "%x: tensor<4x8xf32>"
        lines = ["%r = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>"]
        lines += chain("mul", "%r", "a", numbers[0])
        last = f"%a{numbers[0] - 1}"
    elif kind == "branches":
        lines = chain("mul", "%x", "a", numbers[0]) + chain("sqrt", "%x", "b", numbers[1])
        lines.append(
            f"%s = ds.add %a{numbers[0] - 1}, %b{numbers[1] - 1} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>"
        )
        last = "%s"
    else:
        known, unknown = numbers
        inputs = '%x: tensor<2xf32>, %y: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}'
        result = "tensor<?xf32>" if unknown else f"tensor<{2 * known}xf32>"
        operands = ", ".join(["%x"] * known + ["%y"] * unknown)
        types = ", ".join(["tensor<2xf32>"] * known + ["tensor<?xf32>"] * unknown)
        lines = [f"%c = ds.concat {operands} {{axis = 0 : i64}} : ({types}) -> {result}"]
        last = "%c"
    print(f"func.func @main({inputs}) -> {result} {{", *lines, f"return {last} : {result}", "}", sep="\n")


main()
