//===- Heap.h - A heap in the worker's scratch, as generated code ---------===//
// Assumes: entries are pairs of i64, a key and an index; no two have the same index.
// Guarantees: the root is the entry with the least key, of equal ones that with the greatest index. `orderOf` makes a
// key
//   of any number: of the same order (NaN is above all numbers, as in NumPy; -0 and 0 are equal).
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_HEAP_H
#define DS_LIB_CODEGEN_CPU_HEAP_H

#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

/// `value`, of the compute type of `element`, as an i64 of the same order.
mlir::Value orderOf(CpuKernelEmitter &e, mlir::Value value, mlir::Type element);

class Heap {
public:
  struct Entry {
    mlir::Value key, index;
  };
  /// Has room for `capacity` entries.
  Heap(CpuKernelEmitter &e, const SymExpr &capacity);

  Entry get(mlir::Value position);
  void set(mlir::Value position, Entry value);
  /// The key of the root alone.
  mlir::Value rootKey();
  /// Makes a heap of the first `size` entries.
  mlir::LogicalResult build(mlir::Value size);
  /// Puts `moving` into the heap [0, size) whose position `hole` is free, below which all is in order.
  void siftDown(mlir::Value hole, mlir::Value size, Entry moving);

private:
  /// Nearer to the root: a lower key, or the same and a greater index.
  mlir::Value isBefore(Entry a, Entry b);

  CpuKernelEmitter &e;
  mlir::OpBuilder &b;
  mlir::Location loc;
  MemoryRef keys, positions;
};

} // namespace ds

#endif // DS_LIB_CODEGEN_CPU_HEAP_H
