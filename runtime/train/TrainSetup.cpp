//===- TrainSetup.cpp - A training run before its first step ---------------===//
// Guarantees: see Train.h. What does not fit together is told here, before anything is computed.
//===----------------------------------------------------------------------===//
#include "../src/Program.h"
#include "AtomicFile.h"
#include "Export.h"
#include "Initialize.h"
#include "Train.h"
#include <stdio.h>

namespace ds::runtime {

static constexpr int64_t DefaultBatch = 32;

static void warn(const char *Message) { fprintf(stderr, "warning: %s\n", Message); }

ds_status TrainRun::checkUsage(ds_error *Error) const {
  if (O.evaluates() && !Step.HasMode)
    return fail(Error, DS_UNSUPPORTED, "--eval-data: the program can train but not evaluate (it has no symbol 'mode')");
  if (O.Gradients && (!Step.HasMode || Step.Gradients.empty()))
    return fail(Error, DS_UNSUPPORTED, "--dump-gradients: the program does not give its gradients");
  if (O.Accumulate > 1 && Step.Accumulators.empty())
    return fail(Error, DS_UNSUPPORTED, "--accumulate: the program cannot accumulate gradients; compile it again");
  const struct {
    const char *Flag, *Path;
  } Files[] = {{"--export", O.Export}, {"--dump-gradients", O.Gradients}, {"--report", O.Report}};
  for (const auto &F : Files)
    if (F.Path)
      if (ds_status Status = checkWritable(F.Path, F.Flag, Error))
        return Status;
  return O.Export ? checkExport(Step, Error) : DS_OK;
}

/// How many samples a batch has.
ds_status TrainRun::chooseBatch(const DataSet &Set, const char *Name, size_t &Size, bool IsSaid,
                                ds_error *Error) const {
  const uint64_t Samples = Set.samples(), Fixed = uint64_t(Step.FixedBatch);
  auto Number = [](uint64_t N) { return static_cast<unsigned long long>(N); };
  if (!Fixed) {
    const uint64_t Wanted = uint64_t(O.BatchSize ? O.BatchSize : DefaultBatch);
    Size = size_t(Wanted < Samples ? Wanted : Samples);
    return DS_OK;
  }
  Size = size_t(Fixed);
  if (O.BatchSize && uint64_t(O.BatchSize) != Fixed)
    return fail(Error, DS_BAD_INPUT, "--batch-size %lld: the model was compiled for batches of %llu",
                static_cast<long long>(O.BatchSize), Number(Fixed));
  if (Samples < Fixed)
    return fail(Error, DS_BAD_INPUT,
                "'%s' has %llu samples, fewer than the batch of %llu that the model was compiled for", Name,
                Number(Samples), Number(Fixed));
  if (Samples % Fixed && IsSaid) {
    Text Line;
    Line.append("the model was compiled for batches of %llu: of the %llu samples of '%s' the last %llu are left out%s",
                Number(Fixed), Number(Samples), Name, Number(Samples % Fixed),
                &Set == &Data && !O.NoShuffle ? " in each epoch, other ones each time" : "");
    warn(Line.str());
  }
  return DS_OK;
}

ds_status TrainRun::openData(ds_error *Error) {
  ds_status Status = DS_OK;
  if (O.Data)
    Status = Data.openArrays(O.Data, Step, Error);
  else if (O.Tokens)
    Status = Data.openTokens(O.Tokens, O.TokenType, uint64_t(O.SequenceLength), Step, Error);
  if (!Status && O.EvalData)
    Status = EvalData.openArrays(O.EvalData, Step, Error);
  else if (!Status && O.EvalTokens)
    Status = EvalData.openTokens(O.EvalTokens, O.TokenType, uint64_t(O.SequenceLength), Step, Error);
  if (!Status && Data.isOpen()) {
    if (!O.NoShuffle && Data.samples() > UINT32_MAX)
      return fail(Error, DS_BAD_INPUT, "more than 2^32 samples can be trained on with --no-shuffle only");
    Status = chooseBatch(Data, O.Data ? O.Data : O.Tokens, BatchSize, /*IsSaid=*/true, Error);
    if (!Status)
      Status = Data.reserve(BatchSize, Error);
  }
  size_t EvalSize;
  if (!Status && EvalData.isOpen()) {
    Status = chooseBatch(EvalData, O.EvalData ? O.EvalData : O.EvalTokens, EvalSize, /*IsSaid=*/true, Error);
    if (!Status)
      Status = EvalData.reserve(EvalSize, Error);
  }
  return Status;
}

ds_status TrainRun::createSession(ds_error *Error) {
  ds_session_options Options = {};
  Options.threads = uint32_t(O.Threads);
  // A step that scales its loss is checked where its loss is not finite: see makeBatch.
  Options.flags = O.CheckNan && Step.Scale == TrainStep::None ? DS_SESSION_CHECK_NAN : 0;
  if (ds_status Status = ds_session_create(Model, &Options, &Session, Error))
    return Status;
  if (ds_status Status = setMode(TrainStep::Train, Error))
    return Status;
  if (!Inputs.resize(Step.InputCount))
    return outOfMemory(Error);
  // What training begins with: the model's weights, zeros of the optimizer.
  for (size_t I : Step.States) {
    ds_tensor Default;
    ds_status Status = ds_model_input_default(Model, I, &Default) ? ds_session_state_create(Session, I, nullptr, Error)
                                                                  : ds_session_state_set(Session, I, &Default, Error);
    if (Status)
      return Status;
  }
  if (O.Initialize >= 0)
    if (ds_status Status = initializeStates(Step, Session, uint64_t(O.Initialize), Error))
      return Status;
  for (size_t I : Step.Accumulators) {
    const ds_tensor_info Info = Step.input(I);
    Array<int64_t> Shape;
    if (!Shape.push(O.Accumulate > 1))
      return outOfMemory(Error);
    for (int32_t D = 1; D < Info.rank; ++D)
      if (!Shape.push(Info.dimensions[D].size))
        return outOfMemory(Error);
    if (ds_status Status = ds_session_state_create(Session, I, Shape.data(), Error))
      return Status;
  }
  auto Point = [&](size_t Input, void *Data) {
    if (Input != TrainStep::None)
      Inputs[Input] = {Data, Step.input(Input).dtype, 0, nullptr, nullptr};
  };
  Point(Step.Number, &Number);
  Point(Step.Seed, &Seed);
  if (Step.Rate != TrainStep::None)
    Point(Step.Rate, Step.input(Step.Rate).dtype == DS_FLOAT32 ? static_cast<void *>(&SingleRate) : &Rate);
  return DS_OK;
}

ds_status TrainRun::resume(ds_error *Error) {
  Checkpoint From;
  At.Samples = Data.samples();
  if (O.Seed >= 0)
    At.Seed = uint64_t(O.Seed);
  if (!O.Resume)
    return DS_OK;
  if (ds_status Status = findCheckpoint(O.Resume, From, warn, Error))
    return Status;
  if (ds_status Status = From.load(Step, Session, Error))
    return Status;
  const uint64_t Samples = At.Samples;
  At = From.progress();
  SavedAt = At.Steps;
  if (O.Seed >= 0 && uint64_t(O.Seed) != At.Seed)
    return fail(Error, DS_BAD_INPUT, "--seed %lld: the checkpoint '%s' is of a run with seed %llu; leave --seed out",
                static_cast<long long>(O.Seed), From.path(), static_cast<unsigned long long>(At.Seed));
  if (!Data.isOpen())
    return DS_OK;
  if (At.Samples != Samples && At.Sample) {
    Text Line;
    Line.append("the run of the checkpoint had %llu samples, here are %llu: a new epoch begins",
                static_cast<unsigned long long>(At.Samples), static_cast<unsigned long long>(Samples));
    warn(Line.str());
    ++At.Epoch;
    At.Sample = 0;
  }
  At.Samples = Samples;
  Show.note("%s: resuming after step %llu", From.path(), static_cast<unsigned long long>(At.Steps));
  return DS_OK;
}

/// How long the run is: by epochs, and if those are not given, by steps.
void TrainRun::countSteps() {
  const uint64_t Samples = Data.samples(),
                 Batches = Step.FixedBatch ? Samples / BatchSize : (Samples + BatchSize - 1) / BatchSize,
                 Each = uint64_t(O.Accumulate ? O.Accumulate : 1), PerEpoch = (Batches + Each - 1) / Each;
  EpochLimit = O.Epochs ? uint64_t(O.Epochs) : O.Steps ? 0 : 1;
  // A run that --steps ends early has the rates of the whole one, so that it can be gone on with.
  if (!EpochLimit || __builtin_mul_overflow(PerEpoch, EpochLimit, &TotalSteps))
    TotalSteps = uint64_t(O.Steps);
}

} // namespace ds::runtime
