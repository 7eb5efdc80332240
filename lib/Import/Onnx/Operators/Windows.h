//===- Windows.h - Window attributes of convolutions and pools ------------===//
// Assumes: see Node.h.
// Guarantees: one entry a spatial dim; strides and dilations are positive.
// Declines: SAME padding whose amount depends on a symbolic size and a stride (the caller pads explicitly).

#ifndef DS_LIB_IMPORT_ONNX_WINDOWS_H
#define DS_LIB_IMPORT_ONNX_WINDOWS_H

#include "../Node.h"

namespace ds::importer {

struct Window {
  Ints kernel, strides, dilations, low, high;
  /// SAME padding whose amounts are expressions; low and high are then 0.
  bool symbolic = false;
  SymDims symbolicLow, symbolicHigh;
};

/// Reads kernel_shape (or takes `kernel`), strides, dilations, pads and auto_pad. `x` has rank 3 or more.
std::optional<Window> readWindow(Node &n, Value x, llvm::ArrayRef<int64_t> kernel = {});

/// `x` padded by the window's symbolic amounts with `value` (null: 0); x itself where there are none.
Value applySymbolicPadding(Node &n, Value x, const Window &window, Value value = {});

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_WINDOWS_H
