//===- DsSpectral.td - Fourier transforms -------------------------------===//
// Guarantees: a complex number is two numbers in the last dim, the real part first.
//===----------------------------------------------------------------------===//
#ifndef DS_SPECTRAL_TD
#define DS_SPECTRAL_TD

include "dialects/ds/ir/DsBase.td"

def DS_DftOp : DS_TensorOp<"dft", [DS_Vjp<>, DS_Root<["hasEpilogue", "timesRead", "getFlops"]>]> {
  let summary = "the discrete Fourier transform along an axis";
  let description = [{
    For n points along `axis`:

    ```
    result[k] = sum over j of x[j] * e^(-2 pi i j k / n)               0 <= k < n
    result[k] = sum over j of x[j] * e^(+2 pi i j k / n) / n           `inverse`
    ```

    The last dim of `x` is 2 (complex) or 1 (real), that of the result 2. With `onesided`, half of a spectrum that is
    symmetric is left out: the forward transform of a real `x` gives floor(n / 2) + 1 points; the inverse takes as many and
    gives n real ones (its last dim is 1), where the imaginary parts of point 0, and of point n / 2 of an even n, do not count.

    `table` are the numbers that a transform of n constant points needs (on a CPU `DftPlan::table`); without it the kernel computes
    them when it runs.

    Neither element by element nor composed of other ops: a kernel of its own, n log n operations for every n.

    Constraints:
    1. `x` has rank 2 or more, `axis` is in 0 .. rank-2, and the last dim is 1 or 2.
    2. `onesided` without `inverse` takes a real `x`.
    3. `length`, one expression, is present with `onesided` and `inverse` only: it is n, and `x` has floor(n / 2) + 1 points.
    4. n is at least 1.
    5. The result has the element type of `x`; `table` has rank 1 and the type that is calculated with (f64, or else f32).

    Created by import; `ds-plan-transforms` adds the table; consumed by code generation (a kernel's root).
  }];
  let arguments = (ins DS_FloatTensor:$x, Optional<DS_FloatTensor>:$table, I64Attr:$axis, UnitAttr:$inverse,
                       UnitAttr:$onesided, OptionalAttr<DS_ShapeAttr>:$length);
  let results = (outs DS_FloatTensor:$result);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether real numbers come out.
    bool isRealResult() { return getInverse() && getOnesided(); }
  }];
}

def DS_FramesOp : DS_TensorOp<"frames", [DS_Vjp<>, DS_CopiesElements, DS_Element<>, SameOperandsAndResultElementType]> {
  let summary = "overlapping parts of a dimension";
  let description = [{
    `result[..., f, t, ...] = x[..., f * step + t, ...]`: the dim `axis`, L elements, becomes two, of
    floor((L - size) / step) + 1 frames of `size` elements each.

    Constraints:
    1. `axis` is in 0 .. rank-1.
    2. `size` and `step` are one expression each; 0 <= size <= L, and step is at least 1.
    3. Operand and result have the same element type.

    Created by import (STFT).
  }];
  let arguments = (ins DS_Tensor:$x, I64Attr:$axis, DS_ShapeAttr:$size, DS_ShapeAttr:$step);
  let results = (outs DS_Tensor:$result);
}

#endif
