//===- DsRecurrent.td - Recurrent layers --------------------------------===//
// Guarantees: each op is the recurrence alone; the input's half of the gates, a matrix product for all time steps, comes
// as an operand.
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
    : DS_TensorOp<mnemonic, [DS_Root<["getFlops"]>, AttrSizedOperandSegments]> {
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

#endif
