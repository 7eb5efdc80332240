//===- Display.h - What a run shows while it goes on ------------*- C++ -*-===//
// Assumes: standard output is a terminal, or something that reads lines.
// Guarantees: no terminal gets JSON, and what is no terminal gets nothing else: one object a line, each written at
//   once, whose numbers read back as the same ones.
// Declines: colours.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_DISPLAY_H
#define DS_RUNTIME_DISPLAY_H

#include "TrainStep.h"

namespace ds::runtime {

/// One step that was made.
struct StepResult {
  uint64_t Step;
  double Loss, Rate;
  bool IsLossSingle, IsRateSingle; // float32
  size_t Samples;
  double Scale; // of the loss, for the next step; 0: it has none
};

/// Means over the data to evaluate on. `Accuracy` is negative where it has no meaning.
struct Evaluation {
  uint64_t Step = 0;
  double Loss = 0, Accuracy = -1;
};

class Display {
public:
  Display();
  bool isTerminal() const { return Terminal; }
  /// The next step is not the first one of all; `Total`: how many there will be.
  void begin(uint64_t Epochs, uint64_t Total);
  void step(const StepResult &R, uint64_t Epoch);
  void evaluation(const Evaluation &E);
  /// A line for people; nothing where there is no terminal.
  [[gnu::format(printf, 2, 3)]] void note(const char *Format, ...);
  /// Ends the line that is shown.
  void end();
  /// False with errno once a line could not be written.
  bool ok() const { return !Failed; }

private:
  bool Terminal, Failed = false, IsLineOpen = false;
  uint64_t Epochs = 0, Total = 0;
  double Last, Shown = 0, Rate = 0, PerStep = 0; // of the clock, in milliseconds; samples a second, smoothed
  void write(const Text &Line, bool IsWhole);
};

} // namespace ds::runtime

#endif
