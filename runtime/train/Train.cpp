//===- Train.cpp - A training run ------------------------------------------===//
// Guarantees: see Train.h.
//===----------------------------------------------------------------------===//
#include "Train.h"
#include "../src/Program.h"
#include "../src/TrainLibrary.h"
#include "AtomicFile.h"
#include "Export.h"
#include "Shuffle.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>

namespace ds::runtime {

static constexpr int64_t DefaultBatch = 32;

static volatile sig_atomic_t Stop = 0;
static void noteSignal(int Signal) { Stop = Signal; }

/// Says at which step a run failed.
static ds_status atStep(uint64_t Number, ds_status Status, ds_error *Error) {
  return fail(Error, Status, "step %llu: %s", static_cast<unsigned long long>(Number), Error->message);
}

static void warn(const char *Message) { fprintf(stderr, "warning: %s\n", Message); }

TrainRun::~TrainRun() { ds_session_destroy(Session); }

//===----------------------------------------------------------------------===//
// Before the first step
//===----------------------------------------------------------------------===//

ds_status TrainRun::checkUsage(ds_error *Error) const {
  if (O.evaluates() && !Step.HasMode)
    return fail(Error, DS_UNSUPPORTED, "--eval-data: the program can train but not evaluate (it has no symbol 'mode')");
  if (O.Gradients && (!Step.HasMode || Step.Gradients.empty()))
    return fail(Error, DS_UNSUPPORTED, "--dump-gradients: the program does not give its gradients");
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
  Options.flags = O.CheckNan ? DS_SESSION_CHECK_NAN : 0;
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
                 PerEpoch = Step.FixedBatch ? Samples / BatchSize : (Samples + BatchSize - 1) / BatchSize;
  EpochLimit = O.Epochs ? uint64_t(O.Epochs) : O.Steps ? 0 : 1;
  // A run that --steps ends early has the rates of the whole one, so that it can be gone on with.
  if (!EpochLimit || __builtin_mul_overflow(PerEpoch, EpochLimit, &TotalSteps))
    TotalSteps = uint64_t(O.Steps);
}

ds_status TrainRun::run(ds_error *Error) {
  if (ds_status Status = checkUsage(Error))
    return Status;
  if (ds_status Status = openData(Error))
    return Status;
  if (ds_status Status = createSession(Error))
    return Status;
  if (ds_status Status = resume(Error))
    return Status;
  if (O.CheckpointDir)
    if (ds_status Status = Folder.open(O.CheckpointDir, At.Steps, Error))
      return Status;
  if (O.Report)
    if (ds_status Status = ds_session_profile(Session, 1, Error))
      return Status;
  struct sigaction Action = {};
  Action.sa_handler = noteSignal;
  Action.sa_flags = SA_RESTART | int(SA_RESETHAND); // the second one ends the program at once
  sigaction(SIGTERM, &Action, nullptr);
  sigaction(SIGINT, &Action, nullptr);

  if (Data.isOpen())
    if (ds_status Status = train(Error))
      return Status;
  if (StoppedBy)
    return DS_OK;
  if (EvalData.isOpen() && (!EvaluatedAt || EvaluatedAt != At.Steps))
    if (ds_status Status = evaluate(Error))
      return Status;
  if (StoppedBy)
    return DS_OK;
  if (O.Export) {
    if (ds_status Status = writeOnnx(O.Export, Step, Session, Error))
      return Status;
    Show.note("%s: the model after step %llu", O.Export, static_cast<unsigned long long>(At.Steps));
  }
  return O.Report ? Past.write(O.Report, O.Program, Step, Session, Error) : DS_OK;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

ds_status TrainRun::setMode(TrainStep::Mode Mode, ds_error *Error) {
  return Step.HasMode ? ds_session_set_symbol(Session, "mode", Mode, Error) : DS_OK;
}

void TrainRun::setScalars(double LearningRate) {
  Number = int64_t(At.Steps + 1);
  Seed = int64_t(At.Seed);
  Rate = LearningRate;
  SingleRate = float(LearningRate);
}

double TrainRun::output(size_t Index) const {
  ds_tensor T;
  return Index == TrainStep::None || ds_session_output(Session, Index, &T) ? -1 : scalar(T);
}

ds_status TrainRun::checkLoss(double Loss, double LearningRate, ds_error *Error) const {
  if (isfinite(Loss))
    return DS_OK;
  Text Value, Checkpoint;
  appendNumber(Value, LearningRate, false);
  if (*Folder.last())
    Checkpoint.append("; the last checkpoint before is '%s'", Folder.last());
  return fail(Error, DS_BAD_INPUT,
              "the loss of step %llu is %s, at learning rate %s%s; try a smaller learning rate (--lr), gradient "
              "clipping, or --check-nan, which says where it begins",
              static_cast<unsigned long long>(At.Steps + 1),
              isnan(Loss) ? "NaN"
              : Loss > 0  ? "infinite"
                          : "-infinite",
              Value.str(), Checkpoint.str());
}

ds_status TrainRun::orderSamples(ds_error *Error) {
  if (O.NoShuffle || OrderOf == At.Epoch)
    return DS_OK;
  if (!Order.resize(size_t(Data.samples())))
    return outOfMemory(Error);
  shuffle(At.Seed, uint32_t(At.Epoch), Order);
  OrderOf = At.Epoch;
  return DS_OK;
}

ds_status TrainRun::makeStep(ds_error *Error) {
  const bool WithGradients = O.Gradients && !HasGradients;
  const uint64_t Left = Data.samples() - At.Sample;
  const size_t Count = size_t(Left < BatchSize ? Left : BatchSize);
  const double LearningRate = Step.Rates.rate(O.HasRate ? O.Rate : Step.BaseRate, At.Steps + 1, TotalSteps);
  setScalars(LearningRate);
  if (ds_status Status = Data.gather(O.NoShuffle ? nullptr : Order.data(), At.Sample, Count, Inputs.data(), Error))
    return Status;
  if (WithGradients)
    if (ds_status Status = setMode(TrainStep::WithGradients, Error))
      return Status;
  if (ds_status Status = ds_session_run(Session, Inputs.data(), Inputs.size(), nullptr, 0, Error))
    return atStep(At.Steps + 1, Status, Error);
  if (WithGradients) {
    HasGradients = true;
    if (ds_status Status = writeGradients(O.Gradients, Step, Session, Error))
      return Status;
    if (ds_status Status = setMode(TrainStep::Train, Error))
      return Status;
  }
  const double Loss = output(Step.Loss);
  if (ds_status Status = checkLoss(Loss, LearningRate, Error))
    return Status;
  ++At.Steps;
  if (O.CheckNan)
    if (ds_status Status = checkStates(Step, Session, At.Steps, Error))
      return Status;
  ds_tensor_info LossInfo;
  ds_model_output(Model, Step.Loss, &LossInfo);
  const bool IsRateSingle = Step.Rate != TrainStep::None && Step.input(Step.Rate).dtype == DS_FLOAT32;
  const StepResult Result = {
      At.Steps,     Loss, IsRateSingle ? double(SingleRate) : LearningRate, LossInfo.dtype == DS_FLOAT32,
      IsRateSingle, Count};
  Show.step(Result, At.Epoch);
  if (O.Report && !Past.add(Result))
    return outOfMemory(Error);
  At.Sample += Count;
  return DS_OK;
}

ds_status TrainRun::save(ds_error *Error) {
  if (!Folder.isOpen() || SavedAt == At.Steps)
    return DS_OK;
  if (ds_status Status = Folder.save(Step, Session, At, Error))
    return Status;
  SavedAt = At.Steps;
  return DS_OK;
}

ds_status TrainRun::train(ds_error *Error) {
  countSteps();
  Show.begin(EpochLimit, O.Steps && (!EpochLimit || uint64_t(O.Steps) < TotalSteps) ? uint64_t(O.Steps) : TotalSteps);
  auto NextEpoch = [&] {
    ++At.Epoch;
    At.Sample = 0;
  };
  auto IsTime = [&](int64_t Every) { return Every && At.Steps % uint64_t(Every) == 0; };
  if (!hasBatch()) // of a checkpoint, for batches of another size
    NextEpoch();
  if (isDone())
    Show.note("nothing to train: the checkpoint is of step %llu, in epoch %llu; more with --epochs or --steps",
              static_cast<unsigned long long>(At.Steps), static_cast<unsigned long long>(At.Epoch + 1));
  while (!isDone() && !Stop) {
    if (ds_status Status = orderSamples(Error))
      return Status;
    if (ds_status Status = makeStep(Error))
      return Status;
    const bool IsEpochEnd = !hasBatch();
    if (IsEpochEnd)
      NextEpoch();
    const bool IsEnd = isDone() || Stop || !Show.ok();
    if (IsEpochEnd || IsEnd || IsTime(O.CheckpointEvery))
      if (ds_status Status = save(Error))
        return Status;
    if (!Show.ok())
      return fail(Error, DS_IO_ERROR, "cannot write to standard output: %s", strerror(errno));
    if (EvalData.isOpen() && !Stop && (IsEpochEnd || IsTime(O.EvalEvery)))
      if (ds_status Status = evaluate(Error))
        return Status;
  }
  Show.end();
  StoppedBy = Stop;
  return Stop ? save(Error) : DS_OK; // where the signal came while evaluating
}

ds_status TrainRun::evaluate(ds_error *Error) {
  Evaluation Result = {At.Steps, 0, 0};
  double Counted = 0;
  size_t Size;
  if (ds_status Status = chooseBatch(EvalData, "", Size, /*IsSaid=*/false, Error))
    return Status;
  if (ds_status Status = setMode(TrainStep::Evaluate, Error))
    return Status;
  setScalars(0);
  for (uint64_t First = 0; First + (Step.FixedBatch ? Size : 1) <= EvalData.samples() && !Stop; First += Size) {
    const uint64_t Left = EvalData.samples() - First;
    const size_t Count = size_t(Left < Size ? Left : Size);
    if (ds_status Status = EvalData.gather(nullptr, First, Count, Inputs.data(), Error))
      return Status;
    if (ds_status Status = ds_session_run(Session, Inputs.data(), Inputs.size(), nullptr, 0, Error))
      return fail(Error, Status, "evaluation after step %llu: %s", static_cast<unsigned long long>(At.Steps),
                  Error->message);
    const double Targets = Step.Counted == TrainStep::None ? double(Count) : output(Step.Counted);
    const double Correct = output(Step.Correct);
    if (!(Targets > 0)) // each target of the batch is one to ignore
      continue;
    Result.Loss += output(Step.Loss) * Targets;
    Result.Accuracy = Correct < 0 ? -1 : Result.Accuracy + Correct;
    Counted += Targets;
  }
  StoppedBy = Stop;
  if (Stop)
    return DS_OK;
  if (Counted == 0)
    return fail(Error, DS_BAD_INPUT, "the data to evaluate on have no target that counts");
  Result.Loss /= Counted;
  Result.Accuracy = Result.Accuracy < 0 ? -1 : Result.Accuracy / Counted;
  if (!isfinite(Result.Loss))
    return fail(Error, DS_BAD_INPUT, "the loss on the data to evaluate on is %s after step %llu",
                isnan(Result.Loss) ? "NaN" : "infinite", static_cast<unsigned long long>(At.Steps));
  EvaluatedAt = At.Steps;
  Show.evaluation(Result);
  if (O.Report && !Past.add(Result))
    return outOfMemory(Error);
  return setMode(TrainStep::Train, Error);
}

void TrainRun::finish() {
  Show.end();
  if (!StoppedBy)
    return;
  fprintf(stderr, "stopped by %s after step %llu%s%s\n", StoppedBy == SIGTERM ? "SIGTERM" : "SIGINT",
          static_cast<unsigned long long>(At.Steps), *Folder.last() ? "; the checkpoint is " : "", Folder.last());
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

static int runTraining(int Argc, char **Argv, ds_model *Model) {
  TrainOptions O;
  ds_error Error = {};
  ds_status Status = O.parse(Argc, Argv, &Error);
  int StoppedBy = 0;
  signal(SIGPIPE, SIG_IGN); // who reads the lines may end; the run then ends with a checkpoint
  if (!Status) {
    TrainRun Run(O, Model);
    Status = Run.readStep(&Error);
    if (!Status && O.Help)
      printTrainUsage(O, Run.step());
    else if (!Status && O.Version)
      printVersion(Model);
    else if (!Status)
      Status = Run.run(&Error);
    StoppedBy = Run.stoppedBy();
    Run.finish();
  }
  ds_model_release(Model);
  if (!Status && (fflush(stdout) || ferror(stdout)))
    Status = fail(&Error, DS_IO_ERROR, "cannot write to standard output: %s", strerror(errno));
  if (Status) {
    fprintf(stderr, "%s: error: %s%s\n", O.Program, Error.message, Status == DS_BAD_ARGUMENT ? " (see --help)" : "");
    return Status == DS_BAD_ARGUMENT ? ExitBadUsage : ExitBadInput;
  }
  return StoppedBy ? 128 + StoppedBy : ExitGood;
}

} // namespace ds::runtime

extern "C" {
extern const ds::runtime::TrainLibrary ds_runtime_train;
const ds::runtime::TrainLibrary ds_runtime_train = {ds::runtime::runTraining};
}
