#!/usr/bin/env python3
"""Runs ONNX's backend tests through ds-compile and its artifacts.

usage: run.py [--symbolic | --symbolic-only] [--no-reuse] [--part K/N] [--jobs N] [--no-cache] [--verbose] [PATTERN...]
  PATTERN     only tests whose name contains one of these
  --part K/N  the K-th of N equal shares
  --symbolic  a second time too, with every dimension of every input made symbolic before the model is compiled
  --symbolic-only  only so
  --no-reuse  each test is run a second time, compiled with --no-reuse and with guard pages around all memory
              (DS_SESSION_GUARD); results must be equal, bit for bit
  --update    print the list of failures as it should read (new ones with the compiler's own message); writes nothing
              (with --symbolic: that of the symbolic models)

expected-failures.txt beside this file holds `test_name  reason` lines. A test that is not listed must pass; one that is
listed must fail, and in the way that its reason says: `wrong result: why` is a result that differs from the test's, anything else a
refusal by the compiler of the operator that the reason names. expected-failures-symbolic.txt lists what fails with symbolic
dimensions only. Results are kept by the content of test, compiler and runtime (in the build folder), so that
a second run is fast. Exit code 1 on any surprise."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import glob
import hashlib
import importlib.metadata
import json
import os
import queue
import re
import select
import subprocess
import sys
import threading
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "..", "utils"))

import dsutil.venv
from cases import Case, load_cases

from dsutil import tools

EXPECTED = os.path.join(FOLDER, "expected-failures.txt")
EXPECTED_SYMBOLIC = os.path.join(FOLDER, "expected-failures-symbolic.txt")


def read_expected(path: str) -> dict[str, str]:
    expected: dict[str, str] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, reason = line.strip().partition(" ")
            if not reason.strip():
                raise SystemExit(f"{path}:{number}: '{name}' has no reason")
            if name in expected:
                raise SystemExit(f"{path}:{number}: '{name}' is listed twice")
            expected[name] = reason.strip()
    return expected


def kind_of(text: str) -> tuple[str, str]:
    """What sort of failure a message or a reason tells of, and the operator that a refusal names."""
    for kind in ("wrong result", "internal error", "the program crashed", "no end after"):
        if text.startswith(kind):
            return kind, ""
    operator = re.search(r"\(([A-Z]\w*)\):", text) or re.search(r"\b((?:[\w.]+\.)?[A-Z]\w*) \(\d+ nodes?\b", text)
    return "refusal", operator[1] if operator else ""


class Worker:
    """A process that runs tests and may die of one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None

    def run(self, case: Case, timeout: float, symbolic: bool, no_reuse: bool) -> str | None:
        """None if the test passed, otherwise what went wrong."""
        if self.process is None:
            self.process = subprocess.Popen(
                [dsutil.venv.PYTHON, os.path.join(FOLDER, "worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        try:
            request = {"key": case.key, "timeout": timeout, "symbolic": symbolic, "no_reuse": no_reuse}
            print(json.dumps(request), file=self.process.stdin, flush=True)
            ready, _, _ = select.select([self.process.stdout], [], [], timeout + 30)
            line = self.process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)["failure"]
        if line is None:
            self.process.kill()
        code = self.process.wait()
        self.process = None
        return f"no end after {timeout:.0f} s" if line is None else f"the program crashed (signal {-code})"

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class Cache:
    """Results by the content of test, compiler, runtime and harness."""

    def __init__(self, path: str, enabled: bool):
        self._path = path
        self._enabled = enabled
        self._lock = threading.Lock()
        base = hashlib.sha256()
        harness = [os.path.join(FOLDER, name) for name in ("worker.py", "cases.py")]
        harness.append(os.path.join(FOLDER, "..", "..", "python", "deepseek", "_values.py"))
        harness += sorted(glob.glob(os.path.join(FOLDER, "..", "..", "utils", "dsutil", "*.py")))
        for package in ("onnx", "onnxruntime", "numpy"):  # whose reference decides
            base.update(f"{package} {importlib.metadata.version(package)}\n".encode())
        for path in (tools.tool("ds-compile"), tools.runtime_library(), *harness):
            with open(path, "rb") as file:
                content = file.read()
            base.update(f"{len(content)}\n".encode() + content)
        for path in sorted(glob.glob("/usr/lib/llvm-*/lib/lib[LM]L*.so*")):  # what the compiler's code is generated by
            base.update(f"{path} {os.path.getsize(path)} {os.path.getmtime(path)}\n".encode())
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # code is made for the machine it is made on
            machine = {line.split(":")[0].strip(): line for line in file}
        for what in ("vendor_id", "cpu family", "model", "flags", "CPU part", "Features"):
            base.update(machine.get(what, "").encode())
        self._base = base.hexdigest()
        self._results: dict[str, str | None] = {}
        if enabled and os.path.exists(self._path):
            with open(self._path, encoding="utf-8") as file:
                for line in file:
                    entry = json.loads(line)
                    self._results[entry["key"]] = entry["failure"]

    def key(self, case: Case, symbolic: bool, no_reuse: bool) -> str:
        mode = "symbolic" * symbolic + "no-reuse" * no_reuse
        return hashlib.sha256((self._base + case.digest() + mode).encode()).hexdigest()

    def get(self, key: str) -> tuple[bool, str | None]:
        return key in self._results, self._results.get(key)

    def put(self, key: str, failure: str | None) -> None:
        # How long a test takes depends on what else runs, so that a timeout is no lasting result.
        if not self._enabled or (failure or "").startswith("no end after"):
            return
        with self._lock, open(self._path, "a", encoding="utf-8") as file:
            print(json.dumps({"key": key, "failure": failure}), file=file)


def run_all(
    cases: list[Case], options: argparse.Namespace, symbolic: bool, listed: dict[str, str]
) -> dict[str, str | None]:
    """What went wrong in each case, or None. With symbolic dimensions, a case in `listed` (it fails as given) is not tried."""
    cache = Cache(os.path.join(tools.BUILD, "conformance-results.jsonl"), not options.no_cache)
    workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for _ in range(options.jobs):
        workers.put(Worker())
    done = 0

    def one(case: Case) -> str | None:
        nonlocal done
        if symbolic and case.name in listed:
            return "fails as given"
        key = cache.key(case, symbolic, options.no_reuse)
        known, failure = cache.get(key)
        if not known:
            worker = workers.get()
            try:
                timeout = options.timeout * (5 if case.kind == "real" else 1) * (2 if options.no_reuse else 1)
                failure = worker.run(case, timeout, symbolic, options.no_reuse)
            finally:
                workers.put(worker)
            cache.put(key, failure)
        done += 1
        if sys.stderr.isatty():
            print(f"\rconformance: {done}/{len(cases)}", end="", file=sys.stderr, flush=True)
        return failure

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip([case.key for case in cases], pool.map(one, cases)))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    while not workers.empty():
        workers.get().close()
    return results


def report(
    title: str, cases: list[Case], results: dict[str, str | None], expected: dict[str, str], known: dict[str, str]
) -> collections.Counter:
    """Prints surprises and counts. A test in `expected` must fail; one in `known` may."""
    counts: dict[str, collections.Counter] = {}
    surprises = []
    for case in cases:
        failure = results[case.key]
        count = counts.setdefault(case.kind, collections.Counter())
        count["all"] += 1
        count["pass"] += failure is None
        if failure is not None and case.name not in expected and case.name not in known:
            surprises.append(f"FAILED ({title}) {case.name}: {failure}")
        elif failure is not None and case.name in expected and kind_of(failure) != kind_of(expected[case.name]):
            surprises.append(f"FAILED ({title}) {case.name}, not as listed ({expected[case.name][:80]}...): {failure}")
        elif failure is None and case.name in expected:
            surprises.append(f"PASSED although listed (take it off the list), {title}: {case.name}")
    for line in surprises:
        print(line)
    for kind, count in counts.items():
        print(f"{kind:<18} {count['pass']:>5} of {count['all']:>5} pass")
    passing = sum(count["pass"] for count in counts.values())
    print(f"{title:<18} {passing:>5} of {len(cases):>5} pass ({100 * passing / max(1, len(cases)):.1f} %)")
    passed = passing - len([s for s in surprises if s.startswith("PASSED")])
    return collections.Counter(passed=passed, failed=len(surprises), skipped=len(cases) - passed - len(surprises))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="every failure with its message")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--symbolic", action="store_true")
    parser.add_argument("--symbolic-only", action="store_true")
    parser.add_argument("--no-reuse", action="store_true")
    options = parser.parse_args()
    cases = load_cases()
    expected = {False: read_expected(EXPECTED), True: read_expected(EXPECTED_SYMBOLIC)}
    for symbolic, path in ((False, EXPECTED), (True, EXPECTED_SYMBOLIC)):
        unknown = expected[symbolic].keys() - {case.name for case in cases}
        if unknown:
            raise SystemExit(f"{path} names tests that do not exist: {', '.join(sorted(unknown))}")
    part, parts = map(int, options.part.split("/"))
    cases = [case for index, case in enumerate(cases) if index % parts == part - 1]
    if options.patterns:
        cases = [case for case in cases if any(pattern in case.name for pattern in options.patterns)]
    modes = (
        [True]
        if options.symbolic_only or (options.update and options.symbolic)
        else [False, True]
        if options.symbolic
        else [False]
    )
    total = collections.Counter()
    for symbolic in modes:
        start = time.monotonic()
        results = run_all(cases, options, symbolic, expected[False])
        known = expected[False] if symbolic else {}
        failures = {case.name: results[case.key] for case in cases if results[case.key] is not None}
        if options.update:
            for name, failure in failures.items():
                if name not in known:
                    print(f"{name}  {expected[symbolic].get(name, failure)}")
            continue
        if options.verbose:
            for name, failure in failures.items():
                print(f"{name}  {failure}")
        print(f"{len(cases)} tests in {time.monotonic() - start:.0f} s")
        total += report("symbolic" if symbolic else "as given", cases, results, expected[symbolic], known)
    if options.update:
        return 0
    print(f"conformance: {total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
