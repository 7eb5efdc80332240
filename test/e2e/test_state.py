"""--donate: state that runs update in place equals, bit for bit, what runs without donation compute."""

import os
import subprocess
import sys
import textwrap

import deepseek as ds
import numpy as np
import onnx
import pytest
from harness import run_program, text_model

from dsutil import tools

RNG = np.random.default_rng(11)

# name: signature, body, donations, sizes
CASES = {
    "own_position": ("float[N,4] s, float[N,4] x => float[N,4] t", "t = Add(s, x)", {"s": "t"}),
    "read_afterwards": (
        "float[N,4] s, float[N,4] x => float[N,4] t, float[N,4] y, float[N] r",
        "t = Add(s, x); y = Mul(s, s); a = Constant<value = int64[1] {1}>(); r = ReduceSum<keepdims = 0>(s, a)",
        {"s": "t"},
    ),
    "read_elsewhere": ("float[4,4] s, float[4,4] x => float[4,4] t", "u = Transpose(s); v = Add(s, u); t = Add(v, x)", {"s": "t"}),
    "product": ("float[4,4] s, float[4,4] x => float[4,4] t", "t = MatMul(s, x)", {"s": "t"}),
    "softmax": ("float[N,9] s, float[N,9] x => float[N,9] t", "u = Add(s, x); t = Softmax(u)", {"s": "t"}),
    "centred": ("float[N,9] s, float[N,9] x => float[N,9] t", "m = ReduceMean<axes = [1]>(s); u = Sub(s, m); t = Add(u, x)", {"s": "t"}),
    "ring": (
        "float[6,4] s, float[1,4] x => float[6,4] t",
        "b = Constant<value = int64[1] {1}>(); e = Constant<value = int64[1] {6}>(); a = Constant<value = int64[1] {0}>();"
        "k = Slice(s, b, e, a); t = Concat<axis = 0>(k, x)",
        {"s": "t"},
    ),
    "needed_before": ("float[N,4] s, float[N,4] x => float[N,4] t, float[N,N] y", "t = Add(s, x); u = Transpose(s); y = MatMul(t, u)", {"s": "t"}),
    "returned_too": ("float[N,4] s, float[N,4] x => float[N,4] t, float[N,4] y", "t = Add(s, x); y = Identity(s)", {"s": "t"}),
    "unchanged": ("float[N,4] s, float[N,4] x => float[N,4] t, float[N,4] y", "t = Identity(s); y = Add(s, x)", {"s": "t"}),
    "unread": ("float[N,4] s, float[N,4] x => float[N,4] t", "t = Relu(x)", {"s": "t"}),
    "swapped": ("float[5] a, float[5] b, float[5] x => float[5] t, float[5] u", "u = Identity(a); t = Add(b, x)", {"a": "t", "b": "u"}),
    "both_ways": ("float[5] a, float[5] b => float[5] t, float[5] u", "t = Identity(b); u = Identity(a)", {"a": "t", "b": "u"}),
    "momentum": (
        "float[N,4] p, float[N,4] m, float[N,4] g => float[N,4] q, float[N,4] n",
        "c = Constant<value = float {0.9}>(); d = Mul(m, c); n = Add(d, g); q = Sub(p, n)",
        {"p": "q", "m": "n"},
    ),
    "adam": (
        "float[N,4] p, float[N,4] m, float[N,4] v, float[N,4] g => float[N,4] q, float[N,4] n, float[N,4] w",
        "b = Constant<value = float {0.9}>(); c = Constant<value = float {0.1}>(); h = Mul(g, c); i = Mul(m, b);"
        "n = Add(h, i); k = Mul(g, h); l = Mul(v, b); w0 = Add(k, l); w = Abs(w0); r = Sqrt(w); e = Add(r, c);"
        "d = Div(n, e); q = Sub(p, d)",
        {"p": "q", "m": "n", "v": "w"},
    ),
    "views": (
        "float[2,6] s, float[3,4] x => float[2,6] t, float[3,4] y",
        "a = Constant<value = int64[2] {3, 4}>(); b = Constant<value = int64[2] {2, 6}>();"
        "v = Reshape(s, a); y = Add(v, x); z = Mul(v, x); t = Reshape(z, b)",
        {"s": "t"},
    ),
    "captured_by_if": (
        "float[N,4] s, float[N,4] x, bool c => float[N,4] t, float[N,4] y",
        "t = Add(s, x); y = If(c) <then_branch = g1 () => (float[N,4] a) { a = Sub(s, x) },"
        " else_branch = g2 () => (float[N,4] b) { b = Identity(s) }>",
        {"s": "t"},
    ),
    "captured_by_loop": (
        "float[N,4] s, float[N,4] x, int64 k => float[N,4] t, float[N,4] y",
        "t = Add(s, x); y = Loop(k, , x) <body = g1 (int64 i, bool c, float[N,4] a) => (bool d, float[N,4] b)"
        " { d = Identity(c) b = Add(a, s) }>",
        {"s": "t"},
    ),
    "handed_on_by_loop": (
        "float[N,4] s, float[N,4] x, int64 k => float[N,4] t, float[N,4] y",
        "l = Loop(k, , s) <body = g1 (int64 i, bool c, float[N,4] a) => (bool d, float[N,4] b)"
        " { d = Identity(c) b = Add(a, x) }>; t = Add(s, x); y = Mul(l, l)",
        {"s": "t"},
    ),
    "made_by_loop": (
        "float[N,4] s, float[N,4] x, int64 k => float[N,4] t",
        "t = Loop(k, , s) <body = g1 (int64 i, bool c, float[N,4] a) => (bool d, float[N,4] b)"
        " { d = Identity(c) b = Add(a, x) }>",
        {"s": "t"},
    ),
    "later_stage": (
        "float[N,4] s, float[N,4] x, int64[2] k => float[N,4] t, float[A,B] y",
        "t = Add(s, x); y = Reshape(s, k)",
        {"s": "t"},
    ),
    "scalar": ("float s, float x => float t, float y", "t = Add(s, x); y = Neg(s)", {"s": "t"}),
    "half": ("float16[N] s, float16[N] x => float16[N] t", "t = Add(s, x)", {"s": "t"}),
    "integers": ("int64[N] s, int64[N] x => int64[N] t", "t = Add(s, x)", {"s": "t"}),
}  # fmt: skip


def draw(value, n, step):
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if value.name == "k" and len(tensor.shape.dim):
        return np.array([n, 4])
    if value.name == "k":
        return np.array(step % 3)  # the first run has no iterations
    if value.name == "c":
        return np.array(step % 2 == 0)
    shape = [d.dim_value if d.HasField("dim_value") else n for d in tensor.shape.dim]
    return np.asarray(RNG.standard_normal(shape) * 3).astype(dtype)


def check_case(name, folder):
    signature, body, donate = CASES[name]
    model = text_model(signature, body, 18 if "keepdims" in body else 17)
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    plain, donated = ds.compile_onnx(path), ds.compile_onnx(path, donate=donate)
    assert donated.donations == donate
    outputs = [value.name for value in model.graph.output]
    for n in (3, 0, 5):
        session = donated.session(threads=2)
        state = {value.name: draw(value, n, 0) for value in model.graph.input if value.name in donate}
        for value in state:
            session.set_state(value, state[value])
        for step in range(4):
            arrays = {value.name: draw(value, n, step) for value in model.graph.input if value.name not in donate}
            expected = dict(zip(outputs, [plain(**state, **arrays)] if len(outputs) == 1 else plain(**state, **arrays)))
            whole = donated(**state, **arrays)  # a call by itself takes the state and gives it back
            whole = dict(zip(outputs, [whole] if len(outputs) == 1 else whole))
            found = session(**arrays)
            found = found if isinstance(found, tuple) else (found,)
            rest = [output for output in outputs if output not in donate.values()]
            for output, array in zip(rest, found):
                assert array.tobytes() == expected[output].tobytes(), (n, step, output)
            for output in outputs:
                assert whole[output].tobytes() == expected[output].tobytes(), (n, step, output)
            state = {source: expected[target].copy() for source, target in donate.items()}
            for source in donate:
                assert session.state(source).tobytes() == state[source].tobytes(), (n, step, source)


@pytest.mark.parametrize("name", CASES)
def test_donated_runs_equal_others(name, tmp_path):
    check_case(name, tmp_path)


def test_a_thousand_states(tmp_path):
    """Every pair of them would be a million comparisons a run, and more in the compiler."""
    count = 1000
    inputs = ", ".join(f"float[2] s{i}" for i in range(count))
    outputs = ", ".join(f"float[2] t{i}" for i in range(count))
    body = "".join(f"t{i} = Add(s{i}, x);" for i in reversed(range(count)))
    path = str(tmp_path / "model.onnx")
    onnx.save(text_model(f"{inputs}, float[2] x => {outputs}", body), path)
    session = ds.compile_onnx(path, donate={f"s{i}": f"t{i}" for i in range(count)}).session(threads=1)
    for i in range(count):
        session.set_state(f"s{i}", np.full(2, i, np.float32))
    for _ in range(100):
        assert session(x=np.ones(2, np.float32)) == ()
    assert all(session.state(f"s{i}").tolist() == [i + 100] * 2 for i in range(count))


def test_versions_share_the_state(tmp_path):
    path = str(tmp_path / "model.onnx")
    onnx.save(
        text_model(
            "float[N,4] s, float[N,4] x => float[N,4] t, float[N] y",
            "t = Add(s, x); y = ReduceSum<axes=[1], keepdims=0>(s)",
            12,
        ),
        path,
    )
    library = str(tmp_path / "model.so")
    result = tools.compile_model(path, library, "--emit=library", "--donate=s:t", "--specialize=N=2")
    assert result.code == 0, result.stderr
    session = ds.load(library).session(threads=1)
    for n in (2, 3, 2):
        s, x = np.ones((n, 4), np.float32), np.full((n, 4), 2, np.float32)
        session.set_state("s", s)
        assert np.array_equal(session(x=x), s.sum(1))
        assert np.array_equal(session(x=x), (s + x).sum(1))
        assert np.array_equal(session.state("s"), s + 2 * x)


def test_a_program_takes_its_input_in_place(tmp_path):
    path, program = str(tmp_path / "model.onnx"), str(tmp_path / "model")
    onnx.save(text_model("float[N] s, float[N] x => float[N] t", "t = Add(s, x)"), path)
    assert tools.compile_model(path, program, "--donate", "s:t").code == 0
    arrays = {"s": np.arange(5, dtype=np.float32), "x": np.ones(5, np.float32)}
    result = run_program(program, arrays, str(tmp_path / "out"))
    assert result.code == 0, result.stderr
    assert np.array_equal(np.load(tmp_path / "out" / "t.npy"), arrays["s"] + 1)


STATE_BYTES = 256 << 20


def test_there_is_one_copy_of_a_state(tmp_path):
    """Of a state of 256 MB: as the session counts, and as the operating system does."""
    count = STATE_BYTES // 4
    path = str(tmp_path / "model.onnx")
    onnx.save(
        text_model(
            f"float[{count}] s, float[1] x => float[{count}] t, float[1] y",
            "t = Add(s, x); i = Constant<value = int64[1] {7}>(); y = Gather(s, i)",
        ),
        path,
    )
    plain, donated = str(tmp_path / "plain.so"), str(tmp_path / "donated.so")
    assert tools.compile_model(path, plain, "--emit=library").code == 0
    assert tools.compile_model(path, donated, "--emit=library", "--donate=s:t").code == 0
    script = tmp_path / "measure.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        import numpy as np
        import deepseek as ds

        def resident():
            with open("/proc/self/status") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) << 10

        session = ds.load(sys.argv[1]).session(threads=2)
        before, x = resident(), np.ones(1, np.float32)
        if sys.argv[2] == "donated":
            session.create_state("s")
            for step in range(5):
                assert session(x=x)[0] == step
        else:
            session.feed("t", "s")
            s = np.zeros(int(sys.argv[3]), np.float32)
            for step in range(5):
                assert session(x=x, **({"s": s} if step == 0 else {}))[1][0] == step
        print(session.memory, resident() - before)
        """)
    )

    def measure(library, kind):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        result = subprocess.run(
            [sys.executable, script, library, kind, str(count)],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
        )
        assert result.returncode == 0, result.stderr
        return [int(number) for number in result.stdout.split()]

    held, resident = measure(donated, "donated")
    slack = 32 << 20
    assert STATE_BYTES <= held <= STATE_BYTES + slack
    # Pages of the process that were there before may go meanwhile.
    assert STATE_BYTES - slack // 16 <= resident <= STATE_BYTES + slack
    assert min(measure(plain, "plain")) >= 2 * STATE_BYTES


def test_shapes_that_only_a_run_knows_are_compared(tmp_path):
    path = str(tmp_path / "model.onnx")
    onnx.save(text_model("float[N] s, float[M] x => float[M] t", "t = Relu(x)"), path)
    model = ds.compile_onnx(path, donate={"s": "t"})
    x = np.ones(3, np.float32)
    assert np.array_equal(model(s=np.zeros(3, np.float32), x=x), x)
    with pytest.raises(
        ds.Error, match=r"'s' is donated to output 't', but one has shape \[2\] here and the other \[3\]"
    ):
        model(s=np.zeros(2, np.float32), x=x)


def compile_error(tmp_path, signature, body, *donations):
    path = str(tmp_path / "model.onnx")
    onnx.save(text_model(signature, body), path)
    result = tools.compile_model(path, str(tmp_path / "out"), *(f"--donate={text}" for text in donations))
    assert result.code in (1, 2) and not os.path.exists(tmp_path / "out")
    return result.stderr


def test_donations_that_cannot_be_are_errors(tmp_path):
    grown = ("float[N,4] s, float[1,4] x => float[M,4] t", "t = Concat<axis = 0>(s, x)")
    assert "input 's' (f32 [N, 4]) cannot be donated to output 't' (f32 [N+1, 4])" in compile_error(
        tmp_path, *grown, "s:t"
    )
    other = (
        "float[4] s => int64[4] t, float[2] u",
        "t = Cast<to = 7>(s); a = Constant<value = int64[1] {0}>(); b = Constant<value = int64[1] {2}>(); u = Slice(s, a, b)",
    )
    assert "same type and dims" in compile_error(tmp_path, *other, "s:t")
    assert "same type and dims" in compile_error(tmp_path, *other, "s:u")
    plain = ("float[4] s, float[4] x => float[4] t", "t = Add(s, x)")
    assert "'y:t' names no input; expected INPUT:OUTPUT, with an input of s, x" in compile_error(
        tmp_path, *plain, "y:t"
    )
    assert "'s:z' names no output" in compile_error(tmp_path, *plain, "s:z")
    assert "inputs 's' and 'x' are both donated to output 't'" in compile_error(tmp_path, *plain, "s:t", "x:t")
    strings = ("string[N] s => string[N] t", "t = Identity(s)")
    assert "must be tensors of numbers" in compile_error(tmp_path, *strings, "s:t")


GIVEN = """
func.func @main(%x: tensor<?x4xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "4"]>})
    -> (tensor<?x4xf32> {ds.name = "y"}, tensor<i64> {ds.name = "r"}) attributes {ds.given = ["r", "P"]} {
  %0 = ds.slice %x {start = #ds.shape<["min(N, r * ceildiv(N, P))", "0"]>,
                    size = #ds.shape<["min(ceildiv(N, P), max(N - r * ceildiv(N, P), 0))", "4"]>,
                    step = array<i64: 1, 1>} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = ds.shape_value {scalar, shape = #ds.shape<["r"]>} : () -> tensor<i64>
  return %0, %1 : tensor<?x4xf32>, tensor<i64>
}
"""


def test_one_program_for_all_ranks(tmp_path):
    """A rank's coordinate is given; uneven shares are exact."""
    source, library, program = (str(tmp_path / name) for name in ("model.mlir", "model.so", "model"))
    with open(source, "w") as file:
        file.write(GIVEN)
    for output, *flags in ((library, "--emit=library"), (program, "--specialize=N=8")):
        result = tools.compile_model(source, output, *flags)
        assert result.code == 0, result.stderr
    session = ds.load(library).session(threads=1)
    x = np.arange(28, dtype=np.float32).reshape(7, 4)
    with pytest.raises(ds.Error, match="needs a value for 'r', 'P', which no input says"):
        session(x=x)
    for ranks in (1, 2, 3, 5, 8):
        session.set_symbol("P", ranks)
        shares = []
        for rank in range(ranks):
            session.set_symbol("r", rank)
            share, told = session(x=x)
            shares.append(share)
            assert told == rank
        assert np.array_equal(np.concatenate(shares), x)
    with pytest.raises(ds.Error, match="no symbol 'q' to be given; it has: r, P"):
        session.set_symbol("q", 1)
    for rows in (7, 8):  # the second one is a version of its own
        x = np.arange(4 * rows, dtype=np.float32).reshape(rows, 4)
        np.save(tmp_path / "x.npy", x)
        command = [program, "--input", f"x={tmp_path / 'x.npy'}", "--output-dir", str(tmp_path / "out")]
        result = tools.run([*command, "--symbol", "r=1", "--symbol=P=3"], timeout=60)
        assert result.code == 0, result.stderr
        assert np.array_equal(np.load(tmp_path / "out" / "y.npy"), x[3:6])
    result = tools.run([*command, "--symbol", "r=1"], timeout=60)
    assert result.code == 1 and "needs a value for 'P'" in result.stderr
    for wrong in ("r", "r=x", "=1"):
        assert tools.run([*command, "--symbol", wrong], timeout=60).code == 2
    assert "given by --symbol" in tools.run([program, "--help"], timeout=60).stdout


def test_symbols_that_nobody_says_are_named(tmp_path):
    source = str(tmp_path / "model.mlir")
    with open(source, "w") as file:
        file.write(GIVEN.replace('["r", "P"]', '["P"]'))
    result = tools.compile_model(source, str(tmp_path / "out"))
    assert result.code == 1 and "the symbol 'r' is no argument's dim and bound by nothing" in result.stderr
