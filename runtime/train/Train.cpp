//===- Train.cpp - A training run ------------------------------------------===//
// Guarantees: see Train.h.
//===----------------------------------------------------------------------===//
#include "Train.h"
#include "../src/Session.h"
#include "Export.h"
#include "Shuffle.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>

namespace ds::runtime {

static volatile sig_atomic_t Stop = 0;
static void noteSignal(int Signal) { Stop = Signal; }

/// Says at which step a run failed.
static ds_status atStep(uint64_t Number, ds_status Status, ds_error *Error) {
  return fail(Error, Status, "step %llu: %s", static_cast<unsigned long long>(Number), Error->message);
}

int TrainRun::isStopped() { return Stop; }

TrainRun::~TrainRun() { ds_session_destroy(Session); }

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
  return O.Report ? Past.write(O.Report, O.Program, Step, Session, Trained, Error) : DS_OK;
}

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

/// Below this, gradients that are not finite have another cause than the scale.
static constexpr double LeastScale = 1.0 / 65536;

ds_status TrainRun::readScale(double &Scale, ds_error *Error) {
  ds_tensor State;
  if (Step.Scale == TrainStep::None)
    return DS_OK;
  if (ds_status Status = ds_session_state_get(Session, Step.Scale, &State, Error))
    return Status;
  Scale = scalar(State);
  if (Scale >= LeastScale)
    return DS_OK;
  return fail(Error, DS_BAD_INPUT,
              "the gradients of step %llu are not finite, however small the scale of the loss (%g): a result of the "
              "model itself is too large for float16; compile with --precision=bf16, or fp32",
              static_cast<unsigned long long>(At.Steps), Scale);
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

/// What numbers of random draws of a step's batches begin with: no run has so many steps.
static constexpr int64_t BatchOfStep = int64_t(1) << 48;

ds_status TrainRun::makeBatch(uint64_t First, size_t Count, TrainStep::Mode Mode, int64_t Batch, BatchResult &Result,
                              ds_error *Error) {
  if (ds_status Status = Data.gather(O.NoShuffle ? nullptr : Order.data(), First, Count, Inputs.data(), Error))
    return Status;
  if (ds_status Status = setMode(Mode, Error))
    return Status;
  Number = int64_t(At.Steps + 1) + Batch * BatchOfStep;
  if (ds_status Status = ds_session_run(Session, Inputs.data(), Inputs.size(), nullptr, 0, Error))
    return atStep(At.Steps + 1, Status, Error);
  Trained = Session->LastVersion ? Session->LastVersion : Session;
  Result = {output(Step.Loss), Step.Counted == TrainStep::None ? double(Count) : output(Step.Counted)};
  // Gradients of a scaled loss that are not finite are no fault: the step skips its update. A loss that is none is one,
  // and as the parameters are what they were, the same batch tells where it begins.
  if (O.CheckNan && Step.Scale != TrainStep::None && Result.Targets > 0 && !isfinite(Result.Loss)) {
    Session->checkNan(true);
    if (ds_status Status = ds_session_run(Session, Inputs.data(), Inputs.size(), nullptr, 0, Error))
      return atStep(At.Steps + 1, Status, Error);
  }
  return DS_OK;
}

ds_status TrainRun::makeStep(ds_error *Error) {
  const bool WithGradients = O.Gradients && !HasGradients;
  const double LearningRate = Step.Rates.rate(O.HasRate ? O.Rate : Step.BaseRate, At.Steps + 1, TotalSteps);
  setScalars(LearningRate);
  BatchResult Result = {};
  uint64_t Samples = 0;
  auto Next = [&] {
    const uint64_t Left = Data.samples() - At.Sample - Samples;
    return size_t(Left < BatchSize ? (Step.FixedBatch ? 0 : Left) : BatchSize);
  };
  if (O.Accumulate <= 1) {
    const size_t Count = Next();
    if (ds_status Status =
            makeBatch(At.Sample, Count, WithGradients ? TrainStep::WithGradients : TrainStep::Train, 0, Result, Error))
      return Status;
    Samples = Count;
  } else {
    // The loss is the mean over the targets of all batches, as the gradients are.
    double Sum = 0, Targets = 0;
    for (int64_t Batch = 1; Batch <= O.Accumulate && Next(); ++Batch) {
      const uint64_t First = At.Sample + Samples;
      const size_t Count = Next();
      Samples += Count;
      const bool IsLast = Batch == O.Accumulate || !Next();
      if (ds_status Status = makeBatch(First, Count, IsLast ? TrainStep::Apply : TrainStep::Accumulate,
                                       IsLast ? 0 : Batch, Result, Error))
        return Status;
      if (!(Result.Targets > 0)) // each target of the batch is one to ignore
        continue;
      Sum += Result.Loss * Result.Targets;
      Targets += Result.Targets;
    }
    Result = {Sum / Targets, Targets};
  }
  if (WithGradients) {
    HasGradients = true;
    if (ds_status Status = writeGradients(O.Gradients, Step, Session, Error))
      return Status;
  }
  if (ds_status Status = checkLoss(Result.Loss, LearningRate, Error))
    return Status;
  ++At.Steps;
  if (O.CheckNan)
    if (ds_status Status = checkStates(Step, Session, At.Steps, Error))
      return Status;
  ds_tensor_info LossInfo;
  ds_model_output(Model, Step.Loss, &LossInfo);
  const bool IsRateSingle = Step.Rate != TrainStep::None && Step.input(Step.Rate).dtype == DS_FLOAT32;
  double Scale = 0;
  if (ds_status Status = readScale(Scale, Error))
    return Status;
  const StepResult Made = {At.Steps,
                           Result.Loss,
                           IsRateSingle ? double(SingleRate) : LearningRate,
                           LossInfo.dtype == DS_FLOAT32,
                           IsRateSingle,
                           size_t(Samples),
                           Scale};
  Show.step(Made, At.Epoch);
  if (O.Report && !Past.add(Made))
    return outOfMemory(Error);
  At.Sample += Samples;
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

void TrainRun::finish() {
  Show.end();
  if (!StoppedBy)
    return;
  fprintf(stderr, "stopped by %s after step %llu%s%s\n", StoppedBy == SIGTERM ? "SIGTERM" : "SIGINT",
          static_cast<unsigned long long>(At.Steps), *Folder.last() ? "; the checkpoint is " : "", Folder.last());
}

} // namespace ds::runtime
