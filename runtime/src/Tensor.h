//===- Tensor.h - Caller's tensors ------------------------------*- C++ -*-===//
// Assumes: rank and shape were checked.
// Guarantees: element counts and byte sizes are overflow-checked.
// Declines: checking that strides stay within the caller's memory, which nobody can.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_TENSOR_H
#define DS_RUNTIME_TENSOR_H

#include "Support.h"

namespace ds::runtime {

inline constexpr ds_device HostDevice = {DS_DEVICE_CPU, 0};

/// DS_BAD_INPUT for memory that the host cannot address, of the input or output (`What`) of that name.
ds_status checkDevice(ds_device Device, const char *What, const char *Name, ds_error *Error);

/// Bytes of a dense tensor; false where they pass INT64_MAX.
bool denseBytes(const int64_t *Shape, size_t Rank, size_t ElementSize, int64_t &Bytes);

/// Whether the strides are those of a dense row-major tensor (where they matter: not for dimensions of size 1).
bool isDense(const ds_tensor &T, const int64_t *Shape);

/// Copies between a dense tensor and one with the strides of `Strided`.
void copyToDense(void *Dense, const ds_tensor &Strided, const int64_t *Shape);
void copyFromDense(const ds_tensor &Strided, const void *Dense, const int64_t *Shape);

/// Appends "[1, 3, 224]".
void appendShape(Text &Out, const int64_t *Shape, size_t Rank);

} // namespace ds::runtime

#endif
