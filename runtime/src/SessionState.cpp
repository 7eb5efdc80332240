//===- SessionState.cpp - Donated inputs, and the state that a session holds ===//
// Assumes: donations were checked (Metadata.cpp); the outermost session alone holds states.
// Guarantees: a donated input's memory is no other input's, no weight's, and no other session's state or donation, as
//   far as this process can tell; an output that a donation makes is nowhere else. A state that a failed run may have
//   written is no longer one.
// Declines: finding memory that some other program code writes meanwhile.
//===----------------------------------------------------------------------===//
#include "Session.h"
#include <algorithm>
#include <sched.h>

using namespace ds::runtime;

namespace {

/// The sessions of this process with donations, each a link of the list. Locked for some comparisons only.
std::atomic_flag DonorsLock = ATOMIC_FLAG_INIT;
ds_session *Donors = nullptr;

class DonorsGuard {
public:
  DonorsGuard() {
    while (DonorsLock.test_and_set(std::memory_order_acquire))
      sched_yield();
  }
  DonorsGuard(const DonorsGuard &) = delete;
  DonorsGuard &operator=(const DonorsGuard &) = delete;
  ~DonorsGuard() { DonorsLock.clear(std::memory_order_release); }
};

bool overlap(const Claim &A, const Claim &B) {
  return A.Size && B.Size && A.Data < B.Data + B.Size && B.Data < A.Data + A.Size;
}

/// From the first to the last byte of a tensor of the caller's; nothing where its size makes no sense.
Claim extentOf(const ds_tensor &T, const int64_t *Shape) {
  const int64_t Size = int64_t(dtypeSize(uint32_t(T.dtype)));
  int64_t Bytes;
  if (!denseBytes(Shape, size_t(T.rank), size_t(Size), Bytes) || !Bytes || !T.data)
    return {};
  const char *Data = static_cast<const char *>(T.data);
  if (isDense(T, Shape))
    return {Data, size_t(Bytes), 0, false};
  int64_t Low = 0, High = Size;
  for (int32_t D = 0; D < T.rank; ++D) {
    int64_t Step;
    if (!multiply(Shape[D] - 1, T.strides[D], Step) || !multiply(Step, Size, Step) ||
        !add(Step < 0 ? Low : High, Step, Step < 0 ? Low : High))
      return {};
  }
  return {Data + Low, size_t(High - Low), 0, false};
}

} // namespace

ds_status ds_session::createStates(ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  const size_t Count = Meta.Donations.size();
  if (!FirstShape.resize(Meta.Inputs.size()) || !DonationTo.resize(Meta.Outputs.size()))
    return outOfMemory(Error);
  size_t Dimensions = 0;
  for (size_t I = 0; I < Meta.Inputs.size(); Dimensions += Meta.Inputs[I++].rank)
    FirstShape[I] = Dimensions;
  for (uint32_t &Donation : DonationTo)
    Donation = uint32_t(Count);
  for (size_t I = 0; I < Count; ++I)
    DonationTo[Meta.Donations[I].output] = uint32_t(I);
  if (!Count || !isOutermost())
    return DS_OK;
  Dimensions = 0;
  for (size_t I = 0; I < Count; ++I)
    Dimensions += Meta.Inputs[Meta.Donations[I].input].rank;
  if (!Extents.resize(Meta.Inputs.size()) || !States.resize(Count) || !Held.resize(Count) || !Running.resize(Count) ||
      !Active.resize(Count) || !StateShapes.resize(Dimensions))
    return outOfMemory(Error);
  Dimensions = 0;
  for (size_t I = 0; I < Count; ++I) {
    States[I].FirstDimension = Dimensions;
    Dimensions += Meta.Inputs[Meta.Donations[I].input].rank;
  }
  DonorsGuard Guard;
  NextDonor = Donors;
  if (Donors)
    Donors->LastDonor = this;
  Donors = this;
  return DS_OK;
}

void ds_session::forgetStates() {
  {
    DonorsGuard Guard;
    if (NextDonor)
      NextDonor->LastDonor = LastDonor;
    if (LastDonor)
      LastDonor->NextDonor = NextDonor;
    else if (Donors == this)
      Donors = NextDonor;
  }
  for (StateMemory &S : States)
    S.Memory.release(Memory);
}

void ds_session::hold(size_t Donation, const Claim &Bytes) {
  DonorsGuard Guard;
  Held[Donation] = Bytes;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

ds_status ds_session::resolveStates(const ds_tensor *&Inputs, size_t InputCount, bool IsRun, ds_error *Error) {
  if (States.empty() || InputCount != FedInputs.size() || !Inputs)
    return DS_OK;
  const Metadata &Meta = Model->Meta;
  if (Inputs != FedInputs.data())
    memcpy(FedInputs.data(), Inputs, InputCount * sizeof *Inputs);
  Inputs = FedInputs.data();
  for (size_t I = 0; I < States.size(); ++I) {
    const uint32_t Input = Meta.Donations[I].input;
    if (Inputs[Input].dtype || Inputs[Input].data)
      continue;
    const StateMemory &S = States[I];
    const char *Name = Meta.text(Meta.Inputs[Input].name);
    if (S.Is == StateMemory::Lost)
      return fail(Error, DS_BAD_INPUT,
                  "the state of input '%s' was lost when a run failed after it had begun; set it again "
                  "(ds_session_state_set)",
                  Name);
    if (S.Is == StateMemory::Absent && ds_model_input_is_optional(Model, Input)) {
      if (!IsRun)
        continue;
      if (ds_status Status = ds_session_state_set(this, Input, &Model->Defaults[Input], Error))
        return Status;
    }
    if (S.Is == StateMemory::Absent)
      return fail(Error, DS_BAD_INPUT,
                  "input '%s' has neither a tensor nor a state; give this run a tensor, or the session a state "
                  "(ds_session_state_set)",
                  Name);
    ds_session_state_get(this, Input, &FedInputs[Input], nullptr);
  }
  return DS_OK;
}

/// The extents of inputs by address; each knows its input by its place in the caller's list.
static void sortByAddress(Claim *First, Claim *Last) {
  std::sort(First, Last, [](const Claim &A, const Claim &B) { return A.Data < B.Data; });
}

ds_status ds_session::claimDonated(const ds_tensor *Inputs, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  auto NameOf = [&](size_t Input) { return Meta.text(Meta.Inputs[Input].name); };
  for (size_t I = 0; I < Meta.Inputs.size(); ++I) {
    Extents[I] = extentOf(Inputs[I], GivenShapes.data() + FirstShape[I]);
    Extents[I].Input = uint32_t(I);
  }
  for (size_t I = 0; I < States.size(); ++I) {
    const uint32_t Input = Meta.Donations[I].input;
    const ds_tensor &T = Inputs[Input];
    if (!isDense(T, GivenShapes.data() + FirstShape[Input]) ||
        reinterpret_cast<uintptr_t>(T.data) % dtypeSize(uint32_t(T.dtype)))
      return fail(Error, DS_BAD_INPUT,
                  "input '%s' is donated, which takes memory that is row-major without gaps and aligned; give the "
                  "session a copy as its state (ds_session_state_set)",
                  NameOf(Input));
    Running[I] = Extents[Input];
    Extents[Input].IsDonated = true;
    if (overlap(Running[I], {reinterpret_cast<const char *>(Model->Weights), Meta.Program->weights_length}))
      return fail(Error, DS_BAD_INPUT, "input '%s' is donated, but its memory is that of weights, which are read-only",
                  NameOf(Input));
  }
  // In the order of addresses, with the one that reaches farthest of those before, and the donated one that does.
  sortByAddress(Extents.begin(), Extents.end());
  const Claim *Farthest = nullptr, *FarthestDonated = nullptr;
  auto Reaches = [](const Claim *A, const Claim &B) { return A && overlap(*A, B); };
  auto End = [](const Claim *A) { return A ? A->Data + A->Size : nullptr; };
  for (const Claim &C : Extents) {
    const Claim *Other = C.IsDonated ? Farthest : FarthestDonated;
    if (Reaches(Other, C)) {
      const Claim &Donated = C.IsDonated ? C : *Other, &Second = C.IsDonated ? *Other : C;
      return fail(Error, DS_BAD_INPUT, "input '%s' is donated, but input '%s' lies in the same memory; give it a copy",
                  NameOf(Donated.Input), NameOf(Second.Input));
    }
    if (End(&C) > End(Farthest))
      Farthest = &C;
    if (C.IsDonated && End(&C) > End(FarthestDonated))
      FarthestDonated = &C;
  }
  // The session's own states are nobody else's; what the caller gives may be.
  DonorsGuard Guard;
  for (size_t I = 0; I < States.size(); ++I)
    for (const ds_session *Other = Donors; Other && Running[I].Data != Held[I].Data; Other = Other->NextDonor)
      for (size_t J = 0; Other != this && J < Other->States.size(); ++J) {
        const bool IsState = overlap(Running[I], Other->Held[J]);
        if (IsState || overlap(Running[I], Other->Active[J]))
          return fail(Error, DS_BAD_INPUT, "input '%s' is donated, but its memory is %s; a session needs its own copy",
                      NameOf(Meta.Donations[I].input),
                      IsState ? "the state of another session"
                              : "donated to a run of another session that has not ended");
      }
  memcpy(Active.data(), Running.data(), Running.size() * sizeof(Claim));
  return DS_OK;
}

void ds_session::endClaims() {
  for (Claim &C : Running)
    C = {};
  DonorsGuard Guard;
  for (Claim &C : Active)
    C = {};
}

void ds_session::loseStates(const ds_tensor *Inputs) {
  // Half of an update of a generator is one as well: nothing of it is lost.
  const size_t Generator = HasBegun && !States.empty() ? ds_model_generator(Model) : DS_NO_INPUT;
  for (size_t I = 0; HasBegun && I < States.size(); ++I)
    if (Model->Meta.Donations[I].input != Generator && States[I].Is == StateMemory::Present && Running[I].Size &&
        Running[I].Data == States[I].Memory.Data && Runs->Model->Meta.Donations[I].in_place != DS_DONATION_UNCHANGED)
      States[I].Is = StateMemory::Lost;
}

/// The output of a donation has the input's shape, and no other memory.
ds_status ds_session::takeDonated(size_t Donation, const ds_tensor *Inputs, ds_tensor *Given, const int64_t *Shape,
                                  ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  const ds_artifact_donation &D = Meta.Donations[Donation];
  const ds_artifact_tensor &Out = Meta.Outputs[D.output];
  const char *To = Meta.text(Out.name), *From = Meta.text(Meta.Inputs[D.input].name);
  const int64_t *Was = GivenShapes.data() + FirstShape[D.input];
  if (Out.rank && memcmp(Was, Shape, Out.rank * sizeof *Shape)) {
    Text Old, New;
    appendShape(Old, Was, Out.rank);
    appendShape(New, Shape, Out.rank);
    return fail(Error, DS_BAD_INPUT,
                "input '%s' is donated to output '%s', but one has shape %s here and the other %s: a state keeps its "
                "shape",
                From, To, Old.str(), New.str());
  }
  if (!Given || !Given[D.output].data)
    return DS_OK;
  void *&Data = Given[D.output].data;
  if (Data != Inputs[D.input].data)
    return fail(Error, DS_BAD_INPUT,
                "output '%s' lies in the memory of input '%s', which is donated to it; no other can be given for it",
                To, From);
  Data = nullptr;
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// The C interface
//===----------------------------------------------------------------------===//

ds_status ds_session::state(size_t Input, const char *Function, size_t &Donation, ds_error *Error) const {
  const Metadata &Meta = Model->Meta;
  if (Input >= Meta.Inputs.size())
    return fail(Error, DS_BAD_ARGUMENT, "%s: there is no input number %zu; the model has %zu", Function, Input,
                Meta.Inputs.size());
  for (Donation = 0; Donation < States.size(); ++Donation)
    if (Meta.Donations[Donation].input == Input)
      return DS_OK;
  return fail(Error, DS_BAD_ARGUMENT,
              "%s: input '%s' is not donated, so the session holds no state for it; compile the model with --donate",
              Function, Meta.text(Meta.Inputs[Input].name));
}

/// Memory of that shape, whose contents are to be written; what fits stays where it is.
ds_status ds_session::makeState(size_t Donation, const int64_t *Shape, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  const ds_artifact_tensor &T = Meta.Inputs[Meta.Donations[Donation].input];
  const char *Name = Meta.text(T.name);
  StateMemory &S = States[Donation];
  for (uint32_t D = 0; D < T.rank; ++D) {
    const ds_artifact_dimension &Known = Meta.Dimensions[T.first_dimension + D];
    const bool IsKnown = Known.size.kind == DS_NUMBER_CONSTANT;
    if (!Shape && !IsKnown)
      return fail(Error, DS_BAD_ARGUMENT, "the state of input '%s' needs a shape: dimension %u is %s", Name, D,
                  Meta.text(Known.text));
    const int64_t Is = Shape ? Shape[D] : Known.size.value;
    if (Is < 0 || Is > MaxDimension || (IsKnown && Is != Known.size.value))
      return fail(Error, DS_BAD_INPUT, "the state of input '%s' should have %s in dimension %u, given %lld", Name,
                  Meta.text(Known.text), D, static_cast<long long>(Is));
  }
  Array<int64_t> Sizes;
  int64_t Bytes;
  if (!Sizes.resize(T.rank + 1))
    return outOfMemory(Error);
  for (uint32_t D = 0; D < T.rank; ++D)
    Sizes[D] = Shape ? Shape[D] : Meta.Dimensions[T.first_dimension + D].size.value;
  if (!denseBytes(Sizes.data(), T.rank, dtypeSize(T.dtype), Bytes))
    return fail(Error, DS_OUT_OF_MEMORY, "the state of input '%s' would be larger than any memory", Name);
  if (S.Memory.Size != size_t(Bytes)) {
    Region New;
    if (Bytes && !New.reserve(Memory, Bytes))
      return fail(Error, DS_OUT_OF_MEMORY, "cannot get %lld bytes for the state of input '%s'",
                  static_cast<long long>(Bytes), Name);
    // The last output may have been there.
    if (ds_tensor &Last = LastOutputs[Meta.Donations[Donation].output]; S.Memory.Data && Last.data == S.Memory.Data)
      Last = {};
    S.Memory.release(Memory);
    S.Memory = New;
    hold(Donation, {New.Data, New.Size});
  }
  for (uint32_t D = 0; D < T.rank; ++D)
    StateShapes[S.FirstDimension + D] = Sizes[D];
  S.Is = StateMemory::Present;
  return DS_OK;
}

ds_status ds_session_state_create(ds_session *Session, size_t Input, const int64_t *Shape, ds_error *Error) {
  size_t Donation;
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_state_create needs a session");
  if (ds_status Status = Session->state(Input, "ds_session_state_create", Donation, Error))
    return Status;
  if (ds_status Status = Session->makeState(Donation, Shape, Error))
    return Status;
  if (const Region &R = Session->States[Donation].Memory; R.Size)
    memset(R.Data, 0, R.Size);
  return DS_OK;
}

ds_status ds_session_state_set(ds_session *Session, size_t Input, const ds_tensor *Value, ds_error *Error) {
  size_t Donation;
  if (!Session || !Value)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_state_set needs a session and a tensor");
  if (ds_status Status = Session->state(Input, "ds_session_state_set", Donation, Error))
    return Status;
  const Metadata &Meta = Session->Model->Meta;
  const ds_artifact_tensor &T = Meta.Inputs[Input];
  const char *Name = Meta.text(T.name);
  if (Value->dtype != int32_t(T.dtype) || Value->rank != int32_t(T.rank))
    return fail(Error, DS_BAD_INPUT, "the state of input '%s' should be %s with %u dimensions, given %s with %d", Name,
                ds_dtype_name(int32_t(T.dtype)), T.rank, ds_dtype_name(Value->dtype), Value->rank);
  if (Value->rank && !Value->shape)
    return fail(Error, DS_BAD_ARGUMENT, "the shape of the state of input '%s' is NULL", Name);
  if (ds_status Status = checkDevice(Value->device, "the state of input", Name, Error))
    return Status;
  StateMemory &S = Session->States[Donation];
  const Claim From = extentOf(*Value, Value->shape);
  if (overlap(From, {S.Memory.Data, S.Memory.Size}))
    return fail(Error, DS_BAD_INPUT, "the state of input '%s' cannot be set from its own memory", Name);
  if (ds_status Status = Session->makeState(Donation, Value->shape, Error))
    return Status;
  if (!S.Memory.Size)
    return DS_OK;
  if (!Value->data) {
    S.Is = StateMemory::Absent;
    return fail(Error, DS_BAD_INPUT, "the data of the state of input '%s' is NULL", Name);
  }
  copyToDense(S.Memory.Data, *Value, Value->shape);
  return DS_OK;
}

ds_status ds_session_state_get(const ds_session *Session, size_t Input, ds_tensor *Value, ds_error *Error) {
  size_t Donation;
  if (!Session || !Value)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_state_get needs a session and a place for the tensor");
  if (ds_status Status = Session->state(Input, "ds_session_state_get", Donation, Error))
    return Status;
  const Metadata &Meta = Session->Model->Meta;
  const ds_artifact_tensor &T = Meta.Inputs[Input];
  const StateMemory &S = Session->States[Donation];
  if (S.Is != StateMemory::Present)
    return fail(Error, DS_BAD_INPUT, "the session has no state for input '%s'%s", Meta.text(T.name),
                S.Is == StateMemory::Lost ? ": it was lost when a run failed after it had begun" : "");
  *Value = {S.Memory.Size ? S.Memory.Data : ds_session::nothing(), int32_t(T.dtype), int32_t(T.rank),
            Session->StateShapes.data() + S.FirstDimension,        nullptr,          HostDevice};
  return DS_OK;
}

ds_status ds_session_state_reset(ds_session *Session, size_t Input, ds_error *Error) {
  size_t Donation;
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_state_reset needs a session");
  if (ds_status Status = Session->state(Input, "ds_session_state_reset", Donation, Error))
    return Status;
  StateMemory &S = Session->States[Donation];
  if (ds_tensor &Last = Session->LastOutputs[Session->Model->Meta.Donations[Donation].output];
      S.Memory.Data && Last.data == S.Memory.Data)
    Last = {};
  Session->hold(Donation, {});
  S.Memory.release(Session->Memory);
  S.Is = StateMemory::Absent;
  return DS_OK;
}

ds_status ds_session_seed(ds_session *Session, int64_t Seed, ds_error *Error) {
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_seed needs a session");
  const size_t Input = ds_model_generator(Session->Model);
  if (Input == DS_NO_INPUT)
    return fail(Error, DS_BAD_ARGUMENT, "the model draws no random numbers: there is nothing to seed");
  int64_t State[2] = {Seed, 0};
  const int64_t Shape[1] = {2};
  const ds_tensor Value = {State, DS_INT64, 1, Shape, nullptr, HostDevice};
  return ds_session_state_set(Session, Input, &Value, Error);
}
