//===- SequenceBuilder.h - Ops on sequences that the run makes ------------===//
// Assumes: the elements of one sequence have the same type.
// Guarantees: a sequence is two tensors: all elements one after another, and a row with the dims of each. Where
// elements
//   differ in rank (a mixed sequence) rows have one width, filled up with -1.
// Declines: sequences of sequences.
// Private to lib/Import/Onnx.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_IMPORT_ONNX_SEQUENCEBUILDER_H
#define DS_LIB_IMPORT_ONNX_SEQUENCEBUILDER_H

#include "GraphImporter.h"

namespace ds::importer {

/// Ops on one sequence's tensors.
class SequenceBuilder {
public:
  explicit SequenceBuilder(Node &n) : n(n) {}

  Value flat(Value x);
  /// The dims of `x` as a row.
  Value row(Value x);
  Sequence empty(Type element, unsigned rank, bool isMixed = false);
  Sequence of(llvm::ArrayRef<Value> values);
  /// Rows of any width as those of a mixed sequence.
  Value padded(Value rows);
  Sequence mixed(const Sequence &s);
  /// The rank of each element.
  Value ranks(const Sequence &s);
  Value highestRank(const Sequence &s);
  /// A mixed sequence all of whose elements have `rank`, which the importer makes sure of.
  Sequence uniform(const Sequence &s, int64_t rank);
  Value lowestRank(const Sequence &s, int64_t rank);
  /// An element of a mixed sequence: its elements, and its dims as a row.
  Sequence boxedAt(const Sequence &s, Value position);
  SymExpr count(const Sequence &s);
  SymExpr length(const Sequence &s);

  Value at(const Sequence &s, Value position);
  Sequence insert(const Sequence &s, Value x, Value position);
  Sequence erase(const Sequence &s, Value position);
  /// Along the first axis (`fresh`: a new one).
  Value joined(const Sequence &s, bool fresh);
  /// One part of `x` along axis 0 for each of `lengths`.
  Sequence split(Value x, Value lengths, bool squeeze);
  Value countOf(const Sequence &s);

private:
  Value cut(Value x, const SymExpr &start, const SymExpr &size);
  Value element(const Sequence &s, const SymExpr &offset, llvm::ArrayRef<SymExpr> dims);
  /// Elements of each tensor.
  Value sizes(const Sequence &s);
  Value zero();
  Value starts(const Sequence &s);
  Value total(const Sequence &s);
  Value rowAt(const Sequence &s, Value p);
  /// As a list of one, counted from the front.
  Value place(const Sequence &s, Value position);
  /// Numbers that are read while the model runs.
  llvm::SmallVector<SymExpr> bind(llvm::ArrayRef<Value> lists);
  // So that indexing what a failure left is harmless.
  static constexpr size_t MaxNumbers = 80;
  static constexpr int64_t Width = GraphImporter::MaxUnknownRank;

  Node &n;
};

} // namespace ds::importer

#endif
