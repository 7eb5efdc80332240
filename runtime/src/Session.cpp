//===- Session.cpp - Runs ----------------------------------------------------===//
// Assumes: the caller's tensors are as large as they say.
// Guarantees: every pointer that compiled code gets is as large as the metadata and the plan say, and not NULL.
// Declines: anything asynchronous.
//===----------------------------------------------------------------------===//
#include "Session.h"
#include "Guard.h"
#include <new>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

using namespace ds::runtime;

extern "C" [[gnu::weak]] DS_API const StringLibrary ds_runtime_strings;

// Where buffers without bytes point.
alignas(64) static char Nothing[64];

void *ds_session::nothing() { return Nothing; }

static constexpr uint32_t MaxThreads = 1024;

ds_session::~ds_session() {
  OwnPool.stop();
  if (!States.empty())
    forgetStates();
  for (size_t I = 0; I < CallCount; ++I) {
    Calls[I].release(Memory);
    Calls[I].~CallState();
  }
  free(Calls);
  for (ds_session *Version : Versions)
    ds_session_destroy(Version);
  for (Region &R : InputCopies)
    R.release(Memory);
  for (OutputMemory &O : Outputs)
    for (Region &R : O.Places)
      R.release(Memory);
  for (size_t I = 0; I < StageCount; ++I) {
    Stages[I].Arena.release(Memory);
    Stages[I].~StageState();
  }
  free(Stages);
  Scratch.release(Memory);
  if (Strings)
    ds_runtime_strings.Destroy(Strings);
  destroyGuard();
  ds_model_release(Model);
}

static uint32_t availableCpus() {
  cpu_set_t Set;
  if (sched_getaffinity(0, sizeof Set, &Set))
    return 1;
  uint32_t Count = uint32_t(CPU_COUNT(&Set));
  return Count ? Count : 1;
}

ds_status ds_session::initialize(const ds_session_options &Options, ds_session *Caller, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  if (Options.threads > MaxThreads)
    return fail(Error, DS_BAD_ARGUMENT, "%u threads asked for, at most %u can be", Options.threads, MaxThreads);
  if (Options.allocator) {
    if (!Options.allocator->allocate || !Options.allocator->release)
      return fail(Error, DS_BAD_ARGUMENT, "the allocator lacks a function");
    Memory.use(*Options.allocator);
  }
  Outermost = Caller ? Caller->Outermost : this;
  if (Options.flags & ~uint32_t(DS_SESSION_GUARD | DS_SESSION_CHECK_NAN))
    return fail(Error, DS_BAD_ARGUMENT,
                "the session's flags are %#x, expected DS_SESSION_GUARD, DS_SESSION_CHECK_NAN, both or 0",
                Options.flags);
  CheckNan = Options.flags & DS_SESSION_CHECK_NAN;
  Logger = Options.logger;
  LoggerContext = Options.logger_context;
  size_t InputDims = 0, OutputDims = 0;
  for (size_t I = 0; I < Meta.Inputs.size(); ++I)
    InputDims += Meta.Inputs[I].rank;
  for (size_t I = 0; I < Meta.Outputs.size(); ++I)
    OutputDims += Meta.Outputs[I].rank;
  const uint32_t Threads = Caller            ? uint32_t(Caller->Workers.size())
                           : Options.threads ? Options.threads
                                             : availableCpus();
  if (!Buffers.resize(Meta.Buffers.size()) || !InputCopies.resize(Meta.Inputs.size()) ||
      !Outputs.resize(Meta.Outputs.size()) || !GivenShapes.resize(InputDims) || !LastShapes.resize(OutputDims) ||
      !Symbols.resize(Meta.symbolCount()) || !OutputBytes.resize(Meta.Outputs.size()) ||
      !InputData.resize(Meta.Inputs.size()) || !OutputData.resize(Meta.Outputs.size()) ||
      !LastOutputs.resize(Meta.Outputs.size()) || !Feeds.resize(Meta.Inputs.size()) ||
      !FedInputs.resize(Meta.Inputs.size()) || !LeftOut.resize(Model->Defaults.size()) || !Workers.resize(Threads))
    return outOfMemory(Error);
  Stages = static_cast<StageState *>(calloc(Meta.Stages.size(), sizeof(StageState)));
  if (!Stages)
    return outOfMemory(Error);
  for (; StageCount < Meta.Stages.size(); ++StageCount)
    new (&Stages[StageCount]) StageState;
  for (size_t I = 0; I < Meta.Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Meta.Buffers[I];
    Buffers[I] = Nothing;
    if (B.kind == DS_BUFFER_WEIGHT)
      Buffers[I] = const_cast<unsigned char *>(Model->Weights + B.offset);
    else if (B.kind != DS_BUFFER_RESULT &&
             !(B.kind == DS_BUFFER_TEMPORARY ? Stages[Meta.stageOf(B.first_launch)].TemporaryBuffers : EntryBuffers)
                  .push(uint32_t(I)))
      return outOfMemory(Error);
  }
  for (size_t I = 0; I < Meta.Outputs.size(); ++I) {
    size_t Stage = 0;
    for (uint32_t D = 0; D < Meta.Outputs[I].rank; ++D)
      while (!Meta.isKnown(Meta.Dimensions[Meta.Outputs[I].first_dimension + D].size, Stage))
        ++Stage;
    if (!Stages[Stage].Outputs.push(uint32_t(I)))
      return outOfMemory(Error);
  }
  for (uint32_t I = 0; I < Threads; ++I)
    Workers[I] = {int64_t(I), Nothing};
  Host.buffers = Buffers.data();
  if (Options.flags & DS_SESSION_GUARD)
    if (ds_status Status = createGuard(Error))
      return Status;
  chooseLaunch();
  if (Caller)
    Pool = Caller->Pool;
  else if (ds_status Status = OwnPool.start(Threads, Error))
    return Status;
  if (ds_status Status = createCalls(Options, Error))
    return Status;
  if (ds_status Status = createVersions(Options, Error))
    return Status;
  if (ds_status Status = createStates(Error))
    return Status;
  if (!isOutermost())
    return DS_OK;
  if (Options.given_count && !Options.given)
    return fail(Error, DS_BAD_ARGUMENT, "%zu given symbols announced, but given is NULL", Options.given_count);
  for (size_t I = 0; I < Options.given_count; ++I)
    if (ds_status Status = setSymbol(Options.given[I].name, Options.given[I].value, Error))
      return Status;
  return DS_OK;
}

ds_status ds_session::create(ds_model *Model, const ds_session_options &Options, ds_session *Caller,
                             ds_session *&Session, ds_error *Error) {
  void *Place = nullptr;
  if (posix_memalign(&Place, alignof(ds_session), sizeof(ds_session)))
    return outOfMemory(Error);
  ds_session *S = new (Place) ds_session;
  retain(Model);
  S->Model = Model;
  if (ds_status Status = S->initialize(Options, Caller, Error)) {
    ds_session_destroy(S);
    return Status;
  }
  Session = S;
  return DS_OK;
}

ds_status ds_session_create(ds_model *Model, const ds_session_options *Options, ds_session **Session, ds_error *Error) {
  if (!Model || !Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_create needs a model and a place for the session");
  const ds_session_options Given = Options ? *Options : ds_session_options();
  if (ds_status Status = ds_session::checkOperators(Given, Error))
    return Status;
  prefetchWeights(Model);
  return ds_session::create(Model, Given, nullptr, *Session, Error);
}

void ds_session_destroy(ds_session *Session) {
  if (!Session)
    return;
  Session->~ds_session();
  free(Session);
}

uint64_t ds_session::memory() const {
  uint64_t Held = 0;
  const_cast<ds_session *>(this)->visit([&](ds_session &S) {
    Held += S.Memory.held() + (S.Strings ? ds_runtime_strings.Memory(S.Strings) : 0);
    return false;
  });
  return Held;
}

uint32_t ds_session_threads(const ds_session *Session) { return Session->Pool->threads(); }
uint64_t ds_session_memory(const ds_session *Session) { return Session->memory(); }

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

void ds_session::chooseLaunch() {
  Unchecked = Guard ? launchGuarded : Profiling ? launchProfiled : Workers.size() > 1 ? launchParallel : launchSerial;
  Host.launch = CheckNan ? launchChecked : Unchecked;
}

int32_t ds_session::launchSerial(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel, const ds_kernel_state *State,
                                 int64_t Range, int64_t Grain) {
  if (Range <= 0)
    return DS_KERNEL_OK;
  ds_session *S = reinterpret_cast<ds_session *>(Host);
  int32_t Result = Kernel(State, S->Workers.data(), 0, Range);
  if (Result) [[unlikely]]
    S->FailedLaunch = Node;
  return Result;
}

int32_t ds_session::launchParallel(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel,
                                   const ds_kernel_state *State, int64_t Range, int64_t Grain) {
  ds_session *S = reinterpret_cast<ds_session *>(Host);
  int32_t Result = S->Pool->run(S->Workers.data(), Kernel, State, Range, Grain);
  if (Result) [[unlikely]]
    S->FailedLaunch = Node;
  return Result;
}

int64_t ds::runtime::nanoseconds() {
  timespec T;
  clock_gettime(CLOCK_MONOTONIC, &T);
  return T.tv_sec * int64_t(1000000000) + T.tv_nsec;
}

int32_t ds_session::launchProfiled(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel,
                                   const ds_kernel_state *State, int64_t Range, int64_t Grain) {
  ds_session *S = reinterpret_cast<ds_session *>(Host);
  const int64_t Start = nanoseconds();
  int32_t Result = (S->Workers.size() > 1 ? launchParallel : launchSerial)(Host, Node, Kernel, State, Range, Grain);
  if (Node >= 0 && size_t(Node) < S->Profile.size()) {
    const ds_artifact_launch &L = S->Model->Meta.Launches[size_t(Node)];
    ProfileCounter &C = S->Profile[size_t(Node)];
    C.Nanoseconds += nanoseconds() - Start;
    C.Calls += 1;
    C.Flops += double(S->number(L.flops, *S->Current));
    C.Bytes += double(S->number(L.bytes, *S->Current));
  }
  return Result;
}

ds_status ds_session::kernelError(int32_t Code, ds_error *Error) const {
  const Metadata &Meta = Model->Meta;
  const char *Where = FailedLaunch >= 0 && size_t(FailedLaunch) < Meta.Launches.size()
                          ? Meta.text(Meta.Launches[size_t(FailedLaunch)].source)
                          : "the model";
  if (Guard && Guard->IsDamaged)
    return fail(Error, DS_BAD_ARTIFACT, "%s: memory fault: %s", Where, Guard->Damage.str());
  if (CheckNan && !NotANumber.empty())
    return fail(Error, DS_BAD_INPUT, "%s: NaN begins here: %s", Where, NotANumber.str());
  switch (Code) {
  case DS_KERNEL_INDEX_OUT_OF_RANGE:
    return fail(Error, DS_BAD_INPUT, "%s: an index value is outside the dimension that it selects from", Where);
  case DS_KERNEL_DIVISION_BY_ZERO:
    return fail(Error, DS_BAD_INPUT, "%s: integer division by zero", Where);
  case DS_KERNEL_BAD_VALUE:
    return fail(Error, DS_BAD_INPUT, "%s: a value that the operator does not allow", Where);
  case DS_KERNEL_NO_TILES:
    return fail(Error, DS_UNSUPPORTED,
                "%s: the system does not let the process use the CPU's matrix tiles (AMX); compile for a CPU without "
                "them (--target-cpu=x86-64-v4)",
                Where);
  default:
    return fail(Error, DS_BAD_INPUT, "%s: the kernel failed with code %d", Where, Code);
  }
}

//===----------------------------------------------------------------------===//
// Memory of a run
//===----------------------------------------------------------------------===//

ds_status ds_session::bind(StageState &S, const Plan &P, ds_error *Error) {
  Current = &P;
  Host.values = P.Values.data();
  if (Guard)
    return bindGuarded(S, P, Error);
  if (S.Bound == &P && StageCount == 1)
    return DS_OK;
  S.Bound = nullptr;
  int64_t AllScratch;
  if (!multiply(P.ScratchSize, int64_t(Workers.size()), AllScratch) || !S.Arena.reserve(Memory, P.ArenaSize) ||
      !Scratch.reserve(Memory, AllScratch))
    return fail(Error, DS_OUT_OF_MEMORY, "cannot get %lld bytes for temporaries and %lld a thread for scratch memory",
                static_cast<long long>(P.ArenaSize), static_cast<long long>(P.ScratchSize));
  for (size_t I = 0; I < S.TemporaryBuffers.size(); ++I)
    Buffers[S.TemporaryBuffers[I]] = P.Temporaries[I].Size ? S.Arena.Data + P.Temporaries[I].Offset : Nothing;
  for (size_t I = 0; I < Workers.size(); ++I)
    Workers[I].scratch = P.ScratchSize ? Scratch.Data + int64_t(I) * P.ScratchSize : Nothing;
  S.Bound = &P;
  return DS_OK;
}

static bool isAligned(const void *Data, size_t ElementSize) {
  return reinterpret_cast<uintptr_t>(Data) % ElementSize == 0;
}

ds_status ds_session::takeInputs(const ds_tensor *Inputs, const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; I < Meta.Inputs.size(); ++I) {
    const ds_artifact_tensor &T = Meta.Inputs[I];
    const int64_t *Shape = P.Sizes.data() + T.first_dimension;
    const size_t Size = dtypeSize(T.dtype);
    int64_t Bytes;
    if (!denseBytes(Shape, T.rank, Size, Bytes))
      return fail(Error, DS_BAD_INPUT, "input '%s' would be larger than any memory", Meta.text(T.name));
    InputData[I] = Nothing;
    if (Bytes == 0)
      continue;
    if (!Inputs[I].data)
      return fail(Error, DS_BAD_INPUT, "the data of input '%s' is NULL", Meta.text(T.name));
    InputData[I] = Inputs[I].data;
    if (isAligned(Inputs[I].data, Size) && isDense(Inputs[I], Shape) && !Guard)
      continue;
    if (!InputCopies[I].reserve(Memory, Bytes))
      return outOfMemory(Error);
    copyToDense(InputCopies[I].Data, Inputs[I], Shape);
    if (Guard)
      setAccess(InputCopies[I], Access::Read);
    InputData[I] = InputCopies[I].Data;
  }
  return DS_OK;
}

static bool overlap(const void *A, int64_t SizeA, const void *B, int64_t SizeB) {
  return SizeA > 0 && SizeB > 0 && static_cast<const char *>(A) < static_cast<const char *>(B) + SizeB &&
         static_cast<const char *>(B) < static_cast<const char *>(A) + SizeA;
}

/// The caller's memory for output number `Output` must be apart from all inputs and the outputs before it.
ds_status ds_session::checkOverlap(const ds_tensor *Inputs, const ds_tensor *Given, const Plan &P, size_t Output,
                                   ds_error *Error) const {
  const Metadata &Meta = Model->Meta;
  const char *Name = Meta.text(Meta.Outputs[Output].name);
  for (size_t I = 0; I < Meta.Inputs.size(); ++I) {
    const ds_artifact_tensor &T = Meta.Inputs[I];
    int64_t Bytes;
    if (denseBytes(P.Sizes.data() + T.first_dimension, T.rank, dtypeSize(T.dtype), Bytes) &&
        InputData[I] == Inputs[I].data && overlap(Given[Output].data, OutputBytes[Output], InputData[I], Bytes))
      return fail(Error, DS_BAD_INPUT, "the memory given for output '%s' overlaps that of input '%s'", Name,
                  Meta.text(T.name));
  }
  for (size_t I = 0; I < Meta.Outputs.size(); ++I)
    if (I != Output && Given[I].data && overlap(Given[Output].data, OutputBytes[Output], Given[I].data, OutputBytes[I]))
      return fail(Error, DS_BAD_INPUT, "the memory given for output '%s' overlaps that of output '%s'", Name,
                  Meta.text(Meta.Outputs[I].name));
  return DS_OK;
}

/// Memory for the outputs whose sizes become known with a stage. OutputBytes of the others, as far as not known, is 0.
ds_status ds_session::takeOutputs(const ds_tensor *Inputs, ds_tensor *Given, size_t Stage, const Plan &P,
                                  ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  for (uint32_t I : Stages[Stage].Outputs) {
    const size_t Donation = DonationTo[I];
    const ds_artifact_tensor &T = Meta.Outputs[I];
    const int64_t *Shape = P.Sizes.data() + T.first_dimension;
    int64_t Bytes;
    if (!denseBytes(Shape, T.rank, dtypeSize(T.dtype), Bytes))
      return fail(Error, DS_OUT_OF_MEMORY, "output '%s' would be larger than any memory", Meta.text(T.name));
    OutputBytes[I] = Bytes;
    if (Donation < Meta.Donations.size()) {
      if (ds_status Status = takeDonated(Donation, Inputs, Given, Shape, Error))
        return Status;
      const ds_artifact_donation &D = Meta.Donations[Donation];
      if (D.in_place == DS_DONATION_UNCHANGED) {
        OutputData[I] = Inputs[D.input].data;
        continue;
      }
      if (D.in_place && !Guard) { // whose inputs are copies that cannot be written
        OutputData[I] = InputData[D.input];
        continue;
      }
    }
    if (Given && isOwn(I, Given[I]))
      Given[I].data = nullptr;
    if (Given && Given[I].data) {
      const ds_tensor &G = Given[I];
      if (ds_status Status = checkDevice(G.device, "output", Meta.text(T.name), Error))
        return Status;
      if (G.dtype != int32_t(T.dtype))
        return fail(Error, DS_BAD_INPUT, "output '%s' is %s, but memory for %s was given", Meta.text(T.name),
                    ds_dtype_name(int32_t(T.dtype)), ds_dtype_name(G.dtype));
      if (G.rank != int32_t(T.rank) || (T.rank && (!G.shape || memcmp(G.shape, Shape, T.rank * sizeof *Shape)))) {
        Text Is, Was;
        appendShape(Is, Shape, T.rank);
        if (G.rank >= 0 && (G.shape || !G.rank))
          appendShape(Was, G.shape, size_t(G.rank));
        return fail(Error, DS_BAD_INPUT, "output '%s' has shape %s here, but memory for %s was given",
                    Meta.text(T.name), Is.str(), Was.str());
      }
      if (ds_status Status = checkOverlap(Inputs, Given, P, I, Error))
        return Status;
      if (isAligned(G.data, dtypeSize(T.dtype)) && isDense(G, Shape) && !Guard) {
        OutputData[I] = G.data;
        continue;
      }
    }
    OutputData[I] = Nothing;
    if (Bytes == 0)
      continue;
    OutputMemory &Own = Outputs[I];
    auto IsInput = [&](uint32_t Place) {
      for (size_t J = 0; J < Meta.Inputs.size(); ++J)
        if (Own.Places[Place].overlaps(InputData[J], InputData[J] == Nothing ? 0 : 1))
          return true;
      return false;
    };
    if (IsInput(Own.Current)) {
      Own.Current ^= 1;
      if (IsInput(Own.Current))
        return fail(Error, DS_BAD_INPUT,
                    "output '%s' of a run before the last one was given as an input; copy it first", Meta.text(T.name));
    }
    Region &Place = Own.Places[Own.Current];
    const void *Before = Place.Data;
    const bool IsThere = Place.reserve(Memory, Bytes);
    if (Place.Data != Before)
      addFormer(I, Before);
    if (!IsThere)
      return fail(Error, DS_OUT_OF_MEMORY, "cannot get %lld bytes for output '%s'", static_cast<long long>(Bytes),
                  Meta.text(T.name));
    OutputData[I] = Place.Data;
  }
  return DS_OK;
}

ds_status ds_session::run(const ds_tensor *Inputs, size_t InputCount, ds_tensor *Given, size_t OutputCount,
                          ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  if (OutputCount && (OutputCount != Meta.Outputs.size() || !Given))
    return fail(Error, DS_BAD_INPUT, "the model has %zu outputs, room for %zu given", Meta.Outputs.size(),
                Given ? OutputCount : 0);
  if (!OutputCount)
    Given = nullptr;
  const Plan *P = nullptr;
  ds_status Status = resolveFeeds(Inputs, InputCount, Error);
  HasBegun = false;
  Runs = this;
  for (size_t I = 0; Given && I < States.size(); ++I)
    if (ds_tensor &Entry = Given[Meta.Donations[I].output]; Entry.data == States[I].LastOutput)
      Entry.data = nullptr;
  if (!Status && isOutermost() && !States.empty())
    Status = resolveStates(Inputs, InputCount, /*IsRun=*/true, Error);
  if (!Status)
    resolveDefaults(Inputs, InputCount);
  if (!Status && !Versions.empty()) {
    Status = readSymbols(Inputs, InputCount, Error);
    forgetOwn(Given);
    ds_session *Version = Status ? nullptr : findVersion();
    Runs = Version ? Version : this;
    if (!Status)
      passArena(Version ? *Version : *this);
    if (Version && !States.empty())
      Status = claimDonated(Inputs, Error);
    if (Version)
      return Status ? Status : runVersion(*Version, Inputs, InputCount, Given, OutputCount, Error);
    LastVersion = nullptr;
  }
  if (!Status)
    Status = plan(Inputs, InputCount, P, Error);
  if (!Status && isOutermost() && !States.empty())
    Status = claimDonated(Inputs, Error);
  if (!Status)
    Status = bind(Stages[0], *P, Error);
  if (!Status)
    Status = takeInputs(Inputs, *P, Error);
  if (!Status && CheckNan)
    Status = checkInputs(*P, Error);
  if (Status)
    return Status;
  if (CheckNan)
    NotANumber.clear();
  HasRun = IsFresh = false; // from here on memory of outputs may change hands
  FailedLaunch = -1;
  for (size_t I = 0; I < Meta.Outputs.size(); ++I)
    OutputBytes[I] = 0, OutputData[I] = Nothing;
  size_t NextCall = 0;
  for (size_t Stage = 0; Stage < StageCount; ++Stage) {
    if (Stage) {
      const Plan *Before = P;
      Status = readBound(Stage, Error);
      if (!Status)
        Status = planFor(Stage, Before, P, Error);
      if (!Status)
        Status = bind(Stages[Stage], *P, Error);
      if (Status)
        return Status;
    }
    Status = takeOutputs(Inputs, Given, Stage, *P, Error);
    if (Status)
      return Status;
    if (!Stage || !Stages[Stage].Outputs.empty())
      for (uint32_t I : EntryBuffers) {
        const ds_artifact_buffer &B = Meta.Buffers[I];
        Buffers[I] = (B.kind == DS_BUFFER_INPUT ? InputData : OutputData)[B.index];
      }
    HasBegun = true;
    if (int32_t Code = Model->Code->run(int32_t(Stage), &Host))
      return kernelError(Code, Error);
    if (NextCall < CallCount && Meta.Calls[NextCall].stage == Stage)
      if ((Status = call(NextCall++, *P, Error)))
        return Status;
  }

  for (size_t I = 0; I < Meta.Donations.size(); ++I) {
    const ds_artifact_donation &D = Meta.Donations[I];
    void *Place = OutputBytes[D.output] ? Inputs[D.input].data : Nothing;
    if (OutputBytes[D.output] && OutputData[D.output] != Place)
      memcpy(Place, OutputData[D.output], size_t(OutputBytes[D.output]));
    OutputData[D.output] = Place;
    if (!States.empty())
      States[I].LastOutput = Place;
  }
  int64_t *Shape = LastShapes.data();
  for (size_t I = 0; I < Meta.Outputs.size(); ++I) {
    const ds_artifact_tensor &T = Meta.Outputs[I];
    if (T.rank)
      memcpy(Shape, P->Sizes.data() + T.first_dimension, T.rank * sizeof *Shape);
    LastOutputs[I] = {OutputData[I], int32_t(T.dtype), int32_t(T.rank), Shape, nullptr, HostDevice};
    if (Given && Given[I].data && Given[I].data != OutputData[I]) {
      if (OutputBytes[I])
        copyFromDense(Given[I], OutputData[I], Shape);
      LastOutputs[I] = Given[I];
      LastOutputs[I].shape = Shape;
    } else if (Given && !Given[I].data) {
      Given[I] = LastOutputs[I];
    }
    Shape += T.rank;
  }
  HasRun = true;
  return DS_OK;
}

ds_status ds_session_run(ds_session *Session, const ds_tensor *Inputs, size_t InputCount, ds_tensor *Outputs,
                         size_t OutputCount, ds_error *Error) {
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_run needs a session");
  if (Session->States.empty())
    return Session->run(Inputs, InputCount, Outputs, OutputCount, Error);
  const ds_status Status = Session->run(Inputs, InputCount, Outputs, OutputCount, Error);
  if (Status)
    Session->loseStates(Inputs);
  Session->endClaims();
  return Status;
}

ds_status ds_session_output(const ds_session *Session, size_t Index, ds_tensor *Output) {
  if (!Session || !Output || !Session->hasOutput(Index))
    return DS_BAD_ARGUMENT;
  *Output = Session->LastOutputs[Index];
  return DS_OK;
}

ds_status ds_session_profile(ds_session *Session, int On, ds_error *Error) {
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_profile needs a session");
  bool Failed = Session->visit([&](ds_session &S) {
    if (On && (!S.Profile.resize(0) || !S.Profile.resize(S.Model->Meta.Launches.size() + S.CustomCount)))
      return true;
    S.Profiling = On;
    S.chooseLaunch();
    return false;
  });
  return Failed ? outOfMemory(Error) : DS_OK;
}

ds_status ds_session_profile_entry(const ds_session *Session, size_t Index, ds_profile_entry *Entry) {
  if (!Session || !Entry)
    return DS_BAD_ARGUMENT;
  // Launches and operators of the program, then those of its bodies.
  const ds_session *Of = nullptr;
  const_cast<ds_session *>(Session)->visit([&](ds_session &S) {
    if (Index < S.Profile.size()) {
      Of = &S;
      return true;
    }
    Index -= S.Profile.size();
    return false;
  });
  if (!Of)
    return DS_BAD_ARGUMENT;
  const Metadata &Meta = Of->Model->Meta;
  const ProfileCounter &C = Of->Profile[Index];
  if (Index >= Meta.Launches.size()) {
    size_t Number = Index - Meta.Launches.size();
    for (size_t I = 0; I < Meta.Calls.size(); ++I)
      if (const ds_artifact_call &Call = Meta.Calls[I]; Call.kind == DS_CALL_CUSTOM && Number-- == 0) {
        *Entry = {Meta.text(Call.name), Meta.text(Call.source), C.Calls, double(C.Nanoseconds) * 1e-9, 0, 0};
        return DS_OK;
      }
    return DS_BAD_ARGUMENT;
  }
  const ds_artifact_launch &L = Meta.Launches[Index];
  *Entry = {Meta.text(Meta.Kernels[L.kernel].name),
            Meta.text(L.source),
            C.Calls,
            double(C.Nanoseconds) * 1e-9,
            C.Flops,
            C.Bytes};
  return DS_OK;
}
