//===- Tensors.h - TensorProto to ElementsAttr ----------------------------===//
// Assumes: untrusted messages, whose large data may be moved out of them.
// Guarantees: dims × element size equals the data; large tensors are resources that own (or map) their bytes, uncopied.
// Declines: strings, complex numbers, and floats or integers of fewer than 8 bits, 8-bit floats.

#ifndef DS_LIB_IMPORT_ONNX_TENSORS_H
#define DS_LIB_IMPORT_ONNX_TENSORS_H

#include "LargeData.h"

#include "Types.h"
#include "ds/Import/MappedFile.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace onnx {
class TensorProto;
}

namespace ds::importer {

/// Owned, aligned bytes; large ones lie on pages of 2 MB, where the system has them.
class Bytes {
public:
  explicit Bytes(size_t size);
  Bytes(llvm::ArrayRef<char> from) : Bytes(from.size()) { std::memcpy(data(), from.data(), from.size()); }
  char *data() { return memory.get(); }
  size_t size() const { return length; }
  llvm::MutableArrayRef<char> ref() { return {data(), length}; }
  char *release() { return memory.release(); }

private:
  struct Free {
    void operator()(char *p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> memory;
  size_t length;
};

class TensorReader {
public:
  TensorReader(mlir::MLIRContext *context, llvm::StringRef folder, const LargeData &data)
      : context(context), folder(folder), data(data) {}

  /// The tensor as an attribute, or null and a one-line reason that names the tensor. `name` serves where it has none.
  /// Moves large data out of `tensor`; the same tensor read again gives the same attribute.
  mlir::ElementsAttr read(onnx::TensorProto &tensor, llvm::StringRef name, std::string &error);

private:
  mlir::ElementsAttr readDense(onnx::TensorProto &tensor, mlir::RankedTensorType type, uint64_t bytes,
                               llvm::StringRef name, std::string &error);
  mlir::ElementsAttr fromBytes(mlir::RankedTensorType type, llvm::ArrayRef<char> bytes);
  mlir::ElementsAttr makeResource(mlir::RankedTensorType type, llvm::StringRef name, Bytes bytes);
  mlir::ElementsAttr readExternal(const onnx::TensorProto &tensor, mlir::RankedTensorType type, uint64_t bytes,
                                  llvm::StringRef name, std::string &error);

  mlir::MLIRContext *context;
  std::string folder;
  const LargeData &data;
  llvm::DenseMap<const onnx::TensorProto *, mlir::ElementsAttr> done;
  llvm::StringMap<std::shared_ptr<MappedFile>> mapped;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_TENSORS_H
