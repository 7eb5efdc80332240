"""A program that trains: what it computes, how it is stopped and gone on with, and what it says to bad data.

The step is written by hand (training_step.py), and NumPy in float64 says what must come out.
"""

import json
import os
import pty
import re
import signal
import stat
import struct
import subprocess
import time
from xml.etree import ElementTree

import numpy as np
import onnx
import onnxruntime
import pytest
from training_step import STATES, Step, bigrams, order_of_epoch

from dsutil import tools

SAMPLES = 50
LAST = "checkpoint-%09d.safetensors"


def build(folder, step: Step | str, name: str = "train") -> str:
    source, program = str(folder / f"{name}.mlir"), str(folder / name)
    with open(source, "w") as file:
        file.write(step if isinstance(step, str) else step.text())
    result = tools.compile_model(source, program, timeout=300)
    assert result.code == 0, result.stderr
    return program


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, as files of all kinds."""
    folder = tmp_path_factory.mktemp("train")
    x, target = arrays()
    np.savez(folder / "data.npz", x=x, target=target)
    np.savez_compressed(folder / "packed.npz", x=x, target=target, other=np.zeros(3))
    np.savez(folder / "test.npz", x=x[:20], target=target[:20])
    (folder / "data").mkdir()
    np.save(folder / "data" / "x.npy", np.asfortranarray(x))
    np.save(folder / "data" / "target.npy", target)
    return folder


@pytest.fixture(scope="module")
def program(folder):
    return build(folder, Step())


def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((SAMPLES, 4)), rng.integers(0, 3, SAMPLES)


def train(program: str, *flags, code: int = 0) -> list[dict]:
    """The lines that it prints, which are JSON and nothing else."""
    result = tools.run([program, *map(str, flags)], timeout=300)
    assert result.code == code, (result.code, result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


def refuse(program: str, *flags, says: str, code: int = 1) -> str:
    result = tools.run([program, *map(str, flags)], timeout=200)
    assert result.code == code and result.stdout == "", (result.code, result.stdout, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert re.search(says, lines[0]), f"no '{says}' in: {lines[0]}"
    return lines[0]


def expected(step: Step, batches, rate=lambda number: 0.1, seed: int = 0) -> tuple[list[float], dict]:
    """Losses and states of a run over these batches, of numbers of samples each."""
    x, target = arrays()
    state = {name: value.astype(np.float64) for name, value in step.start().items()}
    losses = [
        step.apply(state, x[batch], target[batch], rate(number), number, seed)
        for number, batch in enumerate(batches, start=1)
    ]
    return losses, state


def in_batches(size: int, *orders: np.ndarray) -> list[np.ndarray]:
    return [order[at : at + size] for order in orders for at in range(0, len(order), size)]


def read_checkpoint(path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """With NumPy alone, by the format's definition."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    kinds = {"F64": np.float64, "F32": np.float32}
    tensors, end = {}, 0
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + length + begin : 8 + length + end], kinds[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    assert 8 + length + end == len(data) and (8 + length) % 64 == 0
    return tensors, metadata


def same_bits(a, b) -> bool:
    """Of two checkpoints: all but the header, which could differ in what it says of the run."""
    first, second = read_checkpoint(a), read_checkpoint(b)
    return first[1] == second[1] and all(
        first[0][name].tobytes() == second[0][name].tobytes() for name in first[0].keys() | second[0].keys()
    )


# What it computes.


@pytest.mark.parametrize("data", ["data.npz", "packed.npz", "data"])
def test_loss_curve(program, folder, tmp_path, data):
    """Three epochs in order, the last batch of each smaller."""
    losses, state = expected(Step(), in_batches(8, *[np.arange(SAMPLES)] * 3))
    lines = train(
        program, "--data", folder / data, "--epochs=3", "--batch-size=8", "--no-shuffle", "--checkpoint-dir", tmp_path
    )
    assert [line["step"] for line in lines] == list(range(1, 22))
    assert all(list(line) == ["step", "loss", "lr", "samples_per_s"] for line in lines)
    assert all(line["lr"] == 0.1 and line["samples_per_s"] > 0 for line in lines)
    np.testing.assert_allclose([line["loss"] for line in lines], losses, rtol=1e-12)
    tensors, metadata = read_checkpoint(tmp_path / (LAST % 21))
    assert list(tensors) == list(STATES)
    for name, value in tensors.items():
        np.testing.assert_allclose(value, state[name], rtol=1e-11, err_msg=name)
    assert {key: metadata[key] for key in ("step", "epoch", "sample", "samples", "seed", "format_version")} == {
        "step": "21", "epoch": "3", "sample": "0", "samples": "50", "seed": "0", "format_version": "1"
    }  # fmt: skip


def test_losses_read_back_as_the_same_numbers(folder, program):
    """Of float64 with 17 digits; of float32 with 9, and no more."""
    lines = train(program, "--data", folder / "data.npz", "--steps=3", "--no-shuffle")
    single = build(folder, Step(dtype="f32"), "single")
    singles = train(single, "--data", folder / "data.npz", "--steps=3", "--no-shuffle")
    for line, other in zip(lines, singles):
        assert abs(line["loss"] - other["loss"]) < 1e-6
        assert line["loss"] != float(np.float32(line["loss"]))
        assert len(re.sub(r"\D", "", repr(other["loss"]))) <= 10  # with the 0 before the point
        assert other["lr"] == 0.1


def test_shuffles_as_the_seed_says(program, folder):
    for seed in (0, 7, 2**33 + 5):
        orders = [order_of_epoch(seed, epoch, SAMPLES) for epoch in range(2)]
        assert not np.array_equal(*orders)
        losses, _ = expected(Step(), in_batches(16, *orders), seed=seed)
        lines = train(program, "--data", folder / "data.npz", "--epochs=2", "--batch-size=16", f"--seed={seed}")
        np.testing.assert_allclose([line["loss"] for line in lines], losses, rtol=1e-12)


def test_rates_follow_the_schedule(folder):
    step = Step(properties={"ds.train.schedule": "cosine:warmup=3,minimum=0.01", "ds.train.lr": "0.2"})
    program = build(folder, step, "cosine")

    def rate(number: int, base: float = 0.2) -> float:
        if number <= 3:
            return base * number / 3
        return 0.01 + (base - 0.01) * (1 + np.cos(np.pi * (number - 1 - 3) / (14 - 3))) / 2

    flags = ["--data", folder / "data.npz", "--epochs=2", "--batch-size=8", "--no-shuffle"]
    lines = train(program, *flags)
    np.testing.assert_allclose([line["lr"] for line in lines], [rate(k) for k in range(1, 15)], rtol=1e-14)
    losses, _ = expected(step, in_batches(8, *[np.arange(SAMPLES)] * 2), rate)
    np.testing.assert_allclose([line["loss"] for line in lines], losses, rtol=1e-12)
    # A run that is ended early has the rates of the whole one; another base changes all of them.
    assert [line["lr"] for line in train(program, *flags, "--steps=5")] == [line["lr"] for line in lines[:5]]
    lines = train(program, *flags, "--lr=0.4")
    np.testing.assert_allclose([line["lr"] for line in lines], [rate(k, 0.4) for k in range(1, 15)], rtol=1e-14)


def test_evaluates(program, folder, tmp_path):
    """After each epoch and every 5 steps, the mean over all of the data's samples; training goes on as without."""
    flags = ["--data", folder / "data.npz", "--epochs=2", "--batch-size=16", "--no-shuffle"]
    alone = train(program, *flags)
    lines = train(program, *flags, "--eval-data", folder / "test.npz", "--eval-every=5", "--checkpoint-dir", tmp_path)
    evaluations = [line for line in lines if "eval_loss" in line]
    assert [line["loss"] for line in lines if "loss" in line] == [line["loss"] for line in alone]
    assert [line["step"] for line in evaluations] == [4, 5, 8]
    x, target = (array[:20] for array in arrays())
    tensors, _ = read_checkpoint(tmp_path / (LAST % 8))
    loss, logs = Step().forward(tensors, x, target)
    assert evaluations[-1].keys() == {"step", "eval_loss", "eval_accuracy"}
    np.testing.assert_allclose(evaluations[-1]["eval_loss"], loss, rtol=1e-12)
    assert evaluations[-1]["eval_accuracy"] == np.mean(logs.argmax(axis=1) == target)
    # The same of the checkpoint alone.
    assert train(program, "--resume", tmp_path, "--eval-data", folder / "test.npz") == evaluations[-1:]


def test_gradients_of_the_first_step(program, folder, tmp_path):
    path = tmp_path / "g.npz"
    flags = ["--data", folder / "data.npz", "--batch-size=10", "--no-shuffle"]
    lines = train(program, *flags, "--dump-gradients", path)
    assert [line["loss"] for line in lines] == [line["loss"] for line in train(program, *flags)]
    x, target = (array[:10] for array in arrays())
    _, gradients, _ = Step().gradients(Step().start(), x, target)
    with np.load(path) as found:
        assert sorted(found) == ["grad.fc.bias", "grad.fc.weight"]
        for name, value in gradients.items():
            np.testing.assert_allclose(found[f"grad.{name}"], value, rtol=1e-11, atol=1e-16)


def test_exports_an_onnx_model(program, folder, tmp_path):
    path = str(tmp_path / "trained.onnx")
    train(program, "--data", folder / "data.npz", "--steps=9", "--export", path, "--checkpoint-dir", tmp_path)
    onnx.checker.check_model(path, full_check=True)
    tensors, _ = read_checkpoint(tmp_path / (LAST % 9))
    x, _ = arrays()
    (y,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_allclose(y, x @ tensors["fc.weight"] + tensors["fc.bias"], rtol=1e-12)
    names = {initializer.name for initializer in onnx.load(path).graph.initializer}
    assert names == {"fc.weight", "fc.bias", "running"}
    # A checkpoint can be exported later.
    again = str(tmp_path / "again.onnx")
    assert train(program, "--resume", tmp_path, "--export", again) == []
    with open(path, "rb") as first, open(again, "rb") as second:
        assert first.read() == second.read()


def test_batches_of_a_fixed_size(folder, tmp_path):
    """What is left of an epoch is told, and left out."""
    program = build(folder, Step(batch=8), "fixed")
    result = tools.run([program, "--data", folder / "data.npz", "--epochs=2", "--no-shuffle"], timeout=200)
    assert result.code == 0, result.stderr
    assert re.fullmatch(r"warning: .*batches of 8: of the 50 samples of .* the last 2 are left out\n", result.stderr)
    losses, _ = expected(Step(), [batch for batch in in_batches(8, *[np.arange(SAMPLES)] * 2) if len(batch) == 8])
    found = [json.loads(line)["loss"] for line in result.stdout.splitlines()]
    np.testing.assert_allclose(found, losses, rtol=1e-12)
    refuse(program, "--data", folder / "data.npz", "--batch-size=16", says="compiled for batches of 8")
    x, target = arrays()
    np.savez(tmp_path / "few.npz", x=x[:5], target=target[:5])
    refuse(program, "--data", tmp_path / "few.npz", says="has 5 samples, fewer than the batch of 8")


# Stops, and what comes after.


@pytest.mark.parametrize("threads", [1, 2])
def test_resumes_bit_equal(program, folder, tmp_path, threads):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    flags = ["--data", folder / "data.npz", "--epochs=3", "--batch-size=8", "--seed=4", "--threads", threads]
    lines = train(program, *flags, "--checkpoint-dir", whole)
    found = []
    for stop in (3, 7, 8, 16):  # in an epoch, at its end, after one step more
        found += train(
            program, *flags, f"--steps={stop}", "--checkpoint-dir", parts, *(["--resume", parts] * bool(found))
        )
    found += train(program, *flags, "--checkpoint-dir", parts, "--resume", parts / (LAST % 16))
    assert [line["loss"] for line in found] == [line["loss"] for line in lines]
    assert same_bits(whole / (LAST % 21), parts / (LAST % 21))
    assert sorted(os.listdir(parts)) == [LAST % 16, LAST % 21]


def test_the_number_of_threads_changes_nothing(program, folder, tmp_path):
    for threads in (1, 2, 3):
        flags = ["--data", folder / "data.npz", "--epochs=2", "--threads", threads]
        train(program, *flags, "--checkpoint-dir", tmp_path / str(threads))
    assert all(same_bits(tmp_path / "1" / (LAST % 4), tmp_path / str(n) / (LAST % 4)) for n in (2, 3))


def test_keeps_the_last_two_checkpoints(program, folder, tmp_path):
    flags = ["--data", folder / "data.npz", "--batch-size=8", "--checkpoint-every=2", "--checkpoint-dir", tmp_path]
    train(program, *flags, "--epochs=2")
    assert sorted(os.listdir(tmp_path)) == [LAST % 12, LAST % 14]


def kill_when(program: str, flags: list, folder, number: int, delay: float) -> None:
    """Ends the program the hard way, some time after it has printed that many lines."""
    with subprocess.Popen([program, *map(str, flags)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for _ in range(number):
            if not process.stdout.readline():
                break
        time.sleep(delay)
        process.kill()
        process.stdout.read()


def test_kill_corrupts_nothing(program, folder, tmp_path):
    """Killed at many moments, the run comes to the same end, and what is there is whole at each of them."""
    flags = ["--data", folder / "data.npz", "--epochs=16", "--batch-size=4", "--checkpoint-every=1"]
    train(program, *flags, "--checkpoint-dir", tmp_path / "whole")
    parts = tmp_path / "parts"
    rng = np.random.default_rng(5)
    reached = 0
    for _ in range(20):
        resume = ["--resume", parts] if reached else []
        more = [*flags, "--checkpoint-dir", parts, *resume]
        kill_when(program, more, parts, int(rng.integers(0, 9)), float(rng.random()) * 0.004)
        steps = []
        for name in os.listdir(parts) if parts.exists() else []:
            if name.endswith(".safetensors"):
                _, metadata = read_checkpoint(parts / name)
                assert name == LAST % int(metadata["step"])
                steps.append(int(metadata["step"]))
        assert len(steps) <= 3 and max(steps, default=0) >= reached
        reached = max(steps, default=0)
    assert reached > 20
    train(program, *flags, "--checkpoint-dir", parts, "--resume", parts)
    assert same_bits(tmp_path / "whole" / (LAST % 208), parts / (LAST % 208))
    assert sorted(os.listdir(parts)) == [LAST % 207, LAST % 208]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_with_a_checkpoint(program, folder, tmp_path, number):
    flags = ["--data", folder / "data.npz", "--batch-size=8", "--checkpoint-dir", tmp_path / "parts"]
    command = [program, *map(str, flags), "--epochs=1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = [process.stdout.readline() for _ in range(10)]
        process.send_signal(number)
        rest, errors = process.stdout.read(), process.stderr.read()
    step = json.loads([*first, *rest.splitlines()][-1])["step"]  # the last of all
    assert process.returncode == 128 + number
    assert re.fullmatch(rf"stopped by {number.name} after step {step}; the checkpoint is .*{LAST % step}\n", errors)
    # What the checkpoint holds is what a run of so many steps has.
    train(
        program,
        "--data",
        folder / "data.npz",
        "--batch-size=8",
        f"--steps={step}",
        "--checkpoint-dir",
        tmp_path / "whole",
    )
    assert same_bits(tmp_path / "whole" / (LAST % step), tmp_path / "parts" / (LAST % step))


def test_a_reader_that_ends_is_an_error_with_a_checkpoint(program, folder, tmp_path):
    command = [program, "--data", str(folder / "data.npz"), "--epochs=1000000", "--checkpoint-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1 and "cannot write to standard output" in errors
    assert os.listdir(tmp_path)


def test_one_run_writes_to_a_folder(program, folder, tmp_path):
    command = [program, "--data", str(folder / "data.npz"), "--epochs=1000000", "--checkpoint-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        refuse(program, "--data", folder / "data.npz", "--checkpoint-dir", tmp_path, says="another run writes")
        process.kill()
        process.stdout.read()


def test_an_earlier_run_is_not_overwritten(program, folder, tmp_path):
    flags = ["--data", folder / "data.npz", "--checkpoint-dir", tmp_path, "--checkpoint-every=1"]
    train(program, *flags, "--steps=4")
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    refuse(program, *flags, "--steps=2", says="checkpoints of a run already, up to step 4; continue it with --resume")
    earlier = ["--resume", tmp_path / (LAST % 3)]
    refuse(
        program,
        *flags,
        *earlier,
        "--steps=9",
        says="a checkpoint of step 4, later than the one to resume from, of step 3",
    )
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_a_damaged_checkpoint_is_passed_over(program, folder, tmp_path):
    flags = ["--data", folder / "data.npz", "--checkpoint-dir", tmp_path, "--checkpoint-every=1"]
    train(program, *flags, "--steps=4")
    newest = tmp_path / (LAST % 4)
    good = newest.read_bytes()
    for bad in (good[:-1], good[:100], b"", good[:-5] + bytes([good[-5] ^ 1]) + good[-4:], good + b"\0"):
        newest.write_bytes(bad)
        result = tools.run([program, *map(str, flags), "--resume", str(tmp_path), "--steps=4"], timeout=200)
        assert result.code == 0 and result.stderr.startswith("warning: ") and str(newest) in result.stderr, (
            result.stderr
        )
        assert [json.loads(line)["step"] for line in result.stdout.splitlines()] == [4]
        assert newest.read_bytes() == good
        newest.write_bytes(bad)
        refuse(program, *flags, "--resume", newest, says=re.escape(str(newest)))
    newest.unlink()
    (tmp_path / (LAST % 3)).write_bytes(good[:50])
    result = tools.run([program, *map(str, flags), "--resume", str(tmp_path)], timeout=200)
    assert result.code == 1 and "none of the checkpoints" in result.stderr


def test_a_checkpoint_of_another_model(program, folder, tmp_path):
    other = build(folder, Step(classes=5, prefix="head", properties={"ds.train.optimizer": "adam"}), "other")
    train(other, "--data", folder / "data.npz", "--steps=1", "--checkpoint-dir", tmp_path)
    line = refuse(program, "--data", folder / "data.npz", "--resume", tmp_path, says="is of another model")
    assert "'running' is float64 [5] there and float64 [3] here" in line
    assert "it lacks 'fc.weight' (float64 [4, 3]), and so for 3 more" in line
    assert "the model lacks 'head.weight', and so for 3 more" in line
    assert "its optimizer is 'adam', here it is 'sgd:momentum=0.9'" in line
    refuse(program, "--data", folder / "data.npz", "--resume", tmp_path / "none", says="--resume: cannot open")
    (tmp_path / "empty").mkdir()
    refuse(
        program,
        "--data",
        folder / "data.npz",
        "--resume",
        tmp_path / "empty",
        says="has no checkpoint; leave --resume out",
    )


def test_a_seed_belongs_to_its_run(program, folder, tmp_path):
    train(program, "--data", folder / "data.npz", "--steps=1", "--seed=5", "--checkpoint-dir", tmp_path)
    flags = ["--data", folder / "data.npz", "--resume", tmp_path, "--steps=2"]
    refuse(program, *flags, "--seed=6", says="of a run with seed 5; leave --seed out")
    first, second = (train(program, *flags, *more) for more in ([], ["--seed=5"]))
    assert first[0]["loss"] == second[0]["loss"]


# Losses that are no numbers.


def test_nan_ends_the_run_and_keeps_the_checkpoint(program, folder, tmp_path):
    x, target = arrays()
    x[30, 2] = np.nan
    np.savez(tmp_path / "nan.npz", x=x, target=target)
    checkpoints = tmp_path / "checkpoints"
    flags = ["--data", tmp_path / "nan.npz", "--batch-size=8", "--no-shuffle"]
    result = tools.run(
        [program, *map(str, flags), "--checkpoint-every=1", "--checkpoint-dir", str(checkpoints)], timeout=60
    )
    assert result.code == 1 and len(result.stdout.splitlines()) == 3
    assert re.search(
        r"the loss of step 4 is NaN, at learning rate 0.1; the last checkpoint before is '.*003.safetensors'; try",
        result.stderr,
    )
    assert sorted(os.listdir(checkpoints)) == [LAST % 2, LAST % 3]
    assert all(np.isfinite(value).all() for value in read_checkpoint(checkpoints / (LAST % 3))[0].values())


def test_parameters_that_overflow_are_not_saved(program, folder, tmp_path):
    """The loss of the step is finite, what it makes of the parameters is not."""
    x, target = arrays()
    np.savez(tmp_path / "large.npz", x=x * 100, target=target)
    for flags in (["--checkpoint-dir", str(tmp_path / "checkpoints"), "--checkpoint-every=1"], ["--check-nan"]):
        result = tools.run([program, "--data", str(tmp_path / "large.npz"), "--lr=1e308", *flags], timeout=200)
        assert result.code == 1
        assert re.search(r"step 1 left the parameter 'fc.weight' with a value that is no finite number", result.stderr)
    assert os.listdir(tmp_path / "checkpoints") == []


def test_check_nan_names_where_it_begins(program, folder, tmp_path):
    """The input that holds it, or the node that makes it of numbers; without NaN nothing changes."""
    flags = ["--data", folder / "data.npz", "--batch-size=8", "--no-shuffle", "--eval-data", folder / "test.npz"]
    losses = [line.get("loss") for line in train(program, *flags)]
    assert [line.get("loss") for line in train(program, *flags, "--check-nan")] == losses
    x, target = arrays()
    bad = x.copy()
    bad[17, 3] = np.nan
    np.savez(tmp_path / "nan.npz", x=bad, target=target)
    result = tools.run(
        [program, "--data", str(tmp_path / "nan.npz"), *map(str, flags[2:4]), "--check-nan"], timeout=200
    )
    assert result.code == 1 and len(result.stdout.splitlines()) == 2
    assert "step 3: input 'x' holds NaN, in its element number 7" in result.stderr
    # The logits are infinite, and their differences no numbers.
    bad = x.copy()
    bad[9, 0] = np.inf
    np.savez(tmp_path / "large.npz", x=bad, target=target)
    result = tools.run(
        [program, "--data", str(tmp_path / "large.npz"), *map(str, flags[2:4]), "--check-nan"], timeout=60
    )
    assert result.code == 1 and len(result.stdout.splitlines()) == 1
    assert re.search(r"step 2: .*NaN begins here: element number \d+ of", result.stderr), result.stderr


def test_the_page_of_a_run(program, folder, tmp_path):
    """One file without references, which is proper XML but for its first line."""
    path = tmp_path / "r.html"
    flags = ["--data", folder / "data.npz", "--epochs=3", "--batch-size=8", "--eval-data", folder / "test.npz"]
    lines = train(program, *flags, "--report", path)
    text = path.read_text()
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script", text)
    root = ElementTree.fromstring(text.split("\n", 1)[1].replace('<meta charset="utf-8">', ""))
    points = [len(line.get("points").split()) for line in root.iter("polyline")]
    assert points == [21, 3, 21]  # losses, evaluations, rates
    assert len(list(root.iter("circle"))) == 4  # evaluations, and the peak of memory
    assert len(list(root.iter("polygon"))) == 2
    peak = re.search(r"Their peak is (\S+) at launch (\d+) of (\d+)", text)
    assert peak and int(peak[2]) < int(peak[3]), text
    table = next(table for table in root.iter("table") if "made by" in "".join(table.itertext()))
    sizes = [float(row[0].text) for row in table if row[0].tag == "td"]
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True) and abs(sum(sizes[:-1]) - sizes[-1]) < 0.001 * len(sizes)
    last = [line for line in lines if "loss" in line][-1]["loss"]
    assert f"{last:.6g} at last" in text and "Time by kernel" in text


# Data.


def test_types_that_hold_the_same_values(program, folder, tmp_path):
    x, target = arrays()
    x = x.astype(np.float32)
    np.savez(tmp_path / "wide.npz", x=x.astype(np.float64), target=target)
    losses = [line["loss"] for line in train(program, "--data", tmp_path / "wide.npz", "--epochs=2")]
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.uint64):
        np.savez(tmp_path / "narrow.npz", x=x, target=target.astype(kind))
        assert [line["loss"] for line in train(program, "--data", tmp_path / "narrow.npz", "--epochs=2")] == losses


def test_bad_data(program, folder, tmp_path):
    x, target = arrays()
    path = tmp_path / "bad.npz"

    def bad(says: str, **arrays) -> None:
        np.savez(path, **arrays)
        refuse(program, "--data", path, "--no-shuffle", says=says)

    bad(r"lacks 'target' \(int64 \[N\]\); its arrays: 'x', 'labels'", x=x, labels=target)
    bad(
        r"array 'target' of .* is float64 \[50\], the model takes int64 \[N\]: convert it with .astype\('int64'\)",
        x=x,
        target=target * 1.0,
    )
    bad(
        r"array 'x' of .* is float64 \[50, 4, 1\], the model takes float64 \[N, 4\]: it should have 2 dimensions, the samples first",
        x=x[:, :, None],
        target=target,
    )
    bad(r"is float64 \[50, 3\], .*: dimension 1 should be 4", x=x[:, :3], target=target)
    bad(r"'target' of .* has 49 samples, but 'x' has 50", x=x, target=target[1:])
    bad("has no samples", x=x[:0], target=target[:0])
    wide = target.astype(np.uint64)
    wide[7] = 2**64 - 1
    bad(
        "array 'target' of .*: sample 7 has the value 18446744073709551615, which int64, the model's type, lacks",
        x=x,
        target=wide,
    )
    far = target.copy()
    far[20] = 3
    bad("the target 'target' of .*: sample 20 has the class 3, expected 0 to 2; compile with", x=x, target=far)
    far[20] = -1
    bad("sample 20 has the class -1, expected 0 to 2; .*ignore_index=-1 if it shall not count", x=x, target=far)
    refuse(program, "--data", tmp_path / "none.npz", says="cannot open .*none.npz")
    (tmp_path / "empty").mkdir()
    refuse(program, "--data", tmp_path / "empty", says="lacks 'x' .* 'target' .*it has: nothing")
    path.write_bytes(path.read_bytes()[:-30])
    refuse(program, "--data", path, says="bad.npz' is not a proper .npz file")
    path.write_bytes(b"")
    refuse(program, "--data", path, says="is empty")


def test_bad_places(program, folder, tmp_path):
    """Told before the first step."""
    data = ["--data", folder / "data.npz"]
    refuse(program, *data, "--export", tmp_path / "none" / "m.onnx", says="--export: cannot write to the folder")
    refuse(program, *data, "--export", tmp_path, says="--export: .* is a folder")
    os.mkfifo(tmp_path / "pipe")
    for flag in ("--export", "--report", "--dump-gradients"):
        refuse(program, *data, flag, tmp_path / "pipe", says=f"{flag}: .*pipe' is not a regular file")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    refuse(program, *data, "--report", tmp_path / "none" / "r.html", says="--report: cannot write")
    (tmp_path / "file").write_bytes(b"")
    refuse(program, *data, "--checkpoint-dir", tmp_path / "file", says="cannot make the folder")
    refuse(program, *data, "--checkpoint-dir", tmp_path / "file" / "in", says="cannot make the folder")


def test_bad_usage(program, folder):
    data = ["--data", folder / "data.npz"]
    for flags, says in (
        ([], "no data given: --data FILE.npz"),
        (["--dat", "x"], "unknown flag '--dat'; did you mean '--data'"),
        ([*data, "--epochs=0"], "--epochs needs a number from 1"),
        ([*data, "--steps"], "--steps needs a number"),
        ([*data, "--lr=fast"], "--lr needs a learning rate, like 0.001, not 'fast'"),
        ([*data, "--seed=1", "--seed=1"], "--seed is given twice"),
        ([*data, *data], "--data is given twice"),
        ([*data, "--tokens=x"], "--data or --tokens, not both"),
        (["--tokens=x"], "--tokens needs --sequence-length"),
        ([*data, "--checkpoint-every=3"], "goes with --checkpoint-dir"),
        (["--resume=x"], "--resume alone does nothing"),
        (["--resume=x", "--export=y", "--epochs=2"], "--epochs goes with --data"),
        ([*data, "more"], "unexpected argument 'more'"),
        ([*data, "--accumulate=2", "--dump-gradients=g"], "leave --accumulate out"),
        ([*data, "--accumulate=0"], "--accumulate needs a number from 1"),
        ([*data, "--initialize=1", "--resume=x"], "--resume goes on with those of a checkpoint"),
    ):
        assert refuse(program, *flags, says=re.escape(says), code=2).endswith("(see --help)")


def test_what_a_program_lacks_is_told(folder, tmp_path):
    program = build(folder, Step(has_modes=False, has_export=False), "plain")
    data = ["--data", folder / "data.npz"]
    assert len(train(program, *data)) == 2
    refuse(program, *data, "--eval-data", folder / "test.npz", says="can train but not evaluate")
    refuse(program, *data, "--dump-gradients", tmp_path / "g.npz", says="does not give its gradients")
    refuse(program, *data, "--accumulate=2", says="cannot accumulate gradients")
    refuse(program, *data, "--initialize=2", says="does not say how 'fc.weight' is drawn")
    refuse(program, *data, "--export", tmp_path / "m.onnx", says="compiled without a model to export")


@pytest.mark.parametrize(
    "properties, says",
    [
        ({"ds.train": "2"}, "a training step of version '2', this runtime knows version 1"),
        ({"ds.train.inputs": "dtpp"}, "has not one letter for each input"),
        ({"ds.train.inputs": "dtppboolkx"}, "do not fit the input 'seed'"),
        ({"ds.train.inputs": "dtpppoolks"}, "do not say what becomes of the input 'running'"),
        ({"ds.train.outputs": "nncppboogg"}, "do not fit the output 'n'"),
        ({"ds.train.lr": "fast"}, "ds.train.lr is not a number: 'fast'"),
        ({"ds.train.schedule": "cosine:warm=3"}, "its schedule 'cosine:warm=3': it has a part of an unknown name"),
    ],
)
def test_properties_that_do_not_fit(folder, properties, says):
    program = build(folder, Step(properties=properties), "bad")
    refuse(program, "--data", folder / "data.npz", says=re.escape(says))


@pytest.mark.parametrize(
    "attributes, says",
    [
        ("ds.properties = {a = 1 : i64}", "expected 'ds.properties' to be a dictionary of strings"),
        ('ds.properties = "a"', "expected 'ds.properties' to be a dictionary of strings"),
        ('ds.export = ["a"]', "expected 'ds.export' to be two strings"),
    ],
)
def test_texts_whose_properties_are_none(tmp_path, attributes, says):
    source = tmp_path / "bad.mlir"
    source.write_text(
        f"module attributes {{{attributes}}} {{ func.func @main(%x: tensor<f32>) -> tensor<f32> {{ return %x : tensor<f32> }} }}"
    )
    result = tools.compile_model(str(source), str(tmp_path / "bad"), timeout=200)
    assert result.code == 1 and says in result.stderr, result.stderr


# Tokens.


@pytest.mark.parametrize("kind, model", [("uint8", "i64"), ("uint16", "i64"), ("int32", "i32"), ("uint16", "i32")])
def test_trains_on_tokens(folder, tmp_path, kind, model):
    """Sequences one after another, and the same one later; the last token is target alone."""
    vocabulary, length = 6, 7
    tokens = np.random.default_rng(2).integers(0, vocabulary, 5 * length + 4)
    tokens.astype(kind).tofile(tmp_path / "tokens.bin")
    program = build(tmp_path, bigrams(vocabulary, model), "bigrams")
    flags = ["--tokens", tmp_path / "tokens.bin", f"--sequence-length={length}", f"--token-type={kind}"]
    table, losses = np.zeros((vocabulary, vocabulary)), []
    for batch in in_batches(2, *(order_of_epoch(3, epoch, 5) for epoch in range(4))):
        at = (batch[:, None] * length + np.arange(length)).ravel()
        ids, target = tokens[at], tokens[at + 1]
        logs = table[ids] - np.log(np.exp(table[ids]).sum(axis=1, keepdims=True))
        losses.append(-logs[np.arange(len(at)), target].mean())
        gradient = np.zeros_like(table)
        np.add.at(gradient, ids, (np.exp(logs) - np.eye(vocabulary)[target]) / len(at))
        table = table - 2 * gradient
    lines = train(program, *flags, "--epochs=4", "--batch-size=2", "--seed=3", "--checkpoint-dir", tmp_path / "c")
    np.testing.assert_allclose([line["loss"] for line in lines], losses, rtol=1e-12)
    assert losses[-1] < losses[0]
    tensors, _ = read_checkpoint(tmp_path / "c" / (LAST % 12))
    np.testing.assert_allclose(tensors["table"], table, rtol=1e-11, atol=1e-15)


def test_bad_tokens(program, tmp_path):
    bigram = build(tmp_path, bigrams(6), "bigrams")
    path = tmp_path / "tokens.bin"
    flags = ["--tokens", path, "--sequence-length=8"]
    path.write_bytes(bytes(17))
    refuse(bigram, *flags, says="has 17 bytes, which are not whole tokens of type uint16")
    path.write_bytes(bytes(16))
    refuse(bigram, *flags, says="has 8 tokens of type uint16, fewer than the 9 of one sequence and its target")
    path.write_bytes(b"")
    refuse(bigram, *flags, says="is empty, not a file of tokens")
    refuse(
        program,
        *flags,
        says="models that take a batch of sequences of integers and a target like it; this one takes: 'x' float64",
    )
    refuse(bigram, *flags, "--token-type=int8", says="--token-type needs uint8, uint16 or int32, not 'int8'", code=2)


def test_help(program):
    result = tools.run([program, "--help"], timeout=200)
    assert result.code == 0
    for pattern in (
        r"\bx\b.*float64.*N.*4",
        r"\btarget\b.*int64 \[N\]",
        "15 parameters",
        "sgd:momentum=0.9",
        "cross_entropy",
        "--resume",
    ):
        assert re.search(pattern, result.stdout), f"no '{pattern}' in:\n{result.stdout}"
    assert "ds runtime" in tools.run([program, "--version"], timeout=200).stdout


def test_a_terminal_gets_progress(program, folder, tmp_path):
    """One line that is drawn over, no JSON, and a whole line for each evaluation."""
    own, other = pty.openpty()
    flags = ["--data", folder / "data.npz", "--eval-data", folder / "test.npz", "--epochs=2", "--batch-size=8"]
    process = subprocess.Popen([program, *map(str, flags)], stdout=other, stderr=subprocess.PIPE)
    os.close(other)
    shown = b""
    while True:
        try:
            piece = os.read(own, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(own)
    assert process.wait(60) == 0 and process.stderr.read() == b""
    process.stderr.close()
    text = shown.decode()
    assert "{" not in text
    assert re.search(r"epoch 2/2  step 14/14  loss \S+  lr 0.1  \S+ samples/s  0:00 left", text), text
    assert len(re.findall(r"step \d+  evaluation: loss \S+, accuracy \S+ %", text)) == 2, text
