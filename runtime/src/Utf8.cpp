//===- Utf8.cpp - Characters in UTF-8 ---------------------------------------===//
// Guarantees: see Utf8.h.
//===----------------------------------------------------------------------===//
#include "Utf8.h"

namespace ds::runtime {

uint32_t decodeUtf8(const char *&At, const char *End) {
  const unsigned char First = static_cast<unsigned char>(*At++);
  if (First < 0x80)
    return First;
  const int More = First >= 0xF0 ? 3 : First >= 0xE0 ? 2 : 1;
  if (First < 0xC2 || First > 0xF4 || End - At < More)
    return 0xFFFD;
  uint32_t Character = First & (0x3F >> More);
  for (int I = 0; I < More; ++I) {
    const unsigned char C = static_cast<unsigned char>(At[I]);
    if ((C & 0xC0) != 0x80)
      return 0xFFFD;
    Character = Character << 6 | (C & 0x3F);
  }
  // Longer than need be, half of a pair, or past the last character.
  if (Character < (More == 1   ? 0x80u
                   : More == 2 ? 0x800u
                               : 0x10000u) ||
      Character > 0x10FFFF || (Character >= 0xD800 && Character < 0xE000))
    return 0xFFFD;
  At += More;
  return Character;
}

size_t encodeUtf8(uint32_t Character, char *Out) {
  if (Character < 0x80) {
    Out[0] = char(Character);
    return 1;
  }
  const size_t More = Character < 0x800 ? 1 : Character < 0x10000 ? 2 : 3;
  static const unsigned char Lead[] = {0, 0xC0, 0xE0, 0xF0};
  for (size_t I = More; I > 0; --I, Character >>= 6)
    Out[I] = char(0x80 | (Character & 0x3F));
  Out[0] = char(Lead[More] | Character);
  return More + 1;
}

} // namespace ds::runtime
