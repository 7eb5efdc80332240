//===- Unicode.cpp - The case of characters ---------------------------------===//
// Guarantees: see Regex.h; independent of the locale.
//===----------------------------------------------------------------------===//
#include "Regex.h"

namespace ds::runtime {

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
