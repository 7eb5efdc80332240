//===- TypedData.h - Values in the typed fields of a TensorProto ----------===//
// Assumes: an untrusted message.
// Guarantees: the bytes that raw_data would have, of as many elements as the field has.
// Declines: judging whether these are as many as the dimensions say.

#ifndef DS_LIB_IMPORT_ONNX_TYPEDDATA_H
#define DS_LIB_IMPORT_ONNX_TYPEDDATA_H

#include "LargeData.h"

namespace onnx {
class ModelProto;
class TensorProto;
} // namespace onnx

namespace ds::importer {

/// The elements of the field that belongs to the tensor's element type.
Bytes packTyped(const onnx::TensorProto &tensor);

/// Moves the data of all large tensors of `model` into `data`: each has a token afterwards, and the message is small.
/// Raw data that `data` extracted already is that.
void keepLargeData(onnx::ModelProto &model, LargeData &data, bool isExtracted);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_TYPEDDATA_H
