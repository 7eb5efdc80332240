"""Finds and runs the tools of a build."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from .venv import ROOT

BUILD = os.path.abspath(os.environ.get("DS_BUILD_DIR", os.path.join(ROOT, "build")))
DEPS = os.environ.get("DS_DEPS_DIR", os.path.join(ROOT, ".deps"))
MODELS = os.path.join(DEPS, "models")
# Kernels that tests and scripts compile are kept with the build. The cache's keys hold the compiler's build, so that no
# kernel of another one is ever taken.
os.environ["XDG_CACHE_HOME"] = os.path.join(BUILD, "cache")


def tool(name: str) -> str:
    """The path of a tool of the build (build/bin, or bin of the folder in DS_BUILD_DIR)."""
    path = os.path.join(BUILD, "bin", name)
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: build it first (./utils/check builds all)")
    return path


def runtime_library() -> str:
    return os.path.join(BUILD, "lib", "libds_runtime.so")


@dataclasses.dataclass
class Result:
    """How a process ended: exit code (negative: the signal), None after the time limit."""

    code: int | None
    stdout: str
    stderr: str
    seconds: float
    peak_bytes: int

    def message(self) -> str:
        """The line that says what went wrong."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        if self.code is None:
            return f"no end after {self.seconds:.0f} s"
        if self.code < 0:
            return f"signal {-self.code}" + (f": {lines[-1]}" if lines else "")
        errors = [line for line in lines if "error" in line]
        return (errors or lines or [f"exit code {self.code} without a message"])[0]


def _tree(pid: int) -> list[int]:
    """A process and those it started."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            continue
    return found


def run(command: list[str], timeout: float | None = None, **options) -> Result:
    """Runs a command to its end, watching the highest resident size (VmHWM) of it and of each process it starts."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, **options
        )
        peak = [0]
        done = threading.Event()

        # ru_maxrss would not do: a child starts with its parent's.
        def watch() -> None:
            while not done.wait(0.02):
                for pid in _tree(process.pid):
                    try:
                        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
                            found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
                    except OSError:
                        continue
                    if found:
                        peak[0] = max(peak[0], int(found[1]) * 1024)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            code: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        done.set()
        watcher.join()
        seconds = time.monotonic() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Result(code, texts[0], texts[1], seconds, peak[0])


def compile_model(model: str, output: str, *flags: str, timeout: float | None = None) -> Result:
    return run([tool("ds-compile"), model, "-o", output, *flags], timeout)


def emulator(triple: str, cpu: str = "") -> list[str] | None:
    """What runs programs for another machine than this one (QEMU, with Debian's C library for it), None if that is missing."""
    qemu, libraries = shutil.which("qemu-" + triple.split("-")[0]), "/usr/" + triple
    if qemu is None or not os.path.isdir(libraries):
        return None
    return [qemu, "-L", libraries, *(["-cpu", cpu] if cpu else [])]


def output_file(name: str) -> str:
    """The file that a program writes for an output."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name) + ".npy"
