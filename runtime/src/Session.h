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
#include "StringLibrary.h"
#include "Tensor.h"
#include "ThreadPool.h"

namespace ds::runtime {

/// No tensor is larger; below it products of a few dimensions do not overflow unnoticed.
inline constexpr int64_t MaxDimension = int64_t(1) << 40;

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
  ArenaLayout Layout;
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

/// Where an output was before its memory moved, or was given away.
struct FormerOutput {
  size_t Output;
  const void *Data;
};

/// What the iterations of a loop made, one after another.
struct KeptOutput {
  Region Memory;
  Array<int64_t> Shape; // the number of iterations, then that of each value
  int64_t Count = 0, Bytes = 0;
};

/// Bytes that a run reads or, of a donated input, writes.
struct Claim {
  const char *Data = nullptr;
  size_t Size = 0;
  uint32_t Input = 0; // whose number this is
  bool IsDonated = false;
};

/// What the session holds for a donated input.
struct StateMemory {
  Region Memory;
  const void *LastOutput; // where the last run left it; entries of outputs may still say so
  size_t FirstDimension;  // in StateShapes
  enum : uint32_t { Absent, Present, Lost } Is;
};

struct CustomState;
struct SessionGuard;

/// "a temporary"
const char *bufferKind(const ds_artifact_buffer &B);

/// A call: sessions of the bodies that it runs, or what its operator needs.
struct CallState {
  ds_session *Bodies[2] = {};
  Array<ds_tensor> Inputs; // of the body that runs
  KeptOutput *Kept = nullptr;
  size_t KeptCount = 0;
  CustomState *Custom = nullptr;

  ~CallState();
  void release(MemorySource &Memory);
};

int64_t nanoseconds();

struct ProfileCounter {
  uint64_t Calls;
  int64_t Nanoseconds;
  double Flops, Bytes;
};

/// The number of the first element that is NaN or, with `Infinite`, an infinity; `Count` where there is none, or the
/// type has no such.
size_t findNotFinite(const void *Data, int32_t Dtype, size_t Count, bool Infinite);

} // namespace ds::runtime

struct ds_session {
  ds_program_host Host = {}; // first: the launch functions get its address
  ds_model *Model = nullptr;
  ds::runtime::MemorySource Memory;
  ds::runtime::ThreadPool OwnPool;
  ds::runtime::ThreadPool *Pool = &OwnPool; // that of the outermost session
  ds_session *Outermost = this;
  void *Strings = nullptr; // of the outermost session, once one of its operators needs them
  ds::runtime::Array<ds_kernel_worker> Workers;
  void (*Logger)(void *, const char *) = nullptr;
  void *LoggerContext = nullptr;

  ds::runtime::StageState *Stages = nullptr;
  size_t StageCount = 0;
  uint64_t Clock = 0;
  const ds::runtime::Plan *Current = nullptr; // of the stage that runs

  ds::runtime::CallState *Calls = nullptr;
  size_t CallCount = 0;
  ds::runtime::Array<int64_t> Made; // sizes of what calls made, parallel to the dimension table

  ds::runtime::Array<ds_session *> Versions; // one a version of the metadata
  ds::runtime::Array<unsigned char> LeftOut; // of each input: whether the run leaves it out and takes its default
  ds_session *LastVersion = nullptr;         // that made the outputs of the last run, or NULL
  ds_session *ArenaHolder = this;            // itself, or the version that ran last

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
  ds::runtime::Array<ds::runtime::FormerOutput> FormerOutputs;
  bool HasRun = false, IsFresh = true; // fresh: no run has begun to write outputs
  int32_t FailedLaunch = -1;

  // ds_session_feed: for each input, 1 + the number of the output that feeds it.
  ds::runtime::Array<size_t> Feeds;
  ds::runtime::Array<ds_tensor> FedInputs; // the caller's, with the fed ones filled in
  size_t FeedCount = 0;

  ds::runtime::Array<size_t> FirstShape;          // of each input, in GivenShapes
  ds::runtime::Array<uint32_t> DonationTo;        // of each output: the donation to it, or the number of donations
  ds::runtime::Array<ds::runtime::Claim> Extents; // of inputs: room to compare them in a run
  // SessionState.cpp: one entry a donation.
  ds::runtime::Array<ds::runtime::StateMemory> States;
  ds::runtime::Array<int64_t> StateShapes;
  ds::runtime::Array<ds::runtime::Claim> Running;        // what the run in progress writes
  ds::runtime::Array<ds::runtime::Claim> Held, Active;   // for other sessions to see: memory of States, and that
  ds_session *NextDonor = nullptr, *LastDonor = nullptr; // those of the process with donations
  bool HasBegun = false;                                 // kernels of the last run have written
  const ds_session *Runs = nullptr;                      // of the last run: this session, or a version

  ds::runtime::Array<int64_t> GivenSymbols;   // of the outermost session: values by number, or -1
  ds::runtime::SessionGuard *Guard = nullptr; // of DS_SESSION_GUARD (SessionGuard.cpp)

  bool CheckNan = false; // DS_SESSION_CHECK_NAN (SessionNan.cpp): then `launch` calls this one
  int32_t (*Unchecked)(ds_program_host *, int32_t, ds_kernel_fn, const ds_kernel_state *, int64_t, int64_t) = nullptr;
  ds::runtime::Text NotANumber; // where it is, of a run that failed for it
  bool Profiling = false;
  ds::runtime::Array<ds::runtime::ProfileCounter> Profile; // launches, then calls of operators
  size_t CustomCount = 0;

  ~ds_session();

  /// `Caller` is the session whose calls this one runs for, or NULL.
  static ds_status create(ds_model *Model, const ds_session_options &Options, ds_session *Caller, ds_session *&Session,
                          ds_error *Error);
  uint64_t memory() const;
  bool isOutermost() const { return Outermost == this; }
  /// Calls `Visit` with the session and those of all bodies, until it says so.
  template <typename Fn> bool visit(Fn Visit) {
    if (Visit(*this))
      return true;
    for (size_t I = 0; I < CallCount; ++I)
      for (ds_session *Body : Calls[I].Bodies)
        if (Body && Body->visit(Visit))
          return true;
    for (ds_session *Version : Versions)
      if (Version->visit(Visit))
        return true;
    return false;
  }
  ds_status run(const ds_tensor *Inputs, size_t InputCount, ds_tensor *Given, size_t OutputCount, ds_error *Error);

  // SessionPlan.cpp
  /// Sets the symbols that the inputs' dimensions give.
  ds_status readSymbols(const ds_tensor *Inputs, size_t InputCount, ds_error *Error);
  ds_status plan(const ds_tensor *Inputs, size_t InputCount, const ds::runtime::Plan *&Result, ds_error *Error);
  /// The plan of a stage for `Symbols`; `Before` is that of the stage before it.
  ds_status planFor(size_t Stage, const ds::runtime::Plan *Before, const ds::runtime::Plan *&Result, ds_error *Error);

  void chooseLaunch();
  /// Has runs from now on look for NaN (SessionNan.cpp), or not.
  void checkNan(bool IsOn);
  /// True for an entry that an earlier run filled in: memory of this session, or what was. The latter may be the
  /// caller's by now; then it is not the session that says its shape.
  bool isOwn(size_t Output, const ds_tensor &Given) const {
    const ds::runtime::OutputMemory &Own = Outputs[Output];
    if (Given.data == Own.Places[0].Data || Given.data == Own.Places[1].Data || Given.data == nothing())
      return true;
    bool IsFormer = false;
    for (const ds::runtime::FormerOutput &Former : FormerOutputs)
      IsFormer |= Former.Output == Output && Former.Data == Given.data;
    return IsFormer && Given.shape >= LastShapes.begin() && Given.shape <= LastShapes.begin() + LastShapes.size();
  }
  void forgetOwn(ds_tensor *Given) const;
  void addFormer(size_t Output, const void *Data);

  // SessionCustom.cpp
  static ds_status checkOperators(const ds_session_options &Options, ds_error *Error);

  // SessionState.cpp
  /// Fills in states of the session for entries that are all zero, in `FedInputs`. With `IsRun`, a state that there is
  /// not yet begins as the input's default.
  ds_status resolveStates(const ds_tensor *&Inputs, size_t InputCount, bool IsRun, ds_error *Error);
  /// Checks the memory of donated inputs, whose shapes were read, and that no other session uses it.
  ds_status claimDonated(const ds_tensor *Inputs, ds_error *Error);
  void endClaims();
  /// The run failed: what it had begun to write is lost.
  void loseStates(const ds_tensor *Inputs);
  ds_status state(size_t Input, const char *Function, size_t &Donation, ds_error *Error) const;
  ds_status makeState(size_t Donation, const int64_t *Shape, ds_error *Error);
  void hold(size_t Donation, const ds::runtime::Claim &Bytes);

  // SessionGiven.cpp
  ds_status setSymbol(const char *Name, int64_t Value, ds_error *Error);
  /// Sets the symbols that the session was given.
  ds_status readGiven(ds_error *Error);
  void giveVersion(ds_session &Version) const;

  // SessionVersion.cpp
  /// Defaults for entries that are all zero, in `FedInputs`; notes which these are.
  void resolveDefaults(const ds_tensor *&Inputs, size_t InputCount);
  void passArena(ds_session &To);
  /// The version that fits the symbols and what the run leaves out, or NULL.
  ds_session *findVersion() const;

  // SessionFeed.cpp
  ds_status feed(size_t Output, size_t Input, ds_error *Error);
  /// `Inputs` with outputs of the last run in the place of entries that are all zero.
  ds_status resolveFeeds(const ds_tensor *&Inputs, size_t InputCount, ds_error *Error);
  bool hasOutput(size_t Index) const { return HasRun && Index < LastOutputs.size() && LastOutputs[Index].dtype; }
  /// Where tensors without elements point.
  static void *nothing();

private:
  ds_status createStates(ds_error *Error);
  void forgetStates();
  ds_status initialize(const ds_session_options &Options, ds_session *Caller, ds_error *Error);

  // SessionGuard.cpp
  ds_status createGuard(ds_error *Error);
  void destroyGuard();
  ds_status bindGuarded(const ds::runtime::StageState &S, const ds::runtime::Plan &P, ds_error *Error);
  static int32_t launchGuarded(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel, const ds_kernel_state *State,
                               int64_t Range, int64_t Grain);

  // SessionNan.cpp
  ds_status checkInputs(const ds::runtime::Plan &P, ds_error *Error) const;
  static int32_t launchChecked(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel, const ds_kernel_state *State,
                               int64_t Range, int64_t Grain);

  // SessionVersion.cpp
  ds_status createVersions(const ds_session_options &Options, ds_error *Error);
  ds_status runVersion(ds_session &Version, const ds_tensor *Inputs, size_t InputCount, ds_tensor *Given,
                       size_t OutputCount, ds_error *Error);

  // SessionCall.cpp
  ds_status createCalls(const ds_session_options &Options, ds_error *Error);
  ds_status call(size_t Index, const ds::runtime::Plan &P, ds_error *Error);
  ds_status branch(const ds_artifact_call &C, ds::runtime::CallState &S, const ds::runtime::Plan &P, ds_error *Error);
  ds_status loop(const ds_artifact_call &C, ds::runtime::CallState &S, const ds::runtime::Plan &P, ds_error *Error);
  void giveSymbols(const ds_artifact_call &C, size_t Index, const ds::runtime::Plan &P, ds_session &Body) const;
  ds_tensor operand(const ds_artifact_operand &O, const ds::runtime::Plan &P) const;
  ds_status takeResult(const ds_artifact_call &C, const ds_artifact_operand &O, const ds_tensor &T,
                       const ds::runtime::Plan &P, ds_error *Error);

  // SessionCustom.cpp
  ds_status createCustom(const ds_artifact_call &C, ds::runtime::CallState &S, const ds_session_options &Options,
                         ds_error *Error);
  ds_status custom(const ds_artifact_call &C, ds::runtime::CallState &S, const ds::runtime::Plan &P, ds_error *Error);
  ds_status runCustom(const ds_artifact_call &C, ds::runtime::CallState &S, const ds::runtime::Plan &P,
                      ds_error *Error);
  ds_status inferCustom(const ds_artifact_call &C, ds::runtime::CallState &S, const ds::runtime::Plan &P,
                        ds_error *Error);

  ds_status keep(const ds_artifact_call &C, ds::runtime::KeptOutput &Kept, const ds_tensor &T, ds_error *Error);
  ds_status takeKept(const ds_artifact_call &C, ds::runtime::KeptOutput &Kept, const ds_artifact_operand &O,
                     const ds_artifact_tensor &Each, const ds::runtime::Metadata &Its, const ds::runtime::Plan &P,
                     ds_error *Error);

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
  ds_status takeDonated(size_t Donation, const ds_tensor *Inputs, ds_tensor *Given, const int64_t *Shape,
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
