"""The package as a user meets it: compile, load, run, carry state, and what errors say."""

from __future__ import annotations

import ast
import copy
import inspect
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time

import deepseek as ds
import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(5)
WEIGHTS = RNG.standard_normal((4, 3)).astype(np.float32)


def model(signature: str, body: str, **weights: np.ndarray) -> onnx.ModelProto:
    inputs, outputs = signature.split("=>")
    text = f'<ir_version: 9, opset_import: ["": 17]> g ({inputs}) => ({outputs}) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return proto


LINEAR = model("float[N,4] x => float[N,3] y", "y = MatMul(x, w)", w=WEIGHTS)


@pytest.fixture(scope="module")
def linear() -> ds.Model:
    return ds.compile_onnx(LINEAR)


@pytest.mark.parametrize(("name", "reason"), (("a\0b.so", "has a NUL"), ("\udcff.so", "is no UTF-8")))
def test_paths_that_no_file_can_have(name, reason, tmp_path):
    path = str(tmp_path / "model.onnx")
    for arguments in ((path, str(tmp_path / name)), (str(tmp_path / name),)):
        with pytest.raises(ds.CompileError, match=reason):
            ds.compile_onnx(*arguments)
    assert not os.listdir(tmp_path)


def test_compiles_to_a_file_that_loads(tmp_path):
    onnx.save(LINEAR, tmp_path / "linear.onnx")
    path = ds.compile_onnx(tmp_path / "linear.onnx", tmp_path / "linear.so")
    assert path == str(tmp_path / "linear.so")
    x = RNG.standard_normal((5, 4)).astype(np.float32)
    for source in (path, tmp_path / "linear.so", open(path, "rb").read()):
        np.testing.assert_allclose(ds.load(source)(x), x @ WEIGHTS, atol=1e-5)


def test_compiles_protos_and_bytes_and_leaves_no_file(linear):
    x = np.eye(4, dtype=np.float32)
    np.testing.assert_allclose(linear(x), WEIGHTS, atol=1e-6)
    np.testing.assert_allclose(ds.compile_onnx(LINEAR.SerializeToString())(x), WEIGHTS, atol=1e-6)


def test_compiles_programs_and_objects(tmp_path):
    program = ds.compile_onnx(LINEAR, tmp_path / "linear", emit="executable")
    assert "x" in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    ds.compile_onnx(LINEAR, tmp_path / "linear.o", emit="object")
    assert (tmp_path / "linear.o").read_bytes()[:4] == b"\x7fELF"


def test_weights_may_lie_beside(tmp_path):
    x = RNG.standard_normal((2, 4)).astype(np.float32)
    path = ds.compile_onnx(LINEAR, tmp_path / "m.so", weights="beside")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.so", "m.so.safetensors"]
    np.testing.assert_allclose(ds.load(path)(x), x @ WEIGHTS, atol=1e-5)
    np.testing.assert_allclose(ds.compile_onnx(LINEAR, weights="beside")(x), x @ WEIGHTS, atol=1e-5)
    with pytest.raises(ds.Error, match="load it by its path"):
        ds.load((tmp_path / "m.so").read_bytes())


def test_shapes_can_be_fixed():
    assert ds.compile_onnx(LINEAR, shapes={"N": 7}).inputs[0].shape == (7, 4)


def test_tells_of_itself(linear):
    assert repr(linear) == "<deepseek.Model (x: float32[N, 4]) -> (y: float32[N, 3])>"
    assert [(i.name, i.dtype, i.shape) for i in linear.inputs] == [("x", "float32", ("N", 4))]
    assert linear.weight_bytes >= WEIGHTS.nbytes
    assert linear.properties == {}
    assert linear.target
    linear.verify()


def test_arguments_by_order_and_name():
    sub = ds.compile_onnx(model("float[2] a, float[2] b => float[2] c, float[2] d", "c = Sub(a, b) d = Add(a, b)"))
    for result in (sub([5, 4], [1, 2]), sub(b=[1, 2], a=[5, 4]), sub([5, 4], b=np.float32([1, 2]))):
        assert isinstance(result, tuple)
        np.testing.assert_array_equal(result, [[4, 2], [6, 6]])


def test_layouts_other_than_c_order_are_copied(linear):
    x = RNG.standard_normal((6, 8)).astype(np.float32)
    for array in (x[:, ::2], x[::-1, :4], np.asfortranarray(x[:, :4]), x.T[:4].T):
        np.testing.assert_allclose(linear(array), array @ WEIGHTS, atol=1e-5)


def test_read_only_and_swapped_arrays(linear):
    x = np.ones((1, 4), np.float32)
    x.flags.writeable = False
    np.testing.assert_allclose(linear(x), x @ WEIGHTS, atol=1e-5)
    np.testing.assert_allclose(linear(x.astype(">f4")), x @ WEIGHTS, atol=1e-5)


class OnlyDlpack:
    """What any other framework's tensor looks like."""

    def __init__(self, array: np.ndarray):
        self.array, self.asked = array, 0

    def __dlpack__(self, **kwargs):
        self.asked += 1
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_takes_and_gives_dlpack(linear):
    x = OnlyDlpack(RNG.standard_normal((2, 4)).astype(np.float32))
    y = linear(x)
    assert x.asked == 1
    np.testing.assert_allclose(np.from_dlpack(y), x.array @ WEIGHTS, atol=1e-5)


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_large_tensors_are_not_copied_and_not_leaked():
    """An input of 64 MB is read where it is, and an output of 64 MB is the memory that the kernel wrote."""
    double = ds.compile_onnx(model("float[N] x => float[N] y", "y = Add(x, x)"), threads=1)
    x = np.ones(16 << 20, np.float32)
    y = double(x)
    before = resident()
    for _ in range(20):
        y = double(x)
        assert y[-1] == 2
    assert resident() - before < 96 << 20, "one output more at most, while the last one still lives"
    kept = [double(x[:100_000]) for _ in range(50)]
    assert all((array == 2).all() for array in kept), "each run's output is its own"


def test_outputs_outlive_the_model():
    y = ds.compile_onnx(model("float[N] x => float[N] y", "y = Neg(x)"))(np.ones(1 << 20, np.float32))
    assert (y == -1).all()


@pytest.mark.parametrize("name", ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_element_types(name):
    dtype = np.dtype(name)
    elem = helper.np_dtype_to_tensor_dtype(dtype)
    info = [helper.make_tensor_value_info(n, elem, ["N"]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", info[:1], info[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    x = np.array([0, 1, 1, 0]).astype(dtype)
    y = ds.compile_onnx(proto)(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(x, y)


def test_bfloat16_is_that_of_ml_dtypes():
    info = [helper.make_tensor_value_info(n, TensorProto.BFLOAT16, ["N"]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", info[:1], info[1:])
    double = ds.compile_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    for x in (np.array([1.5, -2], ml_dtypes.bfloat16), [1.5, -2]):
        y = double(x)
        assert y.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(y.astype(np.float32), [3, -4])


def test_scalars_and_empty_arrays():
    double = ds.compile_onnx(model("float x => float y", "y = Add(x, x)"))
    assert double(4.5) == 9 and double(4.5).shape == ()
    assert ds.compile_onnx(LINEAR)(np.empty((0, 4), np.float32)).shape == (0, 3)


def test_sizes_that_depend_on_data():
    """Their memory is taken as the run finds out how much it is: small ones are copied, large ones handed over."""
    top = ds.compile_onnx(
        model("float[N] x, int64[1] k => float[K] v, int64[K] i", "v, i = TopK <axis = 0> (x, k)"), threads=1
    )
    x = RNG.standard_normal(200_000).astype(np.float32)
    order = np.argsort(-x, kind="stable")
    for k in (1, 0, 150_000, 7, 150_000):
        values, indices = top(x, [k])
        np.testing.assert_array_equal(indices, order[:k])
        np.testing.assert_array_equal(values, x[order[:k]])
    with pytest.raises(ds.Error, match="k to be at most"):
        top(x, [300_000])
    assert top(x, [2])[1].tolist() == order[:2].tolist()


def test_state_of_a_size_that_depends_on_data_is_carried():
    """Each run keeps the k largest of what the last one kept and one more."""
    keep = ds.compile_onnx(
        model(
            "float[S] s, float[1] x, int64[1] k => float[K] t, float[M] all",
            "all = Concat <axis = 0> (s, x) t, i = TopK <axis = 0> (all, k)",
        )
    )
    session = keep.session(threads=1)
    session.feed("t", "s")
    values, kept = [3.0, 9.0, 1.0, 7.0, 8.0], []
    for step, value in enumerate(values):
        k = min(3, step + 1)
        t, _ = session(np.empty(0, np.float32), [value], [k]) if step == 0 else session(x=[value], k=[k])
        kept = sorted([*kept, value], reverse=True)[:k]
        assert t.tolist() == kept


def test_state_is_carried():
    total = ds.compile_onnx(model("float[1] x, float[1] s => float[1] y, float[1] t", "t = Add(x, s) y = Mul(t, t)"))
    session = total.session(threads=1)
    session.feed("t", "s")
    assert session.threads == 1
    outputs = [session([v], [0]) if v == 1 else session([v]) for v in (1, 2, 3)]
    assert [float(y[0]) for y, _ in outputs] == [1, 9, 36]
    with pytest.raises(ds.Error, match="no output 'nothing'"):
        session.feed("nothing", "s")


# ===-- errors ---------------------------------------------------------------=== #


@pytest.mark.parametrize(
    "arguments, named, message",
    [
        ((np.ones((1, 4)),), {}, "input 'x' should be float32, given float64"),
        ((np.ones((1, 5), np.float32),), {}, "input 'x' should have 4 in dimension 1"),
        ((np.ones(4, np.float32),), {}, "input 'x' should have 2 dimensions"),
        ((), {}, "no value for input 'x'"),
        ((1, 2), {}, "the model has 1 inputs, 2 given"),
        ((), {"z": 1}, "no input 'z'; its inputs are x"),
        ((1,), {"x": 1}, "input 'x' is given twice"),
    ],
)
def test_bad_inputs(linear, arguments, named, message):
    with pytest.raises(ds.Error, match=message.replace("(", r"\(")) as caught:
        linear(*arguments, **named)
    assert caught.value.status == 4
    np.testing.assert_allclose(linear(np.eye(4, dtype=np.float32)), WEIGHTS, atol=1e-6)


def test_bad_artifacts(tmp_path):
    with pytest.raises(ds.Error, match="cannot open"):
        ds.load(tmp_path / "none.so")
    (tmp_path / "text.so").write_text("no model")
    with pytest.raises(ds.Error, match="is not a compiled model") as caught:
        ds.load(tmp_path / "text.so")
    assert caught.value.status == 2
    with pytest.raises(ds.Error, match="is not a compiled model"):
        ds.load(b"no model")


def test_compile_errors_are_the_compilers_message(tmp_path):
    bad = model("float[2] x => float[3] y", "y = Frob <k = 1> (x)")
    with pytest.raises(ds.CompileError, match=r"not supported.*Frob") as caught:
        ds.compile_onnx(bad, tmp_path / "bad.so")
    assert caught.value.status == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ds.CompileError, match="unknown target CPU 'z80'"):
        ds.compile_onnx(LINEAR, target_cpu="z80")
    with pytest.raises(ds.CompileError, match="emit='cake' is unknown"):
        ds.compile_onnx(LINEAR, tmp_path / "a", emit="cake")
    with pytest.raises(ds.CompileError, match="opt_level=9"):
        ds.compile_onnx(LINEAR, opt_level=9)


def test_compile_errors_speak_python():
    """Neither flags of the command line nor files that the user never saw."""
    broken = LINEAR.SerializeToString()[:-20]
    cases = [
        (lambda: ds.compile_onnx(LINEAR, shapes={"Q": 1}), r"shapes names 'Q'"),
        (lambda: ds.compile_onnx(LINEAR, specialize=[{"Q": 1}]), r"specialize: .*Q"),
        (lambda: ds.compile_onnx(LINEAR, force_static={"absent": 1}), r"force_static: .*'absent'"),
        (lambda: ds.compile_onnx(broken), r"^the model: "),
        (lambda: ds.compile_onnx(3), r"^3 is no model; expected a path, an onnx.ModelProto or its bytes"),
        (lambda: ds.compile_onnx(None), r"^None is no model"),
        (lambda: ds.compile_onnx(onnx.parser.parse_model(CUSTOM)), r"custom_ops.*com\.example"),
    ]
    for work, pattern in cases:
        with pytest.raises(ds.CompileError, match=pattern) as caught:
            work()
        message = str(caught.value)
        assert "--" not in message.replace("ds-compile --explain-regions", "") and "/deepseek-" not in message, message


CUSTOM = (
    '<ir_version: 9, opset_import: ["": 17, "com.example": 1]> g (float[2] x) => (float[2] y) { y = com.example.F(x) }'
)


def test_versions_and_forced_sizes():
    """As --specialize and --force-static: the general version stays; what a run computes otherwise is an error."""
    x = RNG.standard_normal((5, 4)).astype(np.float32)
    special = ds.compile_onnx(LINEAR, specialize=[{"N": 1}, {"x:0": 3}])
    for count in (1, 3, 5):
        np.testing.assert_allclose(special(x[:count]), x[:count] @ WEIGHTS, atol=1e-5)
    fold = model("float[N] x, int64[2] s => float[A,B] y", "h = Mul(x, x) r = Reshape(h, s) y = Neg(r)")
    fold.graph.node[1].name = "fold"
    forced = ds.compile_onnx(fold, force_static={"fold": [3, 4]})
    twelve = np.arange(12, dtype=np.float32)
    np.testing.assert_array_equal(forced(twelve, np.array([3, 4])), -(twelve * twelve).reshape(3, 4))
    with pytest.raises(ds.Error, match="fold"):
        forced(twelve, np.array([4, 3]))
    branch = "y = If(c) <then_branch = g () => (float[M] t) {t = Add(x, x)}, else_branch = h () => (float[M] e) {e = Neg(x)}>"
    taken = ds.compile_onnx(model("float[N] x, bool c => float[M] y", branch), force_static={"If:y": True})
    np.testing.assert_array_equal(taken([1, 2], True), [2, 4])


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"specialize": {"N": 1}}, "specialize=.* is no list"),
        ({"specialize": [1]}, "specialize=1 has no sizes by name"),
        ({"specialize": [{"N": -1}]}, "not negative"),
        ({"shapes": {"N": 1.5}}, "not negative"),
        ({"shapes": [("N", 1)]}, "no sizes by name"),
        ({"force_static": ["grow"]}, "no numbers by node"),
        ({"force_static": {"grow": "4"}}, "not negative"),
        ({"force_static": {"grow": []}}, "not negative"),
    ],
)
def test_bad_arguments_are_errors_of_usage(arguments, pattern):
    with pytest.raises(ds.CompileError, match=pattern) as caught:
        ds.compile_onnx(LINEAR, **arguments)
    assert caught.value.status == 2


def test_a_cache_changes_time_alone(tmp_path):
    outputs = []
    for number, cache in enumerate((False, tmp_path / "cache", tmp_path / "cache", True, True)):
        outputs.append(open(ds.compile_onnx(LINEAR, tmp_path / f"{number}.so", cache=cache), "rb").read())
    assert len(set(outputs)) == 1
    assert list((tmp_path / "cache").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="the cache folder '.*file' is not used"):
        ds.compile_onnx(LINEAR, cache=tmp_path / "file")


@pytest.mark.parametrize("dtype", ["O", "M8[s]", "m8[s]", "S4", [("a", "f4")], np.longdouble], ids=str)
def test_arrays_that_are_no_tensors(linear, dtype):
    with pytest.raises(ds.Error, match="input 'x' ") as caught:
        linear(np.zeros((3, 4), dtype))
    assert caught.value.status == 4


@pytest.mark.parametrize("threads", [-1, 1 << 40, "2", 1.5, None, True])
def test_numbers_of_threads_that_are_none(tmp_path, threads):
    path = ds.compile_onnx(LINEAR, tmp_path / "linear.so")
    for work in (lambda: ds.load(path, threads=threads), lambda: ds.compile_onnx(LINEAR, threads=threads)):
        with pytest.raises(ds.Error, match=r"threads=.* is no number of threads; expected 0"):
            work()
    if threads is not None:  # there the model's own
        with pytest.raises(ds.Error, match=r"threads=.* is no number of threads"):
            ds.load(path).session(threads)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_operators_may_end_the_program(ending):
    """What is no error of an operator goes through to who called the model."""
    stops = True

    def stop(x, **_):
        if stops:
            raise ending(3)
        return x

    custom = ds.compile_onnx(onnx.parser.parse_model(CUSTOM), custom_ops={"com.example.F": stop})
    with pytest.raises(ending):
        custom(np.ones(2, np.float32))
    stops = False
    np.testing.assert_array_equal(custom(np.ones(2, np.float32)), [1, 1])


# ===-- copies -----------------------------------------------------------------=== #


def double(x, **_):
    return 2 * x


def test_models_pickle_with_their_operators(linear, tmp_path):
    x = RNG.standard_normal((5, 4)).astype(np.float32)
    path = ds.compile_onnx(LINEAR, tmp_path / "linear.so")
    for model_ in (linear, ds.load(path), ds.load(open(path, "rb").read())):
        again = pickle.loads(pickle.dumps(model_))
        np.testing.assert_array_equal(again(x), model_(x))
        assert pickle.loads(pickle.dumps(again)).inputs[0].name == "x"
        assert copy.copy(model_) is model_ and copy.deepcopy([model_])[0] is model_
    custom = ds.compile_onnx(onnx.parser.parse_model(CUSTOM), custom_ops={"com.example.F": double})
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(custom))(np.ones(2, np.float32)), [2, 2])
    with pytest.raises(TypeError, match="pickle the Model"):
        pickle.dumps(linear.session())


def test_models_that_cannot_be_pickled_say_why(tmp_path):
    path = ds.compile_onnx(LINEAR, tmp_path / "linear.so")
    loaded = ds.load(path)
    ds.compile_onnx(model("float[2] x => float[2] y", "y = Neg(x)"), path)
    with pytest.raises(ds.Error, match="not the file any more that was loaded"):
        pickle.dumps(loaded)
    beside = ds.load(ds.compile_onnx(LINEAR, tmp_path / "beside.so", weights="beside"))
    with pytest.raises(ds.Error, match=r"cannot be pickled: .*load it by its path"):
        pickle.dumps(beside)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_models_go_to_other_processes(linear, method):
    x = RNG.standard_normal((5, 4)).astype(np.float32)
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(_call, [(linear, x), (linear, 2 * x)]).get(timeout=100)
    np.testing.assert_array_equal(results, [linear(x), linear(2 * x)])


def _call(arguments):
    return arguments[0](arguments[1])


def test_a_forked_process_compiles(linear):
    """The compiler's session of this process is no less usable in a child."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map_async(_compile, [0]).get(timeout=100) == ["y"]


def _compile(_):
    return ds.compile_onnx(LINEAR).outputs[0].name


# ===-- threads --------------------------------------------------------------=== #


def in_threads(work) -> None:
    """`work(0)` to `work(7)`, at once."""
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_share_a_model(linear):
    failures = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for n in range(100):
            x = rng.standard_normal((1 + n % 5, 4)).astype(np.float32)
            if not np.allclose(linear(x), x @ WEIGHTS, atol=1e-5):
                failures.append(seed)

    in_threads(work)
    assert failures == []


def test_threads_share_bodies():
    program = ds.compile_onnx(
        model(
            "float[N] x, int64 n, bool c => float[M] y",
            """s = Loop(n, c, x) <body = b (int64 i, bool d, float[N] s) => (bool e, float[N] t) {
                 e = Identity(d)
                 h = Sin(s)
                 t = Add(h, x)
               }>
               y = If(c) <then_branch = t () => (float[M] o) { o = Concat<axis=0>(s, x) },
                          else_branch = e () => (float[M] p) { p = Neg(s) }>""",
        )
    )
    inputs = [
        (RNG.standard_normal(seed + 1).astype(np.float32), np.array(seed % 5), np.array(seed % 3 != 0))
        for seed in range(8)
    ]
    expected = [program.session(threads=1)(*arrays).copy() for arrays in inputs]
    failures = []

    def work(seed: int) -> None:
        session = program.session(threads=1 + seed % 2)
        for _ in range(125):
            if not np.array_equal(session(*inputs[seed]), expected[seed]):
                failures.append(seed)
                return

    in_threads(work)
    assert failures == []


def counts_while(work) -> int:
    """How often another thread got to run while `work` did."""
    count, done = 0, threading.Event()

    def tick() -> None:
        nonlocal count
        while not done.is_set():
            count += 1
            time.sleep(0.002)

    ticker = threading.Thread(target=tick)
    ticker.start()
    time.sleep(0.01)
    before = count
    work()
    after = count
    done.set()
    ticker.join()
    return after - before


def test_lock_is_released_while_compiling_and_running():
    assert counts_while(lambda: ds.compile_onnx(LINEAR)) >= 3
    big = RNG.standard_normal((1024, 1024)).astype(np.float32)
    square = ds.compile_onnx(model("float[N,1024] x => float[N,1024] y", "y = MatMul(x, w)", w=big), threads=1)
    x = RNG.standard_normal((4096, 1024)).astype(np.float32)
    square(x)
    assert counts_while(lambda: square(x)) >= 3


def test_keyboard_interrupt_still_works_after_a_compilation():
    program = "import deepseek as ds, sys, time; ds.compile_onnx(sys.stdin.buffer.read()); print(1, flush=True); time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(ds.__file__))}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-1, env=environment, preexec_fn=_default_interrupt
    ) as process:
        process.stdin.write(LINEAR.SerializeToString())
        process.stdin.close()
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.stderr.read()


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# ===-- the package ----------------------------------------------------------=== #


def test_loading_needs_no_compiler():
    program = "import deepseek, sys; sys.exit('LLVM' in open('/proc/self/maps').read())"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(ds.__file__))}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.mark.parametrize("name", ["_runtime", "_compiler"])
def test_what_was_not_built_is_named(tmp_path, name):
    folder = os.path.dirname(ds.__file__)
    shutil.copytree(folder, tmp_path / "deepseek", ignore=shutil.ignore_patterns(name + ".*so", "__pycache__"))
    program = "import deepseek; deepseek.compile_onnx(b'')"
    result = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"ImportError: the package deepseek lacks its native module {name} for this Python"), line
    assert "cmake --build build --target _runtime _compiler" in line


@pytest.mark.parametrize("name", ["_runtime", "_compiler"])
def test_stubs_name_what_the_modules_have(name):
    module = __import__(f"deepseek.{name}", fromlist=["x"])
    stub = ast.parse(open(os.path.join(os.path.dirname(ds.__file__), name + ".pyi")).read())

    def public(names) -> set[str]:
        return {n for n in names if not n.startswith("_")}

    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
    functions = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    constants = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert public(vars(module)) == set(classes) | functions | public(constants)
    for class_name, node in classes.items():
        members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        assert public(vars(getattr(module, class_name))) == public(members)
    for function in functions:
        arguments = [a.arg for n in stub.body if getattr(n, "name", "") == function for a in n.args.args]
        assert all(f"{argument}:" in getattr(module, function).__doc__ for argument in arguments)


def test_everything_public_is_documented():
    for name in ds.__all__:
        thing = getattr(ds, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__


def test_a_session_keeps_the_state_of_donated_inputs():
    counter = model("float[N] s, float[N] x => float[N] t, float[N] y", "t = Add(s, x)  y = Mul(s, x)")
    compiled = ds.compile_onnx(counter, donate={"s": "t"})
    assert compiled.donations == {"s": "t"} and compiled.inputs[0].device == (1, 0)
    session, x = compiled.session(), np.full(3, 2, np.float32)
    with pytest.raises(ds.Error, match="input 's' has neither a tensor nor a state"):
        session(x=x)
    session.create_state("s", (3,))
    for step in range(3):
        assert session(x=x).tolist() == [4 * step] * 3  # y alone: t is the state
    assert session.state("s").tolist() == [6] * 3
    start = np.ones(3, np.float32)
    assert session(start, x).tolist() == [2] * 3 and session.state("s").tolist() == [3] * 3
    assert start.tolist() == [1] * 3  # a copy became the state
    session.set_state("s", [0, 1, 2])
    session(None, x)
    assert session.state("s").tolist() == [2, 3, 4]
    session.reset_state("s")
    with pytest.raises(ds.Error, match="no state for input 's'"):
        session.state("s")
    with pytest.raises(ds.Error, match="the model has no input 'z'"):
        session.set_state("z", start)
    with pytest.raises(ds.Error, match="input 'x' is not donated"):
        session.set_state("x", start)
    t, y = compiled(start, x)  # a call by itself returns all
    assert t.tolist() == [3] * 3 and y.tolist() == [2] * 3 and start.tolist() == [1] * 3


def test_donations_are_checked():
    grows = model("float[N] s, float[1] x => float[M] t", "t = Concat<axis = 0>(s, x)")
    with pytest.raises(ds.CompileError, match=r"cannot be donated to output 't'"):
        ds.compile_onnx(grows, donate={"s": "t"})
    with pytest.raises(ds.CompileError, match="'s:u' names no output"):
        ds.compile_onnx(grows, donate={"s": "u"})
    with pytest.raises(ds.CompileError, match="donate='s:t' is no outputs by input"):
        ds.compile_onnx(grows, donate="s:t")


def test_random_numbers():
    """Each run draws others; the generator is among the inputs and outputs, but not among the results."""
    compiled = ds.compile_onnx(model("float[N] x => float[N] y", "y = RandomUniformLike(x)"))
    assert [info.name for info in compiled.inputs] == ["x", "generator"] and compiled.donations == {
        "generator": "generator"
    }
    x = np.zeros(50, np.float32)
    first, second = compiled(x), compiled(x)
    assert first.shape == second.shape == (50,) and not np.array_equal(first, second)
    session = compiled.session()
    assert np.array_equal(session(x), first) and np.array_equal(session(x), second)
    assert session.state("generator").tolist() == [0, 2]
    session.seed(7)
    other = session(x)
    assert not np.array_equal(other, first) and session.state("generator").tolist() == [7, 1]
    session.set_state("generator", [0, 1])
    assert np.array_equal(session(x), second)
    assert np.array_equal(compiled(x, generator=[7, 0]), other)
    plain = ds.compile_onnx(model("float[N] x => float[N] y", "y = Neg(x)"))
    with pytest.raises(ds.Error, match="draws no random numbers"):
        plain.session().seed(1)
