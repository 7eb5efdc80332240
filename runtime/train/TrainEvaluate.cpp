//===- TrainEvaluate.cpp - Evaluations during a training run ---------------===//
// Guarantees: see Train.h. Means are over all targets that count, whatever the batches; states stay as they are.
//===----------------------------------------------------------------------===//
#include "Train.h"
#include <math.h>

namespace ds::runtime {

ds_status TrainRun::evaluate(ds_error *Error) {
  Evaluation Result = {At.Steps, 0, 0};
  double Counted = 0;
  size_t Size;
  if (ds_status Status = chooseBatch(EvalData, "", Size, /*IsSaid=*/false, Error))
    return Status;
  if (ds_status Status = setMode(TrainStep::Evaluate, Error))
    return Status;
  setScalars(0);
  for (uint64_t First = 0; First + (Step.FixedBatch ? Size : 1) <= EvalData.samples() && !isStopped(); First += Size) {
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
  StoppedBy = isStopped();
  if (StoppedBy)
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

} // namespace ds::runtime
