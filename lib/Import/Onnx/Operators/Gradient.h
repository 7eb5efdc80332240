//===- Gradient.h - ai.onnx.preview.training.Gradient ---------------------===//
// Guarantees: see Gradient.cpp.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_IMPORT_ONNX_OPERATORS_GRADIENT_H
#define DS_LIB_IMPORT_ONNX_OPERATORS_GRADIENT_H

namespace ds::importer {

class Node;
/// Its inputs are followed by the values that y, xs and zs name.
void gradient(Node &n);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_OPERATORS_GRADIENT_H
