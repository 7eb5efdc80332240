"""docs/examples/serve, built against an installation of the runtime, started, asked, and loaded."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import numpy as np
import onnx
import pytest
from harness import text_model
from onnx import numpy_helper
from dsutil.compare import error_of_scale
from test_embedding import CXX, EXAMPLES, checked, compile_to, prefix  # noqa: F401 (a fixture)

RNG = np.random.default_rng(17)
WEIGHTS = RNG.standard_normal((8, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def program(prefix, tmp_path_factory) -> str:  # noqa: F811
    build = str(tmp_path_factory.mktemp("serve-build"))
    flags = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={CXX}", "-DCMAKE_BUILD_TYPE=Release"]
    source = os.path.join(EXAMPLES, "serve")
    checked(["cmake", "-G", "Ninja", "-S", source, "-B", build, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", *flags])
    checked(["cmake", "--build", build])
    return os.path.join(build, "serve")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> str:
    """Two inputs, one of them an index that may be out of range, and a dimension beside the batch."""
    body = "g = Gather(table, i); h = MatMul(x, w); y = Add(h, g)"
    model = text_model("float[N,S,8] x, int64[N,1] i => float[N,S,5] y", body)
    model.graph.initializer.append(numpy_helper.from_array(WEIGHTS, "w"))
    model.graph.initializer.append(numpy_helper.from_array(np.arange(50, dtype=np.float32).reshape(10, 5), "table"))
    return compile_to(model, tmp_path_factory.mktemp("served"), "m.so", "--emit=library")


def expected(x: np.ndarray, i: np.ndarray) -> np.ndarray:
    return x @ WEIGHTS + np.arange(50, dtype=np.float32).reshape(10, 5)[i]


class Server:
    def __init__(self, program: str, artifact: str, *flags: str):
        self.process = subprocess.Popen(
            [program, artifact, "--port", "0", "--name", "m", *flags], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method: str, path: str, body=None, client=None) -> tuple[int, dict]:
        client = client or self.client()
        client.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body))
        response = client.getresponse()
        return response.status, json.loads(response.read())

    def resident(self) -> int:
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def server(program, artifact):
    with Server(program, artifact, "--threads", "1") as running:
        yield running


def sample(seed: int, rows: int = 1, length: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, length, 8)).astype(np.float32)
    return x, rng.integers(0, 10, (rows, 1))


def infer_body(x: np.ndarray, i: np.ndarray, flat: bool = True) -> dict:
    def data(array: np.ndarray) -> list:
        return array.ravel().tolist() if flat else array.tolist()

    return {
        "id": "a-1",
        "inputs": [
            {"name": "i", "datatype": "INT64", "shape": list(i.shape), "data": data(i)},
            {"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": data(x)},
        ],
    }


def test_health_and_metadata(server):
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready"):
        assert server.ask("GET", path)[0] == 200
    status, metadata = server.ask("GET", "/v2/models/m")
    assert status == 200 and metadata["name"] == "m"
    assert metadata["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1, -1, 8]},
        {"name": "i", "datatype": "INT64", "shape": [-1, 1]},
    ]
    assert metadata["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, -1, 5]}]
    assert server.ask("GET", "/v2")[1]["name"] == "ds-serve"


@pytest.mark.parametrize("flat", [True, False])
def test_infer(server, flat):
    x, i = sample(1, rows=2)
    status, answer = server.ask("POST", "/v2/models/m/infer", infer_body(x, i, flat))
    assert status == 200, answer
    assert (answer["model_name"], answer["id"]) == ("m", "a-1")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("y", "FP32", [2, 3, 5])
    np.testing.assert_allclose(np.reshape(output["data"], (2, 3, 5)), expected(x, i), atol=1e-4)


def test_plain_json(server):
    x, i = sample(2, rows=3, length=1)
    status, answer = server.ask("POST", "/predict", {"x": x.tolist(), "i": i.tolist()})
    assert status == 200, answer
    np.testing.assert_allclose(answer["y"], expected(x, i), atol=1e-4)
    assert server.ask("POST", "/predict", {"x": [], "i": []})[0] in (200, 400)


GOOD = infer_body(*sample(3))


def changed(index: int, **entries) -> dict:
    body = json.loads(json.dumps(GOOD))
    body["inputs"][index].update(entries)
    return body


@pytest.mark.parametrize(
    "path, body, message",
    [
        ("/v2/models/m/infer", "{", "not the JSON that was expected"),
        ("/v2/models/m/infer", "[1]", "the request lacks 'inputs'"),
        ("/v2/models/m/infer", {"inputs": []}, "input 'x' is missing"),
        ("/v2/models/m/infer", changed(0, name="z"), "no input 'z'"),
        ("/v2/models/m/infer", changed(0, datatype="INT32"), "input 'i' should have datatype INT64, given \"INT32\""),
        ("/v2/models/m/infer", changed(0, shape=[2, 1]), "input 'i' has 1 elements, its shape needs 2"),
        ("/v2/models/m/infer", changed(0, shape=[-1]), "a 'shape' that cannot be"),
        ("/v2/models/m/infer", changed(0, shape=[1 << 62, 8]), "a 'shape' that cannot be"),
        ("/v2/models/m/infer", changed(0, data=[1.5]), "holds 1.5, which is no integer"),
        ("/v2/models/m/infer", changed(0, data=[1 << 63]), "which is no integer of its type"),
        ("/v2/models/m/infer", changed(0, data=["a"]), 'holds "a"'),
        ("/v2/models/m/infer", changed(0, data=[11]), "index value is outside"),
        ("/v2/models/m/infer", changed(1, shape=[1, 8, 3]), "input 'x' should have 8 in dimension 2"),
        ("/predict", {"x": [[[1]]], "i": [[0]]}, "should have 8 in dimension 2"),
        ("/predict", {"x": [[[1, 2], [3]]], "i": [[0]]}, "2 entries in dimension 2 everywhere"),
        ("/predict", {"x": 1, "i": [[0]]}, "lists nested 3 deep"),
        ("/predict", {"x": [[[0] * 8]]}, "input 'i' is missing"),
        ("/predict", {"x": [[[0] * 8]], "i": [[0]], "j": 1}, "no input 'j'"),
    ],
)
def test_bad_requests_are_explained(server, path, body, message):
    status, answer = server.ask("POST", path, body)
    assert status == 400
    assert message in answer["error"]


def test_unknown_paths(server):
    assert server.ask("GET", "/nothing")[0] == 404
    status, answer = server.ask("GET", "/v2/models/other")
    assert status == 404 and "no model 'other'" in answer["error"]


def load(server: Server, clients: int, seconds: float, make=lambda n: sample(n, length=2 + n % 2)) -> tuple[int, list]:
    """How many answers `clients` get together, and what was wrong with any."""
    count, wrong, end = [0] * clients, [], time.monotonic() + seconds

    def work(number: int) -> None:
        client, seed = server.client(), number
        while time.monotonic() < end:
            x, i = make(seed)
            status, answer = server.ask("POST", "/v2/models/m/infer", infer_body(x, i), client)
            if status != 200:
                wrong.append(answer)
            elif not np.allclose(answer["outputs"][0]["data"], expected(x, i).ravel(), atol=1e-4):
                wrong.append((seed, "differs"))
            count[number] += 1
            seed += clients
        client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(count), wrong


def test_holds_many_clients_without_growing(program, artifact):
    with Server(program, artifact, "--threads", "1") as server:
        load(server, 64, 2)
        before = server.resident()
        count, wrong = load(server, 64, 5)
        assert wrong == [] and count > 200
        assert server.resident() - before < 8 << 20
        metrics = server.ask("GET", "/metrics")[1]
        assert metrics["batches"] is True and metrics["rejected"] == 0 and metrics["failed"] == 0
        assert metrics["done"] > count and metrics["runs"] <= metrics["done"]
        for kind in ("latency_ms", "waiting_ms", "running_ms"):
            percentiles = [metrics[kind][name] for name in ("p50", "p90", "p99", "max")]
            assert percentiles == sorted(percentiles) and percentiles[-1] > 0
        # A client that leaves in the middle, and one that sends nonsense, hurt nobody.
        raw = server.client()
        raw.connect()
        raw.sock.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        raw.sock.close()
        assert server.ask("GET", "/v2/health/ready")[0] == 200
        server.process.send_signal(signal.SIGTERM)
        assert json.loads(server.process.stdout.readline())["done"] == metrics["done"]
        assert server.process.wait(30) == 0


@pytest.fixture(scope="module")
def slow_artifact(tmp_path_factory) -> str:
    """A run takes tens of milliseconds, so that requests meet."""
    model = text_model(
        "float[N,512] x => float[N,512] y", ";".join(f"h{n + 1} = MatMul(h{n}, w{n % 4})" for n in range(1, 200))
    )
    model.graph.node[0].input[0] = "x"
    model.graph.node[-1].output[0] = "y"
    for n in range(4):
        values = RNG.standard_normal((512, 512)).astype(np.float32) * np.float32(512**-0.5)
        model.graph.initializer.append(numpy_helper.from_array(values, f"w{n}"))
    onnx.checker.check_model(model)
    return compile_to(model, tmp_path_factory.mktemp("slow"), "slow.so", "--emit=library")


def test_requests_share_runs(program, slow_artifact):
    with Server(program, slow_artifact, "--threads", "1") as server:
        bodies = [{"x": np.random.default_rng(n).standard_normal((1, 512)).tolist()} for n in range(24)]
        alone = [server.ask("POST", "/predict", body) for body in bodies]
        for _ in range(20):  # until requests met: how many do is the machine's affair
            runs = server.ask("GET", "/metrics")[1]["runs"]
            with concurrent.futures.ThreadPoolExecutor(24) as pool:
                together = list(pool.map(lambda body: server.ask("POST", "/predict", body), bodies))
            for (status_a, a), (status_b, b) in zip(alone, together, strict=True):
                assert status_a == status_b == 200
                assert error_of_scale(np.array(a["y"]), np.array(b["y"])) < 1e-4  # other tiles, other rounding
            if server.ask("GET", "/metrics")[1]["runs"] - runs < 20:
                return
        pytest.fail("no requests shared a run")


def test_strings(program, tmp_path):
    model = text_model("string[N,S] x => string[N,S] y, bool[N,S] e", "y = StringConcat(x, x); e = Equal(x, y)", 20)
    artifact = compile_to(model, tmp_path, "m.so", "--emit=library")
    words = [["a", "é"], ["", 'quo"te']]
    with Server(program, artifact, "--threads", "1") as server:
        described = server.ask("GET", "/v2/models/m")[1]
        assert described["inputs"] == [{"name": "x", "datatype": "BYTES", "shape": [-1, -1]}]
        bodies = [
            {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1, 2], "data": words[n % 2]}]} for n in range(64)
        ]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda body: server.ask("POST", "/v2/models/m/infer", body), bodies))
        for number, (status, answer) in enumerate(answers):
            assert status == 200 and answer["outputs"][0]["datatype"] == "BYTES"
            assert answer["outputs"][0]["data"] == [2 * word for word in words[number % 2]]
        assert server.ask("POST", "/predict", {"x": words}) == (
            200,
            {"y": [[2 * w for w in row] for row in words], "e": [[False, False], [True, False]]},
        )
        status, answer = server.ask("POST", "/predict", {"x": [[1, 2]]})
        assert status == 400 and "no string" in answer["error"]


def test_sheds_load_past_its_queue(program, slow_artifact):
    with Server(program, slow_artifact, "--threads", "1", "--queue", "2", "--max-batch", "1") as server:
        body = json.dumps({"x": [[0.5] * 512]})
        answers = []
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for _ in range(20):  # until more requests came than the queue holds
                answers += pool.map(lambda _: server.ask("POST", "/predict", body), range(32))
                if any(status == 503 for status, _ in answers):
                    break
        statuses = [status for status, _ in answers]
        assert set(statuses) == {200, 503} and statuses.count(200) >= 2  # what the queue holds is answered
        assert "try again later" in next(answer for status, answer in answers if status == 503)["error"]
        metrics = server.ask("GET", "/metrics")[1]
        assert metrics["rejected"] == statuses.count(503)
        assert server.ask("POST", "/predict", body)[0] == 200


def test_one_bad_request_does_not_spoil_a_batch(program, artifact):
    with Server(program, artifact, "--threads", "1") as server:
        x, i = sample(5)
        bodies = [infer_body(x, i if n % 4 else np.array([[99]])) for n in range(200)]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda body: server.ask("POST", "/v2/models/m/infer", body), bodies))
        assert [status for status, _ in answers] == [200 if n % 4 else 400 for n in range(200)]


def test_usage_and_errors(program, artifact, tmp_path):
    for command in ([], [artifact, "--queue"], [artifact, "--queue", "many"], [artifact, "--frob", "1"], ["a", "b"]):
        assert subprocess.run([program, *command], capture_output=True).returncode == 2
    result = subprocess.run([program, str(tmp_path / "none.so")], capture_output=True, text=True)
    assert result.returncode == 1 and "cannot open" in result.stderr
