"""--precision=fp64 where an operator takes f32 alone: what it decides is decided in f32, and values stay in f64."""

import numpy as np
import onnx
import onnxruntime
from harness import compile_program, run_program, text_model


def compiled(folder, model: onnx.ModelProto) -> str:
    onnx.save(model, folder / "model.onnx")
    result = compile_program(str(folder / "model.onnx"), str(folder / "model"), "--precision=fp64")
    assert result.code == 0, result.stderr
    return str(folder / "model")


def test_boxes_are_chosen_in_f32(tmp_path):
    model = text_model(
        "float[1,N,4] boxes, float[1,2,N] scores => int64[a,3] chosen, float[1,N,4] y",
        "m = Constant<value_ints=[3]>(); t = Constant<value_float=0.5>(); chosen = NonMaxSuppression(boxes, scores, m, t); y = Exp(boxes)",
    )
    program = compiled(tmp_path, model)
    rng = np.random.default_rng(2)
    corners = rng.random((1, 12, 2))
    boxes = np.concatenate([corners, corners + 0.3 + rng.random((1, 12, 2))], -1).astype(np.float32)
    scores = rng.random((1, 2, 12)).astype(np.float32)
    result = run_program(
        program, {"boxes": boxes.astype(np.float64), "scores": scores.astype(np.float64)}, str(tmp_path / "out")
    )
    assert result.code == 0, result.stderr
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(["chosen"], {"boxes": boxes, "scores": scores})[0]
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "chosen.npy"), expected)
    y = np.load(tmp_path / "out" / "y.npy")
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, np.exp(boxes.astype(np.float64)), rtol=1e-14)


def test_scales_of_a_run_are_f32(tmp_path):
    model = text_model(
        "float[1,1,N] x, float[3] scales => float[a,b,c] y",
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , scales)',
    )
    program = compiled(tmp_path, model)
    x = np.random.default_rng(1).standard_normal((1, 1, 5))
    for scale in (2, 3):
        result = run_program(program, {"x": x, "scales": np.array([1.0, 1.0, scale])}, str(tmp_path / "out"))
        assert result.code == 0, result.stderr
        np.testing.assert_array_equal(np.load(tmp_path / "out" / "y.npy"), np.repeat(x, scale, -1))
