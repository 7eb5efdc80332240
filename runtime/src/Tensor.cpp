//===- Tensor.cpp - Strided copies -----------------------------------------===//
// Assumes: at most DS_ARTIFACT_MAX_RANK dimensions.
// Guarantees: row-major order on the dense side.
// Declines: speed for layouts other than dense innermost rows.
//===----------------------------------------------------------------------===//
#include "Tensor.h"
#include "Metadata.h"

namespace ds::runtime {

ds_status checkDevice(ds_device Device, const char *What, const char *Name, ds_error *Error) {
  const bool IsHost = Device.device_type == 0 || Device.device_type == DS_DEVICE_CPU;
  if (Device.device_type == DS_DEVICE_CUDA_HOST || (IsHost && Device.device_id == 0))
    return DS_OK;
  if (IsHost)
    return fail(Error, DS_BAD_INPUT, "%s '%s' lies on the host, whose number is 0, given %d", What, Name,
                Device.device_id);
  const bool IsCuda = Device.device_type == DS_DEVICE_CUDA;
  return fail(Error, DS_BAD_INPUT,
              "%s '%s' lies on %s (type %d, number %d), and this runtime is built without; copy it to the host's "
              "memory (type %d)",
              What, Name, IsCuda ? "a CUDA device" : "a device", Device.device_type, Device.device_id, DS_DEVICE_CPU);
}

bool denseBytes(const int64_t *Shape, size_t Rank, size_t ElementSize, int64_t &Bytes) {
  Bytes = int64_t(ElementSize);
  bool Fits = true;
  for (size_t I = 0; I < Rank; ++I) {
    if (Shape[I] == 0) {
      Bytes = 0;
      return true;
    }
    Fits = Fits && multiply(Bytes, Shape[I], Bytes);
  }
  return Fits;
}

bool isDense(const ds_tensor &T, const int64_t *Shape) {
  if (!T.strides)
    return true;
  int64_t Expected = 1;
  for (int32_t I = 0; I < T.rank; ++I)
    if (Shape[I] == 0)
      return true;
  for (int32_t I = T.rank; I-- > 0;) {
    if (Shape[I] != 1 && T.strides[I] != Expected)
      return false;
    Expected *= Shape[I];
  }
  return true;
}

template <bool ToDense> static void copy(char *Dense, char *Strided, const ds_tensor &T, const int64_t *Shape) {
  const int64_t Size = int64_t(dtypeSize(uint32_t(T.dtype)));
  int64_t Index[DS_ARTIFACT_MAX_RANK] = {}, DenseStrides[DS_ARTIFACT_MAX_RANK], Next = 1;
  for (int32_t I = T.rank; I-- > 0; Next *= Shape[I]) {
    if (Shape[I] == 0)
      return;
    DenseStrides[I] = Next;
  }
  const int64_t *Strides = T.strides ? T.strides : DenseStrides;
  auto Move = [&](int64_t Bytes) {
    if constexpr (ToDense)
      memcpy(Dense, Strided, size_t(Bytes));
    else
      memcpy(Strided, Dense, size_t(Bytes));
    Dense += Bytes;
  };
  if (T.rank == 0)
    return Move(Size);
  const int32_t Inner = T.rank - 1;
  for (;;) {
    if (Strides[Inner] == 1) {
      Move(Size * Shape[Inner]);
    } else {
      for (int64_t I = 0; I < Shape[Inner]; ++I, Strided += Strides[Inner] * Size)
        Move(Size);
      Strided -= Shape[Inner] * Strides[Inner] * Size;
    }
    int32_t I = Inner - 1;
    for (; I >= 0; --I) {
      Strided += Strides[I] * Size;
      if (++Index[I] < Shape[I])
        break;
      Strided -= Shape[I] * Strides[I] * Size;
      Index[I] = 0;
    }
    if (I < 0)
      return;
  }
}

void copyToDense(void *Dense, const ds_tensor &Strided, const int64_t *Shape) {
  copy<true>(static_cast<char *>(Dense), static_cast<char *>(Strided.data), Strided, Shape);
}

void copyFromDense(const ds_tensor &Strided, const void *Dense, const int64_t *Shape) {
  copy<false>(static_cast<char *>(const_cast<void *>(Dense)), static_cast<char *>(Strided.data), Strided, Shape);
}

void appendShape(Text &Out, const int64_t *Shape, size_t Rank) {
  Out.append("[");
  for (size_t I = 0; I < Rank; ++I)
    Out.append("%s%lld", I ? ", " : "", static_cast<long long>(Shape[I]));
  Out.append("]");
}

} // namespace ds::runtime
