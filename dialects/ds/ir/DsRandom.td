//===- DsRandom.td - Random numbers ---------------------------------------===//
// Guarantees: every op is a function of its operands: the same numbers at every thread count and vector width, and
// wherever they are computed again.
//===----------------------------------------------------------------------===//
#ifndef DS_RANDOM_TD
#define DS_RANDOM_TD

include "dialects/ds/ir/DsBase.td"

defvar DS_NoVjpOfRandom = "random numbers are drawn, whatever the floats around them are";

def DS_KeyTensor : DS_TensorOf<[I64], "i64">;

def DS_RandomKeyOp : DS_TensorOp<"random_key", [DS_NoVjp<DS_NoFloats>, DS_Element<["elementCost", "getPlacesAttrName"]>]> {
  let summary = "a key for random numbers that no other use of the seed has";
  let description = [{
    `result = word[0] + 2^32 * word[1]`, where `word` is the block of four 32-bit numbers that Philox4x32-10 makes of the key `seed` and the
    counter `(run, stream)`, each 64 bits, the lower half first.

    What stands for the run in a loop's iteration is a key as well: of what stands for it around the loop, as `seed`, and the iteration's number.

    Constraints:
    1. `seed`, `run` and the result are of rank 0.
    2. `stream` is one expression.

    Created by import, one a node that draws, and one a loop that has such nodes; consumed by `ds.random`.
  }];
  let arguments = (ins DS_KeyTensor:$seed, DS_KeyTensor:$run, DS_ShapeAttr:$stream);
  let results = (outs DS_KeyTensor:$result);
  let hasVerifier = 1;
}

def DS_RandomOp : DS_TensorOp<"random", [DS_NoVjp<DS_NoVjpOfRandom>, DS_Element<["elementCost"]>]> {
  let summary = "random numbers";
  let description = [{
    With `i` the row-major position of an element, `word[c]` the numbers that Philox4x32-10 makes of the key `key` and the counter
    `(i / 4, c)`, each 64 bits, and `bits(j) = word[0][j] * 2^32 + word[1][j]`:

    - `uniform`: `result[i] = u(i mod 4)`, `u(j) = bits(j) / 2^64` cut off to as many bits as the element type's numbers below 1 have: 0 <= u < 1, in steps of
      2^-24 (f32, for which `word[0]` is enough) or 2^-53.
    - `normal`: mean 0, variance 1, by Box and Muller: of each two numbers of a block one gives the radius and the other the angle.
      `j = i mod 4 - i mod 2; r = sqrt(-2 ln v(j)); a = 2 pi u(j + 1); result[i] = i even ? r cos(a) : r sin(a)`, where `v` is `u` with as many bits again as it
      takes for the tails, and not 0.

    Constraints:
    1. `key` is of rank 0.
    2. `target` is the result's shape.
    3. The result is f32 or f64. Both have the same numbers, up to rounding.

    Created by import; consumed by code generation, which computes an element wherever it is used, as any elementwise op.
  }];
  let arguments = (ins DS_KeyTensor:$key, DS_ShapeAttr:$target, DS_RandomDistributionAttr:$distribution);
  let results = (outs DS_TensorOf<[F32, F64], "f32 or f64">:$result);
  let hasVerifier = 1;
}

#endif
