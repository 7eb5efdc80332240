//===- Passes.td - Passes that simplify ds --------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_SIMPLIFY_PASSES_TD
#define DS_SIMPLIFY_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowerStringsPass : Pass<"ds-lower-strings", "::mlir::ModuleOp"> {
  let summary = "Replaces strings by their numbers in a table of distinct strings";
  let description = [{
    Before: ops that move strings, compare them for equality, or are a `ds.custom` of the domain `ds.string`.

    ```mlir
    func.func @f(%x: tensor<?x!ds.string> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xi1> {
      %0 = ds.constant dense<"yes"> : tensor<!ds.string>
      %1 = ds.compare eq, %x, %0 : (tensor<?x!ds.string>, tensor<!ds.string>) -> tensor<?xi1>
      return %1 : tensor<?xi1>
    }
    ```

    After:

    ```mlir
    func.func @f(%x: tensor<?xi128> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xi1> {
      %0:2 = ds.custom "Begin" of "ds.string"(%x) {table = ["", "yes"]} {shapes = [#ds.shape<["1"]>, #ds.shape<["N"]>], ...}
        : (tensor<?xi128>) -> (tensor<1xi64>, tensor<?xi64>)
      %1 = ds.constant dense<1> : tensor<i64>
      %2 = ds.compare eq, %0#1, %1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
      return %2 : tensor<?xi1>
    }
    ```

    Afterwards no value is a string: equal strings are equal numbers, and an i128 is what a caller gives or gets (pointer and
    size). Fails where shapes cannot be inferred.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def CheckDonationsPass : Pass<"ds-check-donations", "::mlir::func::FuncOp"> {
  let summary = "Refuses donations of an input to an output of another shape";
  let description = [{
    Before: arguments with `ds.donate`, the number of the result that takes their memory (`ds-compile --donate`).

    ```mlir
    func.func @f(%cache: tensor<?x8xf32> {ds.donate = 0 : i64, ds.shape = #ds.shape<["N", "8"]>}, ...) -> tensor<?x8xf32>
    ```

    Afterwards no dim of such an argument is known to differ from the result's; a run compares those that may. Changes
    nothing. Fails, naming both, where one is.
  }];
}

def LowerConvTransposePass : Pass<"ds-lower-conv-transpose", "::mlir::func::FuncOp"> {
  let summary = "Transposed convolutions become convolutions whose results are interleaved";
  let description = [{
    Before: shapes inferred, channels first or last.

    ```mlir
    %0 = ds.conv_transpose %x, %w {strides = array<i64: 2>, ...} : (tensor<?x8x?xf32>, tensor<8x4x4xf32>) -> tensor<?x4x?xf32>
    ```

    After (shapes of the essential ops):

    ```mlir
    %1 = ds.conv %x, %phases {strides = array<i64: 1>, ...} : (tensor<?x8x?xf32>, tensor<8x8x2xf32>) -> tensor<?x8x?xf32>
    %2 = ds.transpose ... : tensor<?x1x2x4x?xf32> -> tensor<?x1x4x?x2xf32>
    ```

    Afterwards a transposed convolution is one whose kernel is dilated or known to the run alone, one of integers, or one with a channel a
    group. The others are as many multiplications as before where the stride divides the kernel. With strides of 1 nothing is
    interleaved, and the convolution has the rows of the result.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def InferShapesPass : Pass<"ds-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Derives all shapes and removes integer tensors that only compute a shape";
  let description = [{
    Before: functions of ds ops, arguments with `ds.shape` (without one, each dynamic dim is a symbol of its own).

    ```mlir
    func.func @f(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
      %0 = ds.shape_of %x : (tensor<?x8xf32>) -> tensor<2xi64>
      %1 = ds.reduce_prod %0 {axes = array<i64: 0>, keepdims} : (tensor<2xi64>) -> tensor<1xi64>
      %2 = ds.reshape %x, %1 : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?xf32>
      return %2 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    func.func @f(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
      %0 = ds.reshape %x {target = #ds.shape<["8*N"]>} : (tensor<?x8xf32>) -> tensor<?xf32>
      return %0 : tensor<?xf32>
    }
    ```

    Afterwards: result types are as static as the shape functions say; a shape operand whose contents are expressions
    became an attribute; an integer tensor whose contents are expressions is a `ds.constant` or `ds.shape_value` where
    something else uses it; ops that provably change nothing (a reshape or expand to the same dims, a full slice, a pad by
    zeros) and dead ops are gone.

    Declines: shape operands that depend on data stay operands. Fails, naming node and operator, where shapes cannot
    fit, or a rank depends on data.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def FoldConstantsPass : Pass<"ds-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "Computes what depends on constants only";
  let description = [{
    Before: shapes inferred.

    ```mlir
    %0 = ds.transpose %weight {perm = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
    ```

    After: a `ds.constant` of the transposed data. Elementwise ops, casts, movements and reductions are computed with
    the semantics of their definition in `ds`, in the element type's precision.

    Declines: a result larger than its constant operands together and than `max-growth` bytes; a cast or dequantization
    that makes a tensor of more than `max-growth` bytes wider (weights stay compressed in the artifact); a fill of more
    than 1 KB; ops without `FoldOpInterface`.
  }];
  let options = [Option<"maxGrowth", "max-growth", "int64_t", "65536",
                        "Bytes up to which a result may be larger than its operands">];
  let dependentDialects = ["::ds::DsDialect"];
}

def FoldBatchNormPass : Pass<"ds-fold-batch-norm", "::mlir::func::FuncOp"> {
  let summary = "Folds batch normalization and per-channel factors into convolutions";
  let description = [{
    Before: shapes inferred. The parameters of a batch norm, and weights, are constants.

    ```mlir
    %0 = ds.conv %x, %w, %b {...}
    %1 = ds.batch_norm %0, %scale, %bias, %mean, %var {epsilon = 1e-5 : f64}
    ```

    After: one `ds.conv` with scaled weights (`w[o] * f[o]`) and bias (`(b[o] - mean[o]) * f[o] + bias[o]`), where
    `f = scale / sqrt(var + epsilon)`, computed in double precision. The same for a `ds.mul`, `ds.div`, `ds.add` or `ds.sub` by a constant of one value or
    one a channel, and for transposed convolutions. A batch norm that follows nothing of that
    kind becomes a mul and an add by per-channel constants.

    Declines: a convolution with several uses, and parameters that are no constants (`expand` covers those later).
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def RecognizePass : Pass<"ds-recognize", "::mlir::func::FuncOp"> {
  let summary = "Recognizes composite ops that a graph spells out";
  let description = [{
    Before: shapes inferred, constants folded, canonicalized.

    ```mlir
    %0 = ds.matmul %q, %kT
    %1 = ds.mul %0, %scale
    %2 = ds.add %1, %mask
    %3 = ds.softmax %2 {axis = 3 : i64}
    %4 = ds.matmul %3, %v
    ```

    After: `ds.attention %q, %k, %v, %mask {scale = 0.125 : f64}`. Others: layer norm from its means, gelu from erf or tanh,
    softmax from exp and its sum, sigmoid from exp or tanh, relu from max with 0, where the constants agree with the
    definition to 1e-4 relative (the rounding of a float32 or float16 export).

    Declines: a value inside the pattern that something else uses.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def BindValuesPass : Pass<"ds-bind-values", "::mlir::ModuleOp"> {
  let summary = "Has sizes that are computed while the model runs read on the host";
  let description = [{
    Before: `ds-infer-shapes` ran; what is still in operand form has a shape operand of unknown contents.

    ```mlir
    func.func @f(%x: tensor<6xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
      %0 = ds.fill %s {value = 0.0 : f32} : (tensor<2xi64>) -> tensor<?x?xf32>
      return %0 : tensor<?x?xf32>
    }
    ```

    After:

    ```mlir
    func.func @f(%x: tensor<6xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
      %0 = ds.bind %s as <["b0", "b1"]> : tensor<2xi64>
      %1 = ds.fill {target = #ds.shape<["b0", "b1"]>, value = 0.0 : f32} : () -> tensor<?x?xf32>
      return %1 : tensor<?x?xf32>
    }
    ```

    What is bound is never negative: the 0 and -1 of a reshape, the bounds of a slice and the like are resolved by integer
    ops of the model first. `BindShapesOpInterface` says how, op by op. Afterwards `ds-infer-shapes` finds all dims. A new
    name is none that any function of the module knows: what a function runs may use names of its callers.

    Declines: lists of unknown length, which make the rank of a result depend on data.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def ForceStaticPass : Pass<"ds-force-static", "::mlir::ModuleOp"> {
  let summary = "Takes numbers that a user states for what a node's sizes follow from";
  let description = [{
    Before: `ds-bind-values` ran. `--ds-force-static="nodes=view=2;3"` (`ds-compile --force-static=view=2,3`) says of the
    node `view` what is read for it:

    ```mlir
    %0 = ds.bind %s as <["b0", "b1"]> : tensor<2xi64> loc(fused<"Reshape">["view"])
    %1 = ds.reshape %x {target = #ds.shape<["b0", "b1"]>} : (tensor<6xf32>) -> tensor<?x?xf32>
    ```

    After:

    ```mlir
    %1 = ds.reshape %x {target = #ds.shape<["2", "3"]>} : (tensor<6xf32>) -> tensor<?x?xf32>
    ...
    %2 = ds.bind %s as <["b2", "b3"]> : tensor<2xi64>
    ds.require <["b2"]> = <["2"]>, "2, which --force-static says, for what the model computes"
    ds.require <["b3"]> = <["3"]>, "3, which --force-static says, for what the model computes"
    ```

    Of an If the number is 1 or 0, and the branch takes its place; where an If decides a rank or another number, it is that
    number. Functions that nothing runs any more are erased. Afterwards `ds-infer-shapes` finds the dims.

    Declines: loops, nodes of which nothing depends on data, and another count of numbers than the node has: errors that
    name the node.
  }];
  let options = [ListOption<"nodes", "nodes", "std::string", "NODE=NUMBER;... of each node">];
  let dependentDialects = ["::ds::DsDialect"];
}

#endif
