//===- Schedule.h - The learning rate of each step --------------*- C++ -*-===//
// Assumes: steps are numbered from 1.
// Guarantees: a function of step, base rate and total alone, so that a resumed run has the rates of one without a stop.
// Declines: schedules that look at the loss.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_SCHEDULE_H
#define DS_RUNTIME_SCHEDULE_H

#include "../src/Support.h"

namespace ds::runtime {

/// With t = step - 1, of a rate r:
///   constant                         r
///   step:size=S,factor=F             r * F^floor(t / S)
///   linear:warmup=W,total=T          r * step / W in the first W steps; then r * (T - t) / (T - W), at last 0
///   cosine:warmup=W,total=T,minimum=M  likewise; then M + (r - M) * (1 + cos(pi * (t - W) / (T - W))) / 2, at last M
/// A factor may be left out (0.1), warmup and minimum too (0), and total: then it is that of the run.
class Schedule {
public:
  /// NULL, or what is wrong with the text.
  const char *parse(const char *Text);
  double rate(double Base, uint64_t Step, uint64_t TotalOfRun) const;
  /// Whether the rate depends on how many steps the run has.
  bool needsTotal() const { return (Kind == Linear || Kind == Cosine) && !Total; }

private:
  enum { Constant, Step, Linear, Cosine } Kind = Constant;
  uint64_t Size = 0, Warmup = 0, Total = 0;
  double Factor = 0.1, Minimum = 0;
};

/// A decimal number, all of the text; false for anything else and for what is not finite.
bool parseDecimal(const char *Text, double &Out);

} // namespace ds::runtime

#endif
