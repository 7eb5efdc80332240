//===- Inflate.cpp - DEFLATE (RFC 1951) ------------------------------------===//
// Assumes: codes of at most 15 bits, as the format says.
// Guarantees: a damaged stream ends decoding; it never reads or writes out of bounds.
// Declines: small tables: one lookup a symbol in 2^15 entries.
//===----------------------------------------------------------------------===//
#include "Inflate.h"
#include "Support.h"

namespace ds::runtime {

namespace {

constexpr unsigned MaxBits = 15;

struct Decoder {
  uint16_t Entries[1 << MaxBits]; // symbol << 4 | length; 0: no code

  /// False where the lengths describe no prefix code. An incomplete one is fine: its gaps fail when they are met.
  bool build(const uint8_t *Lengths, unsigned Count) {
    unsigned PerLength[MaxBits + 1] = {}, Next[MaxBits + 1], Code = 0;
    for (unsigned I = 0; I < Count; ++I)
      ++PerLength[Lengths[I]];
    PerLength[0] = 0;
    for (unsigned Bits = 1; Bits <= MaxBits; ++Bits) {
      Code = (Code + PerLength[Bits - 1]) << 1;
      Next[Bits] = Code;
      if (Code + PerLength[Bits] > 1u << Bits)
        return false;
    }
    memset(Entries, 0, sizeof Entries);
    for (unsigned I = 0; I < Count; ++I) {
      const unsigned Length = Lengths[I];
      if (!Length)
        continue;
      unsigned Reversed = 0;
      for (unsigned Bit = 0, C = Next[Length]++; Bit < Length; ++Bit, C >>= 1)
        Reversed = Reversed << 1 | (C & 1);
      for (unsigned E = Reversed; E < 1u << MaxBits; E += 1u << Length)
        Entries[E] = uint16_t(I << 4 | Length);
    }
    return true;
  }
};

class Inflater {
public:
  Inflater(const void *Data, size_t Size, void *Out, size_t OutSize)
      : In(static_cast<const uint8_t *>(Data)), InEnd(In + Size), OutStart(static_cast<uint8_t *>(Out)), Out(OutStart),
        OutEnd(OutStart + OutSize) {}

  bool run(Decoder &Literals, Decoder &Distances) {
    for (bool Last = false; !Last;) {
      Last = bits(1);
      const unsigned Kind = bits(2);
      const bool Good = Kind == 0   ? stored()
                        : Kind == 1 ? fixedCodes(Literals, Distances) && block(Literals, Distances)
                        : Kind == 2 ? dynamicCodes(Literals, Distances) && block(Literals, Distances)
                                    : false;
      if (!Good || Overrun)
        return false;
    }
    return Out == OutEnd;
  }

private:
  const uint8_t *In, *InEnd;
  uint8_t *OutStart, *Out, *OutEnd;
  uint64_t Held = 0;
  unsigned HeldBits = 0;
  bool Overrun = false;

  void fill(unsigned Needed) {
    for (; HeldBits < Needed && In < InEnd; HeldBits += 8)
      Held |= uint64_t(*In++) << HeldBits;
  }
  void drop(unsigned Count) {
    Overrun = Overrun || Count > HeldBits;
    Held >>= Count;
    HeldBits = Count > HeldBits ? 0 : HeldBits - Count;
  }
  unsigned bits(unsigned Count) {
    fill(Count);
    const unsigned Value = unsigned(Held & ((uint64_t(1) << Count) - 1));
    drop(Count);
    return Value;
  }
  /// -1 where no code matches.
  int symbol(const Decoder &D) {
    fill(MaxBits);
    const uint16_t Entry = D.Entries[Held & ((1u << MaxBits) - 1)];
    drop(Entry & 15);
    return Entry && !Overrun ? Entry >> 4 : -1;
  }

  bool stored() {
    drop(HeldBits % 8);
    const unsigned Length = bits(16), Inverted = bits(16);
    if (Overrun || Length != (~Inverted & 0xFFFF) || Length > size_t(OutEnd - Out))
      return false;
    // Whole bytes may already be held.
    unsigned Left = Length;
    for (; Left && HeldBits; --Left)
      *Out++ = uint8_t(bits(8));
    if (Left > size_t(InEnd - In))
      return false;
    memcpy(Out, In, Left);
    In += Left;
    Out += Left;
    return true;
  }

  static bool fixedCodes(Decoder &Literals, Decoder &Distances) {
    uint8_t Lengths[288];
    for (unsigned I = 0; I < 288; ++I)
      Lengths[I] = I < 144 ? 8 : I < 256 ? 9 : I < 280 ? 7 : 8;
    if (!Literals.build(Lengths, 288))
      return false;
    memset(Lengths, 5, 30);
    return Distances.build(Lengths, 30);
  }

  bool dynamicCodes(Decoder &Literals, Decoder &Distances) {
    static const uint8_t Order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const unsigned LiteralCount = bits(5) + 257, DistanceCount = bits(5) + 1, LengthCount = bits(4) + 4;
    uint8_t Lengths[320] = {};
    for (unsigned I = 0; I < LengthCount; ++I)
      Lengths[Order[I]] = uint8_t(bits(3));
    if (LiteralCount > 286 || DistanceCount > 30 || !Literals.build(Lengths, 19))
      return false;
    memset(Lengths, 0, sizeof Lengths);
    for (unsigned I = 0; I < LiteralCount + DistanceCount;) {
      const int S = symbol(Literals);
      if (S < 0 || (S == 16 && I == 0))
        return false;
      if (S < 16) {
        Lengths[I++] = uint8_t(S);
        continue;
      }
      const uint8_t Value = S == 16 ? Lengths[I - 1] : 0;
      const unsigned Repeat = S == 16 ? 3 + bits(2) : S == 17 ? 3 + bits(3) : 11 + bits(7);
      if (I + Repeat > LiteralCount + DistanceCount)
        return false;
      memset(Lengths + I, Value, Repeat);
      I += Repeat;
    }
    return Literals.build(Lengths, LiteralCount) && Distances.build(Lengths + LiteralCount, DistanceCount);
  }

  bool block(const Decoder &Literals, const Decoder &Distances) {
    static const uint16_t LengthBase[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                            31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t LengthBits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t DistanceBase[30] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                              33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                              1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    static const uint8_t DistanceBits[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                             6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
    for (;;) {
      int S = symbol(Literals);
      if (S < 0 || S > 285)
        return false;
      if (S == 256)
        return true;
      if (S < 256) {
        if (Out == OutEnd)
          return false;
        *Out++ = uint8_t(S);
        continue;
      }
      const size_t Length = LengthBase[S - 257] + bits(LengthBits[S - 257]);
      S = symbol(Distances);
      if (S < 0 || S > 29)
        return false;
      const size_t Distance = DistanceBase[S] + bits(DistanceBits[S]);
      if (Overrun || Distance > size_t(Out - OutStart) || Length > size_t(OutEnd - Out))
        return false;
      for (size_t I = 0; I < Length; ++I, ++Out) // may overlap: a repetition
        *Out = *(Out - Distance);
    }
  }
};

} // namespace

bool inflate(const void *Data, size_t Size, void *Out, size_t OutSize) {
  Decoder *Decoders = static_cast<Decoder *>(malloc(2 * sizeof(Decoder)));
  if (!Decoders)
    return false;
  bool Good = Inflater(Data, Size, Out, OutSize).run(Decoders[0], Decoders[1]);
  free(Decoders);
  return Good;
}

uint32_t crc32(const void *Data, size_t Size, uint32_t Before) {
  static constexpr auto Table = [] {
    struct {
      uint32_t Entries[256];
    } T = {};
    for (uint32_t I = 0; I < 256; ++I) {
      uint32_t C = I;
      for (int Bit = 0; Bit < 8; ++Bit)
        C = C & 1 ? 0xEDB88320u ^ C >> 1 : C >> 1;
      T.Entries[I] = C;
    }
    return T;
  }();
  uint32_t Crc = ~Before;
  for (const uint8_t *P = static_cast<const uint8_t *>(Data), *End = P + Size; P != End; ++P)
    Crc = Table.Entries[(Crc ^ *P) & 0xFF] ^ Crc >> 8;
  return ~Crc;
}

} // namespace ds::runtime
