//===- DftTransform.h - A fast Fourier transform of any length ------------===//
// Assumes: one in a kernel.
// Guarantees: the plan (see DftPlan.h) is made when compiling if the length is known then, and its table is an operand
//   or, like that of a length that only the run knows, computed once a call into the worker's scratch. The work buffers
//   hold one transform, or one a vector lane (`batched`): number `lane` of point k lies at k * lanes + lane.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_DFTTRANSFORM_H
#define DS_LIB_CODEGEN_CPU_DFTTRANSFORM_H

#include "lib/Codegen/CPU/DftPlan.h"
#include "lib/Codegen/CPU/DftStages.h"

namespace ds {

class DftTransform {
public:
  DftTransform(CpuKernelEmitter &e, mlir::Type type, const SymExpr &length, bool isReal);

  /// The most points for which transforms may be batched: their buffers fit into the second-level cache.
  static constexpr int64_t kMostBatched = 4096, kMostBatchedDynamic = 2048;

  /// The plan and its table, from `table` if given.
  mlir::LogicalResult prepare(mlir::Value table, bool batched, bool single);

  const std::optional<DftPlan> &getPlan() const { return plan; }
  mlir::Value getLength() const { return length; }
  mlir::Value getPoints() const { return points; }
  /// body(halved), once, or for both under conditions where only the run knows.
  mlir::LogicalResult forEachForm(llvm::function_ref<mlir::LogicalResult(bool)> body);

  /// The two buffers, each with room for a vector more points than the transform has.
  Planes work(bool batched) { return buffers[batched].first; }
  Planes otherWork(bool batched) { return buffers[batched].second; }
  /// Transforms what is in `work`; returns where the result is.
  mlir::FailureOr<Planes> run(bool batched);
  /// e^(2 pi i k / length), where transforms are halved.
  Complex root(LaneIndex k) { return stages.load(roots, k); }

  DftStages &getStages() { return stages; }
  /// body(k, its place in a buffer) for `lower` <= k < `upper`: vectors of points, or of transforms.
  mlir::LogicalResult forPoints(bool batched, mlir::Value lower, mlir::Value upper,
                                llvm::function_ref<mlir::LogicalResult(LaneIndex, LaneIndex)> body);
  LaneIndex place(bool batched, LaneIndex k);

private:
  struct Result {
    Planes in, other;
  };
  mlir::FailureOr<Result> stagesOf(Planes from, Planes to, Planes roots, mlir::Value order, bool batched);
  mlir::LogicalResult planAtRun();
  mlir::LogicalResult fillRoots(Planes table, mlir::Value order);
  mlir::LogicalResult fillFilter();
  mlir::FailureOr<mlir::func::FuncOp> factorFunction();
  mlir::FailureOr<mlir::func::FuncOp> stagesFunction();
  mlir::LogicalResult multiplyByChirp(Planes numbers, bool batched);
  mlir::FailureOr<Result> convolve(Planes from, Planes to, bool batched);
  Planes planes(mlir::Value pointer, mlir::Value apart) { return {pointer, e.advance(pointer, type, apart)}; }

  CpuKernelEmitter &e;
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type type;
  SymExpr lengthExpr;
  bool isReal;
  int64_t lanes;
  std::optional<DftPlan> plan;
  DftStages stages;

  mlir::Value length, points, isHalved, isConvolution, inner; // inner: points of the stages' transforms
  Planes roots, innerRoots, chirp, filter;
  mlir::Value order, factors, factorCount;
  mlir::func::FuncOp function;
  std::pair<Planes, Planes> buffers[2];
};

} // namespace ds

#endif
