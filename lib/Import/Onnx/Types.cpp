//===- Types.cpp - ONNX's element types -----------------------------------===//
// Guarantees: one table of TensorProto.DataType, without protobuf.

#include "Types.h"

#include "dialects/ds/ir/DsDialect.h"

#include <vector>

using namespace llvm;
using namespace mlir;

/// By number. Those that ds lacks have names, too: for messages.
static ArrayRef<StringRef> typeNames() {
  static const std::vector<StringRef> names = [] {
    std::vector<std::pair<size_t, StringRef>> known = {
        {0, "UNDEFINED"},
        {14, "COMPLEX64"},
        {15, "COMPLEX128"},
        {24, "FLOAT8E8M0"},
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, safetensors, onnx, onnxNumber, kind)           \
  {onnxNumber, onnx},
#include "runtime/include/ds_types.def"
#undef DS_ELEMENT_TYPE
    };
    std::vector<StringRef> names;
    for (auto [number, name] : known) {
      names.resize(std::max(names.size(), number + 1), "invalid");
      names[number] = name;
    }
    return names;
  }();
  return names;
}

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
  for (int candidate = 1; candidate < int(typeNames().size()); ++candidate)
    if (type == elementType(type.getContext(), candidate))
      return candidate;
  return 0;
}

StringRef ds::importer::onnxTypeName(int onnxType) {
  return onnxType >= 0 && onnxType < int(typeNames().size()) ? typeNames()[onnxType] : StringRef("invalid");
}
