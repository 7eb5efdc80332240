//===- Display.cpp - What a run shows while it goes on ---------------------===//
// Guarantees: see Display.h.
//===----------------------------------------------------------------------===//
#include "Display.h"
#include "../src/Program.h"
#include <stdio.h>
#include <unistd.h>

namespace ds::runtime {

// How much the last step counts in the speed that is shown.
static constexpr double Newest = 0.1;
static constexpr double Pause = 100; // between two lines shown, in milliseconds

Display::Display() : Terminal(isatty(STDOUT_FILENO)), Last(milliseconds()) {}

void Display::begin(uint64_t EpochCount, uint64_t StepCount) {
  Epochs = EpochCount;
  Total = StepCount;
  Last = milliseconds();
}

void Display::write(const Text &Line, bool IsWhole) {
  if (Failed)
    return;
  // A line that is shown in place is cut at the terminal's width, or it would be two.
  const size_t Columns = terminalColumns();
  const size_t Size = !IsWhole && Columns && Line.size() >= Columns ? Columns - 1 : Line.size();
  if (Terminal)
    fputs("\r\x1b[K", stdout);
  fwrite(Line.str(), 1, Size, stdout);
  if (IsWhole)
    fputc('\n', stdout);
  IsLineOpen = !IsWhole;
  Failed = fflush(stdout) || ferror(stdout);
}

/// "0:07", "12:34:56".
static void appendTime(Text &Out, double Seconds) {
  const uint64_t S = Seconds < 0 ? 0 : Seconds > 1e9 ? 1000000000 : uint64_t(Seconds + 0.5);
  if (S >= 3600)
    Out.append("%llu:%02u", static_cast<unsigned long long>(S / 3600), unsigned(S / 60 % 60));
  else
    Out.append("%u", unsigned(S / 60));
  Out.append(":%02u", unsigned(S % 60));
}

void Display::step(const StepResult &R, uint64_t Epoch) {
  const double Now = milliseconds(), Took = Now - Last > 1e-6 ? Now - Last : 1e-6;
  const double Speed = double(R.Samples) * 1e3 / Took;
  Last = Now;
  Text Line;
  if (!Terminal) {
    Line.append("{\"step\":%llu,\"loss\":", static_cast<unsigned long long>(R.Step));
    appendNumber(Line, R.Loss, R.IsLossSingle);
    Line.append(",\"lr\":");
    appendNumber(Line, R.Rate, R.IsRateSingle);
    if (R.Scale > 0) {
      Line.append(",\"scale\":");
      appendNumber(Line, R.Scale, true);
    }
    Line.append(",\"samples_per_s\":%.6g}", Speed);
    write(Line, /*IsWhole=*/true);
    return;
  }
  PerStep = PerStep > 0 ? PerStep + Newest * (Took - PerStep) : Took;
  Rate = Rate > 0 ? Rate + Newest * (Speed - Rate) : Speed;
  if (Now - Shown < Pause && R.Step != Total)
    return;
  Shown = Now;
  if (Epochs)
    Line.append("epoch %llu/%llu  ", static_cast<unsigned long long>(Epoch + 1),
                static_cast<unsigned long long>(Epochs));
  Line.append("step %llu/%llu  loss %.5g  lr %.4g  %.4g samples/s  ", static_cast<unsigned long long>(R.Step),
              static_cast<unsigned long long>(Total), R.Loss, R.Rate, Rate);
  appendTime(Line, R.Step < Total ? double(Total - R.Step) * PerStep * 1e-3 : 0);
  Line.append(" left");
  write(Line, /*IsWhole=*/false);
}

void Display::evaluation(const Evaluation &E) {
  Text Line;
  Last = milliseconds();
  if (Terminal) {
    Line.append("step %llu  evaluation: loss %.5g", static_cast<unsigned long long>(E.Step), E.Loss);
    if (E.Accuracy >= 0)
      Line.append(", accuracy %.2f %%", E.Accuracy * 100);
  } else {
    Line.append("{\"step\":%llu,\"eval_loss\":", static_cast<unsigned long long>(E.Step));
    appendNumber(Line, E.Loss, false);
    if (E.Accuracy >= 0) {
      Line.append(",\"eval_accuracy\":");
      appendNumber(Line, E.Accuracy, false);
    }
    Line.append("}");
  }
  write(Line, /*IsWhole=*/true);
}

void Display::note(const char *Format, ...) {
  if (!Terminal)
    return;
  char Message[1024];
  va_list Arguments;
  va_start(Arguments, Format);
  vsnprintf(Message, sizeof Message, Format, Arguments);
  va_end(Arguments);
  write(Text(Message), /*IsWhole=*/true);
}

void Display::end() {
  if (IsLineOpen && !Failed) {
    fputc('\n', stdout);
    Failed = fflush(stdout) || ferror(stdout);
  }
  IsLineOpen = false;
}

} // namespace ds::runtime
