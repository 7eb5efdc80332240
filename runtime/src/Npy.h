//===- Npy.h - NumPy's array files ------------------------------*- C++ -*-===//
// Assumes: nothing about the bytes read.
// Guarantees: an array that was read is dense, row-major, and as large as its shape says; a Fortran-ordered one is
//   copied.
// Declines: big-endian, structured, complex and object arrays.
//
// Texts ('<U5', '|S5') are read as strings (DS_STRING) in UTF-8, without the NULs at their ends, and written as '<U'.
// bfloat16 has no type of NumPy's own; it is written, and read, as '<V2', which is what np.save makes of
// ml_dtypes.bfloat16 (np.load(f).view(ml_dtypes.bfloat16) gives it back). So are the types of a byte or less, as '|V1'
// (DS_INT2 when read: the model knows which of them it is).
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_NPY_H
#define DS_RUNTIME_NPY_H

#include "Support.h"

namespace ds::runtime {

/// An array and the memory that holds it.
struct NpyArray {
  int32_t Dtype = 0;
  Array<int64_t> Shape;
  const char *Data = nullptr; // within Buffer
  size_t Bytes = 0;
  void *Buffer = nullptr; // of aligned_alloc

  NpyArray() = default;
  NpyArray(const NpyArray &) = delete;
  NpyArray &operator=(const NpyArray &) = delete;
  ~NpyArray() { free(Buffer); }
  void take(NpyArray &Other) {
    free(Buffer);
    Dtype = Other.Dtype, Data = Other.Data, Bytes = Other.Bytes, Buffer = Other.Buffer;
    Shape.swap(Other.Shape);
    Other.Buffer = nullptr;
  }

  ds_tensor tensor() const { return {const_cast<char *>(Data), Dtype, int32_t(Shape.size()), Shape.data(), nullptr}; }
};

/// Memory for npy files: 64-byte aligned.
void *allocateFileBuffer(size_t Size);

/// Takes over `Buffer`, which holds a whole .npy file. `Name` is for messages.
ds_status parseNpy(void *Buffer, size_t Size, const char *Name, NpyArray &Out, ds_error *Error);
ds_status readNpy(const char *Path, NpyArray &Out, ds_error *Error);
/// The same of bytes that live as long as the array, which stays in them where it is row-major numbers.
ds_status borrowNpy(const void *Bytes, size_t Size, const char *Name, NpyArray &Out, ds_error *Error);

/// A file in memory, read as it is looked at. `What` is what it should be, for the message: "a .npz file".
class FileMap {
public:
  FileMap() = default;
  FileMap(const FileMap &) = delete;
  FileMap &operator=(const FileMap &) = delete;
  ~FileMap() { close(); }
  ds_status open(const char *Path, const char *What, ds_error *Error);
  void close();
  const unsigned char *data() const { return Data; }
  size_t size() const { return Size; }
  void swap(FileMap &Other) {
    const unsigned char *D = Data;
    const size_t S = Size;
    Data = Other.Data, Size = Other.Size;
    Other.Data = D, Other.Size = S;
  }

private:
  const unsigned char *Data = nullptr;
  size_t Size = 0;
};

/// What a .npy file of a dense tensor has before the data: `Start`, then `Header`. `Type` is that of strings, whose
/// width differs from file to file; otherwise NULL.
void describeNpy(const char *Type, const ds_tensor &Tensor, unsigned char (&Start)[10], Text &Header);

/// Writes to a temporary file beside `Path` and renames it, so that no half of a file is left.
ds_status writeNpy(const char *Path, const ds_tensor &Dense, ds_error *Error);

/// Calls `Take` for each array in a .npz file (stored or deflated), with its name without ".npy".
using NpzVisitor = ds_status (*)(void *Context, const char *Name, NpyArray &Array, ds_error *Error);
ds_status readNpz(const char *Path, NpzVisitor Take, void *Context, ds_error *Error);

/// The same of a mapped file, which lives as long as the arrays: those that are stored uncompressed stay in it, and are
/// not compared with their checksum, which would read them all. `Wants` says whether an array is read at all.
ds_status borrowNpz(const FileMap &File, const char *Path, bool (*Wants)(void *Context, const char *Name),
                    NpzVisitor Take, void *Context, ds_error *Error);

} // namespace ds::runtime

#endif
