//===- Unicode.cpp - Characters and their case ------------------------------===//
// Guarantees: see Regex.h; independent of the locale.
//===----------------------------------------------------------------------===//
#include "Regex.h"

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

namespace {
/// Capital letters Low .. High: each has its small one `Shift` further, or (0) capital and small letters alternate.
struct Letters {
  uint32_t Low, High, Shift;
};
} // namespace

static constexpr Letters AllLetters[] = {
    {'A', 'Z', 32},     {0xC0, 0xD6, 32},    {0xD8, 0xDE, 32},   {0x100, 0x12E, 0},  {0x132, 0x136, 0},
    {0x139, 0x147, 0},  {0x14A, 0x176, 0},   {0x179, 0x17D, 0},  {0x386, 0x386, 38}, {0x388, 0x38A, 37},
    {0x38C, 0x38C, 64}, {0x38E, 0x38F, 63},  {0x391, 0x3A1, 32}, {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80},
    {0x410, 0x42F, 32}, {0x460, 0x480, 0},   {0x48A, 0x4BE, 0},  {0x4C1, 0x4CD, 0},  {0x4D0, 0x52E, 0},
    {0x531, 0x556, 48}, {0x1E00, 0x1E94, 0}, {0x1EA0, 0x1EFE, 0}};

uint32_t lowerCase(uint32_t C) {
  if (C == 0x178)
    return 0xFF;
  for (const Letters &L : AllLetters)
    if (C >= L.Low && C <= L.High && (L.Shift || (C - L.Low) % 2 == 0))
      return C + (L.Shift ? L.Shift : 1);
  return C;
}

uint32_t upperCase(uint32_t C) {
  if (C == 0xFF)
    return 0x178;
  if (C == 0x3C2) // a sigma at the end of a word
    return 0x3A3;
  for (const Letters &L : AllLetters) {
    const uint32_t Shift = L.Shift ? L.Shift : 1;
    if (C >= L.Low + Shift && C <= L.High + Shift && (L.Shift || (C - L.Low) % 2 == 1))
      return C - Shift;
  }
  return C;
}

} // namespace ds::runtime
