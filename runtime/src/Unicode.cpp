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
/// Every Step-th character from First to Last: its other case is so far away.
struct CaseRange {
  uint32_t First, Last;
  int32_t Difference;
  uint32_t Step;
};
} // namespace

static constexpr CaseRange LowerRanges[] = {
#define DS_LOWER_RANGE(First, Last, Step, Difference) {First, Last, Difference, Step},
#define DS_UPPER_RANGE(First, Last, Step, Difference)
#define DS_FOLDED(Character, Small)
#include "CaseRanges.def"
#undef DS_LOWER_RANGE
#undef DS_UPPER_RANGE
};
static constexpr CaseRange UpperRanges[] = {
#define DS_LOWER_RANGE(First, Last, Step, Difference)
#define DS_UPPER_RANGE(First, Last, Step, Difference) {First, Last, Difference, Step},
#include "CaseRanges.def"
#undef DS_LOWER_RANGE
#undef DS_UPPER_RANGE
#undef DS_FOLDED
};
static constexpr struct {
  uint32_t Character, Small;
} Folded[] = {
#define DS_LOWER_RANGE(First, Last, Step, Difference)
#define DS_UPPER_RANGE(First, Last, Step, Difference)
#define DS_FOLDED(Character, Small) {Character, Small},
#include "CaseRanges.def"
#undef DS_LOWER_RANGE
#undef DS_UPPER_RANGE
#undef DS_FOLDED
};

template <size_t N> static uint32_t otherCase(const CaseRange (&Ranges)[N], uint32_t C) {
  for (size_t Low = 0, High = N; Low < High;) {
    const size_t Middle = (Low + High) / 2;
    const CaseRange &R = Ranges[Middle];
    if (C < R.First)
      High = Middle;
    else if (C > R.Last)
      Low = Middle + 1;
    else
      return (C - R.First) % R.Step ? C : uint32_t(int32_t(C) + R.Difference);
  }
  return C;
}

uint32_t lowerCase(uint32_t C) { return otherCase(LowerRanges, C); }
uint32_t upperCase(uint32_t C) { return otherCase(UpperRanges, C); }

size_t otherCases(uint32_t C, uint32_t *Out) {
  constexpr uint32_t DotlessI = 0x131;
  size_t Count = 0;
  auto Add = [&](uint32_t Other) {
    if (Other != C && Count < MaxCases)
      Out[Count++] = Other;
  };
  if (C == DotlessI)
    return 0;
  const uint32_t Small = lowerCase(upperCase(C));
  Add(Small);
  Add(upperCase(Small));
  for (const auto &F : Folded)
    if (F.Small == Small)
      Add(F.Character);
  return Count;
}

} // namespace ds::runtime
