//===- Support.h - Containers, errors and checked arithmetic ----*- C++ -*-===//
// Assumes: nothing.
// Guarantees: no exceptions, no libstdc++ symbols; a container that cannot get memory says so and stays as it was.
// Declines: element types with constructors or destructors.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_SUPPORT_H
#define DS_RUNTIME_SUPPORT_H

#include "ds_runtime.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <type_traits>

namespace ds::runtime {

/// ds_types.def, by number.
struct ElementType {
  const char *Name;
  unsigned char Bytes, DlpackCode, DlpackBits;
  const char *Npy;
};
inline constexpr ElementType ElementTypes[] = {
    {"unknown", 0, 0, 0, ""},
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, ...) {name, bytes, code, bits, npy},
#include "ds_types.def"
#undef DS_ELEMENT_TYPE
};
static_assert(
    [] {
      uint32_t Number = 0;
      bool InOrder = true;
#define DS_ELEMENT_TYPE(constant, number, ...) InOrder = InOrder && number == ++Number;
#include "ds_types.def"
#undef DS_ELEMENT_TYPE
      return InOrder;
    }(),
    "ds_types.def is in the order of its numbers");
inline constexpr uint32_t ElementTypeCount = sizeof ElementTypes / sizeof *ElementTypes;

/// Writes the message (cut off where too long; line breaks become spaces) and returns `Status`.
[[gnu::format(printf, 3, 4)]] ds_status fail(ds_error *Error, ds_status Status, const char *Format, ...);
ds_status outOfMemory(ds_error *Error);

/// A growing array of plain data. New elements are zero.
template <typename T> class Array {
  static_assert(std::is_trivially_copyable_v<T>);

public:
  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { free(Data); }

  [[nodiscard]] bool resize(size_t N) {
    if (N > Capacity && !grow(N))
      return false;
    if (N > Count)
      memset(static_cast<void *>(Data + Count), 0, (N - Count) * sizeof(T));
    Count = N;
    return true;
  }
  [[nodiscard]] bool push(const T &Element) {
    T Copy = Element;
    if (Count == Capacity && !grow(Count + 1))
      return false;
    Data[Count++] = Copy;
    return true;
  }
  void swap(Array &Other) {
    Array *Pair[2] = {this, &Other};
    T *D = Pair[0]->Data;
    size_t C = Pair[0]->Count, K = Pair[0]->Capacity;
    Pair[0]->Data = Pair[1]->Data, Pair[0]->Count = Pair[1]->Count, Pair[0]->Capacity = Pair[1]->Capacity;
    Pair[1]->Data = D, Pair[1]->Count = C, Pair[1]->Capacity = K;
  }
  T &operator[](size_t I) { return Data[I]; }
  const T &operator[](size_t I) const { return Data[I]; }
  T *data() { return Data; }
  const T *data() const { return Data; }
  size_t size() const { return Count; }
  bool empty() const { return Count == 0; }
  T *begin() { return Data; }
  T *end() { return Data + Count; }
  const T *begin() const { return Data; }
  const T *end() const { return Data + Count; }

private:
  bool grow(size_t N) {
    size_t Wanted = Capacity * 2 > N ? Capacity * 2 : N;
    if (Wanted > SIZE_MAX / sizeof(T))
      return false;
    void *Grown = realloc(static_cast<void *>(Data), Wanted * sizeof(T));
    if (!Grown)
      return false;
    Data = static_cast<T *>(Grown);
    Capacity = Wanted;
    return true;
  }

  T *Data = nullptr;
  size_t Count = 0, Capacity = 0;
};

/// Text built piece by piece. Where memory runs out it stays shorter, and `ok` says so.
class Text {
public:
  Text() = default;
  explicit Text(const char *S) { append("%s", S); }
  [[gnu::format(printf, 2, 3)]] Text &append(const char *Format, ...);
  const char *str() const { return Bytes.empty() ? "" : Bytes.data(); }
  size_t size() const { return Bytes.empty() ? 0 : Bytes.size() - 1; }
  bool empty() const { return size() == 0; }
  bool ok() const { return Ok; }
  void clear() { (void)Bytes.resize(0); }

private:
  Array<char> Bytes; // with the final NUL, or empty
  bool Ok = true;
};

/// An open file that closes itself.
class File {
public:
  explicit File(int Descriptor = -1) : Descriptor(Descriptor) {}
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  ~File() { reset(); }
  void reset(int Other = -1);
  int get() const { return Descriptor; }
  int take() {
    int D = Descriptor;
    Descriptor = -1;
    return D;
  }
  bool isOpen() const { return Descriptor >= 0; }

private:
  int Descriptor;
};

/// Reads exactly `Size` bytes at `Offset`; false with errno, or errno = 0 at the end of the file.
bool readAt(int Descriptor, void *Out, size_t Size, uint64_t Offset);
/// Writes all bytes; false with errno.
bool writeAll(int Descriptor, const void *Data, size_t Size);

inline bool multiply(int64_t A, int64_t B, int64_t &Out) { return !__builtin_mul_overflow(A, B, &Out); }
inline bool add(int64_t A, int64_t B, int64_t &Out) { return !__builtin_add_overflow(A, B, &Out); }

/// `Value` up to the next multiple of a power of two; false past INT64_MAX.
inline bool alignUp(int64_t Value, int64_t Alignment, int64_t &Out) {
  if (!add(Value, Alignment - 1, Out))
    return false;
  Out &= -Alignment;
  return true;
}

} // namespace ds::runtime

#endif
