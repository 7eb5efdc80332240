//===- Schemas.h - What ONNX's own schemas say about a node ---------------===//
// Assumes: the node's operator set version lies in ONNX's range.
// Guarantees: nothing is thrown out of here; ONNX's exceptions become one-line messages.
// Declines: operators without a schema (the caller looks for model-local functions first).

#ifndef DS_LIB_IMPORT_ONNX_SCHEMAS_H
#define DS_LIB_IMPORT_ONNX_SCHEMAS_H

#include "mlir/IR/BuiltinTypes.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace onnx {
class AttributeProto;
class FunctionProto;
class NodeProto;
class OpSchema;
class TensorShapeProto;
} // namespace onnx

namespace ds::importer {

/// The operator's schema at `version` of `domain` (the default domain is the empty string), or null.
const onnx::OpSchema *findSchema(llvm::StringRef op, int64_t version, llvm::StringRef domain);

/// The lowest and highest version of a domain that ONNX knows; {0, 0} for unknown domains.
std::pair<int64_t, int64_t> domainVersions(llvm::StringRef domain);

/// Arity and attributes; the reason or nothing.
std::string checkNode(const onnx::OpSchema &schema, const onnx::NodeProto &node);

/// Element types of the inputs (null where absent) against the schema's type constraints; the reason or nothing.
std::string checkInputTypes(const onnx::OpSchema &schema, llvm::ArrayRef<mlir::Type> elements);

/// True if the schema defines the operator by a body.
bool hasFunctionBody(const onnx::OpSchema &schema, int64_t version);

/// The operator's body for inputs of the given types (null where absent), or null and the reason.
std::shared_ptr<const onnx::FunctionProto> functionBody(const onnx::OpSchema &schema, const onnx::NodeProto &node,
                                                        llvm::ArrayRef<mlir::RankedTensorType> inputs, int64_t version,
                                                        std::string &error);

/// The defaults of the operator's attributes, by name; they live as long as the schema.
void addDefaults(const onnx::OpSchema &schema, llvm::StringMap<const onnx::AttributeProto *> &attributes);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_SCHEMAS_H
