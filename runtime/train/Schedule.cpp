//===- Schedule.cpp - The learning rate of each step -----------------------===//
// Guarantees: see Schedule.h.
//===----------------------------------------------------------------------===//
#include "Schedule.h"
#include "../src/Flags.h"
#include <math.h>

namespace ds::runtime {

bool parseDecimal(const char *Text, double &Out) {
  const char First = *Text == '-' || *Text == '+' ? Text[1] : *Text;
  if (!(First >= '0' && First <= '9') && First != '.') // nor " 1", "inf", "nan"
    return false;
  char *End;
  Out = strtod(Text, &End);
  return !*End && isfinite(Out);
}

const char *Schedule::parse(const char *Given) {
  *this = Schedule();
  const size_t Length = strcspn(Given, ":");
  auto Is = [&](const char *Name) { return strlen(Name) == Length && !strncmp(Given, Name, Length); };
  if (Is("step"))
    Kind = Step;
  else if (Is("linear"))
    Kind = Linear;
  else if (Is("cosine"))
    Kind = Cosine;
  else if (!Is("constant"))
    return "expected constant, step, linear or cosine";
  for (const char *At = Given + Length; *At;) {
    ++At; // the colon or comma
    const size_t ItemLength = strcspn(At, ",");
    Text Item;
    Item.append("%.*s", int(ItemLength), At);
    At += ItemLength;
    const char *Equals = strchr(Item.str(), '=');
    if (!Equals)
      return "expected NAME=NUMBER after ':' and ','";
    auto Names = [&](const char *Name) {
      return strlen(Name) == size_t(Equals - Item.str()) && !strncmp(Item.str(), Name, strlen(Name));
    };
    const bool HasEnd = Kind == Linear || Kind == Cosine;
    double *Number = Kind == Step && Names("factor")      ? &Factor
                     : Kind == Cosine && Names("minimum") ? &Minimum
                                                          : nullptr;
    uint64_t *Count = Kind == Step && Names("size") ? &Size
                      : HasEnd && Names("warmup")   ? &Warmup
                      : HasEnd && Names("total")    ? &Total
                                                    : nullptr;
    int64_t Whole;
    if (!Number && !Count)
      return "it has a part of an unknown name";
    if (Number && (!parseDecimal(Equals + 1, *Number) || *Number < 0))
      return "expected a number that is not negative";
    if (Count && !parseNumber(Equals + 1, int64_t(1) << 48, Whole))
      return "expected a number of steps";
    if (Count)
      *Count = uint64_t(Whole);
  }
  if (Kind == Step && !Size)
    return "expected size=STEPS";
  if (Total && Total <= Warmup)
    return "expected more steps in total than to warm up";
  return nullptr;
}

double Schedule::rate(double Base, uint64_t StepNumber, uint64_t TotalOfRun) const {
  const uint64_t T = StepNumber - 1, End = Total ? Total : TotalOfRun;
  if (Kind == Constant)
    return Base;
  if (Kind == Step)
    return Base * pow(Factor, double(T / Size));
  if (T < Warmup)
    return Base * double(StepNumber) / double(Warmup);
  if (T >= End)
    return Kind == Cosine ? Minimum : 0;
  const double Done = double(T - Warmup) / double(End - Warmup); // T < End: less than 1
  if (Kind == Linear)
    return Base * (double(End - T) / double(End - Warmup));
  return Minimum + (Base - Minimum) * (1 + cos(M_PI * Done)) / 2;
}

} // namespace ds::runtime
