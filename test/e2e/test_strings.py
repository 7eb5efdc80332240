"""Tensors of strings: operators against ONNX Runtime, and the ways in and out of a program."""

import os
import random
import re

import deepseek as ds
import numpy as np
import onnx
import pytest
from deepseek import onnx_backend
from harness import compile_program, reference_outputs, run_program
from onnx import parser

from dsutil import tools


def texts(*values, shape=None):
    array = np.empty(len(values), object)
    array[:] = values
    return array if shape is None else array.reshape(shape)


WORDS = texts("yes", "no", "", "Yes", "ünïcode", "no", "x y  z ", "\u4f60\u597d", shape=(2, 4))
LIST = WORDS.reshape(-1)

# name: graph, inputs of several runs, and where ONNX Runtime is not the reference (it gathers the first string of each row
# alone), that
MODELS = {
    "moved": (
        """g (string[A,B] x, int64[K] k) => (string[B,A] t, string[K,B] g, string[M] r, string[C,B] c, string[P,Q] e, int64[2] s) {
          m = Constant<value = int64[1] {-1}>()
          t = Transpose(x)
          g = Gather(x, k)
          r = Reshape(x, m)
          c = Concat<axis=0>(x, g, x)
          n = Constant<value = int64[2] {2, 1}>()
          e = Tile(x, n)
          s = Shape(x)
        }""",
        [{"x": WORDS, "k": np.array([1, 0, 1])}, {"x": WORDS[:1], "k": np.array([0])}],
        "onnx",
    ),
    "compared": (
        """g (string[A,B] x, string[B] y) => (bool[A,B] e, string[A,B] w, string[2] f) {
          e = Equal(x, y)
          n = Constant<value_string = "none">()
          w = Where(e, x, n)
          f = Constant<value_strings = ["no", "yes"]>()
        }""",
        [{"x": WORDS, "y": texts("yes", "no", "no", "Yes")}],
    ),
    "concatenated": (
        "g (string[A,1] x, string[B] y) => (string[A,B] z) { z = StringConcat(x, y) }",
        [{"x": LIST.reshape(-1, 1), "y": texts("", "-", "é")}, {"x": texts("a", shape=(1, 1)), "y": texts("b")}],
    ),
    "split_at_spaces": (
        "g (string[A] x) => (string[A,M] y, int64[A] n) { y, n = StringSplit(x) }",
        [{"x": texts("a b  c", " lead", "", "one")}, {"x": texts("x")}],
    ),
    "split_at_a_delimiter": (
        """g (string[A] x) => (string[A,M] y, int64[A] n, string[A,P] z, int64[A] m) {
          y, n = StringSplit<delimiter = ", ">(x)
          z, m = StringSplit<delimiter = ",", maxsplit = 1>(x)
        }""",
        [{"x": texts("a, b,c", ",", "none", ", , ")}],
    ),
    "numbers_written": (
        """g (float[N] x, double[N] d, int64[N] i, uint8[N] u) => (string[N] a, string[N] b, string[N] c, string[N] e) {
          a = Cast<to=8>(x)  b = Cast<to=8>(d)  c = Cast<to=8>(i)  e = Cast<to=8>(u)
        }""",
        [
            {
                "x": np.array([0.1, -2.5e-20, 3.4e38, np.nan, np.inf, -np.inf, 1e10], np.float32),
                "d": np.array([0.1, -2.5e-20, 1e300, np.nan, np.inf, -np.inf, 123456789.125]),
                "i": np.array([0, -1, 2**62, 5, 7, 8, -(2**63)]),
                "u": np.arange(249, 256).astype(np.uint8),
            }
        ],
    ),
    "numbers_read": (
        """g (string[N] x, string[M] y) => (float[N] a, double[N] b, int64[M] c, int32[M] d, bool[M] e) {
          a = Cast<to=1>(x)  b = Cast<to=11>(x)  c = Cast<to=7>(y)  d = Cast<to=6>(y)  e = Cast<to=9>(y)
        }""",
        [{"x": texts("0.1", "-2.5e-20", "nan", "inf", "-inf", "7"), "y": texts("0", "-12", "2147483647")}],
    ),
    "unique": (
        """g (string[N] x) => (string[U] y, int64[U] i, int64[N] v, int64[U] c, string[U] z) {
          y, i, v, c = Unique(x)
          z = Unique<sorted=0>(x)
        }""",
        [{"x": LIST}, {"x": texts("b", "a", "b")}],
    ),
    "tfidf": (
        """g (string[N] x) => (float[M] y) {
          y = TfIdfVectorizer<mode = "TF", min_gram_length = 1, max_gram_length = 2, max_skip_count = 1,
            ngram_counts = [0, 3], ngram_indexes = [0, 1, 2, 3, 4],
            pool_strings = ["no", "yes", "x", "yes", "no", "no", "yes"]>(x)
        }""",
        [{"x": texts("yes", "no", "yes", "z", "no")}, {"x": texts("x")}],
    ),
    "in_branches_and_loops": (
        """g (string[N] x, bool c, int64 n) => (string[M] y, string[K,N] z) {
          y = If (c) < then_branch = t () => (string[P] o) { o = Concat<axis=0>(x, x) },
                       else_branch = e () => (string[Q] p) { p = Identity(x) } >
          d = Constant<value_string = "!">()
          s, z = Loop(n, , x) < body = b (int64 i, bool k, string[N] v) => (bool l, string[N] w, string[N] u) {
            l = Identity(k)  w = StringConcat(v, d)  u = Identity(w) } >
        }""",
        [{"x": texts("a", "b"), "c": np.array(c), "n": np.array(n)} for c, n in ((True, 2), (False, 3))],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_agrees(name, tmp_path):
    graph, runs, *reference = MODELS[name]
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}')
    compiled = onnx_backend.prepare(model)
    for arrays in runs:
        expected = reference_outputs(*(reference or ["onnxruntime"]), model, arrays)
        for found, wanted, output in zip(compiled.run(arrays), expected, model.graph.output, strict=True):
            assert found.shape == wanted.shape, output.name
            if found.dtype == object:
                assert found.tolist() == wanted.tolist(), output.name
            else:
                np.testing.assert_array_equal(found, wanted, err_msg=output.name)


def test_normalizer(tmp_path):
    """Against Python: ONNX Runtime wants a locale that a machine may lack, and ONNX's reference takes off accents."""
    graph = """g (string[N] x) => (string[A] a, string[B] b, string[C] c) {
      a = StringNormalizer<case_change_action = "UPPER", stopwords = ["no"], is_case_sensitive = 1>(x)
      b = StringNormalizer<case_change_action = "LOWER", stopwords = ["YES", ""]>(x)
      c = StringNormalizer<stopwords = ["yes", "No"]>(x)
    }"""
    compiled = onnx_backend.prepare(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}'))
    alphabets = "AZaz ÀÖØÞàöøþÿŸ ĀāĶķĹĺŇňŊŋŶŷŹźŽž ΆάΈέΊίΌόΎύΏώΑΡαρΣΫσϋ ЀЏѐџАЯая ѠѡҀҁҊҋҾҿӁӂӍӎӐӑԮԯ ԱՖաֆ ḀḁẔẕẠạỾỿ ×÷ß"  # noqa: RUF001
    for words in (LIST, texts("no", "YES", "yes"), texts("no"), texts(*alphabets.split())):
        a, b, c = compiled.run([words])
        upper = [w.upper().replace("SS", "ß") for w in words if w != "no"]
        assert a.tolist() == (upper or [""])
        assert b.tolist() == ([w.lower() for w in words if w.lower() not in ("yes", "")] or [""])
        assert c.tolist() == ([w for w in words if w.lower() not in ("yes", "no")] or [""])


def test_label_encoders(tmp_path):
    header = '<ir_version: 9, opset_import: ["": 18, "ai.onnx.ml": 3]>\n'
    graph = """g (string[N] x, int64[N] i, float[N] f) => (int64[N] a, string[N] b, float[N] c, string[N] d, int64[N] e) {
      a = ai.onnx.ml.LabelEncoder<keys_strings = ["yes", "no", ""], values_int64s = [7, 8, 9], default_int64 = -5>(x)
      b = ai.onnx.ml.LabelEncoder<keys_int64s = [3, 1], values_strings = ["three", "one"]>(i)
      c = ai.onnx.ml.LabelEncoder<keys_strings = ["no"], values_floats = [0.5]>(x)
      d = ai.onnx.ml.LabelEncoder<keys_floats = [0.0, 1.5], values_strings = ["zero", "more"], default_string = "other">(f)
      e = ai.onnx.ml.CategoryMapper<cats_strings = ["yes", "ünïcode"], cats_int64s = [5, 6]>(x)
    }"""
    model = parser.parse_model(header + graph)
    arrays = {
        "x": LIST,
        "i": np.array([3, 1, 2, 0, 3, -1, 1, 2**40]),
        "f": np.array([0, -0.0, 1.5, 2, np.inf, 1.5, 0, 1], np.float32),
    }
    found = onnx_backend.prepare(model).run(arrays)
    for one, reference in zip(found, reference_outputs("onnxruntime", model, arrays), strict=True):
        assert one.tolist() == reference.tolist()


PATTERNS = [
    r"a*b+c?",
    r"(ab|cd)*e",
    r"[a-c]{2,3}x",
    r"[^a-c\d]+",
    r"\w+@\w+\.(com|org)",
    r"(?i)hello|world",
    r"a.c",
    r"(?s)a.c",
    r"^ab$",
    r"(a|b|)*c",
    r"x{3}",
    r"x{2,}",
    r"\bfoo\b.*",
    r".*\Boo",
    r"(?:a(?:b(?:c)?)?)?",
    r"[\w.\-]{0,5}",
    r"\x41\x{1F600}?",
    r"[]a]+",
    r"a{,2}b",
    r"(a*)*",
    r"(a|aa)+",
    r"é+[à-ü]",
    r"",
]


def match_model(pattern):
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("RegexFullMatch", ["x"], ["y"], pattern=pattern)],
            "g",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.STRING, ["N"])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.BOOL, ["N"])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 20)],
        ir_version=9,
    )


def test_patterns_against_python():
    """Texts of the letters that occur in each pattern, against Python's re, which agrees with RE2 on these."""
    rng = random.Random(3)
    fixed = [
        "",
        "abc",
        "aab",
        "cde",
        "abcde",
        "HELLO",
        "foo bar",
        "foo",
        "oo",
        "a\nc",
        "A\U0001f600",
        "x{3}",
        "xxx",
        "a{,2}b",
    ]
    for pattern in PATTERNS:
        letters = sorted({c for c in pattern if c.isalnum()} | set(" .@-_éüA]\n"))
        given = fixed + ["".join(rng.choice(letters) for _ in range(rng.randrange(7))) for _ in range(200)]
        spelled = pattern.replace(r"\x{1F600}", "\U0001f600").replace("a{,2}b", r"a\{,2\}b").replace("(a*)*", "a*")
        wanted = [re.fullmatch(spelled, text, re.ASCII) is not None for text in given]
        model = match_model(pattern)
        (found,) = onnx_backend.prepare(model).run([texts(*given)])
        wrong = [(t, w) for t, w, f in zip(given, wanted, found, strict=True) if w != f]
        assert not wrong, f"{pattern}: {wrong[:5]}"


def test_patterns_against_re2():
    """What Python's re has otherwise: characters that are alike but for their case, quoted text, escapes."""
    given = texts(
        *"sS\u017fkK\u212a\u03c3\u03c2ΣéÉßẞi\u0131İ_-ѣѢ1 ", "", "a.b", "a.bb", "abb", "Ɓɓ", "ơƠ", "ss", "\n", "AcAs"
    )
    patterns = [
        r"(?i)s", r"(?i)k+", "(?i)\u212a", "(?i)\u03c3", "(?i)\u03c2", "(?i)[^k]", r"(?i)\W", r"(?i)[^\W]+", r"(?i)[[:alpha:]]*",
        "(?i)[^[:^alpha:]]*", "(?i)ѣ", "(?i)ß", "(?i)i", "(?i)\u0131", "(?i)Ơ|ɓ", r"\Qa.b\E*", r"\Qa.b\E{2}", r"\Qa.\Eb+", r"\_",
        r"\-", r"[\_]",
    ]  # fmt: skip
    for pattern in patterns:
        model = match_model(pattern)
        (found,) = onnx_backend.prepare(model).run([given])
        (wanted,) = reference_outputs("onnxruntime", model, {"x": given})
        wrong = [(t, w) for t, w, f in zip(given, wanted, found, strict=True) if w != f]
        assert not wrong, f"{pattern}: {wrong}"


@pytest.mark.parametrize("action", ["LOWER", "UPPER"])
def test_case_of_letters_of_all_scripts(action):
    """One character becomes one: those that Python makes several stay."""
    words = texts(
        "Größe ÀÉ",
        "ΑΒΓ \u03c2",
        "Жук ёж",
        "\u0131\u0130x",
        "ﬀ ǅ",
        "ơƯ Ấ",
        "Șț",
        "µ",
        "ἀᾼ",
        "\uff46\uff26",
        "ӀӏѢѣ",
        "Աա",
        "ⰀⰰႠⴀ",
    )
    graph = f'g (string[N] x) => (string[N] y) {{ y = StringNormalizer<case_change_action = "{action}">(x) }}'
    compiled = ds.compile_onnx(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}'))
    change = str.lower if action == "LOWER" else str.upper
    assert compiled(words).tolist() == ["".join(change(c) if len(change(c)) == 1 else c for c in w) for w in words]


def refuse(tmp_path, graph, *words, opset=20):
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}]>\n{graph}'), path)
    result = tools.compile_model(path, os.path.join(tmp_path, "model"), timeout=60)
    assert result.code == 1 and len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    "pattern, words",
    [
        (r"a(b", ["a ( without )", "byte 1"]),
        (r"a)b", ["an unmatched )", "byte 1"]),
        (r"[a", ["a [ without ]"]),
        (r"a**", ["a repetition of a repetition", "byte 2"]),
        (r"*a", ["a repetition of nothing", "byte 0"]),
        (r"a{2000}", ["a bad number of repetitions"]),
        (r"\q", ["an unknown escape"]),
        (r"(" * 300 + ")" * 300, ["too deep a pattern"]),
        (r"((((a{100}){100}){100}){100})", ["too large a pattern"]),
        (r"\p{Greek}", ["an unknown escape"]),
        (r"\é", ["an unknown escape"]),
        (r"(?:{2}a)", ["a repetition of nothing", "byte 3"]),
        (r"a(?i){2}", ["a repetition of nothing", "byte 5"]),
    ],
)
def test_bad_patterns_are_refused(pattern, words, tmp_path):
    escaped = pattern.replace("\\", "\\\\")
    refuse(tmp_path, f'g (string[N] x) => (bool[N] y) {{ y = RegexFullMatch<pattern = "{escaped}">(x) }}', *words)


def test_empty_strings_are_what_zeros_are_of_numbers():
    graph = "g (string[M, N] x) => (int64[2, K] i, string[M, N] t) { i = NonZero(x) t = Trilu(x) }"
    model = ds.compile_onnx(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}'))
    i, t = model(texts("a", "", "b", "c").reshape(2, 2))
    assert i.tolist() == [[0, 1, 1], [0, 0, 1]] and t.tolist() == [["a", ""], ["", "c"]]


@pytest.mark.parametrize(
    "inputs, node, words",
    [
        ("string[4] x, int64[4] i", 'ScatterElements<reduction = "add">(x, i, x)', "reduction 'add' is not defined"),
        ("string[4] x, int64[4, 1] i", 'ScatterND<reduction = "max">(x, i, x)', "reduction 'max' is not defined"),
        ("string[1, 4, 2] x, int64[2] i", "Col2Im(x, i, i)", "not defined for strings"),
        ("string[1, 1, 2, 2] x, float[1, 2, 2, 2] g", "GridSample(x, g)", "not defined for strings"),
    ],
)
def test_what_would_calculate_is_refused(inputs, node, words, tmp_path):
    refuse(tmp_path, f"g ({inputs}) => (string[N] y) {{ y = {node} }}", words)


def test_arithmetic_is_refused(tmp_path):
    refuse(tmp_path, "g (string[N] x) => (string[N] y) { y = Add(x, x) }", "Add", "tensor(string)")


def compile_text(graph, tmp_path, *flags):
    path = os.path.join(tmp_path, "model.onnx")
    onnx.save(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20, "com.example": 1]>\n{graph}'), path)
    compiled = compile_program(path, os.path.join(tmp_path, "model"), *flags)
    assert compiled.code == 0, compiled.stderr
    return os.path.join(tmp_path, "model")


def test_command_line(tmp_path):
    program = compile_text(
        "g (string[N] x, float[N] f) => (string[N] y, bool[N] e) { y = StringConcat(x, x) e = Equal(x, y) }", tmp_path
    )
    f = np.zeros(3, np.float32)
    for x in (np.array(["a", "é\U0001f600", ""]), np.array([b"ab", b"", b"c"])):
        result = run_program(program, {"x": x, "f": f}, str(tmp_path))
        assert result.code == 0, result.stderr
        written = np.load(os.path.join(tmp_path, "y.npy"))
        given = [t.decode() if isinstance(t, bytes) else t for t in x.tolist()]
        assert written.dtype.kind == "U" and written.tolist() == [2 * t for t in given]
    result = run_program(program, {"x": f, "f": f}, str(tmp_path))
    assert result.code == 1 and "string" in result.stderr and "float32" in result.stderr
    result = tools.run([program, "--random", "N=4"])
    assert result.code == 0 and "y: string [4]" in result.stdout


def test_a_string_that_is_no_number(tmp_path):
    program = compile_text("g (string[N] x) => (int64[N] y) { y = Cast<to=7>(x) }", tmp_path)
    result = run_program(program, {"x": np.array(["12", "twelve"])}, str(tmp_path))
    assert result.code == 1 and "expected an integer, got the string 'twelve'" in result.stderr


def test_python(tmp_path):
    graph = "g (string[N] x, string[N] s) => (string[N] y, string[N] t) { y = StringConcat(x, s) t = Identity(y) }"
    model = ds.compile_onnx(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}'))
    assert [i.dtype for i in model.inputs] == ["string", "string"]
    y, _ = model(np.array(["a", "b"]), ["1", "2"])
    assert y.dtype == object and y.tolist() == ["a1", "b2"]
    y, _ = model(texts(b"\xff", "b"), np.array([b"1", b"2"]))  # bytes that are no UTF-8 stay bytes
    assert y.tolist() == [b"\xff1", "b2"]
    with pytest.raises(ds.Error, match="expected an array of str"):
        model(np.zeros(2), ["1", "2"])
    if hasattr(np.dtypes, "StringDType"):
        y, _ = model(np.array(["a", "é"], np.dtypes.StringDType()), ["1", "2"])
        assert y.tolist() == ["a1", "é2"]
    with pytest.raises(ds.Error, match="a str that is no text"):
        model(texts("a", "\ud800"), ["1", "2"])
    with pytest.raises(ds.Error, match="given int"):
        model(texts("a", 3), ["1", "2"])


def test_state_is_handed_on_and_memory_does_not_grow(tmp_path):
    graph = "g (string[N] x, string[N] s) => (string[N] y, string[N] t) { t = StringConcat(s, x) y = Identity(t) }"
    session = ds.compile_onnx(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}')).session()
    session.feed("t", "s")
    session(["a", "b"], ["", ""])
    for _ in range(20):
        y, _ = session(["c", "d"], None)
    assert y.tolist() == ["a" + "c" * 20, "b" + "d" * 20]
    for number in range(50):
        session([f"x{number}", "y"], [f"s{number}" * 50, ""])
    before = session.memory
    for number in range(3000):
        y, _ = session([f"x{number}", "y"], [f"s{number}" * 50, ""])
    assert y.tolist() == ["s2999" * 50 + "x2999", "y"]
    assert session.memory == before


def test_versions_for_some_sizes(tmp_path):
    graph = 'g (string[N] x) => (string[N] y, string[M, K] p) { c = Constant<value_string = "!">() y = StringConcat(x, c) p, n = StringSplit<delimiter = "!">(y) }'
    path = compile_text(graph, tmp_path, "--emit=library", "--specialize", "N=2", "--specialize", "N=3")
    session = ds.load(path).session()
    session.feed("y", "x")
    for length in (1, 2, 3, 4, 2, 2, 3):
        given = [f"w{number}" for number in range(length)]
        for marks in range(1, 4):
            y, p = session(texts(*given) if marks == 1 else None)
            assert y.tolist() == [word + "!" * marks for word in given]
            assert p.tolist() == [[word] + [""] * marks for word in given]


def test_custom_operators_get_and_make_strings(tmp_path):
    graph = """g (string[N] x, float[N] f) => (string[M] y, int64[N] n) {
      u, n = com.example.Reverse<suffix = "?">(x, f)  y = Concat<axis=0>(u, x) }"""
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["": 20, "com.example": 1]>\n{graph}')
    for name, kind in (("u", onnx.TensorProto.STRING), ("n", onnx.TensorProto.INT64)):
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, kind, ["N"]))

    def reverse(x, f, suffix):
        return texts(*[t[::-1] + suffix for t in x.tolist()]), np.array([len(t) for t in x.tolist()])

    compiled = ds.compile_onnx(model, custom_ops={"com.example.Reverse": reverse})
    y, n = compiled(["abc", "é"], np.zeros(2, np.float32))
    assert y.tolist() == ["cba?", "é?", "abc", "é"] and n.tolist() == [3, 1]


def test_sequences_and_optionals(tmp_path):
    graph = """g (seq(string[N]) q, optional(string[N]) o, int64 k) => (string[M] c, string[N] a, seq(string[N]) r, bool h) {
      c = ConcatFromSequence<axis=0>(q)  a = SequenceAt(q, k)  r = SequenceInsert(q, a)  h = OptionalHasElement(o) }"""
    compiled = onnx_backend.prepare(parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]>\n{graph}'))
    parts = [texts("a", "b"), texts("c"), texts()]
    c, a, r, h = compiled.run([parts, texts("o"), np.array(0)])
    assert c.tolist() == ["a", "b", "c"] and a.tolist() == ["a", "b"] and bool(h)
    assert [part.tolist() for part in r] == [["a", "b"], ["c"], [], ["a", "b"]]
