"""Processes that answer requests and may die of one: a line of JSON in, lines of JSON out."""

import json
import os
import select
import subprocess
import time

import dsutil.venv


class Died(Exception):
    """The process ended before it answered; `signal` is what ended it (0: it left by itself)."""

    def __init__(self, signal: int):
        super().__init__(f"signal {signal}")
        self.signal = signal


class Late(Exception):
    """The process did not answer in time, and was ended."""


class Worker:
    """A process of `script`, which is started with the first request, and again with the next one after it died."""

    def __init__(self, script: str):
        self._script = script
        self._process: subprocess.Popen | None = None
        self._unread = b""  # what came after the line that was received last: select() does not know of it

    def send(self, request: dict) -> None:
        """A process that is gone shows when its answer is received."""
        if self._process is None:
            self._unread = b""
            self._process = subprocess.Popen(
                [dsutil.venv.PYTHON, self._script],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        unsent = memoryview(json.dumps(request).encode() + b"\n")
        try:
            while unsent:
                unsent = unsent[self._process.stdin.write(unsent) :]
        except BrokenPipeError:
            pass

    def receive(self, timeout: float) -> dict:
        """The next line of the answer. Raises Died, or Late after `timeout` seconds without a whole line."""
        assert self._process is not None, "nothing was asked"
        deadline = time.monotonic() + timeout
        pipe = self._process.stdout
        while b"\n" not in self._unread:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self._end()
                raise Late
            more = os.read(pipe.fileno(), 1 << 16)
            if not more:
                raise Died(max(0, -self._end(kill=False)))
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def ask(self, request: dict, timeout: float) -> dict:
        """The answer to a request that has one line."""
        self.send(request)
        return self.receive(timeout)

    def close(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._end(kill=False)

    def _end(self, kill: bool = True) -> int:
        process, self._process = self._process, None
        if kill:
            process.kill()
        code = process.wait()
        process.stdin.close()
        process.stdout.close()
        return code
