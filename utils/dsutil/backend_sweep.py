"""Compares the gradients of ONNX's backend tests with differences, and says what came of them operator by operator."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import queue
import sys

import onnx

from . import pytorch, venv
from .worker import Died, Late, Worker

CONFORMANCE = os.path.join(venv.ROOT, "test", "conformance")
OUTCOMES = ("agrees", "refused", "wrong", "failed", "left out")


@dataclasses.dataclass
class Found:
    name: str
    operator: str
    outcome: str
    text: str


def _operator(path: str) -> str:
    """What the test is of: the operators of its graph, but not those of its branches and loops."""
    model = onnx.load(path, load_external_data=False)
    return "+".join(sorted({node.op_type for node in model.graph.node}))


def expected_failures(symbolic: bool = False) -> set[str]:
    """Tests that the compiler refuses, or whose outputs are others than its own, as the conformance tests know."""
    names = set()
    for path in ("expected-failures.txt", *["expected-failures-symbolic.txt"] * symbolic):
        with open(os.path.join(CONFORMANCE, path), encoding="utf-8") as file:
            names |= {line.split()[0] for line in file if line.strip() and not line.startswith("#")}
    return names


def choose(patterns: list[str], kinds: tuple[str, ...]) -> list:
    """Tests whose name contains one of the patterns, or that are of the operator of such a name; the first of each operator
    come first. What functions of the standard expand to is the same numbers again, by operators that have tests of their own."""
    sys.path.insert(0, CONFORMANCE)
    from cases import load_cases

    cases = [case for case in load_cases() if case.kind in kinds and "_expanded" not in case.name]
    cases = [(case, _operator(case.model)) for case in cases]
    if patterns:
        cases = [(case, op) for case, op in cases if any(p in case.name or p == op for p in patterns)]
    seen: collections.Counter = collections.Counter()
    turns = []
    for _, op in cases:
        turns.append(seen[op])
        seen[op] += 1
    return [pair for _, pair in sorted(zip(turns, cases), key=lambda each: each[0])]


def sweep(cases: list, jobs: int, explains: bool, settings: dict) -> list[Found]:
    """Tests that are not left out are told of as they end: those that disagree, or all. `settings` are the worker's."""
    timeout = 10 * settings["timeout"]
    workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for _ in range(jobs):
        workers.put(Worker(os.path.join(CONFORMANCE, "gradients_worker.py")))
    done = 0

    def one(pair) -> Found:
        nonlocal done
        case, operator = pair
        worker = workers.get()
        try:
            answer = worker.ask({"key": case.key, **settings}, timeout)
            result = Found(case.name, operator, answer["outcome"], answer["text"])
            # What gives no floats on the way (Hardmax is of integers) has no gradient, and the compiler says so.
            if operator not in pytorch.DIFFERENTIATED and "no gradient comes to any parameter" in result.text:
                result = dataclasses.replace(result, outcome="left out")
        except Died as death:
            result = Found(case.name, operator, "failed", f"the program crashed (signal {death.signal})")
        except Late:
            result = Found(case.name, operator, "failed", f"no end after {timeout:.0f} s")
        finally:
            workers.put(worker)
        done += 1
        if sys.stderr.isatty():
            print(f"\rgradients: {done}/{len(cases)}\x1b[K", end="", file=sys.stderr, flush=True)
        if explains or result.outcome in ("refused", "wrong", "failed"):
            print(f"{result.outcome.upper():8} {result.name}: {result.text}", flush=True)
        return result

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, cases))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    while not workers.empty():
        workers.get().close()
    return results


def report(results: list[Found], explains: bool, symbolic: bool) -> bool:
    """A line for each operator that has gradients."""
    counts: dict[str, collections.Counter] = {}
    for each in results:
        counts.setdefault(each.operator, collections.Counter())[each.outcome] += 1
    for operator, count in sorted(counts.items()):
        if explains or set(count) != {"left out"}:
            worst = max((float(r.text) for r in results if r.operator == operator and r.outcome == "agrees"), default=0)
            parts = [f"{count[outcome]} {outcome}" for outcome in OUTCOMES if count[outcome]]
            print(f"{operator:36} {', '.join(parts)}" + (f"  (differences {worst:.1e})" if count["agrees"] else ""))
    agreeing = {each.operator for each in results if each.outcome == "agrees"} & set(pytorch.DIFFERENTIATED)
    tested = {each.operator for each in results if each.outcome != "left out"} & set(pytorch.DIFFERENTIATED)
    without = ", ".join(sorted(tested - agreeing))
    print(
        f"of {len(pytorch.DIFFERENTIATED)} operators that PyTorch differentiates {len(tested)} were compared, and {len(agreeing)} agree"
        + (f"; those that do not: {without}" if without else "")
    )
    total = collections.Counter(each.outcome for each in results)
    refused = {each.name for each in results if each.outcome == "refused"} - expected_failures(symbolic)
    if refused:
        print(f"refused, though they compile without gradients: {', '.join(sorted(refused))}")
    bad = total["wrong"] + total["failed"] + len(refused)
    print(f"gradients: {', '.join(f'{total[outcome]} {outcome}' for outcome in OUTCOMES)}")
    return bad == 0
