//===- Tensors.h - TensorProto to ElementsAttr ----------------------------===//
// Assumes: untrusted messages, whose large data are tokens.
// Guarantees: dims × element size equals the data; large tensors are resources that own (or map) their bytes, uncopied;
//   tensors of equal type and contents are one attribute, wherever their messages lie.
// Declines: strings, complex numbers, and floats or integers of fewer than 8 bits, 8-bit floats.

#ifndef DS_LIB_IMPORT_ONNX_TENSORS_H
#define DS_LIB_IMPORT_ONNX_TENSORS_H

#include "LargeData.h"

#include "Types.h"
#include "ds/Import/MappedFile.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"

#include <map>
#include <memory>
#include <string>

namespace onnx {
class TensorProto;
}

namespace ds::importer {

class TensorReader {
public:
  TensorReader(mlir::MLIRContext *context, llvm::StringRef folder, const LargeData &data)
      : context(context), folder(folder), data(data) {}

  /// The tensor as an attribute, or null and a one-line reason that names the tensor. `name` serves where it has none.
  mlir::ElementsAttr read(const onnx::TensorProto &tensor, llvm::StringRef name, std::string &error);

private:
  mlir::ElementsAttr readDense(const onnx::TensorProto &tensor, mlir::RankedTensorType type, uint64_t bytes,
                               llvm::StringRef name, std::string &error);
  mlir::ElementsAttr fromBytes(mlir::RankedTensorType type, llvm::ArrayRef<char> bytes);
  mlir::ElementsAttr makeResource(mlir::RankedTensorType type, llvm::StringRef name, std::shared_ptr<Bytes> bytes);
  mlir::ElementsAttr makeResource(mlir::RankedTensorType type, llvm::StringRef name, Bytes bytes) {
    return makeResource(type, name, std::make_shared<Bytes>(std::move(bytes)));
  }
  mlir::ElementsAttr readExternal(const onnx::TensorProto &tensor, mlir::RankedTensorType type, uint64_t bytes,
                                  llvm::StringRef name, std::string &error);

  mlir::MLIRContext *context;
  std::string folder;
  const LargeData &data;
  /// By what says their contents: the type, and the number of a token, the place of external data, or the bytes
  /// themselves. (An address would not: bodies of operators that ONNX makes for a node are freed after it.)
  std::map<std::pair<const void *, std::string>, mlir::ElementsAttr> done;
  llvm::StringMap<std::shared_ptr<MappedFile>> mapped;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_TENSORS_H
