//===- Npz.cpp - Reads .npz, a ZIP file of arrays ----------------------------===//
// Assumes: PKWARE's APPNOTE 6.3.10; ZIP64 included.
// Guarantees: sizes are checked against the file before memory is taken; each array's checksum is checked.
// Declines: encryption, archives in several files, methods other than stored and deflated.
//===----------------------------------------------------------------------===//
#include "Inflate.h"
#include "Npy.h"
#include <initializer_list>

namespace ds::runtime {

namespace {

// DEFLATE cannot do better than about 1032 to 1: a larger claim is a lie.
constexpr uint64_t MaxRatio = 1100;

struct Entry {
  Text Name;
  uint64_t Packed = 0, Size = 0, Offset = 0;
  uint32_t Crc = 0;
  unsigned Method = 0, Flags = 0;
};

class ZipReader {
public:
  ZipReader(const unsigned char *Data, size_t Size) : Data(Data), Size(Size) {}

  /// NULL, or what is wrong.
  const char *findDirectory() {
    if (Size < 22)
      return "it is too short";
    size_t At = Size - 22;
    for (size_t Tries = 0; number(At, 4) != 0x06054B50; --At, ++Tries)
      if (At == 0 || Tries > 65535)
        return "it has no central directory (truncated?)";
    Count = number(At + 10, 2);
    Directory = number(At + 16, 4);
    if (Count == 0xFFFF || Directory == 0xFFFFFFFF || number(At + 12, 4) == 0xFFFFFFFF) {
      if (At < 20 || number(At - 20, 4) != 0x07064B50)
        return "its ZIP64 directory is missing";
      const uint64_t At64 = number(At - 20 + 8, 8);
      if (!inside(At64, 56) || number(At64, 4) != 0x06064B50)
        return "its ZIP64 directory is damaged";
      Count = number(At64 + 32, 8);
      Directory = number(At64 + 48, 8);
    }
    return nullptr;
  }

  uint64_t entries() const { return Count; }

  /// Reads the directory's next entry.
  const char *next(Entry &E) {
    if (!inside(Directory, 46) || number(Directory, 4) != 0x02014B50)
      return "its central directory is damaged";
    const uint64_t NameLength = number(Directory + 28, 2), ExtraLength = number(Directory + 30, 2),
                   CommentLength = number(Directory + 32, 2);
    if (!inside(Directory, 46 + NameLength + ExtraLength + CommentLength))
      return "its central directory is truncated";
    E.Flags = unsigned(number(Directory + 8, 2));
    E.Method = unsigned(number(Directory + 10, 2));
    E.Crc = uint32_t(number(Directory + 16, 4));
    E.Packed = number(Directory + 20, 4);
    E.Size = number(Directory + 24, 4);
    E.Offset = number(Directory + 42, 4);
    E.Name.append("%.*s", int(NameLength), reinterpret_cast<const char *>(Data + Directory + 46));
    const uint64_t ExtraEnd = Directory + 46 + NameLength + ExtraLength;
    for (uint64_t At = Directory + 46 + NameLength; At + 4 <= ExtraEnd;) {
      const uint64_t Kind = number(At, 2), End = At + 4 + number(At + 2, 2);
      if (End > ExtraEnd)
        return "its central directory is damaged";
      At += 4;
      if (Kind == 1)
        for (uint64_t *Field : {&E.Size, &E.Packed, &E.Offset})
          if (*Field == 0xFFFFFFFF && At + 8 <= End) {
            *Field = number(At, 8);
            At += 8;
          }
      At = End;
    }
    Directory = ExtraEnd + CommentLength;
    return nullptr;
  }

  /// Where the entry's bytes lie as they are stored.
  const char *find(const Entry &E, const unsigned char *&Out) const {
    if (E.Flags & 1)
      return "is encrypted";
    if (!inside(E.Offset, 30) || number(E.Offset, 4) != 0x04034B50)
      return "is not where the directory says";
    const uint64_t Start = E.Offset + 30 + number(E.Offset + 26, 2) + number(E.Offset + 28, 2);
    if (!inside(Start, E.Packed))
      return "is truncated";
    if (E.Method != 0 && E.Method != 8)
      return "is compressed by a method other than deflate";
    if (E.Method == 0 ? E.Size != E.Packed : E.Size / MaxRatio > E.Packed)
      return "has a size that cannot be";
    Out = Data + Start;
    return nullptr;
  }

  /// The entry's decompressed bytes, in memory of allocateFileBuffer.
  const char *extract(const Entry &E, void *&Out) const {
    const unsigned char *From;
    if (const char *Problem = find(E, From))
      return Problem;
    Out = allocateFileBuffer(E.Size);
    if (!Out)
      return "needs more memory than there is";
    if (E.Method == 0)
      memcpy(Out, From, E.Size);
    if ((E.Method == 8 && !inflate(From, E.Packed, Out, E.Size)) || crc32(Out, E.Size) != E.Crc) {
      free(Out);
      return "is damaged (its checksum does not match)";
    }
    return nullptr;
  }

private:
  const unsigned char *Data;
  uint64_t Size, Count = 0, Directory = 0;

  bool inside(uint64_t Offset, uint64_t Length) const { return Offset <= Size && Length <= Size - Offset; }
  uint64_t number(uint64_t Offset, unsigned Bytes) const {
    uint64_t Value = 0;
    if (inside(Offset, Bytes))
      memcpy(&Value, Data + Offset, Bytes);
    return Value;
  }
};

} // namespace

/// Without `Wants`, all arrays are read, and none stays in the file.
static ds_status readEntries(ZipReader &Zip, const char *Path, bool (*Wants)(void *, const char *), NpzVisitor Take,
                             void *Context, ds_error *Error) {
  if (const char *Problem = Zip.findDirectory())
    return fail(Error, DS_BAD_INPUT, "'%s' is not a proper .npz file: %s", Path, Problem);
  for (uint64_t I = 0; I < Zip.entries(); ++I) {
    Entry E;
    if (const char *Problem = Zip.next(E))
      return fail(Error, DS_BAD_INPUT, "'%s' is not a proper .npz file: %s", Path, Problem);
    Text Name, Where;
    const size_t Length = E.Name.size();
    const bool HasSuffix = Length > 4 && !strcmp(E.Name.str() + Length - 4, ".npy");
    Name.append("%.*s", int(HasSuffix ? Length - 4 : Length), E.Name.str());
    Where.append("%s:%s", Path, E.Name.str());
    if (!Name.ok() || !Where.ok())
      return outOfMemory(Error);
    if (Wants && !Wants(Context, Name.str()))
      continue;
    const bool Stays = Wants && E.Method == 0;
    const unsigned char *From = nullptr;
    void *Buffer = nullptr;
    if (const char *Problem = Stays ? Zip.find(E, From) : Zip.extract(E, Buffer))
      return fail(Error, DS_BAD_INPUT, "'%s' in '%s' %s", E.Name.str(), Path, Problem);
    NpyArray Array;
    if (ds_status Status = Stays ? borrowNpy(From, E.Size, Where.str(), Array, Error)
                                 : parseNpy(Buffer, E.Size, Where.str(), Array, Error))
      return Status;
    if (ds_status Status = Take(Context, Name.str(), Array, Error))
      return Status;
  }
  return DS_OK;
}

ds_status readNpz(const char *Path, NpzVisitor Take, void *Context, ds_error *Error) {
  FileMap Map;
  if (ds_status Status = Map.open(Path, "a .npz file", Error))
    return Status;
  ZipReader Zip(Map.data(), Map.size());
  return readEntries(Zip, Path, nullptr, Take, Context, Error);
}

ds_status borrowNpz(const FileMap &File, const char *Path, bool (*Wants)(void *, const char *), NpzVisitor Take,
                    void *Context, ds_error *Error) {
  ZipReader Zip(File.data(), File.size());
  return readEntries(Zip, Path, Wants, Take, Context, Error);
}

} // namespace ds::runtime
