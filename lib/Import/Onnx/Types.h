//===- Types.h - ONNX's element types -------------------------------------===//
// Guarantees: one table of TensorProto.DataType, without protobuf.

#ifndef DS_LIB_IMPORT_ONNX_TYPES_H
#define DS_LIB_IMPORT_ONNX_TYPES_H

#include "mlir/IR/BuiltinTypes.h"

namespace ds::importer {

/// The element type that `onnxType` (a TensorProto.DataType) becomes, or null where it has none.
mlir::Type elementType(mlir::MLIRContext *context, int onnxType);

/// The TensorProto.DataType of `type`, 0 where it has none.
int onnxType(mlir::Type type);

/// ONNX's name of a TensorProto.DataType ("FLOAT16"), for messages.
llvm::StringRef onnxTypeName(int onnxType);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_TYPES_H
