//===- Train.h - A training run ---------------------------------*- C++ -*-===//
// Assumes: a program's own model, which is a training step.
// Guarantees: exit code 0, 1 for bad data or a run that failed, 2 for bad usage, 128 + the signal's number after
//   SIGTERM and SIGINT; every failure is one line on standard error. The same data, seed and flags give the same
//   parameters, bit for bit, with any number of threads, with stops and without.
// Declines: anything asynchronous: data and checkpoints take their time between two steps.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_TRAIN_H
#define DS_RUNTIME_TRAIN_H

#include "Checkpoint.h"
#include "Data.h"
#include "Display.h"
#include "History.h"
#include "Options.h"

namespace ds::runtime {

class TrainRun {
public:
  TrainRun(const TrainOptions &O, ds_model *Model) : O(O), Model(Model) {}
  TrainRun(const TrainRun &) = delete;
  TrainRun &operator=(const TrainRun &) = delete;
  ~TrainRun();

  ds_status readStep(ds_error *Error) { return Step.read(Model, Error); }
  const TrainStep &step() const { return Step; }
  ds_status run(ds_error *Error);
  /// Ends what is shown.
  void finish();
  /// The signal that ended the run; 0: none did.
  int stoppedBy() const { return StoppedBy; }

private:
  const TrainOptions &O;
  ds_model *Model;
  TrainStep Step;
  ds_session *Session = nullptr;
  DataSet Data, EvalData;
  CheckpointFolder Folder;
  Progress At;
  Display Show;
  History Past;
  Array<uint32_t> Order;
  uint64_t OrderOf = UINT64_MAX; // the epoch that has it
  Array<ds_tensor> Inputs;
  size_t BatchSize = 0;
  uint64_t EpochLimit = 0, TotalSteps = 0, SavedAt = 0, EvaluatedAt = 0;
  int StoppedBy = 0;
  bool HasGradients = false;           // written
  const ds_session *Trained = nullptr; // that of the last step: the session, or a version
  // What the step's scalars point to.
  int64_t Number = 0, Seed = 0;
  double Rate = 0;
  float SingleRate = 0;

  ds_status checkUsage(ds_error *Error) const;
  ds_status openData(ds_error *Error);
  ds_status chooseBatch(const DataSet &Set, const char *Name, size_t &Size, bool IsSaid, ds_error *Error) const;
  ds_status createSession(ds_error *Error);
  ds_status resume(ds_error *Error);
  void countSteps();

  bool hasBatch() const {
    const uint64_t Left = Data.samples() - At.Sample;
    return Left >= (Step.FixedBatch ? BatchSize : 1);
  }
  bool isDone() const { return (O.Steps && At.Steps >= uint64_t(O.Steps)) || (EpochLimit && At.Epoch >= EpochLimit); }
  ds_status train(ds_error *Error);
  ds_status orderSamples(ds_error *Error);
  struct BatchResult {
    double Loss, Targets;
  };
  /// Runs the step on `Count` samples from number `First` on; `Batch` tells batches apart that make one step.
  ds_status makeBatch(uint64_t First, size_t Count, TrainStep::Mode Mode, int64_t Batch, BatchResult &Result,
                      ds_error *Error);
  ds_status makeStep(ds_error *Error);
  /// The signal that came, or 0.
  static int isStopped();
  ds_status setMode(TrainStep::Mode Mode, ds_error *Error);
  void setScalars(double LearningRate);
  /// What the loss of the next step is scaled by; leaves 0 where it is not.
  ds_status readScale(double &Scale, ds_error *Error);
  ds_status checkLoss(double Loss, double LearningRate, ds_error *Error) const;
  ds_status save(ds_error *Error);
  ds_status evaluate(ds_error *Error);
  double output(size_t Index) const;
};

} // namespace ds::runtime

#endif
