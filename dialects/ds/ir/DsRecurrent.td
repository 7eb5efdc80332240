//===- DsRecurrent.td - Recurrent layers --------------------------------===//
// Guarantees: each op is the recurrence alone; the input's half of the gates, a matrix product for all time steps, comes
// as an operand. So do, in the derivatives, the recurrent halves: once the states are known, they are one product, too.
//===----------------------------------------------------------------------===//
#ifndef DS_RECURRENT_TD
#define DS_RECURRENT_TD

include "dialects/ds/ir/DsBase.td"

defvar DS_RecurrentDoc = [{
    D is 2 if `direction` is bidirectional, else 1; H is `hidden`. `x` ([T, B, D*G*H]) is the input's half of the gates'
    arguments for all steps, biases included: direction by direction, gate by gate. `r` holds the recurrent weights,
    [D, G*H, H], or packed in panels of `tile` hidden units [D, G, ceildiv(H, tile), H, tile], as `ds.pack` with
    `transposed` makes them of [D, G, H, H].

    `y` ([T, D, B, H]) is the state h after each step, `y_h` ([D, B, H]) that after the last. A sequence b has
    `lengths[b]` steps (absent: T); what comes after them is 0 in `y` and leaves the state alone. A reverse direction
    begins at each sequence's own last step. `h0` (and `c0`), [D, B, H], is the initial state (absent: 0).

    `activations` names the functions of a direction in ONNX's order, D times as many in all, with `alphas` and `betas` of
    as many entries: affine (`alpha*x + beta`), relu, leaky_relu, thresholded_relu, tanh, scaled_tanh (`alpha*tanh(beta*x)`),
    sigmoid, hard_sigmoid, elu, softsign, softplus. With `clip` the arguments of gates are limited to [-clip, clip].

    Neither element by element nor composed of other ops: a kernel of its own, a step of which is a product and the
    gates' arithmetic at once.

    Constraints:
    1. `x` has rank 3 and D*G*H as its last dim; `r` has one of the two forms.
    2. `lengths` has the dims [B] (a length is in 0 .. T, checked when run); `h0` and `c0` have the dims [D, B, H].
    3. `activations`, `alphas` and `betas` have the op's number of functions times D entries, each a known name.
    4. All floats have the same element type.

    Created by import; `ds-pack` packs `r`; consumed by code generation (a kernel's root).
}];

class DS_RecurrentOp<string mnemonic, int gates, int functions>
    : DS_TensorOp<mnemonic, [DS_Vjp<>, DS_Root<["getFlops"]>, AttrSizedOperandSegments]> {
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr int64_t kGates = }] # gates # [{, kFunctions = }] # functions # [{;
    int64_t getDirections() { return getDirection() == Direction::bidirectional ? 2 : 1; }
  }];
}

defvar DS_RecurrentAttributes = (ins I64Attr:$hidden, DS_DirectionAttr:$direction, StrArrayAttr:$activations,
                                     DenseF64ArrayAttr:$alphas, DenseF64ArrayAttr:$betas, OptionalAttr<F64Attr>:$clip);

def DS_LstmOp : DS_RecurrentOp<"lstm", 4, 3> {
  let summary = "long short-term memory";
  let description = [{
    Gates i, o, f, c (G = 4); functions f, g, h; `p` ([D, 3*H], absent: 0) are the peepholes of i, o, f:

    ```
    i = f(x_i + h r_i^T + p_i * c)    f = f(x_f + h r_f^T + p_f * c)    (with `couple` f = 1 - i)
    c' = f * c + i * g(x_c + h r_c^T)
    o = f(x_o + h r_o^T + p_o * c')   h' = o * h(c')
    ```
    `y_c` is the cell state c after the last step.
  }] # DS_RecurrentDoc;
  let arguments = !con((ins DS_FloatTensor:$x, DS_FloatTensor:$r, Optional<DS_IndexTensor>:$lengths,
                            Optional<DS_FloatTensor>:$h0, Optional<DS_FloatTensor>:$c0, Optional<DS_FloatTensor>:$p),
                       DS_RecurrentAttributes, (ins UnitAttr:$couple));
  let results = (outs DS_FloatTensor:$y, DS_FloatTensor:$y_h, DS_FloatTensor:$y_c);
}

def DS_GruOp : DS_RecurrentOp<"gru", 3, 2> {
  let summary = "gated recurrent unit";
  let description = [{
    Gates z, r, h (G = 3); functions f, g; `r_bias` ([D, H]) is the recurrent bias of h, which only the second form knows:

    ```
    z = f(x_z + h r_z^T)    r = f(x_r + h r_r^T)
    n = g(x_h + (r * h) r_h^T)              or with `linear_before_reset`    n = g(x_h + r * (h r_h^T + r_bias))
    h' = (1 - z) * n + z * h
    ```
  }] # DS_RecurrentDoc;
  let arguments = !con((ins DS_FloatTensor:$x, DS_FloatTensor:$r, Optional<DS_FloatTensor>:$r_bias,
                            Optional<DS_IndexTensor>:$lengths, Optional<DS_FloatTensor>:$h0),
                       DS_RecurrentAttributes, (ins UnitAttr:$linear_before_reset));
  let results = (outs DS_FloatTensor:$y, DS_FloatTensor:$y_h);
}

def DS_RnnOp : DS_RecurrentOp<"rnn", 1, 1> {
  let summary = "simple recurrent layer";
  let description = [{
    `h' = f(x + h r^T)` (G = 1, one function).
  }] # DS_RecurrentDoc;
  let arguments = !con((ins DS_FloatTensor:$x, DS_FloatTensor:$r, Optional<DS_IndexTensor>:$lengths,
                            Optional<DS_FloatTensor>:$h0), DS_RecurrentAttributes);
  let results = (outs DS_FloatTensor:$y, DS_FloatTensor:$y_h);
}

//===----------------------------------------------------------------------===//
// Derivatives
//===----------------------------------------------------------------------===//

defvar DS_RecurrentVjpDoc = [{
    `x`, `lengths` and all attributes are those of the layer. `q` ([D, T, B, G*H]) is the recurrent half of the gates'
    arguments, so that no product of the layer is computed again here. `dy` and `dy_h`, of the dims of `y` and `y_h`, are the
    cotangents of the layer's results (absent: 0). `r` is [D, G*H, H], or packed in panels of `tile` columns
    [D, ceildiv(H, tile), G*H, tile], as `ds.pack` makes them.

    `dx` ([D, T, B, G*H]) are the cotangents of the gates' arguments, 0 after the end of a sequence; `dh0` ([D, B, H]) is that of
    the initial state. What remains are products of all steps at once: r's cotangent is that of dx (or dq) with the
    states before each step.

    A kernel of its own: from the last step back, the product of a step's `dx` with `r`, and the gates' arithmetic.

    Constraints:
    1. Those of the layer, and the dims above.
    2. All floats have the same element type, f32 or f64.

    Created by differentiation; `ds-pack` packs `r`; consumed by code generation (a kernel's root).
}];

class DS_RecurrentVjpOp<string mnemonic, int gates, int functions>
    : DS_TensorOp<mnemonic, [DS_NoVjp<"it is a recurrent layer's derivative itself">, DS_Root<["getFlops"]>, AttrSizedOperandSegments]> {
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr int64_t kGates = }] # gates # [{, kFunctions = }] # functions # [{;
    int64_t getDirections() { return getDirection() == Direction::bidirectional ? 2 : 1; }
  }];
}

def DS_WideFloatTensor : DS_TensorOf<[F32, F64], "f32 or f64">;

def DS_LstmVjpOp : DS_RecurrentVjpOp<"lstm_vjp", 4, 3> {
  let summary = "the derivative of long short-term memory";
  let description = [{
    Of `ds.lstm`. `dy_c` is the cotangent of `y_c`, `dc0` that of `c0`. `cells` ([D, T, B, H]) are the cell states after each step,
    0 after the end of a sequence: they are computed again, and the cotangent of `p` is a product with them.
  }] # DS_RecurrentVjpDoc;
  let arguments = !con((ins DS_WideFloatTensor:$x, DS_WideFloatTensor:$q, DS_WideFloatTensor:$r, Optional<DS_IndexTensor>:$lengths,
                            Optional<DS_WideFloatTensor>:$c0, Optional<DS_WideFloatTensor>:$p,
                            Optional<DS_WideFloatTensor>:$dy, Optional<DS_WideFloatTensor>:$dy_h,
                            Optional<DS_WideFloatTensor>:$dy_c),
                       DS_RecurrentAttributes, (ins UnitAttr:$couple));
  let results = (outs DS_WideFloatTensor:$dx, DS_WideFloatTensor:$dh0, DS_WideFloatTensor:$dc0, DS_WideFloatTensor:$cells);
}

def DS_GruVjpOp : DS_RecurrentVjpOp<"gru_vjp", 3, 2> {
  let summary = "the derivative of a gated recurrent unit";
  let description = [{
    Of `ds.gru`. `h` ([D, T, B, H]) are the states before each step. Without `linear_before_reset` the third part of `q` is the
    product of `r_h` with the states that were reset. With it there is a result `dq` more: the cotangent of `q`, whose third part
    differs from that of `dx`, and which `r_bias` shares.
  }] # DS_RecurrentVjpDoc;
  let arguments = !con((ins DS_WideFloatTensor:$x, DS_WideFloatTensor:$q, DS_WideFloatTensor:$r, DS_WideFloatTensor:$h,
                            Optional<DS_WideFloatTensor>:$r_bias, Optional<DS_IndexTensor>:$lengths,
                            Optional<DS_WideFloatTensor>:$dy, Optional<DS_WideFloatTensor>:$dy_h),
                       DS_RecurrentAttributes, (ins UnitAttr:$linear_before_reset));
  let results = (outs DS_WideFloatTensor:$dx, DS_WideFloatTensor:$dh0, Optional<DS_WideFloatTensor>:$dq);
}

def DS_RnnVjpOp : DS_RecurrentVjpOp<"rnn_vjp", 1, 1> {
  let summary = "the derivative of a simple recurrent layer";
  let description = [{
    Of `ds.rnn`.
  }] # DS_RecurrentVjpDoc;
  let arguments = !con((ins DS_WideFloatTensor:$x, DS_WideFloatTensor:$q, DS_WideFloatTensor:$r, Optional<DS_IndexTensor>:$lengths,
                            Optional<DS_WideFloatTensor>:$dy, Optional<DS_WideFloatTensor>:$dy_h), DS_RecurrentAttributes);
  let results = (outs DS_WideFloatTensor:$dx, DS_WideFloatTensor:$dh0);
}

#endif
