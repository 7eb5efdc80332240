//===- ExportNpz.cpp - Tensors as a .npz file ------------------------------===//
// Assumes: PKWARE's APPNOTE 6.3.10.
// Guarantees: see Export.h. All sizes are those of ZIP64, so that no array is too large.
//===----------------------------------------------------------------------===//
#include "../src/Inflate.h"
#include "../src/Npy.h"
#include "../src/Tensor.h"
#include "AtomicFile.h"
#include "Export.h"
#include <errno.h>

namespace ds::runtime {

namespace {

/// Records of a ZIP file, little-endian.
class Record {
public:
  Record &number(uint64_t Value, unsigned Size) {
    for (unsigned I = 0; I < Size; ++I, Value >>= 8)
      Ok = Bytes.push(uint8_t(Value)) && Ok;
    return *this;
  }
  Record &text(const char *String) {
    for (; *String; ++String)
      number(uint8_t(*String), 1);
    return *this;
  }
  const uint8_t *data() const { return Bytes.data(); }
  size_t size() const { return Bytes.size(); }
  bool ok() const { return Ok; }

private:
  Array<uint8_t> Bytes;
  bool Ok = true;
};

constexpr uint64_t Wide = 0xFFFFFFFF;            // see the extra field
constexpr unsigned Version = 45, Utf8 = 1 << 11; // of ZIP64; names are UTF-8
constexpr uint64_t FirstOfJanuary = 1 << 5 | 1;  // of 1980: the same tensors make the same file

} // namespace

ds_status writeNpz(const char *Path, const char *const *Names, const ds_tensor *Tensors, size_t Count,
                   ds_error *Error) {
  AtomicFile Out;
  Record Directory;
  uint64_t At = 0;
  bool Good = Out.create(Path);
  auto Write = [&](const void *Data, size_t Size) {
    Good = Good && Out.write(Data, Size);
    At += Size;
  };
  for (size_t I = 0; I < Count; ++I) {
    const ds_tensor &T = Tensors[I];
    int64_t Bytes;
    Text Header, Name;
    unsigned char Start[10];
    if (T.dtype == DS_STRING || !denseBytes(T.shape, size_t(T.rank), ds_dtype_size(T.dtype), Bytes))
      return fail(Error, DS_BAD_ARGUMENT, "cannot write a tensor of such a type or shape to '%s'", Path);
    describeNpy(nullptr, T, Start, Header);
    Name.append("%s.npy", Names[I]);
    if (!Header.ok() || !Name.ok())
      return outOfMemory(Error);
    const uint64_t Size = sizeof Start + Header.size() + uint64_t(Bytes), Offset = At;
    uint32_t Crc = crc32(Start, sizeof Start);
    Crc = crc32(Header.str(), Header.size(), Crc);
    Crc = crc32(T.data, size_t(Bytes), Crc);
    Record Local;
    Local.number(0x04034B50, 4).number(Version, 2).number(Utf8, 2).number(0, 2).number(0, 2).number(FirstOfJanuary, 2);
    Local.number(Crc, 4).number(Wide, 4).number(Wide, 4).number(Name.size(), 2).number(20, 2).text(Name.str());
    Local.number(1, 2).number(16, 2).number(Size, 8).number(Size, 8);
    Directory.number(0x02014B50, 4).number(Version, 2).number(Version, 2).number(Utf8, 2).number(0, 2);
    Directory.number(0, 2).number(FirstOfJanuary, 2).number(Crc, 4).number(Wide, 4).number(Wide, 4);
    Directory.number(Name.size(), 2).number(28, 2).number(0, 2).number(0, 2).number(0, 2).number(0, 4).number(Wide, 4);
    Directory.text(Name.str()).number(1, 2).number(24, 2).number(Size, 8).number(Size, 8).number(Offset, 8);
    if (!Local.ok() || Name.size() > 0xFFFF)
      return outOfMemory(Error);
    Write(Local.data(), Local.size());
    Write(Start, sizeof Start);
    Write(Header.str(), Header.size());
    Write(T.data, size_t(Bytes));
  }
  Record End;
  const uint64_t Size = Directory.size(), End64 = At + Size;
  End.number(0x06064B50, 4).number(44, 8).number(Version, 2).number(Version, 2).number(0, 4).number(0, 4);
  End.number(Count, 8).number(Count, 8).number(Size, 8).number(At, 8);
  End.number(0x07064B50, 4).number(0, 4).number(End64, 8).number(1, 4);
  End.number(0x06054B50, 4).number(0, 4).number(0xFFFF, 2).number(0xFFFF, 2).number(Wide, 4).number(Wide, 4);
  End.number(0, 2);
  if (!Directory.ok() || !End.ok())
    return outOfMemory(Error);
  Write(Directory.data(), Directory.size());
  Write(End.data(), End.size());
  if (!Good || !Out.commit())
    return fail(Error, DS_IO_ERROR, "cannot write '%s': %s", Path, strerror(errno));
  return DS_OK;
}

ds_status writeGradients(const char *Path, const TrainStep &Step, const ds_session *Session, ds_error *Error) {
  Array<ds_tensor> Tensors;
  Array<const char *> Names;
  for (size_t I : Step.Gradients) {
    ds_tensor T;
    ds_tensor_info Info;
    ds_model_output(Step.Model, I, &Info);
    if (ds_session_output(Session, I, &T) || !Tensors.push(T) || !Names.push(Info.name))
      return outOfMemory(Error);
  }
  return writeNpz(Path, Names.data(), Tensors.data(), Tensors.size(), Error);
}

} // namespace ds::runtime
