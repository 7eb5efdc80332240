"""What scripts count on of processes that answer requests (dsutil.worker)."""

from __future__ import annotations

import pytest

from dsutil.worker import Died, Late, Worker

SCRIPT = """
import json, os, signal, sys, time
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if request["do"] == "leave":
        sys.exit(3)
    if request["do"] == "wait":
        time.sleep(600)
    sys.stdout.write("".join(json.dumps({"line": line, "of": request["of"]}) + "\\n" for line in range(request["do"])))
    sys.stdout.flush()
"""


@pytest.fixture
def worker(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    worker = Worker(str(script))
    yield worker
    worker.close()


def test_lines_that_arrive_together(worker):
    """Nobody waits for more of the pipe while a whole line is there already."""
    for of in ("short", "x" * 200_000):
        worker.send({"do": 3, "of": of})
        assert [worker.receive(timeout=60) for _ in range(3)] == [{"line": line, "of": of} for line in range(3)]


def test_deaths_are_told(worker):
    for request, signal in (("die", 9), ("leave", 0)):
        with pytest.raises(Died) as death:
            worker.ask({"do": request, "of": ""}, timeout=60)
        assert death.value.signal == signal
        assert worker.ask({"do": 1, "of": "next"}, timeout=60) == {"line": 0, "of": "next"}


def test_no_answer_ends_the_process(worker):
    worker.send({"do": 1, "of": "unread"})
    worker.send({"do": "wait", "of": ""})
    assert worker.receive(timeout=60)["of"] == "unread"
    with pytest.raises(Late):
        worker.receive(timeout=0.1)
    assert worker.ask({"do": 1, "of": "next"}, timeout=60) == {"line": 0, "of": "next"}
