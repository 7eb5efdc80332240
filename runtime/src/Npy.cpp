//===- Npy.cpp - Reads and writes .npy ---------------------------------------===//
// Assumes: format versions 1 to 3 (numpy.lib.format).
// Guarantees: each rejection is one line that names the file.
// Declines: see Npy.h.
//===----------------------------------------------------------------------===//
#include "Npy.h"
#include "Metadata.h"
#include "Tensor.h"
#include "Utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ds::runtime {

void *allocateFileBuffer(size_t Size) { return aligned_alloc(64, (Size + 64) & ~size_t(63)); }

namespace {

/// The header is the text of a Python dictionary; this reads the three entries that the format allows.
class HeaderParser {
public:
  HeaderParser(const char *Begin, const char *End) : At(Begin), End(End) {}

  Text Type;
  bool IsFortran = false;
  Array<int64_t> Shape;

  /// NULL, or what is wrong.
  const char *parse() {
    bool HasType = false, HasOrder = false, HasShape = false;
    if (!take('{'))
      return "its header is no dictionary";
    while (!take('}')) {
      Text Key;
      if (!string(Key) || !take(':'))
        return "its header is damaged";
      if (!strcmp(Key.str(), "descr")) {
        skipSpace();
        if (At < End && *At == '[')
          return "it has a structured type";
        if (HasType || !string(Type))
          return "its header has no proper 'descr'";
        HasType = true;
      } else if (!strcmp(Key.str(), "fortran_order")) {
        if (HasOrder || !boolean(IsFortran))
          return "its header has no proper 'fortran_order'";
        HasOrder = true;
      } else if (!strcmp(Key.str(), "shape")) {
        if (HasShape || !tuple())
          return "its header has no proper 'shape'";
        HasShape = true;
      } else {
        return "its header has an unknown entry";
      }
      if (!take(',')) {
        if (!take('}'))
          return "its header is damaged";
        break;
      }
    }
    return HasType && HasOrder && HasShape ? nullptr : "its header lacks 'descr', 'fortran_order' or 'shape'";
  }

private:
  const char *At, *End;

  void skipSpace() {
    while (At < End && (*At == ' ' || *At == '\n' || *At == '\t' || *At == '\r'))
      ++At;
  }
  bool take(char C) {
    skipSpace();
    if (At == End || *At != C)
      return false;
    ++At;
    return true;
  }
  bool word(const char *W) {
    size_t Length = strlen(W);
    if (size_t(End - At) < Length || memcmp(At, W, Length))
      return false;
    At += Length;
    return true;
  }
  bool string(Text &Out) {
    skipSpace();
    if (At == End || (*At != '\'' && *At != '"'))
      return false;
    const char Quote = *At++;
    const char *Start = At;
    while (At < End && *At != Quote && *At != '\\')
      ++At;
    if (At == End || *At != Quote)
      return false;
    Out.append("%.*s", int(At - Start < 256 ? At - Start : 256), Start);
    ++At;
    return Out.ok();
  }
  bool boolean(bool &Out) {
    skipSpace();
    Out = word("True");
    return Out || word("False");
  }
  bool tuple() {
    if (!take('('))
      return false;
    while (!take(')')) {
      skipSpace();
      int64_t Value = 0;
      const char *Start = At;
      for (; At < End && *At >= '0' && *At <= '9'; ++At)
        if (!multiply(Value, 10, Value) || !add(Value, *At - '0', Value))
          return false;
      if (At == Start || !Shape.push(Value) || Shape.size() > DS_ARTIFACT_MAX_RANK)
        return false;
      (void)word("L"); // Python 2 wrote long numbers so
      if (!take(',')) {
        if (!take(')'))
          return false;
        break;
      }
    }
    return true;
  }
};

/// The size in bytes of the elements of text ('<U5': 4 bytes a character, '|S5'), or 0 for another type.
size_t textWidth(const char *Type) {
  if (*Type != '<' && *Type != '|' && *Type != '=')
    return 0;
  if (Type[1] != 'U' && Type[1] != 'S')
    return 0;
  size_t Width = 0;
  for (const char *At = Type + 2; *At; ++At) {
    if (*At < '0' || *At > '9' || Width > (1u << 24))
      return 0;
    Width = Width * 10 + size_t(*At - '0');
  }
  return size_t(Width) * (Type[1] == 'U' ? 4 : 1);
}

/// Instead of fixed width the strings, and the bytes that they point to.
ds_status takeText(const char *From, size_t Width, bool Wide, size_t Count, const char *Name, NpyArray &Out,
                   ds_error *Error) {
  // A file without any data must not take memory without end.
  if (!Width && Count > (1u << 20))
    return fail(Error, DS_BAD_INPUT, "'%s' says that it has %zu strings without a character", Name, Count);
  size_t Bytes;
  // At most 4 bytes a character, as in the file, and a NUL.
  if (__builtin_mul_overflow(Count, sizeof(ds_string) + Width + 1, &Bytes))
    return outOfMemory(Error);
  void *Buffer = allocateFileBuffer(Bytes);
  if (!Buffer)
    return outOfMemory(Error);
  auto *Strings = static_cast<ds_string *>(Buffer);
  char *To = reinterpret_cast<char *>(Strings + Count);
  for (size_t I = 0; I < Count; ++I, From += Width) {
    Strings[I].data = To;
    size_t Length = Width; // without the NULs at the end
    while (Length && !From[Length - 1])
      --Length;
    if (!Wide) {
      memcpy(To, From, Length);
      To += Length;
    }
    for (size_t At = 0; Wide && At < Length; At += 4) {
      uint32_t Character;
      memcpy(&Character, From + At, 4);
      if (Character > 0x10FFFF || (Character >= 0xD800 && Character < 0xE000)) {
        free(Buffer);
        return fail(Error, DS_BAD_INPUT, "'%s' has no proper character in its string number %zu: 0x%x", Name, I,
                    Character);
      }
      To += encodeUtf8(Character, To);
    }
    Strings[I].size = size_t(To - Strings[I].data);
    *To++ = 0;
  }
  free(Out.Buffer);
  Out.Buffer = Buffer;
  Out.Dtype = DS_STRING;
  Out.Data = static_cast<char *>(Buffer);
  Out.Bytes = Count * sizeof(ds_string);
  return DS_OK;
}

/// Copies elements whose first dimension runs fastest to where the last one does. None of the dimensions is 0.
void toRowMajor(const char *From, char *To, size_t Bytes, const Array<int64_t> &Shape) {
  const size_t Rank = Shape.size();
  int64_t Index[DS_ARTIFACT_MAX_RANK] = {}, Strides[DS_ARTIFACT_MAX_RANK], Count = 1;
  for (size_t D = 0; D < Rank; ++D) {
    Strides[D] = Count;
    Count *= Shape[D];
  }
  int64_t Source = 0;
  for (int64_t I = 0; I < Count; ++I, To += Bytes) {
    memcpy(To, From + size_t(Source) * Bytes, Bytes);
    for (size_t D = Rank; D-- > 0;) {
      Source += Strides[D];
      if (++Index[D] < Shape[D])
        break;
      Source -= Strides[D] * Shape[D];
      Index[D] = 0;
    }
  }
}

const char *typeProblem(const char *Type, int32_t &Dtype) {
  const char *Name = Type + (*Type ? 1 : 0);
  for (uint32_t I = 1; I < ElementTypeCount; ++I)
    if (*ElementTypes[I].Npy && !strcmp(ElementTypes[I].Npy, Name))
      Dtype = int32_t(I);
  switch (*Type) {
  case '<':
  case '|':
  case '=':
    // What np.save makes of ml_dtypes' small types: which one it is, the model's input says.
    if (!strcmp(Name, "V1"))
      Dtype = DS_INT2;
    return Dtype ? nullptr : "has a type that models do not have";
  case '>':
    return dtypeSize(uint32_t(Dtype)) == 1 ? nullptr : "is big-endian; save it with .astype(a.dtype.newbyteorder('<'))";
  default:
    return "has no proper type";
  }
}

/// What a .npy file's header says of the data after it.
struct NpyLayout {
  int32_t Dtype = 0;
  bool IsText = false, IsWide = false, IsReversed = false;
  size_t ElementBytes = 0, Bytes = 0;
  const char *Data = nullptr;
  Array<int64_t> Shape;

  ds_status read(const void *Buffer, size_t Size, const char *Name, ds_error *Error);
};

ds_status NpyLayout::read(const void *Buffer, size_t Size, const char *Name, ds_error *Error) {
  const unsigned char *File = static_cast<const unsigned char *>(Buffer);
  if (Size < 10 || memcmp(File, "\x93NUMPY", 6))
    return fail(Error, DS_BAD_INPUT, "'%s' is not a .npy file", Name);
  const unsigned Version = File[6];
  if (Version < 1 || Version > 3 || File[7] != 0)
    return fail(Error, DS_BAD_INPUT, "'%s' has .npy version %u.%u; 1.0, 2.0 and 3.0 are known", Name, Version, File[7]);
  const size_t Start = Version == 1 ? 10 : 12;
  size_t Length = File[8] | size_t(File[9]) << 8;
  if (Version > 1 && Size >= 12)
    Length |= size_t(File[10]) << 16 | size_t(File[11]) << 24;
  if (Size < Start || Length > Size - Start)
    return fail(Error, DS_BAD_INPUT, "'%s' is truncated: its header has %zu bytes, %zu bytes are left", Name, Length,
                Size < Start ? 0 : Size - Start);
  const char *Header = reinterpret_cast<const char *>(File + Start);
  HeaderParser Parser(Header, Header + Length);
  if (const char *Problem = Parser.parse())
    return fail(Error, DS_BAD_INPUT, "'%s' is not a proper .npy file: %s", Name, Problem);
  const char *Type = Parser.Type.str();
  IsWide = Type[0] && Type[1] == 'U';
  const size_t Width = textWidth(Type);
  // Texts without characters have no bytes at all.
  IsText = Width || ((*Type == '<' || *Type == '|') && (!strcmp(Type + 1, "U0") || !strcmp(Type + 1, "S0")));
  if (IsText)
    Dtype = DS_STRING;
  else if (const char *Problem = typeProblem(Parser.Type.str(), Dtype))
    return fail(Error, DS_BAD_INPUT, "'%s' %s (type '%s')", Name, Problem, Parser.Type.str());
  // With at most one dimension longer than 1 both orders are the same.
  size_t Long = 0;
  for (int64_t D : Parser.Shape)
    Long += D != 1;
  IsReversed = Parser.IsFortran && Long > 1;
  int64_t Needed;
  Text Shown;
  appendShape(Shown, Parser.Shape.data(), Parser.Shape.size());
  ElementBytes = IsText ? Width : dtypeSize(uint32_t(Dtype));
  if (!denseBytes(Parser.Shape.data(), Parser.Shape.size(), ElementBytes, Needed))
    return fail(Error, DS_BAD_INPUT, "'%s' cannot have the shape %s that it claims", Name, Shown.str());
  const size_t Left = Size - Start - Length;
  if (uint64_t(Needed) != Left)
    return fail(Error, DS_BAD_INPUT, "'%s' %s: %s of shape %s has %lld bytes, but %zu are there", Name,
                Left < uint64_t(Needed) ? "is truncated" : "has more data than its header says", ds_dtype_name(Dtype),
                Shown.str(), static_cast<long long>(Needed), Left);
  Data = Header + Length;
  Bytes = Left;
  Shape.swap(Parser.Shape);
  return DS_OK;
}

/// The array of a file in `Buffer`, which the array has already, or which lives elsewhere.
static ds_status takeArray(NpyLayout &From, const char *Name, NpyArray &Out, ds_error *Error) {
  const char *Data = From.Data;
  if (From.IsReversed && From.Bytes) {
    void *Ordered = allocateFileBuffer(From.Bytes);
    if (!Ordered)
      return outOfMemory(Error);
    toRowMajor(Data, static_cast<char *>(Ordered), From.ElementBytes, From.Shape);
    free(Out.Buffer);
    Out.Buffer = Ordered;
    Data = static_cast<const char *>(Ordered);
  }
  Out.Shape.swap(From.Shape);
  if (From.IsText) {
    int64_t Count;
    Text Shown;
    appendShape(Shown, Out.Shape.data(), Out.Shape.size());
    if (!denseBytes(Out.Shape.data(), Out.Shape.size(), 1, Count))
      return fail(Error, DS_BAD_INPUT, "'%s' cannot have the shape %s that it claims", Name, Shown.str());
    return takeText(Data, From.ElementBytes, From.IsWide, size_t(Count), Name, Out, Error);
  }
  Out.Dtype = From.Dtype;
  Out.Data = Data;
  Out.Bytes = From.Bytes;
  return DS_OK;
}

} // namespace

ds_status parseNpy(void *Buffer, size_t Size, const char *Name, NpyArray &Out, ds_error *Error) {
  free(Out.Buffer);
  Out.Buffer = Buffer;
  NpyLayout Layout;
  if (ds_status Status = Layout.read(Buffer, Size, Name, Error))
    return Status;
  return takeArray(Layout, Name, Out, Error);
}

ds_status borrowNpy(const void *Bytes, size_t Size, const char *Name, NpyArray &Out, ds_error *Error) {
  free(Out.Buffer);
  Out.Buffer = nullptr;
  NpyLayout Layout;
  if (ds_status Status = Layout.read(Bytes, Size, Name, Error))
    return Status;
  return takeArray(Layout, Name, Out, Error);
}

ds_status FileMap::open(const char *Path, const char *What, ds_error *Error) {
  close();
  File Opened(::open(Path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat Info;
  if (!Opened.isOpen() || fstat(Opened.get(), &Info))
    return fail(Error, DS_IO_ERROR, "cannot open '%s': %s", Path, strerror(errno));
  if (!S_ISREG(Info.st_mode) || Info.st_size == 0)
    return fail(Error, DS_BAD_INPUT, "'%s' is %s, not %s", Path, S_ISREG(Info.st_mode) ? "empty" : "no regular file",
                What);
  void *Map = mmap(nullptr, size_t(Info.st_size), PROT_READ, MAP_PRIVATE, Opened.get(), 0);
  if (Map == MAP_FAILED)
    return fail(Error, DS_IO_ERROR, "cannot read '%s': %s", Path, strerror(errno));
  Data = static_cast<const unsigned char *>(Map);
  Size = size_t(Info.st_size);
  return DS_OK;
}

void FileMap::close() {
  if (Data)
    munmap(const_cast<unsigned char *>(Data), Size);
  Data = nullptr;
  Size = 0;
}

ds_status readNpy(const char *Path, NpyArray &Out, ds_error *Error) {
  File Opened(open(Path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat Info;
  if (!Opened.isOpen() || fstat(Opened.get(), &Info))
    return fail(Error, DS_IO_ERROR, "cannot open '%s': %s", Path, strerror(errno));
  if (!S_ISREG(Info.st_mode))
    return fail(Error, DS_IO_ERROR, "'%s' is not a regular file", Path);
  const size_t Size = size_t(Info.st_size);
  void *Buffer = allocateFileBuffer(Size);
  if (!Buffer)
    return outOfMemory(Error);
  if (!readAt(Opened.get(), Buffer, Size, 0)) {
    free(Buffer);
    return fail(Error, DS_IO_ERROR, "cannot read '%s': %s", Path, errno ? strerror(errno) : "it became shorter");
  }
  return parseNpy(Buffer, Size, Path, Out, Error);
}

void describeNpy(const char *Type, const ds_tensor &Tensor, unsigned char (&Start)[10], Text &Header) {
  if (!Type)
    Type = *ElementTypes[Tensor.dtype].Npy ? ElementTypes[Tensor.dtype].Npy : "V1";
  Header.append("{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                dtypeSize(uint32_t(Tensor.dtype)) == 1 ? '|' : '<', Type);
  for (int32_t I = 0; I < Tensor.rank; ++I)
    Header.append("%s%lld", I ? ", " : "", static_cast<long long>(Tensor.shape[I]));
  Header.append("%s), }", Tensor.rank == 1 ? "," : "");
  // The data begins at a multiple of 64.
  const size_t Padding = 63 - (sizeof Start + Header.size()) % 64;
  Header.append("%*s\n", int(Padding), "");
  const unsigned char Magic[] = {
      0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, uint8_t(Header.size()), uint8_t(Header.size() >> 8)};
  memcpy(Start, Magic, sizeof Start);
}

ds_status writeNpy(const char *Path, const ds_tensor &Tensor, ds_error *Error) {
  const char *Type = nullptr;
  if (uint32_t(Tensor.dtype) < ElementTypeCount && Tensor.dtype)
    Type = *ElementTypes[Tensor.dtype].Npy ? ElementTypes[Tensor.dtype].Npy : "V1";
  int64_t Bytes;
  if (!Type || !denseBytes(Tensor.shape, size_t(Tensor.rank), dtypeSize(uint32_t(Tensor.dtype)), Bytes))
    return fail(Error, DS_BAD_ARGUMENT, "cannot write a tensor of such a type or shape to '%s'", Path);
  const void *Data = Tensor.data;
  Array<uint32_t> Characters;
  Text TextType;
  if (Tensor.dtype == DS_STRING) {
    const auto *Strings = static_cast<const ds_string *>(Tensor.data);
    const size_t Count = size_t(Bytes) / sizeof(ds_string);
    size_t Width = 1, Size;
    for (size_t I = 0; I < Count; ++I) {
      size_t Length = 0;
      for (const char *At = Strings[I].data, *End = At + Strings[I].size; At < End; ++Length)
        decodeUtf8(At, End);
      Width = Length > Width ? Length : Width;
    }
    if (__builtin_mul_overflow(Count, Width, &Size) || !Characters.resize(Size))
      return outOfMemory(Error);
    for (size_t I = 0; I < Count; ++I) {
      uint32_t *To = Characters.data() + I * Width;
      for (const char *At = Strings[I].data, *End = At + Strings[I].size; At < End;)
        *To++ = decodeUtf8(At, End);
    }
    TextType.append("U%zu", Width);
    Type = TextType.str();
    Data = Characters.data();
    Bytes = int64_t(Size * sizeof(uint32_t));
  }
  Text Header;
  unsigned char Start[10];
  describeNpy(Type, Tensor, Start, Header);

  if (!Header.ok())
    return outOfMemory(Error);
  struct stat Info;
  if (!stat(Path, &Info) && !S_ISREG(Info.st_mode)) // the new file would take the place of a device
    return fail(Error, DS_IO_ERROR, "cannot write '%s': it is %s", Path,
                S_ISDIR(Info.st_mode) ? "a folder" : "not a regular file");
  // A name of its own, whatever other threads and processes write here; permissions are the system's matter.
  static uint32_t Numbers = 0;
  Text Temporary;
  int Descriptor;
  do {
    Temporary.clear();
    Temporary.append("%s.%d.%u.tmp", Path, int(getpid()), __atomic_fetch_add(&Numbers, 1, __ATOMIC_RELAXED));
    if (!Temporary.ok())
      return outOfMemory(Error);
    Descriptor = open(Temporary.str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  } while (Descriptor < 0 && errno == EEXIST);
  File Opened(Descriptor);
  if (!Opened.isOpen())
    return fail(Error, DS_IO_ERROR, "cannot write '%s': %s", Path, strerror(errno));
  bool Good = writeAll(Opened.get(), Start, sizeof Start) && writeAll(Opened.get(), Header.str(), Header.size()) &&
              writeAll(Opened.get(), Data, size_t(Bytes)) && close(Opened.take()) == 0 &&
              rename(Temporary.str(), Path) == 0;
  if (Good)
    return DS_OK;
  const int Number = errno;
  unlink(Temporary.str());
  return fail(Error, DS_IO_ERROR, "cannot write '%s': %s", Path, strerror(Number));
}

} // namespace ds::runtime
