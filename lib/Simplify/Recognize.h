//===- Recognize.h - Matchers of ds-recognize -----------------------------===//
// Each takes a candidate root (or inner op) and rewrites the graph if its pattern is there. New ops get their shapes in
// `state`.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_SIMPLIFY_RECOGNIZE_H
#define DS_LIB_SIMPLIFY_RECOGNIZE_H

#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include <cmath>

namespace ds {

/// The value of a float constant that holds one number.
std::optional<double> scalarConstant(mlir::Value value);

/// Whether `a` may be `b` after `roundings` roundings to `element`, and is not 1e-3 or more away: constants that a
/// model spells with fewer digits, or a sum over n divided by n - 1, are others.
bool isRounded(double a, double b, mlir::Type element, int roundings);

/// value = scale * rest, where muls and divs by scalar constants with one use are peeled off.
mlir::Value peelScale(mlir::Value value, double &scale);

/// Replaces `old` by `with`, whose type must be the same.
bool replaceValue(mlir::Value old, mlir::Value with);

bool recognizeActivation(mlir::Operation *op, ShapeState &state); // gelu, sigmoid
bool recognizeRelu(MaxOp op, ShapeState &state);
bool recognizeSoftmax(mlir::Operation *op, ShapeState &state);
bool recognizeLayerNorm(mlir::Operation *op, ShapeState &state);
bool recognizeBatchedTranspose(ReshapeOp op, ShapeState &state);
bool recognizeAttention(MatmulOp op, ShapeState &state);

} // namespace ds

#endif
