//===- TypedData.cpp - Values in the typed fields of a TensorProto --------===//
// Assumes: an untrusted message.
// Guarantees: the bytes that raw_data would have, of as many elements as the field has.
// Declines: judging whether these are as many as the dimensions say.

#include "TypedData.h"

#include <onnx/onnx_pb.h>

using namespace llvm;
using namespace ds::importer;
using onnx::TensorProto;

/// Copies a typed field of the message, whose values may be wider than the elements, into bytes.
template <typename T, typename Field> static Bytes packField(const Field &field) {
  Bytes bytes(size_t(field.size()) * sizeof(T));
  char *to = bytes.data();
  for (auto from : field) {
    T element = static_cast<T>(from);
    std::memcpy(to, &element, sizeof(T));
    to += sizeof(T);
  }
  return bytes;
}

Bytes ds::importer::packTyped(const TensorProto &tensor) {
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return packField<float>(tensor.float_data());
  case TensorProto::DOUBLE:
    return packField<double>(tensor.double_data());
  case TensorProto::INT64:
    return packField<int64_t>(tensor.int64_data());
  case TensorProto::UINT64:
    return packField<uint64_t>(tensor.uint64_data());
  case TensorProto::UINT32:
    return packField<uint32_t>(tensor.uint64_data());
  case TensorProto::INT32:
    return packField<int32_t>(tensor.int32_data());
  case TensorProto::INT16: // the small types share int32_data; halves are stored as their bits
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return packField<int16_t>(tensor.int32_data());
  default:
    return packField<int8_t>(tensor.int32_data());
  }
}

namespace {
class Keeper {
public:
  Keeper(LargeData &data, bool isExtracted) : data(data), isExtracted(isExtracted) {}

  void visit(TensorProto &tensor) {
    if (tensor.has_raw_data()) {
      const std::string &raw = tensor.raw_data();
      if (!isExtracted && raw.size() >= LargeData::TokenBytes)
        tensor.set_raw_data(data.keep(Bytes(ArrayRef<char>(raw.data(), raw.size()))));
      return;
    }
    // Strings, complex numbers and fields of another type stay, for the reader to judge.
    if (tensor.data_location() == TensorProto::EXTERNAL)
      return;
    Bytes packed = packTyped(tensor);
    if (packed.size() < LargeData::TokenBytes)
      return;
    tensor.clear_float_data();
    tensor.clear_double_data();
    tensor.clear_int32_data();
    tensor.clear_int64_data();
    tensor.clear_uint64_data();
    tensor.set_raw_data(data.keep(std::move(packed)));
  }

  void visit(onnx::GraphProto &graph) {
    for (TensorProto &tensor : *graph.mutable_initializer())
      visit(tensor);
    for (onnx::NodeProto &node : *graph.mutable_node())
      visit(node);
  }

  void visit(onnx::NodeProto &node) {
    for (onnx::AttributeProto &attribute : *node.mutable_attribute())
      visit(attribute);
  }

  void visit(onnx::AttributeProto &attribute) {
    if (attribute.has_t())
      visit(*attribute.mutable_t());
    if (attribute.has_g())
      visit(*attribute.mutable_g());
    for (TensorProto &tensor : *attribute.mutable_tensors())
      visit(tensor);
    for (onnx::GraphProto &graph : *attribute.mutable_graphs())
      visit(graph);
  }

private:
  LargeData &data;
  bool isExtracted;
};
} // namespace

void ds::importer::keepLargeData(onnx::ModelProto &model, LargeData &data, bool isExtracted) {
  Keeper keeper(data, isExtracted);
  keeper.visit(*model.mutable_graph());
  for (onnx::FunctionProto &function : *model.mutable_functions()) {
    for (onnx::AttributeProto &attribute : *function.mutable_attribute_proto())
      keeper.visit(attribute);
    for (onnx::NodeProto &node : *function.mutable_node())
      keeper.visit(node);
  }
}
