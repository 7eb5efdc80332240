"""Makes ONNX graphs at random that are right by construction, each with inputs at three sizes (see ../random-graphs)."""
