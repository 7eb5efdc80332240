//===- LaneIndex.h - Where the lanes of a vector stand along a dimension --===//
// Assumes: indices are i64 values of the IR being built.
// Guarantees: a cheap value type that remembers whether all lanes agree or are consecutive.
//===----------------------------------------------------------------------===//
#ifndef DS_DIALECT_LANEINDEX_H
#define DS_DIALECT_LANEINDEX_H

#include "mlir/IR/Value.h"
#include <optional>

namespace ds {

/// The index of each of W lanes along one dimension of a tensor:
///   uniform:     every lane at `base`
///   consecutive: lane i at `base + i`
///   general:     lane i at `vector[i]` (vector<Wxi64>)
/// A load through uniform indices is a scalar load, one whose innermost index is consecutive a vector load, anything
/// else a gather.
class LaneIndex {
public:
  enum class Kind { Uniform, Consecutive, General };

  static LaneIndex uniform(mlir::Value base) { return LaneIndex(Kind::Uniform, base); }
  static LaneIndex consecutive(mlir::Value base) { return LaneIndex(Kind::Consecutive, base); }
  static LaneIndex general(mlir::Value vector) { return LaneIndex(Kind::General, vector); }

  Kind getKind() const { return kind; }
  bool isUniform() const { return kind == Kind::Uniform; }
  bool isConsecutive() const { return kind == Kind::Consecutive; }
  /// The scalar i64 base, or the vector of a general index.
  mlir::Value getValue() const { return value; }
  /// The value of a uniform index that is a constant.
  std::optional<int64_t> getConst() const;

  bool operator==(const LaneIndex &other) const { return kind == other.kind && value == other.value; }

private:
  LaneIndex(Kind kind, mlir::Value value) : kind(kind), value(value) {}
  Kind kind;
  mlir::Value value;
};

} // namespace ds

#endif
