//===- Scope.h - What the names of a graph stand for while importing ------===//
// Assumes: names that the importer checked: each is defined once in a graph.
// Guarantees: what was set since a mark can be taken back, at a cost that is that of what was set.
// Declines: looking outside of its own graph (GraphImporter::find).

#ifndef DS_LIB_IMPORT_ONNX_SCOPE_H
#define DS_LIB_IMPORT_ONNX_SCOPE_H

#include "Node.h"

#include "llvm/ADT/StringSet.h"

namespace onnx {
class TensorProto;
}

namespace ds::importer {

struct Body;

/// A sequence that the run makes: the elements one after another (rank 1), and the dims of each (i64, one row an
/// element). Rows of a mixed one, whose elements may differ in rank, have MaxUnknownRank entries, of which those past
/// the element's rank are -1.
struct Sequence {
  Value data, shapes;
  bool isMixed = false;
  unsigned rank() const; ///< of the elements, if it is not mixed
};

/// A tensor, or a list of tensors: lists and optionals exist only while importing.
struct Item {
  Item() = default;
  explicit Item(Value tensor) : tensor(tensor) {}
  explicit Item(llvm::ArrayRef<Value> list, Type element = {}) : list(llvm::to_vector(list)), element(element) {}

  Value tensor;
  std::optional<llvm::SmallVector<Value>> list;
  bool isOptional = false;
  /// Element type of an empty list's tensors.
  Type element;
  std::optional<Sequence> sequence;
  /// Of an optional sequence that the run decides: whether it is there. (An optional tensor that the run decides is a
  /// sequence of one element, or none.)
  Value present;
  /// The sequence is one tensor whose rank the run decides.
  bool isBoxed = false;
  llvm::SmallVector<int64_t> ranks; ///< that a boxed tensor may have
};

/// Names visible in one graph or function body. Initializers become constants at their first use.
class Scope {
public:
  explicit Scope(Scope *outer = nullptr, Body *body = nullptr) : outer(outer), body(body) {}

  Scope *const outer;
  Body *const body; ///< of which this is the outermost scope
  llvm::StringMap<const onnx::TensorProto *> initializers;
  /// Inputs of a function that its call leaves out.
  llvm::StringSet<> absent;

  /// Null where the scope itself does not have the name; the address stays that of the name.
  Item *lookup(llvm::StringRef name) {
    auto found = values.find(name);
    return found == values.end() ? nullptr : &found->second;
  }
  const Item *lookup(llvm::StringRef name) const { return const_cast<Scope *>(this)->lookup(name); }
  Item &set(llvm::StringRef name, Item item);

  /// From here to `release`, what is set can be taken back. Marks are released in the opposite order.
  size_t mark();
  void takeBack(size_t mark);
  void release();

private:
  llvm::StringMap<Item> values;
  /// What names were before they were set, as long as there is a mark.
  std::vector<std::pair<std::string, std::optional<Item>>> changes;
  unsigned marks = 0;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_SCOPE_H
