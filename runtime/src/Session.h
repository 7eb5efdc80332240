//===- Session.h - Runs of one model by one thread --------------*- C++ -*-===//
// Assumes: a loaded model.
// Guarantees: a run with sizes like those of one of the last four plans touches no allocator; a failed run leaves the
//             session usable.
// Declines: use by two threads at a time.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_SESSION_H
#define DS_RUNTIME_SESSION_H

#include "Memory.h"
#include "Model.h"
#include "Planner.h"
#include "Tensor.h"
#include "ThreadPool.h"

namespace ds::runtime {

/// What follows from one tuple of values of the symbols that a stage knows.
struct Plan {
  uint64_t LastUse = 0; // 0: empty
  Array<int64_t> Symbols, Values;
  Array<int64_t> Sizes;         // of all entries of the dimension table; -1 where a later stage will know
  Array<Temporary> Temporaries; // in the order of the stage's temporary buffers
  int64_t ArenaSize = 0, ScratchSize = 0;
};

/// A part of the program whose sizes are known when it begins.
struct StageState {
  static constexpr size_t PlanCount = 4;
  Plan Plans[PlanCount];
  const Plan *Bound = nullptr;      // whose temporaries the session's Buffers hold
  Region Arena;                     // of the temporaries that it writes first
  Array<uint32_t> TemporaryBuffers; // numbers of these
  Array<uint32_t> Outputs;          // numbers of those whose sizes become known with it
};

/// Memory of one output: two places, so that the last run's output can be an input of the next.
struct OutputMemory {
  Region Places[2];
  uint32_t Current = 0;
};

struct ProfileCounter {
  uint64_t Calls;
  int64_t Nanoseconds;
  double Flops, Bytes;
};

} // namespace ds::runtime

struct ds_session {
  ds_program_host Host = {}; // first: the launch functions get its address
  ds_model *Model = nullptr;
  ds::runtime::MemorySource Memory;
  ds::runtime::ThreadPool Pool;
  ds::runtime::Array<ds_kernel_worker> Workers;
  void (*Logger)(void *, const char *) = nullptr;
  void *LoggerContext = nullptr;

  ds::runtime::StageState *Stages = nullptr;
  size_t StageCount = 0;
  uint64_t Clock = 0;
  const ds::runtime::Plan *Current = nullptr; // of the stage that runs

  ds::runtime::Region Scratch;
  ds::runtime::Array<void *> Buffers;
  ds::runtime::Array<uint32_t> EntryBuffers;             // numbers of those of inputs and outputs
  ds::runtime::Array<ds::runtime::Region> InputCopies;   // one an input
  ds::runtime::Array<ds::runtime::OutputMemory> Outputs; // one an output

  // Of the run in progress: shapes as given (the caller's may lie in memory that the run changes), addresses, symbols.
  ds::runtime::Array<int64_t> GivenShapes, Symbols, OutputBytes;
  ds::runtime::Array<void *> InputData, OutputData;
  ds::runtime::Array<ds_tensor> LastOutputs; // dtype 0: given away
  ds::runtime::Array<int64_t> LastShapes;
  bool HasRun = false;
  int32_t FailedLaunch = -1;

  // ds_session_feed: for each input, 1 + the number of the output that feeds it.
  ds::runtime::Array<size_t> Feeds;
  ds::runtime::Array<ds_tensor> FedInputs; // the caller's, with the fed ones filled in
  size_t FeedCount = 0;

  bool Profiling = false;
  ds::runtime::Array<ds::runtime::ProfileCounter> Profile;

  ~ds_session();

  ds_status initialize(const ds_session_options &Options, ds_error *Error);
  ds_status run(const ds_tensor *Inputs, size_t InputCount, ds_tensor *Given, size_t OutputCount, ds_error *Error);

  // SessionPlan.cpp
  ds_status plan(const ds_tensor *Inputs, size_t InputCount, const ds::runtime::Plan *&Result, ds_error *Error);
  /// The plan of a stage for `Symbols`; `Before` is that of the stage before it.
  ds_status planFor(size_t Stage, const ds::runtime::Plan *Before, const ds::runtime::Plan *&Result, ds_error *Error);

  void chooseLaunch();

  // SessionFeed.cpp
  ds_status feed(size_t Output, size_t Input, ds_error *Error);
  /// `Inputs` with outputs of the last run in the place of entries that are all zero.
  ds_status resolveFeeds(const ds_tensor *&Inputs, size_t InputCount, ds_error *Error);
  bool hasOutput(size_t Index) const { return HasRun && Index < LastOutputs.size() && LastOutputs[Index].dtype; }
  /// Where tensors without elements point.
  static void *nothing();

private:
  ds_status readShapes(const ds_tensor *Inputs, size_t InputCount, ds_error *Error);
  ds_status checkShapes(const ds::runtime::Plan *P, ds_error *Error) const;
  ds_status fillPlan(size_t Stage, const ds::runtime::Plan *Before, ds::runtime::Plan &P, ds_error *Error);
  /// Reads the symbols that become known with a stage from the buffers.
  ds_status readBound(size_t Stage, ds_error *Error);
  int64_t number(const ds_artifact_number &N, const ds::runtime::Plan &P) const;

  ds_status bind(ds::runtime::StageState &S, const ds::runtime::Plan &P, ds_error *Error);
  ds_status takeInputs(const ds_tensor *Inputs, const ds::runtime::Plan &P, ds_error *Error);
  ds_status takeOutputs(const ds_tensor *Inputs, ds_tensor *Given, size_t Stage, const ds::runtime::Plan &P,
                        ds_error *Error);
  ds_status checkOverlap(const ds_tensor *Inputs, const ds_tensor *Given, const ds::runtime::Plan &P, size_t Output,
                         ds_error *Error) const;
  ds_status kernelError(int32_t Code, ds_error *Error) const;

  static int32_t launchSerial(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel, const ds_kernel_state *State,
                              int64_t Range, int64_t Grain);
  static int32_t launchParallel(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel, const ds_kernel_state *State,
                                int64_t Range, int64_t Grain);
  static int32_t launchProfiled(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel, const ds_kernel_state *State,
                                int64_t Range, int64_t Grain);
};

#endif
