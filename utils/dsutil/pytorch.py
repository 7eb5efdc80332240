"""Which of ONNX's operators PyTorch differentiates: the counterpart that does, or what stands in its way.

Assumes: operators of ai.onnx that have outputs of floats and are not deprecated; by PyTorch 2 and torchvision. A derivative that is 0 almost
everywhere (floor) counts: it is what the counterpart's backward gives."""

# The same name but for case and underscores, or one of the obvious: torch, torch.nn.functional, and arithmetic with them.
SAME = """Abs Acos Acosh Add Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Concat Conv ConvTranspose Cos Cosh CumProd
CumSum Det Div Dropout Einsum Elu Erf Exp Expand Flatten Floor GRU Gather Gelu Gemm GlobalAveragePool GlobalMaxPool GroupNormalization
HardSigmoid HardSwish Identity InstanceNormalization LSTM LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MatMul Max MaxPool
MaxUnpool Mean Min Mish Mod Mul Neg PRelu Pad Pow RMSNormalization RNN Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Selu Shrink Sigmoid Sign Sin Sinh Slice Softmax Softplus
Softsign Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where""".split()

DIFFERENTIATED = dict.fromkeys(SAME, "the same") | {
    "AffineGrid": "affine_grid",
    "Attention": "scaled_dot_product_attention",
    "Cast": "Tensor.to",
    "CastLike": "Tensor.type_as",
    "CausalConvWithState": "cat and conv1d",
    "CenterCropPad": "slices and pad",
    "Col2Im": "fold",
    "Compress": "index_select",
    "ConcatFromSequence": "cat, stack",
    "DFT": "fft.fft",
    "DeformConv": "torchvision.ops.deform_conv2d",
    "DepthToSpace": "pixel_shuffle",
    "DequantizeLinear": "(x - zero_point) * scale",
    "GatherElements": "gather",
    "GatherND": "indexing",
    "GlobalLpPool": "norm",
    "GridSample": "grid_sample",
    "If": "Python's if",
    "LRN": "local_response_norm",
    "LinearAttention": "matmul and cumsum",
    "Loop": "Python's for",
    "LpPool": "lp_pool2d",
    "MaxRoiPool": "torchvision.ops.roi_pool",
    "MeanVarianceNormalization": "mean, var",
    "NegativeLogLikelihoodLoss": "nll_loss",
    "Optional": "a value or None",
    "OptionalGetElement": "the value",
    "Resize": "interpolate",
    "ReverseSequence": "flip, indexing",
    "RoiAlign": "torchvision.ops.roi_align",
    "RotaryEmbedding": "arithmetic",
    "STFT": "stft",
    "Scan": "Python's for",
    "ScatterElements": "scatter, scatter_reduce",
    "ScatterND": "index_put",
    "SequenceAt": "a list's element",
    "SequenceConstruct": "a list",
    "SequenceErase": "a list",
    "SequenceInsert": "a list",
    "SequenceMap": "Python's for",
    "SoftmaxCrossEntropyLoss": "cross_entropy",
    "SpaceToDepth": "pixel_unshuffle",
    "SplitToSequence": "split",
    "Swish": "silu",
    "TensorScatter": "index_put",
}

NOT = {
    "Bernoulli": "random numbers",
    "BitCast": "bits",
    "DynamicQuantizeLinear": "integers but for the scale",
    "EyeLike": "no value of the input",
    "Hardmax": "a choice: one_hot(argmax)",
    "MelWeightMatrix": "a table of constants",
    "OneHot": "one_hot takes and makes integers",
    "RandomNormalLike": "random numbers",
    "RandomUniformLike": "random numbers",
    "Range": "arange takes numbers",
    "Unique": "unique has no backward",
    **dict.fromkeys(
        "BlackmanWindow Constant ConstantOfShape HammingWindow HannWindow RandomNormal RandomUniform SequenceEmpty TfIdfVectorizer".split(),
        "no floats come in",
    ),
}
