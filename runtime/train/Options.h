//===- Options.h - The command line of programs that train ------*- C++ -*-===//
// Assumes: nothing about the arguments.
// Guarantees: what the command line alone shows to be wrong is told before any file is looked at.
// Declines: abbreviations.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_OPTIONS_H
#define DS_RUNTIME_OPTIONS_H

#include "TrainStep.h"

namespace ds::runtime {

struct TrainOptions {
  const char *Program = ""; // for messages
  const char *Data = nullptr, *EvalData = nullptr, *Tokens = nullptr, *EvalTokens = nullptr;
  const char *CheckpointDir = nullptr, *Resume = nullptr, *Export = nullptr, *Gradients = nullptr, *Report = nullptr;
  // 0: not given.
  int64_t Epochs = 0, Steps = 0, BatchSize = 0, CheckpointEvery = 0, EvalEvery = 0, SequenceLength = 0, Threads = 0,
          Accumulate = 0;
  int64_t Seed = -1, Initialize = -1; // not given
  int32_t TokenType = DS_UINT16;
  double Rate = 0;
  bool HasRate = false, NoShuffle = false, CheckNan = false, Help = false, Version = false, Parameters = false;

  /// DS_BAD_ARGUMENT: bad usage.
  ds_status parse(int Argc, char **Argv, ds_error *Error);
  bool trains() const { return Data || Tokens; }
  bool evaluates() const { return EvalData || EvalTokens; }

private:
  ds_status check(ds_error *Error) const;
};

void printTrainUsage(const TrainOptions &O, const TrainStep &Step);
/// Parameters and states, and how --initialize draws them.
void printParameters(const TrainStep &Step);

} // namespace ds::runtime

#endif
