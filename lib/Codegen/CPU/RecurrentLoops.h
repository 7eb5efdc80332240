//===- RecurrentLoops.h - What kernels of recurrent layers share ----------===//
// Assumes: recurrent weights packed in panels of one vector (ds-pack); the root stands alone.
// Guarantees: one call computes some sequences of one direction over all steps. A step goes over panels of hidden
// units:
//   a product in a register tile, then arithmetic on vectors of units while the tile is in the first-level cache. What
//   goes from step to step lies in the worker's scratch.
// The loops, outside in: items (direction, block of sequences); steps; panels; tiles of sequences; depth; sequences.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_RECURRENTLOOPS_H
#define DS_LIB_CODEGEN_CPU_RECURRENTLOOPS_H

#include "dialects/ds/element/LaneMath.h"
#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

/// A sequence at a step.
struct Sequence {
  mlir::Value inBlock, batch, time;
  mlir::Value active; // i1: the step is within its length; null if it always is
};

class RecurrentLoops {
protected:
  RecurrentLoops(CpuKernelEmitter &e, mlir::Operation *root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), element(getElementTypeOrSelf(root->getResult(0).getType())),
        type(ElementBuilder::computeType(element)), m(e, element), lanes(e.getWidth()) {}

  /// Reads what all layers and their derivatives have.
  template <typename OpTy> void describe(OpTy op);
  /// Sets the range, and the heights of tiles of `vectors` vectors a row.
  void shareOut(int64_t vectors);

  /// Begins item `number`: sets `way` and `firstSequence` and returns the number of sequences.
  mlir::Value beginItem(mlir::Value number);
  mlir::Value reverse();
  mlir::FailureOr<Sequence> sequence(mlir::Value s, mlir::Value inBlock);
  /// body(panel, its number of panels, height, first row) for every register tile of a step: `wide` panels at a time.
  mlir::LogicalResult tiles(mlir::Value count, int64_t wide,
                            llvm::function_ref<mlir::LogicalResult(mlir::Value, int64_t, int64_t, mlir::Value)> body);
  /// `height` rows, `stride` apart, times `count` panels of `depth` rows, to the tile's vectors from `slot` on.
  /// weights(number of the panel, row) is a vector.
  mlir::LogicalResult multiply(int64_t height, int64_t count, int64_t depth, mlir::Value rows, int64_t stride,
                               int64_t slot,
                               llvm::function_ref<mlir::FailureOr<mlir::Value>(int64_t, mlir::Value)> weights);
  /// body(sequence, tile row, unit) for the rows of a tile, masked where a panel has fewer units.
  mlir::LogicalResult finish(mlir::Value s, int64_t height, mlir::Value row, mlir::Value panel,
                             llvm::function_ref<mlir::LogicalResult(const Sequence &, mlir::Value, LaneIndex)> body);
  /// Fills a vector for each unit of sequence `inBlock` at `pointer` with `initial` ([D, B, H]; null: 0).
  mlir::LogicalResult fillState(mlir::Value initial, mlir::Value pointer, mlir::Value inBlock);

  mlir::Value fromTile(mlir::Value tileRow, mlir::Value slot);
  /// The input's half of a gate's argument.
  mlir::FailureOr<mlir::Value> input(const Sequence &at, int64_t gate, LaneIndex unit);
  mlir::FailureOr<mlir::Value> peephole(mlir::Value p, int64_t gate, LaneIndex unit);

  // Functions of a gate, of the direction at hand.
  mlir::Value limited(mlir::Value x);
  mlir::Value activate(int64_t function, mlir::Value x);
  /// The derivative at `x`, where the function is `y`. `x` may be null unless the function needs it.
  mlir::Value slope(int64_t function, mlir::Value x, mlir::Value y);
  bool slopeNeedsArgument(int64_t function);

  MemoryRef memory(mlir::Value pointer) { return {pointer, type}; }
  LaneIndex at(mlir::Value inBlock, LaneIndex unit) { return e.add(unit, uniform(e.mulI(inBlock, e.i64(padded)))); }
  static LaneIndex uniform(mlir::Value index) { return LaneIndex::uniform(index); }
  mlir::Value one() { return e.constantFloat(type, 1.0); }
  mlir::Value zero() { return e.constantFloat(type, 0.0); }
  SymExpr bytes(int64_t elements) { return SymExpr(int64_t(type.getIntOrFloatBitWidth()) / 8 * elements); }

  CpuKernelEmitter &e;
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Operation *root;
  mlir::Type element, type;
  LaneMath m;

  mlir::Value x, r, lengths;
  Direction direction = Direction::forward;
  llvm::SmallVector<llvm::StringRef> functions;
  llvm::ArrayRef<double> alphas, betas;
  std::optional<double> clip;
  int64_t lanes, gates = 0, functionCount = 0, hidden = 0, panels = 0, padded = 0, directions = 0, tallest = 0,
                 slots = 0;
  SymExpr steps, batch, block, blocks;

  // While an item is built.
  mlir::Value way, firstSequence, tilePointer;

private:
  /// Of both directions, by the one at hand.
  mlir::Value choose(int64_t function, llvm::function_ref<mlir::Value(int64_t)> build);
  mlir::Value activation(int64_t index, mlir::Value x);
  mlir::Value derivative(int64_t index, mlir::Value x, mlir::Value y);
  mlir::Value exp(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value sigmoid(mlir::Value x);
};

template <typename OpTy> void RecurrentLoops::describe(OpTy op) {
  x = op.getX();
  r = op.getR();
  lengths = op.getLengths();
  hidden = op.getHidden();
  direction = op.getDirection();
  directions = op.getDirections();
  gates = OpTy::kGates;
  functionCount = OpTy::kFunctions;
  for (auto name : op.getActivations().template getAsRange<mlir::StringAttr>())
    functions.push_back(name.getValue());
  alphas = op.getAlphas();
  betas = op.getBetas();
  if (std::optional<llvm::APFloat> limit = op.getClip())
    clip = limit->convertToDouble();
  SymDims dims = e.dimsOf(x);
  steps = dims[0];
  batch = dims[1];
  panels = llvm::divideCeil(hidden, lanes);
  padded = panels * lanes;
}

} // namespace ds

#endif
