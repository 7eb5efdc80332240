//===- Types.h - ONNX's element types -------------------------------------===//
// Guarantees: one table of TensorProto.DataType, without protobuf.

#ifndef DS_LIB_IMPORT_ONNX_TYPES_H
#define DS_LIB_IMPORT_ONNX_TYPES_H

#include "runtime/include/ds_artifact.h"

#include "mlir/IR/BuiltinTypes.h"

namespace ds::importer {

/// What an artifact can say of a tensor.
inline constexpr int MaxRank = DS_ARTIFACT_MAX_RANK;

/// The element type that `onnxType` (a TensorProto.DataType) becomes, or null where it has none.
mlir::Type elementType(mlir::MLIRContext *context, int onnxType);

/// The TensorProto.DataType of `type`, 0 where it has none.
int onnxType(mlir::Type type);

/// ONNX's name of a TensorProto.DataType ("FLOAT16"), for messages.
llvm::StringRef onnxTypeName(int onnxType);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_TYPES_H
