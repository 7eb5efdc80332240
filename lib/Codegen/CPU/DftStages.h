//===- DftStages.h - The stages of a fast Fourier transform ---------------===//
// Assumes: numbers of one float type in two planes of memory, real and imaginary parts, which do not overlap.
// Guarantees: Stockham's form: a stage reads one buffer and writes the other, in an order that needs no reversal of
//   digits. Transforms side by side (`lanes` of them, one a vector lane) are a stride that begins at `lanes`.
// A stage of a short stride may write `slack` numbers beyond the last point.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_DFTSTAGES_H
#define DS_LIB_CODEGEN_CPU_DFTSTAGES_H

#include "lib/Codegen/CPU/Rows.h"

namespace ds {

/// Pointers to a row of first and one of second numbers: real and imaginary parts, cosines and sines.
struct Planes {
  mlir::Value first, second;
  Planes swapped() const { return {second, first}; }
};

/// A complex number, or a vector of them.
struct Complex {
  mlir::Value re, im;
};

/// One stage: for 0 <= p < m, 0 <= q < stride and 0 <= k < radix
///   to[q + stride (radix p + k)] = w^(p k) sum over j of from[q + stride (p + m j)] e^(-2 pi i j k / radix)
/// where w is e^(-2 pi i / (radix m)).
struct DftStage {
  int64_t radix = 0;     ///< 0: a prime that only the run knows, or one without code of its own
  mlir::Value radixSize; ///< the radix as a value
  mlir::Value m, stride;
  Planes from, to;
  Planes roots;          ///< cosines and sines
  mlir::Value rootStep;  ///< where in them w is
  mlir::Value radixStep; ///< where in them e^(2 pi i / radix) is
};

class DftStages {
public:
  DftStages(CpuKernelEmitter &e, mlir::Type type) : e(e), b(e.builder()), m(e, type), type(type) {}

  mlir::LogicalResult emit(const DftStage &stage);
  /// Radices that have code of their own.
  static bool hasButterfly(int64_t radix) { return radix <= 8 || radix == 11 || radix == 13; }
  /// p goes up to m + lanes / stride, each p is radix * stride apart, and stride < lanes.
  static int64_t slack(int64_t radix, int64_t lanes) { return 2 * radix * lanes; }

  mlir::Type getType() const { return type; }
  Complex load(Planes from, LaneIndex at);
  void store(Planes to, LaneIndex at, Complex value);
  Complex add(Complex x, Complex y) { return {m.add(x.re, y.re), m.add(x.im, y.im)}; }
  Complex sub(Complex x, Complex y) { return {m.sub(x.re, y.re), m.sub(x.im, y.im)}; }
  /// x (c - i s), for `root` = c and s.
  Complex turn(Complex x, Complex root);
  FloatMath &math() { return m; }
  /// Lanes in reversed order.
  mlir::Value reversed(mlir::Value vector);

private:
  mlir::LogicalResult rows(const DftStage &stage);
  mlir::LogicalResult flat(const DftStage &stage);
  mlir::LogicalResult butterflies(const DftStage &stage, LaneIndex from, LaneIndex to, llvm::ArrayRef<Complex> roots);
  /// The same by two loops, for any radix.
  mlir::LogicalResult sums(const DftStage &stage, LaneIndex from, LaneIndex to, LaneIndex p);
  llvm::SmallVector<Complex> butterfly(llvm::ArrayRef<Complex> x);
  llvm::SmallVector<Complex> butterfly4(llvm::ArrayRef<Complex> x);
  llvm::SmallVector<Complex> butterfly8(llvm::ArrayRef<Complex> x);
  llvm::SmallVector<Complex> oddButterfly(llvm::ArrayRef<Complex> x);
  /// w^(p k) for 1 <= k < radix; none where p is always 0.
  llvm::SmallVector<Complex> rootsOf(const DftStage &stage, LaneIndex p);

  CpuKernelEmitter &e;
  mlir::OpBuilder &b;
  FloatMath m;
  mlir::Type type;
};

} // namespace ds

#endif
