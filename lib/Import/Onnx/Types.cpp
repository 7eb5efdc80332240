//===- Types.cpp - ONNX's element types -----------------------------------===//
// Guarantees: one table of TensorProto.DataType, without protobuf.

#include "Types.h"

#include "dialects/ds/ir/DsDialect.h"

using namespace llvm;
using namespace mlir;

/// By number; from onnx.proto.
static constexpr StringLiteral TypeNames[] = {
    "UNDEFINED", "FLOAT",      "UINT8",      "INT8",         "UINT16",         "INT16",      "INT32",
    "INT64",     "STRING",     "BOOL",       "FLOAT16",      "DOUBLE",         "UINT32",     "UINT64",
    "COMPLEX64", "COMPLEX128", "BFLOAT16",   "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ",
    "UINT4",     "INT4",       "FLOAT4E2M1", "FLOAT8E8M0",   "UINT2",          "INT2"};

Type ds::importer::elementType(MLIRContext *context, int onnxType) {
  auto integer = [&](unsigned width, bool isUnsigned = false) {
    return IntegerType::get(context, width, isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  StringRef name = onnxTypeName(onnxType);
  if (name == "FLOAT")
    return Float32Type::get(context);
  if (name == "DOUBLE")
    return Float64Type::get(context);
  if (name == "FLOAT16")
    return Float16Type::get(context);
  if (name == "BFLOAT16")
    return BFloat16Type::get(context);
  if (name == "FLOAT8E4M3FN")
    return Float8E4M3FNType::get(context);
  if (name == "FLOAT8E4M3FNUZ")
    return Float8E4M3FNUZType::get(context);
  if (name == "FLOAT8E5M2")
    return Float8E5M2Type::get(context);
  if (name == "FLOAT8E5M2FNUZ")
    return Float8E5M2FNUZType::get(context);
  if (name == "FLOAT4E2M1")
    return Float4E2M1FNType::get(context);
  if (name == "BOOL")
    return integer(1);
  if (name == "STRING")
    return StringType::get(context);
  bool isUnsigned = name.consume_front("U");
  unsigned width;
  if (name.consume_front("INT") && !name.getAsInteger(10, width) && width > 1)
    return integer(width, isUnsigned);
  return {};
}

int ds::importer::onnxType(Type type) {
  for (int candidate = 1; candidate < int(std::size(TypeNames)); ++candidate)
    if (type == elementType(type.getContext(), candidate))
      return candidate;
  return 0;
}

StringRef ds::importer::onnxTypeName(int onnxType) {
  return onnxType >= 0 && onnxType < int(std::size(TypeNames)) ? StringRef(TypeNames[onnxType]) : StringRef("invalid");
}
