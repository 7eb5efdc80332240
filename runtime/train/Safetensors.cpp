//===- Safetensors.cpp - Files of named tensors ----------------------------===//
// Guarantees: see Safetensors.h.
//===----------------------------------------------------------------------===//
#include "Safetensors.h"
#include "../src/Metadata.h"
#include "../src/Tensor.h"
#include "../src/Utf8.h"

namespace ds::runtime {

static constexpr const char *TypeNames[] = {
    "",
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, safetensors, ...) safetensors,
#include "ds_types.def"
#undef DS_ELEMENT_TYPE
};

const char *safetensorsName(int32_t Dtype) {
  if (Dtype == DS_STRING)
    return "";
  return *TypeNames[Dtype] ? TypeNames[Dtype] : "U8"; // the model says which type of a byte it is
}

void appendJson(Text &Out, const char *String) {
  Out.append("\"");
  for (const char *C = String; *C; ++C)
    if (*C == '"' || *C == '\\')
      Out.append("\\%c", *C);
    else if (static_cast<unsigned char>(*C) < 32)
      Out.append("\\u%04x", unsigned(*C));
    else
      Out.append("%c", *C);
  Out.append("\"");
}

class SafetensorsParser {
public:
  SafetensorsParser(Safetensors &Out, const char *Begin, const char *End, const unsigned char *File)
      : Out(Out), At(Begin), End(End), File(reinterpret_cast<const char *>(File)) {}

  const char *parse(const unsigned char *Data, uint64_t DataSize) {
    uint64_t Next = 0;
    bool HasMetadata = false;
    if (!take('{'))
      return Damaged;
    for (bool Is = !take('}'); Is; Is = !take('}')) {
      size_t Name;
      if ((Next || Out.Tensors.size() || HasMetadata) && !take(','))
        return Damaged;
      if (!string(Name) || !take(':'))
        return Damaged;
      if (!strcmp(Out.Characters.data() + Name, "__metadata__")) {
        if (HasMetadata || !metadata())
          return Damaged;
        HasMetadata = true;
      } else if (const char *Problem = tensor(Name, Data, DataSize, Next)) {
        return Problem;
      }
    }
    space();
    if (At != End)
      return Damaged;
    return Next == DataSize ? nullptr : "it has more data than its header describes";
  }

private:
  static constexpr char Damaged[] = "its header is damaged";
  Safetensors &Out;
  const char *At, *End, *File;

  void space() {
    while (At < End && (*At == ' ' || *At == '\n' || *At == '\t' || *At == '\r'))
      ++At;
  }
  bool take(char C) {
    space();
    if (At == End || *At != C)
      return false;
    ++At;
    return true;
  }
  bool number(uint64_t &Value) {
    space();
    const char *Start = At;
    for (Value = 0; At < End && *At >= '0' && *At <= '9'; ++At)
      if (__builtin_mul_overflow(Value, uint64_t(10), &Value) ||
          __builtin_add_overflow(Value, uint64_t(*At - '0'), &Value))
        return false;
    return At != Start;
  }
  bool hex(uint32_t &Value) {
    Value = 0;
    for (int I = 0; I < 4; ++I, ++At) {
      if (At == End)
        return false;
      const char C = *At;
      const int Digit = C >= '0' && C <= '9'   ? C - '0'
                        : C >= 'a' && C <= 'f' ? C - 'a' + 10
                        : C >= 'A' && C <= 'F' ? C - 'A' + 10
                                               : -1;
      if (Digit < 0)
        return false;
      Value = Value * 16 + uint32_t(Digit);
    }
    return true;
  }
  bool escape() {
    if (At == End)
      return false;
    const char C = *At++;
    if (C == 'u') {
      uint32_t Character;
      if (!hex(Character))
        return false;
      if (Character >= 0xD800 && Character < 0xDC00) { // the first half of a pair
        uint32_t Second;
        if (End - At < 2 || At[0] != '\\' || At[1] != 'u')
          return false;
        At += 2;
        if (!hex(Second) || Second < 0xDC00 || Second > 0xDFFF)
          return false;
        Character = 0x10000 + ((Character - 0xD800) << 10) + (Second - 0xDC00);
      } else if (!Character || (Character >= 0xDC00 && Character < 0xE000)) {
        return false; // a NUL, or the second half alone
      }
      char Bytes[4];
      const size_t Count = encodeUtf8(Character, Bytes);
      for (size_t I = 0; I < Count; ++I)
        if (!Out.Characters.push(Bytes[I]))
          return false;
      return true;
    }
    static constexpr char From[] = "\"\\/bfnrt", To[] = "\"\\/\b\f\n\r\t";
    const char *Known = C ? strchr(From, C) : nullptr;
    return Known && Out.Characters.push(To[Known - From]);
  }
  /// The place in `Characters`.
  bool string(size_t &Place) {
    if (!take('"'))
      return false;
    Place = Out.Characters.size();
    while (At < End && *At != '"') {
      const char C = *At++;
      if (static_cast<unsigned char>(C) < 32 || (C == '\\' ? !escape() : !Out.Characters.push(C)))
        return false;
    }
    return take('"') && Out.Characters.push(0);
  }
  bool metadata() {
    if (!take('{'))
      return false;
    while (!take('}')) {
      Safetensors::Entry E;
      if ((Out.Metadata.size() && !take(',')) || !string(E.Key) || !take(':'))
        return false;
      space();
      E.Place = size_t(At - File) + 1;
      if (!string(E.Value) || !Out.Metadata.push(E))
        return false;
    }
    return true;
  }
  const char *tensor(size_t Name, const unsigned char *Data, uint64_t DataSize, uint64_t &Next) {
    Safetensors::Tensor T = {Name, 0, 0, Out.Dimensions.size(), nullptr, 0};
    bool HasType = false, HasShape = false, HasPlace = false;
    uint64_t Begin = 0, EndOf = 0;
    if (!take('{'))
      return Damaged;
    for (size_t Count = 0; !take('}'); ++Count) {
      size_t Key, Type;
      if ((Count && !take(',')) || !string(Key) || !take(':'))
        return Damaged;
      // What follows may move the characters.
      auto Is = [Key, this](const char *Known) { return !strcmp(Out.Characters.data() + Key, Known); };
      if (Is("dtype")) {
        if (HasType || !string(Type))
          return Damaged;
        HasType = true;
        for (uint32_t I = 1; I < ElementTypeCount; ++I)
          if (*TypeNames[I] && !strcmp(TypeNames[I], Out.Characters.data() + Type))
            T.Dtype = int32_t(I);
      } else if (Is("shape") && !HasShape && take('[')) {
        HasShape = true;
        for (uint64_t Size; !take(']'); ++T.Rank)
          if ((T.Rank && !take(',')) || !number(Size) || Size > uint64_t(INT64_MAX) || T.Rank == DS_ARTIFACT_MAX_RANK ||
              !Out.Dimensions.push(int64_t(Size)))
            return Damaged;
      } else if (Is("data_offsets") && !HasPlace && take('[')) {
        HasPlace = true;
        if (!number(Begin) || !take(',') || !number(EndOf) || !take(']'))
          return Damaged;
      } else {
        return Damaged;
      }
    }
    if (!HasType || !HasShape || !HasPlace)
      return Damaged;
    if (!T.Dtype)
      return "it has a tensor of a type that models do not have";
    int64_t Bytes;
    if (Begin != Next || EndOf < Begin || EndOf > DataSize ||
        !denseBytes(Out.Dimensions.data() + T.FirstDimension, T.Rank, dtypeSize(uint32_t(T.Dtype)), Bytes) ||
        uint64_t(Bytes) != EndOf - Begin)
      return "the places of its tensors do not fit their sizes, or its size";
    Next = EndOf;
    T.Data = Data + Begin;
    T.Bytes = EndOf - Begin;
    return Out.Tensors.push(T) ? nullptr : "there is no memory for its header";
  }
};

const char *Safetensors::read(const unsigned char *Bytes, size_t Size) {
  uint64_t Length;
  (void)Tensors.resize(0);
  (void)Metadata.resize(0);
  (void)Dimensions.resize(0);
  (void)Characters.resize(0);
  if (Size < sizeof Length)
    return "it is too short";
  memcpy(&Length, Bytes, sizeof Length);
  if (Length > Size - sizeof Length)
    return "it is truncated, or no safetensors file";
  const char *Header = reinterpret_cast<const char *>(Bytes + sizeof Length);
  return SafetensorsParser(*this, Header, Header + Length, Bytes)
      .parse(Bytes + sizeof Length + Length, Size - sizeof Length - Length);
}

const Safetensors::Entry *Safetensors::find(const char *Key) const {
  for (const Entry &E : Metadata)
    if (!strcmp(Characters.data() + E.Key, Key))
      return &E;
  return nullptr;
}

const char *Safetensors::metadata(const char *Key) const {
  const Entry *E = find(Key);
  return E ? Characters.data() + E->Value : nullptr;
}

size_t Safetensors::placeOf(const char *Key) const {
  const Entry *E = find(Key);
  return E ? E->Place : 0;
}

} // namespace ds::runtime
